"""The kinds of test: each turns a claim and its samples into parts, and each part into two one-sided p-values.

Every part has an effect, oriented here so that the statement says it is above zero, and a margin d >= 0, the smallest
effect that counts. Two hypotheses are tested:

- support rejects "effect <= 0" (or "effect <= the number that the statement names");
- contradict rejects "effect >= d": what is left is less than what counts, or the opposite.

For statements of nearness ("similar", "equals") support rejects "the distance is at least d" (two one-sided tests,
Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657-680), and contradict rejects "the distance is at most d" to either
side, at twice the smaller p.

A statement with several parts is supported when every part is, so its p is the largest (an intersection-union test,
Berger 1982, Technometrics 24, 295-300: no correction is needed); it is contradicted when any part is, so its p is the
smallest times the number of parts (Bonferroni). A part that cannot be tested, since a run of it diverged, say, leaves
the whole without support, and contradiction to the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from scipy import stats

from batchscope.analysis.best import label
from batchscope.claims.estimates import Estimate, between, contrast, largest, of_fit, over_seeds, slope_weights, student
from batchscope.claims.samples import NotMeasuredError, Samples, Size
from batchscope.stats.intervals import ROUNDING
from batchscope.stats.spread import spread_test
from batchscope.stats.trends import page_trend, slopes

ONE = "one repetition gives no spread to test with"
ON_A_LINE = "two sizes with one value each always lie on a line, so there is no scatter to test with"
NO_SPREAD = "every repetition gives the same, so there is no spread to test with"


@dataclass(frozen=True)
class Goal:
    """What the statement says of an effect: that it is above, below or within `margin` of `at`."""

    relation: Literal["above", "below", "within"]
    at: float = 0.0
    margin: float = 0.0


@dataclass(frozen=True)
class Part:
    """One comparison of a claim: what it is in words, its estimate (or the reason why there is none) and p-values."""

    words: str
    estimate: Estimate | None
    support: float | None = None
    contradict: float | None = None
    reason: str = ""


def parts(claim: Mapping[str, Any], found: Samples) -> list[Part]:
    """The parts of a claim on the sizes of one data set and recipe: every kind but count, critical and arms.

    Raises:
        NotMeasuredError: where the study lacks a size that the claim names, or has too few.
    """
    return _KINDS[claim["test"]["kind"]](claim, found)


def support(found: Sequence[Part]) -> float | None:
    """The p-value of the whole statement: the largest of the parts, None where one could not be tested."""
    known = [part.support for part in found if part.support is not None]
    return max(known) if known and len(known) == len(found) else None


def contradict(found: Sequence[Part]) -> float | None:
    """The p-value against the whole statement: the smallest of the parts times their number."""
    known = [part.contradict for part in found if part.contradict is not None]
    return min(1.0, len(found) * min(known)) if known else None


def judge(words: str, estimate: Estimate | str, goal: Goal) -> Part:
    """The two one-sided p-values of an estimate (or the reason why there is none)."""
    if isinstance(estimate, str):
        return Part(words, None, reason=estimate)
    at, margin, test = goal.at, goal.margin, estimate.test
    if goal.relation == "above":
        found = test(at)[0], test(at + margin)[1]
    elif goal.relation == "below":
        found = test(at)[1], test(at - margin)[0]
    else:
        (above_low, below_low), (above_high, below_high) = test(at - margin), test(at + margin)
        near = None if above_low is None or below_high is None else max(above_low, below_high)
        sides = [side for side in (below_low, above_high) if side is not None]
        far = min(1.0, 2 * min(sides)) if sides else None
        found = near, far
    reason = "" if None not in found else ONE if estimate.n < 2 else NO_SPREAD
    return Part(words, estimate, *found, reason)


def difference(found: Samples, first: Size, second: Size, goal: Goal, *, log: bool) -> Part:
    """The metric at one size minus (or divided by) that at another."""
    words = f"{label(*first)} {'/' if log else '−'} {label(*second)}"
    return judge(words, contrast(found, {first: 1.0, second: -1.0}, log=log), goal)


def scaled(claim: Mapping[str, Any]) -> tuple[bool, float]:
    """Whether a claim compares by ratio, and its margin on the scale of the test."""
    log = claim["test"].get("scale") == "factor"
    margin = claim["margin"] or 0.0
    return log, math.log(margin) if log else margin


def _extreme(claim: Mapping[str, Any], found: Samples) -> list[Part]:
    log, margin = scaled(claim)
    chosen = found.size(claim["test"]["batch_size"])
    rivals = [size for size in found.chosen(claim["test"]["among"]) if size != chosen]
    if not rivals:
        raise NotMeasuredError("the study has no second batch size to compare with")
    goal = Goal("below" if claim["test"]["kind"] == "lowest" else "above", 0.0, margin)
    return [difference(found, chosen, rival, goal, log=log) for rival in rivals]


def _order(claim: Mapping[str, Any], found: Samples) -> list[Part]:
    log, margin = scaled(claim)
    goals = {
        "lower": Goal("below", 0.0, margin),
        "higher": Goal("above", 0.0, margin),
        "not_lower": Goal("above", -margin),  # no worse by more than the margin
    }
    goal = goals[claim["test"]["kind"]]
    ours, theirs = (found.chosen(claim["test"][key]) for key in ("batch_sizes", "than"))
    _refuse_twins([(one, other) for one in ours for other in theirs])
    return [difference(found, one, other, goal, log=log) for one in ours for other in theirs]


def _ratio(claim: Mapping[str, Any], found: Samples) -> list[Part]:
    pairs = [(found.size(first), found.size(second)) for first, second in claim["test"]["pairs"]]
    _refuse_twins(pairs)
    goal = Goal("above", math.log(claim["test"]["at_least"]))
    return [difference(found, first, second, goal, log=True) for first, second in pairs]


def _value(claim: Mapping[str, Any], found: Samples) -> list[Part]:
    test, size = claim["test"], found.size(claim["test"]["batch_size"])
    if "between" in test:
        low, high = test["between"]
        goal = Goal("within", (low + high) / 2, (high - low) / 2)
    else:
        goal = Goal("above", test["at_least"]) if "at_least" in test else Goal("below", test["at_most"])
    estimate = of_fit(found.fitted[size]) if size in found.fitted else contrast(found, {size: 1.0})
    return [judge(f"at {label(*size)}", estimate, goal)]


def _trend(claim: Mapping[str, Any], found: Samples) -> list[Part]:
    log, margin = scaled(claim)
    sizes = _several(found, claim)
    goal = Goal("below" if claim["test"]["kind"] == "falls" else "above", 0.0, margin)
    if found.of == "sizes" and len(sizes) < 3:
        return [judge(_change(log), ON_A_LINE, goal)]
    weights = slope_weights(sizes, 2)
    estimate = contrast(found, weights, log=log)
    if isinstance(estimate, Estimate):
        if found.of == "sizes":
            estimate = _regression(found, weights, estimate.value, log)
        if estimate.test(0.0) == (None, None):
            estimate = _by_ranks(found, sizes, estimate)
    return [judge(_change(log), estimate, goal)]


def _change(log: bool) -> str:
    return "factor per doubling" if log else "change per doubling"


def _regression(found: Samples, weights: Mapping[Size, float], slope: float, log: bool) -> Estimate:
    """The slope over sizes with one value each, with the scatter about the straight line as the only error.

    A curve counts as scatter, and widens the interval.
    """
    y = np.array([found.values[size][0] for size in weights])
    y = np.log(y) if log else y
    w = np.array(list(weights.values()))
    freedom, steps = len(y) - 2, w / (w @ w)
    rest = y - y.mean() - slope * steps
    error = math.sqrt(float(rest @ rest) / freedom * float(w @ w)) if freedom > 0 else 0.0
    if error <= ROUNDING * largest(y) * largest(w):
        return Estimate(len(y), slope, None, None, None, lambda _: (None, None))
    return student(len(y), slope, error, freedom)


def _by_ranks(found: Samples, sizes: Sequence[Size], estimate: Estimate) -> Estimate:
    """The same effect, tested by ranks alone, for values without a spread (a rank test cannot know a margin).

    Page's test for several seeds of three or more sizes; for one value per size, Kendall's exact test.
    """
    table = np.array([found.values[size] for size in sizes])
    if found.paired and table.shape[1] > 1 and len(sizes) > 2:
        rises, falls = page_trend(table), page_trend(table[::-1])
    elif found.of == "sizes" and len(sizes) > 2:
        order = np.arange(len(sizes))
        rises, falls = (
            float(stats.kendalltau(order, table[:, 0], alternative=side).pvalue) for side in ("greater", "less")
        )
    else:
        return estimate
    return Estimate(estimate.n, estimate.value, None, None, None, lambda _: (rises, falls))


def along(claim: Mapping[str, Any], found: Samples, other: Samples) -> list[Part]:
    """The parts of falls and rises with a key `along`: the trend on log `other`, over the sizes of each seed."""
    log, margin = scaled(claim)
    sizes = _several(found, claim)
    goal = Goal("below" if claim["test"]["kind"] == "falls" else "above", 0.0, margin)
    for each in (found, other):
        for size in sizes:
            if size not in each.values:
                problem = each.problems.get(size, "not measured")
                return [judge(_change(log), f"batch size {label(*size)}: {problem}", goal)]
    y, x = (np.array([each.values[size] for size in sizes]) for each in (found, other))
    if x.min() <= 0 or (log and y.min() <= 0) or y.shape != x.shape:
        return [judge(_change(log), "a value is not above zero, so it has no logarithm", goal)]
    x = np.log2(x)
    if np.ptp(x, axis=0).min() <= ROUNDING * largest(x):
        return [judge(_change(log), "the other metric is the same at all sizes of a seed", goal)]
    y = np.log(y) if log else y
    return [judge(_change(log), over_seeds(slopes(y, x), largest(y) / float(np.ptp(x, axis=0).min())), goal)]


def _slope(claim: Mapping[str, Any], found: Samples) -> list[Part]:
    sizes = _several(found, claim)
    goal = Goal("within", claim["test"]["equals"], claim["margin"])
    weights = slope_weights(sizes, math.e)
    bounded = any(size in found.bounds for size in sizes)
    whole = all(size in found.values or size in found.bounds for size in sizes)
    estimate = between(found, weights) if bounded and whole else contrast(found, weights, log=True)
    return [judge("log-log slope", estimate, goal)]


def _similar(claim: Mapping[str, Any], found: Samples) -> list[Part]:
    log, margin = scaled(claim)
    goal = Goal("within", 0.0, margin)
    return [difference(found, *two, goal, log=log) for two in combinations(_several(found, claim), 2)]


def _more_spread(claim: Mapping[str, Any], found: Samples) -> list[Part]:
    if not found.paired:
        raise NotMeasuredError("the runs of the sizes are not paired, which the test of their spread needs")
    one, others = found.size(claim["test"]["batch_size"]), found.chosen(claim["test"]["than"])
    _refuse_twins([(one, other) for other in others])
    goal = Goal("above", 0.0, math.log(claim["margin"]))
    return [judge(f"sd {label(*one)} / {label(*other)}", _spread(found, one, other), goal) for other in others]


def _spread(found: Samples, one: Size, other: Size) -> Estimate | str:
    for size in (one, other):
        if size in found.problems:
            return f"batch size {label(*size)}: {found.problems[size]}"
    first, second = found.values[one], found.values[other]
    whole = spread_test(first, second)
    if whole.log_ratio is None:
        return ONE if len(first) < 2 else NO_SPREAD

    def test(threshold: float) -> tuple[float | None, float | None]:
        against = spread_test(first, math.exp(threshold) * second)
        return against.p_greater, against.p_less

    return Estimate(whole.n, whole.log_ratio, whole.low, whole.high, None, test)


def _several(found: Samples, claim: Mapping[str, Any]) -> list[Size]:
    sizes = found.chosen(claim["test"]["batch_sizes"])
    if len({size[0] for size in sizes}) < 2:
        raise NotMeasuredError("the study has fewer than two of the batch sizes")
    return sizes


def _refuse_twins(pairs: Sequence[tuple[Size, Size]]) -> None:
    """`full` and `smallest` may turn out to be the size they are compared with."""
    for first, second in pairs:
        if first == second:
            raise NotMeasuredError(f"the study has only batch size {label(*first)} where two are compared")


_KINDS: dict[str, Callable[[Mapping[str, Any], Samples], list[Part]]] = {
    "lowest": _extreme,
    "highest": _extreme,
    "lower": _order,
    "higher": _order,
    "not_lower": _order,
    "falls": _trend,
    "rises": _trend,
    "ratio": _ratio,
    "value": _value,
    "more_spread": _more_spread,
    "slope": _slope,
    "similar": _similar,
}
