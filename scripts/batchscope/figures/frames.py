"""The tables of one data set and recipe as the figures need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """The rows of one data set and recipe of the tables of the same names, and its sizes, smallest first."""

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
    gradients: pd.DataFrame
    gradient_slopes: pd.DataFrame
    noise_scale: pd.DataFrame
    sharpness: pd.DataFrame
    sharpness_trends: pd.DataFrame
    slices: pd.DataFrame
    modes: pd.DataFrame
    rate_ranges: pd.DataFrame
    rate_curves: pd.DataFrame
    accumulation: pd.DataFrame
    overheads: pd.DataFrame
    update_costs: pd.DataFrame


_TABLES = ("runs", "evaluations", "steps", "timings", "windows", "metrics", "summary")
# Tables without rows where a study has no targets, tunes no rate, times nothing or has no such probe.
_EVIDENCE = tuple(name for name in Frames.__dataclass_fields__ if name not in ("dataset", "recipe", "sizes", *_TABLES))


def pairs(tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """Data sets and recipes of a study, in its order."""
    runs = tables["runs"]
    return list(dict.fromkeys(zip(runs["dataset"], runs["recipe"], strict=True)))


def select(tables: Mapping[str, pd.DataFrame], dataset: str, recipe: str) -> Frames:
    """What `tables` (as `analysis.tables.study_tables` makes them) say about one data set and recipe.

    A table of evidence (targets, budgets, rates, probes) that is not among `tables` is taken as one without rows.
    """
    if (dataset, recipe) not in pairs(tables):
        raise ValueError(f"no runs of data set {dataset!r} with recipe {recipe!r}: there are {pairs(tables)}")
    found, without_rows = {}, pd.DataFrame(columns=["dataset", "recipe"])
    for name in (*_TABLES, *_EVIDENCE):
        table = tables.get(name, without_rows) if name in _EVIDENCE else tables[name]
        found[name] = table[(table["dataset"] == dataset) & (table["recipe"] == recipe)]
    cells = found["runs"][["batch_size", "full_batch"]].drop_duplicates().itertuples(index=False, name=None)
    sizes = tuple(sorted(Size(int(batch_size), bool(full)) for batch_size, full in cells))
    return Frames(dataset, recipe, sizes, **found)


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
