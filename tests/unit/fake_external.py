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
