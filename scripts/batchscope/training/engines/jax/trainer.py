"""A Keras model in training on JAX, with the data on the device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training import plans
from batchscope.training.engines import Loop, Part, Steps, Vector, Weights
from batchscope.training.engines.jax import fused, programs
from batchscope.training.engines.jax.framework import Array, jax, jnp, keras, lax
from batchscope.training.engines.jax.memory import memory_errors
from batchscope.training.engines.jax.programs import Programs
from batchscope.training.engines.jax.settings import BACKEND
from batchscope.training.engines.keras import fit, models, optimizers, user_models
from batchscope.training.engines.keras.losses import Network, added_losses, check_added_losses
from batchscope.training.plans import Plan

EXAMPLES_TRIED = 32  # examples for a look at the untrained model: what it returns, which weight moves most

Examples = tuple[Array, Array]


@dataclass(frozen=True)
class JaxTrainer:
    """See `engines.Trainer`. Whatever needs too much memory raises `OutOfMemoryError`."""

    model: keras.Model
    network: Network
    plan: Plan
    data: Data
    parts: Mapping[Part, Examples]
    tracked_weight: tuple[int, ...]
    steps: Loop
    programs: Programs

    @property
    def n_parameters(self) -> int:
        """The number of trainable weights."""
        return int(sum(np.prod(variable.shape) for variable in self.model.trainable_variables))

    @memory_errors()
    def train(self, order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
        """As `Trainer.train`."""
        return self.steps(order, rates)

    @memory_errors()
    def evaluate(self, part: Part) -> tuple[float, float]:
        """As `Trainer.evaluate`."""
        x, y = self.parts[part]
        losses, hits, passes, added, penalties = self.programs.evaluation(*fused.state_of(self.network)[:2], x, y)
        total = np.asarray(losses, np.float64).sum() + np.asarray(passes, np.float64) @ np.asarray(added, np.float64)
        return float(total / len(y) + np.asarray(penalties, np.float64)), int(hits) / len(y)

    @memory_errors()
    def batch_losses(self, part: Part, batches: NDArray[np.int32], *, batch_statistics: bool) -> Vector:
        """As `Trainer.batch_losses`."""
        weights, statistics, _ = fused.state_of(self.network)

        @jax.jit
        def run(weights: fused.Arrays, statistics: fused.Arrays, x: Array, y: Array, rows: Array) -> Array:
            def loss(batch: Array) -> Array:
                outputs, found = programs.inference(self.network, weights, statistics, x[batch])
                return sum(added_losses(self.model, found=found), jnp.mean(self.network.losses(outputs, y[batch])))

            return lax.map(loss, rows)

        with models.batch_statistics(self.model) if batch_statistics else contextlib.nullcontext():
            return np.asarray(run(weights, statistics, *self.parts[part], batches), dtype=np.float64)

    @memory_errors()
    def get_weights(self) -> Weights:
        """As `Trainer.get_weights`."""
        return [np.array(variable.value) for variable in self.model.variables]

    @memory_errors()
    def set_weights(self, weights: Weights) -> None:
        """As `Trainer.set_weights`."""
        for variable, value in zip(self.model.variables, weights, strict=True):
            variable.assign(value)

    @memory_errors()
    def trainable_weights(self) -> Vector:
        """As `Trainer.trainable_weights`."""
        arrays = [np.asarray(variable.value, np.float64) for variable in self.model.trainable_variables]
        return np.concatenate([array.ravel() for array in arrays])

    @memory_errors()
    def read_batches(self, order: NDArray[np.int32]) -> float:
        """As `Trainer.read_batches`."""
        return self._reader(order)

    @memory_errors()
    def fit_seconds(self, updates: int) -> float:
        """As `Trainer.fit_seconds`; of a trainer built for the loop `fit`. See `fit.seconds`."""
        return fit.seconds(self.model, self.data, self.plan.batch_size, updates)

    @cached_property
    def _reader(self) -> Callable[[NDArray[np.int32]], float]:
        return fused.reader(self.parts["train"], self.plan.batch_size)


@memory_errors()
def build(plan: Plan, data: Data) -> JaxTrainer:
    """Build the plan's model, with all parts of the data on the device."""
    model = models.untrained(BACKEND, plan, data)
    optimizer = optimizers.build(plan.recipe, plan.batch_size)
    optimizer.build(model.trainable_variables)
    network = Network(model, optimizer, plan.recipe["model"].get("outputs", "logits") == "logits")
    parts: dict[Part, Examples] = {
        "train": (jnp.asarray(data.x_train), jnp.asarray(data.y_train)),
        "validation": (jnp.asarray(data.x_validation), jnp.asarray(data.y_validation)),
        "test": (jnp.asarray(data.x_test), jnp.asarray(data.y_test)),
    }
    if "function" in plan.recipe["model"]:
        tried, name = parts["train"][0][:EXAMPLES_TRIED], plan.recipe["model"]["function"]
        with BACKEND.kept(name):
            user_models.check_outputs(plan.recipe["model"], np.asarray(model(tried, training=False)))
            check_added_losses(model, tried[: EXAMPLES_TRIED // 2], name)
    compiled = programs.of(network, plan)
    # In inference mode, so that no statistic and no stream of dropout moves.
    few = (array[:EXAMPLES_TRIED] for array in parts["train"])  # few: this may not set the peak of memory
    gradient = compiled.first_gradient(fused.state_of(network), *few)
    tracked = plans.tracked_index(plan.recipe, np.asarray(gradient))
    if plan.loop == "fused":
        steps = fused.steps(network, plan, parts["train"], tracked, compiled.steps)
    else:
        steps = fit.steps(network, plan, data)
    return JaxTrainer(
        model=model,
        network=network,
        plan=plan,
        data=data,
        parts=parts,
        tracked_weight=tracked,
        steps=steps,
        programs=compiled,
    )
