"""Intervals, differences and the correction for many comparisons, on plain sequences of numbers.

How often the intervals cover and the tests err is measured in benchmarks/statistics_by_simulation.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from batchscope.stats import CONFIDENCE

ALPHA = 0.05
# Differences that vary by less than this share of their size differ by rounding only.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Interval:
    """Mean of `n` values with its t-interval; `low`, `high` and `sd` are None where n = 1 leaves them unknown."""

    n: int
    mean: float | None
    low: float | None
    high: float | None
    sd: float | None


@dataclass(frozen=True)
class PairedTest:
    """Mean of the paired differences first - second, its t-interval and two-sided p-value.

    `p`, `low` and `high` are None where `n` < 2, or where every pair differs by the same amount other than zero:
    without a spread there is no test. Pairs that are all equal have p = 1 and no interval.
    """

    n: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class OneSided:
    """Mean of `n` values, its two-sided 95 % t-interval, and one-sided p-values for "the mean is above (below) it".

    `p_greater` is small where the values speak for a mean above the threshold, `p_less` for one below; where they are
    tested they add up to 1. They and the interval are None where `n` < 2 or the values have no spread, except that
    values which all equal the threshold have p = 1 on both sides.
    """

    n: int
    mean: float | None
    low: float | None
    high: float | None
    p_greater: float | None
    p_less: float | None


def t_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Mean and two-sided Student t-interval of independent `values`: mean ± t(n - 1) · sd / √n, sd with n - 1.

    One value gives no interval and no values give no mean. Raises ValueError for a value that is not finite: whether
    such a run counts is the caller's decision.
    """
    sample = _finite(values)
    if len(sample) == 0:
        return Interval(0, None, None, None, None)
    mean = float(sample.mean())
    if len(sample) == 1:
        return Interval(1, mean, None, None, None)
    sd = float(sample.std(ddof=1))
    half = t_quantile(len(sample), confidence) * sd / math.sqrt(len(sample))
    return Interval(len(sample), mean, mean - half, mean + half, sd)


def t_quantile(n: int, confidence: float = CONFIDENCE) -> float:
    """How many standard errors a two-sided t-interval of `n` values reaches to each side: 2.776 for n = 5."""
    return float(special.stdtrit(n - 1, 0.5 + confidence / 2))


def paired_test(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Paired two-sided t-test of `first` against `second`, which hold the same seeds in the same order."""
    one, other = _finite(first), _finite(second)
    if one.shape != other.shape:
        raise ValueError(f"paired values need the same seeds on both sides, not {len(one)} against {len(other)}")
    differences = one - other
    interval = t_interval(differences)
    if interval.n < 2:
        return PairedTest(interval.n, interval.mean, None, None, None)
    assert interval.sd is not None
    assert interval.mean is not None
    scale = float(max(np.abs(one).max(), np.abs(other).max()))
    if interval.sd <= ROUNDING * scale:
        equal = abs(interval.mean) <= ROUNDING * scale
        return PairedTest(interval.n, interval.mean, None, None, 1.0 if equal else None)
    statistic = interval.mean / (interval.sd / math.sqrt(interval.n))
    p = 2 * float(special.stdtr(interval.n - 1, -abs(statistic)))
    return PairedTest(interval.n, interval.mean, interval.low, interval.high, p)


def one_sample(values: ArrayLike, threshold: float = 0.0, *, scale: float = 0.0) -> OneSided:
    """One-sided t-tests of the mean of independent `values` against `threshold`, in both directions.

    `scale` is the largest size of the numbers whose differences `values` are. It tells a spread from rounding: without
    it, differences of 1e-7 between losses near 1 would pass for a sample with a spread of 1e-16.
    """
    sample = _finite(values)
    interval = t_interval(sample)
    if interval.n < 2:
        return OneSided(interval.n, interval.mean, None, None, None, None)
    assert interval.sd is not None
    assert interval.mean is not None
    rounding = ROUNDING * max(float(np.abs(sample).max()), abs(threshold), scale)
    if interval.sd <= rounding:
        p = 1.0 if abs(interval.mean - threshold) <= rounding else None
        return OneSided(interval.n, interval.mean, None, None, p, p)
    statistic = (interval.mean - threshold) / (interval.sd / math.sqrt(interval.n))
    greater, less = (float(special.stdtr(interval.n - 1, side * statistic)) for side in (-1, 1))
    return OneSided(interval.n, interval.mean, interval.low, interval.high, greater, less)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given.

    With p(1) <= ... <= p(m): adjusted(i) = max over j <= i of min(1, (m - j + 1) p(j)). Rejecting where the adjusted
    value is at most alpha keeps the chance of any false rejection below alpha, whatever the dependence (Holm 1979,
    Scandinavian Journal of Statistics 6, 65-70).
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values lie between 0 and 1: {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not np.isfinite(sample).all():
        raise ValueError(f"expected a flat list of finite numbers, not {values!r}")
    return sample


def fieller(pair: NDArray[np.float64], covariance: NDArray[np.float64], t: float) -> tuple[float | None, float | None]:
    """Interval of the ratio of two means: all r for which numerator - r · denominator is within `t` standard errors.

    Fieller 1954, Journal of the Royal Statistical Society B 16, 175-185. The upper end is None where the denominator
    cannot be told apart from zero, and the lower end too where the numerator cannot either.

    Args:
        pair: numerator and denominator, both above zero in estimate, shape (2,).
        covariance: of these two estimates, shape (2, 2).
        t: quantile, of Student's t say.
    """
    top, bottom = (float(value) for value in pair)
    # (top - r bottom)² <= t² Var(top - r bottom), that is a r² - 2 b r + c <= 0.
    c, b, a = (np.array([top**2, top * bottom, bottom**2]) - t**2 * covariance[[0, 0, 1], [0, 1, 1]]).tolist()
    root = math.sqrt(max(b * b - a * c, 0.0))
    if a > 0:
        return (b - root) / a, (b + root) / a
    return (c / (b + root), None) if c > 0 else (None, None)
