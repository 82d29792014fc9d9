"""What the report says about range tests."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from batchscope import text
from batchscope.figures import sheets
from batchscope.figures.frames import of_size
from batchscope.figures.sheets import Cell, Column, Row, Sheet, number, rows
from batchscope.probes.section import Block, Evidence, Figure, Note, Section, where
from batchscope.probes.words import null_in_words
from batchscope.stats import LEVEL
from batchscope.tables.cells import Pair, sizes_of


def ranges(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per batch size: the rates that the range test found beside the tuned rate and that of the runs."""
    frame, means = evidence.of("rate_ranges", pair), evidence.of("rate_range_means", pair)
    if frame.empty:
        return []
    found, sizes = rows(means), sizes_of(means)
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Batch size", "examples"), [sheets.size(row) for row in found]),
        (Column("Suggested rate"), [_mean(row, "suggested_rate") for row in found]),
        (Column("Seeds with one"), [_share(row, "n_suggested") for row in found]),
        (Column("Rate of the lowest loss"), [_mean(row, "lowest_loss_rate") for row in found]),
        (Column("Diverged at"), [_reach(row) for row in found]),
        (Column("Seeds that diverged"), [_share(row, "n_diverged") for row in found]),
    ]
    tuned, recipe = _tuned(evidence, pair)
    if recipe is not None:
        columns.append((Column("Tuned rate"), [_optimum(of_size(tuned, size)) for size in sizes]))
    used = evidence.of("rates", pair)
    columns.append((Column("Rate of the runs"), [_used(of_size(used, size)) for size in sizes]))
    beside = f" Tuned rate: that of {recipe}, with its interval over tuning seeds."
    caption = (
        f"{where(pair)} Geometric means over the seeds that have a value, with {LEVEL} t-intervals of the logarithm. "
        "Suggested: where the loss falls fastest over the logarithm of the rate. Diverged at: from the lowest to the "
        f"highest rate at which a seed did.{beside if recipe is not None else ''}"
    )
    notes = [
        Note(f"{what}: {reasons}.")
        for what, column in (("No suggestion", "suggested_rate"), ("No rate of the lowest loss", "lowest_loss_rate"))
        if (reasons := null_in_words(frame, column))
    ]
    return [Figure("rate_range"), Sheet("table-ranges", caption, columns), *notes]


def _suggested(evidence: Evidence, pair: Pair) -> str:
    """The suggested rate at the smallest and the largest size that has one."""
    found = rows(evidence.of("rate_range_means", pair).dropna(subset=["suggested_rate_mean"]))
    if not found:
        return ""
    ends = [
        f"{text.number(row['suggested_rate_mean'])} at batch size {sheets.size(row).shown}"
        for row in (found[0], found[-1])
    ]
    return f"The range test suggests a learning rate of {' and '.join(dict.fromkeys(ends))}."


SECTIONS = (
    Section(
        "ranges",
        "Learning-rate range test",
        "One short training per size and seed whose learning rate rises geometrically from update to update (Smith "
        "2017). It looks at the first updates only: the rate that suits them need not suit a whole training.",
        ranges,
        "A seed diverges at the first rate with which the smoothed loss is far above its lowest; the others held out "
        "up to the last rate. A tuned rate comes from whole trainings.",
        finding=_suggested,
        figure="rate_range",
    ),
)


def _tuned(evidence: Evidence, pair: Pair) -> tuple[pd.DataFrame, str | None]:
    """The table `rates` of the recipe, or of one that differs from it in the learning rate only, and was tuned."""
    for each in (pair, *evidence.twins("learning_rate", "tuned", pair)):
        frame = evidence.of("rates", each)
        if len(frame) and frame["optimum"].notna().any():
            return frame, each[1]
    return evidence.of("rates", pair), None


def _mean(row: Row, name: str) -> Cell:
    return sheets.quartiles(*(number(row, name + part) for part in ("_mean", "_ci_low", "_ci_high")))


def _share(row: Row, count: str) -> Cell:
    return sheets.value(float(row[count]), f"{row[count]} of {row['n']}")


def _reach(row: Row) -> Cell:
    """From the smallest to the largest rate at which a seed diverged."""
    low, high = (number(row, f"diverged_rate_{end}") for end in ("min", "max"))
    return sheets.value(low, " to ".join(dict.fromkeys(text.number(end) for end in (low, high))))


def _optimum(part: pd.DataFrame) -> Cell:
    if part.empty:
        return Cell()
    row = rows(part)[0]
    return sheets.quartiles(*(number(row, name) for name in ("optimum", "optimum_ci_low", "optimum_ci_high")))


def _used(part: pd.DataFrame) -> Cell:
    return sheets.value(None if part.empty else number(rows(part)[0], "learning_rate"))
