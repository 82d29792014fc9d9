"""Where the time of an update goes: windows of three loops that do more and more of what an update needs, in turns.

The loops, from the least work to the most: `data` reads the examples of every batch from the device's memory and does
nothing with them; `fused` also computes and updates, in one compiled call for the whole window; `fit` is Keras' own
loop, which comes back to Python for every update and brings the examples from the host. Knows no framework.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.probes.subject import Subject, Tables
from batchscope.training import timing
from batchscope.training.engines import Engine
from batchscope.training.plans import Plan

WINDOWS = 7  # of each loop, where the study gives no number


def measure(subject: Subject) -> Tables:
    """Timed windows of the compiled loop, of Keras' own loop and of one that only reads the data."""
    plan = dataclasses.replace(subject.plan, seed=0, loop="fused")
    windows = loop_windows(subject.engine, subject.data, plan, subject.settings)
    return {"loop_windows": [{**subject.cell, **window} for window in windows]}


def loop_windows(engine: Engine, data: Data, plan: Plan, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Time `settings["windows"]` windows, or `WINDOWS`, of about `window_seconds` of each loop, warm.

    The loops take turns, one window each, so that a machine that slows down for a while slows them alike: compare
    windows of one number. As in `timing.measure`, every update has a full batch and learning rate zero, compiling lies
    before the windows, and the device has finished where the clock is read. `plan.loop` does not matter.

    Returns:
        One row per loop and window: loop, window (from 1), updates, seconds, seconds_per_update.

    Raises:
        OutOfMemoryError: a loop does not fit; `fit` needs the most, another copy of the training part.
        ValueError: the recipe accumulates micro batches, which Keras' own loop cannot.
    """
    if plan.recipe["micro_batch_size"] is not None:
        raise ValueError(f"recipe {plan.recipe['name']} accumulates micro batches, and Keras' own loop cannot do that")
    loops, epoch = _loops(engine, data, plan), len(data.y_train) // plan.batch_size
    updates = {
        loop: timing.warm_up(take, epoch, settings["warmup_seconds"], settings["window_seconds"])
        for loop, take in loops.items()
    }
    return [
        {"loop": loop, "window": window, **timing.timed(take, updates[loop])}
        for window in range(1, (settings["windows"] or WINDOWS) + 1)
        for loop, take in loops.items()
    ]


def _loops(engine: Engine, data: Data, plan: Plan) -> dict[str, timing.Take]:
    """The three loops, compiled: each makes so many updates and returns their seconds."""
    n_train, batch_size = len(data.y_train), plan.batch_size
    trainers = {loop: engine.build(dataclasses.replace(plan, loop=loop), data) for loop in ("fused", "fit")}
    for trainer in trainers.values():
        trainer.train(np.empty(0, np.int32), np.empty(0, np.float32))
    loops: dict[str, timing.Take] = {
        "fused": functools.partial(timing.train_seconds, trainers["fused"], n_train, batch_size),
        "fit": trainers["fit"].fit_seconds,
        "data": functools.partial(_read_seconds, trainers["fused"].read_batches, n_train, batch_size),
    }
    for take in loops.values():
        take(1)  # the first updates of all initialise the framework
    return loops


def _read_seconds(read: Callable[[NDArray[np.int32]], Any], n: int, batch_size: int, updates: int) -> float:
    """Time of reading `updates` full batches; drawing the order is not timed."""
    order = timing.full_batches(n, batch_size, updates)
    start = time.perf_counter()
    read(order)
    return time.perf_counter() - start
