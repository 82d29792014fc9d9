"""A Keras model in training on TensorFlow, with the data on the device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training import plans
from batchscope.training.engines import Part, Vector
from batchscope.training.engines.keras import fit, models
from batchscope.training.engines.keras.losses import Network, added_losses
from batchscope.training.engines.keras.trainer import EXAMPLES_TRIED, KerasTrainer, prepared
from batchscope.training.engines.tensorflow import fused
from batchscope.training.engines.tensorflow.framework import tf
from batchscope.training.engines.tensorflow.memory import memory_errors
from batchscope.training.engines.tensorflow.settings import BACKEND
from batchscope.training.plans import Plan

Tensor = Any  # TensorFlow has no usable type stubs
Examples = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class TensorFlowTrainer(KerasTrainer):
    """See `engines.Trainer`. Whatever needs too much memory raises `OutOfMemoryError`."""

    evaluation: Callable[[Tensor, Tensor], Examples]

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
    def read_batches(self, order: NDArray[np.int32]) -> float:
        return self._reader(order)

    @cached_property
    def _reader(self) -> Callable[[NDArray[np.int32]], float]:
        return fused.reader(self.parts["train"], self.plan.batch_size)


@memory_errors()
def build(plan: Plan, data: Data) -> TensorFlowTrainer:
    """Build and compile the plan's model, with all parts of the data on the device."""
    network, parts = prepared(BACKEND, plan, data, tf.constant)
    tracked = _tracked(network, plan, parts["train"])
    fused_loop = plan.loop == "fused"
    return TensorFlowTrainer(
        backend=BACKEND,
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
