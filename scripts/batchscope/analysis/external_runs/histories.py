"""The course of runs made elsewhere, from each layout that files have; with the standard library only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from batchscope.analysis.external_runs.given import LENGTHS, HistoriesFile
from batchscope.analysis.external_runs.rows import Rows
from batchscope.analysis.external_runs.selecting import LeftOut
from batchscope.config.errors import DataError
from batchscope.tables import foreign
from batchscope.tables.foreign import Column, Table, short
from batchscope.tables.metrics import CURVES, RESULTS

JOINS = " - "
"""What Weights & Biases writes between the name of a run and that of a metric."""
NO_HISTORY = "no history"
_VALUE = "a finite number, or an empty cell"
_Cell = tuple[str, float, str, float]  # run, axis, metric, value


@dataclass(frozen=True)
class Course:
    """A run's evaluations in order: how far it had come, and by our name what was measured, NaN where nothing was."""

    steps: tuple[float, ...]
    values: Mapping[str, tuple[float, ...]]


def axis_of(file: HistoriesFile) -> str:
    """Whether the steps of a file count epochs, updates or examples."""
    return next(name for name in LENGTHS if name in file["columns"])


def read(file: HistoriesFile) -> dict[str, Course]:
    """By the name of each run: its course. Evaluations at which nothing finite was measured are left out.

    Raises:
        DataError: a cell is no number, a run has two evaluations at a step, or no run has a value.
    """
    path, columns = Path(file["path"]), file["columns"]
    wide = "run" not in columns
    table = foreign.read(path, None if wide else list(dict.fromkeys(columns.values())))
    cells = _wide(table, file) if wide else _long(table, file) if "metric" in columns else _rows(table, file)
    found: dict[str, dict[float, dict[str, float]]] = {}
    for run, step, metric, value in cells:
        at_step = found.setdefault(run, {}).setdefault(step, {})
        if metric in at_step:
            raise DataError(
                f"{path}: run `{short(run)}` has two values of {metric} at {axis_of(file)} {step:g}; valid is one, and "
                "names that only one run has"
            )
        at_step[metric] = value / 100 if metric in file["percent"] else value
    if not found:
        raise DataError(
            f"{path}: measurements.histories holds no value of any run; valid is a file with a value per run, step "
            "and metric"
        )
    return {run: _course(steps) for run, steps in found.items()}


def joined(found: Rows, courses: Mapping[str, Course], path: str) -> Rows:
    """The rows with what their courses say of them where their file does not: best and last results.

    The best evaluation is the one with the lowest validation loss, or where nobody recorded it, with the best of the
    metric of the validation part that comes first in `CURVES`, such as the highest accuracy. Where the file of runs has
    no results of its own, a run without a course is none, either.

    Raises:
        DataError: two runs have the same name, or none has a course.
    """
    named = Counter(row.name for row in found.rows)
    twice = next((name for name, n in named.items() if name in courses and n > 1), None)
    if twice is not None:
        raise DataError(
            f"{path}: two finished runs are called `{short(twice)}`, so their histories cannot be told apart; valid "
            "are names that only one run has"
        )
    if not named.keys() & courses.keys():
        raise DataError(
            f"{path}: no finished run of measurements.runs is called as one of the histories "
            f"({', '.join(map(short, list(courses)[:8]))}); valid is a column `name` with these names"
        )
    known = {name: _results(course) for name, course in courses.items() if name in named}
    nothing = dict.fromkeys((metric for results in known.values() for metric in results), math.nan)
    has_results = any(name in RESULTS for row in found.rows for name in row.values)
    kept = [row for row in found.rows if has_results or row.diverged or row.name in courses]
    places = {row.row for row in kept}
    without = Counter((*row.cell, NO_HISTORY) for row in found.rows if row.row not in places)
    return Rows(
        tuple(
            row if row.diverged else replace(row, values={**nothing, **known.get(row.name, {}), **row.values})
            for row in kept
        ),
        (*found.left_out, *(LeftOut(*about, rows=n) for about, n in without.items())),
        found.in_file,
    )


def _results(course: Course) -> dict[str, float]:
    """What the table of runs would say of a course."""
    found = {f"last_{metric}": values[-1] for metric, values in course.values.items()}
    chosen_by = next((name for name in CURVES if name.startswith("validation_") and name in course.values), None)
    if chosen_by is not None:
        scores = [CURVES[chosen_by].sign * value for value in course.values[chosen_by]]
        best = scores.index(min(filter(math.isfinite, scores)))
        found |= {f"selected_{metric}": values[best] for metric, values in course.values.items()}
    return found


def _course(steps: Mapping[float, Mapping[str, float]]) -> Course:
    metrics = dict.fromkeys(metric for values in steps.values() for metric in values)
    order = sorted(steps)
    return Course(
        tuple(order), {metric: tuple(steps[step].get(metric, math.nan) for step in order) for metric in metrics}
    )


def _rows(table: Table, file: HistoriesFile) -> Iterator[_Cell]:
    """A row per evaluation."""
    runs, steps = table.column(file["columns"]["run"]).labels(), _steps(table, file)
    for ours, theirs in file["columns"].items():
        if ours not in ("run", axis_of(file)):
            values = table.column(theirs, _key(ours)).numbers(empty=True, valid=_VALUE)
            yield from _finite(zip(runs, steps, [ours] * len(runs), values, strict=True))


def _long(table: Table, file: HistoriesFile) -> Iterator[_Cell]:
    """A row per value, whose metric a column names; metrics that the study does not name are left out."""
    columns = file["columns"]
    ours = {theirs: name for name, theirs in file["metrics"].items()}
    said = table.column(columns["metric"], _key("metric")).labels()
    kept = [row for row, metric in enumerate(said) if metric in ours]
    values = table.column(columns["value"], _key("value")).at(kept).numbers(empty=True, valid=_VALUE)
    runs, steps = table.column(columns["run"], _key("run")).labels(), _steps(table, file)
    yield from _finite((runs[row], steps[row], ours[said[row]], value) for row, value in zip(kept, values, strict=True))


def _wide(table: Table, file: HistoriesFile) -> Iterator[_Cell]:
    """A column per run and metric, called after both."""
    steps = _steps(table, file)
    for ours, theirs in file["metrics"].items():
        end = f"{JOINS}{theirs}"
        for name in table.names:
            if name.endswith(end) and len(name) > len(end):
                values = table.column(name).numbers(empty=True, valid=_VALUE)
                run = name.removesuffix(end)
                yield from _finite((run, step, ours, value) for step, value in zip(steps, values, strict=True))


def _finite(cells: Iterable[_Cell]) -> Iterator[_Cell]:
    return (cell for cell in cells if math.isfinite(cell[3]))


def _steps(table: Table, file: HistoriesFile) -> list[float]:
    axis = axis_of(file)
    column: Column = table.column(file["columns"][axis], _key(axis))
    return [step + file["offset"] for step in column.numbers(low=0, valid="a number from 0")]


def _key(ours: str) -> str:
    return f"measurements.histories.columns.{ours}"
