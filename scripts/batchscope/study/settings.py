"""config.yaml: which study to run, and how to run it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from batchscope.config.errors import ConfigError, shown
from batchscope.config.written import DIFFERENT, SORTED, List, Positive, Written, defaults, read, valid
from batchscope.config.yaml_files import locate_in, read_yaml
from batchscope.training import engines

TABLE = "the path of a .csv or .parquet file"
PLACE = "config (config/config.yaml or --config)"


class Telemetry(Written):
    """How the machine is watched while a job runs."""

    interval_seconds: float = Field(0.25, ge=0.01, le=60)
    """Time between two samples, in seconds."""


class Timing(Written):
    """How seconds per update are measured."""

    warmup_seconds: float = Field(0.5, ge=0)
    """Untimed updates before the first window, in seconds; more where they do not yet tell how many fill a window."""
    windows: int | None = Field(None, ge=3)
    """Timed windows, whose median the report gives. null: as many as `precision` needs."""
    window_seconds: float = Field(0.2, gt=0)
    """Length of a window, in seconds, or about it. A window holds at least one update, however long that takes."""
    precision: float = Field(0.02, gt=0, lt=1)
    """How far the ends of the 95 % interval of the median may lie from it, as a share of it: no further window is timed
    once they are as near. Not used where `windows` is a number.
    """
    max_seconds: float = Field(7.0, gt=0)
    """Seconds that all windows may take together, precise or not, except that there are at least five. Not used where
    `windows` is a number.
    """


class Settings(Written):
    """Which study to run and how to run it."""

    study: Annotated[str, Field(min_length=1), valid("a name from config/studies/, or the path of a .yaml file")]
    """Study to run, by its name in config/studies/, or the path of a study file (.yaml) of your own."""
    runs: Annotated[str, Field(pattern=r"\.(csv|parquet)$"), valid(TABLE)] | None = None
    """A table of runs made elsewhere, such as the export of a tracker, to report on instead of a study; what it holds
    is recognised and written to results/NAME/study.yaml, which may be edited. null: the study.
    """
    histories: Annotated[str, Field(pattern=r"\.(csv|parquet)$"), valid(TABLE)] | None = None
    """The course of those runs, such as the export of a chart. null: none."""
    engine: Literal[engines.NAMES] = engines.NAMES[0]  # type: ignore[valid-type]
    """What trains. `tensorflow` and `jax` train every recipe, from the same first weights. JAX starts sooner and takes
    less time for an update of a small network; it has to be installed (`make report ENGINE=jax`). `numpy` is the
    reference for tests and teaching: softmax regression in double precision, each quantity from its formula.
    """
    loop: Literal["fused", "fit"] = "fused"
    """How an epoch is trained. `fused` compiles the whole epoch into one call; `fit` uses Keras `model.fit`, which is
    slower and gives the same results.
    """
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train. `auto` takes the first GPU where there is one, else the CPU."""
    threads: Positive = 1
    """Threads of each training and timing job."""
    warm_starts: bool = True
    """Whether jobs on this machine start from a process that has imported what they need, which saves the import in
    each. On a cluster, and on systems other than Linux, every job imports what it needs itself.
    """
    data_folders: Annotated[
        List[Annotated[str, Field(min_length=1), valid("the path of a folder")]], DIFFERENT, valid("a list of folders")
    ] = ()
    """Folders with data files you already have. They are searched before anything is downloaded."""
    replace_datasets: Annotated[
        dict[str, Annotated[str, Field(min_length=1), valid("the name of a data set")]], SORTED
    ] = Field(default_factory=dict)
    """Data sets to train on instead of those that the study names, as `named: trained on`: a study of mnist runs on
    fashion-mnist with `mnist: fashion-mnist`.
    """
    step_records: Positive = 2000
    """Step losses kept per run. A run with more updates than this keeps every k-th update."""
    telemetry: Telemetry = defaults(Telemetry)
    timing: Timing = defaults(Timing)


SETTINGS = TypeAdapter(Settings)


def load(config: Mapping[str, Any], base: Path) -> Settings:
    """The settings that Snakemake read from config.yaml below `base` and from the command line.

    Raises:
        ConfigError: one sentence on what to change.
    """
    locate, file = locate_in(PLACE), base / "config" / "config.yaml"
    if file.is_file():  # Snakemake has read it, but of a key given twice it keeps the last in silence
        read_yaml(file)
    settings = read(SETTINGS, dict(config), locate)
    for index, folder in enumerate(settings.data_folders):
        if not Path(folder).expanduser().is_dir():
            place = locate(["data_folders", index])
            raise ConfigError(f"{place}: there is no folder {folder}; valid is the path of a folder")
    if settings.device == "gpu" and not engines.about(settings.engine).gpu:
        raise ConfigError(
            f"{locate(['device'])}: engine {settings.engine} computes on the CPU alone; valid is auto or cpu"
        )
    return settings.model_copy(update={"data_folders": tuple(shown(Path(each)) for each in settings.data_folders)})
