"""What every kind of test and every metric of claims owes: verdicts of all sorts, and readers for what it is about."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
from fake_claims import LOSS, NOISE, Tables, around, between, by_size, claim, critical, recipe, runs, trend, verdict
from pydantic import Field

from batchscope.claims import kinds
from batchscope.claims.definitions import Claim
from batchscope.claims.kinds.kind import Kind, Named
from batchscope.claims.parts import Effect, Goal, difference
from batchscope.claims.readers import READERS, Evidence
from batchscope.claims.samples import Samples
from batchscope.tables.metrics import METRICS, Metric

ACCURACY = "last_test_accuracy"
Example = tuple[Claim, Tables, dict[str, Any]]


def over(*means: float, metric: str = LOSS) -> Tables:
    return {"runs": runs(metric, by_size(*means))}


def scattered(factor: float) -> Tables:
    """Seeds that differ `factor` times as much at 1 as at 32."""
    other = np.array([0.3, -0.2, 0.9, 0.1, -1.1])
    scale = factor * other.std() / NOISE.std()
    return {"runs": runs(ACCURACY, {1: 0.5 + 0.001 * scale * NOISE, 32: 0.5 + 0.001 * other})}


def two_recipes(ordered: float, shuffled: float) -> tuple[Tables, dict[str, Any]]:
    first, second = around(ordered, shuffled)
    table = pd.concat([runs(ACCURACY, {32: second}), runs(ACCURACY, {32: first}, pair=("digits", "ordered"))])
    return {"runs": table}, {"recipes": (recipe(), recipe("ordered", shuffle=False))}


def counted(updates: int) -> Claim:
    cases = [{"examples": 54000, "batch_size": 512, "updates": updates}]
    return claim("updates_per_epoch", {"kind": "count", "cases": cases})


LOWER = claim(LOSS, between("lower", [32], "others"), 0.01)
BARELY_LOWER = claim(LOSS, between("lower", [32], "others"), 0.001)
RATIO = claim(LOSS, {"kind": "ratio", "pairs": [[8, 32]], "at_least": 2})
FALLS = claim(LOSS, trend("falls"), 0.01)
HALF = claim(LOSS, {"kind": "slope", "equals": -0.5}, 0.1)
VALUE = claim(LOSS, {"kind": "value", "batch_size": 32, "at_least": 0.71})
SPREAD = claim(ACCURACY, {"kind": "spread", "batch_size": 1, "than": [32]}, 1.25)
CRITICAL = claim("critical_batch_size", {"kind": "critical", "equals": 128}, 2)
ARMS = claim(ACCURACY, {"kind": "recipes", "key": "shuffle", "first": False, "second": True, "direction": "lower"}, 0.1)

# By kind and verdict: the effect that the numbers have, and what gives it.
EXAMPLES: dict[str, dict[str, tuple[float, Example]]] = {
    "count": {
        "supported": (math.nan, (counted(106), over(0.1, 0.1), {})),
        "contradicted": (math.nan, (counted(105), over(0.1, 0.1), {})),
        "not measured": (math.nan, (counted(106), critical((1, 1, 1, True)), {})),
    },
    "sizes": {
        "supported": (-0.1, (LOWER, over(0.5, 0.3, 0.4), {})),
        "contradicted": (0.1, (LOWER, over(0.4, 0.3, 0.2), {})),
        "undecided": (-0.0005, (BARELY_LOWER, over(0.4, 0.3, 0.3005), {})),
        "not measured": (math.nan, (LOWER, over(0.4), {})),
    },
    "ratio": {
        "supported": (3.0, (RATIO, over(0.9, 0.3), {})),
        "contradicted": (1.5, (RATIO, over(0.9, 0.6), {})),
        "undecided": (2.0, (RATIO, over(0.8, 0.4), {})),
        "not measured": (math.nan, (RATIO, over(0.8), {})),
    },
    "trend": {
        "supported": (-0.1, (FALLS, over(0.5, 0.3, 0.1), {})),
        "contradicted": (0.1, (FALLS, over(0.1, 0.3, 0.5), {})),
        "undecided": (math.nan, (FALLS, {"runs": runs(LOSS, {8: [0.5], 32: [0.3]})}, {})),
        "not measured": (math.nan, (FALLS, over(0.5), {})),
    },
    "slope": {
        "supported": (-0.5, (HALF, over(0.4, 0.2, 0.1), {})),
        "contradicted": (-1.0, (HALF, over(1.6, 0.4, 0.1), {})),
        "undecided": (-0.5, (HALF, {"runs": runs(LOSS, {8: [0.4], 32: [0.2]})}, {})),
        "not measured": (math.nan, (HALF, over(0.4), {})),
    },
    "value": {
        "supported": (0.8, (VALUE, over(0.8, 0.8), {})),
        "contradicted": (0.5, (VALUE, over(0.8, 0.5), {})),
        "undecided": (0.711, (VALUE, over(0.8, 0.711), {})),
        "not measured": (math.nan, (VALUE, over(0.8), {})),
    },
    "spread": {
        "supported": (60.0, (SPREAD, scattered(60), {})),
        "contradicted": (0.05, (SPREAD, scattered(0.05), {})),
        "undecided": (1.5, (SPREAD, scattered(1.5), {})),
        "not measured": (math.nan, (SPREAD, over(0.8, metric=ACCURACY), {})),
    },
    "critical": {
        "supported": (140.0, (CRITICAL, critical((140, 125, 160, True)), {"datasets": (), "recipes": ()})),
        "contradicted": (900.0, (CRITICAL, critical((900, 700, 1100, True)), {"datasets": (), "recipes": ()})),
        "undecided": (120.0, (CRITICAL, critical((120, 40, 400, True)), {"datasets": (), "recipes": ()})),
        "not measured": (
            math.nan,
            (CRITICAL, critical((140, 125, 160, True), n_sizes=3), {"datasets": (), "recipes": ()}),
        ),
    },
    "recipes": {
        "supported": (-0.4, (ARMS, *two_recipes(0.5, 0.9))),
        "contradicted": (0.0, (ARMS, *two_recipes(0.9, 0.9))),
        "undecided": (0.0, (ARMS.model_copy(update={"margin": 0.0005}), *two_recipes(0.9, 0.9))),
        "not measured": (math.nan, (ARMS, two_recipes(0.5, 0.9)[0], {"recipes": (recipe("ordered", shuffle=False),)})),
    },
}
CASES = [(kind, expected) for kind, examples in EXAMPLES.items() for expected in examples]


def test_every_kind_has_its_examples() -> None:
    assert {kind: set(examples) for kind, examples in EXAMPLES.items()} == {
        kind: {"supported", "contradicted", "not measured"} | ({"undecided"} if kind != "count" else set())
        for kind in kinds.KINDS
    }


@pytest.mark.parametrize(("kind", "expected"), CASES, ids=[" ".join(case) for case in CASES])
def test_every_kind_gives_the_verdict_that_the_numbers_deserve(kind: str, expected: str) -> None:
    effect, (tested, tables, known) = EXAMPLES[kind][expected]
    assert tested.test.kind == kind
    row = verdict(tested, tables, **known)
    assert row["verdict"] == expected
    assert (row["reason"] != "") == (expected in ("undecided", "not measured"))
    if not math.isnan(effect):
        assert row["effect"] == pytest.approx(effect, abs=0.011)
        assert row["p_adjusted"] == row["p"] or math.isnan(row["p"])
        assert row["ci_low"] < row["effect"] < row["ci_high"] or math.isnan(row["p"])


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_kind_is_read_again_from_what_it_gave(kind: str) -> None:
    tested = EXAMPLES[kind]["supported"][1][0]
    assert type(tested.test) is kinds.KINDS[kind]
    assert claim(tested.metric, tested.test.plain(), tested.margin) == tested


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_has_a_reader_and_a_kind_of_test(metric: Metric) -> None:
    assert metric.table in READERS or metric.name == "critical_batch_size"
    assert any(metric.of in kind.takes for kind in kinds.KINDS.values())
    assert metric.words[0] == metric.words[0].lower() or metric.words.startswith("CPU")


class Doubled(Kind):
    """A dummy: the metric at one size is above twice that at another."""

    kind: Literal["doubled"] = Field(description="Kind of test.")
    batch_size: Named = Field(description="A size.")

    needs_margin: ClassVar[bool] = False

    def goal(self, margin: float) -> Goal:
        return Goal("above", math.log(2))

    def effects(self, found: Samples, evidence: Evidence) -> list[Effect]:
        return [difference(found, found.size(self.batch_size), found.size("smallest"), log=True)]


def test_a_new_kind_and_a_new_metric_are_one_registration_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds.KINDS, "doubled", Doubled)
    monkeypatch.setitem(METRICS, "regret", Metric("regret", "regret of the choice", "nat", "lower"))
    tested = claim("regret", {"kind": "doubled", "batch_size": 32})
    row = verdict(tested, over(0.1, 0.5, metric="regret"))
    assert (row["verdict"], row["measured"].partition(":")[0]) == ("supported", "Regret of the choice")
