"""Weights that a run keeps for the probes: at shares of its budget, and where the training loss has fallen so far."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.identity.files import atomic_path

NAMES = {0.0: "start", 1.0: "end"}


@dataclass(frozen=True)
class Snapshot:
    """The weights of a model at one moment of a run.

    Attributes:
        moment: its name, see `at` and `below`.
        epoch: passes over the training part so far.
        updates: updates made so far.
        train_loss: loss of the whole training part with these weights, in nat.
        weights: what `Trainer.get_weights` gave.
    """

    moment: str
    epoch: float
    updates: int
    train_loss: float
    weights: list[NDArray[Any]]


def at(share: float) -> str:
    """Name of the moment at a share of the budget, 0 to 1."""
    return NAMES.get(share, f"{100 * share:g} %")


def below(train_loss: float) -> str:
    """Name of the moment when the training loss is first at or below a value."""
    return f"train loss {train_loss:g}"


def due(
    recipe: Mapping[str, Any], taken: Sequence[Snapshot], share: float, train_loss: float, *, ended: bool
) -> list[str]:
    """The moments that have come and were not `taken` yet, at an evaluation.

    Args:
        recipe: resolved recipe.
        taken: snapshots of the run so far.
        share: of the budget that is spent, 0 to 1.
        train_loss: at this evaluation.
        ended: whether this is the last evaluation, since the budget is spent or the run stopped early.
    """
    wanted, done = recipe["snapshots"], {snapshot.moment for snapshot in taken}
    names = [at(each) for each in wanted["at"] if share >= each or (ended and each == 1)]
    names += [below(loss) for loss in wanted["train_losses"] if train_loss <= loss]
    return [name for name in names if name not in done]


def write(snapshots: Sequence[Snapshot], path: str | Path) -> None:
    """Write snapshots, or none, as one .npz, atomically."""
    meta = [{"moment": s.moment, "epoch": s.epoch, "updates": s.updates, "train_loss": s.train_loss} for s in snapshots]
    arrays = {
        f"{position}/{index}": array
        for position, snapshot in enumerate(snapshots)
        for index, array in enumerate(snapshot.weights)
    }
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, meta=np.array(json.dumps(meta)), **arrays)


def read(path: str | Path) -> dict[str, Snapshot]:
    """The snapshots of a run by moment, in the order in which they were taken."""
    with np.load(path, allow_pickle=False) as file:
        meta = json.loads(str(file["meta"]))
        names = [name.split("/") for name in file.files if name != "meta"]
        counts = [sum(first == str(position) for first, _ in names) for position in range(len(meta))]
        return {
            entry["moment"]: Snapshot(**entry, weights=[file[f"{position}/{index}"] for index in range(count)])
            for position, (entry, count) in enumerate(zip(meta, counts, strict=True))
        }
