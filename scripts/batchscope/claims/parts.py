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

Nothing here imports numpy, since the kinds of test, which a dry run reads, are written with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from batchscope.tables.cells import Size

if TYPE_CHECKING:
    from batchscope.claims.samples import Samples
    from batchscope.stats.estimates import Estimate

Effect = tuple[str, "Estimate | str"]  # what it is in words, and its estimate or the reason why there is none


class NotMeasuredError(Exception):
    """What a claim is about was not measured; the text says why."""


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


@dataclass(frozen=True)
class Finding:
    """What a study says about a claim on one data set and recipe.

    Attributes:
        parts: the comparisons, empty where the claim is decided by counting.
        of: what the values are repeated over.
        n: how many of them there are at each size; the fewest.
        sizes: the batch sizes that the verdict is about.
        numbers: the values at these sizes, in words.
        counted: whether everything that was counted is as stated; None for a claim that is tested.
    """

    parts: Sequence[Part]
    of: str
    n: int
    sizes: Sequence[Size]
    numbers: str
    counted: bool | None = None


def goal_of(direction: str, margin: float) -> Goal:
    """What a direction says of one thing minus another, or of a slope."""
    goals = {
        "lower": Goal("below", 0.0, margin),
        "falls": Goal("below", 0.0, margin),
        "higher": Goal("above", 0.0, margin),
        "rises": Goal("above", 0.0, margin),
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
        found = near, min(1.0, 2 * min(sides)) if sides else None
    return Part(words, estimate, *found, estimate.untestable if None in found else "")


def difference(found: Samples, first: Size, second: Size, *, log: bool) -> Effect:
    """The metric at one size minus (or divided by) that at another; raise `NotMeasuredError` where both are one."""
    refuse_twins(first, second)
    words = f"{first.label} {'/' if log else '−'} {second.label}"
    return words, found.contrast({first: 1.0, second: -1.0}, log=log)


def refuse_twins(first: Size, second: Size) -> None:
    """`full` and `smallest` may turn out to be the size they are compared with."""
    if first == second:
        raise NotMeasuredError(f"the study has only batch size {first.label} where two are compared")
