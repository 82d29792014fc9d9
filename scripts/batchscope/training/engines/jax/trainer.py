"""A Keras model in training on JAX, with the data on the device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training import plans
from batchscope.training.engines import Part, Vector
from batchscope.training.engines.jax import fused, programs
from batchscope.training.engines.jax.framework import Array, jax, jnp, lax
from batchscope.training.engines.jax.memory import memory_errors
from batchscope.training.engines.jax.programs import Programs
from batchscope.training.engines.jax.settings import BACKEND
from batchscope.training.engines.keras import fit, models
from batchscope.training.engines.keras.losses import added_losses
from batchscope.training.engines.keras.trainer import EXAMPLES_TRIED, KerasTrainer, prepared
from batchscope.training.plans import Plan


@dataclass(frozen=True)
class JaxTrainer(KerasTrainer):
    """See `engines.Trainer`. Whatever needs too much memory raises `OutOfMemoryError`."""

    programs: Programs

    @memory_errors()
    def evaluate(self, part: Part) -> tuple[float, float]:
        x, y = self.parts[part]
        losses, hits, passes, added, penalties = self.programs.evaluation(*fused.state_of(self.network)[:2], x, y)
        total = np.asarray(losses, np.float64).sum() + np.asarray(passes, np.float64) @ np.asarray(added, np.float64)
        return float(total / len(y) + np.asarray(penalties, np.float64)), int(hits) / len(y)

    @memory_errors()
    def batch_losses(self, part: Part, batches: NDArray[np.int32], *, batch_statistics: bool) -> Vector:
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
    def read_batches(self, order: NDArray[np.int32]) -> float:
        return self._reader(order)

    @cached_property
    def _reader(self) -> Callable[[NDArray[np.int32]], float]:
        return fused.reader(self.parts["train"], self.plan.batch_size)


@memory_errors()
def build(plan: Plan, data: Data) -> JaxTrainer:
    """Build the plan's model, with all parts of the data on the device."""
    network, parts = prepared(BACKEND, plan, data, jax.device_put)
    compiled = programs.of(network, plan)
    # In inference mode, so that no statistic and no stream of dropout moves.
    few = (jax.device_put(array[:EXAMPLES_TRIED]) for array in (data.x_train, data.y_train))  # all would set the peak
    gradient = compiled.first_gradient(fused.state_of(network), *few)
    tracked = plans.tracked_index(plan.recipe, np.asarray(gradient))
    if plan.loop == "fused":
        steps = fused.steps(network, plan, parts["train"], tracked, compiled.steps)
    else:
        steps = fit.steps(network, plan, data)
    return JaxTrainer(
        backend=BACKEND,
        network=network,
        plan=plan,
        data=data,
        parts=parts,
        tracked_weight=tracked,
        steps=steps,
        programs=compiled,
    )
