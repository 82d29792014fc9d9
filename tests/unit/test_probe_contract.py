"""What every registered probe promises: its keys, columns, figures and sections, and the same numbers twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small import blobs, recipe

from batchscope.figures import FIGURES
from batchscope.figures.frames import select
from batchscope.figures.sheets import Sheet
from batchscope.identity import imports
from batchscope.jobs.probe import columns, measure
from batchscope.jobs.saved import load, save
from batchscope.jobs.tables import concat
from batchscope.probes.registry import PROBES, STUDY_FIGURES, STUDY_TABLES
from batchscope.probes.section import Figure
from batchscope.probes.subject import Subject, Tables
from batchscope.report.content import Content
from batchscope.report.probes import sections_of
from batchscope.study.probing import settings_of
from batchscope.tables import records
from batchscope.tables.contents import TABLES
from batchscope.tables.job_columns import CELL, RUN
from batchscope.training.checkpoints import END, START, Checkpoint
from batchscope.training.plans import Plan
from batchscope.training.snapshots import Snapshot

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PAIR = ("blobs", "small")
KEYS = {
    "recipes": ["small"],
    "trained_with": [8],
    "batch_sizes": [1, 8],
    "batch_size": 8,
    "micro_batch_size": 4,
}  # values of the keys that a probe may require
TIMES = {"warmup_seconds": 0.01, "windows": 2, "window_seconds": 0.01}
SMALL = recipe(
    snapshots={"at": [0, 1], "train_losses": [0.9]},
    optimizer={"name": "sgd", "learning_rate": 0.05, "momentum": 0.0},
    evaluation_batch_size=60,
)
Measured = Callable[[str], Tables]
every_probe = pytest.mark.parametrize("name", PROBES)


def settings(name: str) -> dict[str, Any]:
    """The keys of a probe: those that it requires and its defaults."""
    model = settings_of(name).Settings
    needed = {key: KEYS[key] for key, field in model.model_fields.items() if field.is_required()}
    return model.model_validate(needed).plain()


def subject(name: str, engine: Any) -> Subject:
    """A run of eight examples per update on sixty, with the weights of its start for those of all its checkpoints."""
    data = blobs()
    cell = {"dataset": PAIR[0], "recipe": PAIR[1], "batch_size": 8, "full_batch": False}
    asked = {**TIMES, "engine": "tensorflow", "loop": "fused", **settings(name)}
    seed = 0 if PROBES[name].looks_at == "cells" else 1
    kept: dict[str, Any] = {}
    if PROBES[name].looks_at == "weights":
        weights = engine.build(Plan(SMALL, 8, seed, "fused"), data).get_weights()
        taken = {START: (0.0, 1.1), Checkpoint(train_loss=0.9): (1.0, 0.85), END: (3.0, 0.5)}
        kept["snapshots"] = {
            checkpoint: Snapshot(checkpoint, epoch, round(8 * epoch), loss, weights)
            for checkpoint, (epoch, loss) in taken.items()
        }
        kept["learning_rate"] = 0.05
    return Subject(engine, data, SMALL, asked, cell, seed, **kept)


@pytest.fixture(scope="module")
def measured(engine: Any) -> Measured:
    """The rows that a probe measures of `subject`, once."""
    known: dict[str, Tables] = {}

    def get(name: str) -> Tables:
        if name not in known:
            known[name] = measure(name, subject(name, engine))
        return known[name]

    return get


def study_tables(name: str, rows: Tables, folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a study from the records of a probe, written and read as by its jobs and by `tabulate`."""
    found = {}
    for table, record in PROBES[name].records.items():
        file = folder / f"{table}.parquet"
        records.write_table(table, rows[table], file, record.columns)
        found[table] = concat(table, [file], record)
    if PROBES[name].derived:
        found |= import_module(f"batchscope.probes.{name}.analysis").analyse(found)
    found = {table: found[table] for table in PROBES[name].tables}
    for table, frame in found.items():
        save(table, frame, folder / "saved.parquet", folder / "saved.csv")
        found[table] = load(folder / "saved.parquet")
    return found


def content(name: str, found: dict[str, pd.DataFrame]) -> Content:
    """A report on nothing but a probe."""
    cell = {"dataset": [PAIR[0]], "recipe": [PAIR[1]], "batch_size": [8], "full_batch": [False]}
    runs = pd.DataFrame({**cell, "seed": [1], "outcome": ["ok"], "updates_per_epoch": [8]})
    summary = pd.DataFrame({**cell, "utilisation_percent": [None], "utilisation_kind": [None]})
    empty = pd.DataFrame({column: pd.Series(dtype="object") for column in (*cell, "optimum", "learning_rate")})
    others = dict.fromkeys(STUDY_TABLES, empty)
    tables = {**others, "runs": runs, "summary": summary, **found}
    return Content({"recipes": {PAIR[1]: SMALL}}, {}, tables, Path("figures"))


