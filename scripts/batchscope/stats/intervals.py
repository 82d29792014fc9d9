"""Intervals and tests of means and of their differences, on plain sequences of numbers.

How often the intervals cover and the tests err is measured in benchmarks/statistics_by_simulation.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported where they are first used: a figure reads results and needs none
from numpy.typing import ArrayLike, NDArray

from batchscope.stats import CONFIDENCE

Floats = NDArray[np.float64]
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

    def columns(self, name: str) -> dict[str, float | None]:
        """Mean and interval as the columns NAME_mean, NAME_ci_low and NAME_ci_high of a table."""
        return {f"{name}_mean": self.mean, f"{name}_ci_low": self.low, f"{name}_ci_high": self.high}


@dataclass(frozen=True)
class MeanTest:
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

    @property
    def p(self) -> float | None:
        """Two-sided p-value."""
        return None if self.p_greater is None or self.p_less is None else min(1.0, 2 * min(self.p_greater, self.p_less))


def t_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Mean and two-sided Student t-interval of independent `values`: mean ± t(n - 1) · sd / √n, sd with n - 1.

    One value gives no interval and no values give no mean. Raises ValueError for a value that is not finite: whether
    such a run counts is the caller's decision.

    >>> found = t_interval([0.9, 0.8, 1.0])
    >>> found.n, round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    (3, 0.9, 0.652, 1.148)
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


def t_intervals(table: ArrayLike) -> tuple[Floats, Floats | None, Floats | None]:
    """`t_interval` of every row of `table`, shape (rows, values): means, lower and upper ends; no ends of one value.

    >>> mean, low, high = t_intervals([[0.9, 0.8, 1.0], [2, 2, 2]])
    >>> mean.round(3).tolist(), low.round(3).tolist(), high.round(3).tolist()
    ([0.9, 2.0], [0.652, 2.0], [1.148, 2.0])
    """
    values = np.asarray(table, dtype=np.float64)
    mean: Floats = values.mean(axis=1)
    n = values.shape[1]
    if n < 2:
        return mean, None, None
    half = t_quantile(n) * values.std(axis=1, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def percentile_interval(samples: ArrayLike) -> tuple[float, float]:
    """The two-sided 95 % interval of an estimate from its bootstrap `samples`: what lies between their quantiles.

    >>> low, high = percentile_interval(range(1001))
    >>> round(low, 6), round(high, 6)
    (25.0, 975.0)
    """
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.asarray(samples, dtype=np.float64), [tail, 1 - tail])
    return float(low), float(high)


def t_quantile(n: int, confidence: float = CONFIDENCE) -> float:
    """How many standard errors a two-sided t-interval of `n` values reaches to each side.

    >>> round(t_quantile(5), 3)
    2.776
    """
    return float(scipy.special.stdtrit(n - 1, 0.5 + confidence / 2))


def paired_test(first: ArrayLike, second: ArrayLike) -> MeanTest:
    """Paired t-test of `first` against `second`, which hold the same seeds in the same order: of first - second.

    >>> found = paired_test([0.9, 0.8, 1.0], [0.7, 0.7, 0.8])
    >>> round(found.mean, 3), round(found.p, 3)
    (0.167, 0.038)

    Raises:
        ValueError: the two hold different numbers of values, or one that is not finite.
    """
    one, other = _finite(first), _finite(second)
    if one.shape != other.shape:
        raise ValueError(f"paired values need the same seeds on both sides, not {len(one)} against {len(other)}")
    return one_sample(one - other, scale=float(np.abs([one, other]).max(initial=0.0)))


def welch_test(first: ArrayLike, second: ArrayLike) -> MeanTest:
    """Welch's t-test of two independent samples (Welch 1947, Biometrika 34, 28-35): of mean(first) - mean(second).

    `n` is the size of the smaller sample. There is no interval and no p for fewer than two values on a side, nor where
    neither side has a spread beyond rounding.

    >>> found = welch_test([0.9, 0.8, 1.0], [0.7, 0.7, 0.8, 0.6])
    >>> round(found.mean, 3), round(found.low, 4), round(found.high, 4), round(found.p, 4)
    (0.2, 0.0008, 0.3992, 0.0495)
    """
    one, other = _finite(first), _finite(second)
    n = min(len(one), len(other))
    if n == 0:
        return MeanTest(0, None, None, None, None, None)
    mean = float(one.mean() - other.mean())
    scale = float(max(np.abs(one).max(), np.abs(other).max()))
    if n < 2 or max(one.std(ddof=1), other.std(ddof=1)) <= ROUNDING * scale:
        return MeanTest(n, mean, None, None, None, None)
    found = scipy.stats.ttest_ind(one, other, equal_var=False)
    ends = found.confidence_interval(CONFIDENCE)
    greater, less = (float(scipy.special.stdtr(found.df, side * found.statistic)) for side in (-1, 1))
    return MeanTest(n, mean, float(ends.low), float(ends.high), greater, less)


def pooled_p(groups: Sequence[Floats], first: int, second: int) -> float:
    """One-sided p of the t-test that the mean of one of `groups` is above that of another.

    All groups share one standard deviation, estimated from all of them. 0 where none of them has a spread: then nothing
    but the difference is known.

    >>> round(pooled_p([np.array([2.0, 2.2]), np.array([1.0, 1.2]), np.array([5.0, 5.1])], 0, 1), 4)
    0.0019
    """
    freedom = sum(len(values) - 1 for values in groups)
    variance = sum(float(((values - values.mean()) ** 2).sum()) for values in groups) / max(freedom, 1)
    one, other = groups[first], groups[second]
    error = math.sqrt(variance * (1 / len(one) + 1 / len(other)))
    return float(scipy.special.stdtr(freedom, -(one.mean() - other.mean()) / error)) if error > 0 else 0.0


def one_sample(values: ArrayLike, threshold: float = 0.0, *, scale: float = 0.0) -> MeanTest:
    """One-sided t-tests of the mean of independent `values` against `threshold`, in both directions.

    `scale` is the largest size of the numbers whose differences `values` are. It tells a spread from rounding: without
    it, differences of 1e-7 between losses near 1 would pass for a sample with a spread of 1e-16.

    >>> found = one_sample([0.1, 0.2, 0.15])
    >>> round(found.p_greater, 3), round(found.p_less, 3)
    (0.018, 0.982)
    """
    sample = _finite(values)
    interval = t_interval(sample)
    if interval.n < 2:
        return MeanTest(interval.n, interval.mean, None, None, None, None)
    assert interval.sd is not None
    assert interval.mean is not None
    rounding = ROUNDING * max(float(np.abs(sample).max()), abs(threshold), scale)
    if interval.sd <= rounding:
        p = 1.0 if abs(interval.mean - threshold) <= rounding else None
        return MeanTest(interval.n, interval.mean, None, None, p, p)
    # Not SciPy's `ttest_1samp`: it knows no rounding, and its p-values and intervals are these but for the last bit.
    statistic = (interval.mean - threshold) / (interval.sd / math.sqrt(interval.n))
    greater, less = (float(scipy.special.stdtr(interval.n - 1, side * statistic)) for side in (-1, 1))
    return MeanTest(interval.n, interval.mean, interval.low, interval.high, greater, less)


def _finite(values: ArrayLike) -> Floats:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not np.isfinite(sample).all():
        raise ValueError(f"expected a flat list of finite numbers, not {values!r}")
    return sample


def fieller(pair: Floats, covariance: Floats, t: float) -> tuple[float | None, float | None]:
    """Interval of the ratio of two means: all r for which numerator - r · denominator is within `t` standard errors.

    Fieller 1954, Journal of the Royal Statistical Society B 16, 175-185. The upper end is None where the denominator
    cannot be told apart from zero, and the lower end too where the numerator cannot either.

    Args:
        pair: numerator and denominator, both above zero in estimate, shape (2,).
        covariance: of these two estimates, shape (2, 2).
        t: quantile, of Student's t say.

    >>> low, high = fieller(np.array([8.0, 2.0]), np.array([[0.4, 0.0], [0.0, 0.01]]), 2.0)
    >>> round(low, 2), round(high, 2)
    (3.29, 4.79)
    """
    top, bottom = (float(value) for value in pair)
    # (top - r bottom)² <= t² Var(top - r bottom), that is a r² - 2 b r + c <= 0.
    c, b, a = (np.array([top**2, top * bottom, bottom**2]) - t**2 * covariance[[0, 0, 1], [0, 1, 1]]).tolist()
    root = math.sqrt(max(b * b - a * c, 0.0))
    if a > 0:
        return (b - root) / a, (b + root) / a
    return (c / (b + root), None) if c > 0 else (None, None)
