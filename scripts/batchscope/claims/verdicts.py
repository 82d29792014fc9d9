"""The table `verdicts`: one row per claim and data set and recipe that it applies to.

A row has two one-sided p-values (see `parts`): one for the statement, which rejects that there is no effect, and one
against it, which rejects that there is an effect that counts. Both of every row of a family are adjusted together by
Holm's method, 2 m hypotheses for m rows; where the adjusted p is at most `ALPHA` the hypothesis is rejected. A verdict
is wrong only if a true hypothesis was rejected, and Holm's bound on the chance that any is, `ALPHA`, holds whatever the
dependence: rows of one study share runs, and the two sides of a row exclude each other. For a single row the adjusted p
is twice the one-sided p, the two-sided p that goes with its 95 % interval.

A row whose statement is rejected is contradicted, also where an effect in its direction is shown beside that: then it
is there but smaller than what counts, and `measured` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from batchscope.claims import scope, words
from batchscope.claims.definitions import Claim
from batchscope.claims.parts import Finding, NotMeasuredError, Part, contradict, support
from batchscope.claims.readers import Evidence, Tables
from batchscope.claims.scope import Design
from batchscope.stats import ALPHA
from batchscope.stats.estimates import Estimate
from batchscope.stats.families import holm
from batchscope.stats.power import detectable_effect
from batchscope.tables import codebook
from batchscope.tables.cells import Pair, of_pair, pairs
from batchscope.tables.metrics import METRICS
from batchscope.text import count, number

Sides = tuple[float | None, float | None]  # one-sided p for a statement and against it

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NOT_MEASURED = "not measured"
_ELSEWHERE = {"seeds": "runs", "tuning seeds": "repetitions"}  # what runs made elsewhere are over
_WITH_PAIRS = ("runs", "timings", "to_target", "critical_batch_size")  # tables that name what a study is about


@dataclass(frozen=True)
class Decision:
    """A verdict with its two-sided p and its p adjusted for the family, both None where nothing was tested."""

    verdict: str
    p: float | None = None
    p_adjusted: float | None = None
    smaller: bool = False  # an effect in the direction of the statement is shown, and that it is below the margin


@dataclass(frozen=True)
class _Row:
    """A claim on one data set and recipe (None where it applies to none), before its family is known."""

    name: str
    claim: Claim
    pair: Pair | None
    finding: Finding | None
    reason: str = ""

    @property
    def sides(self) -> Sides | None:
        """The two p-values; None where nothing was tested."""
        if self.finding is None:
            return None
        sides = support(self.finding.parts), contradict(self.finding.parts)
        return None if sides == (None, None) else sides


def decide(family: Sequence[Sides]) -> list[Decision]:
    """The decisions on the tested rows of a family, each given by its p for and its p against the statement.

    A side that could not be tested (None) counts as one that rejects nothing.
    """
    one_sided = [1.0 if side is None else side for sides in family for side in sides]
    # Holm's last steps would let a p adjusted for two sides below the two-sided p.
    adjusted = [max(p, min(1.0, 2 * side)) for p, side in zip(holm(one_sided), one_sided, strict=True)]
    rows = zip(one_sided[::2], one_sided[1::2], adjusted[::2], adjusted[1::2], strict=True)
    return [_decision(*row) for row in rows]


def _decision(for_it: float, against: float, for_adjusted: float, against_adjusted: float) -> Decision:
    if against_adjusted <= ALPHA:
        return Decision(CONTRADICTED, min(1.0, 2 * against), against_adjusted, for_adjusted <= ALPHA)
    if for_adjusted <= ALPHA:
        return Decision(SUPPORTED, min(1.0, 2 * for_it), for_adjusted)
    return Decision(UNDECIDED, min(1.0, 2 * min(for_it, against)), min(for_adjusted, against_adjusted))


def verdicts(tables: Tables, claims: Mapping[str, Claim], design: Design, *, paired: bool = True) -> pd.DataFrame:
    """The verdict on every selected claim for every data set and recipe that meets its scope.

    Args:
        tables: the tables of the study, by name; those that a claim needs and that are not there leave it not measured.
        claims: by name, in order.
        design: the data sets and recipes of the study; empty for measurements made elsewhere.
        paired: whether runs of one seed share what it decides.

    Returns:
        The table `verdicts`. `effect` with its 95 % interval (not adjusted) is that of the part that decides: of
        several comparisons the weakest for the statement, or the strongest against it; of a test by ratio it is the
        ratio, and of a value or a critical size the value itself. `p` is two-sided, `p_adjusted` adjusted for the
        family; both are null where nothing was tested. `detectable` is the smallest mean difference that as many seeds
        would find with 80 % power at the level of the first test of the family. A claim that applies nowhere has one
        row without data set and recipe.
    """
    measured = list(dict.fromkeys(pair for name in _WITH_PAIRS if name in tables for pair in pairs(tables[name])))
    every = [Evidence(tables, pair, measured, design, paired=paired) for pair in measured]
    rows = [row for name, claim in claims.items() for row in _rows(name, claim, every, design)]
    decisions: dict[int, Decision] = {}
    tests: dict[str, int] = {}
    for family in dict.fromkeys(row.claim.family for row in rows):
        found = {i: row.sides for i, row in enumerate(rows) if row.claim.family == family}
        tested = {i: sides for i, sides in found.items() if sides is not None}
        decisions |= dict(zip(tested, decide(list(tested.values())), strict=True))
        tests[family] = len(tested)
    decided = [decisions.get(i) or _untested(row) for i, row in enumerate(rows)]
    budgets = {pair: _budget(tables, pair, design) for pair in measured}
    content = [
        _content(row, made, tests[row.claim.family], design, budgets) for row, made in zip(rows, decided, strict=True)
    ]
    return codebook.frame("verdicts", content)


def _budget(tables: Tables, pair: Pair, design: Design) -> str:
    """What the runs of a data set and recipe were given; empty where a table made elsewhere does not say it."""
    if pair[1] in design.recipes:
        return design.budget(pair[1])
    found = of_pair(tables["to_target"], pair) if "to_target" in tables else None
    if found is None or not (found["budget_epochs"] > found["epochs"].fillna(0)).any():
        return ""  # without a column that says it, the budget of a run ends at its target
    return f"followed for up to {number(float(found['budget_epochs'].max()))} epochs"


def _untested(row: _Row) -> Decision:
    if row.finding is None:
        return Decision(NOT_MEASURED)
    if row.finding.counted is not None:
        return Decision(SUPPORTED if row.finding.counted else CONTRADICTED)
    return Decision(UNDECIDED)


def _rows(name: str, claim: Claim, every: Sequence[Evidence], design: Design) -> Iterator[_Row]:
    fitting = [evidence for evidence in every if design.fits(claim, evidence.pair)]
    for evidence in fitting:
        try:
            yield _Row(name, claim, evidence.pair, claim.test.find(claim, evidence))
        except NotMeasuredError as error:
            yield _Row(name, claim, evidence.pair, None, str(error))
    if not fitting:
        here = "nothing in the study meets its conditions"
        why = here if design.recipes else "measured elsewhere, so that it is not known whether this applies"
        yield _Row(name, claim, None, None, f"{why}: {scope.wanted(claim)}")


def _content(
    row: _Row, decision: Decision, tests: int, design: Design, budgets: Mapping[Pair, str]
) -> dict[str, object]:
    claim, finding, pair = row.claim, row.finding, row.pair
    content: dict[str, object] = {
        "claim": row.name,
        "statement": claim.statement,
        "source": claim.source,
        "margin": claim.margin,
        "verdict": decision.verdict,
        "figure": claim.figure or "",
        "unit": "",
        "budget": budgets[pair] if pair else "",
        "scope": design.described(pair) if pair else claim.scope.words() or "any",
        "measured": "",
        "reason": row.reason,
    }
    if pair:
        content |= {"dataset": pair[0], "recipe": pair[1]}
    if finding is None:
        return content
    log, unit = claim.test.log, claim.test.unit(METRICS[claim.metric])
    of = _ELSEWHERE.get(finding.of, finding.of) if pair and pair[1] not in design.recipes else finding.of
    repeated = "" if of == "sizes" else count(finding.n, of.removesuffix("s"))
    parts = [str(content["scope"]), scope.sizes_in_words(finding.sizes), repeated]
    content |= {"n": finding.n, "unit": unit, "p": decision.p, "p_adjusted": decision.p_adjusted}
    content["scope"] = "; ".join(filter(None, parts))
    measured = [finding.numbers]
    part = _deciding(finding.parts, decision.verdict)
    if part is not None and part.estimate is not None:
        bounds = {"effect": part.estimate.value, "ci_low": part.estimate.low, "ci_high": part.estimate.high}
        content |= {name: words.shown(value, log) for name, value in bounds.items()}
        content["unit"] = words.kind_of_bound(part.estimate) or unit
        if not claim.test.is_near:  # of being near to something, the distance from zero says nothing
            content["detectable"] = words.shown(_detectable(part.estimate, tests), log)
        measured.append(words.effect(part, unit, of, log))
    if decision.smaller:
        measured.append(f"there, but smaller than what counts ({claim.margin:g})")
    if decision.verdict == UNDECIDED:
        content["reason"] = words.undecided(finding.parts, decision.p, decision.p_adjusted, tests)
    return {**content, "measured": "; ".join(measured)}


def _deciding(parts: Sequence[Part], verdict: str) -> Part | None:
    """The part that a verdict rests on: the strongest against the statement, or else the weakest for it."""
    known = [part for part in parts if part.estimate is not None]
    if verdict == CONTRADICTED:
        return min(known, key=lambda part: 2.0 if part.contradict is None else part.contradict, default=None)
    return max(known, key=lambda part: 2.0 if part.support is None else part.support, default=None)


def _detectable(estimate: Estimate, tests: int) -> float | None:
    """The smallest mean difference that as many seeds would find with 80 % power, as the first of so many tests.

    None where nothing was tested: also where values differ by less than the rounding of the margin.
    """
    if not tests or estimate.sd is None or estimate.sd == 0 or estimate.n < 2 or estimate.low is None:
        return None
    return detectable_effect(estimate.sd, estimate.n, ALPHA / tests)
