"""The answers of all data sets and recipes in a table, and what it shares with the cards."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from batchscope import text
from batchscope.figures import sheets
from batchscope.figures.sheets import Cell, Row, interval, number
from batchscope.report import elements
from batchscope.report.content import Content, size
from batchscope.report.fields import Own, sheet
from batchscope.report.page import pair_title
from batchscope.tables.cells import Pair, Size, listed
from batchscope.tables.metrics import METRICS


def table(content: Content) -> str:
    """A row per data set and recipe with its answer; those that tune the learning rate for every size come first."""
    found = content.tables["recommendation"]
    frame = found.sort_values("superseded_by", key=lambda other: other.notna(), kind="stable")
    fields = (
        Own("Workload", _workload, kind="text"),
        Own("Batch size", _recommended, kind="text"),
        Own("Not significantly different", _not_worse, kind="text"),
        Own("Quality", lambda row: quality(with_quality(content, row))),
        Own(
            "Time",
            lambda row: sheets.value(number(row, "seconds"), text.seconds(number(row, "seconds"))),
            _kind_of(frame),
        ),
    )
    caption = (
        "The recommended batch size of every data set and recipe: of the sizes that are not significantly worse than "
        f"the best, the one that takes the least time. Where none is recommended, the best mean. {_metrics(frame)}"
    )
    made = sheet("answers", "recommendation", frame, fields, caption)
    return "".join(elements.sheet(each.name, replace(each, stacked=True)) for each in made)


def _workload(row: Row) -> Cell:
    """The data set and recipe, and the recipe whose answer is fairer."""
    title, other = pair_title((row["dataset"], row["recipe"])), row["superseded_by"]
    fairer = f"one learning rate for all sizes; {other} tunes it" if isinstance(other, str) and other else ""
    return Cell(title, title, remarks=tuple(filter(None, (fairer,))))


def _recommended(row: Row) -> Cell:
    """The recommended size; else that of the best mean, and why it is not recommended."""
    if named := label(row):
        return Cell(named, named)
    best = label(row, "best_")
    return Cell(best or "none", best, remarks=(f"{'best mean, ' if best else ''}{row['reason']}",))


def _not_worse(row: Row) -> Cell:
    """The sizes that are not significantly different, `none` where all others are worse, a dash without a test."""
    near = listed(row["not_worse"])
    return sheets.text(row["not_worse"] if near else "none") if near or listed(row["worse"]) else Cell()


def _kind_of(frame: pd.DataFrame) -> str:
    """What the times of all recommendations are, where they are of one kind."""
    kinds = frame["seconds_kind"].dropna().unique().tolist()
    return str(kinds[0]) if len(kinds) == 1 else ""


def _metrics(frame: pd.DataFrame) -> str:
    """What quality is, of the metrics that the recommendations of all data sets and recipes rest on."""
    names = dict.fromkeys(str(name) for name in frame["metric"])
    return f"Quality: {text.listing([METRICS[name].words for name in names])}."


def with_quality(content: Content, row: Row) -> Row:
    """The row with the quality of the best size where it recommends none."""
    best = row_of(content, "best", (str(row["dataset"]), str(row["recipe"])), row)
    if number(row, "value_mean") is not None or best is None:
        return row
    return {**row, **{name: best[name] for name in ("value_mean", "value_ci_low", "value_ci_high")}}


def quality(row: Row) -> Cell:
    """The quality of a row with its interval and unit."""
    middle, _, bounds = interval(row, "value").partition(" [")
    unit, value = METRICS[str(row["metric"])].unit, number(row, "value_mean")
    if value is None:
        return Cell()
    return Cell(middle, value, f" [{bounds}{f' {unit}' if unit else ''}" if bounds else "")


def row_of(content: Content, name: str, pair: Pair, row: Row) -> Row | None:
    """The row of the table `name` about the size that an answer names."""
    named = label(row) or label(row, "best_")
    return next((each for each in content.rows(name, pair) if size(each) == named), None)


def label(row: Row, prefix: str = "") -> str:
    """The recommended size of a row (with a `prefix` the best or the slowest); empty where there is none."""
    return "" if pd.isna(row[f"{prefix}batch_size"]) else Size.of(row, prefix).label
