"""What tables of probes have in common: how their rows are told apart, and the columns of weights that a run kept."""

from __future__ import annotations

from dataclasses import dataclass

from batchscope.tables.job_columns import CELL, CHECKPOINT, RUN, Columns, integer, number


@dataclass(frozen=True)
class Record:
    """A table that the jobs of a probe write.

    Attributes:
        columns: all of them, in order; the first are those of a run, or of a cell.
        further: columns that tell rows of one run, or of one cell, apart, in the order in which rows are sorted.
    """

    columns: Columns
    further: tuple[str, ...] = ()

    @property
    def keys(self) -> list[str]:
        """The columns that tell a row from every other of the study."""
        return [*(RUN if "seed" in self.columns else CELL), *self.further]


def at_checkpoint(columns: Columns, *further: str) -> Record:
    """A table about weights that runs kept: which they are, and `columns`; `further` of them tell rows apart."""
    weights = {
        **RUN,
        **CHECKPOINT,
        "epoch": number("epochs", "passes over the training part up to that checkpoint", nullable=False),
        "updates": integer("updates", "updates up to that checkpoint"),
        "train_loss": number("nat", "loss of the whole training part at that checkpoint"),
        "examples": integer("examples", "training examples that the probe looked at"),
    }
    return Record({**weights, **columns}, ("updates", *CHECKPOINT, *further))
