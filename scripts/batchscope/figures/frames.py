"""The tables of one data set and recipe as the figures need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from batchscope.tables.cells import PAIR, Size, of_pair, of_size, pairs, sizes_of

__all__ = ["Frames", "Size", "finished", "known", "labelled", "of_size", "select", "value_of"]


@dataclass(frozen=True)
class Frames:
    """The rows of one data set and recipe of the tables of the same names, and its sizes, smallest first.

    `all_sizes` are those of the whole study, so that a size has one colour in all figures; `further` are the rows of
    other tables, by name; see `of`.
    """

    dataset: str
    recipe: str
    sizes: tuple[Size, ...]
    all_sizes: tuple[Size, ...]
    runs: pd.DataFrame
    evaluations: pd.DataFrame
    steps: pd.DataFrame
    timings: pd.DataFrame
    windows: pd.DataFrame
    metrics: pd.DataFrame
    summary: pd.DataFrame
    learning_curves: pd.DataFrame
    to_target: pd.DataFrame
    targets: pd.DataFrame
    critical_batch_size: pd.DataFrame
    equal_budget: pd.DataFrame
    trials: pd.DataFrame
    tuning_curves: pd.DataFrame
    rates: pd.DataFrame
    rate_slopes: pd.DataFrame
    pareto: pd.DataFrame
    further: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def of(self, table: str) -> pd.DataFrame:
        """The rows of a table, such as that of a probe; none where the study has no such table."""
        own = _TABLES + _EVIDENCE
        return getattr(self, table) if table in own else self.further.get(table, pd.DataFrame(columns=PAIR))


_TABLES = ("runs", "evaluations", "steps", "timings", "windows", "metrics", "summary", "learning_curves")
_OTHERS = (*PAIR, "sizes", "all_sizes", "further", *_TABLES)
# Tables without rows where a study has no targets, tunes no rate or times nothing.
_EVIDENCE = tuple(name for name in Frames.__dataclass_fields__ if name not in _OTHERS)


def select(tables: Mapping[str, pd.DataFrame], dataset: str, recipe: str) -> Frames:
    """What `tables` (as `jobs.tables.study_tables` makes them) say about one data set and recipe.

    A table of evidence (targets, budgets, rates) that is not among `tables` is taken as one without rows.
    """
    if (dataset, recipe) not in (known := pairs(tables["runs"])):
        raise ValueError(f"no runs of data set {dataset!r} with recipe {recipe!r}: there are {known}")
    without_rows = dict.fromkeys(_EVIDENCE, pd.DataFrame(columns=PAIR))
    found = {
        name: of_pair(table, (dataset, recipe))
        for name, table in {**without_rows, **tables}.items()
        if set(PAIR) <= set(table.columns)
    }
    further = {name: found.pop(name) for name in list(found) if name not in _TABLES + _EVIDENCE}
    sizes, all_sizes = (tuple(sizes_of(runs)) for runs in (found["runs"], tables["runs"]))
    return Frames(dataset, recipe, sizes, all_sizes, **found, further=further)


def finished(frames: Frames, size: Size) -> list[int]:
    """Seeds of the runs of `size` that ended `ok`."""
    runs = of_size(frames.runs[["batch_size", "full_batch", "seed", "outcome"]], size)
    return [int(seed) for seed in runs.loc[runs["outcome"] == "ok", "seed"]]


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the label of their batch size in the column `size`."""
    sizes = zip(rows["batch_size"], rows["full_batch"], strict=True)
    return rows.assign(size=[Size(int(size), bool(full)).label for size, full in sizes])


def known(value: Any) -> float | None:
    """A table's number, None where it is null."""
    return None if pd.isna(value) else float(value)


def value_of(frame: pd.DataFrame, size: Size, column: str) -> float | None:
    """The number in `column` of the one row about `size`; None where it is null or there is no row."""
    found = of_size(frame[["batch_size", "full_batch", column]], size)[column].dropna()
    return float(found.iloc[0]) if len(found) else None
