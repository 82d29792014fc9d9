"""A report from an export alone: the study that a table of runs becomes, in `results/NAME/study.yaml`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchscope.config.errors import ConfigError, DataError, refuse_braces, shown
from batchscope.config.yaml_files import read_yaml
from batchscope.identity.files import atomic_path
from batchscope.study import settings
from batchscope.study.report_name import name_of
from batchscope.study.settings import Settings
from batchscope.study.trackers import histories, nested, recognise, written
from batchscope.study.trackers.fields import AmbiguousError
from batchscope.tables import foreign


def study_file(chosen: Settings, base: Path, results: Path) -> Path:
    """Where the study of the export lies that the settings name."""
    assert chosen.runs is not None
    return results / name_of(chosen.runs, base / "config" / "studies") / "study.yaml"


def prepare(config: Mapping[str, Any], base: Path, results: Path) -> list[str]:
    """Write the study of the export that `config` names, unless an edited one is there; sentences on what it is.

    Args:
        config: as for `model.load`.
        base: folder of the workflow.
        results: folder that the results go to.

    Raises:
        ConfigError: a file is not there or not to be read, or the table leaves something open that must be known.
    """
    chosen = settings.load(config, base)
    if chosen.runs is None:
        if chosen.histories is not None:
            raise ConfigError(f"{settings.PLACE}: histories: they belong to runs; valid is to name those too, or null")
        return []
    runs = _found(chosen.runs, "runs")
    course = None if chosen.histories is None else _found(chosen.histories, "histories")
    file = study_file(chosen, base, results)
    table = _table(runs)
    if nested.is_nested(table.names):
        runs = _flat(table, file)
        table = _table(runs)
    if file.is_file() and written.is_edited(file.read_text(encoding="utf-8")):
        _refuse_other(file, runs, course)
        return [f"{shown(file)} is used as it was edited. Without it, {shown(runs)} would be recognised again."]
    found = recognise.recognise(table, with_results=course is None)
    history = (
        None
        if course is None
        else (_from(file, course), histories.settle(_history(course), found.plans, found.n_train))
    )
    content = written.study(Path(chosen.runs).name, _from(file, runs), found, history)
    _write(file, content)
    _refuse_open(file, runs, found.questions, "runs")
    if course is not None and history is not None:
        _refuse_open(file, course, history[1].questions, "histories")
    said = [*found.sentences(), *(history[1].sentences(course.name) if history and course else ())]
    return [*said, f"This is in {shown(file)}, which can be edited."]


def _found(path: str, key: str) -> Path:
    found = Path(path).expanduser()
    place = f"{settings.PLACE}: {key}"
    if not found.is_file():
        raise ConfigError(f"{place}: there is no file {path}; valid is the path of a .csv or .parquet file")
    refuse_braces(path, place)
    return found


def _table(path: Path) -> foreign.Table:
    if not foreign.readable(path):
        raise ConfigError(
            f"{shown(path)}: pyarrow, which reads Parquet, is not installed here; valid is a .csv file, or "
            "`make report RUNS=…`, which installs it"
        )
    try:
        table = foreign.read(path)
    except DataError as error:
        raise ConfigError(str(error)) from error
    if not table.rows:
        raise ConfigError(f"{shown(path)}: the table has no rows; valid is a row per run")
    return table


def _flat(table: foreign.Table, file: Path) -> Path:
    """The same table with a column for each key of its mappings, beside the study."""
    try:
        content = nested.flat(table)
    except DataError as error:
        raise ConfigError(str(error)) from error
    return _write(file.with_name("runs.csv"), content)


def _write(file: Path, content: str) -> Path:
    """Write a file unless it holds the same."""
    if not file.is_file() or file.read_text(encoding="utf-8") != content:
        with atomic_path(file) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return file


def _history(path: Path) -> histories.History:
    try:
        return histories.recognise(_table(path))
    except AmbiguousError as question:
        raise ConfigError(f"{shown(path)}: {question}") from question


def _from(file: Path, path: Path) -> str:
    """A path as the study file names it: from its folder, or, outside of the working directory, absolute."""
    absolute = Path(os.path.normpath(Path.cwd() / path))
    if not absolute.is_relative_to(Path.cwd()):
        return absolute.as_posix()
    return Path(os.path.relpath(absolute, Path.cwd() / file.parent)).as_posix()


def _refuse_open(file: Path, table: Path, questions: Mapping[str, str], key: str) -> None:
    for ours, question in questions.items():
        raise ConfigError(
            f"{shown(table)}: {question}; valid is to say it in {shown(file)}, which holds the rest, as "
            f"measurements.{key}.{ours}"
        )


def _refuse_other(file: Path, runs: Path, course: Path | None) -> None:
    """Refuse an edited study of another table that would have the same name."""
    measurements = read_yaml(file).get("measurements")
    for key, path in (("runs", runs), ("histories", course)):
        part = measurements.get(key) if isinstance(measurements, dict) else None
        named = part.get("path") if isinstance(part, dict) else None
        if path is None or (isinstance(named, str) and (file.parent / named).resolve() == path.resolve()):
            continue
        raise ConfigError(
            f"{shown(file)}: this study, which was edited, is not about {shown(path)}; valid is to remove it, to add "
            f"measurements.{key}.path, or to rename {shown(runs)}"
        )
