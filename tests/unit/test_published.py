"""Published numbers beside those of a study: what is found for each, and what the report prints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from fake_claims import runs

from batchscope.claims.published import Published
from batchscope.claims.replication import published
from batchscope.probes.gradients.analysis import noise_scale_over_seeds
from batchscope.report.content import Content
from batchscope.report.published import published as section
from batchscope.stats.intervals import fieller, t_quantile
from batchscope.tables.codebook import dtypes, frame
from batchscope.training.checkpoints import END, START

ACCURACY = "last_test_accuracy"
ENTRY = {
    "value": 0.98,
    "plus_minus": None,
    "source": "A paper, its table",
    "batch_size": None,
    "at": None,
    "target": None,
}


def entry(**keys: Any) -> dict[str, Any]:
    return {**ENTRY, **keys}


def of(table: pd.DataFrame, *entries: dict[str, Any], **tables: pd.DataFrame) -> pd.DataFrame:
    return published({"runs": table, **tables}, map(Published.model_validate, entries))


def weights(**columns: Any) -> pd.DataFrame:
    """Three seeds at two checkpoints of runs with batch size 32."""
    rows = [
        {
            "dataset": "digits",
            "recipe": "mlp",
            "batch_size": 32,
            "full_batch": False,
            "seed": seed,
            **checkpoint.columns,
        }
        for checkpoint in (START, END)
        for seed in (1, 2, 3)
    ]
    return pd.DataFrame(rows).assign(**columns)


def test_means_of_runs_stand_beside_the_published_number() -> None:
    table = of(runs(ACCURACY, {8: [0.9, 0.94], 32: [0.8, 0.82]}), entry(metric=ACCURACY, batch_size=8, plus_minus=0.01))
    row = table.iloc[0]
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == dtypes("published")
    assert (row["batch_size"], row["published"], row["published_plus_minus"], row["n"]) == (8, 0.98, 0.01, 2)
    assert row["value"] == pytest.approx(0.92)
    assert row["sd"] == pytest.approx(0.04 / math.sqrt(2))
    assert row["ci_high"] == pytest.approx(0.92 + 12.706204736 * 0.02)


def test_a_lost_run_leaves_no_number() -> None:
    table = runs(ACCURACY, {8: [0.9, 0.94]})
    table.loc[0, "outcome"] = "out_of_memory"
    row = of(table, entry(metric=ACCURACY, batch_size=8)).iloc[0]
    assert math.isnan(row["value"])
    assert "the run of seed 1 ran out of memory" in row["reason"]
    table.loc[0, "outcome"] = "diverged"
    row = of(table, entry(metric=ACCURACY, batch_size=8)).iloc[0]
    assert row["value"] == pytest.approx(0.92)
    assert row["reason"] == "1 of 2 runs diverged, and count with the accuracy they had"


def test_sharpness_is_that_of_the_checkpoint() -> None:
    sharpness = weights(keskar_0_001=[1.0, 1.0, 1.0, 2.0, 3.0, 4.0])
    row = of(
        runs(ACCURACY, {32: [0.9] * 3}), entry(metric="keskar_0_001", batch_size=32, at=1), sharpness=sharpness
    ).iloc[0]
    assert (row["checkpoint_fraction"], row["value"], row["n"], row["sd"]) == (1, 3.0, 3, 1.0)


def test_weights_of_some_runs_give_no_number() -> None:
    sharpness = weights(keskar_0_001=1.0)
    row = of(runs(ACCURACY, {32: [0.9] * 4}), entry(metric="keskar_0_001", batch_size=32, at=1), sharpness=sharpness)
    assert row["value"].isna().all()
    assert row["reason"].tolist() == ["only 3 of 4 runs got there"]


def test_the_noise_scale_is_a_ratio_of_means_with_fiellers_interval() -> None:
    found = weights(covariance_trace=[90.0, 100.0, 110.0] * 2, gradient_norm_squared=[2.1, 2.0, 1.9] * 2)
    row = of(runs(ACCURACY, {32: [0.9]}), entry(metric="noise_scale", batch_size=32, at=0), noise_scale=found).iloc[0]
    assert row["value"] == pytest.approx(50.0)
    covariance = np.array([[100.0, -1.0], [-1.0, 0.01]]) / 3
    low, high = row["ci_low"], row["ci_high"]
    for end in (low, high):  # where the distance of trace - r · length from zero is t standard errors
        error = math.sqrt(covariance[0, 0] - 2 * end * covariance[0, 1] + end**2 * covariance[1, 1])
        assert abs(100 - 2 * end) == pytest.approx(4.302652730 * error)
    assert low < 50 < high


def test_a_noise_scale_hidden_by_noise_says_so() -> None:
    found = weights(covariance_trace=100.0, gradient_norm_squared=[1.0, -1.0, -0.5] * 2)
    row = of(runs(ACCURACY, {32: [0.9]}), entry(metric="noise_scale", batch_size=32, at=0), noise_scale=found).iloc[0]
    assert math.isnan(row["value"])
    assert "noise hides the gradient" in row["reason"]
    assert noise_scale_over_seeds(found.iloc[:0]) == (None, None, None)


def test_fieller_leaves_ends_open_that_the_data_do_not_close() -> None:
    t = t_quantile(20)
    assert fieller(np.array([10.0, 0.1]), np.diag([0.01, 1.0]), t) == (pytest.approx(4.5, abs=0.5), None)
    assert fieller(np.array([0.1, 0.1]), np.diag([1.0, 1.0]), t) == (None, None)
    low, high = fieller(np.array([10.0, 5.0]), np.zeros((2, 2)), t)
    assert (low, high) == (pytest.approx(2.0), pytest.approx(2.0))


def critical(**columns: Any) -> pd.DataFrame:
    head = {"dataset": "digits", "recipe": "mlp", "metric": "train_loss", "n_runs": 20, "accepted": True, "reason": ""}
    fit = {"target": [0.5, 0.2], "b_crit": [20.0, 200.0], "ci_low": [15.0, 100.0], "ci_high": [30.0, 400.0]}
    return pd.DataFrame({**fit, **head, **columns})


@pytest.mark.parametrize(("accepted", "value"), [(True, 200.0), (False, math.nan)])
def test_a_critical_batch_size_is_that_of_an_accepted_fit(accepted: bool, value: float) -> None:
    fits = critical(accepted=accepted, reason="" if accepted else "too few sizes")
    wanted = entry(metric="critical_batch_size", target={"metric": "train_loss", "value": 0.2})
    row = of(runs(ACCURACY, {32: [0.9]}), wanted, critical_batch_size=fits).iloc[0]
    assert row["value"] == pytest.approx(value, nan_ok=True)
    assert (row["target_metric"], row["target"], row["n"]) == ("train_loss", 0.2, 20)
    assert ("too few sizes" in row["reason"]) != accepted


def test_nothing_published_gives_no_rows() -> None:
    assert of(runs(ACCURACY, {32: [0.9]})).empty


def page(*rows: dict[str, Any]) -> str:
    known = {"dataset": "digits", "recipe": "mlp", "reason": "", "source": "A paper & its table"}
    table = frame("published", [{**known, **row} for row in rows])
    return section(Content(study={}, manifest={}, tables={"published": table}, figures=Path()))


def test_the_report_prints_both_numbers_with_where_they_are_from() -> None:
    size = {"batch_size": 256, "full_batch": False, "n": 5}
    html = page(
        {**size, "metric": ACCURACY, "published": 0.9803, "published_plus_minus": 0.0007, "value": 0.886}
        | {"ci_low": 0.884, "ci_high": 0.888, "sd": 0.0016},
        {"metric": "critical_batch_size", "published": 200, "target_metric": "train_loss", "target": 0.2, "n": 20}
        | {"reason": "no critical batch size: too few sizes"},
        {**size, "metric": "noise_scale", "published": 50, "checkpoint_fraction": 0.0, "value": 40.0},
    )
    words = [" ".join(row.get_text(" ").split()) for row in BeautifulSoup(html, "html.parser").select("tbody tr")]
    assert words[0].startswith(
        "Last test accuracy, at batch size 256 Published: A paper & its table Measured: digits with mlp 0.9803 ± 0.0007"
    )
    assert "0.8860 [0.8840, 0.8880] 0.00160 5" in words[0]
    assert words[1].startswith("Critical batch size, to training loss 0.200 (examples)")
    assert "no critical batch size: too few sizes" in words[1]
    assert words[2].startswith("Gradient noise scale, of runs with batch size 256, before the first update (examples)")


def test_without_published_numbers_the_report_has_no_section() -> None:
    assert page() == ""
