"""How the decision tree is followed, and what is said of where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from fake_advice import STUDY, goal, study

from batchscope.analysis import decision_tree


def walk(tables: Mapping[str, pd.DataFrame], model: Mapping[str, Any] | None = None) -> list[tuple[str, str, str]]:
    resolved = {"recipes": {"mlp": {"model": model or {"normalization": "none"}, "micro_batch_size": None}}}
    found = decision_tree.tree(tables, resolved["recipes"])
    return list(zip(found["question"], found["answer"], found["next"], strict=True))


def test_a_calm_walk_stays_at_32() -> None:
    steps = walk(study(seconds_per_epoch=1.0))
    assert steps[0] == ("Start with batch size 32", "start there", "batch size 32")
    assert [answer for _, answer, _ in steps[1:]] == ["no"] * 5
    assert {following for *_, following in steps} == {"batch size 32"}
    row = goal(study(), "decision_tree")
    assert row["batch_size"] == 32
    assert "In test accuracy this agrees with the measurement" in row["words"]
    assert "In time to target this disagrees with the measurement: it is told apart as worse than 128" in row["words"]
    assert row["decided"]


def test_without_32_the_nearest_size_is_the_start() -> None:
    steps = walk(study(accuracy={4: 0.9, 24: 0.9, 512: 0.9}, updates=dict.fromkeys((4, 24, 512), 1.0)))
    assert steps[0][1:] == ("32 is not among them: start at the nearest", "batch size 24")


def test_instability_leads_up_to_the_largest_size_that_the_source_names() -> None:
    sizes = dict.fromkeys((8, 32, 64, 128, 256), 0.9)
    steps = walk(study(accuracy=sizes, updates=dict.fromkeys(sizes, 1.0), curve=(2.3, 0.5, 1.5, 0.4)))
    asked = [step for step in steps if "unstable" in step[0]]
    assert [step[2] for step in asked] == ["batch size 64", "batch size 128", "batch size 128"]
    assert "no larger size up to the 128" in asked[-1][1]


def test_the_number_and_the_threshold_that_decided_are_shown() -> None:
    measured = decision_tree.tree(study(curve=(2.0, 1.0, 1.05, 0.9)), STUDY["recipes"])["measured"].tolist()
    assert any(
        "4.5 % of its whole fall (ours: a run diverged, or the rise is over 10 %)" in words for words in measured
    )
    assert any(
        "(ours: slow is over 2.00 times)" in words or "(ours: slow is over 2.0 times)" in words for words in measured
    )


def test_slow_goes_up_where_the_processor_idles_and_stays_where_it_does_not() -> None:
    times = {8: 9.0, 32: 5.0, 128: 1.0}
    idle = walk(study(seconds_per_epoch=times, utilisation_percent=20.0))
    assert [step[2] for step in idle if "used little" in step[0]] == ["batch size 128"]
    busy = walk(study(seconds_per_epoch=times, utilisation_percent=95.0))
    assert [step[1:] for step in busy if "used little" in step[0]] == [("no: keep the size", "batch size 32")]
    disturbed = study(seconds_per_epoch=times, utilisation_percent=39.0)
    disturbed["timings"]["cpu_percent_mean"] = 39.0
    assert [step[1:] for step in walk(disturbed) if "used little" in step[0]] == [
        ("not known: keep the size", "batch size 32")
    ]
    unknown = walk(study(seconds_per_epoch=times, utilisation_percent=np.nan))
    assert [step[1] for step in unknown if "used little" in step[0]] == ["not measured: keep the size"]


def test_a_wide_gap_leads_down_but_not_below_what_the_source_names() -> None:
    sizes = dict.fromkeys((2, 8, 16, 32), 0.9)
    steps = walk(
        study(accuracy=sizes, updates=dict.fromkeys(sizes, 1.0), gap_mean=0.2, gap_ci_low=0.1, gap_ci_high=0.3)
    )
    assert [step[2] for step in steps if "far below" in step[0]] == ["batch size 16", "batch size 8", "batch size 8"]
    wide = walk(
        study(accuracy=sizes, updates=dict.fromkeys(sizes, 1.0), gap_mean=0.04, gap_ci_low=-0.3, gap_ci_high=0.4)
    )
    assert [step[1:] for step in wide if "far below" in step[0]] == [("not known: keep the size", "batch size 32")]


def test_batch_normalization_wants_sixteen() -> None:
    sizes = dict.fromkeys((8, 16, 32), 0.9)
    tables = study(accuracy=sizes, updates=dict.fromkeys(sizes, 1.0), gap_mean=0.2, gap_ci_low=0.1, gap_ci_high=0.3)
    steps = walk(tables, {"normalization": "batch"})
    assert [step[1:] for step in steps if "normalization" in step[0]] == [("yes: at least 16", "batch size 16")]
    unknown = walk(tables, {"function": "model.py:build"})
    assert [step[1] for step in unknown if "normalization" in step[0]] == ["not known: keep the size"]


def test_short_memory_leads_to_the_smallest_size_that_fits() -> None:
    steps = walk(study(outcomes={(32, 2): "out_of_memory", (128, 2): "out_of_memory"}))
    assert steps[-1][2] == "batch size 8"
    assert steps[-1][1].startswith("yes: the smallest size that fits, with gradients accumulated")


def test_measurements_without_curves_are_not_asked() -> None:
    tables = study()
    tables["evaluations"] = tables["evaluations"].iloc[:0]
    assert decision_tree.tree(tables, STUDY["recipes"]).empty
    row = goal(tables, "decision_tree")
    assert pd.isna(row["batch_size"])
    assert row["words"].startswith("Not followed")


def test_where_the_tree_ends_among_sizes_that_are_not_told_apart_nothing_is_claimed() -> None:
    row = goal(study(accuracy={8: 0.9, 32: 0.95, 128: 0.951}, updates={8: 600, 32: 201, 128: 200}), "decision_tree")
    assert not row["decided"]
    assert "it cannot be told apart from 128" in row["words"]


def test_a_loss_that_never_falls_is_unstable() -> None:
    curve = pd.DataFrame({"seed": 1, "evaluation": [0, 1, 2], "epoch": [0, 1, 2], "train_loss": [1.0, 2.0, 3.0]})
    assert decision_tree.largest_rise(curve) == np.inf


def test_how_often_a_run_is_looked_at_within_an_epoch_does_not_make_it_unstable() -> None:
    epochs, losses = [0, 0.01, 0.02, 1, 1.5, 2], [2.0, 1.5, 1.9, 1.0, 1.2, 0.9]
    curve = pd.DataFrame({"seed": 1, "evaluation": range(6), "epoch": epochs, "train_loss": losses})
    assert decision_tree.largest_rise(curve) == 0


def test_where_the_tree_ends_at_a_size_that_lost_a_value_it_is_not_compared() -> None:
    tables = study()
    runs = tables["runs"]
    runs.loc[(runs["batch_size"] == 32) & (runs["seed"] == 1), "selected_test_accuracy"] = np.nan
    row = goal(tables, "decision_tree")
    assert (row["batch_size"], row["decided"]) == (32, False)
    assert "In test accuracy it could not be compared with 128, which has the best mean." in row["words"]


def test_the_best_size_is_not_called_so_while_another_lost_a_value() -> None:
    tables = study()
    runs = tables["runs"]
    runs.loc[(runs["batch_size"] == 8) & (runs["seed"] == 1), "selected_test_accuracy"] = np.nan
    row = goal(tables, "decision_tree")
    assert not row["decided"]
    assert "In test accuracy it has the best mean, but whether it is the best size cannot be told." in row["words"]
