"""The recommended batch size: the quickest of those that are not significantly worse, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fakes import cell
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from batchscope.analysis.best import best, ranks
from batchscope.analysis.recommendation import recommendation
from batchscope.analysis.times import ERROR
from batchscope.jobs import tables as study
from batchscope.tables import codebook, records
from batchscope.tables.cells import Pair

NEAR = {8: [1.0, 1.2, 0.9, 1.1], 32: [1.02, 1.19, 0.93, 1.09], 128: [2.0, 2.25, 1.9, 2.12]}


def made_runs(values: Mapping[int, Sequence[float | None]], **columns: Any) -> pd.DataFrame:
    """Runs by batch size, with seeds from 1; a None diverged."""
    metric = columns.pop("metric", "selected_validation_loss")
    rows = [
        {
            **dict.fromkeys(records.TABLES["run"]),
            **cell(size),
            **{"seed": seed, metric: value, "outcome": "diverged" if value is None else "ok"},
            **{"epochs": 10.0, "selected_epoch": 4.0, "n_train": 1024, "updates_per_epoch": 1024 // size},
            "stopped_early": False,
            **columns,
        }
        for size, of_size in values.items()
        for seed, value in enumerate(of_size, start=1)
    ]
    return pd.DataFrame(rows)


def made_timings(seconds_per_update: Mapping[int, float]) -> pd.DataFrame:
    rows = [
        {
            **dict.fromkeys(records.TABLES["timing"]),
            **cell(size),
            **{"outcome": "ok", "updates_per_epoch": 1024 // size, "seconds_per_update": seconds},
            "seconds_per_epoch": seconds * (1024 // size),
        }
        for size, seconds in seconds_per_update.items()
    ]
    return pd.DataFrame(rows) if rows else study.concat("timing", [])


ALL_TIMED = made_timings({8: 0.010, 32: 0.011, 128: 0.012})
NO_ADVICE = codebook.frame(
    "advice", [{**cell(8), "batch_size": None, "full_batch": None, "goal": "time_to_target", "unit": ""}]
)


def row(
    runs: pd.DataFrame,
    timings: pd.DataFrame = ALL_TIMED,
    advice: pd.DataFrame = NO_ADVICE,
    tuned: Mapping[Pair, str] | None = None,
    *,
    paired: bool = True,
) -> pd.Series[Any]:
    tables = {"runs": runs, "timings": timings, "best": best(runs, timings, paired=paired), "advice": advice}
    return recommendation(tables, tuned or {}).iloc[0]


def test_of_the_sizes_not_significantly_worse_the_quickest_is_recommended() -> None:
    found = row(made_runs(NEAR))
    assert (found["basis"], found["batch_size"], found["best_batch_size"]) == ("quality", 32, 8)
    assert (found["not_worse"], found["worse"], found["edge"], found["reason"]) == ("8", "128", "", "")
    assert found["difference"] == pytest.approx(0.0075)
    assert found["seconds"] == pytest.approx(4 * 32 * 0.011)  # four epochs of 32 updates
    assert (found["slowest_batch_size"], found["slowest_seconds"]) == (8, pytest.approx(4 * 128 * 0.010))
    assert found["best_seconds"] == pytest.approx(4 * 128 * 0.010)
    assert found["seeds_to_tell"] > 4


def test_times_that_one_timing_each_cannot_tell_apart_are_named() -> None:
    near = made_timings({8: 0.010, 32: 0.0416, 128: 0.012})  # epochs of 1.28 and 1.33 s
    assert row(made_runs(NEAR), near)["as_fast"] == "32"
    assert row(made_runs(NEAR))["as_fast"] == ""
    for error, named in ((0.4, ""), (0.5, "8")):  # exp(t √2 0.4) is 3.1, of 0.5 it is 4.2; the times differ by 3.6
        loose = made_timings({8: 0.010, 32: 0.011, 128: 0.012}).assign(**{ERROR: error, "windows": 20})
        assert row(made_runs(NEAR), loose)["as_fast"] == named


def test_a_quicker_size_that_is_worse_is_not_recommended_and_a_single_good_size_needs_no_timing() -> None:
    far = {8: [1.0, 1.2, 0.9, 1.1], 32: [2.02, 2.19, 1.93, 2.09], 128: [3.0, 3.25, 2.9, 3.12]}
    assert row(made_runs(far))["batch_size"] == 8
    found = row(made_runs(far), made_timings({}))
    assert (found["batch_size"], found["edge"]) == (8, "smallest")
    assert np.isnan(found["seconds"])
    assert found["not_worse"] == ""


def test_without_timings_sizes_that_cannot_be_distinguished_leave_the_answer_open() -> None:
    found = row(made_runs(NEAR), made_timings({8: 0.010}))
    assert (found["basis"], found["reason"], found["best_batch_size"]) == ("none", "not timed", 8)
    assert pd.isna(found["batch_size"])
    assert found["not_worse"] == "32"


def test_where_the_selected_epoch_is_not_known_the_time_per_epoch_decides() -> None:
    found = row(made_runs(NEAR, selected_epoch=None, epochs=None))
    assert (found["batch_size"], found["seconds_kind"]) == (32, "per epoch")
    assert found["seconds"] == pytest.approx(32 * 0.011)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({8: [1.0, 1.1]}, "one batch size only"),
        ({8: [1.0], 32: [1.1]}, "one run per batch size"),
        ({8: [1.0, 2.0, 3.0], 32: [1.5, 2.5, 3.5]}, "runs without spread"),
        ({8: [1.0, None], 32: [None, 2.0]}, "every batch size lost a run"),
        ({8: [None, None], 32: [None, None]}, "no result to compare"),
    ],
)
def test_why_no_size_is_recommended(values: dict[int, list[float | None]], reason: str) -> None:
    found = row(made_runs(values))
    assert (found["basis"], found["reason"]) == ("none", reason)
    assert pd.isna(found["batch_size"])


def test_a_size_that_lost_a_run_is_not_compared() -> None:
    found = row(made_runs({**NEAR, 32: [0.1, None, 0.2, 0.1]}))
    assert (found["batch_size"], found["not_compared"]) == (8, "32")


def test_accuracy_is_better_where_it_is_higher_and_serves_where_there_is_no_loss() -> None:
    better = {size: [1 - value / 10 for value in values] for size, values in NEAR.items()}
    for metric in ("selected_validation_accuracy", "last_test_accuracy"):
        found = row(made_runs(better, metric=metric))
        assert (found["metric"], found["batch_size"], found["worse"]) == (metric, 32, "128")


def test_runs_without_any_result_are_compared_by_their_time_to_a_target() -> None:
    values = {"goal": "time_to_target", "value": 3.5, "unit": "s", "not_told_apart": "8"}
    answer = codebook.frame("advice", [{**cell(32), **values}])
    found = row(made_runs(NEAR, selected_validation_loss=None), ALL_TIMED, answer)
    assert (found["basis"], found["batch_size"], found["seconds"], found["not_worse"]) == ("target", 32, 3.5, "8")


def test_sizes_that_were_still_improving_are_named_and_so_is_the_fairer_recipe() -> None:
    runs = made_runs(NEAR)
    runs.loc[(runs["batch_size"] == 8) & (runs["seed"] <= 2), "selected_epoch"] = 10.0  # half are not most
    runs.loc[(runs["batch_size"] == 128) & (runs["seed"] <= 3), "selected_epoch"] = 10.0
    found = row(runs, tuned={("digits", "mlp"): "mlp-tuned"})
    assert (found["still_improving"], found["superseded_by"]) == ("128", "mlp-tuned")
    assert row(runs.assign(stopped_early=True))["still_improving"] == ""


def test_most_of_the_runs_that_ended_well_tell_that_a_size_was_still_improving() -> None:
    runs = made_runs({8: [1.0, 1.2, 0.9, 1.1], 32: [1.0, 1.2, None, None]})
    assert row(runs)["still_improving"] == ""
    runs.loc[(runs["batch_size"] == 32) & (runs["outcome"] == "ok"), "selected_epoch"] = 10.0
    assert row(runs)["still_improving"] == "32"


def test_runs_that_share_nothing_are_compared_by_welch() -> None:
    losses = {8: [0.500, 0.521, 0.539], 16: [0.511, 0.530, 0.551]}
    expected = stats.ttest_ind(losses[16], losses[8], equal_var=False)
    found = best(made_runs(losses), ALL_TIMED, paired=False).iloc[1]
    assert (found["p"], found["difference"]) == pytest.approx(
        (expected.pvalue, np.mean(losses[16]) - np.mean(losses[8]))
    )
    ends = expected.confidence_interval()
    assert (found["difference_ci_low"], found["difference_ci_high"]) == pytest.approx((ends.low, ends.high))
    assert best(made_runs(losses), ALL_TIMED).iloc[1]["p"] == pytest.approx(0.0068, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 10**9), min_size=12, max_size=12, unique=True))
def test_numbers_of_unpaired_runs_change_nothing(random: Any, numbers: list[int]) -> None:
    runs = made_runs(NEAR)
    runs["selected_test_accuracy"] = 1 - runs["selected_validation_loss"] / 10
    shuffled = runs.assign(seed=random.sample(numbers, len(runs)))
    for table in (lambda found: best(found, ALL_TIMED, paired=False), lambda found: ranks(found, paired=False)):
        pd.testing.assert_frame_equal(table(runs), table(shuffled))


def test_a_missing_number_does_not_leave_out_a_size_of_unpaired_runs() -> None:
    found = best(made_runs({**NEAR, 128: NEAR[128][:3]}), ALL_TIMED, paired=False)
    assert found["status"].tolist() == ["best", "compared", "compared"]
    assert found["n"].tolist() == [4, 4, 3]
