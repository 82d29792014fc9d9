"""Every kind of test gives the verdict that the numbers deserve, or says why there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_claims import (
    LOSS,
    Tables,
    around,
    between,
    claim,
    of_size,
    runs,
    trend,
    verdict,
)
from scipy import stats


@pytest.mark.parametrize(
    ("test", "margin", "means", "expected"),
    [
        (
            between("lower", [32], "others"),
            0.01,
            (0.4, 0.3, 0.4),
            "supported",
        ),
        (
            between("lower", [32], "others"),
            0.01,
            (0.4, 0.3, 0.2),
            "contradicted",
        ),
        (
            between("lower", [32], "others"),
            0.01,
            (0.4, 0.3, 0.301),
            "contradicted",
        ),  # lower by less than counts
        (
            between("lower", [32], "others"),
            0.001,
            (0.4, 0.3, 0.3005),
            "undecided",
        ),
        (between("lower", [32], [8]), 0.01, (0.4, 0.3, 0.2), "supported"),
        (
            between("higher", [32], "others"),
            0.01,
            (0.2, 0.3, 0.2),
            "supported",
        ),
        (
            between("higher", [32], "others"),
            0.01,
            (0.2, 0.3, 0.5),
            "contradicted",
        ),
        (
            between("lower", ["smallest"], [32, 128]),
            0.01,
            (0.2, 0.3, 0.5),
            "supported",
        ),
        (
            between("lower", [8, 32], [128]),
            0.01,
            (0.2, 0.6, 0.5),
            "contradicted",
        ),
        (
            between("higher", [128], [8]),
            1.5,
            (0.2, 0.3, 0.5),
            "supported",
        ),
        (
            between("higher", [128], [8]),
            3.0,
            (0.2, 0.3, 0.5),
            "contradicted",
        ),
        (trend("falls"), 0.01, (0.5, 0.3, 0.1), "supported"),
        (trend("falls"), 0.01, (0.1, 0.3, 0.5), "contradicted"),
        (trend("falls"), 0.0001, (0.3003, 0.3002, 0.3), "undecided"),
        (trend("rises", batch_sizes=[8, 32]), 1.1, (0.1, 0.3, 0.1), "supported"),
        ({"kind": "ratio", "pairs": [[8, 32], [32, 128]], "at_least": 2}, None, (0.9, 0.3, 0.1), "supported"),
        ({"kind": "ratio", "pairs": [[8, 32], [32, 128]], "at_least": 2}, None, (0.9, 0.3, 0.2), "contradicted"),
        ({"kind": "ratio", "pairs": [["smallest", "largest"]], "at_least": 3}, None, (0.3, 0.2, 0.1), "undecided"),
        ({"kind": "value", "batch_size": 32, "at_least": 0.71}, None, (0.8, 0.8, 0.8), "supported"),
        ({"kind": "value", "batch_size": 32, "at_least": 0.71}, None, (0.8, 0.5, 0.8), "contradicted"),
        ({"kind": "value", "batch_size": 32, "at_most": 0.71}, None, (0.8, 0.5, 0.8), "supported"),
        ({"kind": "value", "batch_size": 32, "at_least": 0.71}, None, (0.8, 0.711, 0.8), "undecided"),
        ({"kind": "slope", "equals": -0.5}, 0.1, (0.4, 0.2, 0.1), "supported"),
        ({"kind": "slope", "equals": -1}, 0.1, (0.4, 0.2, 0.1), "contradicted"),
        (between("similar", "all"), 0.01, (0.3, 0.301, 0.299), "supported"),
        (between("similar", "all"), 0.01, (0.3, 0.3, 0.33), "contradicted"),
        (between("similar", "all"), 0.001, (0.3, 0.301, 0.3), "undecided"),
        (between("similar", "all", scale="factor"), 1.25, (0.3, 0.303, 0.299), "supported"),
    ],
)
def test_kinds_of_test(test: dict[str, Any], margin: float | None, means: tuple[float, ...], expected: str) -> None:
    factor = margin is not None and margin > 1 and test["kind"] != "slope"
    tested = claim(LOSS, {**test, "scale": "factor"} if factor and "scale" not in test else test, margin)
    row = verdict(tested, {"runs": runs(LOSS, dict(zip((8, 32, 128), around(*means), strict=True)))})
    assert row["verdict"] == expected
    assert (row["reason"] != "") == (expected == "undecided")
    assert row["ci_low"] < row["effect"] < row["ci_high"]
    assert row["n"] == 5
    assert row["p_adjusted"] == row["p"]


def test_row_says_what_was_measured_where_and_how() -> None:
    means = dict(zip((8, 32, 128), around(0.4, 0.3, 0.35), strict=True))
    tested = claim(
        LOSS,
        between("lower", [32], "others"),
        0.01,
        figure="accuracy_vs_batch",
    )
    row = verdict(tested, {"runs": runs(LOSS, means)})
    difference = means[32] - means[128]  # the weakest comparison
    assert row["effect"] == pytest.approx(difference.mean())
    half = 2.776445 * difference.std(ddof=1) / math.sqrt(5)
    assert row["ci_high"] == pytest.approx(difference.mean() + half)
    assert row["unit"] == "nat"
    assert row["budget"] == "up to 20 epochs, early stopping with patience 3"
    assert row["scope"] == (
        "data set digits; recipe mlp (mlp, adam, learning rate 0.001 at every size); batch sizes 8, 32 and 128; 5 seeds"
    )
    assert row["measured"].startswith(
        "Best validation loss: 0.4000 nat at 8, 0.3000 nat at 32, 0.3500 nat at 128; 32 − 128 = −0.05"
    )
    assert row["measured"].endswith("nat, n = 5 seeds")
    assert row["figure"] == "accuracy_vs_batch"
    assert row["detectable"] > 0


def test_effects_of_ratios_are_shown_as_ratios() -> None:
    values = dict(zip((8, 32), around(0.9, 0.3), strict=True))
    row = verdict(claim(LOSS, {"kind": "ratio", "pairs": [[8, 32]], "at_least": 2}), {"runs": runs(LOSS, values)})
    assert row["effect"] == pytest.approx(3, rel=1e-3)
    assert row["unit"] == "×"
    assert "8 / 32 = 3.0" in row["measured"]


def test_trend_that_turns_says_so() -> None:
    values = dict(zip((8, 32, 128), around(0.5, 0.55, 0.1), strict=True))
    row = verdict(claim(LOSS, trend("falls"), 0.01), {"runs": runs(LOSS, values)})
    assert row["verdict"] == "supported"
    assert "not monotone: the mean rises from 8 to 32" in row["measured"]
    rising = dict(zip((8, 32, 128), around(0.1, 0.5, 0.55), strict=True))
    throughout = verdict(claim(LOSS, trend("falls"), 0.01), {"runs": runs(LOSS, rising)})
    assert "the mean rises throughout" in throughout["measured"]
    assert row["unit"] == "nat per doubling"


def test_trend_of_values_without_spread_is_tested_by_ranks() -> None:
    values = {size: [1e6 * (60 + size)] * 5 for size in (1, 8, 32, 128)}
    table = runs("host_memory_peak_bytes", values)
    tested = claim("host_memory_peak_bytes", trend("rises", scale="factor"), 1.01)
    row = verdict(tested, {"runs": table})
    assert row["verdict"] == "supported"
    assert math.isnan(row["ci_low"])
    falling = table.assign(host_memory_peak_bytes=1e9 / table["batch_size"])
    assert verdict(tested, {"runs": falling})["verdict"] == "contradicted"


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
        assert row["unit"] == "B per doubling"
        assert row["n"] == 5


def test_one_value_per_size_on_a_line_is_tested_by_ranks() -> None:
    row = verdict(
        claim("utilisation_percent", trend("rises"), 0),
        per_size("utilisation_percent", range(6)),
    )
    assert row["verdict"] == "supported"
    assert row["p"] == pytest.approx(2 / math.factorial(6))


def test_run_that_was_still_improving_has_no_best_epoch() -> None:
    table = runs("selected_epoch", {8: [5.0, 6], 32: [9.0, 20]}, epochs=20.0, stopped_early=False)
    row = verdict(claim("selected_epoch", trend("rises"), 0.25), {"runs": table})
    assert row["verdict"] == "undecided"
    assert row["reason"] == "batch size 32: the run of seed 2 was still improving when its budget ended"


def test_trend_along_another_metric() -> None:
    values = dict(zip((8, 32, 128), around(0.2, 0.3, 0.4), strict=True))
    table = runs(LOSS, values).assign(step_loss_noise=lambda frame: frame["batch_size"] ** -0.5)
    tested = claim(LOSS, trend("falls", along="step_loss_noise"), 0.01)
    row = verdict(tested, {"runs": table})
    assert row["verdict"] == "supported"
    assert row["effect"] == pytest.approx(-0.1, rel=1e-2)  # 0.1 for four times the size, half the noise
    assert row["unit"] == "nat per doubling of noise of the step loss"


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
    timings = [{**cell, **alone, "updates_per_epoch": math.ceil(1168 / cell["batch_size"])} for cell in cells]
    table = runs(LOSS, {size: [0.1] for size in (8, 32, 128)})
    return {"runs": table, "windows": pd.DataFrame(windows), "timings": pd.DataFrame(timings)}


@pytest.mark.parametrize(("at_least", "expected"), [(3, "supported"), (5, "contradicted")])
def test_times_are_compared_over_their_windows(at_least: float, expected: str) -> None:
    tables = timed({8: 0.001, 32: 0.001, 128: 0.001})
    test = {"kind": "ratio", "pairs": [[8, 32], [32, 128]], "at_least": at_least}
    row = verdict(claim("seconds_per_epoch", test), tables)
    assert row["verdict"] == expected
    assert "n = 7 timed windows" in row["measured"]
    per_second = claim("examples_per_second", {"kind": "ratio", "pairs": [["largest", "smallest"]], "at_least": 2})
    assert verdict(per_second, tables)["effect"] == pytest.approx(16)


def test_size_that_was_not_timed_is_not_passed_over() -> None:
    tables = timed({8: 0.001, 32: 0.001})
    test = {"kind": "ratio", "pairs": [[8, 32], [32, 128]], "at_least": 3}
    row = verdict(claim("seconds_per_epoch", test), tables)
    assert row["verdict"] == "undecided"
    assert "batch size 128: not timed" in row["reason"]


def test_diverged_run_leaves_no_support_but_may_leave_a_contradiction() -> None:
    diverged = {(8, 3): "diverged"}
    for means, expected in (((0.4, 0.3, 0.4), "undecided"), ((0.4, 0.3, 0.2), "contradicted")):
        values = dict(zip((8, 32, 128), around(*means), strict=True))
        table = runs(LOSS, values, outcomes=diverged)
        row = verdict(
            claim(LOSS, between("lower", [32], "others"), 0.01),
            {"runs": table},
        )
        assert row["verdict"] == expected
        assert "none at 8 (the run of seed 3 diverged)" in row["measured"]
    row = verdict(claim(LOSS, between("lower", [32], [8]), 0.01), {"runs": table})
    assert row["verdict"] == "undecided"
    assert row["reason"] == "batch size 8: the run of seed 3 diverged"
    assert math.isnan(row["p"])


def test_a_diverged_run_has_an_accuracy_but_no_loss_to_compare() -> None:
    metric = "selected_test_accuracy"
    table = runs(metric, dict(zip((1, 32), around(0.1, 0.9), strict=True)))
    table["outcome"] = table["outcome"].mask((table["batch_size"] == 1) & (table["seed"] < 5), "diverged")
    lower = claim(metric, between("lower", [1], [32]), 0.02)
    row = verdict(lower, {"runs": table})
    assert row["verdict"] == "supported"
    assert "at 1 (4 of 5 runs diverged, and count with the accuracy they had), 0.9" in row["measured"]
    table.loc[0, metric] = math.nan  # not a number at the end
    assert verdict(lower, {"runs": table})["verdict"] == "undecided"
    table["outcome"] = table["outcome"].mask(table["outcome"] == "diverged", "out_of_memory")
    assert "ran out of memory" in verdict(lower, {"runs": table})["reason"]


def test_one_seed_decides_nothing() -> None:
    table = runs(LOSS, {8: [0.9], 32: [0.1]})
    row = verdict(claim(LOSS, between("lower", [32], [8]), 0.01), {"runs": table})
    assert row["verdict"] == "undecided"
    assert row["reason"] == "one repetition gives no spread to test with"
    assert row["effect"] == pytest.approx(-0.8)


@pytest.mark.parametrize(
    ("metric", "test", "reason"),
    [
        (
            LOSS,
            between("lower", [64], "others"),
            "the study has no batch size 64",
        ),
        (
            LOSS,
            between("lower", [8], ["full"]),
            "the study has no full batch",
        ),
        (
            LOSS,
            between("lower", [8], ["smallest"]),
            "the study has only batch size 8 where two",
        ),
        ("lambda_max", trend("rises"), "the study has no probe of sharpness"),
        ("updates_to_target", trend("falls"), "no target was set"),
        ("seconds_per_epoch", trend("falls"), "nothing was timed"),
        ("best_learning_rate", trend("rises"), "no learning rate was tuned"),
        ("gpu_energy_joules", trend("falls"), "energy of the GPU: not measured"),
        ("critical_batch_size", {"kind": "critical", "equals": 128}, "no critical batch size was fitted"),
        (
            LOSS,
            {"kind": "recipes", "key": "shuffle", "first": True, "second": False, "direction": "lower"},
            "no recipe of",
        ),
    ],
)
def test_what_the_study_lacks_is_not_measured(metric: str, test: dict[str, Any], reason: str) -> None:
    table = runs(LOSS, {8: [0.1, 0.2], 32: [0.3, 0.5]}, gpu_energy_joules=math.nan)
    row = verdict(claim(metric, test, 2.0), {"runs": table})
    assert row["verdict"] == "not measured"
    assert row["reason"].startswith(reason)
    assert math.isnan(row["p"])


def test_probe_metric_is_read_from_the_table_of_its_probe() -> None:
    values = dict(zip((8, 32, 128), around(0.4, 0.1, 0.025, noise=1e-4), strict=True))
    gradients = runs("gradient_variance", values).drop(columns="outcome")
    moved = {
        "batch_size": 8,
        "checkpoint_fraction": 0.0,
        "checkpoint_train_loss": math.nan,
        "updates": 0,
        "examples": 1000,
    }
    gradients = gradients.assign(drawn_batch_size=gradients["batch_size"], **moved)
    shrunk = (1000 - gradients["drawn_batch_size"]) / 999  # draws without replacement
    gradients["gradient_variance"] *= shrunk
    tables = {"runs": runs(LOSS, values), "gradients": gradients}
    sloped = claim("gradient_variance", {"kind": "slope", "equals": -1}, 0.1)
    assert verdict(sloped, tables)["verdict"] == "supported"
    of_other = verdict(sloped, {**tables, "gradients": gradients.assign(recipe="other")})
    assert of_other["reason"] == "the probe of gradients does not look at this recipe"


def targets(values: Mapping[float, Mapping[int, Sequence[float]]]) -> pd.DataFrame:
    """Rows of `to_target`: updates by target, size and seed; nan where it was not reached."""
    rows = [
        {
            **{"dataset": "digits", "recipe": "mlp", **of_size(size), "seed": seed},
            **{"metric": "validation_loss", "target": target, "reached": not math.isnan(updates)},
            **{"updates": updates, "epochs": updates * size, "seconds": math.nan},
        }
        for target, sizes in values.items()
        for size, given in sizes.items()
        for seed, updates in enumerate(given, start=1)
    ]
    return pd.DataFrame(rows)


def test_target_is_the_tightest_that_all_runs_reached() -> None:
    loose = {8: [10.0, 11, 12], 32: [9.0, 10.5, 12]}
    common = {8: [400.0, 410, 420], 32: [99.0, 103, 107]}
    tight = {8: [900.0, 910, 920], 32: [math.nan, 200, 201]}
    tables = {
        "runs": runs(LOSS, {8: [0.1] * 3, 32: [0.1] * 3}),
        "to_target": targets({0.5: loose, 0.4: common, 0.3: tight}),
    }
    row = verdict(claim("updates_to_target", trend("falls", scale="factor"), 1.1), tables)
    assert row["verdict"] == "supported"
    assert row["measured"].startswith("Number of updates to the target to validation loss 0.4: 410.0 updates at 8")
    seconds = verdict(claim("seconds_to_target", between("similar", "all", scale="factor"), 1.25), tables)
    assert seconds["reason"] == "time to the target: not measured"
    none = {**tables, "to_target": targets({0.3: tight})}
    row = verdict(claim("updates_to_target", trend("falls"), 1), none)
    assert row["reason"] == "no target was reached by all runs of all sizes"


def trials(power: float, edge: bool = False) -> pd.DataFrame:
    """Trials of four sizes whose best rate grows as a power of the size."""
    rates = np.geomspace(1e-4, 1e2, 25)
    rows = []
    for size in (8, 16, 32, 64):
        for seed in (101, 102, 103):
            best = 1e-2 * (size / 8) ** power * (1 + 0.02 * (seed - 102) * (1 + size / 64)) * (1e9 if edge else 1)
            for rate in rates:
                row = {"dataset": "digits", "recipe": "mlp", **of_size(size), "seed": seed, "learning_rate": rate}
                rows.append({**row, "outcome": "ok", LOSS: 0.1 + math.log(rate / best) ** 2})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("power", "expected"), [(1, "supported"), (0.5, "contradicted")])
def test_best_learning_rates_come_from_the_tuning_seeds(power: float, expected: str) -> None:
    tested = claim("best_learning_rate", {"kind": "slope", "equals": 1}, 0.2)
    tables = {"runs": runs(LOSS, {8: [0.1]}), "trials": trials(power)}
    row = verdict(tested, tables)
    assert row["verdict"] == expected
    assert row["effect"] == pytest.approx(power, abs=0.01)
    assert row["n"] == 3
    row = verdict(tested, {**tables, "trials": trials(power, edge=True)})
    assert row["verdict"] == "undecided"
    assert "the rates tried bound the slope on neither side" in row["reason"]


@pytest.mark.parametrize(("above", "expected"), [(0.02, "contradicted"), (0.05, "undecided")])
def test_rates_beside_those_that_diverge_bound_the_slope(above: float, expected: str) -> None:
    found = trials(1)  # best rates of about 0.01, 0.02, 0.04 and 0.08, of which those above `above` cannot be trained
    found = found.assign(outcome=found["outcome"].mask(found["learning_rate"] > above, "diverged"))
    tables = {"runs": runs(LOSS, {8: [0.1]}), "trials": found}
    row = verdict(claim("best_learning_rate", {"kind": "slope", "equals": 1}, 0.2), tables)
    assert row["verdict"] == expected
    assert row["ci_low"] < row["effect"] < row["ci_high"]
    assert re.search(r"between 0\.\d+ and 0\.\d+ at 64", row["measured"])
    assert re.search(r"log-log slope between \S+ and \S+; with the spread of tuning seeds between", row["measured"])
    assert row["unit"] == "half-way between its bounds"
    other = verdict(claim("best_learning_rate", trend("rises"), 0), tables)
    assert "is the last before training fails or its loss jumps" in other["reason"]


@pytest.mark.parametrize(("size", "words"), [(8, "at least"), (64, "at most")])
def test_a_best_rate_at_the_end_of_the_grid_leaves_one_side_of_the_slope(size: int, words: str) -> None:
    found = trials(0.5)
    best = 1e-2 * (size / 8) ** 0.5
    cut = (found["batch_size"] == size) & (found["learning_rate"] < best * 0.9)  # the best is the lowest tried
    tables = {"runs": runs(LOSS, {8: [0.1]}), "trials": found[~cut]}
    row = verdict(claim("best_learning_rate", {"kind": "slope", "equals": 0.5}, 0.2), tables)
    assert row["verdict"] == "undecided"  # a bound to one side cannot show that the slope is near to something
    assert row["unit"] == words
    assert f"log-log slope {words}" in row["measured"]
    steeper = claim("best_learning_rate", {"kind": "slope", "equals": 1.5 if words == "at most" else -0.5}, 0.2)
    assert verdict(steeper, tables)["verdict"] == "contradicted"


def critical(*rows: tuple[float, float, float, bool], n_sizes: int = 4) -> Tables:
    content = [
        {
            **{"dataset": "digits", "recipe": "mlp", "metric": "validation_loss", "target": 0.5 - 0.1 * i},
            **{"b_crit": value, "ci_low": low, "ci_high": high, "accepted": ok, "reason": "" if ok else "it misfits"},
            **{"n_runs": 25, "n_sizes": 5, "e_min": 5.0 + i},
        }
        for i, (value, low, high, ok) in enumerate(rows)
    ]
    reached = targets({0.5: {size: [1.0] for size in (8, 32, 128, 512)[:n_sizes]}})
    return {"critical_batch_size": pd.DataFrame(content), "to_target": reached}


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
    assert row["verdict"] == expected
    assert row["unit"] == "examples"
    assert row["ci_low"] < row["effect"] < row["ci_high"]
    assert all(f"{0.5 - 0.1 * i:g}" in row["measured"] for i in range(len(rows)))  # the others are shown


def test_a_recipe_with_too_few_sizes_for_the_law_was_not_made_to_show_it() -> None:
    tested = claim("critical_batch_size", {"kind": "critical", "equals": 128}, 2)
    row = verdict(tested, critical((140, 125, 160, False), n_sizes=3), datasets=(), recipes=())
    assert (row["verdict"], row["reason"]) == ("not measured", "3 batch sizes; the fit needs 4")


def test_where_the_law_holds_at_no_target_the_reason_is_given() -> None:
    tested = claim("critical_batch_size", {"kind": "critical", "equals": 128}, 2)
    row = verdict(tested, critical((140, 125, 160, False)), datasets=(), recipes=())
    assert row["verdict"] == "undecided"
    assert "it misfits" in row["reason"]


def test_not_lower_is_shown_also_where_the_first_is_higher() -> None:
    test = between("not_lower", ["largest"], ["smallest"])
    for means, expected in (((0.90, 0.94), "supported"), ((0.94, 0.938), "supported"), ((0.94, 0.90), "contradicted")):
        values = dict(zip((8, 128), around(*means), strict=True))
        row = verdict(claim("selected_test_accuracy", test, 0.01), {"runs": runs("selected_test_accuracy", values)})
        assert row["verdict"] == expected
        assert math.isnan(row["detectable"])


def test_counts_are_exact() -> None:
    right = [
        {"examples": 55000, "batch_size": 8, "updates": 6875},
        {"examples": 54000, "batch_size": 512, "updates": 106},
    ]
    table = runs(LOSS, {8: [0.1], 32: [0.1], "full": [0.1]})
    row = verdict(claim("updates_per_epoch", {"kind": "count", "cases": right}), {"runs": table})
    assert row["verdict"] == "supported"
    assert math.isnan(row["p"])
    assert row["measured"].startswith("All 2 counts of the source and those of 3 runs are")
    wrong = claim("updates_per_epoch", {"kind": "count", "cases": [{**right[1], "updates": 105}]})
    row = verdict(wrong, {"runs": table})
    assert row["verdict"] == "contradicted"
    assert "105 is stated for 54,000 examples at 512, which make 106" in row["measured"]
    dropped = table.assign(updates=3.0 * (1168 // table["batch_size"]))  # at 32 the last 16 examples
    row = verdict(claim("updates_per_epoch", {"kind": "count", "cases": right}), {"runs": dropped})
    assert row["verdict"] == "contradicted"
    assert row["measured"].endswith("a run at 32 made 36 per epoch of 1,168 examples")
