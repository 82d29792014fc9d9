"""Tables of the page: which columns of a table of the study it shows, each formatted as the codebook declares it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from batchscope import text
from batchscope.figures import sheets
from batchscope.figures.sheets import Cell, Column, Row, Sheet, number, rows
from batchscope.probes.section import where
from batchscope.report.content import Content
from batchscope.tables.cells import Pair
from batchscope.tables.codebook import columns_of
from batchscope.tables.job_columns import Columns

Kind = Literal["number", "text"]
LONG = 24  # rows of a table above which it is folded away
_SHOWN_UNITS = {"nat", "s", "%", "J", "W"}  # those of the codebook that a heading repeats; counts say what they count
_PREFIXES = {"m": 1e3, "M": 1e-6}


@dataclass(frozen=True)
class Field:
    """A column of a table of the page.

    Attributes:
        heading: its heading.
        name: column of the study's table, or the beginning of the names of a mean, `NAME_mean`, with its interval.
        unit: shown beside the heading instead of that of the codebook; `ms` and `MB` scale seconds and bytes.
        form: `whole` or `number` to show a mean without its interval, so written; `digits` to give both ends of an
            interval three significant digits; else as the codebook declares the column.
        of: column of what `name` counts a part of: `3 of 5`.
        aligned: whether all intervals of the column have the same decimals; not where it spans decades.
        optional: whether the column is left out where nothing of it was measured.
    """

    heading: str
    name: str
    unit: str | None = None
    form: Literal["", "whole", "number", "digits"] = ""
    of: str = ""
    aligned: bool = True
    optional: bool = False

    def column(self, declared: Columns, found: Sequence[Row]) -> tuple[Column, list[Cell]]:
        """Heading and cells of the rows `found` of a table whose columns are `declared`."""
        stem = f"{self.name}_mean" if f"{self.name}_mean" in declared else self.name
        own = declared[stem]
        unit = (own.unit if own.unit in _SHOWN_UNITS else "") if self.unit is None else self.unit
        kind: Kind = "text" if own.kind == "string" else "number"
        return Column(self.heading, unit, kind), self._cells(declared, stem, found, _factor(own.unit, unit))

    def _cells(self, declared: Columns, stem: str, found: Sequence[Row], factor: float) -> list[Cell]:
        form = self.form or _form(declared, self.name, stem)
        low, high = f"{self.name}_ci_low", f"{self.name}_ci_high"
        if form == "spread":
            mean = stem.removeprefix(self.name)
            return sheets.spreads_of(found, self.name, "_ci_low", "_ci_high", mean, aligned=self.aligned)
        if form == "digits":
            return [sheets.quartiles(*(number(row, name) for name in (stem, low, high))) for row in found]
        if self.of:
            return [sheets.value(number(row, stem), f"{_whole(row, stem)} of {_whole(row, self.of)}") for row in found]
        if form == "whole":
            return sheets.counts_of(found, stem)
        if form == "number":
            values = [number(row, stem) for row in found]
            return [sheets.value(None if content is None else content * factor) for content in values]
        return [Cell() if pd.isna(row[stem]) else sheets.text(row[stem]) for row in found]


@dataclass(frozen=True)
class Own:
    """A column of cells that are made from whole rows."""

    heading: str
    cell: Callable[[Row], Cell]
    unit: str = ""
    kind: Kind = "number"
    optional: bool = False

    def column(self, _: Columns, found: Sequence[Row]) -> tuple[Column, list[Cell]]:
        """Heading and cells of the rows `found`."""
        return Column(self.heading, self.unit, self.kind), [self.cell(row) for row in found]


SIZE = Own("Batch size", sheets.size, "examples")


def words(heading: str, say: Callable[[Row], str], unit: str = "") -> Own:
    """A column of texts."""
    return Own(heading, lambda row: sheets.text(say(row)), unit, "text")


def table(
    content: Content,
    pair: Pair,
    name: str,
    fields: Sequence[Field | Own],
    caption: str,
    *,
    of: str = "",
    fold: str = "",
) -> list[Sheet]:
    """The `fields` of a study's table (`of`, else `name`) about a data set and recipe; none where it has no rows.

    The line `fold` folds it away.
    """
    return sheet(name, of or name, content.of(of or name, pair), fields, f"{where(pair)} {caption}", fold)


def sheet(
    name: str, of: str, frame: pd.DataFrame, fields: Sequence[Field | Own], caption: str, fold: str = ""
) -> list[Sheet]:
    """The `fields` of the rows `frame` of the study's table `of`."""
    found, declared = rows(frame), columns_of(of)
    columns = [(field, field.column(declared, found)) for field in fields]
    shown = [made for field, made in columns if not field.optional or any(cell.value is not None for cell in made[1])]
    return [Sheet(f"table-{name}", caption, shown, fold)] if found else []


def _form(declared: Columns, name: str, stem: str) -> str:
    if f"{name}_ci_low" in declared:
        return "spread"
    return {"integer": "whole", "number": "number"}.get(declared[stem].kind, "text")


def _factor(declared: str, shown: str) -> float:
    """What turns the unit of the codebook into that of the heading, the same with a prefix."""
    return _PREFIXES.get(shown.removesuffix(declared), 1.0) if declared and shown.endswith(declared) else 1.0


def _whole(row: Row, name: str) -> str:
    return text.integer(number(row, name))
