"""Checkpoints of a run: at fractions of its budget, and where its training loss has fallen so far. Opens no file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchscope.tables.job_columns import CHECKPOINT

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Checkpoint:
    """Where a run keeps its weights; one of `fraction` and `train_loss` is given.

    Attributes:
        fraction: of the budget that is spent, 0 to 1; 1 also where a run stopped early.
        train_loss: in nat; the first evaluation at or below it.
        interpolated: whether it stands for measures at exactly `train_loss`, between weights above and below it.
    """

    fraction: float | None = None
    train_loss: float | None = None
    interpolated: bool = False

    def __post_init__(self) -> None:
        if (self.fraction is None) == (self.train_loss is None):
            raise ValueError("a checkpoint is at a fraction of the budget or at a training loss, one of the two")

    @property
    def rank(self) -> tuple[int, float, bool]:
        """What checkpoints are sorted by: the start, fractions of the budget, falling training losses, the end."""
        if self.train_loss is not None:
            return 1, -self.train_loss, not self.interpolated
        return (2, 0.0, False) if self == END else (0, self.fraction or 0.0, False)

    @property
    def label(self) -> str:
        """`start`, `50 % of the budget`, `end`, `training loss 0.3`, or `first below training loss 0.3`."""
        if self.train_loss is not None:
            return f"{'' if self.interpolated else 'first below '}training loss {self.train_loss:g}"
        return {START: "start", END: "end"}.get(self, f"{100 * (self.fraction or 0.0):g} % of the budget")

    @property
    def when(self) -> str:
        """The same in a sentence: `before the first update`, `at 50 % of the budget`, `at training loss 0.3`."""
        if self.train_loss is not None and not self.interpolated:
            return f"at the first evaluation at or below training loss {self.train_loss:g}"
        return {START: "before the first update", END: "at the end"}.get(self, f"at {self.label}")

    @property
    def columns(self) -> dict[str, float | None]:
        """What a table says of it."""
        return dict(zip(CHECKPOINT, (self.fraction, self.train_loss), strict=True))

    def reached(self, fraction: float, train_loss: float, *, ended: bool) -> bool:
        """Whether a run is there that has spent a `fraction` of its budget; or has `ended` early, which is its end."""
        if self.train_loss is not None:
            return train_loss <= self.train_loss
        return fraction >= (self.fraction or 0.0) or (ended and self == END)


START, END = Checkpoint(fraction=0.0), Checkpoint(fraction=1.0)


def kept(at: Iterable[float] = (), train_losses: Iterable[float] = ()) -> list[Checkpoint]:
    """The checkpoints that a recipe asks for; its key `snapshots` has these two."""
    fractions = [Checkpoint(fraction=float(fraction)) for fraction in at]
    return fractions + [Checkpoint(train_loss=float(loss)) for loss in train_losses]


def of_rows(frame: pd.DataFrame) -> list[Checkpoint]:
    """The checkpoint that each row of a table is about."""
    fractions, losses = (frame[name].astype("float64") for name in CHECKPOINT)
    exact = frame["interpolated"] if "interpolated" in frame else [False] * len(frame)
    return [
        Checkpoint(train_loss=loss, interpolated=bool(between)) if math.isnan(fraction) else Checkpoint(fraction)
        for fraction, loss, between in zip(fractions, losses, exact, strict=True)
    ]


def by_checkpoint(frame: pd.DataFrame) -> dict[Checkpoint, pd.DataFrame]:
    """The rows of a table by the checkpoint that they are about, in the order of `rank`."""
    return {checkpoint: at(frame, checkpoint) for checkpoint in sorted({*of_rows(frame)}, key=lambda each: each.rank)}


def at(frame: pd.DataFrame, checkpoint: Checkpoint | None) -> pd.DataFrame:
    """The rows of a table that are about a checkpoint; none without one."""
    return frame.loc[[found == checkpoint for found in of_rows(frame)]]
