"""The fused loop: one TensorFlow graph for all updates of a call; and one that only reads the same batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.training.engines import Loop, Steps
from batchscope.training.engines.keras.losses import Network, added_losses
from batchscope.training.engines.tensorflow import kernels
from batchscope.training.engines.tensorflow.framework import tf
from batchscope.training.plans import Plan

Tensor = Any  # TensorFlow has no usable type stubs
Gradient = Callable[[Tensor, Tensor], tuple[Tensor, list[Tensor]]]


def steps(network: Network, plan: Plan, examples: tuple[Tensor, Tensor], tracked: tuple[int, ...]) -> Loop:
    """Function as `Trainer.train`: one graph that loops over the batches, so that Python is left once per call.

    Whole batches and the last, short one have loops of their own: where the graph knows the size of a batch, an update
    of a small network takes a quarter less time.
    """
    x, y = examples
    optimizer, variables = network.optimizer, [variable.value for variable in network.model.trainable_variables]
    kernels.use(optimizer)
    gradient = _gradient(network, variables)
    if plan.recipe["micro_batch_size"] is not None:
        gradient = _accumulated(gradient, variables, plan.recipe["micro_batch_size"])

    def update(batch: Tensor, rate: Tensor) -> Tensor:
        loss, gradients = gradient(tf.gather(x, batch), tf.gather(y, batch))
        optimizer.learning_rate.assign(rate)
        norm = tf.linalg.global_norm(gradients)
        with tf.control_dependencies([norm]):  # while the gradients, just made, lie in the cache
            optimizer.apply(gradients, network.model.trainable_variables)
        return tf.stack([loss, norm, variables[0][tracked]])

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)],
        autograph=False,
    )
    def run(order: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
        def until(end: Tensor, batch: Callable[[Tensor], Tensor], state: Any) -> Any:
            def body(i: Tensor, finite: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                row = update(batch(i * plan.batch_size), rates[i])
                return i + 1, tf.math.is_finite(row[0]), seen.write(i, row)

            return tf.while_loop(lambda i, finite, _: (i < end) & finite, body, state, parallel_iterations=1)

        seen = tf.TensorArray(tf.float32, size=tf.size(rates), element_shape=[3])
        state = (tf.constant(0), tf.constant(True), seen)
        whole = tf.minimum(tf.size(rates), tf.size(order) // plan.batch_size)
        state = until(whole, lambda start: tf.slice(order, [start], [plan.batch_size]), state)
        done, _, seen = until(tf.size(rates), lambda start: order[start:], state)
        return done, seen.stack()

    def made(order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
        done, seen = run(order, rates)
        return Steps(*np.asarray(seen, dtype=np.float64)[: int(done)].T)

    return made


def reader(examples: tuple[Tensor, Tensor], batch_size: int) -> Callable[[NDArray[np.int32]], float]:
    """Function as `Trainer.read_batches`, which gathers batches as the loop of `steps` does."""
    x, y = examples

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)
    def run(order: Tensor) -> Tensor:
        def body(i: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
            batch = tf.slice(order, [i * batch_size], [batch_size])
            examples, labels = tf.gather(x, batch), tf.gather(y, batch)
            return i + 1, total + tf.reshape(examples, [-1])[-1] + tf.cast(labels[-1], tf.float32)

        end = tf.size(order) // batch_size
        return tf.while_loop(lambda i, _: i < end, body, (tf.constant(0), tf.constant(0.0)), parallel_iterations=1)[1]

    return lambda order: float(run(order))


def losses(network: Network, outputs: Tensor, labels: Tensor) -> Tensor:
    """`Network.losses`, equal to the bit as are its gradients, shape (n,).

    TensorFlow's own takes some seventy operations where operations are to be deterministic, most for its gradient: it
    gathers and scatters what a mask selects.
    """
    if not network.from_logits or len(outputs.shape) != 2:
        return network.losses(outputs, labels)
    chances = tf.nn.log_softmax(outputs)
    mask = tf.one_hot(labels, outputs.shape[-1], on_value=True, off_value=False)
    return -tf.reduce_sum(tf.where(mask, chances, tf.zeros([], chances.dtype)), axis=-1)


def _gradient(network: Network, variables: list[Tensor]) -> Gradient:
    """Function of (examples, labels) that gives the mean loss and its gradient in training mode."""
    model, mode = network.model, network.training_mode

    def gradient(x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        with tf.GradientTape() as tape:
            outputs = model(x, **mode)
            loss = tf.add_n([tf.reduce_mean(losses(network, outputs, y)), *added_losses(model)])
        return loss, [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables, unconnected_gradients="zero")]

    return gradient


def _accumulated(gradient: Gradient, variables: list[Tensor], micro: int) -> Gradient:
    """The same as `gradient`, made in passes of `micro` examples, each weighted by its share of the batch."""

    def accumulated(x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        size = tf.shape(y)[0]

        def add(start: Tensor, loss: Tensor, total: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
            stop = tf.minimum(start + micro, size)
            share = tf.cast(stop - start, tf.float32) / tf.cast(size, tf.float32)
            part_loss, part = gradient(x[start:stop], y[start:stop])
            return stop, loss + share * part_loss, [a + share * b for a, b in zip(total, part, strict=True)]

        zeros = [tf.zeros_like(variable) for variable in variables]
        _, loss, total = tf.while_loop(
            lambda start, *_: start < size, add, (tf.constant(0), tf.constant(0.0), zeros), parallel_iterations=1
        )
        return loss, total

    return accumulated
