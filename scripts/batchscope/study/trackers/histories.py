"""From a file with the course of runs to its layout: what its axis counts, which runs and which metrics it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from batchscope.analysis.external_runs.histories import JOINS
from batchscope.study.trackers import names
from batchscope.study.trackers.fields import AmbiguousError, in_percent, taken_for_percentages
from batchscope.tables.foreign import Table, short
from batchscope.tables.foreign.column import as_number, has_no_value
from batchscope.tables.metrics import CURVES, quantity
from batchscope.text import listing

_ENDS = ("__MIN", "__MAX")
_GROUP = re.compile(r"[^\s:]+: .*")
_AXES = {
    "epochs": names.one_of("epoch", "epochs", "train_epoch", "trainer_epoch", "num_epochs"),
    "updates": names.one_of(
        *(
            "global_step",
            "trainer_global_step",
            "train_global_step",
            "update",
            "updates",
            "num_updates",
            "training_step",
        ),
        *("iteration", "iterations", "iter", "optimizer_step", "gradient_step", "train_step"),
    ),
    "examples": names.one_of(
        *("examples", "samples", "examples_seen", "samples_seen", "n_examples", "n_samples", "num_samples")
    ),
}
_STEP = names.one_of("step", "steps")
_RUN = names.one_of("run", "run_name", "name", "run_id")


@dataclass(frozen=True)
class History:
    """What a file of histories was taken for.

    Attributes:
        columns: as the key `measurements.histories.columns`.
        metrics: as the key `measurements.histories.metrics`.
        step: the column that says how far a run had come.
        steps: by run, its numbers in the order of the file, where the run has a value.
        percent: what is in percent, such as accuracies.
        offset: what is added to each step.
        questions: what must be known and is not in the file, by the key that would say it.
    """

    columns: dict[str, str]
    metrics: dict[str, str]
    step: str
    steps: dict[str, list[float]]
    percent: tuple[str, ...] = ()
    offset: int = 0
    questions: dict[str, str] = field(default_factory=dict)

    def sentences(self, name: str) -> list[str]:
        """What was taken for what, for people."""
        axis = next((ours for ours in _AXES if ours in self.columns), "")
        from_zero = ", of which 0 is the first" if self.offset else ""
        counted = f"; {short(self.step)} counts {axis}{from_zero}" if axis else ""
        curves = {**self.metrics, **{ours: theirs for ours, theirs in self.columns.items() if "_" in ours}}
        taken = listing([f"{short(theirs)} as {ours}" for ours, theirs in curves.items()])
        percent = taken_for_percentages([curves[ours] for ours in self.percent])
        return [f"The course of the runs is that of {short(name)}: {taken}{counted}.", *percent]


def recognise(table: Table) -> History:
    """The layout of a file of histories.

    Raises:
        AmbiguousError: it holds means of groups, or no metric that is known.
    """
    said = dict(zip(map(names.joined, table.names), table.names, strict=True))
    if {"metric", "value"} <= set(said):
        return _long(table, said)
    wide = [name for name in table.cells if JOINS in name and not name.endswith(_ENDS)]
    return _wide(table, wide) if wide else _rows(table)


def settle(found: History, plans: Mapping[str, tuple[float, int]], n_train: int | None) -> History:
    """The same, with what its steps count, and from 0 or 1, where the plans of runs tell: each ends when its is done.

    Args:
        found: of `recognise`; one whose axis says what it counts still has it.
        plans: epochs and batch size of finished runs by name.
        n_train: number of training examples, if known.
    """
    ends = [(steps[0], steps[-1], *plans[run]) for run, steps in found.steps.items() if run in plans and len(steps) > 1]
    if not ends:
        return found
    in_epochs = [(first, last, epochs) for first, last, epochs, _ in ends]
    in_updates = [(first, last, epochs * -(-(n_train or 0) // size)) for first, last, epochs, size in ends]
    counted = {
        ("epochs", 0): all(last == planned for _, last, planned in in_epochs),
        ("epochs", 1): _from_zero(in_epochs),
        ("updates", 0): n_train is not None
        and not _from_zero(in_updates)
        and all(abs(last - planned) <= 1 for _, last, planned in in_updates),
        ("updates", 1): n_train is not None and _from_zero(in_updates),
    }
    known = next((axis for axis in _AXES if axis in found.columns), "")
    fits = [(axis, offset) for (axis, offset), fit in counted.items() if fit and known in ("", axis)]
    if len(fits) != 1:
        return found
    axis, offset = fits[0]
    columns = found.columns if known else {axis: found.step, **found.columns}
    return replace(found, columns=columns, offset=offset, questions={})


def _from_zero(ends: Sequence[tuple[float, float, float]]) -> bool:
    """Whether the first numbers, the last and how many were planned are those of counts from 0."""
    return all(first == 0 and last == planned - 1 for first, last, planned in ends)


def _rows(table: Table) -> History:
    """A row per run and evaluation."""
    run = _run(table)
    curves = _curves(list(table.cells))
    cells = {ours: table.cells[theirs] for ours, theirs in curves.items()}
    step, columns, questions = _axis([name for name in table.cells if name not in (run, *curves.values())])
    steps = _steps((table.cells[run], table.cells[step], values) for values in cells.values()) if step else {}
    return History({"run": run, **columns, **curves}, {}, step, steps, _in_percent(cells), 0, questions)


def _long(table: Table, said: Mapping[str, str]) -> History:
    """A row per value, as the page of MLflow writes it."""
    if "group" in said:
        raise AmbiguousError("it holds means over groups of runs; valid is an export of single runs")
    run, metric, value = _run(table), said["metric"], said["value"]
    metrics = _curves(list(dict.fromkeys(table.cells[metric])))
    pairs = list(zip(table.cells[metric], table.cells[value], strict=True))
    cells = {ours: [cell if name == theirs else "" for name, cell in pairs] for ours, theirs in metrics.items()}
    step, columns, questions = _axis([name for name in table.cells if name not in (run, metric, value)])
    steps = _steps((table.cells[run], table.cells[step], values) for values in cells.values()) if step else {}
    columns = {"run": run, **columns, "metric": metric, "value": value}
    return History(columns, metrics, step, steps, _in_percent(cells), 0, questions)


def _wide(table: Table, wide: Sequence[str]) -> History:
    """A column per run, as a chart of Weights & Biases writes it."""
    runs = {name.rpartition(JOINS)[0] for name in wide}
    if all(map(_GROUP.fullmatch, runs)):
        raise AmbiguousError(
            f"its columns are groups of runs such as `{short(min(runs))}`, whose values are means; valid is the export "
            "of a chart without grouping"
        )
    metrics = _curves(list(dict.fromkeys(name.rpartition(JOINS)[2] for name in wide)))
    step, columns, questions = _axis([name for name in table.cells if JOINS not in name])
    of_metric = {ours: [name for name in wide if name.endswith(JOINS + theirs)] for ours, theirs in metrics.items()}
    cells = {ours: [cell for name in found for cell in table.cells[name]] for ours, found in of_metric.items()}
    courses = [(name.rpartition(JOINS)[0], table.cells[name]) for found in of_metric.values() for name in found]
    steps = _steps(([run] * len(values), table.cells[step], values) for run, values in courses) if step else {}
    return History(columns, metrics, step, steps, _in_percent(cells), 0, questions)


def _run(table: Table) -> str:
    run = next((name for name in table.cells if _RUN(name)), "")
    if not run:
        raise AmbiguousError("no column is named like the run that a row is about")
    return run


def _steps(courses: Iterator[tuple[Sequence[str], Sequence[str], Sequence[str]]]) -> dict[str, list[float]]:
    """Of (run, step, value) cells: each run's different steps that have a value."""
    found: dict[str, dict[float, None]] = {}
    for runs, steps, values in courses:
        for run, step, value in zip(runs, steps, values, strict=True):
            number = as_number(step)
            if number is not None and not has_no_value(value):
                found.setdefault(run, {})[number] = None
    return {run: list(numbers) for run, numbers in found.items()}


