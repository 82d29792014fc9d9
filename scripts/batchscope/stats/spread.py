"""Whether repetitions scatter more at one batch size than at another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from batchscope.stats import CONFIDENCE
from batchscope.stats.intervals import ROUNDING, t_interval, t_quantile


@dataclass(frozen=True)
class SpreadTest:
    """log(sd of the first / sd of the second) over `n` pairs, its 95 % interval, and one-sided p-values.

    `p_greater` is small where the first scatters more, `p_less` where it scatters less; they add up to 1. Pairs that
    are all equal have a ratio of 1 (log 0), p = 1 on both sides and no interval. `low`, `high` and the p-values are
    None for fewer than three pairs and where one side is a straight line of the other: then nothing is left to judge
    the ratio by. `log_ratio` is None for fewer than two pairs and where a side has no spread.
    """

    n: int
    log_ratio: float | None
    low: float | None
    high: float | None
    p_greater: float | None
    p_less: float | None


def spread_test(first: ArrayLike, second: ArrayLike) -> SpreadTest:
    """Compare the standard deviations of paired values: the same seeds in the same order.

    The spreads are equal exactly where sums and differences of the pairs are uncorrelated (Pitman 1939, Biometrika 31,
    9-12; Morgan 1939, Biometrika 31, 13-19). With r the correlation of the two sides, the t-test of that correlation
    is t = sinh(log ratio) * sqrt((n - 2) / (1 - r^2)) on n - 2 degrees of freedom, and dividing one side by a constant
    shifts the log ratio and leaves r: so the test inverts into the interval
    log ratio ± asinh(t(n - 2) * sqrt((1 - r^2) / (n - 2))).

    It is exact for pairs that are jointly normal. **It is not robust**: with skewed or heavy-tailed values it finds
    differences that are not there too often, and more seeds do not cure that (see docs/statistics.md). Multiply one
    side to test against a ratio other than 1.

    >>> found = spread_test([1, 5, 2, 7, 4], [2.1, 2.2, 1.9, 2.3, 2.0])
    >>> round(found.log_ratio, 3), round(found.low, 3), round(found.p_greater, 4)
    (2.715, 1.662, 0.0002)
    """
    one, other = t_interval(first), t_interval(second)
    if one.n != other.n:
        raise ValueError(f"paired values need the same seeds on both sides, not {one.n} against {other.n}")
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.n < 2 or _constant(one.sd, x) or _constant(other.sd, y):
        return SpreadTest(one.n, None, None, None, None, None)
    assert one.sd is not None
    assert other.sd is not None
    ratio = math.log(one.sd / other.sd)
    if np.abs(x - y).max() <= ROUNDING * np.abs(x).max():
        return SpreadTest(one.n, 0.0, None, None, 1.0, 1.0)
    r = float((x - x.mean()) @ (y - y.mean())) / ((one.n - 1) * one.sd * other.sd)
    if one.n < 3 or 1 - r**2 <= ROUNDING:
        return SpreadTest(one.n, ratio, None, None, None, None)
    error = math.sqrt((1 - r**2) / (one.n - 2))
    greater, less = (float(scipy.special.stdtr(one.n - 2, side * math.sinh(ratio) / error)) for side in (-1, 1))
    half = math.asinh(t_quantile(one.n - 1, CONFIDENCE) * error)  # n - 1 values have n - 2 degrees of freedom
    return SpreadTest(one.n, ratio, ratio - half, ratio + half, greater, less)


def _constant(sd: float | None, values: NDArray[np.float64]) -> bool:
    return sd is None or sd <= ROUNDING * float(np.abs(values).max())
