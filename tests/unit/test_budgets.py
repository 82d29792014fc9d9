"""The same runs after equal epochs, updates and seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from batchscope.analysis.curves import equal_budget
from batchscope.tables.codebook import dtypes

NAN = float("nan")


def study(
    losses: dict[tuple[int, int], list[float]], outcomes: dict[int, str] | None = None
) -> dict[str, pd.DataFrame]:
    """Losses per evaluation (one an epoch, the first before training) by batch size and seed; 100 examples.

    Seconds per update: 1 at batch size 10, 4 at 50; other sizes are not timed.
    """
    runs, evaluations = [], []
    for (batch_size, seed), values in losses.items():
        head = {"dataset": "d", "recipe": "r", "batch_size": batch_size, "full_batch": False, "seed": seed}
        runs.append({**head, "outcome": (outcomes or {}).get(batch_size, "ok")})
        for epoch, loss in enumerate(values):
            row = {"evaluation": epoch, "epoch": float(epoch), "updates": epoch * 100 // batch_size}
            evaluations.append({**head, **row, "validation_loss": loss, "validation_accuracy": 1 - loss / 10})
    timed = [
        {"dataset": "d", "recipe": "r", "batch_size": size, "full_batch": False, "seconds_per_update": seconds}
        for size, seconds in ((10, 1.0), (50, 4.0))
    ]
    return {"evaluations": pd.DataFrame(evaluations), "runs": pd.DataFrame(runs), "timings": pd.DataFrame(timed)}


def rows(table: pd.DataFrame) -> dict[tuple[int, str], dict[str, Any]]:
    return {(row["batch_size"], row["budget"]): row for row in table.to_dict("records")}


def test_amounts_are_the_largest_that_every_run_has() -> None:
    found = rows(
        equal_budget(**study({(10, 1): [9, 8, 7, 6], (50, 1): [9, 5, 4, 3, 2, 1, 0.5], (10, 2): [9, 8.5, 7.5, 6.5]}))
    )
    assert {key: row["amount"] for key, row in found.items()} == {
        **{(size, "epochs"): 3.0 for size in (10, 50)},
        **{(size, "updates"): 12.0 for size in (10, 50)},
        **{(size, "seconds"): 30.0 for size in (10, 50)},
    }
    assert found[10, "epochs"]["validation_loss_mean"] == 6.25
    assert found[50, "epochs"]["validation_loss_mean"] == 3
    assert found[10, "updates"]["validation_loss_mean"] == pytest.approx(8.05)  # a fifth of the way from 10 to 20
    assert found[50, "updates"]["validation_loss_mean"] == 0.5
    assert found[50, "seconds"]["validation_loss_mean"] == 2.25  # 7.5 updates of 4 s, between 6 and 8
    assert found[10, "epochs"]["validation_error_mean"] == pytest.approx(0.625)
    half = 12.706204736 * 0.25
    assert found[10, "epochs"]["validation_loss_ci_low"] == pytest.approx(6.25 - half)
    assert found[10, "epochs"]["validation_loss_ci_high"] == pytest.approx(6.25 + half)
    assert np.isnan(found[50, "epochs"]["validation_loss_ci_low"])


def test_a_run_not_evaluated_within_the_amount_is_missing_not_taken_before_training() -> None:
    found = rows(equal_budget(**study({(10, 1): [9, 8, 7], (50, 1): [9, 5, 4]})))
    assert found[10, "updates"]["amount"] == 4  # batch size 10 has made 10 updates at its first evaluation
    assert (found[10, "updates"]["n"], found[10, "updates"]["n_runs"]) == (0, 1)
    assert np.isnan(found[10, "updates"]["validation_loss_mean"])
    assert found[50, "updates"]["validation_loss_mean"] == 4


def test_between_two_evaluations_the_value_lies_on_the_line_between_them() -> None:
    found = rows(equal_budget(**study({(10, 1): [9, 8, 4, 3], (25, 1): [9, 8, 7, 6, 5, 4, 2]})))
    row = found[10, "updates"]
    assert row["amount"] == 24  # six epochs of 4 updates: 0.4 of the way from 20 to 30
    assert row["validation_loss_mean"] == pytest.approx(4 - 0.4 * (4 - 3))
    assert row["validation_error_mean"] == pytest.approx((4 - 0.4 * (4 - 3)) / 10)
    assert found[25, "updates"]["validation_loss_mean"] == 2
    assert found[25, "epochs"]["validation_loss_mean"] == 6  # at an evaluation it is that evaluation's


def test_no_line_is_drawn_from_before_training() -> None:
    made = study({(10, 1): [9, 8, 7], (10, 2): [9, 6, 5], (50, 1): [9, 5, 4], (50, 2): [9, 5, 4]})
    early = (made["evaluations"]["seed"] == 2) & (made["evaluations"]["evaluation"] == 1)
    made["evaluations"].loc[early & (made["evaluations"]["batch_size"] == 10), "updates"] = 2  # looked at sooner
    row = rows(equal_budget(**made))[10, "updates"]
    assert (row["amount"], row["n"], row["n_runs"]) == (4, 1, 2)
    assert row["validation_loss_mean"] == pytest.approx(6 - (4 - 2) / (20 - 2))


def test_a_diverged_run_counts_as_far_as_it_went() -> None:
    made = study({(10, 1): [9, 8, 7], (50, 1): [9, 6, 4, 1, NAN]}, {50: "diverged"})
    found = rows(equal_budget(**made))
    assert found[50, "epochs"]["validation_loss_mean"] == 4
    assert found[50, "updates"]["n"] == 0  # 20 updates are more than its 6 with a finite loss


def test_diverged_runs_neither_shorten_the_budget_nor_stand_with_their_last_finite_loss() -> None:
    made = study({(10, 1): [9, 8, 7], (50, 1): [9, 3, NAN]}, {50: "diverged"})
    found = rows(equal_budget(**made))
    assert found[50, "epochs"]["amount"] == 2
    assert found[50, "epochs"]["n"] == 0
    assert np.isnan(found[50, "epochs"]["validation_loss_mean"])


def test_a_cell_without_timing_has_no_value_at_equal_seconds() -> None:
    found = rows(equal_budget(**study({(10, 1): [9, 8, 7], (25, 1): [9, 5, 4]})))
    assert found[25, "seconds"]["n"] == 0
    assert found[10, "seconds"]["validation_loss_mean"] == 7
    assert found[25, "epochs"]["validation_loss_mean"] == 4


def test_without_timings_there_is_no_budget_of_seconds() -> None:
    made = study({(10, 1): [9, 8]})
    table = equal_budget(**{**made, "timings": made["timings"].iloc[:0]})
    assert set(table["budget"]) == {"epochs", "updates"}


def test_an_error_never_measured_is_null_beside_the_loss() -> None:
    made = study({(10, 1): [9, 8], (10, 2): [9, 7]})
    made["evaluations"]["validation_accuracy"] = NAN
    found = rows(equal_budget(**made))
    assert found[10, "epochs"]["validation_loss_mean"] == 7.5
    assert np.isnan(found[10, "epochs"]["validation_error_mean"])


def test_without_evaluations_the_table_is_empty_and_typed() -> None:
    made = study({(10, 1): [9, 8]})
    table = equal_budget(**{**made, "evaluations": made["evaluations"].iloc[:0]})
    assert table.empty
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == dtypes("equal_budget")
