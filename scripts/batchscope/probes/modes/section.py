"""What the report says about evaluation modes."""

from __future__ import annotations

from collections.abc import Sequence

from batchscope.figures import sheets
from batchscope.figures.sheets import Cell, Column, Sheet, counts_of, rows, spreads_of
from batchscope.probes.section import Block, Evidence, Figure, Note, Section, where
from batchscope.probes.words import by_evaluated, null_in_words
from batchscope.stats import LEVEL
from batchscope.tables.cells import Pair


def modes(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per size of the runs and of the batches evaluated: validation loss in both modes and the difference."""
    frame = evidence.of("modes", pair)
    if frame.empty:
        return []
    found = rows(evidence.of("mode_means", pair))
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Batch size of the runs", "examples"), [sheets.size(row) for row in found]),
        (Column("Batch size evaluated", "examples"), counts_of(found, "evaluated_batch_size")),
        (Column("Loss in training mode", "nat"), spreads_of(found, "training_loss")),
        (Column("Loss in inference mode", "nat"), spreads_of(found, "inference_loss")),
        (Column("Training − inference", "nat"), spreads_of(found, "shift")),
        (Column("Seeds"), counts_of(found, "n")),
    ]
    caption = (
        f"{where(pair)} Validation loss of the last weights of the runs, evaluated in batches of a size. Means over "
        f"seeds with {LEVEL} t-intervals, of the difference over pairs of the same weights."
    )
    reasons = null_in_words(by_evaluated(frame), "training_loss", "runs")
    notes = [Note(f"Not measured: {reasons}.")] if reasons else []
    return [Figure("evaluation_modes"), Sheet("table-modes", caption, columns), *notes]


def _shift(evidence: Evidence, pair: Pair) -> str:
    """By how much the two modes differ at most, and in which batches."""
    means = evidence.of("mode_means", pair).dropna(subset=["shift_mean"])
    if means.empty:
        return ""
    if (means["shift_mean"] == 0).all():
        return "Training mode and inference mode give the same loss at every size."
    row = rows(means.loc[[means["shift_mean"].abs().idxmax()]])[0]
    shift = sheets.interval(row, "shift")
    return (
        f"Training mode changes the loss most in batches of {row['evaluated_batch_size']:,}: by {shift} nat, at the "
        f"weights of batch size {sheets.size(row).shown}."
    )


SECTIONS = (
    Section(
        "modes",
        "Training mode and inference mode",
        "The same weights, evaluated in batches of several sizes. In training mode batch normalization takes mean and "
        "variance from the batch, so that the answer to an example depends on the others; dropout is off and the "
        "moving statistics, which inference mode uses, are left as they are. Without batch normalization there is no "
        "difference. In a batch of one a normalized dense layer has no variance and returns its offset, whatever the "
        "example. Both losses come from the same examples; sizes that do not divide the largest leave out some.",
        modes,
        finding=_shift,
        figure="evaluation_modes",
    ),
)
