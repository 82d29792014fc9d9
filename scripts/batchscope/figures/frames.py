"""The tables of one data set and recipe as the figures need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from batchscope.analysis.best import label


@dataclass(frozen=True, order=True)
class Size:
    """A batch size of a study; `full_batch` is true where the study says `full`."""

    batch_size: int
    full_batch: bool

    @property
    def label(self) -> str:
        """As written in tables and figures: `32`, or `800 (full)`."""
        return label(self.batch_size, self.full_batch)


@dataclass(frozen=True)
class Frames:
    """The rows of one data set and recipe of the tables of the same names, and its sizes, smallest first.

    `further` are those of other tables, by name; see `of`.
    """

    dataset: str
    recipe: str
    sizes: tuple[Size, ...]
    runs: pd.DataFrame
    evaluations: pd.DataFrame
    steps: pd.DataFrame
    timings: pd.DataFrame
    windows: pd.DataFrame
    metrics: pd.DataFrame
    summary: pd.DataFrame
    to_target: pd.DataFrame
    targets: pd.DataFrame
    critical_batch_size: pd.DataFrame
    equal_budget: pd.DataFrame
    trials: pd.DataFrame
    rates: pd.DataFrame
    rate_slopes: pd.DataFrame
    pareto: pd.DataFrame
    further: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def of(self, table: str) -> pd.DataFrame:
        """The rows of a table, such as that of a probe; none where the study has no such table."""
        own = _TABLES + _EVIDENCE
        return getattr(self, table) if table in own else self.further.get(table, pd.DataFrame(columns=_PAIR))


_PAIR = ["dataset", "recipe"]
_TABLES = ("runs", "evaluations", "steps", "timings", "windows", "metrics", "summary")
# Tables without rows where a study has no targets, tunes no rate or times nothing.
_EVIDENCE = tuple(name for name in Frames.__dataclass_fields__ if name not in (*_PAIR, "sizes", "further", *_TABLES))


def pairs(tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """Data sets and recipes of a study, in its order."""
    runs = tables["runs"]
    return list(dict.fromkeys(zip(runs["dataset"], runs["recipe"], strict=True)))


def select(tables: Mapping[str, pd.DataFrame], dataset: str, recipe: str) -> Frames:
    """What `tables` (as `analysis.tables.study_tables` makes them) say about one data set and recipe.

    A table of evidence (targets, budgets, rates) that is not among `tables` is taken as one without rows.
    """
    if (dataset, recipe) not in pairs(tables):
        raise ValueError(f"no runs of data set {dataset!r} with recipe {recipe!r}: there are {pairs(tables)}")
    without_rows = dict.fromkeys(_EVIDENCE, pd.DataFrame(columns=_PAIR))
    found = {
        name: table[(table["dataset"] == dataset) & (table["recipe"] == recipe)]
        for name, table in {**without_rows, **tables}.items()
        if set(_PAIR) <= set(table.columns)
    }
    further = {name: found.pop(name) for name in list(found) if name not in _TABLES + _EVIDENCE}
    cells = found["runs"][["batch_size", "full_batch"]].drop_duplicates().itertuples(index=False, name=None)
    sizes = tuple(sorted(Size(int(batch_size), bool(full)) for batch_size, full in cells))
    return Frames(dataset, recipe, sizes, **found, further=further)


def of_size(frame: pd.DataFrame, size: Size) -> pd.DataFrame:
    """The rows of `frame` about `size`."""
    return frame[(frame["batch_size"] == size.batch_size) & (frame["full_batch"] == size.full_batch)]


def finished(frames: Frames, size: Size) -> list[int]:
    """Seeds of the runs of `size` that ended `ok`."""
    runs = of_size(frames.runs[["batch_size", "full_batch", "seed", "outcome"]], size)
    return [int(seed) for seed in runs.loc[runs["outcome"] == "ok", "seed"]]


def value_of(frame: pd.DataFrame, size: Size, column: str) -> float | None:
    """The number in `column` of the one row about `size`; None where it is null or there is no row."""
    found = of_size(frame[["batch_size", "full_batch", column]], size)[column].dropna()
    return float(found.iloc[0]) if len(found) else None