@every_probe
def test_its_tables_have_a_kind_and_a_meaning_in_every_column(name: str) -> None:
    probe = PROBES[name]
    assert probe.name == name
    assert columns(name) == {table: record.columns for table, record in probe.records.items()}
    first = list(CELL if probe.looks_at == "cells" else RUN)
    for record in probe.records.values():
        assert list(record.columns)[: len(first)] == first
        assert set(record.keys) <= set(record.columns)
    for table in (*(record.columns for record in probe.records.values()), *probe.tables.values()):
        assert all(column.meaning for column in table.values())


def test_no_two_tables_figures_or_sections_of_a_study_share_a_name() -> None:
    figures = [*FIGURES, *(figure.name for probe in PROBES.values() for figure in probe.figures)]
    sections = [section.name for probe in PROBES for section in sections_of(probe)]
    assert list(STUDY_TABLES) == [*TABLES, *(table for probe in PROBES.values() for table in probe.tables)]
    for names in (STUDY_TABLES.keys(), figures, sections):
        assert [name for name, count in Counter(names).items() if count > 1] == []
    assert list(STUDY_FIGURES) == figures


@every_probe
def test_its_measurement_follows_from_its_own_code_alone(name: str) -> None:
    library = SCRIPTS / "batchscope" / "probes"
    files = imports.closure(SCRIPTS / "probe.py", SCRIPTS, probe=name)
    found = {file.relative_to(library).with_suffix("").as_posix() for file in files if file.is_relative_to(library)}
    own = {f"{name}/{part}" for part in ("__init__", "columns", "measure")}
    assert found == {"__init__", "columns", "subject", *own}


@every_probe
def test_it_measures_the_columns_that_it_promises_and_the_same_numbers_twice(
    name: str, measured: Measured, engine: Any
) -> None:
    rows = measured(name)
    assert {table: len(found) > 0 for table, found in rows.items()} == dict.fromkeys(PROBES[name].records, True)
    for table, record in PROBES[name].records.items():
        assert all(set(row) == set(record.columns) for row in rows[table]), table
    again = measure(name, subject(name, engine))
    timed = {"seconds", "seconds_per_update", "updates"} if PROBES[name].looks_at == "cells" else set()
    for table, found in rows.items():
        first, second = (
            [{key: value for key, value in row.items() if key not in timed} for row in each]
            for each in (found, again[table])
        )
        assert repr(first) == repr(second), table  # to the bit, and NaN is NaN


@every_probe
def test_its_tables_of_the_study_have_the_columns_of_its_spec(name: str, measured: Measured, tmp_path: Path) -> None:
    nothing: Tables = {table: [] for table in PROBES[name].records}
    kinds = {"string": "O", "integer": "i", "number": "f", "boolean": "b"}
    for rows in (measured(name), nothing):
        found = study_tables(name, rows, tmp_path)
        assert {table: list(frame) for table, frame in found.items()} == {
            table: list(wanted) for table, wanted in PROBES[name].tables.items()
        }
    for table, frame in study_tables(name, measured(name), tmp_path).items():
        for column, wanted in PROBES[name].tables[table].items():
            if frame[column].notna().all():
                kind = np.array(frame[column].tolist()).dtype.kind.replace("U", "O")
                assert kind == kinds[wanted.kind], (table, column)


@every_probe
def test_its_figures_and_its_sections_are_there_and_say_something(
    name: str, measured: Measured, tmp_path: Path
) -> None:
    report = content(name, study_tables(name, measured(name), tmp_path))
    frames = select(report.tables, *PAIR)
    shown = []
    for section in sections_of(name):
        blocks = section.build(report, PAIR)
        assert section.title
        assert section.introduction
        assert any(isinstance(block, Sheet) and block.columns[0][1] for block in blocks)
        shown += [block.name for block in blocks if isinstance(block, Figure)]
        assert list(section.build(content(name, {}), PAIR)) in ([], [Figure("loss_slices")])
    assert sorted(shown) == sorted(figure.name for figure in PROBES[name].figures)
    for figure in PROBES[name].figures:
        assert {need.partition(".")[0] for need in figure.needs} <= set(PROBES[name].tables)
        assert figure.group == name
        assert len(figure.draw(frames).axes) > 0
        assert len(figure.caption(frames).split()) >= 10
        assert len(figure.alt(frames)) > 40
