"""Made-up runs and claims of a user, to test verdicts. No number here was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batchscope.claims import definitions
from batchscope.claims.definitions import Claim
from batchscope.claims.scope import Design
from batchscope.claims.verdicts import verdicts
from batchscope.tables.codebook import dtypes

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = ROOT / "config" / "claims.yaml"
NOISE = np.array([-0.7, 0.4, 1.1, -0.9, 0.1])  # mean 0, sd 0.83
Tables = dict[str, pd.DataFrame]


def claim(metric: str, test: Mapping[str, Any], margin: float | None = None, **other: Any) -> Claim:
    """A claim of a user, read as a study's own."""
    content = {"statement": "A statement.", "source": "us", "metric": metric, "test": dict(test), "margin": margin}
    return definitions.load(REGISTRY, {"own": {**content, **other}}, Path("my.yaml"))["own"]


def between(direction: str, ours: Any, than: Any = None, **keys: Any) -> dict[str, Any]:
    """The test that sizes are lower, higher, not lower or similar beside others."""
    return {"kind": "sizes", "direction": direction, "batch_sizes": ours, "than": than, **keys}


def trend(direction: str, **keys: Any) -> dict[str, Any]:
    return {"kind": "trend", "direction": direction, **keys}


def recipe(name: str = "mlp", **changes: Any) -> dict[str, Any]:
    """A resolved recipe, as far as claims look at it."""
    return {
        "name": name,
        "model": {"name": "mlp", "hidden": [8], "normalization": "none"},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "learning_rate_scaling": {"rule": "none", "reference_batch_size": None},
        "tuning": None,
        "micro_batch_size": None,
        "shuffle": True,
        "last_batch": "keep",
        "budget": {"epochs": 20, "updates": None, "early_stopping": {"patience": 3}},
        **changes,
    }


def dataset(name: str = "digits", **changes: Any) -> dict[str, Any]:
    return {"name": name, "source": "digits", "draw": "fixed", "order": "source", **changes}


def study(
    *chosen: Claim,
    datasets: Sequence[Mapping[str, Any]] = (dataset(),),
    recipes: Sequence[Mapping[str, Any]] = (recipe(),),
) -> tuple[dict[str, Claim], Design]:
    """Claims by name and what they may be about, as `verdicts` takes them after the tables."""
    named = ({each["name"]: each for each in given} for given in (datasets, recipes))
    return {f"claim {i}": each for i, each in enumerate(chosen, start=1)}, Design.of(*named)


def of_size(size: int | str, n_train: int = 1168) -> dict[str, Any]:
    return {"batch_size": n_train if size == "full" else size, "full_batch": size == "full"}


def runs(
    metric: str,
    values: Mapping[int | str, Any],
    *,
    pair: tuple[str, str] = ("digits", "mlp"),
    outcomes: Mapping[tuple[int | str, int], str] = {},
    **columns: Any,
) -> pd.DataFrame:
    """Runs with the values of one metric by size, one per seed."""
    rows = []
    for size, given in values.items():
        for seed, value in zip(range(1, len(given) + 1), given, strict=True):
            outcome = outcomes.get((size, seed), "ok")
            row = {"dataset": pair[0], "recipe": pair[1], **of_size(size), "seed": seed, "outcome": outcome}
            row |= {"n_train": 1168, metric: value if outcome == "ok" else math.nan, **columns}
            per_epoch = math.ceil(1168 / row["batch_size"])
            rows.append({"epochs": 3.0, "updates": 3 * per_epoch, **row, "updates_per_epoch": per_epoch})
    return pd.DataFrame(rows)


def verdict(tested: Claim, tables: Tables, *, paired: bool = True, **given: Any) -> pd.Series:
    """The only row of the verdicts on one claim."""
    table = verdicts(tables, *study(tested, **given), paired=paired)
    assert len(table) == 1
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == dtypes("verdicts")
    return table.iloc[0]


def around(*means: float, noise: float = 0.001) -> list[np.ndarray]:
    """Values for five seeds with these means; sizes share most of their noise, as paired runs do."""
    return [mean + noise * (5 * NOISE + np.roll(NOISE, i)) for i, mean in enumerate(means, start=1)]


def by_size(*means: float, sizes: Sequence[int] = (8, 32, 128), noise: float = 0.001) -> dict[int | str, Any]:
    """`around` these means at the first of these sizes."""
    return dict(zip(sizes, around(*means, noise=noise), strict=False))


LOSS = "selected_validation_loss"


def targets(values: Mapping[float, Mapping[int, Sequence[float]]]) -> pd.DataFrame:
    """Rows of `to_target`: updates by target, size and seed; nan where it was not reached."""
    rows = [
        {
            **{"dataset": "digits", "recipe": "mlp", **of_size(size), "seed": seed},
            **{"metric": "validation_loss", "target": target, "reached": not math.isnan(updates)},
            **{"updates": updates, "epochs": updates * size, "seconds": math.nan, "budget_epochs": updates * size},
        }
        for target, sizes in values.items()
        for size, given in sizes.items()
        for seed, updates in enumerate(given, start=1)
    ]
    return pd.DataFrame(rows)


def trials(power: float, edge: bool = False) -> pd.DataFrame:
    """Trials of four sizes whose best rate grows as a power of the size."""
    rates = np.geomspace(1e-4, 1e2, 25)
    rows = []
    for size in (8, 16, 32, 64):
        for seed in (101, 102, 103):
            best = 1e-2 * (size / 8) ** power * (1 + 0.02 * (seed - 102) * (1 + size / 64)) * (1e9 if edge else 1)
            for rate in rates:
                row = {"dataset": "digits", "recipe": "mlp", **of_size(size), "seed": seed, "learning_rate": rate}
                rows.append({**row, "outcome": "ok", LOSS: 0.1 + math.log(rate / best) ** 2})
    return pd.DataFrame(rows)


def critical(*rows: tuple[float, float, float, bool], n_sizes: int = 4) -> Tables:
    content = [
        {
            **{"dataset": "digits", "recipe": "mlp", "metric": "validation_loss", "target": 0.5 - 0.1 * i},
            **{"b_crit": value, "ci_low": low, "ci_high": high, "accepted": ok, "reason": "" if ok else "it misfits"},
            **{"n_runs": 25, "n_sizes": 5, "e_min": 5.0 + i, "e_min_examples": None},
        }
        for i, (value, low, high, ok) in enumerate(rows)
    ]
    reached = targets({0.5: {size: [1.0] for size in (8, 32, 128, 512)[:n_sizes]}})
    return {"critical_batch_size": pd.DataFrame(content), "to_target": reached}
