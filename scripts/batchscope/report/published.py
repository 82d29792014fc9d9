"""Numbers that others published beside those of the study."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd

from batchscope import text
from batchscope.figures.targets import metric_words
from batchscope.report import elements
from batchscope.report.content import Content, Row, number, pair_title, rows, size
from batchscope.report.elements import Cell, Column
from batchscope.stats import LEVEL
from batchscope.tables.metrics import NOISE_SCALE, PUBLISHED
from batchscope.training.checkpoints import Checkpoint


def published(content: Content) -> str:
    """One row per number and data set and recipe; empty where the study names none."""
    found = rows(content.tables["published"])
    if not found:
        return ""
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("What", kind="text"), [_what(row) for row in found]),
        (Column("Published"), [_published(row) for row in found]),
        (Column("Measured here"), [_measured(row) for row in found]),
        (Column("Standard deviation", "of runs"), [elements.value(number(row, "sd")) for row in found]),
        (Column("Runs"), [elements.value(number(row, "n"), text.integer(number(row, "n"))) for row in found]),
    ]
    caption = (
        "A published number belongs to its data, network and budget, and the one measured here to those of this study: "
        "neither has to equal the other, and none of the verdicts rests on them. "
        f"Measured: means over the runs with {LEVEL} t-intervals; a noise scale is the ratio of the means of its two "
        "parts, with Fieller's interval over the runs; a critical batch size is that of the fit."
    )
    return elements.table_of("table-published", caption, columns, stacked=True)


def _what(row: Row) -> Cell:
    metric = PUBLISHED[str(row["metric"])]
    words = [metric.words[0].upper() + metric.words[1:]]
    if not pd.isna(row["batch_size"]):
        words.append(f"of runs with batch size {size(row)}" if metric == NOISE_SCALE else f"at batch size {size(row)}")
    if not pd.isna(row["checkpoint_fraction"]):
        words.append(Checkpoint(fraction=float(row["checkpoint_fraction"])).when)
    if not pd.isna(row["target"]):
        words.append(f"to {metric_words(str(row['target_metric']))} {text.number(float(row['target']))}")
    head = f"{', '.join(words)}{f' ({metric.unit})' if metric.unit else ''}"
    measured = f"Measured: {pair_title((row['dataset'], row['recipe']))}"
    return Cell(escape(head) + elements.remark(f"Published: {row['source']}") + elements.remark(measured), head)


def _published(row: Row) -> Cell:
    value, spread = number(row, "published"), number(row, "published_plus_minus")
    assert value is not None
    return elements.value(value, f"{value:,.6g}" + ("" if spread is None else f" ± {spread:,.6g}"))


def _measured(row: Row) -> Cell:
    cell = elements.spread(number(row, "value"), number(row, "ci_low"), number(row, "ci_high"))
    reason = str(row["reason"])
    return Cell(cell.html + elements.remark(reason), cell.value) if reason else cell
