"""The part of a study that names measurements made elsewhere: its files are found, its columns checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from batchscope.config.errors import ConfigError, Fault, Locate, below, refuse_braces, refuse_unknown, shown
from batchscope.config.written import SORTED, OwnName, Positive, Written, valid
from batchscope.data import splits

_TO_TARGET = ("epochs", "updates", "examples")
_Column = Annotated[str, Field(min_length=1), valid("the name of a column")]
_RESULTS = tuple(
    f"{weights}_{part}_{metric}"
    for weights in ("selected", "last")
    for part in ("train", "validation", "test")
    for metric in ("loss", "accuracy")
)
_RunColumn = Literal[  # type: ignore[valid-type]
    "batch_size",
    "seed",
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
    *_RESULTS,
]
_TimingColumn = Literal["batch_size", "seconds_per_epoch", "seconds_per_update", "power_watts", "power_limit_watts"]


class _Measured(Written):
    """What the files of measurements have in common."""

    path: Annotated[str, Field(pattern=r"\.(csv|parquet)$"), valid("the path of a .csv or .parquet file")]
    """A .csv or .parquet file, relative to the folder of the study file; where it is not there, it is looked for in
    the `data_folders` of config.yaml.
    """


class MeasuredRuns(_Measured):
    """The file with one row per run, or per run and target."""

    dataset: OwnName
    """What the report calls the data."""
    recipe: OwnName
    """What the report calls the model and how it was trained."""
    n_train: Positive | None = None
    """Number of training examples; null where unknown, and then epochs do not become updates or examples."""
    metric: Annotated[str, Field(min_length=1)] | None = None
    """What the target is measured in, such as WER; null where the file has no targets."""
    target: float | None = None
    """The target that all rows are about; null where a column names it or there is none."""
    better: Literal["lower", "higher"] = "lower"
    """Whether a lower or a higher value of the metric is the tighter target."""
    shared_seeds: bool = False
    """Whether runs of one seed share what the seed decides (initial weights, order of the examples): then batch sizes
    are compared in pairs of equal seed; else the seed only tells runs apart.
    """
    columns: Annotated[dict[_RunColumn, _Column], SORTED]
    """Which column of the file holds what, as `ours: theirs`. `batch_size` and `seed` (a whole number from 0 that
    tells the runs of a batch size apart) are required; `learning_rate` and the results of runs may follow, named as in
    `runs.csv`. `epochs`, `updates` or `examples` are those to the target; an empty cell says that the run has not
    reached it, and `budget_epochs` how long it was followed.
    """

    @property
    def to_target(self) -> list[str]:
        """The columns that say how long each run took to a target."""
        return [name for name in _TO_TARGET if name in self.columns]

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
        if given in (["updates"], ["examples"]) and self.n_train is None:
            yield ["n_train"], f"{given[0]} need it to become epochs; valid is the number of training examples"


class MeasuredTimings(_Measured):
    """The file with what an epoch or an update takes at each batch size; null for none."""

    columns: Annotated[dict[_TimingColumn, _Column], SORTED]
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
    timings: MeasuredTimings | None = None
    baseline: Baseline | None = None

    def conflicts(self) -> Iterator[Fault]:
        """What timings and savings of energy need is there."""
        columns = self.timings.columns if self.timings else {}
        if "seconds_per_update" in columns and self.runs.n_train is None:
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
        return [part.path for part in (self.runs, self.timings) if part is not None]


def resolve(measurements: Measurements, study_file: Path, folders: Sequence[str], locate: Locate) -> Measurements:
    """The checked measurements of a study with the paths of its files as they are found.

    A relative path is looked for in the study file's folder, then in `folders` (`data_folders` of config.yaml).

    Raises:
        ConfigError: a file or a column is not there.
    """
    found = {}
    for name, part in (("runs", measurements.runs), ("timings", measurements.timings)):
        if part is not None:
            here = below(locate, "measurements", name)
            path = _find(part.path, study_file, folders, here(["path"]))
            found[name] = part.model_copy(update={"path": shown(path)})
            _check_columns(part.columns, ("batch_size", "seed") if name == "runs" else ("batch_size",), path, here)
    return measurements.model_copy(update=found)


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


def _check_columns(columns: Mapping[Any, str], required: Sequence[str], path: Path, locate: Locate) -> None:
    try:
        there = splits.table_columns(path)
    except splits.DataError as error:
        raise ConfigError(f"{locate(['path'])}: {error}") from error
    refuse_unknown(columns, there, below(locate, "columns"), f"{path.name} has no column `{{}}`")
    for name in required:
        if name not in columns:
            place = locate(["columns", name])
            raise ConfigError(f"{place}: the key is missing; valid is the name of a column: one of {', '.join(there)}")
