"""Estimates of an effect, each with its 95 % interval and its test against any threshold.

Effects are on the scale of the test: logarithms where ratios are tested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from batchscope.stats import CONFIDENCE
from batchscope.stats.intervals import ROUNDING, one_sample, t_quantile
from batchscope.stats.trends import page_trend

Test = Callable[[float], tuple[float | None, float | None]]  # threshold -> p of "above it", p of "below it"

Variance = tuple[float, float]  # with its degrees of freedom, infinite where it is known

KNOWN = 1e6  # degrees of freedom at which Student's t is normal
ONE = "one repetition gives no spread to test with"
ON_A_LINE = "two sizes with one value each always lie on a line, so there is no scatter to test with"
NO_SPREAD = "every repetition gives the same, so there is no spread to test with"


@dataclass(frozen=True)
class Estimate:
    """An effect with its 95 % interval (None where there is none), and the test of it against any threshold.

    `sd` is that of paired differences over `n` seeds, None for other samples. `ends` are given where the effect is only
    known to lie between two numbers (None on a side without one): `value` is then half-way, or the one that is known.
    """

    n: int
    value: float
    low: float | None
    high: float | None
    sd: float | None
    test: Test
    ends: tuple[float | None, float | None] | None = None

    @property
    def untestable(self) -> str:
        """Why it cannot be tested, where it cannot."""
        return ONE if self.n < 2 else NO_SPREAD


def over_seeds(values: NDArray[np.float64], scale: float) -> Estimate:
    """The mean of one value per seed; `scale` is the largest of the numbers they come from, to know rounding by.

    >>> found = over_seeds(np.array([0.1, 0.3, 0.2]), 1.0)
    >>> found.n, round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (3, 0.2, -0.048, 0.448)
    >>> [round(p, 3) for p in found.test(0.0)]
    [0.037, 0.963]
    """
    interval = one_sample(values, scale=scale)

    def test(threshold: float) -> tuple[float | None, float | None]:
        against = one_sample(values, threshold, scale=scale)
        return against.p_greater, against.p_less

    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    return Estimate(len(values), float(values.mean()), interval.low, interval.high, sd, test)


def welch(groups: Sequence[NDArray[np.float64]], weights: Sequence[float]) -> Estimate:
    """The weighted sum of the means of independent groups, with Welch and Satterthwaite's degrees of freedom.

    >>> found = welch([np.array([1.0, 2.0, 3.0]), np.array([4.0, 6.0, 8.0])], [1.0, -1.0])
    >>> found.value, round(found.test(0.0)[1], 4)
    (-4.0, 0.0274)
    """
    n = min(len(group) for group in groups)
    value = float(sum(weight * group.mean() for weight, group in zip(weights, groups, strict=True)))
    if n < 2:
        return untested(n, value)
    shares = [weight**2 * group.var(ddof=1) / len(group) for weight, group in zip(weights, groups, strict=True)]
    error = math.sqrt(sum(shares))
    if error <= ROUNDING * largest(*groups):
        return untested(n, value)
    return of_variances(n, value, [(share, len(group) - 1) for share, group in zip(shares, groups, strict=True)])


def of_variances(n: int, value: float, variances: Sequence[Variance]) -> Estimate:
    """A value whose variance is the sum of several, with Welch and Satterthwaite's degrees of freedom.

    >>> found = of_variances(5, 1.0, [(0.04, 4), (0.05, math.inf)])
    >>> round(found.low, 3), round(found.high, 3)
    (0.375, 1.625)
    """
    error = math.sqrt(sum(variance for variance, _ in variances))
    lost = sum(variance**2 / freedom for variance, freedom in variances)
    return _student(n, value, error, min(error**4 / lost, KNOWN) if lost else KNOWN)


def regression(y: NDArray[np.float64], weights: NDArray[np.float64], slope: float) -> Estimate:
    """A slope over points with one value each, with the scatter about the straight line as the only error.

    A curve counts as scatter, and widens the interval.

    Args:
        y: values, shape (points,).
        weights: those whose sum with `y` is the slope, shape (points,).
        slope: by least squares.
    """
    freedom, steps = len(y) - 2, weights / (weights @ weights)
    rest = y - y.mean() - slope * steps
    error = math.sqrt(float(rest @ rest) / freedom * float(weights @ weights)) if freedom > 0 else 0.0
    if error <= ROUNDING * largest(y) * largest(weights):
        return untested(len(y), slope)
    return _student(len(y), slope, error, freedom)


def by_ranks(estimate: Estimate, table: NDArray[np.float64]) -> Estimate:
    """The same effect, tested by ranks alone, for values without a spread (a rank test cannot know a margin).

    Page's test over several repetitions; Kendall's exact test where there is one. Values that are all the same have no
    order to test.

    Args:
        estimate: the effect.
        table: values in the order of the sizes, shape (sizes, repetitions), of three sizes or more.
    """
    if np.ptp(table) <= ROUNDING * largest(table):
        return untested(estimate.n, estimate.value)
    if table.shape[1] > 1:
        rises, falls = page_trend(table), page_trend(table[::-1])
    else:
        order = np.arange(len(table))
        rises, falls = (
            float(scipy.stats.kendalltau(order, table[:, 0], alternative=side).pvalue) for side in ("greater", "less")
        )
    return Estimate(estimate.n, estimate.value, None, None, None, lambda _: (rises, falls))


def of_fit(n: int, value: float, low: float, high: float, freedom: int) -> Estimate:
    """A number that a fit with `freedom` degrees of freedom gives with its 95 % interval, tested by Student's t.

    The half of the interval that faces the threshold gives the standard error, so that test and interval agree also
    where the interval is not symmetric; a half of no length gives no test.

    >>> found = of_fit(7, 1.0, 0.5, 2.0, 5)
    >>> [round(p, 3) for p in (*found.test(0.5), *found.test(2.0))]
    [0.025, 0.975, 0.975, 0.025]
    """
    return _facing(n, value, low, high, freedom, lambda distance, half, quantile: distance / half * quantile)


def of_bootstrap(n: int, value: float, low: float, high: float, freedom: int) -> Estimate:
    """As `of_fit`, for an interval whose half over the quantile is a standard error: equal to it but for rounding."""
    return _facing(n, value, low, high, freedom, lambda distance, half, quantile: distance / (half / quantile))


def untested(n: int, value: float) -> Estimate:
    """An effect without a spread to judge it by."""
    return Estimate(n, value, None, None, None, lambda _: (None, None))


def largest(*values: NDArray[np.float64]) -> float:
    """The largest absolute value."""
    return max(float(np.abs(each).max()) for each in values)


def _student(n: int, value: float, error: float, freedom: float) -> Estimate:
    """An estimate whose distance from the truth, in standard errors, is Student's t."""
    half = float(scipy.special.stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error

    def test(threshold: float) -> tuple[float | None, float | None]:
        t = (value - threshold) / error
        return float(scipy.special.stdtr(freedom, -t)), float(scipy.special.stdtr(freedom, t))

    return Estimate(n, value, value - half, value + half, None, test)


def _facing(
    n: int, value: float, low: float, high: float, freedom: int, statistic: Callable[[float, float, float], float]
) -> Estimate:
    """An estimate tested by the half of its interval that faces the threshold."""
    quantile = t_quantile(freedom + 1)

    def test(threshold: float) -> tuple[float | None, float | None]:
        half = value - low if threshold < value else high - value
        if half <= 0:
            return None, None
        t = statistic(value - threshold, half, quantile)
        return float(scipy.special.stdtr(freedom, -t)), float(scipy.special.stdtr(freedom, t))

    return Estimate(n, value, low, high, None, test)
