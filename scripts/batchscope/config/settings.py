"""config.yaml: which study to run, and how to run it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from batchscope.config.engines import ENGINES
from batchscope.config.written import DIFFERENT, SORTED, List, Positive, Written, defaults, valid


class Telemetry(Written):
    """How the machine is watched while a job runs."""

    interval_seconds: float = Field(0.25, ge=0.01, le=60)
    """Time between two samples, in seconds."""


class Timing(Written):
    """How seconds per update are measured."""

    warmup_seconds: float = Field(1.0, ge=0)
    """Untimed updates before the first window, in seconds."""
    windows: int = Field(7, ge=3)
    """Timed windows. The report gives their median and quartiles."""
    window_seconds: float = Field(1.0, gt=0)
    """Length of a window, in seconds. A window holds at least one update, however long that takes."""


class Settings(Written):
    """Which study to run and how to run it."""

    study: Annotated[str, Field(min_length=1), valid("a name from config/studies/, or the path of a .yaml file")]
    """Study to run, by its name in config/studies/, or the path of a study file (.yaml) of your own."""
    engine: Literal[ENGINES] = ENGINES[0]  # type: ignore[valid-type]
    """What trains. `tensorflow` trains every recipe; `numpy` is the reference for tests and teaching: softmax
    regression in double precision, each quantity from its formula.
    """
    loop: Literal["fused", "fit"] = "fused"
    """How an epoch is trained. `fused` compiles the whole epoch into one call; `fit` uses Keras `model.fit`, which is
    slower and gives the same results.
    """
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train. `auto` takes the first GPU where there is one, else the CPU."""
    threads: Positive = 1
    """Threads of each training and timing job."""
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
