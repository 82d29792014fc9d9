"""The part of a study that names measurements made elsewhere: its files are found, its columns checked."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from batchscope.analysis.external_runs import given, histories, rates, rows, timings
from batchscope.analysis.external_runs.given import LENGTHS
from batchscope.analysis.external_runs.rows import Rows
from batchscope.config.errors import (
    ConfigError,
    DataError,
    Fault,
    Locate,
    below,
    refuse_braces,
    refuse_unknown,
    shown,
)
from batchscope.config.written import DIFFERENT, SORTED, ColumnName, List, OwnName, Positive, Text, Written, valid
from batchscope.study.histories import MeasuredHistories
from batchscope.tables import foreign
from batchscope.tables.metrics import QUANTITIES, RESULTS, quantity

_Wanted = Annotated[
    str | Annotated[List[str], Field(min_length=1), DIFFERENT], valid("a text in quotes, or a list of such")
]
_HIGHER, _LOWER = (
    {name for each in QUANTITIES if each.better == end for name in each.called if " " not in name}
    for end in ("higher", "lower")
)
_HIGHER |= {"top5", "reward", "score", "return"}
_RunColumn = Literal[  # type: ignore[valid-type]
    "batch_size",
    "seed",
    "name",
    "state",
    "target",
    "epochs",
    "updates",
    "examples",
    "budget_epochs",
    "seconds",
    "joules",
    "learning_rate",
    "step_loss_noise",
    "selected_epoch",
    *RESULTS,
]
_SHARES = tuple(name for name in RESULTS if quantity(name).scale)
_Share = Literal[*_SHARES]  # type: ignore[valid-type]
_TimingColumn = Literal["batch_size", "seconds_per_epoch", "seconds_per_update", "power_watts", "power_limit_watts"]


class _Measured(Written):
    """What the files of measurements have in common."""

    path: Annotated[str, Field(pattern=r"\.(csv|parquet)$"), valid("the path of a .csv or .parquet file")]
    """A .csv or .parquet file, relative to the folder of the study file; where it is not there, it is looked for in
    the `data_folders` of config.yaml.
    """


class OfColumn(Written):
    """Each value of a column is a data set, named as it is written."""

    column: ColumnName
    """The name of the column."""


class OfColumns(Written):
    """Each combination of the values of some columns is a recipe, named by them."""

    columns: Annotated[List[ColumnName], Field(min_length=1), DIFFERENT, valid("a list of names of columns")]
    """The names of the columns."""


class MeasuredRuns(_Measured):
    """The file with one row per run, or per run and target."""

    dataset: OwnName | OfColumn
    """What the report calls the data; or the column that says it, as `{column: NAME}`: each value is a data set."""
    recipe: OwnName | OfColumns
    """What the report calls the model and how it was trained; or columns that say it, as `{columns: [NAME, …]}`: each
    combination of values is a recipe.
    """
    where: Annotated[dict[ColumnName, _Wanted], SORTED] = Field(default_factory=dict)
    """Which rows are taken: those that have, in each of these columns of the file, the text or one of the texts, as it
    is written there.
    """
    shared_seeds: bool = False
    """Whether runs with the same seed share what the seed decides, such as initial weights and order: then batch sizes
    are compared in pairs of runs with the same seed; otherwise all runs are independent.
    """
    n_train: Positive | None = None
    """Number of training examples; null where unknown, and then epochs do not become updates or examples."""
    metric: Annotated[str, Field(min_length=1)] | None = None
    """What the target is measured in, such as WER; null where the file has no targets."""
    target: float | None = None
    """The target that all rows are about; null where a column names it or there is none."""
    better: Literal["lower", "higher"] | None = None
    """Whether a lower or a higher value of the metric is the tighter target; null for what its name says (accuracy, F1
    or BLEU: higher), or else lower. Several targets that contradict it are refused.
    """
    resolution_epochs: Annotated[float, Field(gt=0)] | None = None
    """How many epochs lie between two evaluations of a run, so how finely its epochs to a target are known; null for 1
    where all of them are whole numbers, and else for not known.
    """
    percent: Annotated[List[_Share], DIFFERENT, valid("a list of accuracies, named as under columns")] = ()
    """Accuracies and other shares, such as F1 or WER, that the file gives in percent; others are from 0 to 1."""
    columns: Annotated[dict[_RunColumn, ColumnName], SORTED]
    """Which column of the file holds what, as `ours: theirs`. `batch_size` is required. `seed` is a whole number from 0
    that tells the runs of a batch size and learning rate apart; without it they are numbered in the order of the
    file. A run's `name` is that of its history. Rows whose `state` is not that of a finished run are no results.
    `learning_rate` and the results of runs may follow, named as in `runs.csv`; where a batch size has several rates,
    its results are those with the best. `epochs`, `updates` or `examples` are those to the target; an empty cell
    says that the run has not reached it, and `budget_epochs` how long it was followed.
    """

    @property
    def to_target(self) -> list[str]:
        """The columns that say how long each run took to a target."""
        return [name for name in LENGTHS if name in self.columns]

    @property
    def named(self) -> tuple[str, str] | None:
        """The data set and recipe of all rows; None where columns name them."""
        both = self.dataset, self.recipe
        return both if isinstance(both[0], str) and isinstance(both[1], str) else None  # type: ignore[return-value]

    @property
    def direction(self) -> Literal["lower", "higher"]:
        """Whether a lower or a higher value of the metric is better: as the study says, or the name of the metric."""
        if self.better is not None:
            return self.better
        words = set(re.findall(r"[a-z]+[0-9]?", (self.metric or "").lower()))
        return "higher" if words & _HIGHER and not words & _LOWER else "lower"

    def resolved(self, path: Path) -> MeasuredRuns:
        """The same, where the file is and with lists of texts in `where`."""
        where = {name: (wanted,) if isinstance(wanted, str) else wanted for name, wanted in self.where.items()}
        return self.model_copy(update={"path": shown(path), "where": where, "better": self.direction})

    def conflicts(self) -> Iterator[Fault]:
        """What runs need to reach is said once, and only where the file says how long they took."""
        given, named = self.to_target, "target" in self.columns
        if len(given) > 1:
            yield ["columns", given[1]], f"{given[0]} is given already; valid is one of the two"
        if named and self.target is not None:
            yield ["target"], "a column names the targets already; valid is one of the two"
        if given and not (named or self.target is not None):
            yield ["target"], f"{given[0]} to which target? valid is a number, or a column `target`"
        if given and self.metric is None:
            yield ["metric"], "the targets need the name of what they are measured in; valid is a text such as WER"
        if not given and (named or self.target is not None):
            yield (
                ["columns"],
                "there is a target, but no column says how long a run took to it; valid is one of epochs, updates, "
                "examples",
            )
        for idle in ("seconds", "joules", "budget_epochs"):
            if idle in self.columns and not given:
                yield (
                    ["columns", idle],
                    "it is about runs that have a target; valid is to give epochs, updates or examples to the target "
                    "too",
                )
        if self.resolution_epochs is not None and not given:
            yield (
                ["resolution_epochs"],
                "no column says how long runs took to a target; valid is a column epochs, updates or examples, or null",
            )
        if self.shared_seeds and "seed" not in self.columns:
            yield ["shared_seeds"], "no column says which runs share a seed; valid is a column `seed`, or false"


class MeasuredTimings(_Measured):
    """The file with what an epoch or an update takes at each batch size; null for none."""

    columns: Annotated[dict[_TimingColumn, ColumnName], SORTED]
    """Which column holds what, as `ours: theirs`: `batch_size`, `seconds_per_epoch` or `seconds_per_update`, the mean
    power in watts, and the power limit it was measured at.
    """

    def conflicts(self) -> Iterator[Fault]:
        """Seconds are those of an epoch or of an update."""
        per_epoch, per_update = ("seconds_per_epoch" in self.columns, "seconds_per_update" in self.columns)
        if per_epoch == per_update:
            yield (
                ["columns"],
                f"it names {'both' if per_epoch else 'neither'} seconds_per_epoch "
                f"{'and' if per_epoch else 'nor'} seconds_per_update; valid is one of the two",
            )


class Baseline(Written):
    """The batch size and power limit that savings of energy are counted against; null for none."""

    batch_size: Positive
    """Batch size of the baseline."""
    power_limit_watts: Annotated[float, Field(gt=0)] | None = None
    """Power limit of the baseline; null where power was not limited."""


class Measurements(Written):
    """Results made elsewhere, instead of `comparisons` and `seeds`: nothing is trained, and the same tables, fits,
    verdicts and report are made from them.
    """

    runs: MeasuredRuns
    histories: MeasuredHistories | None = None
    timings: MeasuredTimings | None = None
    baseline: Baseline | None = None
    notes: Annotated[List[Text], valid("a list of texts")] = ()
    """Sentences on how these results were read, which the report repeats."""

    def conflicts(self) -> Iterator[Fault]:
        """What timings and savings of energy need is there."""
        columns = self.timings.columns if self.timings else {}
        if self.histories is not None and self.runs.to_target:
            yield (
                ["histories"],
                f"the file of runs says how many {self.runs.to_target[0]} a run took to its target; valid is either",
            )
        if self.histories is not None and "name" not in self.runs.columns:
            yield (
                ["runs", "columns", "name"],
                "the key is missing; valid is the column with the names that the histories have",
            )
        by_epochs = self.runs.to_target in ([], ["epochs"])
        if "seconds_per_update" in columns and self.runs.n_train is None and by_epochs:
            yield (
                ["runs", "n_train"],
                "seconds_per_update need it to become seconds per epoch; valid is the number of training examples",
            )
        if "power_limit_watts" in columns and (self.baseline is None or self.baseline.power_limit_watts is None):
            yield (
                ["baseline"],
                "batch sizes were measured at several power limits; valid is a baseline with a batch_size and the "
                "power_limit_watts at which sizes are compared",
            )
        if self.baseline is not None and "power_watts" not in columns:
            yield (
                ["baseline"],
                "savings of energy need power; valid is measurements.timings with a column power_watts, or no baseline",
            )

    @property
    def files(self) -> list[str]:
        """The files that they are read from."""
        return [part.path for part in (self.runs, self.histories, self.timings) if part is not None]


def resolve(measurements: Measurements, study_file: Path, folders: Sequence[str], locate: Locate) -> Measurements:
    """The checked measurements of a study with the paths of its files as they are found.

    A relative path is looked for in the study file's folder, then in `folders` (`data_folders` of config.yaml).

    Raises:
        ConfigError: a file or a column is not there.
    """
    runs, here = measurements.runs, below(locate, "measurements", "runs")
    path = _find(runs.path, study_file, folders, here(["path"]))
    _check_columns(runs.columns, path, here)
    named = {
        "dataset": [runs.dataset.column] if isinstance(runs.dataset, OfColumn) else [],
        "recipe": runs.recipe.columns if isinstance(runs.recipe, OfColumns) else [],
        "where": list(runs.where),
    }
    for key, names in named.items():
        refuse_unknown(names, foreign.header(path), lambda _, key=key: here([key]), f"{path.name} has no column `{{}}`")  # type: ignore[misc]
    found: dict[str, Any] = {"runs": runs.resolved(path)}
    if measurements.timings is not None:
        here = below(locate, "measurements", "timings")
        path = _find(measurements.timings.path, study_file, folders, here(["path"]))
        _check_columns(measurements.timings.columns, path, here)
        found["timings"] = measurements.timings.model_copy(update={"path": shown(path)})
    if measurements.histories is not None:
        here = below(locate, "measurements", "histories")
        path = _find(measurements.histories.path, study_file, folders, here(["path"]))
        refuse_unknown(
            measurements.histories.columns,
            foreign.header(path),
            below(here, "columns"),
            f"{path.name} has no column `{{}}`",
        )
        found["histories"] = measurements.histories.model_copy(update={"path": shown(path)})
    return measurements.model_copy(update=found)


@dataclass(frozen=True)
class Found:
    """What the files of measurements hold, as far as it is needed before the first job.

    Attributes:
        pairs: data sets and recipes with a result, in the order of the file.
        tuned: those with several learning rates, of which the best was chosen.
        left_out: a sentence on rows that are no results; empty where all are.
        alike: sentences on names that look alike and stay different.
        followed: data sets, recipes and the metrics, as `validation_loss`, that histories of their runs have.
    """

    pairs: tuple[tuple[str, str], ...]
    tuned: frozenset[tuple[str, str]]
    left_out: str
    alike: tuple[str, ...] = ()
    followed: frozenset[tuple[str, str, str]] = frozenset()


def find(measurements: Measurements) -> Found:
    """Read the files in full, so that what is wrong with them is told before the first job.

    A .parquet file needs pyarrow, which the Python that runs Snakemake may lack: then the job that makes the tables
    refuses it, and data sets and recipes cannot be named by columns.

    Raises:
        ConfigError: names are needed and cannot be read here.
        DataError: in one sentence, which file, column and row is wrong, and what would be valid.
    """
    resolved, runs = cast(given.Measurements, measurements.plain()), measurements.runs
    if measurements.timings is None or foreign.readable(Path(measurements.timings.path)):
        timings.read(resolved)
    if foreign.readable(Path(runs.path)):
        found = rows.read(resolved["runs"])
        courses = _courses(resolved)
        found = histories.joined(found, courses, runs.path) if courses else found
        chosen = rates.choose(found.rows, given.length_of(resolved["runs"]), shared_seeds=runs.shared_seeds)
        tuned = frozenset((choice.dataset, choice.recipe) for choice in chosen.choices)
        followed = frozenset(
            (row.dataset, row.recipe, metric)
            for row in chosen.rows
            if row.name in courses
            for metric in courses[row.name].values
        )
        left_out, alike = _left_out(Path(runs.path), found), tuple(_alike(Path(runs.path), found))
        pairs = tuple(dict.fromkeys((row.dataset, row.recipe) for row in chosen.rows))
        return Found(pairs, tuned, left_out, alike, followed)
    if runs.named is None:
        raise ConfigError(
            f"{runs.path}: names of data sets and recipes are read before the first job, and this Python has no "
            "pyarrow, which reads .parquet files; valid is a .csv file"
        )
    return Found((runs.named,), frozenset(), "")


def _courses(resolved: given.Measurements) -> dict[str, histories.Course]:
    file = resolved.get("histories")
    return {} if file is None or not foreign.readable(Path(file["path"])) else histories.read(file)


def _left_out(path: Path, found: Rows) -> str:
    """How many rows are no results, and why, in one sentence; empty where all are."""
    counts: Counter[str] = Counter()
    for each in found.left_out:
        counts[each.reason] += each.rows
    reasons = ", ".join(f"{n} ({reason})" for reason, n in counts.most_common())
    return f"{path}: {counts.total()} of {found.in_file} rows are left out: {reasons}" if counts else ""


def _alike(path: Path, found: Rows) -> Iterator[str]:
    for what, names in zip(("data sets", "recipes"), zip(*found.pairs, strict=True), strict=True):
        for one, other in itertools.islice(foreign.look_alikes(names), 10):
            yield f"{path}: `{foreign.short(one)}` and `{foreign.short(other)}` are two {what}"


def _find(path: str, study_file: Path, folders: Sequence[str], place: str) -> Path:
    tried = [folder / Path(path).expanduser() for folder in (study_file.parent, *map(Path, folders))]
    found = next((candidate for candidate in tried if candidate.is_file()), None)
    if found is None:
        where = " or ".join(dict.fromkeys(shown(candidate.parent) for candidate in tried))
        raise ConfigError(
            f"{place}: there is no file {Path(path).name} in {where}; valid is the path of a file, or the name of one "
            "in a folder of `data_folders` (config.yaml, or --config data_folders=[FOLDER])"
        )
    refuse_braces(shown(found), place)
    return found


def _check_columns(columns: Mapping[Any, str], path: Path, locate: Locate) -> None:
    try:
        there = foreign.header(path)
    except DataError as error:
        raise ConfigError(f"{locate(['path'])}: {error}") from error
    refuse_unknown(columns, there, below(locate, "columns"), f"{path.name} has no column `{{}}`")
    if "batch_size" not in columns:
        place = locate(["columns", "batch_size"])
        raise ConfigError(f"{place}: the key is missing; valid is the name of a column: one of {', '.join(there)}")
