"""What a probe measures on: a run or a cell of a study, with its data, its engine and the weights that it kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training import plans, recipes
from batchscope.training.checkpoints import Checkpoint
from batchscope.training.engines import Engine, Frozen, Precision
from batchscope.training.plans import Plan
from batchscope.training.recipes import Recipe
from batchscope.training.snapshots import Snapshot

Row = dict[str, Any]
Tables = dict[str, list[Row]]

SUBSET = 31  # the stream of random numbers that chooses the examples looked at: the same for every run of a data set


class Cell(TypedDict):
    """The columns of `tables.CELL`."""

    dataset: str
    recipe: str
    batch_size: int
    full_batch: bool


@dataclass(frozen=True)
class Subject:
    """What the function `measure` of a probe is given; it returns the rows of the probe's tables, by name.

    Attributes:
        engine: the configured engine.
        data: the data set.
        recipe: resolved, with the rate of this batch size.
        settings: of the probe and of the job: the keys of the study, engine, loop, the lengths of timings, ….
        cell: the columns of `tables.CELL`.
        seed: of the run; 0 of a cell.
        learning_rate: of the run, before any schedule; not a number for a probe that does not look at weights.
        snapshots: the weights that the run kept, by checkpoint; none for a probe that does not look at weights.
    """

    engine: Engine
    data: Data
    recipe: Recipe
    settings: Mapping[str, Any]
    cell: Cell
    seed: int
    learning_rate: float = math.nan
    snapshots: Mapping[Checkpoint, Snapshot] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """How the run is trained."""
        return Plan(self.recipe, self.cell["batch_size"], self.seed, self.settings["loop"])

    @property
    def identity(self) -> Row:
        """The columns of `tables.RUN`."""
        return {**self.cell, "seed": self.seed}

    def taken(self, checkpoints: Iterable[Checkpoint]) -> Iterator[Snapshot]:
        """The weights at `checkpoints`; a run that diverged or never fell so far lacks some."""
        return (self.snapshots[checkpoint] for checkpoint in checkpoints if checkpoint in self.snapshots)

    def at(self, snapshot: Snapshot, n_examples: int) -> Row:
        """The columns `probes.columns.AT_CHECKPOINT` of weights that are looked at on `n_examples`."""
        return {**self.identity, **snapshot.columns, "examples": n_examples}

    def frozen(self, snapshot: Snapshot, precision: Precision) -> Frozen:
        """The model with these weights, on `settings["examples"]` of the training part, the same for every run."""
        n_train = len(self.data.y_train)
        n = min(self.settings["examples"], n_train)
        chosen: NDArray[np.int64] = np.sort(np.random.default_rng(SUBSET).permutation(n_train)[:n])
        return self.engine.freeze(
            self.recipe,
            (self.data.x_train[chosen], self.data.y_train[chosen]),
            self.data.meta["classes"],
            snapshot.weights,
            precision,
            self.recipe["evaluation_batch_size"],
        )


def orders(n_train: int, plan: Plan, updates: int) -> Iterator[tuple[slice, NDArray[np.int32]]]:
    """The first `updates` updates of a training, an epoch at a time: which updates, and their examples in order."""
    per_epoch = recipes.updates_per_epoch(n_train, plan.batch_size, plan.recipe["last_batch"])
    for epoch, first, end in plans.pieces(0, updates, per_epoch):
        order = plans.epoch_order(n_train, plan, epoch)[first * plan.batch_size : end * plan.batch_size]
        made = (epoch - 1) * per_epoch
        yield slice(made + first, made + end), order
