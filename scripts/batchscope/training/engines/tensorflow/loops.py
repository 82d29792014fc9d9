"""Loops that are only timed: one that reads batches and does nothing with them, and Keras' own as most run it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training.engines.keras.framework import keras, tf

Tensor = Any  # TensorFlow has no usable type stubs

UPDATES_PER_EPOCH = 200
REPEATED_BYTES = 2**28


def batch_reader(trainer: Any, batch_size: int) -> Callable[[NDArray[np.int32]], float]:
    """Function that gathers the whole batches of an order, one after the other, as the fused loop does; nothing else.

    It returns the sum over the batches of the last number of the last example plus its label: one number of each batch
    is looked at, so that no batch is left out, and only one, since reading a batch is part of computing with it.
    """
    x, y = trainer.parts["train"]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)
    def run(order: Tensor) -> Tensor:
        def body(i: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
            batch = tf.slice(order, [i * batch_size], [batch_size])
            examples, labels = tf.gather(x, batch), tf.gather(y, batch)
            return i + 1, total + tf.reshape(examples, [-1])[-1] + tf.cast(labels[-1], tf.float32)

        end = tf.size(order) // batch_size
        return tf.while_loop(lambda i, _: i < end, body, (tf.constant(0), tf.constant(0.0)), parallel_iterations=1)[1]

    return lambda order: float(run(order))


def fit_seconds(trainer: Any, data: Data, batch_size: int, updates: int) -> float:
    """Seconds of `updates` updates with whole batches in Keras' own loop, at learning rate zero.

    One call of `model.fit` on NumPy arrays, without progress bar and callbacks of the user, over as many epochs as that
    takes. Small data are repeated until an epoch has `UPDATES_PER_EPOCH` updates or takes `REPEATED_BYTES`: Keras needs
    tens of milliseconds between epochs, which are no part of an update.

    Examples keep their order, since Keras' shuffling is refused where operations are deterministic. The clock
    starts after the first update, when the call has copied the data and set up its pipeline (some tenths of a second,
    once per call), and stops at the end of an epoch, when Keras has waited for the device. Between them lie updates and
    what Keras does between epochs.
    """
    whole = len(data.y_train) // batch_size * batch_size
    x, y = data.x_train[:whole], data.y_train[:whole]
    times = min(math.ceil(UPDATES_PER_EPOCH * batch_size / whole), max(1, REPEATED_BYTES // x.nbytes))
    x, y = np.concatenate([x] * times), np.concatenate([y] * times)
    clock = _Clock(updates)
    trainer.model.optimizer.learning_rate.assign(0.0)
    trainer.model.fit(
        x,
        y,
        batch_size=batch_size,
        epochs=math.ceil((updates + 1) * batch_size / len(y)),
        shuffle=False,
        verbose=0,
        callbacks=[clock],
    )
    return clock.stopped - clock.started


class _Clock(keras.callbacks.Callback):
    """Times `updates` updates after a first one, and stops the training after them.

    A callback at the end of an update would make Keras wait for each update, which it does not do otherwise.
    """

    def __init__(self, updates: int) -> None:
        super().__init__()
        self.updates, self.begun = updates, 0
        self.started = self.stopped = math.nan

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.begun += 1
        if self.begun == 2:
            self.started = time.perf_counter()
        if self.begun > self.updates:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.stopped = time.perf_counter()
