"""The parts of a claim: one comparison each, with two one-sided p-values.

Every part has an effect, oriented so that the statement says it is above zero, and a margin d >= 0, the smallest effect
that counts. Two hypotheses are tested:

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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from batchscope.analysis.best import label
from batchscope.claims.contrasts import contrast
from batchscope.claims.samples import NotMeasuredError, Samples, Size, Wanted
from batchscope.stats.estimates import NO_SPREAD, ONE, Estimate


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


def goal_of(direction: str, margin: float) -> Goal:
    """What a direction (`lower`, `higher`, `not_lower` or `similar`) says of one thing minus another."""
    goals = {
        "lower": Goal("below", 0.0, margin),
        "higher": Goal("above", 0.0, margin),
        "not_lower": Goal("above", -margin),  # no worse by more than the margin
        "similar": Goal("within", 0.0, margin),
    }
    return goals[direction]


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


def several(found: Samples, wanted: Wanted) -> list[Size]:
    """The sizes that a claim names, at least two; else `NotMeasuredError`."""
    sizes = found.chosen(wanted)
    if len({size[0] for size in sizes}) < 2:
        raise NotMeasuredError("the study has fewer than two of the batch sizes")
    return sizes


def refuse_twins(pairs: Sequence[tuple[Size, Size]]) -> None:
    """`full` and `smallest` may turn out to be the size they are compared with."""
    for first, second in pairs:
        if first == second:
            raise NotMeasuredError(f"the study has only batch size {label(*first)} where two are compared")
