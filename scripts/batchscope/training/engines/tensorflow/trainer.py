"""A Keras model in training on TensorFlow, with the data on the device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training import plans
from batchscope.training.engines import Loop, Part, Steps, Vector, Weights
from batchscope.training.engines.keras import fit, models, optimizers, user_models
from batchscope.training.engines.keras.losses import Network, added_losses, check_added_losses
from batchscope.training.engines.tensorflow import fused
from batchscope.training.engines.tensorflow.framework import keras, tf
from batchscope.training.engines.tensorflow.memory import memory_errors
from batchscope.training.engines.tensorflow.settings import BACKEND
from batchscope.training.plans import Plan

EXAMPLES_TRIED = 32  # examples for a look at the untrained model: what it returns, which weight moves most

Tensor = Any  # TensorFlow has no usable type stubs
Examples = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class KerasTrainer:
    """See `engines.Trainer`. Whatever needs too much memory raises `OutOfMemoryError`."""

    model: keras.Model
    network: Network
    plan: Plan
    data: Data
    parts: Mapping[Part, Examples]
    tracked_weight: tuple[int, ...]
    steps: Loop
    evaluation: Callable[[Tensor, Tensor], Examples]

    @property
    def n_parameters(self) -> int:
        """The number of trainable weights."""
        return int(sum(np.prod(variable.shape) for variable in self.model.trainable_variables))

    @memory_errors()
    def train(self, order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
        return self.steps(order, rates)

    @memory_errors()
    def evaluate(self, part: Part) -> tuple[float, float]:
        loss, accuracy = self.evaluation(*self.parts[part])
        return float(loss), float(accuracy)

    @memory_errors()
    def batch_losses(self, part: Part, batches: NDArray[np.int32], *, batch_statistics: bool) -> Vector:
        x, y = self.parts[part]

        def loss(batch: Tensor) -> Tensor:
            outputs = self.model(tf.gather(x, batch), training=False)
            mean = tf.reduce_mean(self.network.losses(outputs, tf.gather(y, batch)))
            return tf.add_n([mean, *added_losses(self.model)])

        run = tf.function(lambda rows: tf.map_fn(loss, rows, tf.float32, parallel_iterations=1), autograph=False)
        before = self.get_weights()
        try:
            with models.batch_statistics(self.model) if batch_statistics else contextlib.nullcontext():
                return np.asarray(run(tf.constant(batches)), dtype=np.float64)
        finally:
            self.set_weights(before)  # batch normalization moves its stored statistics

    @memory_errors()
    def get_weights(self) -> Weights:
        return [variable.numpy() for variable in self.model.variables]

    @memory_errors()
    def set_weights(self, weights: Weights) -> None:
        for variable, value in zip(self.model.variables, weights, strict=True):
            variable.assign(value)

    @memory_errors()
    def trainable_weights(self) -> Vector:
        arrays = [np.asarray(variable, np.float64) for variable in self.model.trainable_variables]
        return np.concatenate([array.ravel() for array in arrays])

    @memory_errors()
    def read_batches(self, order: NDArray[np.int32]) -> float:
        return self._reader(order)

    @memory_errors()
    def fit_seconds(self, updates: int) -> float:
        """As `Trainer.fit_seconds`; of a trainer built for the loop `fit`. See `fit.seconds`."""
        return fit.seconds(self.model, self.data, self.plan.batch_size, updates)

    @cached_property
    def _reader(self) -> Callable[[NDArray[np.int32]], float]:
        return fused.reader(self.parts["train"], self.plan.batch_size)


@memory_errors()
def build(plan: Plan, data: Data) -> KerasTrainer:
    """Build and compile the plan's model, with all parts of the data on the device."""
    model = models.untrained(BACKEND, plan, data)
    optimizer = optimizers.build(plan.recipe, plan.batch_size)
    optimizer.build(model.trainable_variables)
    network = Network(model, optimizer, plan.recipe["model"].get("outputs", "logits") == "logits")
    parts: dict[Part, Examples] = {
        "train": (tf.constant(data.x_train), tf.constant(data.y_train)),
        "validation": (tf.constant(data.x_validation), tf.constant(data.y_validation)),
        "test": (tf.constant(data.x_test), tf.constant(data.y_test)),
    }
    if "function" in plan.recipe["model"]:
        tried, name = parts["train"][0][:EXAMPLES_TRIED], plan.recipe["model"]["function"]
        with BACKEND.kept(name):
            user_models.check_outputs(plan.recipe["model"], np.asarray(model(tried, training=False)))
            check_added_losses(model, tried[: EXAMPLES_TRIED // 2], name)
    tracked = _tracked(network, plan, parts["train"])
    fused_loop = plan.loop == "fused"
    return KerasTrainer(
        model=model,
        network=network,
        plan=plan,
        data=data,
        parts=parts,
        tracked_weight=tracked,
        steps=fused.steps(network, plan, parts["train"], tracked) if fused_loop else fit.steps(network, plan, data),
        evaluation=_evaluation(network, plan.recipe["evaluation_batch_size"], data.x_train.shape[1:]),
    )


def _tracked(network: Network, plan: Plan, examples: tuple[Tensor, Tensor]) -> tuple[int, ...]:
    """Index of the weight to follow, found in inference mode, so that no statistic and no stream of dropout moves."""
    x, y = (array[:EXAMPLES_TRIED] for array in examples)  # few: this may not set the peak of memory
    first = network.model.trainable_variables[0].value
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(network.losses(network.model(x, training=False), y))
    gradient = tape.gradient(loss, first, unconnected_gradients="zero")
    dense = tf.convert_to_tensor(gradient)  # that of an embedding is sparse
    return plans.tracked_index(plan.recipe, dense.numpy())


def _evaluation(
    network: Network, size: int, shape: tuple[int, ...]
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Function of all examples, of `shape` each, and labels of a part that gives its loss and accuracy.

    It goes through them in passes of `size` examples. What the model adds to the loss of a pass because of its examples
    counts as often as the pass has examples; what it adds because of its weights is the same in all.
    """
    model = network.model

    @tf.function(autograph=False)
    def run(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        n = tf.size(y)

        def add(start: Tensor, loss: Tensor, correct: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            stop = tf.minimum(start + size, n)
            outputs, labels = model(x[start:stop], training=False), y[start:stop]
            loss += tf.reduce_sum(tf.cast(network.losses(outputs, labels), tf.float64))
            for added in added_losses(model, of="examples"):
                loss += tf.cast(stop - start, tf.float64) * tf.cast(added, tf.float64)
            hit = tf.argmax(outputs, axis=-1, output_type=tf.int32) == labels
            return stop, loss, correct + tf.math.count_nonzero(hit)

        nothing = (tf.constant(0), tf.constant(0.0, tf.float64), tf.constant(0, tf.int64))
        _, loss, correct = tf.while_loop(lambda i, *_: i < n, add, nothing, parallel_iterations=1)
        penalty = tf.cast(tf.add_n([tf.constant(0.0), *added_losses(model, of="weights")]), tf.float64)
        return loss / tf.cast(n, tf.float64) + penalty, correct / tf.cast(n, tf.int64)

    return run.get_concrete_function(tf.TensorSpec([None, *shape], tf.float32), tf.TensorSpec([None], tf.int32))
