"""Small data and recipes for tests of the training."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from batchscope.data.dataset import ARRAYS, Data, digest
from batchscope.identity.digests import sealed
from batchscope.identity.files import write_json
from batchscope.training import engines
from batchscope.training.engines import Engine


@functools.cache
def configured(name: str) -> Engine:
    """An engine on one thread of the CPU: a framework may take its settings before its first operation only."""
    engine = engines.load(name)
    engine.configure("cpu", 1)
    return engine


def blobs(
    n_train: int = 60, features: int = 4, classes: int = 3, seed: int = 0, shape: tuple[int, ...] | None = None
) -> Data:
    """Overlapping Gaussian classes; 60 training, 20 validation and 20 test examples by default."""
    rng = np.random.default_rng(seed)
    n = n_train + 40
    y = rng.integers(0, classes, n).astype(np.int32)
    x = (rng.normal(size=(n, features)) + rng.normal(size=(classes, features))[y]).astype(np.float32)
    if shape is not None:
        x = x.reshape(n, *shape)
    parts = np.split(np.arange(n), [n_train, n_train + 20])
    arrays = [a[part] for part in parts for a in (x, y)]
    return Data(*arrays, meta={"classes": classes, "digest": "test"})


RECIPE: dict[str, Any] = {
    "name": "small",
    "model": {"name": "mlp", "hidden": [8], "activation": "relu", "dropout": 0.0, "normalization": "none"},
    "optimizer": {"name": "sgd", "learning_rate": 0.05},
    "learning_rate_scaling": {"rule": "none", "reference_batch_size": None, "warmup_epochs": 0.0},
    "micro_batch_size": None,
    "last_batch": "keep",
    "shuffle": True,
    "evaluation_batch_size": 7,
    "tuning": None,
    "snapshots": {"at": [], "train_losses": []},
    "budget": {"epochs": 3, "updates": None, "evaluations": None, "first_evaluation_at": None, "early_stopping": None},
    "tracked_weight": None,
}


def recipe(**changes: Any) -> dict[str, Any]:
    """`RECIPE` with changes; a mapping changes only the keys it has."""
    made = copy.deepcopy(RECIPE)
    for key, value in changes.items():
        made[key] = {**made[key], **value} if isinstance(made[key], dict) and isinstance(value, dict) else value
    return made


def softmax(**changes: Any) -> dict[str, Any]:
    """`recipe` of softmax regression, which every engine trains."""
    return recipe(**{"model": {"hidden": []}, **changes})


def save(data: Data, path: Path) -> dict[str, str]:
    """Write data, and what is known of them, as a job reads them; the inputs of the job."""
    arrays = {name: getattr(data, name) for name in ARRAYS}
    meta = json.dumps({"classes": data.meta["classes"], "digest": digest(arrays)})
    np.savez(path, **arrays, meta=np.array(meta))
    facts = {"asked": "blobs", "arrays": digest(arrays)}
    write_json(sealed(facts), path.with_suffix(".json"))
    return {"data": str(path), "facts": str(path.with_suffix(".json"))}


def ask(trained: dict[str, Any], batch_size: str, engine: str = "numpy", **cell: Any) -> dict[str, Any]:
    """What a study asks of a job on the data set `blobs`, see `asked.Asked`."""
    settings = {"engine": engine, "loop": "fused", "device": "cpu", "threads": 1, "environment": {}}
    return {
        "cell": {"dataset": "blobs", "recipe": "small", "batch_size": batch_size, **cell},
        "recipe": trained,
        "settings": {**settings, "step_records": 10, "telemetry_interval_seconds": 0.1},
        "sources": {"data": ["blobs"], "model": {}},
    }
