"""The part of a study that names measurements made elsewhere: its files are found, its columns checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batchscope.config.validation import ConfigError, Locate, choice, refuse_braces, shown
from batchscope.data import splits

_TO_TARGET = ("epochs", "updates", "examples")


def resolve(
    measurements: Mapping[str, Any], study_file: Path, folders: Sequence[str], locate: Locate
) -> dict[str, Any]:
    """The checked mapping `measurements` of a study with the paths of its files as they are found.

    A relative path is looked for in the study file's folder, then in `folders` (`data_folders` of config.yaml).

    Raises:
        ConfigError: a file or a column is not there, or keys do not fit together.
    """
    resolved = dict(measurements)
    for part in ("runs", "timings"):
        if measurements[part] is not None:
            path = _find(measurements[part]["path"], study_file, folders, locate(["measurements", part, "path"]))
            resolved[part] = {**measurements[part], "path": shown(path)}
            _check_columns(part, measurements[part], path, locate)
    _check_runs(measurements["runs"], locate)
    _check_timings(measurements, locate)
    return resolved


def files(measurements: Mapping[str, Any] | None) -> list[str]:
    """The files that resolved measurements are read from."""
    if measurements is None:
        return []
    return [measurements[part]["path"] for part in ("runs", "timings") if measurements[part] is not None]


def reach_targets(runs: Mapping[str, Any]) -> bool:
    """Whether the file of runs says how long each took to a target."""
    return any(name in runs["columns"] for name in _TO_TARGET)


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


def _check_columns(part: str, content: Mapping[str, Any], path: Path, locate: Locate) -> None:
    try:
        there = splits.table_columns(path)
    except splits.DataError as error:
        raise ConfigError(f"{locate(['measurements', part, 'path'])}: {error}") from error
    for ours, theirs in content["columns"].items():
        if theirs not in there:
            place = locate(["measurements", part, "columns", ours])
            raise ConfigError(f"{place}: {path.name} has no column `{theirs}`{choice(theirs, there)}")
    required = ("batch_size", "seed") if part == "runs" else ("batch_size",)
    for name in required:
        if name not in content["columns"]:
            place = locate(["measurements", part, "columns", name])
            raise ConfigError(f"{place}: the key is missing; valid is the name of a column: one of {', '.join(there)}")


def _check_runs(runs: Mapping[str, Any], locate: Locate) -> None:
    """What runs need to reach is said once, and only where the file says how long they took."""
    given = [name for name in _TO_TARGET if name in runs["columns"]]
    columns = ["measurements", "runs", "columns"]
    if len(given) > 1:
        raise ConfigError(f"{locate([*columns, given[1]])}: {given[0]} is given already; valid is one of the two")
    named = "target" in runs["columns"]
    if named and runs["target"] is not None:
        raise ConfigError(
            f"{locate(['measurements', 'runs', 'target'])}: a column names the targets already; valid is one of the two"
        )
    if given and not (named or runs["target"] is not None):
        raise ConfigError(
            f"{locate(['measurements', 'runs', 'target'])}: {given[0]} to which target? valid is a number, or a column "
            "`target`"
        )
    if given and runs["metric"] is None:
        raise ConfigError(
            f"{locate(['measurements', 'runs', 'metric'])}: the targets need the name of what they are measured in; "
            "valid is a text such as WER"
        )
    if not given and (named or runs["target"] is not None):
        raise ConfigError(
            f"{locate(columns)}: there is a target, but no column says how long a run took to it; valid is one of "
            "epochs, updates, examples"
        )
    idle = [name for name in ("seconds", "joules", "budget_epochs") if name in runs["columns"] and not given]
    if idle:
        raise ConfigError(
            f"{locate([*columns, idle[0]])}: it is about runs that have a target; valid is to give epochs, updates or "
            "examples to the target too"
        )
    if given in (["updates"], ["examples"]) and runs["n_train"] is None:
        raise ConfigError(
            f"{locate(['measurements', 'runs', 'n_train'])}: {given[0]} need it to become epochs; valid is the number "
            "of training examples"
        )


def _check_timings(measurements: Mapping[str, Any], locate: Locate) -> None:
    timings, baseline = measurements["timings"], measurements["baseline"]
    if timings is not None:
        columns = timings["columns"]
        if ("seconds_per_epoch" in columns) == ("seconds_per_update" in columns):
            raise ConfigError(
                f"{locate(['measurements', 'timings', 'columns'])}: it names "
                f"{'both' if 'seconds_per_epoch' in columns else 'neither'} seconds_per_epoch "
                f"{'and' if 'seconds_per_epoch' in columns else 'nor'} seconds_per_update; valid is one of the two"
            )
        if "seconds_per_update" in columns and measurements["runs"]["n_train"] is None:
            raise ConfigError(
                f"{locate(['measurements', 'runs', 'n_train'])}: seconds_per_update need it to become seconds per "
                "epoch; valid is the number of training examples"
            )
        if "power_limit_watts" in columns and (baseline is None or baseline["power_limit_watts"] is None):
            raise ConfigError(
                f"{locate(['measurements', 'baseline'])}: batch sizes were measured at several power limits; valid is "
                "a baseline with a batch_size and the power_limit_watts at which sizes are compared"
            )
    if baseline is not None and (timings is None or "power_watts" not in timings["columns"]):
        raise ConfigError(
            f"{locate(['measurements', 'baseline'])}: savings of energy need power; valid is measurements.timings with "
            "a column power_watts, or no baseline"
        )
