"""Times measured in one job each: how far off they may be, and which of two is longer.

The windows of a job show how well it knows its own time. How another job would differ is not in them, and one job per
batch size cannot show it: so it is assumed, once, for all times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import TypeVar

from batchscope.stats import ALPHA, CONFIDENCE
from batchscope.stats.estimates import Estimate, Variance, of_variances
from batchscope.stats.families import adjusted

# Ours, since one job per size cannot show it: the standard deviation of the time of an update over jobs, relative to
# it, beyond what windows show.
JOB_SPREAD = 0.02
LEAST_DIFFERENCE = math.expm1(math.sqrt(2) * JOB_SPREAD * NormalDist().inv_cdf(0.5 + CONFIDENCE / 2))  # told apart

K = TypeVar("K")


@dataclass(frozen=True)
class Time:
    """The time of an update or an epoch, as one job measured it.

    Attributes:
        seconds: the median over the windows of the job.
        error: its standard error over it, as the windows show it.
        windows: how many they are.
        job: which timing it is, so that what borrows a time is known to share its error.
    """

    seconds: float
    error: float
    windows: int
    job: tuple[object, ...] = ()

    @property
    def variances(self) -> tuple[Variance, Variance]:
        """Of the logarithm: what the windows show, and how another job may differ."""
        return (self.error**2, max(1, self.windows - 1)), (JOB_SPREAD**2, math.inf)

    @property
    def factors(self) -> tuple[float, float]:
        """The ends of the 95 % interval of the time, over the time.

        >>> [round(end, 3) for end in Time(1.0, 0.0, 9).factors]
        [0.962, 1.04]
        """
        return _factors(of_variances(self.windows, 0.0, self.variances))

    def factors_over(self, other: Time) -> tuple[float, float]:
        """The same of the ratio of this time to another."""
        return _factors(ratio(self, other))


def ratio(one: Time, other: Time) -> Estimate:
    """The logarithm of the time of one job over that of another."""
    n = min(one.windows, other.windows)
    return of_variances(n, math.log(one.seconds / other.seconds), (*one.variances, *other.variances))


def _factors(found: Estimate) -> tuple[float, float]:
    """The ends of the interval of a logarithm, as factors of what it is the logarithm of."""
    assert found.low is not None
    assert found.high is not None
    return math.exp(found.low - found.value), math.exp(found.high - found.value)


def told_apart(times: Mapping[K, Time]) -> set[frozenset[K]]:
    """The pairs of which one time is longer: two-sided p of their ratios, adjusted together over all pairs (Holm).

    >>> found = told_apart({8: Time(1.0, 0.004, 9), 16: Time(1.03, 0.004, 9), 32: Time(1.2, 0.004, 9)})
    >>> sorted(sorted(pair) for pair in found)
    [[8, 32], [16, 32]]
    """
    p_values = {}
    for one, other in combinations(times, 2):
        above, below = ratio(times[one], times[other]).test(0.0)
        p_values[frozenset((one, other))] = None if above is None or below is None else 2 * min(above, below)
    return {pair for pair, p in adjusted(p_values).items() if p <= ALPHA}
