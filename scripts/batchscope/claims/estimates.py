"""Estimates of an effect from samples, each with its 95 % interval and its test against any threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from batchscope.analysis.best import label
from batchscope.analysis.rates import weighted_ends
from batchscope.claims.samples import Fitted, Samples, Size
from batchscope.stats import CONFIDENCE
from batchscope.stats.intervals import ROUNDING, one_sample

Test = Callable[[float], tuple[float | None, float | None]]  # threshold -> p of "above it", p of "below it"


@dataclass(frozen=True)
class Estimate:
    """An effect with its 95 % interval (None where there is none), and the test of it against any threshold.

    All numbers are on the scale of the test: logarithms where ratios are tested. `sd` is that of paired differences
    over `n` seeds, None for other samples. `ends` are given where the effect is only known to lie between two numbers
    (None on a side without one): `value` is then half-way, or the one that is known.
    """

    n: int
    value: float
    low: float | None
    high: float | None
    sd: float | None
    test: Test
    ends: tuple[float | None, float | None] | None = None


def contrast(found: Samples, weights: Mapping[Size, float], *, log: bool = False) -> Estimate | str:
    """The weighted sum of the values (or their logarithms) at several sizes, or the reason why there is none.

    Paired samples give one sum per seed and a t-test over seeds. Others give a sum of means, whose variance is the sum
    of the squared weights times s²/n, with Welch and Satterthwaite's degrees of freedom.
    """
    for size in weights:
        if size in found.problems:
            return f"batch size {label(*size)}: {found.problems[size]}"
    values = {size: found.values[size] for size in weights}
    if log:
        if min(float(each.min()) for each in values.values()) <= 0:
            return "a value is not above zero, so there is no ratio"
        values = {size: np.log(each) for size, each in values.items()}
    if found.paired:
        total = sum((weight * values[size] for size, weight in weights.items()), np.zeros(len(found.seeds)))
        return over_seeds(total, largest(*values.values()) * max(abs(weight) for weight in weights.values()))
    return _welch([values[size] for size in weights], list(weights.values()))


def over_seeds(values: NDArray[np.float64], scale: float) -> Estimate:
    """The mean of one value per seed; `scale` is the largest of the numbers they come from, to know rounding by."""
    interval = one_sample(values, scale=scale)

    def test(threshold: float) -> tuple[float | None, float | None]:
        against = one_sample(values, threshold, scale=scale)
        return against.p_greater, against.p_less

    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    return Estimate(len(values), float(values.mean()), interval.low, interval.high, sd, test)


def largest(*values: NDArray[np.float64]) -> float:
    """The largest absolute value."""
    return max(float(np.abs(each).max()) for each in values)


def _welch(groups: Sequence[NDArray[np.float64]], weights: Sequence[float]) -> Estimate:
    n = min(len(group) for group in groups)
    value = float(sum(weight * group.mean() for weight, group in zip(weights, groups, strict=True)))
    if n < 2:
        return Estimate(n, value, None, None, None, lambda _: (None, None))
    shares = [weight**2 * group.var(ddof=1) / len(group) for weight, group in zip(weights, groups, strict=True)]
    error = math.sqrt(sum(shares))
    if error <= ROUNDING * largest(*groups):
        return Estimate(n, value, None, None, None, lambda _: (None, None))
    freedom = error**4 / sum(share**2 / (len(group) - 1) for share, group in zip(shares, groups, strict=True))
    return student(n, value, error, freedom)


def student(n: int, value: float, error: float, freedom: float) -> Estimate:
    """An estimate whose distance from the truth, in standard errors, is Student's t."""
    half = float(special.stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error

    def test(threshold: float) -> tuple[float | None, float | None]:
        t = (value - threshold) / error
        return float(special.stdtr(freedom, -t)), float(special.stdtr(freedom, t))

    return Estimate(n, value, value - half, value + half, None, test)


def of_fit(fitted: Fitted) -> Estimate:
    """The estimate of a fit, tested by Student's t.

    The half of its interval that faces the threshold gives the standard error, so that test and interval agree also
    where the interval is not symmetric.
    """
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, fitted.freedom))

    def test(threshold: float) -> tuple[float | None, float | None]:
        half = fitted.value - fitted.low if threshold < fitted.value else fitted.high - fitted.value
        if half <= 0:
            return None, None
        t = (fitted.value - threshold) / half * quantile
        return float(stats.t.sf(t, fitted.freedom)), float(stats.t.cdf(t, fitted.freedom))

    return Estimate(fitted.freedom + 2, fitted.value, fitted.low, fitted.high, None, test)


def between(found: Samples, weights: Mapping[Size, float]) -> Estimate | str:
    """The weighted sum of the logarithms of paired values, some only known to lie between two ends.

    Each side is tested with the ends that favour it least, and the interval reaches from that of the lowest sum to that
    of the highest; a side on which an end is open has neither. Where both are, a reason.
    """
    ends = [found.bounds.get(size) or (found.values[size], found.values[size]) for size in weights]
    with np.errstate(divide="ignore"):
        logs = np.log(np.array(ends))
    w = np.array(list(weights.values()))
    scale = largest(logs[np.isfinite(logs)]) * largest(w)
    sums = weighted_ends(w, logs[:, 0], logs[:, 1])
    lowest, highest = (over_seeds(each, scale) if np.isfinite(each).all() else None for each in sums)
    least, low = (lowest.value, lowest.low) if lowest else (None, None)
    most, high = (highest.value, highest.high) if highest else (None, None)
    known = [each for each in (least, most) if each is not None]
    if not known:
        return "the rates tried bound the slope on neither side"

    def test(threshold: float) -> tuple[float | None, float | None]:
        above = lowest.test(threshold)[0] if lowest else None
        return above, highest.test(threshold)[1] if highest else None

    return Estimate(len(found.seeds), sum(known) / len(known), low, high, None, test, (least, most))


def slope_weights(sizes: Sequence[Size], base: float) -> dict[Size, float]:
    """Weights whose sum with the values is the least-squares slope on the logarithm of the batch size."""
    x = np.log([float(size[0]) for size in sizes]) / math.log(base)
    x -= x.mean()
    return dict(zip(sizes, (x / (x @ x)).tolist(), strict=True))
