"""Which batch size the advice names, when it calls a question decided, and time against test error."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from fake_advice import JITTER, SEEDS, advised, goal, study
from reading import numbers, tells

from batchscope.analysis import advice

# Time to target


def test_the_least_time_to_the_tightest_target_is_named_and_decided() -> None:
    row = goal(study(), "time_to_target")
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (128, True, "")
    assert row["value"] == pytest.approx(200e-3)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    for target_nearest_and_looser in ((0.5,), (32, 1.5), (128, 0.8)):
        assert tells(row["words"], *target_nearest_and_looser)


def test_sizes_that_are_not_told_apart_leave_the_question_undecided() -> None:
    row = goal(study(updates={8: 600, 32: 201, 128: 200}), "time_to_target")
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (128, False, "32")


def test_a_size_that_misses_the_target_in_one_run_cannot_win() -> None:
    row = goal(study(missed={128: 1}), "time_to_target")
    assert row["batch_size"] == 32
    assert tells(row["words"], 128, 4, 5)  # of five runs four got there


def test_a_size_whose_budget_ended_early_stays_open_and_one_that_had_long_enough_is_out() -> None:
    short = goal(study(missed={128: 5}, budget_epochs=1.0), "time_to_target")
    assert (short["batch_size"], short["decided"], short["not_told_apart"]) == (32, False, "128")
    # 400 epochs of 8 updates take 3.2 s, ten times what 32 needs.
    long = goal(study(missed={128: 5}, budget_epochs=400.0), "time_to_target")
    assert (long["batch_size"], long["decided"], long["not_told_apart"]) == (32, True, "")


@pytest.mark.parametrize(("seeds", "reached"), [(SEEDS, 0), (SEEDS[:1], 4)])
@pytest.mark.parametrize("budget_epochs", [1.0, 400.0])
def test_a_size_with_a_diverged_run_is_not_named_but_not_beaten_either(
    seeds: tuple[int, ...], reached: int, budget_epochs: float
) -> None:
    lost = {(128, seed): "diverged" for seed in seeds}
    row = goal(study(outcomes=lost, budget_epochs=budget_epochs), "time_to_target")
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (32, False, "128")
    assert tells(row["words"], 128, reached, 5)
    assert tells(row["words"], 8, 2.0)  # what could be tested is still said


def test_a_size_followed_for_nobody_knows_how_long_stays_open() -> None:
    row = goal(study(missed={128: 5}, budget_epochs=np.nan), "time_to_target")
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (32, False, "128")


def test_no_size_is_named_where_none_reached_a_target_or_there_is_none() -> None:
    nowhere = study(missed={8: 1, 32: 1, 128: 1})
    assert pd.isna(goal(nowhere, "time_to_target")["batch_size"])
    without = study()
    for name in ("targets", "to_target"):
        without[name] = without[name].iloc[:0]
    row = goal(without, "time_to_target")
    assert pd.isna(row["batch_size"])
    assert pd.isna(row["value"])
    assert not row["decided"]
    assert row["words"]


def test_without_timings_nothing_is_said_about_seconds() -> None:
    tables = study()
    tables["to_target"]["seconds"] = np.nan
    row = goal(tables, "time_to_target")
    assert pd.isna(row["batch_size"])
    assert row["words"]


def test_timings_that_are_not_known_that_well_tell_nothing_apart() -> None:
    tables = study(updates={8: 600, 32: 225, 128: 200}, jitter=JITTER / 100)
    assert goal(tables, "time_to_target")["decided"]
    tables["timings"]["seconds_per_update_error"] = 0.03
    row = goal(tables, "time_to_target")
    assert (row["decided"], row["not_told_apart"]) == (False, "32")


def test_a_machine_that_something_else_used_is_named_where_times_are_compared() -> None:
    tables = study(accuracy={8: 0.80, 16: 0.949, 32: 0.95}, updates=dict.fromkeys((8, 16, 32), 100.0))
    warned = ("time_to_target", "test_accuracy")
    assert not any("core they had reserved" in goal(tables, name)["words"] for name in warned)
    tables["timings"].loc[0, "cpu_percent_mean"] = 50.0
    for name in warned:
        assert "1 of 3 timings got less than 90 % of the core they had reserved" in goal(tables, name)["words"]
    assert "core they had reserved" not in goal(tables, "memory")["words"]


def test_the_quickest_of_equal_sizes_is_not_named_where_one_timing_each_cannot_tell() -> None:
    tables = study(
        accuracy={8: 0.80, 32: 0.95, 64: 0.949},
        updates=dict.fromkeys((8, 32, 64), 100.0),
        per_update={8: 0.001, 32: 0.001, 64: 0.00195},  # half as many updates
    )
    words = goal(tables, "test_accuracy")["words"]
    assert "32 and 64 train to their selected epoch in times that are not distinguishable with one timing each" in words


def test_where_higher_is_better_the_tightest_target_is_the_highest() -> None:
    imported = {"measurements": {"runs": {"better": "higher", "shared_seeds": False}}, "recipes": {}}
    assert tells(goal(study(), "time_to_target", imported)["words"], 0.8)
    assert not tells(goal(study(), "time_to_target", imported)["words"], 0.5, 32)


# Accuracy, memory, energy


def test_accuracy_names_the_best_mean_and_of_those_close_to_it_the_quickest() -> None:
    row = goal(
        study(
            accuracy={8: 0.80, 16: 0.949, 32: 0.95, 64: 0.949, 128: 0.949},
            updates=dict.fromkeys((8, 16, 32, 64, 128), 100.0),
        ),
        "test_accuracy",
    )
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (32, False, "16; 64; 128")
    # 10 epochs of 32 updates against 10 of 8, at the same time per update
    assert tells(row["words"], 128, 80.0)
    assert tells(row["words"], 4.0, 32, 0.949, 0.950)


def test_a_size_that_lost_a_run_may_still_be_the_best_in_accuracy() -> None:
    assert goal(study(), "test_accuracy")["decided"]
    row = goal(study(outcomes={(32, 3): "out_of_memory"}), "test_accuracy")
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (128, False, "32")
    two = goal(study(outcomes={(32, 3): "out_of_memory", (8, 1): "diverged"}), "test_accuracy")
    assert (two["batch_size"], two["decided"], two["not_told_apart"]) == (128, False, "8; 32")


def test_where_every_size_lost_a_run_none_is_named() -> None:
    lost = {(size, size): "diverged" for size in (1, 2, 3)}
    row = goal(
        study(accuracy=dict.fromkeys((1, 2, 3), 0.9), updates={1: 3, 2: 2, 3: 1}, outcomes=lost), "test_accuracy"
    )
    assert pd.isna(row["batch_size"])
    assert (row["decided"], row["not_told_apart"]) == (False, "")
    assert row["words"]
    assert not numbers(row["words"])


def test_amounts_of_memory_that_never_vary_are_told_apart() -> None:
    row = goal(study(), "memory")
    assert (row["batch_size"], row["value"], row["unit"], row["decided"]) == (8, 58.0, "MB", True)
    assert tells(row["words"], 128, 3.07)


def test_no_size_is_named_for_memory_that_is_nearly_the_same() -> None:
    tables = study()
    sizes = tables["runs"]["batch_size"]
    tables["runs"]["host_memory_peak_bytes"] = 50e6 + 1e6 * sizes.rank(method="dense")
    row = goal(tables, "memory")
    assert math.isnan(row["value"])
    assert not row["decided"]
    assert tells(row["words"], 51.0, 8)


def test_memory_of_a_size_that_lost_a_run_is_open() -> None:
    row = goal(study(outcomes={(8, 1): "out_of_memory"}), "memory")
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (32, False, "8")


def test_a_peak_of_no_memory_is_a_value_without_ratios() -> None:
    tables = study()
    tables["runs"].loc[tables["runs"]["batch_size"] == 8, "host_memory_peak_bytes"] = 0.0
    row = goal(tables, "memory")
    assert (row["batch_size"], row["value"], row["decided"]) == (8, 0.0, True)
    assert "times" not in row["words"]


def test_energy_is_that_to_the_target_else_per_epoch_else_a_reason() -> None:
    tables = study()
    assert "NVIDIA" in goal(tables, "energy")["words"]
    assert pd.isna(goal(tables, "energy")["value"])
    tables["summary"] = tables["summary"].assign(energy_per_epoch_joules=[9.0, 3.0, 6.0], energy_kind="GPU")
    row = goal(tables, "energy")
    assert (row["batch_size"], row["value"], row["decided"]) == (32, 3.0, False)
    tables["to_target"]["joules"] = tables["to_target"]["seconds"] * 50
    row = goal(tables, "energy")
    assert (row["batch_size"], row["decided"], row["unit"]) == (128, True, "J")
    assert row["value"] == pytest.approx(10.0)


def test_one_size_is_never_called_decided() -> None:
    found = advised(study(accuracy={32: 0.9}, updates={32: 100}))
    assert not found.loc[found["goal"] != "decision_tree", "decided"].any()


# Pareto


def test_the_front_holds_what_nothing_beats_in_both_means() -> None:
    tables = study(
        accuracy={8: 0.95, 32: 0.95, 128: 0.90, 512: 0.89},
        updates=dict.fromkeys((8, 32, 128, 512), 1.0),
        per_update={8: 1e-3, 32: 1e-3, 128: 1e-3, 512: 9e-3},
    )
    front = advice.pareto(tables["runs"], tables["timings"]).set_index("batch_size")
    assert front["seconds_mean"].to_dict() == pytest.approx({8: 1.28, 32: 0.32, 128: 0.08, 512: 0.18})
    assert front["test_error_mean"].to_dict() == pytest.approx({8: 0.05, 32: 0.05, 128: 0.10, 512: 0.11})
    assert front.index[front["on_front"]].tolist() == [32, 128]


def test_a_size_without_a_timing_or_with_a_lost_run_is_not_on_the_front() -> None:
    tables = study(outcomes={(32, 1): "diverged"})
    front = advice.pareto(tables["runs"], tables["timings"][tables["timings"]["batch_size"] != 8])
    assert front["batch_size"].tolist() == [128]
    assert advice.pareto(tables["runs"], tables["timings"].iloc[:0]).empty


@pytest.mark.parametrize(
    ("n_train", "size", "per_epoch", "epoch", "updates"),
    [
        (1000, 800, 2, 0.8, 1),  # the first of two batches holds 80 % of the examples
        (1000, 800, 2, 1.0, 2),
        (1000, 800, 2, 3.8, 7),
        (1000, 300, 3, 2 / 3, 2),  # the last, smaller batch is dropped
        (1000, 1000, 1, 5.0, 5),
        (60_000, 7, 8572, 2 + 4000 * 7 / 60_000, 2 * 8572 + 4000),
    ],
)
def test_time_to_the_selected_epoch_is_that_of_whole_updates(
    n_train: int, size: int, per_epoch: int, epoch: float, updates: int
) -> None:
    cell = {"dataset": "d", "recipe": "r", "batch_size": size, "full_batch": False}
    of_epochs = {"n_train": n_train, "updates_per_epoch": per_epoch, "selected_epoch": epoch}
    runs = pd.DataFrame([{**cell, **of_epochs, "seed": 1, "outcome": "ok", "selected_test_accuracy": 0.9}])
    front = advice.pareto(runs, pd.DataFrame([{**cell, "seconds_per_update": 0.5}]))
    assert front["seconds_mean"].tolist() == pytest.approx([0.5 * updates])


def test_sizes_that_share_the_best_mean_are_named_together_and_none_alone() -> None:
    row = goal(study(accuracy={8: 0.9, 32: 0.9, 128: 0.7}, jitter=np.zeros(5)), "test_accuracy")
    assert pd.isna(row["batch_size"])
    assert tells(row["words"], 8, 32, 0.9)
    assert numbers(row["words"])[-1] == 32  # of these the quickest


def test_a_time_known_only_to_lie_between_two_evaluations_names_no_size() -> None:
    tables = study(jitter=np.zeros(5), resolution=50.0)
    row = goal(tables, "time_to_target")
    assert pd.isna(row["batch_size"])
    assert tells(row["words"], 8, 128, 0.5)
    assert goal(study(jitter=np.zeros(5)), "time_to_target")["batch_size"] == 128
    far = study(
        updates={8: 9000, 32: 3000, 128: 2}, resolution=0.4
    )  # at 128 within its first epoch, long before others
    assert goal(far, "time_to_target")["batch_size"] == 128
