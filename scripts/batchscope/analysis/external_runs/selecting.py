"""Which rows of a table of runs are results, and why the others are none."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchscope.analysis.external_runs.given import RunsFile, length_of
from batchscope.analysis.external_runs.source import Source
from batchscope.config.errors import DataError, choice
from batchscope.tables import foreign
from batchscope.tables.foreign import Column, short
from batchscope.tables.foreign.column import as_number, has_no_value
from batchscope.tables.metrics import RESULTS

FINISHED = {"finished", "finish", "complete", "completed", "success", "succeeded", "successful", "done", "ok"}
"""What trackers call a run that came to its end: W&B `finished`, MLflow `FINISHED`, Optuna `COMPLETE`."""
FAILED = {"failed", "fail", "failure", "crashed", "error"}
"""What they call one that ended by itself before."""
OTHER_WHERE, NOT_FINITE, NO_RESULT = "not among the rows of `where`", "a result is NaN or infinite", "no result"
_STATE = "state "


def finished(state: str) -> bool:
    """Whether a state says that a run came to its end."""
    return state.strip().casefold() in FINISHED


def failed(reason: str) -> bool:
    """Whether rows were left out since their runs failed.

    >>> failed("state CRASHED"), failed("state running")
    (True, False)
    """
    return reason.startswith(_STATE) and reason.removeprefix(_STATE).casefold() in FAILED


@dataclass(frozen=True)
class LeftOut:
    """Rows that are no results, and why; what they are about is None where the file does not say it.

    The learning rate is that of runs that failed.
    """

    dataset: str | None
    recipe: str | None
    batch_size: int | None
    reason: str
    rows: int
    learning_rate: float | None = None


@dataclass(frozen=True)
class Workload:
    """A data set and recipe; `parts` are the values that the name of the recipe is made of."""

    dataset: str
    recipe: str
    parts: tuple[str, ...]


def reasons(source: Source, file: RunsFile) -> dict[int, str]:
    """By row, why it is no result; the first reason counts.

    Raises:
        DataError: `where` names a value that no row has, or no row is a result.
    """
    found: dict[int, str] = {}
    for theirs, wanted in file["where"].items():
        column = source.named(theirs, f"where.{theirs}")
        _require_values(column, wanted)
        found |= {row: OTHER_WHERE for row, cell in enumerate(column.cells) if cell not in wanted and row not in found}
    if "state" in source.columns:
        for row, cell in enumerate(source.column("state").cells):
            if not finished(cell):
                found.setdefault(row, f"{_STATE}{short(cell.strip())}" if cell.strip() else "no state")
    same = _same(source)
    first = min(same, default=0)
    for row in same:
        found.setdefault(row, f"the same as an earlier row, row {first + 1} as row {same[first] + 1}")
    results = [source.column(name) for name in source.columns if name in RESULTS]
    for row in range(len(source.rows)) if results else ():
        cells = [column.cells[row] for column in results]
        if any(not_finite(cell) for cell in cells):
            found.setdefault(row, NOT_FINITE)
        elif not length_of(file) and all(map(has_no_value, cells)):
            found.setdefault(row, NO_RESULT)
    if len(found) == len(source.rows):
        counts = ", ".join(f"{reason}: {n}" for reason, n in Counter(found.values()).items())
        valid = " or ".join(sorted(FINISHED)) if "state" in source.columns else "a row with a result"
        raise DataError(f"{source.table.path}: no row is a finished run ({counts}); valid is {valid}")
    return found


def _same(source: Source) -> dict[int, int]:
    """By row, the first that is the same throughout; only where runs have names, else two runs may just be alike."""
    names = source.column("name").cells if "name" in source.columns else ()
    return foreign.repeated(foreign.read(source.table.path)) if len(set(names)) < len(names) else {}


def not_finite(cell: str) -> bool:
    """Whether a cell says that a number is none, or infinite: what a run that diverged leaves."""
    return cell.strip().lower().lstrip("+-") in ("nan", "inf", "infinity")


def workloads(source: Source, file: RunsFile) -> list[Workload]:
    """What each row is about, its names as they are in the file.

    Raises:
        DataError: two combinations would have the same name.
    """
    dataset, recipe = file["dataset"], file["recipe"]
    n = len(source.rows)
    datasets = [dataset] * n if isinstance(dataset, str) else source.named(dataset["column"], "dataset.column").labels()
    if isinstance(recipe, str):
        parts = [(recipe,)] * n
    else:
        columns = [source.named(name, "recipe.columns").labels() for name in recipe["columns"]]
        parts = list(zip(*columns, strict=True))
    made: dict[str, tuple[str, ...]] = {}
    for combination in parts:
        name = " · ".join(combination)
        if made.setdefault(name, combination) != combination:
            raise DataError(
                f"{source.table.path}: {source.key}.recipe.columns: two combinations of values would both be called "
                f"`{short(name)}`; valid are columns whose values have no ` · `"
            )
    return [
        Workload(dataset, " · ".join(combination), combination)
        for dataset, combination in zip(datasets, parts, strict=True)
    ]


def require_names(source: Source, file: RunsFile, found: list[Workload]) -> None:
    """Raise `DataError` where a row has no name of its data set, or none of its recipe."""
    for row, workload in enumerate(found):
        if not workload.dataset.strip() and not isinstance(file["dataset"], str):
            column = source.named(file["dataset"]["column"], "dataset.column")
            raise column.refusal(row, "the cell has no value", "the name of a data set")
        if not any(part.strip() for part in workload.parts) and not isinstance(file["recipe"], str):
            column = source.named(file["recipe"]["columns"][0], "recipe.columns")
            raise column.refusal(row, "the cell has no value", "the name of a recipe")


def counted(source: Source, about: list[Workload], why: Mapping[int, str]) -> list[LeftOut]:
    """The rows that are left out, counted by what they are about and by reason, in the order of the file."""
    sizes = source.column("batch_size").cells
    rates = source.column("learning_rate").cells if "learning_rate" in source.columns else [""] * len(sizes)
    counts = Counter(
        (
            (about[row].dataset or None, about[row].recipe or None, _size(sizes[row]), reason),
            _rate(rates[row]) if failed(reason) else None,
        )
        for row, reason in sorted(why.items())
    )
    return [LeftOut(*key, rows=n, learning_rate=rate) for (key, rate), n in counts.items()]


def _size(cell: str) -> int | None:
    whole = cell.strip().partition(".")[0]
    return int(whole) if whole.isascii() and whole.isdecimal() and len(whole) < 19 else None


def _rate(cell: str) -> float | None:
    rate = as_number(cell)
    return rate if rate is not None and 0 < rate < math.inf else None


def _require_values(column: Column, wanted: Sequence[str]) -> None:
    there = dict.fromkeys(column.cells)
    for value in wanted:
        if value not in there:
            shown = [short(cell) for cell in list(there)[:20]]
            raise DataError(
                f"{column.path}: {column.known_as}: no row has `{short(value)}` in the column `{short(column.name)}`"
                f"{choice(value, shown)}"
            )
