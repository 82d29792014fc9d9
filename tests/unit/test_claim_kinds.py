"""Every kind of test gives the verdict that the numbers deserve, or says why there is none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from fake_claims import LOSS, between, by_size, claim, critical, runs, trend, trials, verdict

ACCURACY = "selected_test_accuracy"


def ratio(at_least: float, *pairs: list[Any]) -> dict[str, Any]:
    return {"kind": "ratio", "pairs": pairs or ([8, 32], [32, 128]), "at_least": at_least}


def value(**bound: float) -> dict[str, Any]:
    return {"kind": "value", "batch_size": 32, **bound}


@pytest.mark.parametrize(
    ("test", "margin", "means", "expected"),
    [
        (between("lower", [32], "others"), 0.01, (0.4, 0.3, 0.4), "supported"),
        (between("lower", [32], "others"), 0.01, (0.4, 0.3, 0.301), "contradicted"),  # lower by less than counts
        (between("lower", [32], [8]), 0.01, (0.4, 0.3, 0.2), "supported"),
        (between("higher", [32], "others"), 0.01, (0.2, 0.3, 0.2), "supported"),
        (between("higher", [32], "others"), 0.01, (0.2, 0.3, 0.5), "contradicted"),
        (between("lower", ["smallest"], [32, 128]), 0.01, (0.2, 0.3, 0.5), "supported"),
        (between("lower", [8, 32], [128]), 0.01, (0.2, 0.6, 0.5), "contradicted"),
        (between("higher", [128], [8], scale="factor"), 1.5, (0.2, 0.3, 0.5), "supported"),
        (between("higher", [128], [8], scale="factor"), 3.0, (0.2, 0.3, 0.5), "contradicted"),
        (between("similar", "all"), 0.01, (0.3, 0.301, 0.299), "supported"),
        (between("similar", "all"), 0.01, (0.3, 0.3, 0.33), "contradicted"),
        (between("similar", "all"), 0.001, (0.3, 0.301, 0.3), "undecided"),
        (between("similar", "all", scale="factor"), 1.25, (0.3, 0.303, 0.299), "supported"),
        (between("not_lower", ["largest"], ["smallest"]), 0.01, (0.94, 0.9, 0.938), "supported"),
        (between("not_lower", ["largest"], ["smallest"]), 0.01, (0.90, 0.9, 0.94), "supported"),
        (between("not_lower", ["largest"], ["smallest"]), 0.01, (0.94, 0.9, 0.90), "contradicted"),
        (trend("falls"), 0.0001, (0.3003, 0.3002, 0.3), "undecided"),
        (trend("rises", batch_sizes=[8, 32], scale="factor"), 1.1, (0.1, 0.3, 0.1), "supported"),
        (ratio(2), None, (0.9, 0.3, 0.1), "supported"),
        (ratio(2), None, (0.9, 0.3, 0.2), "contradicted"),
        (ratio(3, ["smallest", "largest"]), None, (0.3, 0.2, 0.1), "undecided"),
        (value(at_most=0.71), None, (0.8, 0.5, 0.8), "supported"),
        (value(between=[0.4, 0.6]), None, (0.8, 0.5, 0.8), "supported"),
        (value(between=[0.6, 0.7]), None, (0.8, 0.5, 0.8), "contradicted"),
    ],
)
def test_kinds_of_test(test: dict[str, Any], margin: float | None, means: tuple[float, ...], expected: str) -> None:
    tested = claim(LOSS, test, margin)
    row = verdict(tested, {"runs": runs(LOSS, by_size(*means))})
    assert row["verdict"] == expected
    assert (row["reason"] != "") == (expected == "undecided")
    assert row["ci_low"] < row["effect"] < row["ci_high"]
    assert row["n"] == 5
    assert row["p_adjusted"] == row["p"]
    assert math.isnan(row["detectable"]) == tested.test.is_near


def test_row_has_the_effect_of_the_weakest_comparison_and_where_it_was_measured() -> None:
    means = by_size(0.4, 0.3, 0.35)
    tested = claim(LOSS, between("lower", [32], "others"), 0.01, figure="accuracy_vs_batch")
    row = verdict(tested, {"runs": runs(LOSS, means)})
    difference = means[32] - means[128]
    assert row["effect"] == pytest.approx(difference.mean())
    half = 2.776445 * difference.std(ddof=1) / math.sqrt(5)
    assert row["ci_high"] == pytest.approx(difference.mean() + half)
    assert (row["unit"], row["margin"], row["figure"]) == ("nat", 0.01, "accuracy_vs_batch")
    assert row["detectable"] > 0
    assert row["budget"] == "up to 20 epochs, early stopping with patience 3"
    assert row["scope"].split("; ") == [
        "data set digits",
        "recipe mlp (mlp, adam, learning rate 0.001 at every size)",
        "batch sizes 8, 32 and 128",
        "5 seeds",
    ]
    values, effect = row["measured"].split("; ")
    assert values == "Best validation loss: 0.4000 nat at 8, 0.3000 nat at 32, 0.3500 nat at 128"
    ends = f"[−{-row['ci_low']:.4f}, −{-row['ci_high']:.4f}]"
    assert effect == f"32 − 128 = −{-row['effect']:.4f} {ends} nat, n = 5 seeds"


@pytest.mark.parametrize("means", [(0.9, 0.3), (0.3, 0.9)])
def test_effects_of_ratios_are_shown_as_ratios(means: tuple[float, float]) -> None:
    row = verdict(claim(LOSS, ratio(2, [8, 32])), {"runs": runs(LOSS, by_size(*means))})
    assert row["effect"] == pytest.approx(means[0] / means[1], rel=3e-3)
    assert (row["unit"], row["verdict"] == "supported") == ("×", means[0] > means[1])


@pytest.mark.parametrize(
    ("means", "turns"),
    [((0.5, 0.55, 0.1), "from 8 to 32"), ((0.5, 0.1, 0.2), "from 32 to 128"), ((0.5, 0.3, 0.1), "")],
)
def test_trend_says_where_it_turns(means: tuple[float, ...], turns: str) -> None:
    row = verdict(claim(LOSS, trend("falls"), 0.01), {"runs": runs(LOSS, by_size(*means))})
    assert (row["verdict"], row["unit"]) == ("supported", "nat per doubling")
    _, *remarks, _ = row["measured"].split("; ")
    assert [remark.endswith(f"rises {turns}") for remark in remarks] == ([True] if turns else [])


def test_trend_of_values_without_spread_is_tested_by_ranks() -> None:
    table = runs("host_memory_peak_bytes", {size: [1e6 * (60 + size)] * 5 for size in (1, 8, 32, 128)})
    tested = claim("host_memory_peak_bytes", trend("rises", scale="factor"), 1.01)
    row = verdict(tested, {"runs": table})
    assert row["verdict"] == "supported"
    assert math.isnan(row["ci_low"])
    falling = table.assign(host_memory_peak_bytes=1e9 / table["batch_size"])
    assert verdict(tested, {"runs": falling})["verdict"] == "contradicted"


def test_trend_along_another_metric() -> None:
    values = by_size(0.2, 0.3, 0.4)
    table = runs(LOSS, values).assign(step_loss_noise=lambda frame: frame["batch_size"] ** -0.5)
    row = verdict(claim(LOSS, trend("falls", along="step_loss_noise"), 0.01), {"runs": table})
    assert row["verdict"] == "supported"
    assert row["effect"] == pytest.approx(-0.1, rel=1e-2)  # 0.1 for four times the size, half the noise
    assert row["unit"] == "nat per doubling of noise of the step loss"


@pytest.mark.parametrize(("means", "expected"), [((0.4, 0.3, 0.4), "undecided"), ((0.4, 0.3, 0.2), "contradicted")])
def test_diverged_run_leaves_no_support_but_may_leave_a_contradiction(means: tuple[float, ...], expected: str) -> None:
    table = runs(LOSS, by_size(*means), outcomes={(8, 3): "diverged"})
    row = verdict(claim(LOSS, between("lower", [32], "others"), 0.01), {"runs": table})
    assert row["verdict"] == expected
    alone = verdict(claim(LOSS, between("lower", [32], [8]), 0.01), {"runs": table})
    assert (alone["verdict"], alone["reason"]) == ("undecided", "batch size 8: the run of seed 3 diverged")
    assert math.isnan(alone["p"])


def test_one_seed_decides_nothing() -> None:
    row = verdict(claim(LOSS, between("lower", [32], [8]), 0.01), {"runs": runs(LOSS, {8: [0.9], 32: [0.1]})})
    assert (row["verdict"], row["reason"]) == ("undecided", "one repetition gives no spread to test with")
    assert row["effect"] == pytest.approx(-0.8)


@pytest.mark.parametrize(
    ("metric", "test", "lacking"),
    [
        (LOSS, between("lower", [64], "others"), "batch size 64"),
        (LOSS, between("lower", [8], ["full"]), "full batch"),
        (LOSS, between("lower", [8], ["smallest"]), "only batch size 8"),
        ("lambda_max", trend("rises"), "probe of sharpness"),
        ("updates_to_target", trend("falls"), "no target"),
        ("seconds_per_epoch", trend("falls"), "nothing was timed"),
        ("best_learning_rate", trend("rises"), "no learning rate"),
        ("gpu_energy_joules", trend("falls"), "energy of the GPU"),
        ("critical_batch_size", {"kind": "critical", "equals": 128}, "no critical batch size"),
    ],
)
def test_what_the_study_lacks_is_not_measured_and_named(metric: str, test: dict[str, Any], lacking: str) -> None:
    table = runs(LOSS, {8: [0.1, 0.2], 32: [0.3, 0.5]}, gpu_energy_joules=math.nan)
    row = verdict(claim(metric, test, 2.0), {"runs": table})
    assert row["verdict"] == "not measured"
    assert lacking in row["reason"]
    assert math.isnan(row["p"])


@pytest.mark.parametrize(("above", "expected"), [(0.02, "contradicted"), (0.05, "undecided")])
def test_rates_beside_those_that_diverge_bound_the_slope(above: float, expected: str) -> None:
    found = trials(1)  # best rates of about 0.01, 0.02, 0.04 and 0.08, of which those above `above` cannot be trained
    found = found.assign(outcome=found["outcome"].mask(found["learning_rate"] > above, "diverged"))
    tables = {"runs": runs(LOSS, {8: [0.1]}), "trials": found}
    row = verdict(claim("best_learning_rate", {"kind": "slope", "equals": 1}, 0.2), tables)
    assert (row["verdict"], row["unit"]) == (expected, "half-way between its bounds")
    assert row["ci_low"] < row["effect"] < row["ci_high"]
    other = verdict(claim("best_learning_rate", trend("rises"), 0), tables)
    assert (other["verdict"], other["reason"] != "") == ("undecided", True)


@pytest.mark.parametrize(("size", "words"), [(8, "at least"), (64, "at most")])
def test_a_best_rate_at_the_end_of_the_grid_leaves_one_side_of_the_slope(size: int, words: str) -> None:
    found = trials(0.5)
    best = 1e-2 * (size / 8) ** 0.5
    cut = (found["batch_size"] == size) & (found["learning_rate"] < best * 0.9)  # the best is the lowest tried
    tables = {"runs": runs(LOSS, {8: [0.1]}), "trials": found[~cut]}
    row = verdict(claim("best_learning_rate", {"kind": "slope", "equals": 0.5}, 0.2), tables)
    assert row["verdict"] == "undecided"  # a bound to one side cannot show that the slope is near to something
    assert row["unit"] == words
    assert np.isnan([row["ci_low"], row["ci_high"]]).tolist() == [words == "at most", words == "at least"]
    steeper = claim("best_learning_rate", {"kind": "slope", "equals": 1.5 if words == "at most" else -0.5}, 0.2)
    assert verdict(steeper, tables)["verdict"] == "contradicted"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(120, 110, 132, True), (140, 125, 160, True)], "supported"),
        ([(120, 110, 132, True), (900, 700, 1100, True)], "contradicted"),
        ([(120, 40, 400, True)], "undecided"),
        ([(900, 700, 1100, True), (140, 125, 160, True)], "supported"),
        ([(120, 110, 132, True), (140, 125, 160, False)], "supported"),
    ],
)
def test_critical_batch_size_at_the_tightest_target_where_the_law_holds(
    rows: list[tuple[float, float, float, bool]], expected: str
) -> None:
    tested = claim("critical_batch_size", {"kind": "critical", "equals": 128}, 2)
    row = verdict(tested, critical(*rows), datasets=(), recipes=())  # measured elsewhere: no scope is needed
    assert (row["verdict"], row["unit"]) == (expected, "examples")
    assert row["ci_low"] < row["effect"] < row["ci_high"]
    assert row["effect"] == pytest.approx([size for size, _, _, accepted in rows if accepted][-1])
    assert all(f"{0.5 - 0.1 * i:g}" in row["measured"] for i in range(len(rows)))  # the others are shown


def test_where_the_law_holds_at_no_target_the_reason_is_that_of_the_fit() -> None:
    tested = claim("critical_batch_size", {"kind": "critical", "equals": 128}, 2)
    row = verdict(tested, critical((140, 125, 160, False)), datasets=(), recipes=())
    assert (row["verdict"], "it misfits" in row["reason"]) == ("undecided", True)
    few = verdict(tested, critical((140, 125, 160, False), n_sizes=3), datasets=(), recipes=())
    assert (few["verdict"], few["reason"]) == ("not measured", "3 batch sizes; the fit needs 4")


def test_counts_are_exact() -> None:
    right = [
        {"examples": 55000, "batch_size": 8, "updates": 6875},
        {"examples": 54000, "batch_size": 512, "updates": 106},
    ]
    table = runs(LOSS, {8: [0.1], 32: [0.1], "full": [0.1]})
    tested = claim("updates_per_epoch", {"kind": "count", "cases": right})
    row = verdict(tested, {"runs": table})
    assert (row["verdict"], row["n"], row["unit"]) == ("supported", 3, "")
    assert math.isnan(row["p"])
    wrong = claim("updates_per_epoch", {"kind": "count", "cases": [{**right[1], "updates": 105}]})
    assert verdict(wrong, {"runs": table})["verdict"] == "contradicted"
    dropped = table.assign(updates=3.0 * (1168 // table["batch_size"]))  # at 32 the last 16 examples
    assert verdict(tested, {"runs": dropped})["verdict"] == "contradicted"
