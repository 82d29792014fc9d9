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
from typing import Any

import pandas as pd

from batchscope.claims import scope, words
from batchscope.claims.definitions import Claim, resolved
from batchscope.claims.findings import Evidence, Finding
from batchscope.claims.parts import Part, contradict, support
from batchscope.claims.samples import NotMeasuredError, Tables
from batchscope.claims.scope import Pair
from batchscope.stats import ALPHA
from batchscope.stats.families import holm
from batchscope.tables.codebook import dtypes
from batchscope.text import count

Sides = tuple[float | None, float | None]  # one-sided p for a statement and against it

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NOT_MEASURED = "not measured"

VERDICTS = dtypes("verdicts")


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


def verdicts(tables: Tables, study: Mapping[str, Any]) -> pd.DataFrame:
    """The verdict on every selected claim for every data set and recipe that meets its scope.

    Args:
        tables: the tables of the study, by name; those that a claim needs and that are not there leave it not measured.
        study: `Study.describe()`; used are datasets, recipes (resolved, by name; empty for measurements made elsewhere)
            and claims (resolved, by name, in order).

    Returns:
        The columns of `VERDICTS`. `effect` with its 95 % interval (not adjusted) is that of the part that decides: of
        several comparisons the weakest for the statement, or the strongest against it; of a test by ratio it is the
        ratio, and of a value or a critical size the value itself. `p` is two-sided, `p_adjusted` adjusted for the
        family; both are null where nothing was tested. `detectable` is the smallest mean difference that as many seeds
        would find with 80 % power at the level of the first test of the family. A claim that applies nowhere has one
        row without data set and recipe.
    """
    pairs = _pairs(tables)
    claims = resolved(study["claims"])
    rows = [row for name, claim in claims.items() for row in _rows(name, claim, pairs, tables, study)]
    decisions: dict[int, Decision] = {}
    tests: dict[str, int] = {}
    for family in dict.fromkeys(row.claim.family for row in rows):
        found = {i: row.sides for i, row in enumerate(rows) if row.claim.family == family}
        tested = {i: sides for i, sides in found.items() if sides is not None}
        decisions |= dict(zip(tested, decide(list(tested.values())), strict=True))
        tests[family] = len(tested)
    content = [
        _content(row, decisions.get(i) or _untested(row), tests[row.claim.family], study) for i, row in enumerate(rows)
    ]
    return pd.DataFrame(content, columns=list(VERDICTS)).astype(VERDICTS)


def _untested(row: _Row) -> Decision:
    if row.finding is None:
        return Decision(NOT_MEASURED)
    if row.finding.counted is not None:
        return Decision(SUPPORTED if row.finding.counted else CONTRADICTED)
    return Decision(UNDECIDED)


def _pairs(tables: Tables) -> list[Pair]:
    """Data sets and recipes, in the order of the study."""
    found: dict[Pair, None] = {}
    for name in ("runs", "timings", "to_target", "critical_batch_size"):
        if name in tables:
            found |= dict.fromkeys(zip(tables[name]["dataset"], tables[name]["recipe"], strict=True))
    return list(found)


def _rows(name: str, claim: Claim, pairs: Sequence[Pair], tables: Tables, study: Mapping[str, Any]) -> Iterator[_Row]:
    fitting = [pair for pair in pairs if scope.fits(claim, pair, study)]
    for pair in fitting:
        try:
            yield _Row(name, claim, pair, claim.test.find(claim, Evidence(pair, pairs, tables, study)))
        except NotMeasuredError as error:
            yield _Row(name, claim, pair, None, str(error))
    if not fitting:
        yield _Row(name, claim, None, None, _nowhere(claim, study))


def _nowhere(claim: Claim, study: Mapping[str, Any]) -> str:
    wanted = scope.wanted(claim)
    if not study["recipes"]:
        return f"measured elsewhere, so that it is not known whether this applies: {wanted}"
    return f"nothing in the study meets its conditions: {wanted}"


def _content(row: _Row, decision: Decision, tests: int, study: Mapping[str, Any]) -> dict[str, Any]:
    claim, finding, pair = row.claim, row.finding, row.pair or (None, None)
    content: dict[str, Any] = {
        "claim": row.name,
        "statement": claim.statement,
        "source": claim.source,
        "margin": claim.margin,
        "dataset": pair[0],
        "recipe": pair[1],
        "verdict": decision.verdict,
        "figure": claim.figure or "",
        "unit": "",
        "budget": scope.budget(study["recipes"].get(pair[1])) if row.pair else "",
        "scope": scope.described(row.pair, study) if row.pair else claim.scope.words() or "any",
        "measured": "",
        "reason": row.reason,
    }
    if finding is None:
        return content
    content |= {"n": finding.n, "unit": finding.unit, "p": decision.p, "p_adjusted": decision.p_adjusted}
    repeated = "" if finding.of == "sizes" else count(finding.n, finding.of.removesuffix("s"))
    content["scope"] = "; ".join(filter(None, [content["scope"], scope.sizes_in_words(finding.sizes), repeated]))
    content["measured"] = finding.numbers
    part = _deciding(finding.parts, decision.verdict)
    if part is not None and part.estimate is not None:
        bounds = {"effect": part.estimate.value, "ci_low": part.estimate.low, "ci_high": part.estimate.high}
        content |= {name: words.shown(value, finding.log) for name, value in bounds.items()}
        content["unit"] = words.kind_of_bound(part.estimate) or finding.unit
        if not claim.test.is_near:  # of being near to something, the distance from zero says nothing
            content["detectable"] = words.shown(words.detectable(part.estimate, tests), finding.log)
        content["measured"] += f"; {words.effect(part, finding.unit, finding.of, finding.log)}"
    if decision.smaller:
        content["measured"] += f"; there, but smaller than what counts ({claim.margin:g})"
    if decision.verdict == UNDECIDED:
        content["reason"] = words.undecided(finding.parts, decision.p, decision.p_adjusted, tests)
    return content


def _deciding(parts: Sequence[Part], verdict: str) -> Part | None:
    """The part that a verdict rests on: the strongest against the statement, or else the weakest for it."""
    known = [part for part in parts if part.estimate is not None]
    if verdict == CONTRADICTED:
        return min(known, key=lambda part: 2.0 if part.contradict is None else part.contradict, default=None)
    return max(known, key=lambda part: 2.0 if part.support is None else part.support, default=None)
