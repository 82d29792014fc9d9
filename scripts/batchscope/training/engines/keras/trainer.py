"""A Keras model in training: what is the same on every backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training.engines import Loop, Part, Steps, Vector, Weights
from batchscope.training.engines.keras import fit, models, optimizers, user_models
from batchscope.training.engines.keras.framework import keras
from batchscope.training.engines.keras.losses import Network, check_added_losses
from batchscope.training.engines.keras.settings import Backend
from batchscope.training.plans import Plan

EXAMPLES_TRIED = 32  # examples for a look at the untrained model: what it returns, which weight moves most

Tensor = Any  # Keras has no usable types
Examples = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class KerasTrainer:
    """See `engines.Trainer`, of which a backend adds what it computes. Too much memory is an `OutOfMemoryError`."""

    backend: Backend
    network: Network
    plan: Plan
    data: Data
    parts: Mapping[Part, Examples]
    tracked_weight: tuple[int, ...]
    steps: Loop

    @property
    def model(self) -> keras.Model:
        """The model that is trained."""
        return self.network.model

    @property
    def n_parameters(self) -> int:
        """The number of trainable weights."""
        return int(sum(np.prod(variable.shape) for variable in self.model.trainable_variables))

    def train(self, order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
        with self.backend.memory_errors():
            return self.steps(order, rates)

    def get_weights(self) -> Weights:
        with self.backend.memory_errors():
            return fit.values(self.model.variables)

    def set_weights(self, weights: Weights) -> None:
        with self.backend.memory_errors():
            for variable, value in zip(self.model.variables, weights, strict=True):
                variable.assign(value)

    def trainable_weights(self) -> Vector:
        with self.backend.memory_errors():
            arrays = [np.asarray(variable, np.float64) for variable in self.model.trainable_variables]
            return np.concatenate([array.ravel() for array in arrays])

    def fit_seconds(self, updates: int) -> float:
        """As `Trainer.fit_seconds`; of a trainer built for the loop `fit`. See `fit.seconds`."""
        with self.backend.memory_errors():
            return fit.seconds(self.model, self.data, self.plan.batch_size, updates)


def prepared(
    backend: Backend, plan: Plan, data: Data, tensor: Callable[[NDArray[Any]], Tensor]
) -> tuple[Network, dict[Part, Examples]]:
    """The plan's network with its first weights, and all parts of the data as what `tensor` makes of arrays.

    Raises:
        FunctionError: see `Engine.build`.
    """
    model = models.untrained(backend, plan, data)
    optimizer = optimizers.build(plan.recipe, plan.batch_size)
    optimizer.build(model.trainable_variables)
    network = Network(model, optimizer, plan.recipe["model"].get("outputs", "logits") == "logits")
    parts: dict[Part, Examples] = {
        "train": (tensor(data.x_train), tensor(data.y_train)),
        "validation": (tensor(data.x_validation), tensor(data.y_validation)),
        "test": (tensor(data.x_test), tensor(data.y_test)),
    }
    if "function" in plan.recipe["model"]:
        tried, name = parts["train"][0][:EXAMPLES_TRIED], plan.recipe["model"]["function"]
        with backend.kept(name):
            user_models.check_outputs(plan.recipe["model"], np.asarray(model(tried, training=False)))
            check_added_losses(model, tried[: EXAMPLES_TRIED // 2], name)
    return network, parts