def _curves(columns: Sequence[str]) -> dict[str, str]:
    """What is known among names of columns: losses and accuracies, and of validation data other results."""
    found: dict[str, str] = {}
    for name in columns:
        result = names.result(name)
        if result and f"{result.part}_{result.metric}" in CURVES:
            found.setdefault(f"{result.part}_{result.metric}", name)
    if not found:
        listed = ", ".join(map(short, columns[:8]))
        raise AmbiguousError(
            "none of its metrics is a loss or an accuracy of training or validation data, or another result of "
            f"validation data that is known by its name, such as val_f1 or val_wer ({listed})"
        )
    return found


def _axis(columns: Sequence[str]) -> tuple[str, dict[str, str], dict[str, str]]:
    """What says how far a run had come, as a column and a key; a `Step` counts what a logger was told: it is asked."""
    for ours, fits in _AXES.items():
        for name in columns:
            if fits(name):
                return name, {ours: name}, {}
    step = next((name for name in columns if _STEP(name)), columns[0] if columns else "")
    asked = (
        f"what `{short(step)}` counts is not in the file: epochs (with offset: 1 where the first epoch is 0), updates "
        "or examples"
    )
    return step, {}, {"columns.epochs, columns.updates or columns.examples": asked}


def _in_percent(cells: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Accuracies and other shares that are written as percentages."""
    numbers = {ours: [n for n in map(as_number, texts) if n is not None] for ours, texts in cells.items()}
    return tuple(ours for ours, found in numbers.items() if in_percent(found, quantity(ours).scale))
