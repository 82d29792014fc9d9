"""Quantiles of plain numbers."""

from __future__ import annotations

import functools
import itertools
import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from batchscope.stats import CONFIDENCE

MAX_RESEMBLANCE = 0.95  # autocorrelation beyond which few values tell nothing of it


def median(values: ArrayLike) -> float | None:
    """The middle of `values`, or the mean of the middle two; None of no values.

    >>> median([3, 1, 10, 2])
    2.5
    """
    sample = np.asarray(values, dtype=np.float64)
    return float(np.median(sample)) if len(sample) else None


def quantile(values: ArrayLike, share: float) -> float | None:
    """The value that the `share` (0 to 1) of `values` does not exceed, on a straight line between two; None of none.

    >>> quantile([0, 1, 2, 3, 4], 0.9)
    3.6
    """
    sample = np.asarray(values, dtype=np.float64)
    return float(np.quantile(sample, share)) if len(sample) else None


def quartiles(values: ArrayLike) -> tuple[float, float, float] | tuple[None, None, None]:
    """First quartile, median and third quartile of `values`; three times None of no values.

    >>> quartiles([0, 1, 2, 3, 4])
    (1.0, 2.0, 3.0)
    """
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample):
        return None, None, None
    low, middle, high = np.quantile(sample, [0.25, 0.5, 0.75]).tolist()
    return low, middle, high


ENOUGH = 6
"""So many values have a `median_interval` where each is independent of its neighbours."""


def median_interval(values: ArrayLike) -> tuple[float, float] | None:
    """The 95 % interval of the median of values in the order in which they came; None of too few.

    Its ends are two of the values, as many from the smallest as from the largest: whatever the distribution, the number
    of independent values below its median is binomial (David and Nagaraja 2003, Order Statistics, 7.1; for times of
    programs Hoefler and Belli 2015, Scientific Benchmarking of Parallel Computing Systems, 3.1.3). Values that resemble
    their neighbours tell less: with the first autocorrelation r of the ranks the ends are sqrt((1 + r) / (1 - r)) times
    as many ranks from the middle, by which the standard error of a mean grows in an autoregression. How often it
    covers: benchmarks/precision_of_timings.py.

    >>> median_interval([5, 1, 6, 2, 7, 3, 8, 4])
    (1.0, 8.0)
    >>> median_interval([1, 2, 3, 4, 5, 6, 7, 8])
    """
    sample = np.sort(np.asarray(values, dtype=np.float64))
    n = len(sample)
    reach = (n / 2 - _rank(n)) * _widening(np.asarray(values, dtype=np.float64), sample)
    rank = math.floor(n / 2 - reach)
    return (float(sample[rank - 1]), float(sample[n - rank])) if rank >= 1 else None


def median_error(values: ArrayLike) -> float | None:
    """The standard error of the median of values in the order in which they came; None of fewer than two.

    That of a normal law whose interval is that of `median_interval` before it is widened, or, of too few values for
    one, from the smallest to the largest; as much larger as the resemblance of neighbours widens an interval.

    >>> round(median_error([5, 1, 6, 2, 7, 3, 8, 4]), 3)
    1.316
    """
    sample = np.sort(np.asarray(values, dtype=np.float64))
    n = len(sample)
    if n < 2:
        return None
    rank = max(_rank(n), 1)
    outside = 2 * sum(math.comb(n, count) for count in range(rank)) / 2**n
    half = float(sample[n - rank] - sample[rank - 1]) / 2
    normal = NormalDist().inv_cdf(1 - outside / 2)
    return half / normal * _widening(np.asarray(values, dtype=np.float64), sample)


@functools.cache
def _rank(n: int) -> int:
    """The highest rank, from either end, of values between which the median of `n` lies in 95 % of samples; 0: none."""
    below = itertools.accumulate(math.comb(n, count) for count in range(n // 2))
    return sum(2 * each / 2**n <= 1 - CONFIDENCE for each in below)


def _widening(values: NDArray[np.float64], ordered: NDArray[np.float64]) -> float:
    """By what the standard error of a mean of the ranks is larger than that of as many independent ones, at least 1.

    Few values understate their autocorrelation, by about (1 + 3 r) / n, and give it with a standard error of about
    1 / sqrt(n): r is corrected for the one and raised by half of the other, which it takes to cover.
    """
    n = max(1, len(values))
    ranks = np.searchsorted(ordered, values) + np.searchsorted(ordered, values, side="right") - len(values)
    seen = float(ranks[1:] @ ranks[:-1]) / max(1.0, float(ranks @ ranks))
    r = min(max(0.0, seen + (1 + 3 * max(0.0, seen)) / n + 0.5 / math.sqrt(n)), MAX_RESEMBLANCE)
    return math.sqrt((1 + r) / (1 - r))
