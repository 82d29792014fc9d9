"""The one place where made-up cells, runs and tables get their shape; the laws of their numbers are in fake_*.py.

A row is a plain mapping. `table` gives rows the columns and types of a probe's real table, `complete` makes the
tables of a study whole, and `frames` hands them to figures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from batchscope.figures.frames import Frames, select
from batchscope.probes.registry import PROBES, STUDY_TABLES
from batchscope.tables import records

Row = dict[str, Any]
PAIR: Row = {"dataset": "digits", "recipe": "mlp"}
N_TRAIN = 1168
COLUMNS = {table: record.columns for probe in PROBES.values() for table, record in probe.records.items()}


def of_size(size: int | str, n_train: int = N_TRAIN) -> Row:
    """The two columns of a batch size, a number or "full"."""
    return {"batch_size": n_train if size == "full" else int(size), "full_batch": size == "full"}


def cell(size: int | str, n_train: int = N_TRAIN, **pair: str) -> Row:
    """The first columns of a configuration."""
    return {**PAIR, **pair, **of_size(size, n_train)}


def runs(sizes: Iterable[int | str], seeds: Iterable[int], n_train: int = N_TRAIN) -> list[Row]:
    """The first columns of runs, seed by seed of each size."""
    seeds = tuple(seeds)
    return [{**cell(size, n_train), "seed": seed} for size in sizes for seed in seeds]


def table(name: str, rows: Sequence[Row]) -> pd.DataFrame:
    """`rows` written and read as a probe's table; columns that they lack are null, unknown ones are refused."""
    columns = COLUMNS[name]
    known = dict.fromkeys(columns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.parquet"
        records.write_table(name, [{**known, **row} for row in rows], path, columns)
        found: pd.DataFrame = records.read_table(name, path, columns and records.schema(columns)).to_pandas()
        return found


def complete(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """All tables that figures and report look for; those not given have no rows."""
    return {**dict.fromkeys(STUDY_TABLES, pd.DataFrame(columns=list(cell(1)))), **tables}


def frames(tables: Mapping[str, pd.DataFrame]) -> Frames:
    """The tables of the only data set and recipe, as figures take them."""
    return select(complete(tables), **PAIR)
