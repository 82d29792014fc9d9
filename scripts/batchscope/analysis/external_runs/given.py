"""What a resolved study says about results made elsewhere: its key `measurements` as plain content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from batchscope.tables.metrics import TARGETS, quantity

LENGTHS = ("epochs", "updates", "examples")
"""One of them says how long a run took to its target; the others follow from it where they can."""
SHOWN = 20
"""Data sets and recipes of a table that the page shows in full, with their figures: the first of it with a result."""
TO_TARGET = "to_target"
"""The criterion of a learning rate that is not a column of results: how long runs took to their targets."""


class Baseline(TypedDict):
    """The batch size and power limit (None where power was not limited) that savings are counted against."""

    batch_size: int
    power_limit_watts: float | None


class OfColumn(TypedDict):
    """Each value of a column is a data set."""

    column: str


class OfColumns(TypedDict):
    """Each combination of values of these columns is a recipe."""

    columns: Sequence[str]


class TimingsFile(TypedDict):
    """A file, and which of its columns holds what (`ours: theirs`)."""

    path: str
    columns: dict[str, str]


class RunsFile(TimingsFile):
    """The file of runs, and what all its rows are about; null where a column says it or nobody knows."""

    dataset: str | OfColumn
    recipe: str | OfColumns
    where: Mapping[str, Sequence[str]]
    shared_seeds: bool
    n_train: int | None
    metric: str | None
    target: float | None
    better: str
    resolution_epochs: NotRequired[float | None]
    percent: NotRequired[Sequence[str]]


class HistoriesFile(TimingsFile):
    """The file with the course of runs: `metrics` names what was measured and has no column of its own."""

    metrics: Mapping[str, str]
    offset: float
    percent: Sequence[str]


class Measurements(TypedDict):
    """The key `measurements` of a resolved study."""

    runs: RunsFile
    histories: NotRequired[HistoriesFile | None]
    timings: TimingsFile | None
    baseline: Baseline | None
    notes: NotRequired[Sequence[str]]


def paired(measurements: Measurements | Mapping[str, Any] | None) -> bool:
    """Whether runs with the same seed share what it decides: those of this workflow do, others where it is said."""
    return measurements is None or bool(measurements["runs"]["shared_seeds"])


def length_of(file: RunsFile) -> str:
    """The column that says how long a run took to its target; empty without one."""
    return next((name for name in LENGTHS if name in file["columns"]), "")


def criterion_in_words(criterion: str) -> str:
    """What the best learning rate has least of: a loss, an error for an accuracy, or the time to the targets.

    >>> criterion_in_words("selected_validation_accuracy"), criterion_in_words("last_test_loss")
    ('validation error', 'test loss')
    >>> criterion_in_words("selected_validation_f1"), criterion_in_words("last_test_bleu")
    ('1 − validation F1', 'negated test BLEU')
    """
    if criterion == TO_TARGET:
        return "time to the targets"
    measured = _measured(criterion)
    if quantity(criterion).better == "lower":
        return measured
    if criterion.endswith("_accuracy"):
        return measured.replace("accuracy", "error")
    return f"{'1 −' if quantity(criterion).scale == 'share' else 'negated'} {measured}"


def best_mean_in_words(criterion: str) -> str:
    """Which mean the best learning rate has.

    >>> best_mean_in_words("last_test_loss"), best_mean_in_words("last_test_bleu")
    ('lowest mean test loss', 'highest mean test BLEU')
    """
    if criterion == TO_TARGET or quantity(criterion).better == "lower" or criterion.endswith("_accuracy"):
        return f"lowest mean {criterion_in_words(criterion)}"
    return f"highest mean {_measured(criterion)}"


def loss_of(criterion: str, value: float) -> float:
    """What `criterion_in_words` says, of a result: lower is better."""
    if quantity(criterion).better == "lower":
        return value
    return 1 - value if quantity(criterion).scale == "share" else -value


def _measured(result: str) -> str:
    """The part and the quantity of a result, in words."""
    return f"{result.split('_')[1]} {quantity(result).words}"


def direction(metric: str, measurements: Measurements | Mapping[str, Any] | None) -> int:
    """What values of a target's metric are multiplied by so that the lowest is the tightest.

    >>> direction("validation_loss", None), direction("validation_f1", None)
    (1, -1)
    """
    if metric in TARGETS:
        return TARGETS[metric].sign
    return -1 if measurements is not None and measurements["runs"]["better"] == "higher" else 1


def by_columns(file: RunsFile) -> bool:
    """Whether the names of data sets or recipes are in the file."""
    return not (isinstance(file["dataset"], str) and isinstance(file["recipe"], str))
