"""How claims read their metrics: from runs, timings, targets, trials and probes, and which values they leave out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_claims import LOSS, Tables, between, by_size, claim, of_size, runs, study, targets, trend, trials, verdict
from scipy import stats

from batchscope.analysis.times import with_errors
from batchscope.claims.verdicts import verdicts

ACCURACY = "selected_test_accuracy"
THIRD = {"kind": "ratio", "pairs": [[8, 32], [32, 128]], "at_least": 3}


def per_size(metric: str, values: Sequence[float]) -> Tables:
    sizes = [2**i for i in range(len(values))]
    cells = [{"dataset": "digits", "recipe": "mlp", **of_size(size)} for size in sizes]
    rows = [{**cell, metric: value} for cell, value in zip(cells, values, strict=True)]
    return {"runs": runs(LOSS, {1: [0.1]}), "summary": pd.DataFrame(rows)}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((50.1, 60.2, 69.8, 80.1, 90.0), "supported"),
        ((50.1, 50.2, 49.9, 50.1, 50.0), "contradicted"),
        ((50.1, 70.2, 49.9, 80.1, 50.0), "undecided"),
        ((50.1, math.nan, 49.9, 80.1, 50.0), "undecided"),
    ],
)
def test_one_value_per_size_is_tested_by_its_scatter_about_a_line(values: Sequence[float], expected: str) -> None:
    row = verdict(claim("memory_bytes", trend("rises"), 1.0), per_size("memory_bytes", values))
    assert row["verdict"] == expected
    if expected == "supported":
        line = stats.linregress(range(5), values)
        assert row["effect"] == pytest.approx(line.slope)
        assert row["p"] == pytest.approx(line.pvalue)
        assert (row["unit"], row["n"]) == ("B per doubling", 5)


def test_memory_says_of_what_it_is() -> None:
    tables = per_size("memory_bytes", [50.1, 60.2, 69.8])
    named = {**tables, "summary": tables["summary"].assign(memory_kind="peak of whole runs")}
    assert "(peak of whole runs): " in verdict(claim("memory_bytes", trend("rises"), 1.0), named)["measured"]


def test_one_value_per_size_on_a_line_is_tested_by_ranks() -> None:
    row = verdict(claim("utilisation_percent", trend("rises"), 0), per_size("utilisation_percent", range(6)))
    assert row["verdict"] == "supported"
    assert row["p"] == pytest.approx(2 / math.factorial(6))


@pytest.mark.parametrize("count", [3, 6])
def test_the_same_value_at_every_size_is_not_tested_and_changes_no_other_verdict(count: int) -> None:
    """As the peak of memory where loading the data takes the most."""
    memory, loss = claim("memory_bytes", trend("rises", scale="factor"), 1.01), claim(LOSS, trend("rises"), 0.01)
    tables = per_size("memory_bytes", [681_074_688.0] * count) | {"runs": runs(LOSS, by_size(0.1, 0.2, 0.3))}
    same, other = verdicts(tables, *study(memory, loss)).to_dict("records")
    assert same["verdict"] == "undecided"
    assert math.isnan(same["p"])
    assert other["p_adjusted"] == verdict(loss, tables)["p_adjusted"]


def test_run_that_was_still_improving_has_no_best_epoch() -> None:
    table = runs("selected_epoch", {8: [5.0, 6], 32: [9.0, 20]}, epochs=20.0, stopped_early=False)
    row = verdict(claim("selected_epoch", trend("rises"), 0.25), {"runs": table})
    assert row["verdict"] == "undecided"
    assert row["reason"].startswith("batch size 32: the run of seed 2 was still improving")
    stopped = table.assign(stopped_early=True)
    assert not math.isnan(verdict(claim("selected_epoch", trend("rises"), 0.25), {"runs": stopped})["p"])


def test_a_diverged_run_has_an_accuracy_but_no_loss_to_compare() -> None:
    table = runs(ACCURACY, by_size(0.1, 0.9, sizes=(1, 32)))
    table["outcome"] = table["outcome"].mask((table["batch_size"] == 1) & (table["seed"] < 5), "diverged")
    lower = claim(ACCURACY, between("lower", [1], [32]), 0.02)
    row = verdict(lower, {"runs": table})
    assert row["verdict"] == "supported"
    assert "4 of 5 runs diverged" in row["measured"]
    table.loc[0, ACCURACY] = math.nan  # not a number at the end
    assert verdict(lower, {"runs": table})["verdict"] == "undecided"
    lost = table["outcome"].mask(table["outcome"] == "diverged", "out_of_memory")
    assert "ran out of memory" in verdict(lower, {"runs": table.assign(outcome=lost)})["reason"]


def timed(seconds: Mapping[int, float]) -> Tables:
    """Timings and their windows, beside one run per size."""
    spread = 1 + 0.01 * np.array([-1, 0.5, 1.2, -0.4, 0.3, -0.8, 0.2])
    cells = [{"dataset": "digits", "recipe": "mlp", **of_size(size)} for size in seconds]
    windows = [
        {**cell, "window": i, "seconds_per_update": seconds[cell["batch_size"]] * share}
        for cell in cells
        for i, share in enumerate(spread, start=1)
    ]
    alone = {"device": "cpu", "threads": 1, "cpu_percent_mean": 99.0}
    timings = []
    for cell in cells:
        size = cell["batch_size"]
        second = seconds[size] * float(np.median(spread))
        per_epoch = {"seconds_per_epoch": second * math.ceil(1168 / size), "examples_per_second": size / second}
        timings.append({**cell, **alone, "windows": len(spread), "seconds_per_update": second, **per_epoch})
    table = runs(LOSS, {size: [0.1] for size in (8, 32, 128)})
    return {"runs": table, "timings": with_errors(pd.DataFrame(timings), pd.DataFrame(windows))}


@pytest.mark.parametrize(("at_least", "expected"), [(3, "supported"), (5, "contradicted")])
def test_times_are_compared_over_their_windows(at_least: float, expected: str) -> None:
    tables = timed({8: 0.001, 32: 0.001, 128: 0.001})
    row = verdict(claim("seconds_per_epoch", {**THIRD, "at_least": at_least}), tables)
    assert (row["verdict"], row["n"]) == (expected, 7)
    per_second = claim("examples_per_second", {"kind": "ratio", "pairs": [["largest", "smallest"]], "at_least": 2})
    assert verdict(per_second, tables)["effect"] == pytest.approx(16)


@pytest.mark.parametrize(("slower", "expected"), [(1.05, "undecided"), (1.3, "supported")])
def test_times_that_another_job_may_turn_round_are_not_told_apart(slower: float, expected: str) -> None:
    tables = timed({8: 0.001 * slower, 32: 0.001, 128: 0.001})
    above = {"kind": "sizes", "direction": "higher", "batch_sizes": [8], "than": [32]}
    assert verdict(claim("seconds_per_update", above, 1e-6), tables)["verdict"] == expected


@pytest.mark.parametrize(("slower", "expected"), [(1.04, "undecided"), (1.3, "supported")])
def test_seconds_to_a_target_are_as_uncertain_as_the_one_timing_behind_them(slower: float, expected: str) -> None:
    tables = timed({8: 0.001 * slower, 32: 0.001})
    updates = {8: [1000, 1001, 999, 1002], 32: [1000, 1000, 1001, 1001]}
    rows = [
        {"dataset": "digits", "recipe": "mlp", **of_size(size), "seed": seed, "metric": "validation_loss"}
        | {"target": 0.5, "reached": True, "epochs": 3.0, "seconds": many * 0.001 * (slower if size == 8 else 1)}
        for size, counts in updates.items()
        for seed, many in enumerate(counts)
    ]
    tables["to_target"] = pd.DataFrame(rows)
    tables["timings"].loc[0, "cpu_percent_mean"] = 50.0
    above = {"kind": "sizes", "direction": "higher", "batch_sizes": [8], "than": [32], "scale": "factor"}
    row = verdict(claim("seconds_to_target", above, 1.001), tables)
    assert row["verdict"] == expected
    assert "1 of 2 timings got less than 90 %" in row["measured"]


def test_size_that_was_not_timed_is_not_passed_over() -> None:
    row = verdict(claim("seconds_per_epoch", THIRD), timed({8: 0.001, 32: 0.001}))
    assert row["verdict"] == "undecided"
    assert row["reason"].endswith("batch size 128: not timed")


def test_timings_that_something_disturbed_are_counted() -> None:
    tables = timed({8: 0.001, 32: 0.001, 128: 0.001})
    tables["timings"].loc[1, "cpu_percent_mean"] = 50.0
    _, warning, _ = verdict(claim("seconds_per_epoch", THIRD), tables)["measured"].split("; ")
    assert warning.startswith("1 of 3 timings")


def test_probe_metric_is_read_from_the_table_of_its_probe() -> None:
    values = by_size(0.4, 0.1, 0.025, noise=1e-4)
    checkpoint: dict[str, Any] = {"checkpoint_fraction": 0.0, "checkpoint_train_loss": math.nan}
    moved = {"batch_size": 8, **checkpoint, "updates": 0, "examples": 1000}
    gradients = runs("gradient_variance", values).drop(columns="outcome")
    gradients = gradients.assign(drawn_batch_size=gradients["batch_size"], **moved)
    gradients["gradient_variance"] *= (1000 - gradients["drawn_batch_size"]) / 999  # draws without replacement
    tables = {"runs": runs(LOSS, values), "gradients": gradients}
    sloped = claim("gradient_variance", {"kind": "slope", "equals": -1}, 0.1)
    row = verdict(sloped, tables)
    assert (row["verdict"], row["effect"]) == ("supported", pytest.approx(-1, abs=0.02))
    of_other = verdict(sloped, {**tables, "gradients": gradients.assign(recipe="other")})
    assert (of_other["verdict"], "recipe" in of_other["reason"]) == ("not measured", True)


def test_target_is_the_tightest_that_all_runs_reached() -> None:
    loose = {8: [10.0, 11, 12], 32: [9.0, 10.5, 12]}
    common = {8: [400.0, 410, 420], 32: [99.0, 103, 107]}
    tight = {8: [900.0, 910, 920], 32: [math.nan, 200, 201]}
    tables = {
        "runs": runs(LOSS, {8: [0.1] * 3, 32: [0.1] * 3}),
        "to_target": targets({0.5: loose, 0.4: common, 0.3: tight}),
    }
    falls = claim("updates_to_target", trend("falls", scale="factor"), 1.1)
    row = verdict(falls, tables)
    assert row["verdict"] == "supported"
    ratio = np.exp(np.mean(np.log(common[32]) - np.log(common[8])))  # of four times the size
    assert row["effect"] == pytest.approx(ratio**0.5)
    seconds = verdict(claim("seconds_to_target", between("similar", "all", scale="factor"), 1.25), tables)
    none = verdict(falls, {**tables, "to_target": targets({0.3: tight})})
    assert (seconds["verdict"], none["verdict"]) == ("not measured", "not measured")


@pytest.mark.parametrize(("power", "expected"), [(1, "supported"), (0.5, "contradicted")])
def test_best_learning_rates_come_from_the_tuning_seeds(power: float, expected: str) -> None:
    tested = claim("best_learning_rate", {"kind": "slope", "equals": 1}, 0.2)
    tables = {"runs": runs(LOSS, {8: [0.1]}), "trials": trials(power)}
    row = verdict(tested, tables)
    assert (row["verdict"], row["n"]) == (expected, 3)
    assert row["effect"] == pytest.approx(power, abs=0.01)
    beyond = verdict(tested, {**tables, "trials": trials(power, edge=True)})
    assert beyond["verdict"] == "undecided"
    assert np.isnan([beyond["p"], beyond["effect"]]).all()
