"""What the report says about range tests."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from batchscope import text
from batchscope.figures import sheets
from batchscope.figures.frames import Size, of_size
from batchscope.figures.sheets import Cell, Column, Sheet, number, rows
from batchscope.probes.section import Block, Evidence, Figure, Note, Pair, Section, where
from batchscope.probes.words import geometric, null_in_words
from batchscope.stats import LEVEL


def ranges(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per batch size: the rates that the range test found beside the tuned rate and that of the runs."""
    frame = evidence.of("rate_ranges", pair)
    if frame.empty:
        return []
    cells = _sizes(frame)
    parts = [of_size(frame, size) for size in cells]
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Batch size", "examples"), [sheets.value(float(size.batch_size), size.label) for size in cells]),
        (Column("Suggested rate"), [_rate(part, "suggested_rate") for part in parts]),
        (Column("Seeds with one"), [_known(part, "suggested_rate") for part in parts]),
        (Column("Rate of the lowest loss"), [_rate(part, "lowest_loss_rate") for part in parts]),
        (Column("Diverged at"), [_reach(part, "diverged_rate") for part in parts]),
        (Column("Seeds that diverged"), [_known(part, "diverged_rate") for part in parts]),
    ]
    tuned, recipe = _tuned(evidence, pair)
    if recipe is not None:
        columns.append((Column("Tuned rate"), [_optimum(of_size(tuned, size)) for size in cells]))
    used = evidence.of("rates", pair)
    columns.append((Column("Rate of the runs"), [_used(of_size(used, size)) for size in cells]))
    beside = f"The tuned rate is that of {recipe}, found on whole trainings, with its interval over tuning seeds. "
    caption = (
        f"{where(pair)} Geometric means over the seeds that have a value, with {LEVEL} t-intervals of the logarithm. "
        "Suggested: where the loss falls fastest over the logarithm of the rate. Diverged: the first rate with which "
        "the smoothed loss is far above its lowest, from the lowest to the highest of the seeds that did; the others "
        f"held out up to the last rate. {beside if recipe is not None else ''}"
        "The test looks at the first updates only: a rate that suits them need not suit a whole training."
    )
    notes = [
        Note(f"{what}: {reasons}.")
        for what, column in (("No suggestion", "suggested_rate"), ("No rate of the lowest loss", "lowest_loss_rate"))
        if (reasons := null_in_words(frame, column, cells))
    ]
    return [Figure("rate_range"), Sheet("table-ranges", caption, columns), *notes]


SECTIONS = (
    Section(
        "ranges",
        "Learning-rate range test",
        "One short training per size and seed whose learning rate rises from update to update. It looks at the first "
        "updates only: the rate that suits them need not suit a whole training.",
        ranges,
    ),
)


def _sizes(frame: pd.DataFrame) -> list[Size]:
    cells = frame[["batch_size", "full_batch"]].drop_duplicates().itertuples(index=False, name=None)
    return sorted(Size(int(size), bool(full)) for size, full in cells)


def _tuned(evidence: Evidence, pair: Pair) -> tuple[pd.DataFrame, str | None]:
    """The table `rates` of the recipe, or of one that differs from it in the learning rate only, and was tuned."""
    for each in (pair, *evidence.twins("learning_rate", "tuned", pair)):
        frame = evidence.of("rates", each)
        if len(frame) and frame["optimum"].notna().any():
            return frame, each[1]
    return evidence.of("rates", pair), None


def _reach(part: pd.DataFrame, column: str) -> Cell:
    """From the smallest to the largest of the values that there are."""
    found = part[column].dropna()
    if found.empty:
        return Cell()
    ends = dict.fromkeys(text.number(float(end)) for end in (found.min(), found.max()))
    return Cell(" to ".join(ends), float(found.min()))


def _rate(part: pd.DataFrame, column: str) -> Cell:
    found = geometric(part[column])
    return sheets.quartiles(found.mean, found.low, found.high)


def _known(part: pd.DataFrame, column: str) -> Cell:
    count = int(part[column].notna().sum())
    return sheets.value(float(count), f"{count} of {len(part)}")


def _optimum(part: pd.DataFrame) -> Cell:
    if part.empty:
        return Cell()
    row = rows(part)[0]
    return sheets.quartiles(*(number(row, name) for name in ("optimum", "optimum_ci_low", "optimum_ci_high")))


def _used(part: pd.DataFrame) -> Cell:
    return sheets.value(None if part.empty else number(rows(part)[0], "learning_rate"))
