"""Seconds per update of one (data set, recipe, batch size), in repeated windows of full batches. Knows no framework."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training.engines import Engine, Trainer
from batchscope.training.plans import Plan

MEMORY_UPDATES = 4  # after which memory has been through all that an update does
MAX_UPDATES = 1_000_000  # in one window, so that its order of examples stays small

Take = Callable[[int], float]  # makes so many updates and returns their seconds


@dataclass
class Timing:
    """Windows of one timing; empty where memory ran out."""

    compile_seconds: float | None = None
    updates_per_window: int | None = None
    windows: list[dict[str, Any]] = field(default_factory=list)
    outcome: str = "ok"
    outcome_detail: str | None = None


def measure(
    engine: Engine,
    data: Data,
    plan: Plan,
    observer: AbstractContextManager[Any],
    *,
    windows: int,
    window_seconds: float,
    warmup_seconds: float,
    at_peak: Callable[[], None] = lambda: None,
) -> Timing:
    """Time updates in `windows` windows of about `window_seconds` each, after `warmup_seconds` of the same work.

    Every update does the full work of the recipe, but at learning rate zero: the weights stay where they are, so that
    no window differs from another and none can diverge. The last, short batch of an epoch does not occur. `observer`
    (the telemetry) is entered around the windows only. `at_peak` is called after the first few updates, when memory has
    seen what training needs and not yet the long orders of examples that fill a window.
    """
    n_train, batch_size, timing = len(data.y_train), plan.batch_size, Timing()
    try:
        engine.prepare(plan, data)
        start = time.perf_counter()
        trainer = engine.build(plan, data)
        trainer.train(np.empty(0, np.int32), np.empty(0, np.float32))
        timing.compile_seconds = time.perf_counter() - start
        take = functools.partial(train_seconds, trainer, n_train, batch_size)
        take(MEMORY_UPDATES)
        at_peak()
        updates = timing.updates_per_window = warm_up(take, warmup_seconds, window_seconds)
    except MemoryError as error:
        timing.outcome, timing.outcome_detail = "out_of_memory", str(error)
        with observer:
            return timing
    with observer:
        for window in range(1, windows + 1):
            timing.windows.append({"window": window, **timed(take, updates)})
    return timing


def warm_up(take: Take, warmup_seconds: float, window_seconds: float) -> int:
    """Run for at least `warmup_seconds`, doubling the updates per call; returns how many updates fill a window.

    The first updates of all, which initialise the framework, lie before it and say nothing about the pace; and the last
    call must be long enough, a tenth of a window, to tell how many updates fill one.
    """
    spent, updates = 0.0, 1
    while True:
        took = take(updates)
        spent += took
        long_enough = spent >= warmup_seconds and took >= window_seconds / 10
        if long_enough or 2 * updates > MAX_UPDATES:
            return min(MAX_UPDATES, math.ceil(window_seconds / (took / updates)))
        updates *= 2


def timed(take: Take, updates: int) -> dict[str, Any]:
    """One window: its `updates`, `seconds` and `seconds_per_update`."""
    seconds = take(updates)
    return {"updates": updates, "seconds": seconds, "seconds_per_update": seconds / updates}


def train_seconds(trainer: Trainer, n: int, batch_size: int, updates: int) -> float:
    """Time of `updates` full batches, the engine synchronised at both ends; drawing the order is not timed."""
    order, rates = full_batches(n, batch_size, updates), np.zeros(updates, np.float32)
    start = time.perf_counter()
    trainer.train(order, rates)
    return time.perf_counter() - start


def full_batches(n: int, batch_size: int, updates: int) -> NDArray[np.int32]:
    """Examples of `updates` full batches, shape (updates * batch_size,): one random order of `n`, over and over."""
    return np.resize(np.random.default_rng(0).permutation(n).astype(np.int32), updates * batch_size)
