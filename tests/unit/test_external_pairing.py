"""Runs made elsewhere are independent unless the study says otherwise: their numbers decide nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from batchscope.jobs.tables import study_tables
from unit.fake_claims import REGISTRY

SIZES, RUNS = (8, 16, 32, 64, 128), 4
RESULTS = {
    "selected_validation_loss": "loss",
    "selected_test_accuracy": "accuracy",
    "learning_rate": "rate",
    "step_loss_noise": "noise",
}


def sweep(*, seed: int, rates: tuple[float, ...]) -> pd.DataFrame:
    """Two targets of runs at five sizes; what runs of equal number share would matter if they were paired."""
    rng = np.random.default_rng(seed)
    rows = []
    for rate in rates:
        common = rng.normal(0, 0.05, RUNS)
        for size in SIZES:
            for run in range(RUNS):
                off = float(np.exp(common[run] + rng.normal(0, 0.02)))
                found = {"B": size, "run": run, "rate": rate, "loss": (0.3 + size / 2000 + rate) * off}
                found |= {"accuracy": 0.9 / max(1.0, off), "noise": off / size}
                rows += [
                    {**found, "goal": goal, "epochs": least * (1 + size / 40) * off}
                    for goal, least in ((0.2, 4.0), (0.1, 9.0))
                ]
    return pd.DataFrame(rows)


def permuted(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same runs, their numbers exchanged within each size and rate."""
    rng = np.random.default_rng(seed)
    parts = []
    for _, rows in table.groupby(["B", "rate"], sort=False):
        parts.append(rows.assign(run=rows["run"].map(dict(enumerate(rng.permutation(RUNS))))))
    return pd.concat(parts)


def tables(folder: Path, content: pd.DataFrame, *, shared: bool) -> dict[str, pd.DataFrame]:
    path = folder / "sweep.csv"
    content.to_csv(path, index=False)
    (folder / "times.csv").write_text("B,s,W\n" + "".join(f"{size},{1 + 40 / size},{100 + size}\n" for size in SIZES))
    columns = {"batch_size": "B", "seed": "run", "target": "goal", "epochs": "epochs", **RESULTS}
    runs: dict[str, Any] = {"path": str(path), "dataset": "d", "recipe": "r", "where": {}, "shared_seeds": shared}
    runs |= {"n_train": 1000, "metric": "error", "target": None, "better": "lower", "columns": columns}
    timings = {"batch_size": "B", "seconds_per_epoch": "s", "power_watts": "W"}
    study: Any = {
        "measurements": {
            "runs": runs,
            "timings": {"path": str(folder / "times.csv"), "columns": timings},
            "baseline": {"batch_size": 8, "power_limit_watts": None},
        },
        "claims": yaml.safe_load(REGISTRY.read_text(encoding="utf-8")),
        **{"targets": [], "datasets": {}, "recipes": {}, "published": [], "borrowed_timings": []},
    }
    return study_tables(study)


def without_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """A table as it is without the numbers of its runs and the digest of its file, in an order of its own."""
    bare = table.drop(columns=[name for name in ("seed", "fingerprint") if name in table])
    return bare.sort_values(list(bare.columns), kind="stable", key=lambda column: column.astype(str), ignore_index=True)


Made = Callable[[pd.DataFrame, bool], dict[str, pd.DataFrame]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return lambda content, shared: tables(tmp_path, content, shared=shared)


def test_exchanging_run_numbers_changes_no_table(made: Made) -> None:
    content = sweep(seed=2, rates=(0.05, 0.1, 0.2))
    before, after = made(content, False), made(permuted(content, 5), False)
    assert before.keys() == after.keys()
    assert {"ranks", "advice", "verdicts", "critical_batch_size", "best"} <= {n for n, t in before.items() if len(t)}
    assert (before["verdicts"]["verdict"] != "not measured").any()
    for name in before:
        pd.testing.assert_frame_equal(without_seeds(before[name]), without_seeds(after[name]), rtol=1e-9, obj=name)


def test_seeds_that_are_said_to_be_shared_pair_the_runs(made: Made) -> None:
    content = sweep(seed=3, rates=(0.1,))
    alone, shared = made(content, False), made(content, True)
    for name in ("best", "ranks", "critical_batch_size", "verdicts"):
        assert not alone[name].equals(shared[name]), name
    widths = [found["best"].eval("difference_ci_high - difference_ci_low").dropna() for found in (alone, shared)]
    assert (widths[1] < widths[0]).all()
