"""The best of several batch sizes by the mean over seeds, and which others cannot be told apart from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope import text
from batchscope.stats import ALPHA
from batchscope.stats.families import adjusted
from batchscope.stats.intervals import ROUNDING, Interval, paired_test, t_interval, welch_test
from batchscope.tables.cells import Size, labels, of_size, sizes_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """The size with the best mean and how the others stand to it.

    `together` cannot be told apart from it; `apart` is worse; `untested` could not be tested, for want of seeds or of
    spread; `open` did not finish, and its bound does not rule it out; `missing` lacks the value of a run. `sizes` are
    all of them, smallest first.
    """

    best: Size
    interval: Interval
    together: tuple[Size, ...]
    apart: tuple[Size, ...]
    untested: tuple[Size, ...]
    open: tuple[Size, ...]
    missing: tuple[Size, ...]
    sizes: tuple[Size, ...]
    means: Mapping[Size, float]
    paired: bool

    @property
    def equal(self) -> tuple[Size, ...]:
        """Sizes other than `best` that have its mean, beyond rounding: none of them is the one to name."""
        rounding = ROUNDING * max(abs(mean) for mean in self.means.values())
        near = (size for size, mean in self.means.items() if abs(mean - self.means[self.best]) <= rounding)
        return tuple(sorted(size for size in near if size != self.best))

    @property
    def rivals(self) -> tuple[Size, ...]:
        """Sizes other than `best` that may be as good or better."""
        return tuple(sorted({*self.together, *self.untested, *self.open, *self.missing}))

    @property
    def decided(self) -> bool:
        """Whether there were other sizes and none of them is left that may be better."""
        return len(self.sizes) > 1 and not self.rivals

    def scaled(self, factor: float) -> Choice:
        """The same in another unit."""
        found = self.interval
        parts = (found.mean, found.low, found.high, found.sd)
        interval = Interval(found.n, *(None if part is None else part * factor for part in parts))
        return replace(self, interval=interval, means={size: mean * factor for size, mean in self.means.items()})


@dataclass(frozen=True)
class Answer:
    """A row of the table `advice` without its identity; `choice` is what it was made from, if a comparison."""

    size: Size | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    rivals: tuple[Size, ...] = ()
    decided: bool = False
    words: str = ""
    about: str = ""
    choice: Choice | None = None

    def saying(self, sentence: str) -> Answer:
        """The same with one sentence more."""
        return replace(self, words=f"{self.words} {sentence}")

    def warning(self, of: str) -> Answer:
        """The same with a warning of what it rests on; of an empty one, as it is."""
        return self.saying(f"{of}.") if of else self

    def row(self) -> dict[str, Any]:
        """The columns of the table."""
        return {
            "batch_size": self.size[0] if self.size else None,
            "full_batch": self.size[1] if self.size else None,
            "value": self.value,
            "ci_low": self.low,
            "ci_high": self.high,
            "unit": self.unit,
            "not_told_apart": labels(self.rivals),
            "decided": self.decided,
            "words": self.words,
            "about": self.about,
        }


@dataclass(frozen=True)
class _Rules:
    """How two sizes are told apart besides the test."""

    sign: float
    slack: Mapping[Size, tuple[float, float]]
    exact: bool
    paired: bool


def choose(
    values: Mapping[Size, pd.Series[float]],
    bounds: Mapping[Size, pd.Series[float]] | None = None,
    *,
    slack: Mapping[Size, tuple[float, float]] | None = None,
    highest: bool = False,
    exact: bool = False,
    paired: bool = True,
) -> Choice | None:
    """The size with the lowest (or `highest`) mean of `values` (by seed), compared with every other.

    Two-sided paired t-tests over the seeds. The best is chosen by the values that it is tested on, so the p-values of
    all pairs of sizes that may be the best, and of those with `bounds`, are adjusted together (Holm). Without `paired`
    runs of one seed have nothing in common, and Welch's t-test takes their place. Sizes that lack a value are never the
    best; None where no size is whole.

    Args:
        values: by seed, per size.
        bounds: the same for sizes whose values are at least these (runs that ended before they got there). They are
            never the best, and are worse only where even the bounds are told apart as worse.
        slack: factors (low, high) between which all values of a size may be off together; sizes are told apart where
            they are even with those that bring them closest.
        highest: whether more is better.
        exact: values are no samples: sizes that differ by one amount at every seed, two or more, are told apart.
        paired: whether runs of one seed share something.
    """
    bounds = dict(bounds or {})
    seeds = sorted({seed for found in (*values.values(), *bounds.values()) for seed in found.index}) if paired else None
    full = {size: found for size in values if (found := _complete(values[size], seeds)) is not None}
    if not full:
        return None
    rules = _Rules(-1.0 if highest else 1.0, slack or {}, exact, paired)
    best = min(full, key=lambda size: rules.sign * float(full[size].mean()))
    limited = {size: found for size in bounds if (found := _complete(bounds[size], seeds)) is not None}
    worse = _worse(best, full, limited, rules)
    others = [size for size in full if size != best]
    return Choice(
        best=best,
        interval=_known_to(t_interval(full[best]), *rules.slack.get(best, (1.0, 1.0))),
        together=tuple(sorted(size for size in others if worse[size] is False)),
        apart=tuple(sorted(size for size in worse if worse[size])),
        untested=tuple(sorted(size for size in others if worse[size] is None)),
        open=tuple(sorted(size for size in bounds if not worse.get(size))),
        missing=tuple(sorted(size for size in values if size not in full)),
        sizes=tuple(sorted({*values, *bounds})),
        means={size: float(found.mean()) for size, found in full.items()},
        paired=paired,
    )


def _known_to(interval: Interval, low: float, high: float) -> Interval:
    """The interval with what all values may be off together."""
    ends = [None if end is None else end * by for end, by in ((interval.low, low), (interval.high, high))]
    return replace(interval, low=ends[0], high=ends[1])


def _complete(found: pd.Series[float], seeds: Sequence[int] | None) -> Floats | None:
    ordered = found if seeds is None else found.reindex(list(seeds))
    values: Floats = np.asarray(ordered.to_numpy(np.float64, na_value=np.nan))
    return values if len(values) and np.isfinite(values).all() else None


def _worse(
    best: Size, full: Mapping[Size, Floats], limited: Mapping[Size, Floats], rules: _Rules
) -> dict[Size, bool | None]:
    """Per size other than `best` whether it is told apart as worse; None where it cannot be tested."""
    values = {**full, **limited}
    pairs_of_sizes = [*combinations(full, 2), *product(full, limited)]
    p_values = adjusted(
        {two: _p(*_closest(two, values, rules.slack), paired=rules.paired, exact=rules.exact) for two in pairs_of_sizes}
    )
    verdicts: dict[Size, bool | None] = {}
    for size in values:
        if size != best:
            p = p_values.get((size, best), p_values.get((best, size)))
            verdicts[size] = None if p is None else p <= ALPHA and _in_order(size, best, values, rules)
    return verdicts


def _closest(
    two: tuple[Size, Size], values: Mapping[Size, Floats], slack: Mapping[Size, tuple[float, float]]
) -> tuple[Floats, Floats]:
    """The values of two sizes, as close as their slack allows: the same where it makes up for their difference."""
    less, more = sorted(two, key=lambda size: float(values[size].mean()))
    low, high = values[less] * slack.get(less, (1.0, 1.0))[1], values[more] * slack.get(more, (1.0, 1.0))[0]
    return (low, high) if high.mean() > low.mean() or not slack else (low, low)


def _p(one: Floats, other: Floats, *, paired: bool, exact: bool = False) -> float | None:
    p = (paired_test if paired else welch_test)(one, other).p
    return 0.0 if p is None and paired and exact and len(one) > 1 else p


def may_be_equal(one: pd.Series[float], other: pd.Series[float], *, paired: bool) -> bool:
    """Whether a test of these two alone does not tell them apart: of sizes compared with many others, those that fail
    only after the adjustment are no equals.
    """
    seeds = sorted(one.index) if paired else None
    first, second = _complete(one, seeds), _complete(other, seeds)
    if first is None or second is None:
        return False
    p = _p(first, second, paired=paired)
    return p is not None and p > ALPHA


def _in_order(size: Size, best: Size, values: Mapping[Size, Floats], rules: _Rules) -> bool:
    return rules.sign * (float(values[size].mean()) - float(values[best].mean())) > 0


def in_words(choice: Choice, unit: str, superlative: str, times: str) -> Answer:
    """The sentences on a choice: "Batch size 128 has the lowest mean time ...", and which sizes are no worse.

    `times` ("times as long") compares the mean of the nearest worse size; "" leaves ratios out.
    """
    seeds = text.count(choice.interval.n, "seed" if choice.paired else "run")
    first, alone, mean = sorted({choice.best, *choice.equal}), not choice.equal, choice.interval.mean
    low, high = (choice.interval.low, choice.interval.high) if alone else (None, None)
    have = f"Batch size {choice.best.label} has" if alone else f"{span(first, choice.sizes)} share"
    sentences = [f"{have} {superlative}: {text.measured(mean, low, high, unit)} over {seeds}."]
    together, untested = (
        [size for size in sizes if size not in choice.equal] for sizes in (choice.together, choice.untested)
    )
    which = "it" if alone else "them"
    if together:
        are = "is" if len(together) == 1 else "are"
        sentences.append(
            f"{span(together, choice.sizes)} {are} not significantly different from {which}, which does not make them "
            "equal."
        )
    if untested:
        why = "one run is no test" if choice.interval.n < 2 else "all runs differ by the same amount"
        sentences.append(f"{span(untested, choice.sizes)} could not be tested against {which}: {why}.")
    if choice.missing:
        sentences.append(
            f"Not every run of {span(choice.missing, choice.sizes)} has a value, so nothing is said about "
            f"{'it' if len(choice.missing) == 1 else 'them'}."
        )
    apart = [size for size in choice.apart if size in choice.means]
    if choice.decided:
        sentences.append("All other sizes are significantly worse.")
    if apart and times:
        nearest = min(apart, key=lambda size: choice.means[size])
        if choice.means[choice.best]:
            ratio = choice.means[nearest] / choice.means[choice.best]
            digits = text.fixed(ratio, 2) if ratio < 1.05 else text.ratio(ratio)  # two would say 1.0
            sentences.append(f"Of the significantly worse sizes the nearest is {nearest.label}: {digits} {times}.")
    if len(choice.sizes) == 1:
        sentences.append("There is no other size to compare it with.")
    return Answer(
        size=choice.best if alone else None,
        value=mean,
        low=low,
        high=high,
        unit=unit,
        rivals=choice.rivals if alone else tuple(sorted({*first, *choice.rivals})),
        decided=choice.decided,
        words=" ".join(sentences),
        choice=choice,
    )


def span(chosen: Sequence[Size], among: Sequence[Size]) -> str:
    """`8, 32 and 128`; three or more that are neighbours `among` all sizes are one range: `16 to 128`."""
    order = sorted({*among, *chosen})
    parts: list[list[Size]] = []
    for size in sorted(chosen):
        if parts and order.index(size) == order.index(parts[-1][-1]) + 1:
            parts[-1].append(size)
        else:
            parts.append([size])
    words: list[str] = []
    for part in parts:
        labels = [size.label for size in part]
        words += [f"{labels[0]} to {labels[-1]}"] if len(part) > 2 else labels
    return text.listing(words)


def per_seed(runs: pd.DataFrame, column: str) -> dict[Size, pd.Series[float]]:
    """`column` by seed for every size, null for runs that did not end ok; empty where no run has a value."""
    found = {}
    for size in sizes_of(runs):
        rows = of_size(runs, size).set_index("seed")
        found[size] = rows[column].astype("float64").where(rows["outcome"] == "ok")
    return found if any(values.notna().any() for values in found.values()) else {}
