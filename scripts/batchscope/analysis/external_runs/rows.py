"""The rows of a table of runs: what each is about and what it says, or the sentence that refuses the file."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from batchscope.analysis.external_runs import selecting
from batchscope.analysis.external_runs.given import LENGTHS, RunsFile, by_columns, length_of
from batchscope.analysis.external_runs.selecting import LeftOut, Workload
from batchscope.analysis.external_runs.source import Source, opened
from batchscope.config.errors import DataError
from batchscope.tables.metrics import RESULTS, quantity

_ABOVE_ZERO = math.nextafter(0, 1)
_TARGET_COLUMNS = ("seconds", "joules")


@dataclass(frozen=True)
class Row:
    """A run, or a run and one of its targets; NaN is what is not known.

    Attributes:
        row: its place in the file, from 0.
        dataset, recipe, batch_size, seed, learning_rate: which run it is.
        target: the value to reach.
        length: epochs, updates or examples to it; NaN where the run has not reached it.
        diverged: a result is not finite; such a row has no others.
        name: what its history is called; empty without one.
        values: by our name, its other columns.
    """

    row: int
    dataset: str
    recipe: str
    batch_size: int
    seed: int
    learning_rate: float
    target: float = math.nan
    length: float = math.nan
    diverged: bool = False
    name: str = ""
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def cell(self) -> tuple[str, str, int]:
        """Its data set, recipe and batch size."""
        return self.dataset, self.recipe, self.batch_size

    @property
    def run(self) -> tuple[Any, ...]:
        """What tells its run from others."""
        return *self.cell, rate_step(self.learning_rate), self.seed


@dataclass(frozen=True)
class Rows:
    """The rows of a file that are results, in its order, those that diverged among them; and those that are none."""

    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    in_file: int

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Data sets and recipes that have a result, in the order of the file."""
        return tuple(dict.fromkeys((row.dataset, row.recipe) for row in self.rows if not row.diverged))


def read(file: RunsFile) -> Rows:
    """The rows of the file of runs.

    Raises:
        DataError: in one sentence, which column and row is wrong, and what would be valid.
    """
    source = opened("runs", file, _further(file))
    about, why = selecting.workloads(source, file), selecting.reasons(source, file)
    kept = [row for row in source.rows if row not in why]
    diverged = [row for row, reason in why.items() if reason == selecting.NOT_FINITE]
    named = source.at(sorted([*kept, *diverged]))
    found = _about(named, file, [about[row] for row in named.rows], set(diverged))
    found = _with_values(source.at(kept), file, found)
    if "seed" not in source.columns:
        found = _numbered(found)
    _require_once(source, found)
    _check_budgets(source, file, found)
    _check_direction(source, file, found)
    return Rows(tuple(found), tuple(selecting.counted(source, about, why)), len(source.rows))


def rate_step(rate: float) -> float | None:
    """The same for rates that differ in their last digits only, since they were computed on different ways."""
    return None if math.isnan(rate) else round(math.log(rate), 9)


