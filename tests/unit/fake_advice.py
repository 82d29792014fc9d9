"""A made-up study of one data set and recipe for the tests of the advice. No number here was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from batchscope.analysis import advice, decision_tree
from unit.fakes import PAIR, cell

SEEDS = (1, 2, 3, 4, 5)
N_TRAIN = 1024
STUDY: dict[str, Any] = {
    "recipes": {"mlp": {"model": {"name": "mlp", "normalization": "none"}, "micro_batch_size": None}},
    "measurements": None,
}
JITTER = np.array([-0.02, 0.01, 0.0, -0.01, 0.02])


def study(
    *,
    accuracy: Mapping[int, float] = {8: 0.90, 32: 0.95, 128: 0.93},
    updates: Mapping[int, float] = {8: 600, 32: 300, 128: 200},
    missed: Mapping[int, int] = {},
    outcomes: Mapping[tuple[int, int], str] = {},
    per_update: Mapping[int, float] | None = None,
    jitter: np.ndarray[Any, Any] = JITTER,
    budget_epochs: float = 40.0,
    curve: Sequence[float] = (2.3, 1.0, 0.5, 0.3),
    resolution: float = 0.1,
    **summary: Any,
) -> dict[str, pd.DataFrame]:
    """Tables of one data set and recipe; runs of a size jitter around its number, each size in another order."""
    per_update = per_update or dict.fromkeys(accuracy, 0.001)
    runs, to_target, evaluations, timings, cells = [], [], [], [], []
    for turn, size in enumerate(accuracy):
        first = cell("full" if size == N_TRAIN else size, N_TRAIN)
        moved = np.roll(jitter, turn)
        per_epoch = math.ceil(N_TRAIN / size)
        for place, seed in enumerate(SEEDS):
            outcome = outcomes.get((size, seed), "ok")
            ok = outcome == "ok"
            runs.append(
                {
                    **first,
                    "seed": seed,
                    "outcome": outcome,
                    "n_train": N_TRAIN,
                    "updates_per_epoch": per_epoch,
                    "selected_epoch": 10.0 if ok else None,
                    "selected_test_accuracy": accuracy[size] + 0.1 * moved[place] if ok else None,
                    "allocator_peak_bytes": None,
                    "host_memory_peak_bytes": 1e6 * (50 + size) if ok else None,
                }
            )
            reached = ok and place >= missed.get(size, 0)
            for target, factor in ((0.5, 1.0), (0.8, 0.5)):
                done = updates[size] * factor * (1 + moved[place])
                to_target.append(
                    {
                        **first,
                        "seed": seed,
                        "metric": "validation_loss",
                        "target": target,
                        "reached": reached,
                        "seconds": done * per_update[size] if reached else None,
                        "joules": None,
                        "budget_epochs": budget_epochs,
                        "epochs": done / per_epoch if reached else None,
                        "resolution_epochs": resolution if reached else None,
                    }
                )
            evaluations += [
                {**first, "seed": seed, "evaluation": number, "epoch": float(number), "train_loss": loss}
                for number, loss in enumerate(curve)
            ]
        timing = {"seconds_per_update": per_update[size], "outcome": "ok", "device": "cpu", "threads": 1}
        timing["cpu_percent_mean"] = 99.0
        timings.append({**first, **timing, "seconds_per_update_error": 0.002, "windows": 9})
        cells.append(
            {
                **first,
                "seconds_per_epoch": per_update[size] * per_epoch,
                "utilisation_percent": 90.0,
                "gap_mean": 0.01,
                "gap_ci_low": 0.0,
                "gap_ci_high": 0.02,
                "energy_per_epoch_joules": None,
                "energy_kind": None,
                "energy_reason": "GPU: no NVIDIA GPU on this machine",
                **{name: value.get(size) if isinstance(value, dict) else value for name, value in summary.items()},
            }
        )
    reached_frame = pd.DataFrame(to_target).astype({"seconds": "float64", "joules": "float64"})
    counted = reached_frame.groupby([*PAIR, "batch_size", "full_batch", "metric", "target"], sort=False)["reached"]
    targets = pd.DataFrame({"n": counted.size(), "n_reached": counted.sum()}).reset_index()
    numbers = ["selected_epoch", "selected_test_accuracy", "host_memory_peak_bytes", "allocator_peak_bytes"]
    return {
        "runs": pd.DataFrame(runs).astype(dict.fromkeys(numbers, "float64")),
        "evaluations": pd.DataFrame(evaluations),
        "timings": pd.DataFrame(timings),
        "summary": pd.DataFrame(cells).astype({"energy_per_epoch_joules": "float64"}),
        "targets": targets,
        "to_target": reached_frame,
    }


def advised(tables: Mapping[str, pd.DataFrame], resolved: Mapping[str, Any] = STUDY) -> pd.DataFrame:
    """The advice, with the tables that the study makes before it."""
    front = advice.pareto(tables["runs"], tables["timings"])
    made = {**tables, "pareto": front, "tree": decision_tree.tree(tables, resolved["recipes"])}
    return advice.advice(made, resolved["measurements"])


def goal(tables: Mapping[str, pd.DataFrame], name: str, resolved: Mapping[str, Any] = STUDY) -> pd.Series[Any]:
    found = advised(tables, resolved).set_index("goal")
    assert list(found.index) == list(advice.GOALS)
    return found.loc[name]
