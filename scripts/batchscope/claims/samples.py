"""The numbers that a claim is about, those of a metric per batch size over seeds or timed windows, and what they give.

Estimates are differences, trends, powers and ratios of spreads; where the values give none, the reason stands for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from batchscope.analysis.rates import weighted_ends
from batchscope.claims.parts import NotMeasuredError
from batchscope.stats import estimates
from batchscope.stats.estimates import Estimate, largest, over_seeds
from batchscope.stats.intervals import ROUNDING
from batchscope.stats.spread import spread_test
from batchscope.stats.times import Time
from batchscope.stats.trends import slopes
from batchscope.tables.cells import Size

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """The values of a metric for one data set and recipe.

    Attributes:
        values: by size, smallest first, those of every repetition; where `paired`, in the order of `seeds`.
        problems: by size, why it has no usable values; a size is in `values` or here.
        paired: whether the sizes share their repetitions, so that differences are taken seed by seed.
        of: what the values are repeated over, in words.
        seeds: the seeds, empty where the values are not paired.
        note: what else a reader must know of the metric, such as the target.
        warning: what may have disturbed the values; empty for nothing.
        remarks: by size, what else a reader must know of its values.
        fitted: by size, its estimate, where the value is what a fit over all sizes gives there.
        times: by size, the time that one job measured, by which all its values are multiplied, so that its error is
            theirs together; of values that are not times, none.
        bounds: by size, the two ends that each value lies between (0 and infinity where it has none) where that is all
            that is known, so that the size is among the problems.
    """

    values: dict[Size, Values]
    problems: dict[Size, str]
    paired: bool
    of: str
    seeds: tuple[int, ...] = ()
    note: str = ""
    warning: str = ""
    remarks: Mapping[Size, str] = field(default_factory=dict)
    fitted: Mapping[Size, Estimate] = field(default_factory=dict)
    times: Mapping[Size, Time] = field(default_factory=dict)
    bounds: Mapping[Size, tuple[Values, Values]] = field(default_factory=dict)

    @property
    def sizes(self) -> list[Size]:
        """Every size of the data set and recipe, smallest first."""
        return sorted([*self.values, *self.problems])

    def size(self, wanted: int | str) -> Size:
        """The size that a claim names: a number, `full`, `smallest` or `largest`; else `NotMeasuredError`."""
        found = self.sizes
        if wanted in ("smallest", "largest"):
            return found[0] if wanted == "smallest" else found[-1]
        matching = [size for size in found if (size[1] if wanted == "full" else size[0] == wanted)]
        if not matching:
            what = "full batch" if wanted == "full" else f"batch size {wanted:,}"
            raise NotMeasuredError(f"the study has no {what}")
        return matching[0]

    def chosen(self, wanted: Sequence[int | str] | str) -> list[Size]:
        """The sizes of a list, or those of the study for `all`, in ascending order."""
        return self.sizes if isinstance(wanted, str) else sorted({self.size(each) for each in wanted})

    def several(self, wanted: Sequence[int | str] | str) -> list[Size]:
        """The sizes of a list, or those of the study, at least two; else `NotMeasuredError`."""
        sizes = self.chosen(wanted)
        if len({size[0] for size in sizes}) < 2:
            raise NotMeasuredError("the study has fewer than two of the batch sizes")
        return sizes

    def fewest(self, sizes: Iterable[Size]) -> int:
        """The fewest repetitions behind the values at some sizes."""
        if self.fitted:
            return min(estimate.n for estimate in self.fitted.values())
        repeated = [
            self.times[size].windows if self._alone(size) else len(self.values[size])
            for size in sizes
            if size in self.values
        ]
        return len(repeated) if self.of == "sizes" else min(repeated, default=0)

    def contrast(self, weights: Mapping[Size, float], *, log: bool = False) -> Estimate | str:
        """The weighted sum of the values (or their logarithms) at several sizes."""
        problem = self._problem(weights)
        return problem or self._combined([self._sample(size) for size in weights], list(weights.values()), log)

    def apart(self, other: Samples, size: Size, name: str, *, log: bool) -> Estimate | str:
        """The values at one size minus (or divided by) those of the recipe `name`, seed by seed."""
        if problem := self._problem([size]) or other._problem([size]):
            return problem
        if self.seeds != other.seeds:
            return f"{name} was not run with the same seeds"
        return self._combined([self._sample(size), other._sample(size)], [1.0, -1.0], log)

    def trend(self, sizes: Sequence[Size], *, log: bool) -> Estimate | str:
        """The slope of the values (or their logarithms) per doubling of the batch size.

        Of one value per size, the scatter about the straight line is the only error. Values without a spread are tested
        by their ranks alone, which cannot know a margin.
        """
        alone = self.of == "sizes"
        if alone and len(sizes) < 3:
            return estimates.ON_A_LINE
        weights = slope_weights(sizes, 2)
        estimate = self.contrast(weights, log=log)
        if isinstance(estimate, str):
            return estimate
        if alone:
            y = np.array([self.values[size][0] for size in sizes])
            estimate = estimates.regression(np.log(y) if log else y, np.array(list(weights.values())), estimate.value)
        repeated = self.paired and len(self.seeds) > 1
        if estimate.test(0.0) == (None, None) and len(sizes) > 2 and (repeated or alone):
            estimate = estimates.by_ranks(estimate, np.array([self.values[size] for size in sizes]))
        return estimate

    def along(self, other: Samples, sizes: Sequence[Size], *, log: bool) -> Estimate | str:
        """The slope of the values (or their logarithms) per doubling of another metric, over the sizes of each seed."""
        if problem := self._problem(sizes) or other._problem(sizes):
            return problem
        y, x = (np.array([each.values[size] for size in sizes]) for each in (self, other))
        if x.min() <= 0 or (log and y.min() <= 0) or y.shape != x.shape:
            return "a value is not above zero, so it has no logarithm"
        x = np.log2(x)
        if np.ptp(x, axis=0).min() <= ROUNDING * largest(x):
            return "the other metric is the same at all sizes of a seed"
        y = np.log(y) if log else y
        found = over_seeds(slopes(y, x), largest(y) / float(np.ptp(x, axis=0).min()))
        deviations = x - x.mean(axis=0)
        weights = ((np.ones_like(y) if log else y) * deviations / (deviations**2).sum(axis=0)).mean(axis=1)
        return _with_times(found, [self.times.get(size) for size in sizes], weights.tolist())

    def power(self, sizes: Sequence[Size]) -> Estimate | str:
        """The slope of the logarithm of the values on that of the batch size; between two ends where values are."""
        weights = slope_weights(sizes, math.e)
        bounded = any(size in self.bounds for size in sizes)
        if bounded and all(size in self.values or size in self.bounds for size in sizes):
            return self._between(weights)
        return self.contrast(weights, log=True)

    def spread(self, one: Size, other: Size) -> Estimate | str:
        """The logarithm of the ratio of two standard deviations over the same seeds."""
        if problem := self._problem([one, other]):
            return problem
        first, second = self.values[one], self.values[other]
        whole = spread_test(first, second)
        if whole.log_ratio is None:
            return estimates.ONE if len(first) < 2 else estimates.NO_SPREAD

        def test(threshold: float) -> tuple[float | None, float | None]:
            against = spread_test(first, math.exp(threshold) * second)
            return against.p_greater, against.p_less

        return Estimate(whole.n, whole.log_ratio, whole.low, whole.high, None, test)

    def _problem(self, sizes: Iterable[Size]) -> str:
        """Why the first of some sizes that has no values has none; empty where all have."""
        lacking = (size for size in sizes if size not in self.values)
        return next((f"batch size {size.label}: {self.problems.get(size, 'not measured')}" for size in lacking), "")

    def _sample(self, size: Size) -> tuple[Values, Time | None]:
        """The values at a size, and the time that is a factor of all of them."""
        return self.values[size], self.times.get(size)

    def _alone(self, size: Size) -> bool:
        """Whether the only value of a size is its time, so that its error is all there is."""
        return not self.paired and size in self.times

    def _combined(
        self, samples: Sequence[tuple[Values, Time | None]], weights: Sequence[float], log: bool
    ) -> Estimate | str:
        """A weighted sum of values, or of their logarithms.

        Paired samples give one sum per seed and a t-test over seeds. Others give a sum of means, whose variance is the
        sum of the squared weights times s²/n, with Welch and Satterthwaite's degrees of freedom. The errors of times
        are added, each once.
        """
        values, times = [each for each, _ in samples], [time for _, time in samples]
        if log and min(float(each.min()) for each in values) <= 0:
            return "a value is not above zero, so there is no ratio"
        parts = [weight * (1.0 if log else float(each.mean())) for weight, each in zip(weights, values, strict=True)]
        values = [np.log(each) for each in values] if log else values
        if self.paired:
            total = sum((w * each for w, each in zip(weights, values, strict=True)), np.zeros(len(self.seeds)))
            return _with_times(over_seeds(total, largest(*values) * max(map(abs, weights))), times, parts)
        if known := [time for time in times if time is not None]:
            value = sum(weight * float(each[0]) for weight, each in zip(weights, values, strict=True))
            alone = estimates.untested(min(time.windows for time in known), value)
            return _with_times(alone, times, parts)
        return estimates.welch(values, weights)

    def _between(self, weights: Mapping[Size, float]) -> Estimate | str:
        """The weighted sum of the logarithms of paired values, some only known to lie between two ends.

        Each side is tested with the ends that favour it least, and the interval reaches from that of the lowest sum to
        that of the highest; a side on which an end is open has neither. Where both are, a reason.
        """
        ends = [self.bounds.get(size) or (self.values[size], self.values[size]) for size in weights]
        with np.errstate(divide="ignore"):
            logs = np.log(np.array(ends))
        w = np.array(list(weights.values()))
        scale = largest(logs[np.isfinite(logs)]) * largest(w)
        sums = weighted_ends(w, logs[:, 0], logs[:, 1])
        lowest, highest = (over_seeds(each, scale) if np.isfinite(each).all() else None for each in sums)
        known = [each.value for each in (lowest, highest) if each]
        if not known:
            return "the rates tried bound the slope on neither side"

        def test(threshold: float) -> tuple[float | None, float | None]:
            above = lowest.test(threshold)[0] if lowest else None
            return above, highest.test(threshold)[1] if highest else None

        low, high = lowest.low if lowest else None, highest.high if highest else None
        reach = lowest.value if lowest else None, highest.value if highest else None
        return Estimate(len(self.seeds), sum(known) / len(known), low, high, None, test, reach)


def _with_times(found: Estimate, times: Sequence[Time | None], weights: Sequence[float]) -> Estimate:
    """An estimate with the error of the times that are in it, each with its weights on their logarithms.

    A time that stands in it twice, as where two recipes share a timing, has one error. One repetition stays untested.
    """
    shares: dict[Time, float] = {}
    for time, weight in zip(times, weights, strict=True):
        if time is not None:
            shares[time] = shares.get(time, 0.0) + weight
    if not shares or found.n < 2:
        return found
    spread = [(found.sd**2 / found.n, found.n - 1)] if found.sd else []
    errors = [
        (weight**2 * variance, freedom) for time, weight in shares.items() for variance, freedom in time.variances
    ]
    return estimates.of_variances(found.n, found.value, [*spread, *errors]) if any(shares.values()) else found


def slope_weights(sizes: Sequence[Size], base: float) -> dict[Size, float]:
    """Weights whose sum with the values is the least-squares slope on the logarithm of the batch size."""
    x = np.log([float(size[0]) for size in sizes]) / math.log(base)
    x -= x.mean()
    return dict(zip(sizes, (x / (x @ x)).tolist(), strict=True))
