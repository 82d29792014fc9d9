"""Seconds per update of one (data set, recipe, batch size), in repeated windows of full batches. Knows no framework."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.stats.quantiles import median, median_interval
from batchscope.training.engines import Engine, Trainer
from batchscope.training.loop import UNWATCHED
from batchscope.training.plans import Plan

MEMORY_UPDATES = 4  # after which memory has been through all that an update does
MEMORY_SECONDS = 0.6  # of updates at least: how many of their buffers an engine holds at once differs for a while
MAX_UPDATES = 1_000_000  # in one window, so that its order of examples stays small
FEWEST = 5  # windows where their number is not given, however long they take

Take = Callable[[int], float]  # makes so many updates and returns their seconds
Window = dict[str, Any]  # the columns of the table `windows` but those of the cell
Ended = Literal["windows", "precision", "max_seconds"]


@dataclass(frozen=True)
class Until:
    """How many windows are timed; the settings of the same names in `study.settings.Timing`."""

    windows: int | None
    precision: float
    max_seconds: float

    def ended_by(self, windows: Sequence[Window]) -> Ended | None:
        """The setting that says that these windows are enough; None where another one is needed."""
        if self.windows is not None:
            return "windows" if len(windows) >= self.windows else None
        per_update = [window["seconds_per_update"] for window in windows]
        middle, ends = median(per_update), median_interval(per_update)
        if middle and ends and max(middle - ends[0], ends[1] - middle) <= self.precision * middle:
            return "precision"
        if len(windows) < FEWEST:
            return None
        spent = sum(window["seconds"] for window in windows)
        return "max_seconds" if spent + windows[-1]["seconds"] > self.max_seconds else None


@dataclass
class Timing:
    """Windows of one timing; empty where memory ran out."""

    compile_seconds: float | None = None
    updates_per_window: int | None = None
    windows: list[Window] = field(default_factory=list)
    ended_by: Ended | None = None
    outcome: str = "ok"
    outcome_detail: str | None = None


def measure(
    engine: Engine,
    data: Data,
    plan: Plan,
    observer: AbstractContextManager[Any],
    *,
    until: Until,
    window_seconds: float,
    warmup_seconds: float,
    memory: AbstractContextManager[Any] = UNWATCHED,
) -> Timing:
    """Time updates in windows of about `window_seconds`, as many as `until` asks, after `warmup_seconds` of such work.

    Every update does the full work of the recipe, but at learning rate zero: the weights stay where they are, so that
    no window differs from another and none can diverge. The last, short batch of an epoch does not occur. `observer`
    (the telemetry) is entered around the windows only; `memory` around the first few updates, one in a call, which see
    what training needs: longer calls than an epoch compile anew, and the orders of windows are long.
    """
    n_train, batch_size, timing = len(data.y_train), plan.batch_size, Timing()
    try:
        engine.prepare(plan, data)
        start = time.perf_counter()
        trainer = engine.build(plan, data)
        trainer.train(np.empty(0, np.int32), np.empty(0, np.float32))
        timing.compile_seconds = time.perf_counter() - start
        take = functools.partial(train_seconds, trainer, n_train, batch_size)
        with memory:
            spent = [take(1) for _ in range(MEMORY_UPDATES)]
            while sum(spent) < MEMORY_SECONDS:
                spent.append(take(1))
        epoch = n_train // batch_size
        left = warmup_seconds - sum(spent)
        updates = timing.updates_per_window = warm_up(take, epoch, left, window_seconds)
    except MemoryError as error:
        timing.outcome, timing.outcome_detail = "out_of_memory", str(error)
        with observer:
            return timing
    with observer:
        while (ended := until.ended_by(timing.windows)) is None:
            timing.windows.append({"window": len(timing.windows) + 1, **timed(take, updates)})
    timing.ended_by = ended
    return timing


def warm_up(take: Take, epoch: int, warmup_seconds: float, window_seconds: float) -> int:
    """Run for at least `warmup_seconds` and until a call fills about a window; returns the updates of that call.

    An engine may compile anew for a call longer than an `epoch` of updates, as JAX does for each length: so few lengths
    are tried, each of them twice, the second time for its pace, and the last one is that of the windows. The first
    updates of all, which initialise the framework, lie before it.
    """
    spent, updates = 0.0, 1
    while True:
        take(updates)
        took = take(updates)
        spent += 2 * took
        wanted = min(MAX_UPDATES, math.ceil(window_seconds * updates / took))
        if wanted > 2 * updates:
            updates = min(wanted, epoch) if updates < epoch else wanted
        elif spent >= warmup_seconds:
            return updates


def timed(take: Take, updates: int) -> Window:
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