def runs_of(rows: Iterable[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """The rows of each run, in their order."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(row.run, []).append(row)
    return found


def lengths(row: Row, given: str, n_train: int | None) -> dict[str, float]:
    """How long a run took to its target in epochs, updates and examples, from the one that is given; NaN if unknown."""
    spent = dict.fromkeys(LENGTHS, math.nan) | {given: row.length}
    if given == "examples":
        spent["updates"] = row.length / row.batch_size
    if n_train is not None:
        per_epoch = {"epochs": 1, "updates": -(-n_train // row.batch_size), "examples": n_train}
        epochs = row.length / per_epoch[given]
        spent = {name: epochs * per_epoch[name] if math.isnan(value) else value for name, value in spent.items()}
    elif given == "updates":
        spent["examples"] = row.length * row.batch_size
    return spent


def _further(file: RunsFile) -> list[str]:
    """Columns that other keys than `columns` name."""
    dataset, recipe = file["dataset"], file["recipe"]
    return [
        *file["where"],
        *([] if isinstance(dataset, str) else [dataset["column"]]),
        *([] if isinstance(recipe, str) else recipe["columns"]),
    ]


def _about(source: Source, file: RunsFile, about: list[Workload], diverged: set[int]) -> list[Row]:
    """Which run each row is about."""
    if by_columns(file):
        selecting.require_names(source, file, about)
    sizes = source.column("batch_size").wholes(low=1)
    _refuse_larger(source, file, sizes)
    seeds = source.column("seed").wholes() if "seed" in source.columns else [0] * len(about)
    rates, targets = [math.nan] * len(about), [math.nan if file["target"] is None else file["target"]] * len(about)
    if "learning_rate" in source.columns:
        valid = "a number above 0, or an empty cell"
        rates = source.column("learning_rate").numbers(low=_ABOVE_ZERO, empty=True, valid=valid)
    if "target" in source.columns:
        targets = source.column("target").numbers(valid="a number, the value that was to be reached")
    names = source.column("name").labels() if "name" in source.columns else [""] * len(about)
    rows = zip(source.rows, about, sizes, seeds, rates, targets, names, strict=True)
    return [
        Row(row, work.dataset, work.recipe, size or 0, seed or 0, rate, target, diverged=row in diverged, name=name)
        for row, work, size, seed, rate, target, name in rows
    ]


def _refuse_larger(source: Source, file: RunsFile, sizes: Sequence[int | None]) -> None:
    for row, size in enumerate(sizes):
        if file["n_train"] is not None and size is not None and size > file["n_train"]:
            what = f"{size} is above the {file['n_train']} training examples (measurements.runs.n_train)"
            raise source.column("batch_size").refusal(row, what, "a batch size up to the number of training examples")


def _with_values(source: Source, file: RunsFile, rows: list[Row]) -> list[Row]:
    """The rows with what the file says of the runs that did not diverge."""
    read_before = ("batch_size", "seed", "learning_rate", "target", "state", "name")
    columns = {
        name: _values(source, name, file.get("percent", ())) for name in source.columns if name not in read_before
    }
    lengths = columns.pop(length_of(file), [math.nan] * len(source.rows))
    place = {row: position for position, row in enumerate(source.rows)}
    return [
        row
        if row.diverged
        else replace(
            row,
            length=lengths[place[row.row]],
            values={name: column[place[row.row]] for name, column in columns.items()},
        )
        for row in rows
    ]


def _values(source: Source, name: str, percent: Sequence[str]) -> list[float]:
    """A column of results; unless the study calls them percentages, accuracies are shares: 0.9 might be 0.9 %."""
    column = source.column(name)
    scale = quantity(name).scale if name in RESULTS else ""
    if name in percent and scale == "ratio":
        valid = "a percentage from 0, or an empty cell"
        return [value / 100 for value in column.numbers(low=0, empty=True, valid=valid)]
    if name in percent:
        valid = "a percentage from 0 to 100, or an empty cell"
        return [value / 100 for value in column.numbers(0, 100, empty=True, valid=valid)]
    if scale == "share":
        return column.numbers(
            0, 1, empty=True, valid="a number from 0 to 1 (or percentages, named under `percent`), or an empty cell"
        )
    if name == "budget_epochs":
        return column.numbers(low=0, valid="a number from 0")
    if name in RESULTS or name == "step_loss_noise":
        return column.numbers(empty=True)
    return column.numbers(low=0, empty=True, valid="a number from 0, or an empty cell where the target was not reached")


def _numbered(rows: list[Row]) -> list[Row]:
    """Runs of the same settings numbered in the order of the file, where no column does."""
    seen: Counter[Any] = Counter()
    numbered = []
    for row in rows:
        key = (row.run, row.target if not math.isnan(row.target) else None)
        numbered.append(replace(row, seed=seen[key]))
        seen[key] += 1
    return numbered


def _require_once(source: Source, rows: list[Row]) -> None:
    """Raise `DataError` where two rows are about the same run and target, or rows of a run say different things."""
    seen: dict[Any, Row] = {}
    for row in rows:
        key = (row.run, None if math.isnan(row.target) else row.target)
        if key in seen:
            rate = "" if math.isnan(row.learning_rate) else f", learning rate {row.learning_rate:g}"
            goal = "" if math.isnan(row.target) else f" and target {row.target:g}"
            what = f"batch size {row.batch_size}{rate} with seed {row.seed}{goal} was in a row before"
            raise (
                source.at([row.row])
                .column("seed" if "seed" in source.columns else "batch_size")
                .refusal(0, what, "one row for each")
            )
        seen[key] = row
    for same in runs_of(row for row in rows if not row.diverged).values():
        for one, other in itertools.pairwise(same):
            for name in one.values:
                of_target = name in (*_TARGET_COLUMNS, "budget_epochs")
                if not of_target and not _equal(one.values[name], other.values[name]):
                    column = source.at([other.row]).column(name)
                    raise column.refusal(0, "rows of the same run differ", "one value for all targets of a run")


def _equal(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _check_budgets(source: Source, file: RunsFile, rows: Sequence[Row]) -> None:
    """Raise `DataError` where a run reached its target after it had ended."""
    for row in rows if "budget_epochs" in source.columns and length_of(file) else ():
        epochs = lengths(row, length_of(file), file["n_train"])["epochs"]
        budget = row.values.get("budget_epochs", math.nan)
        if budget < epochs:
            what = f"{budget:g} is below the {epochs:g} epochs after which the target was reached"
            column = source.at([row.row]).column("budget_epochs")
            raise column.refusal(0, what, "the number of epochs that the run went on")


def _check_direction(source: Source, file: RunsFile, rows: list[Row]) -> None:
    """Raise `DataError` where most runs reach the tighter of two targets sooner, or reach it alone."""
    sign = 1 if file["better"] == "higher" else -1
    later = sooner = 0
    for same in runs_of(row for row in rows if not row.diverged).values():
        ordered = sorted(same, key=lambda row: sign * row.target)
        lengths = [math.inf if math.isnan(row.length) else row.length for row in ordered]
        later += sum(loose < tight for loose, tight in itertools.pairwise(lengths))
        sooner += sum(loose > tight for loose, tight in itertools.pairwise(lengths))
    if sooner > later:
        other = "lower" if file["better"] == "higher" else "higher"
        raise DataError(
            f"{source.table.path}: {source.key}.better is {file['better']}, but {sooner} of {sooner + later} times a "
            f"run reached the tighter of two targets sooner; valid is better: {other}"
        )
