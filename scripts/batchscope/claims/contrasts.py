"""From the values of a metric at several batch sizes to estimates: differences, trends, powers, spreads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from batchscope.analysis.best import label
from batchscope.analysis.rates import weighted_ends
from batchscope.claims.samples import Samples, Size
from batchscope.stats.estimates import (
    NO_SPREAD,
    ON_A_LINE,
    ONE,
    Estimate,
    by_ranks,
    largest,
    over_seeds,
    regression,
    welch,
)
from batchscope.stats.intervals import ROUNDING
from batchscope.stats.spread import spread_test
from batchscope.stats.trends import slopes

_NO_RATIO = "a value is not above zero, so there is no ratio"


def contrast(found: Samples, weights: Mapping[Size, float], *, log: bool = False) -> Estimate | str:
    """The weighted sum of the values (or their logarithms) at several sizes, or the reason why there is none.

    Paired samples give one sum per seed and a t-test over seeds. Others give a sum of means, whose variance is the sum
    of the squared weights times s²/n, with Welch and Satterthwaite's degrees of freedom.
    """
    for size in weights:
        if size in found.problems:
            return _problem(found, size)
    values = {size: found.values[size] for size in weights}
    if log:
        if min(float(each.min()) for each in values.values()) <= 0:
            return _NO_RATIO
        values = {size: np.log(each) for size, each in values.items()}
    if found.paired:
        total = sum((weight * values[size] for size, weight in weights.items()), np.zeros(len(found.seeds)))
        return over_seeds(total, largest(*values.values()) * max(abs(weight) for weight in weights.values()))
    return welch([values[size] for size in weights], list(weights.values()))


def apart(found: Samples, other: Samples, size: Size, name: str, *, log: bool) -> Estimate | str:
    """The values at one size minus (or divided by) those of the recipe `name`, seed by seed."""
    for each in (found, other):
        if size in each.problems:
            return _problem(each, size)
    if found.seeds != other.seeds:
        return f"{name} was not run with the same seeds"
    first, second = found.values[size], other.values[size]
    if log and min(first.min(), second.min()) <= 0:
        return _NO_RATIO
    if log:
        first, second = np.log(first), np.log(second)
    return over_seeds(first - second, largest(first, second))


def trend(found: Samples, sizes: Sequence[Size], *, log: bool) -> Estimate | str:
    """The slope of the values (or their logarithms) per doubling of the batch size.

    Of one value per size, the scatter about the straight line is the only error. Values without a spread are tested by
    their ranks alone, which cannot know a margin.
    """
    if found.of == "sizes" and len(sizes) < 3:
        return ON_A_LINE
    weights = slope_weights(sizes, 2)
    estimate = contrast(found, weights, log=log)
    if isinstance(estimate, str):
        return estimate
    if found.of == "sizes":
        y = np.array([found.values[size][0] for size in sizes])
        estimate = regression(np.log(y) if log else y, np.array(list(weights.values())), estimate.value)
    repeated = found.paired and len(found.seeds) > 1
    if estimate.test(0.0) == (None, None) and len(sizes) > 2 and (repeated or found.of == "sizes"):
        estimate = by_ranks(estimate, np.array([found.values[size] for size in sizes]))
    return estimate


def along(found: Samples, other: Samples, sizes: Sequence[Size], *, log: bool) -> Estimate | str:
    """The slope of the values (or their logarithms) per doubling of another metric, over the sizes of each seed."""
    for each in (found, other):
        for size in sizes:
            if size not in each.values:
                return _problem(each, size)
    y, x = (np.array([each.values[size] for size in sizes]) for each in (found, other))
    if x.min() <= 0 or (log and y.min() <= 0) or y.shape != x.shape:
        return "a value is not above zero, so it has no logarithm"
    x = np.log2(x)
    if np.ptp(x, axis=0).min() <= ROUNDING * largest(x):
        return "the other metric is the same at all sizes of a seed"
    y = np.log(y) if log else y
    return over_seeds(slopes(y, x), largest(y) / float(np.ptp(x, axis=0).min()))


def power(found: Samples, sizes: Sequence[Size]) -> Estimate | str:
    """The slope of the logarithm of the values on that of the batch size; between two ends where values are."""
    weights = slope_weights(sizes, math.e)
    if any(size in found.bounds for size in sizes) and all(
        size in found.values or size in found.bounds for size in sizes
    ):
        return between(found, weights)
    return contrast(found, weights, log=True)


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


def spread(found: Samples, one: Size, other: Size) -> Estimate | str:
    """The logarithm of the ratio of two standard deviations over the same seeds."""
    for size in (one, other):
        if size in found.problems:
            return _problem(found, size)
    first, second = found.values[one], found.values[other]
    whole = spread_test(first, second)
    if whole.log_ratio is None:
        return ONE if len(first) < 2 else NO_SPREAD

    def test(threshold: float) -> tuple[float | None, float | None]:
        against = spread_test(first, math.exp(threshold) * second)
        return against.p_greater, against.p_less

    return Estimate(whole.n, whole.log_ratio, whole.low, whole.high, None, test)


def slope_weights(sizes: Sequence[Size], base: float) -> dict[Size, float]:
    """Weights whose sum with the values is the least-squares slope on the logarithm of the batch size."""
    x = np.log([float(size[0]) for size in sizes]) / math.log(base)
    x -= x.mean()
    return dict(zip(sizes, (x / (x @ x)).tolist(), strict=True))


def _problem(found: Samples, size: Size) -> str:
    return f"batch size {label(*size)}: {found.problems.get(size, 'not measured')}"
