"""What the report says about evaluation modes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from batchscope.figures import sheets
from batchscope.figures.frames import Size
from batchscope.figures.sheets import Cell, Column, Sheet, counts_of, rows, spreads_of
from batchscope.probes.section import Block, Evidence, Figure, Note, Pair, Section, where
from batchscope.probes.words import null_in_words, shift
from batchscope.stats import LEVEL
from batchscope.stats.intervals import t_interval


def modes(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per size of the runs and of the batches evaluated: validation loss in both modes and the difference."""
    frame = evidence.of("modes", pair)
    if frame.empty:
        return []
    found = rows(_over_seeds(frame))
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Batch size of the runs", "examples"), [sheets.size(row) for row in found]),
        (Column("Batch size evaluated", "examples"), counts_of(found, "evaluated_batch_size")),
        (Column("Loss in training mode", "nat"), spreads_of(found, "training")),
        (Column("Loss in inference mode", "nat"), spreads_of(found, "inference")),
        (Column("Training − inference", "nat"), spreads_of(found, "shift")),
        (Column("Seeds"), counts_of(found, "n")),
    ]
    caption = (
        f"{where(pair)} Validation loss of the last weights of the runs, evaluated in batches of a size. Means over "
        f"seeds with {LEVEL} t-intervals, of the difference over pairs of the same weights. In training mode batch "
        "normalization takes its statistics from the batch; dropout is off and the moving statistics stay as they "
        "are. Without batch normalization there is no difference."
    )
    sizes = [Size(int(size), False) for size in sorted(set(frame["evaluated_batch_size"]))]
    by_evaluated = frame.assign(batch_size=frame["evaluated_batch_size"], full_batch=False)
    reasons = null_in_words(by_evaluated, "training_loss", sizes, "runs")
    notes = [Note(f"Not measured: {reasons}.")] if reasons else []
    return [Figure("evaluation_modes"), Sheet("table-modes", caption, columns), *notes]


SECTIONS = (
    Section(
        "modes",
        "Training mode and inference mode",
        "The same weights, evaluated in batches of several sizes. With batch normalization in training mode the "
        "answer to an example depends on the others in its batch.",
        modes,
    ),
)


def _over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Means and intervals over the seeds of each size of the runs and of the batches evaluated."""
    keys = ["batch_size", "full_batch", "evaluated_batch_size"]
    found = []
    for key, group in frame.sort_values(keys, kind="stable").groupby(keys, sort=False):
        row: dict[str, object] = dict(zip(keys, key, strict=True))
        intervals = {
            "training": t_interval(group["training_loss"].dropna().astype("float64")),
            "inference": t_interval(group["inference_loss"].dropna().astype("float64")),
            "shift": shift(group),
        }
        for name, interval in intervals.items():
            row |= {f"{name}_mean": interval.mean, f"{name}_ci_low": interval.low, f"{name}_ci_high": interval.high}
        found.append({**row, "n": intervals["shift"].n})
    return pd.DataFrame(found)
