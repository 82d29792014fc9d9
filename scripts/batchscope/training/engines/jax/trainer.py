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
from batchscope.training.engines.jax import fused
from batchscope.training.engines.jax.framework import Array, jax, jnp, keras, lax
from batchscope.training.engines.jax.memory import memory_errors
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
        losses, hits, passes, added, penalties = self._evaluation(*fused.state_of(self.network)[:2], x, y)
        total = np.asarray(losses, np.float64).sum() + np.asarray(passes, np.float64) @ np.asarray(added, np.float64)
        return float(total / len(y) + np.asarray(penalties, np.float64)), int(hits) / len(y)

    @memory_errors()
    def batch_losses(self, part: Part, batches: NDArray[np.int32], *, batch_statistics: bool) -> Vector:
        """As `Trainer.batch_losses`."""
        weights, statistics, _ = fused.state_of(self.network)

        @jax.jit
        def run(x: Array, y: Array, rows: Array) -> Array:
            def loss(batch: Array) -> Array:
                outputs, found = self._inference(weights, statistics, x[batch])
                return sum(added_losses(self.model, found=found), jnp.mean(self.network.losses(outputs, y[batch])))

            return lax.map(loss, rows)

        with models.batch_statistics(self.model) if batch_statistics else contextlib.nullcontext():
            return np.asarray(run(*self.parts[part], batches), dtype=np.float64)

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

    @cached_property
    def _evaluation(self) -> Callable[..., tuple[Array, ...]]:
        """Function of weights, statistics, examples and labels, which it goes through in passes.

        Gives the loss of each example, how many were classified rightly, the examples of each pass and what the model
        adds to its loss because of them, and what it adds because of its weights.
        """
        size = self.plan.recipe["evaluation_batch_size"]

        @jax.jit
        def run(weights: fused.Arrays, statistics: fused.Arrays, x: Array, y: Array) -> tuple[Array, ...]:
            def look(start: Array, count: int) -> tuple[Array, Array, Array, Array]:
                some, labels = (lax.dynamic_slice_in_dim(array, start, count) for array in (x, y))
                outputs, found = self._inference(weights, statistics, some)
                hits = jnp.sum(jnp.argmax(outputs, axis=-1) == labels)
                of = (added_losses(self.model, of, found) for of in ("examples", "weights"))
                return self.network.losses(outputs, labels), hits, *(sum(each, jnp.float32(0)) for each in of)

            whole, rest = divmod(len(y), size)
            passes = []
            if whole:
                losses, *others = lax.map(lambda i: look(i * size, size), jnp.arange(whole))
                passes.append((losses.reshape(-1), *others))
            if rest:
                passes.append(tuple(jnp.atleast_1d(each) for each in look(jnp.int32(whole * size), rest)))
            losses, hits, added, penalties = (jnp.concatenate(each) for each in zip(*passes, strict=True))
            counts = jnp.array([size] * whole + [rest] * bool(rest))
            return losses, hits.sum(), counts, added, penalties[0]

        return run

    def _inference(self, weights: fused.Arrays, statistics: fused.Arrays, x: Array) -> tuple[Array, list[Array]]:
        outputs, _, found = self.model.stateless_call(weights, statistics, x, return_losses=True, training=False)
        return outputs, found


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
    tracked = _tracked(network, plan, parts["train"])
    fused_loop = plan.loop == "fused"
    return JaxTrainer(
        model=model,
        network=network,
        plan=plan,
        data=data,
        parts=parts,
        tracked_weight=tracked,
        steps=fused.steps(network, plan, parts["train"], tracked) if fused_loop else fit.steps(network, plan, data),
    )


def _tracked(network: Network, plan: Plan, examples: Examples) -> tuple[int, ...]:
    """Index of the weight to follow, found in inference mode, so that no statistic and no stream of dropout moves."""
    x, y = (array[:EXAMPLES_TRIED] for array in examples)  # few: this may not set the peak of memory
    (first, *others), statistics, _ = fused.state_of(network)

    @jax.jit
    def loss(array: Array) -> Array:
        outputs, _ = network.model.stateless_call([array, *others], statistics, x, training=False)
        return jnp.mean(network.losses(outputs, y))

    return plans.tracked_index(plan.recipe, np.asarray(jax.grad(loss)(first)))
