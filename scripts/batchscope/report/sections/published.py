"""Numbers that others published beside those of the study."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from batchscope import text
from batchscope.figures.sheets import Cell, Row, number, spread, value
from batchscope.figures.targets import metric_words, sentence_case
from batchscope.report import elements
from batchscope.report.content import Content, size
from batchscope.report.fields import Field, Own, sheet
from batchscope.report.page import pair_title
from batchscope.stats import LEVEL
from batchscope.tables.metrics import NOISE_SCALE, PUBLISHED
from batchscope.training.checkpoints import Checkpoint


def published(content: Content) -> str:
    """One row per number and data set and recipe; empty where the study names none."""
    fields = (
        Own("What", _what, kind="text"),
        Own("Published", _published),
        Own("Measured here", _measured),
        Field("Standard deviation", "sd", "of runs"),
        Field("Runs", "n"),
    )
    caption = (
        f"Measured: means over the runs with {LEVEL} t-intervals; a noise scale is the ratio of the means of its two "
        "parts, with Fieller's interval over the runs; a critical batch size is that of the fit."
    )
    made = sheet("published", "published", content.tables["published"], fields, caption)
    table = "".join(elements.sheet(each.name, replace(each, stacked=True)) for each in made)
    return elements.section(
        "Published numbers, and those measured here",
        table,
        "A published number belongs to its data, network and budget, and the one measured here to those of this study: "
        "neither has to equal the other, and no verdict rests on them.",
    )


def _what(row: Row) -> Cell:
    metric = PUBLISHED[str(row["metric"])]
    words = [sentence_case(metric.words)]
    if not pd.isna(row["batch_size"]):
        words.append(f"of runs with batch size {size(row)}" if metric == NOISE_SCALE else f"at batch size {size(row)}")
    if not pd.isna(row["checkpoint_fraction"]):
        words.append(Checkpoint(fraction=float(row["checkpoint_fraction"])).when)
    if not pd.isna(row["target"]):
        words.append(f"to {metric_words(str(row['target_metric']))} {text.number(float(row['target']))}")
    head = f"{', '.join(words)}{f' ({metric.unit})' if metric.unit else ''}"
    measured = f"Measured: {pair_title((row['dataset'], row['recipe']))}"
    return Cell(head, head, remarks=(f"Published: {row['source']}", measured))


def _published(row: Row) -> Cell:
    content, plus_minus = number(row, "published"), number(row, "published_plus_minus")
    assert content is not None
    return value(content, f"{content:,.6g}" + ("" if plus_minus is None else f" ± {plus_minus:,.6g}"))


def _measured(row: Row) -> Cell:
    cell = spread(number(row, "value"), number(row, "ci_low"), number(row, "ci_high"))
    return replace(cell, remarks=(str(row["reason"]),))
