"""Recipes and random data of the networks that are trained: what they show changes neither time nor equality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from batchscope.data.dataset import Data
from batchscope.training.recipes import Recipe

ADAM = {"name": "adam", "learning_rate": 0.001}
MOMENTUM = {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9}


def mlp(hidden: Sequence[int], dropout: float = 0.0, normalization: str = "none") -> dict[str, Any]:
    """A dense network."""
    keys = {"dropout": dropout, "normalization": normalization, "activation": "relu"}
    return {"name": "mlp", "hidden": list(hidden), **keys}


def cnn(filters: Sequence[int], dense: int) -> dict[str, Any]:
    """A convolutional network with batch normalization."""
    keys = {"dropout": 0.0, "normalization": "batch", "activation": "relu"}
    return {"name": "cnn", "filters": list(filters), "kernel_size": 3, "dense": dense, **keys}


def recipe(model: dict[str, Any], optimizer: dict[str, Any]) -> Recipe:
    """A resolved recipe."""
    budget = {"epochs": 2, "updates": None, "evaluations": None, "first_evaluation_at": None, "early_stopping": None}
    return cast(
        Recipe,
        {
            "name": "gpu-check",
            "model": model,
            "optimizer": optimizer,
            "learning_rate_scaling": {"rule": "none", "reference_batch_size": None, "warmup_epochs": 0.0},
            "micro_batch_size": None,
            "last_batch": "keep",
            "shuffle": True,
            "evaluation_batch_size": 1000,
            "tuning": None,
            "snapshots": {"at": [], "train_losses": []},
            "budget": budget,
            "tracked_weight": None,
        },
    )


def examples(n: int, shape: Sequence[int], classes: int) -> Data:
    """`n` training examples of random numbers, 100 for validation and 100 for the test."""
    rng = np.random.default_rng(0)
    x, y = rng.random((n + 200, *shape), dtype=np.float32), rng.integers(0, classes, n + 200).astype(np.int32)
    parts = [array[start:stop] for start, stop in ((0, n), (n, n + 100), (n + 100, n + 200)) for array in (x, y)]
    return Data(*parts, {"classes": classes})
