"""The recipes of a data set beside each other, a row per batch size."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from batchscope.report import elements
from batchscope.report.content import Content, number, rows, size_cell, spread_cells
from batchscope.report.elements import Cell, Column
from batchscope.stats import LEVEL

_ACCURACY = ("test_accuracy_mean", "test_accuracy_ci_low", "test_accuracy_ci_high")


def side_by_side(content: Content) -> str:
    """One table of test accuracies for every data set on which two recipes or more share a batch size."""
    datasets = list(dict.fromkeys(dataset for dataset, _ in content.pairs))
    return "".join(_table(content, dataset) for dataset in datasets)


def _table(content: Content, dataset: str) -> str:
    recipes = [recipe for each, recipe in content.pairs if each == dataset]
    frame = content.tables["summary"]
    frame = frame[frame["dataset"] == dataset].sort_values(["batch_size", "full_batch"], kind="stable")
    sizes = frame.drop_duplicates(["batch_size", "full_batch"])
    if len(sizes) == len(frame) or frame["test_accuracy_mean"].isna().all():
        return ""
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Batch size", "examples"), [size_cell(row) for row in rows(sizes)]),
        *((Column(recipe), _cells(frame[frame["recipe"] == recipe], sizes)) for recipe in recipes),
    ]
    caption = (
        f"{dataset}. Test accuracy at the epoch with the lowest validation loss, a column per recipe: means over the "
        f"runs that finished, with {LEVEL} t-intervals over seeds. Where runs were lost, how many finished stands "
        "below: the mean of the others flatters. Two recipes are compared by the verdicts that name them, not by "
        "whether their intervals overlap: runs of one seed share data, order and, where networks agree, their start."
    )
    return elements.table_of(elements.slug("table-side-by-side", dataset), caption, columns)


def _cells(of_recipe: pd.DataFrame, sizes: pd.DataFrame) -> list[Cell]:
    """The accuracies of a recipe at `sizes`; a dash where it was not run."""
    keys = ["batch_size", "full_batch"]
    found = sizes[keys].merge(of_recipe[[*keys, *_ACCURACY, "n_ok", "n_runs"]], on=keys, how="left")
    cells = []
    for row, cell in zip(rows(found), spread_cells(found, "test_accuracy"), strict=True):
        n_ok, n_runs = number(row, "n_ok"), number(row, "n_runs")
        lost = n_ok is not None and n_runs is not None and n_ok < n_runs
        remark = elements.remark(f"{n_ok:.0f} of {n_runs:.0f} runs finished") if lost else ""
        cells.append(Cell(cell.html + remark, cell.value))
    return cells
