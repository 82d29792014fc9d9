"""Epochs, updates, seconds and joules to a target, run by run and over the runs of a batch size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batchscope.analysis.targets import first_crossing, summarise, to_target
from batchscope.tables.codebook import dtypes

NAN = float("nan")


def run_of(
    losses: list[float],
    *,
    batch_size: int = 10,
    seed: int = 1,
    outcome: str = "ok",
    stopped_early: bool | None = False,
) -> dict[str, Any]:
    ended = {"outcome": outcome, "stopped_early": stopped_early}
    return {"batch_size": batch_size, "seed": seed, "losses": losses, **ended}


def tables(*made: dict[str, Any], per_epoch: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and evaluations of 100 examples, `per_epoch` evaluations per epoch, the first before training."""
    runs, evaluations = [], []
    for run in made:
        head = {"dataset": "d", "recipe": "r", "full_batch": False} | {k: run[k] for k in ("batch_size", "seed")}
        planned = {"n_train": 100, "updates_per_epoch": -(-100 // run["batch_size"])}
        runs.append({**head, **planned, "outcome": run["outcome"], "stopped_early": run["stopped_early"]})
        for number, loss in enumerate(run["losses"]):
            epoch = number / per_epoch
            counts = {"epoch": epoch, "updates": round(epoch * 100 / run["batch_size"]), "examples": round(epoch * 100)}
            measured = {"validation_loss": loss, "validation_accuracy": 1 - loss / 10}
            evaluations.append({**head, "evaluation": number, **counts, **measured})
    return pd.DataFrame(runs), pd.DataFrame(evaluations)


def timings(**columns: Any) -> pd.DataFrame:
    known: dict[str, Any] = {"dataset": "d", "recipe": "r", "batch_size": 10, "full_batch": False}
    known |= {"seconds_per_update": 0.5, "seconds_per_epoch": 5.0}
    energy = {"windows": 4, "updates_per_window": 5, "gpu_energy_joules": NAN, "cpu_package_energy_joules": NAN}
    return pd.DataFrame([known | energy | columns])


def wanted(*values: float, metric: str = "validation_loss", **keys: Any) -> list[dict[str, Any]]:
    return [{"datasets": None, "metric": metric, "values": list(values), "evaluations_in_a_row": 2} | keys]


def only(frame: pd.DataFrame) -> pd.Series[Any]:
    assert len(frame) == 1
    return frame.iloc[0]


def test_first_of_two_evaluations_in_a_row_counts() -> None:
    runs, evaluations = tables(run_of([2.0, 0.9, 1.2, 0.9, 0.8, 0.7]))
    row = only(to_target(runs, evaluations, timings(), wanted(1.0)))
    assert row["reached"]
    assert (row["epochs"], row["updates"], row["examples"]) == (2.5, 25, 250)  # half-way from the second to the third
    assert row["seconds"] == 12.5
    assert row["resolution_epochs"] == 1.0
    assert row["budget_epochs"] == 5.0


def test_one_evaluation_is_enough_where_the_study_says_so() -> None:
    runs, evaluations = tables(run_of([2.0, 0.9, 1.2]))
    assert only(to_target(runs, evaluations, timings(), wanted(1.0, evaluations_in_a_row=1)))["epochs"] == 0.5


@pytest.mark.parametrize("every", [1, 4, 16])
def test_how_often_a_run_is_looked_at_moves_the_epochs_by_no_more_than_half_a_gap(every: int) -> None:
    runs, evaluations = tables(run_of([2.005 - 0.01 * place for place in range(129)]), per_epoch=16)
    seen = evaluations[evaluations["evaluation"] % every == 0]
    row = only(to_target(runs, seen, timings(), wanted(1.0)))
    assert row["resolution_epochs"] == every / 16
    assert abs(row["epochs"] - 100.5 / 16) <= every / 32  # the line falls below 1 after 100.5 of 16 per epoch


def test_what_was_spent_is_half_way_also_where_evaluations_are_not_evenly_spaced() -> None:
    runs, evaluations = tables(run_of([2.0, 1.5, 1.2, 0.9, 0.8]))
    evaluations = evaluations[evaluations["evaluation"] != 2]
    row = only(to_target(runs, evaluations, timings(gpu_energy_joules=40.0), wanted(1.0)))
    assert (row["epochs"], row["updates"], row["examples"], row["resolution_epochs"]) == (2, 20, 200, 2)
    assert (row["seconds"], row["joules"]) == (10, 40)


def test_a_run_that_ends_before_the_row_is_complete_has_not_reached() -> None:
    runs, evaluations = tables(run_of([2.0, 1.5, 0.9]))
    row = only(to_target(runs, evaluations, timings(), wanted(1.0)))
    assert not row["reached"]
    assert row[["epochs", "updates", "examples", "seconds", "joules", "resolution_epochs"]].isna().all()
    assert row["budget_epochs"] == 2


def test_a_target_met_before_training_costs_nothing() -> None:
    runs, evaluations = tables(run_of([0.5, 0.4, 0.3]))
    row = only(to_target(runs, evaluations, timings(), wanted(1.0)))
    assert (row["epochs"], row["seconds"], row["resolution_epochs"]) == (0, 0, 0)
    summary = only(summarise(row.to_frame().T.astype(dtypes("to_target")), runs, timings()))
    assert (summary["epochs_mean"], summary["epochs_median"]) == (0, 0)
    assert np.isnan(summary["epochs_restricted_mean"])


def test_the_target_itself_counts_and_order_of_rows_does_not() -> None:
    runs, evaluations = tables(run_of([2.0, 1.0, 1.0]), per_epoch=4)
    row = only(to_target(runs, evaluations.iloc[::-1], timings(), wanted(1.0)))
    assert (row["epochs"], row["resolution_epochs"]) == (0.125, 0.25)


def test_errors_are_one_minus_accuracy() -> None:
    runs, evaluations = tables(run_of([3.0, 2.0, 1.0, 0.5]))
    row = only(to_target(runs, evaluations, timings(), wanted(0.11, metric="validation_error")))
    assert (row["epochs"], row["metric"]) == (1.5, "validation_error")


@pytest.mark.parametrize(
    ("metric", "turned"),
    [
        ("validation_f1", lambda value: 1 - value),
        ("validation_score", lambda value: -value),
        ("validation_bleu", lambda value: 100 - value),
    ],
)
def test_a_metric_of_which_more_is_better_is_reached_when_its_mirror_image_is(
    metric: str, turned: Callable[[Any], Any]
) -> None:
    """Losses are multiples of 1/64, so that turning them is exact; they wander, and some are missing."""
    rng = np.random.default_rng(14)
    made = [
        run_of([*(np.round(64 * rng.uniform(0.05, 1.2, 12) * 0.9 ** np.arange(12)) / 64), NAN], seed=seed)
        for seed in range(40)
    ]
    runs, evaluations = tables(*made)
    values = (0.75, 0.5, 0.25)
    falling = to_target(runs, evaluations, timings(), wanted(*values))
    other = evaluations.assign(**{metric: turned(evaluations["validation_loss"])})
    rising = to_target(runs, other, timings(), wanted(*map(turned, values), metric=metric))
    assert 0 < falling["reached"].mean() < 1
    pd.testing.assert_frame_equal(rising.drop(columns=["metric", "target"]), falling.drop(columns=["metric", "target"]))
    assert rising["target"].tolist() == [turned(value) for value in falling["target"]]


def test_an_error_that_was_recorded_is_taken_as_it_is() -> None:
    runs, evaluations = tables(run_of([3.0, 2.0, 1.0, 0.5]))
    assert 1 - (1 - 0.3) > 0.3
    recorded = evaluations.assign(validation_error=[0.5, 0.3, 0.3, 0.3], validation_accuracy=NAN)
    assert only(to_target(runs, recorded, timings(), wanted(0.3, metric="validation_error")))["epochs"] == 0.5


def test_targets_of_other_data_sets_and_metrics_never_measured_have_no_rows() -> None:
    runs, evaluations = tables(run_of([3.0, 2.0, 1.0]))
    assert to_target(runs, evaluations, timings(), wanted(1.0, datasets=["other"])).empty
    assert len(to_target(runs, evaluations, timings(), wanted(1.0, datasets=["other", "d"]))) == 1
    unknown = evaluations.assign(validation_accuracy=NAN)
    assert to_target(runs, unknown, timings(), wanted(0.1, metric="validation_error")).empty
    assert to_target(runs, evaluations, timings(), wanted(0.1, metric="validation_f1")).empty


def test_diverged_runs_miss_the_target_unless_they_reached_it_before() -> None:
    early = run_of([2.0, 0.9, 0.8, NAN], seed=2, outcome="diverged")
    never = run_of([2.0, NAN], seed=3, outcome="diverged")
    runs, evaluations = tables(run_of([2.0] * 11), early, never)
    table = to_target(runs, evaluations, timings(), wanted(1.0)).set_index("seed")
    assert table["reached"].to_dict() == {1: False, 2: True, 3: False}
    assert table["budget_epochs"].to_dict() == {1: 10, 2: 10, 3: 10}  # it would not have come back


def test_runs_stopped_early_count_as_followed_to_the_end_like_diverged_ones() -> None:
    runs, evaluations = tables(
        run_of([2.0] * 11, seed=1),
        run_of([2.0, 1.5, 1.6, 1.7], seed=2, stopped_early=True),
        run_of([2.0, 0.9, 0.8, 0.9], seed=3, stopped_early=True),
        run_of([2.0, 1.5, 1.4], seed=4),  # ended for another reason: it might have gone on to fall
        run_of([2.0, 1.5, 1.4], seed=5, stopped_early=None),
    )
    table = to_target(runs, evaluations, timings(), wanted(1.0)).set_index("seed")
    assert table["reached"].to_dict() == {1: False, 2: False, 3: True, 4: False, 5: False}
    assert table.loc[3, "epochs"] == 0.5
    assert table.loc[[1, 2, 4, 5], "budget_epochs"].to_dict() == {1: 10, 2: 10, 4: 2, 5: 2}


def test_the_longest_run_is_looked_for_in_the_same_data_set_and_recipe() -> None:
    runs, evaluations = tables(
        run_of([2.0] * 6, batch_size=50),
        run_of([2.0] * 3, batch_size=10, stopped_early=True),
        run_of([2.0] * 9, seed=2),
    )
    for table in (runs, evaluations):
        table.loc[table["seed"] == 2, "recipe"] = "another"
    table = to_target(runs, evaluations, timings(), wanted(1.0)).set_index(["recipe", "batch_size"])
    assert table["budget_epochs"].to_dict() == {("r", 50): 5, ("r", 10): 5, ("another", 10): 8}


def test_a_run_out_of_memory_was_not_followed() -> None:
    lost = run_of([], batch_size=50, outcome="out_of_memory", stopped_early=None)
    runs, evaluations = tables(run_of([2.0, 0.9, 0.8]), lost)
    table = to_target(runs, evaluations, timings(), wanted(1.0)).set_index("batch_size")
    assert not table.loc[50, "reached"]
    assert table.loc[50, "budget_epochs"] == 0
    small, large = summarise(table.reset_index(), runs, timings()).to_dict("records")
    assert small["restricted_to_epochs"] == 0.5
    assert np.isnan(large["epochs_restricted_mean"])


def test_joules_are_of_the_gpu_else_of_the_cpu_else_null() -> None:
    runs, evaluations = tables(run_of([2.0, 0.9, 0.8]))
    energies: list[tuple[dict[str, float], float]] = [
        ({"gpu_energy_joules": 40.0, "cpu_package_energy_joules": 80.0}, 10.0),  # 40 J over 4 x 5 updates, 5 updates
        ({"cpu_package_energy_joules": 80.0}, 20.0),
        ({}, NAN),
    ]
    for energy, joules in energies:
        row = only(to_target(runs, evaluations, timings(**energy), wanted(1.0)))
        assert row["joules"] == pytest.approx(joules, nan_ok=True)
    without = only(to_target(runs, evaluations, timings(batch_size=11), wanted(1.0)))
    assert np.isnan(without["seconds"])
    assert without["updates"] == 5


def test_summary_has_means_only_where_all_runs_reached() -> None:
    runs, evaluations = tables(
        run_of([2, 1, 1, 1, 1, 1], seed=1),
        run_of([2, 2, 2, 1, 1, 1], seed=2),
        run_of([2, 1, 1, 1, 1, 1], batch_size=50, seed=1),
        run_of([2, 2, 2, 2, 2, 2], batch_size=50, seed=2),
    )
    small, large = summarise(to_target(runs, evaluations, timings(), wanted(1.0)), runs, timings()).to_dict("records")
    assert (small["n"], small["n_reached"], small["epochs_mean"]) == (2, 2, 1.5)  # 0.5 and 2.5
    half = 12.706204736  # t(1, 0.975) times the standard error, which is 1
    assert small["epochs_ci_low"] == pytest.approx(1.5 - half)
    assert small["epochs_ci_high"] == pytest.approx(1.5 + half)
    assert small["seconds_mean"] == 7.5
    assert np.isnan(small["joules_mean"])
    assert (large["n"], large["n_reached"]) == (2, 1)
    assert np.isnan(large["epochs_mean"])
    assert np.isnan(large["seconds_mean"])


def test_runs_that_reach_a_target_between_the_same_evaluations_show_no_spread() -> None:
    runs, evaluations = tables(run_of([2, 1, 1], seed=1), run_of([2, 1, 1], seed=2))
    reached = to_target(runs, evaluations, timings(), wanted(1.0))
    assert list(reached["evaluations_in_a_row"]) == [2, 2]
    row = only(summarise(reached, runs, timings()))
    assert row["epochs_mean"] == 0.5  # somewhere from 0 to 1
    assert row[["epochs_ci_low", "epochs_ci_high", "seconds_ci_low"]].isna().all()


def test_restricted_means_share_the_horizon_of_the_target() -> None:
    runs, evaluations = tables(
        run_of([2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], seed=1),
        run_of([2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1], seed=2),
        run_of([2, 1, 1, 1, 1], batch_size=50, seed=1),
        run_of([2, 2, 2, 2, 2], batch_size=50, seed=2),
    )
    small, large = summarise(to_target(runs, evaluations, timings(), wanted(1.0)), runs, timings()).to_dict("records")
    assert small["restricted_to_epochs"] == large["restricted_to_epochs"] == 4
    assert small["epochs_restricted_mean"] == pytest.approx((0.5 + 4) / 2)
    assert large["epochs_restricted_mean"] == pytest.approx((0.5 + 4) / 2)
    assert small["epochs_median"] == large["epochs_median"] == 0.5


@pytest.mark.parametrize(("n_short", "median"), [(0, 2.5), (1, 2.5), (2, 2.5), (3, NAN)])
def test_the_median_needs_half_of_the_runs_to_reach_the_target(n_short: int, median: float) -> None:
    """Once runs that ended early have left it, the Kaplan-Meier curve falls to zero with the two that reached."""
    reaching = [run_of([2, 2, 2, 1, 1], seed=seed) for seed in (1, 2)]
    short = [run_of([2, 2], seed=3 + number) for number in range(n_short)]
    runs, evaluations = tables(*reaching, *short)
    row = only(summarise(to_target(runs, evaluations, timings(), wanted(1.0)), runs, timings()))
    assert (row["n"], row["n_reached"]) == (2 + n_short, 2)
    assert row["epochs_median"] == pytest.approx(median, nan_ok=True)


def test_runs_out_of_memory_count_against_the_median() -> None:
    lost = [run_of([], seed=seed, outcome="out_of_memory", stopped_early=None) for seed in (2, 3)]
    runs, evaluations = tables(run_of([2, 1, 1]), *lost)
    assert np.isnan(
        only(summarise(to_target(runs, evaluations, timings(), wanted(1.0)), runs, timings()))["epochs_median"]
    )


def test_where_all_reach_the_restricted_mean_is_the_mean() -> None:
    runs, evaluations = tables(run_of([2, 1, 1, 1], seed=1), run_of([2, 2, 2, 2, 1, 1], seed=2))
    row = only(summarise(to_target(runs, evaluations, timings(), wanted(1.0)), runs, timings()))
    assert row["epochs_restricted_mean"] == pytest.approx(row["epochs_mean"])
    assert row["restricted_to_epochs"] == 3.5


@pytest.mark.parametrize(
    ("values", "in_a_row", "position"),
    [
        ([], 2, None),
        ([1.0], 2, None),
        ([1.0, NAN, 1.0], 2, None),
        ([2.0, 1.0, 1.0], 3, None),
        ([1.0, 2.0, 1.0, 1.0], 2, 2),
        ([1.0, 2.0], 1, 0),
    ],
)
def test_first_crossing(values: list[float], in_a_row: int, position: int | None) -> None:
    assert first_crossing(values, 1.0, in_a_row) == position


def test_without_targets_the_tables_are_empty_and_typed() -> None:
    runs, evaluations = tables(run_of([2.0, 1.0]))
    empty = to_target(runs, evaluations, timings(), [])
    assert empty.empty
    assert {name: str(dtype) for name, dtype in empty.dtypes.items()} == dtypes("to_target")
    summary = summarise(empty, runs, timings())
    assert summary.empty
    assert {name: str(dtype) for name, dtype in summary.dtypes.items()} == dtypes("targets")


def test_what_an_epoch_costs_is_measured_or_planned() -> None:
    runs, evaluations = tables(run_of([2, 1, 1]), run_of([2, 2, 2], batch_size=50))
    timed = pd.concat([timings(), timings(batch_size=50, seconds_per_epoch=1.5, seconds_per_update=0.7)])
    small, large = summarise(to_target(runs, evaluations, timed, wanted(1.0)), runs, timed).to_dict("records")
    costs = [[row[f"{name}_per_epoch"] for name in ("updates", "examples", "seconds")] for row in (small, large)]
    assert costs == [[10, 100, 5], [2, 100, 1.5]]  # the large size reached nothing: as planned
    assert np.isnan(large["joules_per_epoch"])
