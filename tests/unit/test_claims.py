"""Claims are read strictly, tested where they apply, and wrong no more often than promised."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from fake_claims import (
    LOSS,
    NOISE,
    REGISTRY,
    ROOT,
    around,
    between,
    by_size,
    claim,
    dataset,
    recipe,
    runs,
    study,
    trend,
    verdict,
)

from batchscope.analysis.summary import METRICS
from batchscope.claims import definitions
from batchscope.claims.definitions import Claim
from batchscope.claims.parts import contradict, support
from batchscope.claims.readers import Evidence
from batchscope.claims.samples import Samples
from batchscope.claims.verdicts import decide, verdicts
from batchscope.config.errors import ConfigError
from batchscope.tables import codebook, metrics, records
from batchscope.tables.cells import Size

ARMS = {"kind": "recipes", "key": "shuffle", "first": False, "second": True, "batch_sizes": [32], "direction": "lower"}


@pytest.mark.parametrize(
    ("direction", "means", "expected"),
    [
        ("lower", (0.5, 0.9), "supported"),
        ("lower", (0.9, 0.9), "contradicted"),
        ("higher", (0.9, 0.5), "supported"),
        ("similar", (0.9, 0.901), "supported"),
        ("similar", (0.5, 0.9), "contradicted"),
    ],
)
def test_recipes_that_differ_in_one_thing(direction: str, means: tuple[float, float], expected: str) -> None:
    metric = "selected_test_accuracy"
    ordered, shuffled = around(*means)
    tables = {
        "runs": pd.concat(
            [
                runs(metric, {32: shuffled}),
                runs(metric, {32: ordered}, pair=("digits", "ordered")),
                runs(metric, {32: ordered}, pair=("digits", "wider")),
            ]
        )
    }
    wider = recipe("wider", shuffle=False, model={"name": "mlp", "hidden": [9], "normalization": "none"})
    tested = claim(metric, {**ARMS, "direction": direction}, 0.02)
    table = verdicts(
        tables, *study(tested, recipes=(recipe(snapshots={"at": [1]}), recipe("ordered", shuffle=False), wider))
    )
    assert list(table["recipe"]) == ["ordered", "wider"]
    assert table["verdict"][0] == expected
    assert table["effect"][0] == pytest.approx(means[0] - means[1], abs=0.01)
    assert table["reason"][1] == "no recipe of the study differs from wider in shuffle (true) alone"


@pytest.mark.parametrize(
    ("scope", "fits"),
    [
        ({}, True),
        ({"dataset": {"source": ["blobs", "digits"]}}, True),
        ({"dataset": {"source": "blobs"}}, False),
        ({"dataset": {"name": "digits", "draw": "fixed", "order": ["source", "by-class"]}}, True),
        ({"dataset": {"order": "by-class"}}, False),
        ({"recipe": {"optimizer": "adam", "learning_rate": "fixed", "budget": "epochs", "accumulation": False}}, True),
        ({"recipe": {"optimizer": ["sgd", "adamw"]}}, False),
        ({"recipe": {"learning_rate": "tuned"}}, False),
        ({"recipe": {"early_stopping": True, "shuffle": True, "last_batch": "keep", "normalization": "none"}}, True),
        ({"recipe": {"model": "cnn"}}, False),
    ],
)
def test_claim_is_tested_where_its_scope_holds(scope: dict[str, Any], fits: bool) -> None:
    tested = claim(LOSS, between("lower", [32], [8]), 0.01, scope=scope)
    row = verdict(tested, {"runs": runs(LOSS, by_size(0.4, 0.3))})
    assert row["verdict"] == ("supported" if fits else "not measured")
    assert pd.isna(row["dataset"]) == (not fits)
    assert (row["reason"] == "") == fits


def test_claim_on_shuffling_is_tested_on_data_in_class_order_only() -> None:
    known = definitions.load(REGISTRY, {}, Path("my.yaml"))["C27"]
    metric, (still, shuffled) = known.metric, around(0.5, 0.9)
    arms = {"still": still, "mlp": shuffled}
    tables = {
        "runs": pd.concat(
            [
                runs(metric, {32: values}, pair=(name, recipe_name))
                for name in ("digits", "sorted")
                for recipe_name, values in arms.items()
            ]
        )
    }
    row = verdict(
        known,
        tables,
        datasets=(dataset(), dataset("sorted", order="by-class")),
        recipes=(recipe(), recipe("still", shuffle=False)),
    )
    assert (row["dataset"], row["recipe"], row["verdict"]) == ("sorted", "still", "supported")


def test_tuned_and_scaled_recipes_are_told_apart() -> None:
    tuned = recipe("tuned", tuning={"learning_rates": [0.1, 0.2, 0.4], "seeds": [8, 9]})
    linear = recipe("linear", learning_rate_scaling={"rule": "linear", "reference_batch_size": 32})
    updates = recipe("updates", budget={"epochs": None, "updates": 500, "early_stopping": None})
    values = by_size(0.4, 0.3)
    table = pd.concat([runs(LOSS, values, pair=("digits", name)) for name in ("tuned", "linear", "updates")])
    for key, value in (("learning_rate", "tuned"), ("learning_rate", "linear"), ("budget", "updates")):
        tested = claim(LOSS, between("lower", [32], [8]), 0.01, scope={"recipe": {key: value}})
        row = verdict(tested, {"runs": table}, recipes=(tuned, linear, updates))
        assert row["recipe"] == value
    assert row["budget"] == "500 updates"


def test_measurements_made_elsewhere_meet_no_scope_but_names() -> None:
    table = runs(LOSS, {8: [0.4, 0.41, 0.42], 32: [0.2, 0.21, 0.22, 0.23]})  # no seed in common is claimed
    test = between("lower", [32], [8])
    named = claim(LOSS, test, 0.01, scope={"recipe": {"name": "mlp"}})
    found = verdict(named, {"runs": table}, paired=False, datasets=(), recipes=())
    assert (found["verdict"], found["budget"]) == ("supported", "")
    assert "runs" in found["scope"]
    assert "seed" not in found["scope"] + found["measured"]
    scoped = claim(LOSS, test, 0.01, scope={"recipe": {"optimizer": "sgd"}})
    row = verdict(scoped, {"runs": table}, datasets=(), recipes=())
    assert (row["verdict"], row["scope"]) == ("not measured", "recipe with optimizer sgd")


def test_p_values_are_adjusted_over_the_family() -> None:
    values = by_size(0.4, 0.39, 0.38)
    tests = [claim(LOSS, trend("falls"), 0.001, family=family) for family in ("a", "a", "b")]
    table = verdicts({"runs": runs(LOSS, values)}, *study(*tests))
    assert table["p_adjusted"].to_list() == pytest.approx([2 * table["p"][0]] * 2 + [table["p"][2]])


def test_effect_that_is_there_but_does_not_count_contradicts_and_says_so() -> None:
    table = runs(LOSS, by_size(0.4, 0.392))
    row = verdict(claim(LOSS, between("lower", [32], [8]), 0.02), {"runs": table})
    assert row["verdict"] == "contradicted"
    assert row["effect"] < 0  # in the direction of the statement
    assert row["ci_high"] < 0
    assert row["measured"].endswith("(0.02)")


def test_decisions_of_a_family() -> None:
    both, neither, untested = (1e-6, 1e-5), (0.4, 0.5), (None, 0.001)
    first, second, third = decide([both, neither, untested])
    assert (first.verdict, first.smaller) == ("contradicted", True)
    assert second.verdict == "undecided"
    assert (third.verdict, third.p) == ("contradicted", 0.002)
    assert third.p_adjusted == pytest.approx(4 * 0.001)  # the third smallest of six
    assert decide([(0.03, 0.97)])[0].verdict == "undecided"  # one-sided 0.03 is two-sided 0.06
    assert decide([]) == []


OTHERS = [Size(2**i, False) for i in range(6, 16)]


def simulate(rng: np.random.Generator, n: int, effect: float, tests: Sequence[Claim]) -> set[str]:
    """Verdicts of claims that share runs, in which batch size 32 is higher by `effect` than each of the others."""
    noise = rng.normal(size=(len(OTHERS) + 1, n)) + 2 * rng.normal(size=n)
    values = {Size(32, False): effect + noise[0]} | dict(zip(OTHERS, noise[1:], strict=True))
    found = Samples(values, {}, True, "seeds", tuple(range(n)))
    nowhere = Evidence({}, ("digits", "mlp"))
    each = [tested.test.judged(tested, tested.test.effects(found, nowhere)) for tested in tests]
    return {decision.verdict for decision in decide([(support(those), contradict(those)) for those in each])}


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize(
    ("effect", "margin", "wrong"), [(0.0, 1.0, "supported"), (1.0, 1.0, "contradicted"), (0.0, 0.0, "either")]
)
def test_wrong_verdicts_are_rare(n: int, effect: float, margin: float, wrong: str) -> None:
    """No effect must not be supported, an effect of the margin not contradicted, and at a margin of 0 neither."""
    rng = np.random.default_rng([n, int(effect), int(margin)])
    replicates = 400
    tests = [claim(LOSS, between("higher", [32], [size.batch_size]), margin) for size in OTHERS]
    found = [simulate(rng, n, effect, tests) for _ in range(replicates)]
    errors = sum(bool(each - {"undecided"}) if wrong == "either" else wrong in each for each in found)
    assert errors <= 0.05 * replicates + 3 * math.sqrt(0.05 * 0.95 * replicates)
    assert errors > 0 or wrong != "either"  # the bound is not met by never deciding


def test_registry_has_the_thirty_statements() -> None:
    known = definitions.load(REGISTRY, {}, Path("my.yaml"))
    assert list(known) == [f"C{i:02}" for i in range(1, 31)]
    for each in known.values():
        assert each.statement.endswith(".")
        assert each.figure is not None


def test_study_of_one_pair_gives_every_statement_a_row() -> None:
    known = definitions.load(REGISTRY, {}, Path("my.yaml"))
    table = runs(LOSS, by_size(0.4, 0.3, 0.35))
    found = verdicts({"runs": table}, known, study()[1]).set_index("claim")
    assert list(found.index) == list(known)
    assert found.loc["C01", "verdict"] == "supported"
    assert found.loc["C03", "verdict"] == "supported"
    assert found.loc["C16", "reason"] == "the study has no probe of sharpness"
    assert (found["reason"] != "").sum() == 28


def test_random_labels_cannot_be_learnt() -> None:
    impossible = definitions.load(REGISTRY, {}, Path("my.yaml"))["C13"]
    table = runs("selected_test_accuracy", {32: 0.5 + 0.03 * NOISE})
    row = verdict(impossible, {"runs": table}, datasets=(dataset(source="random-labels"),))
    assert row["verdict"] == "contradicted"
    assert row["effect"] == pytest.approx(0.5)


def test_metrics_are_those_of_the_tables() -> None:
    per_run = {name for name, metric in metrics.METRICS.items() if metric.table == "runs"}
    assert per_run == {*METRICS, "updates_per_epoch"}
    declared = {**records.TABLES["run"], **codebook.OPTIONAL["runs"]}
    for name in per_run - {"generalisation_gap"}:
        assert metrics.METRICS[name].unit == declared[name].unit, name


def test_own_claim_may_not_take_a_name_of_the_registry() -> None:
    own = {"C03": yaml.safe_load(REGISTRY.read_text(encoding="utf-8"))["C03"]}
    with pytest.raises(ConfigError, match=r"my\.yaml: claims\.C03: .*claims\.yaml has this name already"):
        definitions.load(REGISTRY, own, Path("my.yaml"))


def test_reading_claims_needs_no_pandas() -> None:
    code = "import sys, batchscope.claims.definitions; sys.exit('pandas' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT / "scripts")
