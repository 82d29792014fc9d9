"""A sweep made elsewhere: a grid of learning rates and batch sizes, with targets and timings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

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


def followed(folder: Path, *, axis: str = "epochs", every: int = 1, n_train: int | None = 64, **keys: Any) -> Any:
    """A study of three runs at sizes 8 and 32, whose course is (size / 8) (1 + run / 10) / look at looks 1, 2 and 3.

    Args:
        folder: where its files go.
        axis: what is counted between looks.
        every: how much of it lies between two.
        n_train: as in the study.
        keys: those of the file of histories.
    """
    runs = [(f"r{size}-{run}", size, run) for size in (8, 32) for run in range(3)]
    (folder / "runs.csv").write_text("name,B\n" + "".join(f"{name},{size}\n" for name, size, _ in runs))
    lines = [
        f"{name},{every * look},{size / 8 * (1 + run / 10) / look},{1 - 1 / (1 + look)}\n"
        for name, size, run in runs
        for look in (1, 2, 3)
    ]
    (folder / "course.csv").write_text("run,at,loss,acc\n" + "".join(lines))
    file: dict[str, Any] = {"path": str(folder / "runs.csv"), "dataset": "d", "recipe": "r", "where": {}}
    file |= {"shared_seeds": False, "n_train": n_train, "metric": None, "target": None, "better": "lower"}
    file["columns"] = {"batch_size": "B", "name": "name"}
    course = {"path": str(folder / "course.csv"), "metrics": {}, "offset": 0.0, "percent": []}
    course |= {"columns": {"run": "run", axis: "at", "validation_loss": "loss"}} | keys
    return {
        "measurements": {"runs": file, "histories": course, "timings": None, "baseline": None},
        "claims": {},
        **{"targets": [], "datasets": {}, "recipes": {}, "published": [], "borrowed_timings": []},
    }


def measured(folder: Path, content: pd.DataFrame, *, shared: bool = False, **keys: Any) -> Any:
    """A study of the runs of `content`, as `study_tables` takes it."""
    path = folder / "sweep.csv"
    content.to_csv(path, index=False)
    (folder / "times.csv").write_text("B,s,W\n" + "".join(f"{size},{1 + 40 / size},{100 + size}\n" for size in SIZES))
    columns = {"batch_size": "B", "seed": "run", "target": "goal", "epochs": "epochs", **RESULTS}
    runs: dict[str, Any] = {"path": str(path), "dataset": "d", "recipe": "r", "where": {}, "shared_seeds": shared}
    runs |= {"n_train": 1000, "metric": "error", "target": None, "better": "lower", "columns": columns} | keys
    timings = {"batch_size": "B", "seconds_per_epoch": "s", "power_watts": "W"}
    return {
        "measurements": {
            "runs": runs,
            "timings": {"path": str(folder / "times.csv"), "columns": timings},
            "baseline": {"batch_size": 8, "power_limit_watts": None},
        },
        "claims": yaml.safe_load(REGISTRY.read_text(encoding="utf-8")),
        **{"targets": [], "datasets": {}, "recipes": {}, "published": [], "borrowed_timings": []},
    }
