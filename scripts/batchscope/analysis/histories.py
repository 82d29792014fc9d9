"""The course of runs made elsewhere, read into the table of evaluations that own runs have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd

from batchscope.analysis.targets import Target
from batchscope.config.errors import DataError
from batchscope.stats.quantiles import quantile
from batchscope.tables import foreign
from batchscope.tables.cells import RUN
from batchscope.tables.foreign import Column, Table, short
from batchscope.tables.metrics import TARGETS

JOINS = " - "  # what Weights & Biases writes between a run's name and a metric
SHARES = (0.95, 0.75, 0.5)
IN_A_ROW = 2
_AXES = ("epochs", "updates", "examples")

Curves = Mapping[str, pd.DataFrame]


class HistoriesFile(TypedDict):
    """The key `measurements.histories` of a resolved study."""

    path: str
    columns: dict[str, str]
    metrics: dict[str, str]
    offset: float
    percent: Sequence[str]


def read(file: HistoriesFile) -> dict[str, pd.DataFrame]:
    """By the name of each run in the file: its evaluations in order, one row each.

    Columns are the axis that the file has (epochs, updates or examples) and the losses and accuracies that it names,
    NaN where a run has no finite value at a step. Rows without any are left out.

    Raises:
        DataError: a cell is no number, an axis goes back or repeats, or no run has a value.
    """
    path, columns = Path(file["path"]), file["columns"]
    wide = not ({"run"} & set(columns))
    names = None if wide else list(dict.fromkeys(columns.values()))
    table = foreign.read(path, names)
    rows = _wide(table, file) if wide else _long(table, file) if "metric" in columns else _rows(table, file)
    curves = {}
    for run, found in rows.groupby("run", sort=False):
        curves[str(run)] = _in_order(found.drop(columns="run"), path, str(run))
    if not curves:
        raise DataError(
            f"{path}: measurements.histories holds no value of any run; valid is a file with a value per run"
        )
    return curves


def evaluations(curves: Curves, runs: pd.DataFrame, names: Sequence[str], n_train: int | None) -> pd.DataFrame:
    """Rows of the table of evaluations, for the runs that have a history.

    A run that was first looked at after its first update gets an evaluation 0 without values, since it crosses a target
    between the start and that look.

    Args:
        curves: of `read`.
        runs: the columns of a run, one row per run.
        names: the name of each row's run.
        n_train: number of training examples; without it epochs do not become updates, or updates epochs.
    """
    parts = []
    for key, name in zip(runs[RUN].to_dict("records"), names, strict=True):
        if name in curves:
            spent = _spent(curves[name], int(key["batch_size"]), n_train)
            if len(spent) and not (spent[["epoch", "updates", "examples"]].iloc[0] == 0).any():
                start = pd.DataFrame({"epoch": [0.0], "updates": [0.0], "examples": [0.0]})
                spent = pd.concat([start, spent], ignore_index=True)
            parts.append(spent.assign(**key, evaluation=range(len(spent))))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*RUN, "evaluation"])


def targets(found: pd.DataFrame) -> list[Target]:
    """Three targets for each data set whose study names none, by a rule that does not see batch sizes.

    They are the values that 95 %, 75 % and 50 % of all runs on the data set reach, whatever their batch size and
    recipe, in two evaluations in a row, rounded up to three digits: of the validation loss, or where nobody recorded
    it, of the validation error, the training loss or the training error.
    """
    rows: list[Target] = []
    for dataset, group in found.groupby("dataset", sort=False):
        for metric, known in TARGETS.items():
            values = group[known.column].astype("float64") if known.column in group else pd.Series(dtype="float64")
            if values.notna().any():
                lowest = (1 - values if known.one_minus else values).groupby([group[name] for name in RUN]).agg(_held)
                levels = [quantile(lowest[np.isfinite(lowest)], share) for share in SHARES]
                kept = sorted({_rounded_up(level) for level in levels if level is not None and level > 0}, reverse=True)
                rows.append(
                    {"datasets": [str(dataset)], "metric": metric, "values": kept, "evaluations_in_a_row": IN_A_ROW}
                )
                break
    return rows


def _held(values: pd.Series[float]) -> float:
    """The lowest value at or below which two successive evaluations are; infinite where there are none."""
    known = values.to_numpy(dtype=np.float64)
    pairs = np.maximum(known[1:], known[:-1])
    finite = pairs[np.isfinite(pairs)]
    return float(finite.min()) if len(finite) else math.inf


def _rounded_up(value: float) -> float:
    """The next number with three digits that is not below."""
    scale = 10.0 ** (2 - math.floor(math.log10(value)))
    return float(f"{math.ceil(value * scale - 1e-9) / scale:.3g}")


def _rows(table: Table, file: HistoriesFile) -> pd.DataFrame:
    """A row per evaluation."""
    columns = file["columns"]
    found = {"run": table.column(columns["run"]).labels()}
    for ours, theirs in columns.items():
        if ours != "run":
            found[ours] = _values(table.column(theirs, _key(ours)), ours, file)
    return pd.DataFrame(found)


def _long(table: Table, file: HistoriesFile) -> pd.DataFrame:
    """A row per value, whose metric a column names; other metrics than the wanted ones are left out."""
    columns, axis = file["columns"], _axis(file)
    ours = {theirs: name for name, theirs in file["metrics"].items()}
    said = table.column(columns["metric"], _key("metric")).labels()
    parts = {
        "run": table.column(columns["run"], _key("run")).labels(),
        axis: _values(table.column(columns[axis], _key(axis)), axis, file),
        "metric": [ours.get(name, "") for name in said],
        "value": table.column(columns["value"], _key("value")).numbers(empty=True, valid=_VALUE),
    }
    rows = pd.DataFrame(parts)
    rows = rows[rows["metric"] != ""]
    twice = rows.duplicated(["run", axis, "metric"]).to_numpy()
    if twice.any():
        run, step, metric, _ = rows[twice].iloc[0]
        raise DataError(
            f"{file['path']}: run `{short(str(run))}` has two values of {metric} at {step:g}; valid is one, and "
            "names that only one run has"
        )
    wide = rows.pivot_table(index=["run", axis], columns="metric", values="value", sort=False, dropna=False)
    found = wide.dropna(how="all").reset_index()
    return _in_share(found, file)


def _wide(table: Table, file: HistoriesFile) -> pd.DataFrame:
    """A column per run, called after the run and its metric."""
    axis = _axis(file)
    steps = _values(table.column(file["columns"][axis], _key(axis)), axis, file)
    runs: dict[str, dict[str, list[float]]] = {}
    for ours, theirs in file["metrics"].items():
        end = f"{JOINS}{theirs}"
        for name in table.names:
            if name.endswith(end) and len(name) > len(end):
                values = table.column(name).numbers(empty=True, valid=_VALUE)
                runs.setdefault(name.removesuffix(end), {})[ours] = values
    parts = [pd.DataFrame({"run": run, axis: steps, **values}) for run, values in runs.items()]
    return _in_share(pd.concat(parts, ignore_index=True), file) if parts else pd.DataFrame({"run": [], axis: []})


_VALUE = "a finite number, or an empty cell"


def _values(column: Column, ours: str, file: HistoriesFile) -> list[float]:
    if ours in _AXES:
        return [value + file["offset"] for value in column.numbers(low=0, valid="a number from 0")]
    values = column.numbers(empty=True, valid=_VALUE)
    return [value / 100 for value in values] if ours in file["percent"] else values


def _in_share(rows: pd.DataFrame, file: HistoriesFile) -> pd.DataFrame:
    return rows.assign(**{name: rows[name] / 100 for name in file["percent"] if name in rows})


def _in_order(curve: pd.DataFrame, path: Path, run: str) -> pd.DataFrame:
    """One run's rows that hold a value, in the order of its axis."""
    axis = next(name for name in _AXES if name in curve)
    kept = curve.dropna(how="all", subset=[name for name in curve if name != axis])
    kept = kept.sort_values(axis, kind="stable", ignore_index=True)
    if kept[axis].duplicated().any():
        step = kept.loc[kept[axis].duplicated(), axis].iloc[0]
        raise DataError(
            f"{path}: run `{short(run)}` has two rows at {axis} {step:g}; valid is one, and names that only one run has"
        )
    return kept


def _spent(curve: pd.DataFrame, batch_size: int, n_train: int | None) -> pd.DataFrame:
    """A curve with epochs, updates and examples, as far as they follow from the one that its file has."""
    axis = next(name for name in _AXES if name in curve)
    steps = curve[axis].astype("float64")
    per_epoch = {"epochs": 1.0, "updates": math.nan, "examples": math.nan}
    if n_train is not None:
        per_epoch |= {"updates": float(-(-n_train // batch_size)), "examples": float(n_train)}
    found = {name: steps if name == axis else steps / per_epoch[axis] * per_epoch[name] for name in _AXES}
    if n_train is None and axis != "epochs":
        found |= {"updates": steps if axis == "updates" else steps / batch_size}
        found |= {"examples": steps if axis == "examples" else steps * batch_size}
    return curve.drop(columns=axis).assign(epoch=found["epochs"], updates=found["updates"], examples=found["examples"])


def _axis(file: HistoriesFile) -> str:
    return next(name for name in _AXES if name in file["columns"])


def _key(ours: str) -> str:
    return f"measurements.histories.columns.{ours}"
