"""Tables that people read: what stands in their cells and what they sort by. The report draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from batchscope import text as numbers
from batchscope.analysis.best import label

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column's heading, its unit ("" where it has none), and whether it sorts and aligns as numbers or as text."""

    heading: str
    unit: str = ""
    kind: Literal["number", "text"] = "number"


@dataclass(frozen=True)
class Cell:
    """What a cell shows, the `bounds` of a number and `remarks` on lines of their own, and the value that it sorts by.

    Without a value nothing was measured: it shows a dash and sorts last in both directions.
    """

    shown: str = ""
    value: float | str | None = None
    bounds: str = ""
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Sheet:
    """A table for people.

    Attributes:
        name: unique within a page, for a data set and recipe.
        caption: what its numbers are, in plain text.
        columns: each with its cells from top to bottom; the first cell of a row heads it.
        summary: a line behind which it is folded away; empty where it is shown.
        stacked: whether a narrow screen shows the cells of a row below one another.
    """

    name: str
    caption: str
    columns: Sequence[tuple[Column, Sequence[Cell]]]
    summary: str = ""
    stacked: bool = False


def rows(frame: pd.DataFrame) -> list[Row]:
    """The rows of a table as mappings."""
    return [{str(name): item for name, item in row.items()} for row in frame.to_dict("records")]


def number(row: Row, name: str) -> float | None:
    """A table's value as a plain float, None where it is null."""
    content = row[name]
    return None if pd.isna(content) else float(content)


def interval(row: Row, name: str, mean: str = "_mean", factor: float = 1.0, places: int | None = None) -> str:
    """The mean `name` of a row with its interval, times a factor: `0.953 [0.949, 0.957]`."""
    middle, low, high = (number(row, name + part) for part in (mean, "_ci_low", "_ci_high"))
    scaled = [None if part is None else factor * part for part in (middle, low, high)]
    return numbers.interval(scaled[0], scaled[1], scaled[2], places)


def text(content: object) -> Cell:
    """A cell of plain text."""
    return Cell(str(content), str(content))


def value(content: float | None, shown: str | None = None) -> Cell:
    """A number: `shown` where given, else to three significant digits; a dash where it was not measured."""
    if not numbers.known(content):
        return Cell()
    return Cell(numbers.number(content) if shown is None else shown, float(content))


def spread(mean: float | None, low: float | None, high: float | None, places: int | None = None) -> Cell:
    """A mean with its interval, with `places` decimals; see `text.interval`."""
    return _bounded(mean, numbers.interval(mean, low, high, places))


def quartiles(median: float | None, low: float | None, high: float | None) -> Cell:
    """A median with its quartiles, each to three significant digits."""
    if not numbers.known(low) or not numbers.known(high):
        return value(median)
    return _bounded(median, f"{numbers.number(median)} [{numbers.number(low)}, {numbers.number(high)}]")


def size(row: Row) -> Cell:
    """The cell that heads the row of a batch size."""
    return value(float(row["batch_size"]), label(int(row["batch_size"]), bool(row["full_batch"])))


def numbers_of(found: Sequence[Row], column: str) -> list[Cell]:
    """A cell per row with a number, to three significant digits."""
    return [value(number(row, column)) for row in found]


def counts_of(found: Sequence[Row], column: str) -> list[Cell]:
    """A cell per row with a whole number."""
    return [value(number(row, column), numbers.integer(number(row, column))) for row in found]


def texts_of(found: Sequence[Row], column: str) -> list[Cell]:
    """A cell per row with a text; empty where there is none."""
    return [text("" if pd.isna(row[column]) else row[column]) for row in found]


def spreads_of(
    found: Sequence[Row],
    name: str,
    low: str = "_ci_low",
    high: str = "_ci_high",
    mean: str = "_mean",
    *,
    aligned: bool = True,
) -> list[Cell]:
    """A cell per row with the mean `name` and its interval.

    The decimals are those that the column deserves or, if not `aligned`, since it spans decades, each interval.
    """
    ends = [[number(row, name + part) for part in (mean, low, high)] for row in found]
    places = numbers.decimals((top - bottom) / 2 for _, bottom, top in ends if bottom is not None and top is not None)
    return [spread(middle, bottom, top, places if aligned else None) for middle, bottom, top in ends]


def _bounded(middle: float | None, shown: str) -> Cell:
    head, _, bounds = shown.partition(" [")
    cell = value(middle, head)
    return Cell(cell.shown, cell.value, f"[{bounds}") if bounds and cell.value is not None else cell
