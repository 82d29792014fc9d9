"""How the decision tree is followed, and what is said of where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_advice import STUDY, goal, study
from reading import numbers, tells

from batchscope.analysis import decision_tree


def walk(
    tables: Mapping[str, pd.DataFrame], model: Mapping[str, Any] | None = None, about: str = ""
) -> list[tuple[str, int]]:
    """Of the steps whose question has a word: the answer up to its colon, and the size to go on with."""
    recipes = {"mlp": {"model": model or {"normalization": "none"}, "micro_batch_size": None}}
    found = decision_tree.tree(tables, recipes)
    found = found[found["question"].str.contains(about)]
    answers = [answer.partition(":")[0] for answer in found["answer"]]
    return [(answer, int(*numbers(following))) for answer, following in zip(answers, found["next"], strict=True)]


def test_a_calm_walk_stays_at_32() -> None:
    steps = walk(study(seconds_per_epoch=1.0))
    assert steps[1:] == [("no", 32)] * 5
    assert steps[0][1] == 32
    row = goal(study(), "decision_tree")
    assert row["batch_size"] == 32
    assert tells(row["words"], 128)  # in time to target it is worse than that
    assert row["decided"]


def test_without_32_the_nearest_size_is_the_start() -> None:
    steps = walk(study(accuracy={4: 0.9, 24: 0.9, 512: 0.9}, updates=dict.fromkeys((4, 24, 512), 1.0)))
    assert steps[0][1] == 24


def test_instability_leads_up_to_the_largest_size_that_the_source_names() -> None:
    sizes = dict.fromkeys((8, 32, 64, 128, 256), 0.9)
    tables = study(accuracy=sizes, updates=dict.fromkeys(sizes, 1.0), curve=(2.3, 0.5, 1.5, 0.4))
    assert [size for _, size in walk(tables, about="unstable")] == [64, 128, 128]


def test_the_number_and_the_threshold_that_decided_are_shown() -> None:
    measured = decision_tree.tree(study(curve=(2.0, 1.0, 1.05, 0.9)), STUDY["recipes"])["measured"].tolist()
    assert any(tells(words, 4.5, 10) for words in measured)  # per cent of the whole fall
    assert any(numbers(words)[-1:] == [2.0] for words in measured)  # times as slow


def test_slow_goes_up_where_the_processor_idles_and_stays_where_it_does_not() -> None:
    times = {8: 9.0, 32: 5.0, 128: 1.0}
    idle = walk(study(seconds_per_epoch=times, utilisation_percent=20.0), about="used little")
    assert [size for _, size in idle] == [128]
    busy = walk(study(seconds_per_epoch=times, utilisation_percent=95.0), about="used little")
    assert busy == [("no", 32)]
    disturbed = study(seconds_per_epoch=times, utilisation_percent=39.0)
    disturbed["timings"]["cpu_percent_mean"] = 39.0
    assert walk(disturbed, about="used little") == [("not known", 32)]
    unknown = walk(study(seconds_per_epoch=times, utilisation_percent=np.nan), about="used little")
    assert unknown == [("not measured", 32)]


@pytest.mark.parametrize(
    ("seconds", "answer"), [(1.8, "no"), (2.05, "not known"), (1.95, "not known"), (2.3, "yes: look at")]
)
def test_slow_is_not_known_where_another_timing_may_say_otherwise(seconds: float, answer: str) -> None:
    tables = study(seconds_per_epoch={8: 9.0, 32: seconds, 128: 1.0})
    tables["timings"].loc[0, "cpu_percent_mean"] = 50.0
    steps = decision_tree.tree(tables, STUDY["recipes"])
    (first,) = steps[steps["question"].str.contains("slow")].to_dict("records")[:1]
    assert first["answer"].startswith(answer)
    assert "1 of 3 timings got less than 90 %" in first["measured"]


def test_a_wide_gap_leads_down_but_not_below_what_the_source_names() -> None:
    sizes = dict.fromkeys((2, 8, 16, 32), 0.9)
    updates = dict.fromkeys(sizes, 1.0)
    sure = study(accuracy=sizes, updates=updates, gap_mean=0.2, gap_ci_low=0.1, gap_ci_high=0.3)
    assert [size for _, size in walk(sure, about="far below")] == [16, 8, 8]
    wide = study(accuracy=sizes, updates=updates, gap_mean=0.04, gap_ci_low=-0.3, gap_ci_high=0.4)
    assert walk(wide, about="far below") == [("not known", 32)]


def test_batch_normalization_wants_sixteen() -> None:
    sizes = dict.fromkeys((8, 16, 32), 0.9)
    tables = study(accuracy=sizes, updates=dict.fromkeys(sizes, 1.0), gap_mean=0.2, gap_ci_low=0.1, gap_ci_high=0.3)
    assert walk(tables, {"normalization": "batch"}, "normalization") == [("yes", 16)]
    ((answer, _),) = walk(tables, {"function": "model.py:build"}, "normalization")
    assert answer == "not known"


def test_short_memory_leads_to_the_smallest_size_that_fits() -> None:
    steps = walk(study(outcomes={(32, 2): "out_of_memory", (128, 2): "out_of_memory"}))
    assert steps[-1] == ("yes", 8)


def test_measurements_without_curves_are_not_asked() -> None:
    tables = study()
    tables["evaluations"] = tables["evaluations"].iloc[:0]
    assert decision_tree.tree(tables, STUDY["recipes"]).empty
    row = goal(tables, "decision_tree")
    assert pd.isna(row["batch_size"])
    assert not numbers(row["words"])


def test_where_the_tree_ends_among_sizes_that_are_not_told_apart_nothing_is_claimed() -> None:
    row = goal(study(accuracy={8: 0.9, 32: 0.95, 128: 0.951}, updates={8: 600, 32: 201, 128: 200}), "decision_tree")
    assert not row["decided"]
    assert tells(row["words"], 128)


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
    assert tells(row["words"], 128)  # which has the best mean


def test_the_best_size_is_not_called_so_while_another_lost_a_value() -> None:
    tables = study()
    runs = tables["runs"]
    runs.loc[(runs["batch_size"] == 8) & (runs["seed"] == 1), "selected_test_accuracy"] = np.nan
    row = goal(tables, "decision_tree")
    assert not row["decided"]
