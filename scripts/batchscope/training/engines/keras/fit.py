"""Keras' own loop over the same batches: what most people run, and the reference for the fused loop."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training.engines import Loop, Steps
from batchscope.training.engines.keras.framework import keras
from batchscope.training.engines.keras.losses import Network
from batchscope.training.plans import Plan

UPDATES_PER_EPOCH = 200
REPEATED_BYTES = 2**28


def steps(network: Network, plan: Plan, data: Data) -> Loop:
    """Function as `Trainer.train`, by `model.fit`."""
    model, optimizer, size = network.model, network.optimizer, plan.batch_size
    short = 0 if plan.recipe["last_batch"] == "drop" else len(data.y_train) % size
    model.compile(optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=network.from_logits))

    def made(order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
        if not len(rates):
            _compile_fit(network, data.x_train[: size + short], data.y_train[: size + short], size)
            return Steps(*np.empty((3, 0)))
        optimizer.learning_rate.assign(rates[0])
        seen = _StepLosses(rates)
        model.fit(
            data.x_train[order],
            data.y_train[order],
            batch_size=size,
            shuffle=False,
            verbose=0,
            callbacks=[seen],
        )
        losses = np.array(seen.losses)
        return Steps(losses, np.full_like(losses, np.nan), np.full_like(losses, np.nan))

    return made


def seconds(model: keras.Model, data: Data, batch_size: int, updates: int) -> float:
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
    model.optimizer.learning_rate.assign(0.0)
    model.fit(
        x,
        y,
        batch_size=batch_size,
        epochs=math.ceil((updates + 1) * batch_size / len(y)),
        shuffle=False,
        verbose=0,
        callbacks=[clock],
    )
    return clock.stopped - clock.started


class _StepLosses(keras.callbacks.Callback):
    """Collects each update's own loss (Keras reports running means) and sets each update's learning rate."""

    def __init__(self, rates: NDArray[np.float32]) -> None:
        super().__init__()
        self.rates = rates
        self.varies = bool(np.ptp(rates))
        self.losses: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.reset_metrics()
        if self.varies:
            self.model.optimizer.learning_rate.assign(self.rates[batch])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.losses.append(float(logs["loss"]))
        if not np.isfinite(self.losses[-1]):
            self.model.stop_training = True


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


def values(variables: Sequence[keras.Variable]) -> list[NDArray[Any]]:
    """Copies of what variables hold, as arrays, on every backend."""
    return [np.copy(np.asarray(variable)) for variable in variables]


def _compile_fit(network: Network, x: NDArray[np.float32], y: NDArray[np.int32], size: int) -> None:
    """Make `model.fit` compile by an update with a whole batch and, if one is left, a short one; undo both."""
    variables = [*network.model.variables, *network.optimizer.variables]
    before = values(variables)
    network.model.fit(x, y, batch_size=size, shuffle=False, verbose=0)
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
