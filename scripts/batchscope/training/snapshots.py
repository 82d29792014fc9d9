"""The weights that a run kept at its checkpoints, and their file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.identity.files import atomic_path
from batchscope.training.checkpoints import Checkpoint


@dataclass(frozen=True)
class Snapshot:
    """The weights of a model at a checkpoint of a run.

    Attributes:
        checkpoint: where they were kept.
        epoch: passes over the training part so far.
        updates: updates made so far.
        train_loss: loss of the whole training part with these weights, in nat.
        weights: what `Trainer.get_weights` gave.
    """

    checkpoint: Checkpoint
    epoch: float
    updates: int
    train_loss: float
    weights: list[NDArray[Any]]

    @property
    def columns(self) -> dict[str, float | None]:
        """What a table says of them: the columns of the checkpoint, epoch, updates and train_loss."""
        at = {"epoch": self.epoch, "updates": self.updates, "train_loss": self.train_loss}
        return {**self.checkpoint.columns, **at}


def write(snapshots: Sequence[Snapshot], path: str | Path) -> None:
    """Write snapshots, or none, as one .npz, atomically."""
    meta = json.dumps([snapshot.columns for snapshot in snapshots])
    arrays = {
        f"{position}/{index}": array
        for position, snapshot in enumerate(snapshots)
        for index, array in enumerate(snapshot.weights)
    }
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, meta=np.array(meta), **arrays)


def read(path: str | Path) -> dict[Checkpoint, Snapshot]:
    """The snapshots of a run by checkpoint, in the order in which they were taken."""
    found = {}
    with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        for position, row in enumerate(json.loads(str(file["meta"]))):
            count = sum(name.startswith(f"{position}/") for name in file.files)
            weights = [file[f"{position}/{index}"] for index in range(count)]
            checkpoint = Checkpoint(row["checkpoint_fraction"], row["checkpoint_train_loss"])
            found[checkpoint] = Snapshot(checkpoint, row["epoch"], row["updates"], row["train_loss"], weights)
    return found
