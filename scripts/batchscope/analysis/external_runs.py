"""Results made elsewhere: files with runs and timings, read strictly into the tables that a study has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from batchscope.analysis.targets import Baseline
from batchscope.config.errors import DataError
from batchscope.data import splits
from batchscope.identity.digests import file_sha256
from batchscope.tables import codebook, foreign, records
from batchscope.tables.cells import CELL, RUN
from batchscope.tables.foreign.column import has_no_value

IMPORTED = "imported"

# Exactly one of them says how long a run took to its target; the others follow from it where n_train is known.
_LENGTHS = ("epochs", "updates", "examples")
_OF_TARGET = (*_LENGTHS, "seconds", "joules", "budget_epochs", "target")
_EMPTY = ("", "nan", "na", "n/a", "null")  # in any case: how programs write a cell without a value
_WHOLE_TEXT = re.compile(r"[+-]?[0-9]{1,40}(\.0*)?")
_HIGHEST = 2**63 - 1
TIMINGS_BY_LIMIT = {
    "batch_size": "int64",
    "power_limit_watts": "float64",
    "seconds_per_epoch": "float64",
    "seconds_per_update": "float64",
    "power_watts": "float64",
}

Numbers = NDArray[np.float64]


class MeasurementError(ValueError):
    """A file of measurements does not hold what the study file says of it."""


class TimingsFile(TypedDict):
    """A file, and which of its columns holds what (`ours: theirs`)."""

    path: str
    columns: dict[str, str]


class RunsFile(TimingsFile):
    """The file of runs, and what all its rows are about; null where a column says it or nobody knows."""

    dataset: str
    recipe: str
    n_train: int | None
    metric: str | None
    target: float | None
    better: str


class Measurements(TypedDict):
    """The key `measurements` of a resolved study."""

    runs: RunsFile
    timings: TimingsFile | None
    baseline: Baseline | None


@dataclass(frozen=True)
class Imported:
    """Tables of a study that trains nothing: those of runs, the times to target, and the timings at all power limits.

    Columns of `runs` and `timings` are those of the tables `run` and `timing` of `records`, null where the file has no
    such thing. `timings` are those at the power limit of the baseline, `timings_by_limit` has the columns of
    `TIMINGS_BY_LIMIT`.
    """

    runs: pd.DataFrame
    timings: pd.DataFrame
    to_target: pd.DataFrame
    timings_by_limit: pd.DataFrame


@dataclass(frozen=True)
class _Source:
    """A file with its rows; `columns` names its columns by ours, `key` is that of the study file."""

    key: str
    path: Path
    columns: Mapping[str, str]
    rows: pd.DataFrame

    def error(self, name: str, row: int, what: str, valid: str) -> MeasurementError:
        """About one cell; `row` counts from 0."""
        column = f"column `{self.columns[name]}` ({self.key}.columns.{name})"
        return MeasurementError(f"{self.path}: {column}, row {row + 1} after the header: {what}; valid is {valid}")


def check_columns(measurements: Measurements) -> None:
    """Read the headers only, and refuse files that lack a column that the study file names.

    Raises:
        MeasurementError: a file is missing, is no table, or lacks a column.
    """
    for part, file in (("runs", measurements["runs"]), ("timings", measurements["timings"])):
        if file is None:
            continue
        try:
            there = splits.table_columns(Path(file["path"]))
        except splits.DataError as error:
            raise MeasurementError(f"measurements.{part}.path: {error}") from error
        for ours, theirs in file["columns"].items():
            if theirs not in there:
                raise MeasurementError(
                    f"{Path(file['path'])}: measurements.{part}.columns.{ours} names the column `{theirs}`, which is "
                    f"not there; valid is one of: {', '.join(there) or 'none, the file is empty'}"
                )


def read(measurements: Measurements) -> Imported:
    """The tables of a study from the files that its resolved mapping `measurements` names.

    A row of the file of runs is one run, or one run and target. The run has not reached the target where the cell for
    `epochs` (or `updates`, `examples`) is empty, or says nan, NA or null; seconds and joules of such a row are not
    kept. Epochs, updates (ceil(n_train / batch size) per epoch) and examples follow from each other where n_train is
    known. Seconds and joules that no column holds are epochs times the seconds per epoch, and those times the mean
    power, of the timings at the baseline's power limit.

    Where no column holds `budget_epochs`, it is not known how long a run that missed the target was followed.

    Args:
        measurements: as resolved by the study, with paths of files that are there.

    Raises:
        MeasurementError: in one sentence, which file, column and row is wrong, and what would be valid.
    """
    check_columns(measurements)
    runs = _source("runs", measurements["runs"])
    identity = _identity(runs, measurements["runs"])
    timings = _timings(measurements)
    table = _runs(runs, identity, measurements["runs"]["n_train"])
    return Imported(
        runs=table,
        timings=_timing_table(timings, table, measurements),
        to_target=_to_target(runs, identity, measurements, timings),
        timings_by_limit=timings,
    )


def _source(part: str, file: TimingsFile) -> _Source:
    """The rows of a file with the columns that are used, under our names, as text or as the file types them."""
    path, columns = Path(file["path"]), file["columns"]
    try:
        table = foreign.read(path, columns.values())
    except DataError as error:
        raise MeasurementError(str(error)) from error
    rows = pd.DataFrame(table.cells).map(lambda cell: None if has_no_value(cell) else cell)
    if rows.empty:
        raise MeasurementError(f"{path}: the file of measurements.{part} has no rows; valid is a row per measurement")
    named = pd.DataFrame({ours: rows[theirs] for ours, theirs in columns.items()})
    return _Source(f"measurements.{part}", path, columns, named)


def _numbers(source: _Source, name: str, valid: str, *, empty: bool = False, low: float = -np.inf) -> Numbers:
    """The column `name` as numbers of at least `low`, NaN where it is `empty`, if it may be."""
    column = source.rows[name]
    numbers: Numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    null = column.isna().to_numpy()
    wrong = ~np.isfinite(numbers) & ~null | (numbers < low) | (null if not empty else False)
    if wrong.any():
        row = int(np.argmax(wrong))
        what = "the cell has no value" if null[row] else f"`{column.iloc[row]}` is not allowed"
        raise source.error(name, row, what, valid)
    return numbers


def _whole(source: _Source, name: str, *, low: int) -> NDArray[np.int64]:
    """The column `name` as whole numbers from `low`, which never become floating-point numbers on their way."""
    numbers = np.empty(len(source.rows), np.int64)
    cells = source.rows[name]
    for row, (cell, null) in enumerate(zip(cells.tolist(), cells.isna(), strict=True)):
        number = None if null else _whole_number(cell)
        if number is None or not low <= number <= _HIGHEST:
            wrong = "not a whole number" if number is None else "not allowed"
            what = "the cell has no value" if null else f"`{splits.short(str(cell))}` is {wrong}"
            raise source.error(name, row, what, f"an integer from {low} to {_HIGHEST}")
        numbers[row] = number
    return numbers


def _whole_number(cell: Any) -> int | None:
    """The number of a cell: of a text such as 12 or 12.0, which is how programs write it beside empty cells."""
    if isinstance(cell, str):
        return int(cell.partition(".")[0]) if _WHOLE_TEXT.fullmatch(cell) else None
    try:
        return int(cell) if cell == int(cell) else None
    except (TypeError, ValueError, OverflowError):  # no number, or one that is not finite
        return None


def _identity(source: _Source, settings: RunsFile) -> pd.DataFrame:
    """What each row is about: the columns of a run, metric and target. The same twice is refused."""
    target: Numbers | float | None = settings["target"]
    if "target" in source.columns:
        target = _numbers(source, "target", "a number, the value that was to be reached")
    identity = pd.DataFrame(
        {
            "dataset": settings["dataset"],
            "recipe": settings["recipe"],
            "batch_size": _whole(source, "batch_size", low=1),
            "full_batch": False,
            "seed": _whole(source, "seed", low=0),
            "metric": settings["metric"],
            "target": np.asarray(np.nan if target is None else target, dtype=np.float64),
        },
        index=range(len(source.rows)),
    )
    twice = identity.duplicated([*RUN, "target"]).to_numpy()
    if twice.any():
        row = int(np.argmax(twice))
        about = identity.iloc[row]
        goal = "" if np.isnan(about["target"]) else f" and target {about['target']:g}"
        what = f"batch size {about['batch_size']} with seed {about['seed']}{goal} was in a row before"
        raise source.error("seed", row, what, "one row for each")
    return identity


def _runs(source: _Source, identity: pd.DataFrame, n_train: int | None) -> pd.DataFrame:
    """The table of runs, one row per run in the order of the sizes and seeds."""
    values = identity[RUN].copy()
    for name in source.columns:
        if name not in (*_OF_TARGET, "batch_size", "seed"):
            values[name] = _result(source, name)
    for name in values.columns.difference(RUN, sort=False):
        differ = values.groupby(RUN)[name].transform("nunique", dropna=False).to_numpy() > 1
        if differ.any():
            row = int(np.argmax(differ))
            raise source.error(name, row, "rows of the same run differ", "one value for all targets of a run")
    values = values.drop_duplicates(RUN).sort_values(["batch_size", "seed"], ignore_index=True)
    if n_train is not None:
        values = values.assign(n_train=n_train, updates_per_epoch=-(-n_train // values["batch_size"]))
    return _typed("run", values, source.path)


def _result(source: _Source, name: str) -> Numbers:
    """A result of a run; accuracies in percent are refused, since nothing could tell 0.9 % from 90 %."""
    if not name.endswith("_accuracy"):
        return _numbers(source, name, "a number, or an empty cell", empty=True)
    valid = "a number from 0 to 1 (a percentage divided by 100), or an empty cell"
    numbers = _numbers(source, name, valid, empty=True, low=0)
    if (numbers > 1).any():
        row = int(np.argmax(numbers > 1))
        raise source.error(name, row, f"`{source.rows[name].iloc[row]}` is above 1", valid)
    return numbers


def _to_target(
    source: _Source, identity: pd.DataFrame, measurements: Measurements, timings: pd.DataFrame
) -> pd.DataFrame:
    given = next((name for name in _LENGTHS if name in source.columns), "")
    if not given:
        return codebook.frame("to_target", [])
    sizes = identity["batch_size"].to_numpy(dtype=np.float64)
    n_train = float(measurements["runs"]["n_train"] or np.nan)
    per_epoch = {"epochs": np.ones(len(sizes)), "updates": np.ceil(n_train / sizes)}
    per_epoch["examples"] = np.full(len(sizes), n_train)
    valid = "a number from 0, or an empty cell where the target was not reached"
    lengths = _numbers(source, given, valid, empty=True, low=0)
    epochs: Numbers = lengths / per_epoch[given]
    timed = _at_limit(timings, _limit(measurements)).set_index("batch_size").reindex(identity["batch_size"])
    seconds = epochs * timed["seconds_per_epoch"].to_numpy()
    spent = {name: epochs * per_epoch[name] for name in _LENGTHS}
    spent |= {"seconds": seconds, "joules": seconds * timed["power_watts"].to_numpy()}
    for name in spent:
        if name in source.columns:
            spent[name] = _numbers(source, name, valid, empty=True, low=0)
    reached = np.isfinite(lengths)
    table = identity.assign(reached=reached, **{name: np.where(reached, spent[name], np.nan) for name in spent})
    table["budget_epochs"] = _budgets(source, table)
    table = table.sort_values(["batch_size", "seed"], kind="stable", ignore_index=True)
    return codebook.frame("to_target", table.to_dict("records"))


def _budgets(source: _Source, table: pd.DataFrame) -> Numbers:
    """How far each run was followed, in epochs."""
    if "budget_epochs" not in source.columns:
        return table["epochs"].to_numpy(dtype=np.float64)
    budgets = _numbers(source, "budget_epochs", "a number from 0", low=0)
    short = budgets < table["epochs"].to_numpy()
    if short.any():
        row = int(np.argmax(short))
        what = f"{budgets[row]:g} is below the {table['epochs'].iloc[row]:g} epochs after which the target was reached"
        raise source.error("budget_epochs", row, what, "the number of epochs that the run went on")
    return budgets


def _timings(measurements: Measurements) -> pd.DataFrame:
    """The file of timings: one row per batch size and power limit (null where power was not limited)."""
    if measurements["timings"] is None:
        return pd.DataFrame(columns=list(TIMINGS_BY_LIMIT)).astype(TIMINGS_BY_LIMIT)
    source = _source("timings", measurements["timings"])
    above = float(np.nextafter(0, 1))
    table = pd.DataFrame({"batch_size": _whole(source, "batch_size", low=1)})
    for name in source.columns:
        if name != "batch_size":
            table[name] = _numbers(source, name, "a number above 0", low=above)
    table = table.reindex(columns=list(TIMINGS_BY_LIMIT)).astype(TIMINGS_BY_LIMIT)
    twice = table.duplicated(["batch_size", "power_limit_watts"]).to_numpy()
    if twice.any():
        what = f"batch size {table['batch_size'].iloc[int(np.argmax(twice))]} was in a row before"
        raise source.error("batch_size", int(np.argmax(twice)), what, "one row for each size and power limit")
    n_train = measurements["runs"]["n_train"]
    if n_train is not None:
        per_epoch = -(-n_train // table["batch_size"])
        table["seconds_per_epoch"] = table["seconds_per_epoch"].fillna(table["seconds_per_update"] * per_epoch)
        table["seconds_per_update"] = table["seconds_per_update"].fillna(table["seconds_per_epoch"] / per_epoch)
    _check_baseline(source, table, measurements["baseline"])
    return table


def _check_baseline(source: _Source, table: pd.DataFrame, baseline: Baseline | None) -> None:
    if baseline is None:
        return
    limit, size = baseline["power_limit_watts"], baseline["batch_size"]
    there = sorted(_at_limit(table, limit)["batch_size"])
    if size not in there:
        limits = sorted(table["power_limit_watts"].dropna().unique())
        at = "" if limit is None else f" at {limit:g} W"
        valid = f"one of {', '.join(map(str, there))}" if there else f"a limit of {', '.join(f'{w:g}' for w in limits)}"
        raise MeasurementError(
            f"{source.path}: measurements.baseline is batch size {size}{at}, of which there is no row; valid is {valid}"
        )


def _limit(measurements: Measurements) -> float | None:
    baseline = measurements["baseline"]
    return None if baseline is None else baseline["power_limit_watts"]


def _at_limit(timings: pd.DataFrame, limit: float | None) -> pd.DataFrame:
    """The rows at a power limit, or, where power was not limited, all."""
    limits = timings["power_limit_watts"]
    kept: pd.DataFrame = timings[limits.isna() | (limits == limit)] if limit is not None else timings[limits.isna()]
    return kept


def _timing_table(timings: pd.DataFrame, runs: pd.DataFrame, measurements: Measurements) -> pd.DataFrame:
    """The table of timings, one row per batch size that has runs; quartiles, windows and memory are not known."""
    cells = runs.drop_duplicates(CELL)[[*CELL, "n_train", "updates_per_epoch"]]
    found = cells.merge(_at_limit(timings, _limit(measurements)), on="batch_size")
    found["examples_per_second"] = found["batch_size"] / found["seconds_per_update"]
    return _typed("timing", found, measurements["timings"] and Path(measurements["timings"]["path"]))


def _typed(table: str, rows: pd.DataFrame, source: Path | None) -> pd.DataFrame:
    """`rows` from the file `source` with the columns of a table of `records`; one that they lack is null."""
    fixed = dict.fromkeys(("engine", "loop", "device", "host", "started_at"), IMPORTED) | {"outcome": "ok"}
    fixed["fingerprint"] = "" if source is None else file_sha256(source)
    expected = pa.schema([field.with_nullable(True) for field in records.schema(records.TABLES[table])])
    whole = rows.assign(**fixed).reindex(columns=expected.names)
    return codebook.to_pandas(pa.Table.from_pandas(whole, schema=expected, preserve_index=False))
