"""From a file with the course of runs to its layout: what its axis counts, which runs and which metrics it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from batchscope.study.trackers import names
from batchscope.study.trackers.fields import AmbiguousError
from batchscope.tables.foreign import Table, short
from batchscope.tables.foreign.column import as_number
from batchscope.text import listing

_JOINS = " - "
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
    """What a file of histories was taken for; the keys are those of `measurements.histories`."""

    columns: dict[str, str]
    metrics: dict[str, str]
    percent: tuple[str, ...] = ()
    questions: dict[str, str] = field(default_factory=dict)

    def sentences(self, name: str) -> list[str]:
        """What was taken for what, for people."""
        axis = next((ours for ours in _AXES if ours in self.columns), "")
        counted = f"; {short(self.columns[axis])} counts {axis}" if axis else ""
        curves = {**self.metrics, **{ours: theirs for ours, theirs in self.columns.items() if "_" in ours}}
        taken = listing([f"{short(theirs)} as {ours}" for ours, theirs in curves.items()])
        return [f"The course of the runs is that of {short(name)}: {taken}{counted}."]


def recognise(table: Table) -> History:
    """The layout of a file of histories.

    Raises:
        AmbiguousError: it holds means of groups, or no loss and no accuracy.
    """
    said = dict(zip(map(names.joined, table.names), table.names, strict=True))
    if {"metric", "value"} <= set(said):
        return _long(table, said)
    wide = [name for name in table.names if _JOINS in name and not name.endswith(_ENDS)]
    return _wide(table, wide) if wide else _rows(table)


def _rows(table: Table) -> History:
    """A row per run and evaluation."""
    run = next((name for name in table.names if _RUN(name)), "")
    if not run:
        raise AmbiguousError("no column is named like the run that a row is about")
    curves = _curves(table.names)
    percent = tuple(ours for ours, theirs in curves.items() if _in_percent(ours, table.cells[theirs]))
    axis, questions = _axis(table.names)
    return History({"run": run, **axis, **curves}, {}, percent, questions)


def _long(table: Table, said: dict[str, str]) -> History:
    """A row per value, as the page of MLflow writes it."""
    if "group" in said:
        raise AmbiguousError("it holds means over groups of runs; valid is an export of single runs")
    run = next((name for name in table.names if _RUN(name)), "")
    metric, value = said["metric"], said["value"]
    metrics = _curves(list(dict.fromkeys(table.cells[metric])))
    percent = tuple(
        ours
        for ours, theirs in metrics.items()
        if _in_percent(ours, [c for c, m in zip(table.cells[value], table.cells[metric], strict=True) if m == theirs])
    )
    axis, questions = _axis([name for name in table.names if name not in (run, metric, value)])
    return History({"run": run, **axis, "metric": metric, "value": value}, metrics, percent, questions)


def _wide(table: Table, wide: Sequence[str]) -> History:
    """A column per run, as a chart of Weights & Biases writes it."""
    runs = {name.rpartition(_JOINS)[0] for name in wide}
    if all(map(_GROUP.fullmatch, runs)):
        raise AmbiguousError(
            f"its columns are groups of runs such as `{short(min(runs))}`, whose values are means; valid is the export "
            "of a chart without grouping"
        )
    metrics = _curves(list(dict.fromkeys(name.rpartition(_JOINS)[2] for name in wide)))
    percent = tuple(
        ours
        for ours, theirs in metrics.items()
        if _in_percent(ours, [c for name in wide if name.endswith(_JOINS + theirs) for c in table.cells[name]])
    )
    axis, questions = _axis([name for name in table.names if _JOINS not in name])
    return History(axis, metrics, percent, questions)


def _curves(columns: Sequence[str]) -> dict[str, str]:
    """Losses and accuracies of training and validation data among names of columns."""
    found: dict[str, str] = {}
    for name in columns:
        result = names.result(name)
        if result and result.part in ("train", "validation"):
            found.setdefault(f"{result.part}_{result.metric}", name)
    if not found:
        listed = ", ".join(map(short, columns[:8]))
        raise AmbiguousError(f"none of its metrics is a loss or an accuracy of training or validation data ({listed})")
    return found


def _axis(columns: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """What counts how far a run had come; `Step` counts calls of a logger, which nothing in the file explains."""
    for ours, fits in _AXES.items():
        for name in columns:
            if fits(name):
                return {ours: name}, {}
    step = next((name for name in columns if _STEP(name)), columns[0] if columns else "")
    return {}, {
        "epochs, updates or examples": f"what `{short(step)}` counts is not in the file: epochs (with offset 1 where "
        "the first epoch is 0), updates or examples"
    }


def _in_percent(ours: str, cells: Sequence[str]) -> bool:
    values = [number for number in map(as_number, cells) if number is not None and number - number == 0]
    return ours.endswith("accuracy") and bool(values) and min(values) >= 0 and 1 < max(values) <= 100
