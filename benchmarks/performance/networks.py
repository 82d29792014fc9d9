"""The networks of which one update is timed, with made-up examples: time does not depend on what they show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from batchscope.data.dataset import Data

MOMENTUM: Mapping[str, Any] = {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9}
ADAM: Mapping[str, Any] = {"name": "adam", "learning_rate": 0.001}


@dataclass(frozen=True)
class Network:
    """A perceptron with one hidden layer and what it trains on; `sizes` are its batch sizes."""

    features: int
    hidden: int
    classes: int
    dropout: float
    optimizer: Mapping[str, Any]
    examples: int
    sizes: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return (self.features + 1) * self.hidden + (self.hidden + 1) * self.classes

    def recipe(self, epochs: int = 1) -> dict[str, Any]:
        """A resolved recipe of the network."""
        return {
            "name": "benchmark",
            "model": {"name": "mlp", "hidden": [self.hidden], "activation": "relu", "dropout": self.dropout}
            | {"normalization": "none"},
            "optimizer": dict(self.optimizer),
            "learning_rate_scaling": {"rule": "none", "reference_batch_size": None, "warmup_epochs": 0.0},
            "micro_batch_size": None,
            "last_batch": "drop",
            "shuffle": True,
            "evaluation_batch_size": 1000,
            "snapshots": {"at": [], "train_losses": []},
            "budget": {"epochs": epochs, "updates": None, "evaluations": None, "first_evaluation_at": None}
            | {"early_stopping": None},
            "tracked_weight": None,
        }

    def data(self) -> Data:
        """Random examples."""
        rng = np.random.default_rng(0)
        x = rng.random((self.examples, self.features), dtype=np.float32)
        y = rng.integers(0, self.classes, self.examples).astype(np.int32)
        return Data(x, y, x[:300], y[:300], x[:300], y[:300], {"classes": self.classes})

    def operations(self, size: int) -> int:
        """Multiplications and additions of the matrix products of an update: two forward, three backward."""
        return size * (4 * self.features * self.hidden + 6 * self.hidden * self.classes)

    def moved(self, size: int) -> int:
        """Bytes that an update reads and writes at least: examples once, gradient, weights and moments each way."""
        moments = 2 if self.optimizer is ADAM else 1
        return 4 * (size * self.features + self.parameters * (2 + 2 * (1 + moments)))


NETWORKS = {
    "blobs": Network(2, 32, 3, 0.0, MOMENTUM, 800, (1, 8, 32, 128, 800)),
    "digits": Network(64, 128, 10, 0.1, ADAM, 1168, (1, 8, 32, 128, 1168)),
    "Fashion-MNIST": Network(784, 128, 10, 0.1, ADAM, 8192, (8, 32, 128)),
}
