"""The tables of Batchscope: how they are written and read, strictly, and fingerprints of what they come from.

Every table is a Parquet file with exactly the columns that `columns`, or a probe, names, in this order. A file that
lacks a column, has one too many or holds another type is refused at write and at read. Null means "not measured" (the
reason is in the run's manifest); it is never written as zero.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchscope.identity.files import atomic_path, set_aside
from batchscope.tables.job_columns import CELL, RUN, TABLES, TELEMETRY_SUMMARY, Columns, Kind

__all__ = [
    "CELL",
    "RUN",
    "TABLES",
    "TELEMETRY_SUMMARY",
    "TableError",
    "read_table",
    "schema",
    "write_table",
]

_ARROW: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}


class TableError(ValueError):
    """A table does not have the columns or the types that its name promises."""


def schema(columns: Columns) -> pa.Schema:
    """Arrow schema of a table; its fields carry unit and meaning as metadata."""
    return pa.schema(
        [
            pa.field(name, _ARROW[column.kind], column.nullable, {"unit": column.unit, "meaning": column.meaning})
            for name, column in columns.items()
        ]
    )


def write_table(
    table: str, rows: Sequence[Mapping[str, Any]], path: str | Path, columns: Columns | None = None
) -> None:
    """Write `rows` (one mapping per row, every column present) as the table `table`, atomically.

    `columns` are those of a table that is not one of `TABLES`: that of a probe.
    """
    expected = schema(TABLES[table] if columns is None else columns)
    for row in rows:
        if set(row) != set(expected.names):
            missing, unknown = sorted(set(expected.names) - set(row)), sorted(set(row) - set(expected.names))
            raise TableError(f"table {table}: a row lacks {missing} and has the unknown columns {unknown}")
    try:
        with _without_pandas():
            content = pa.Table.from_pylist([dict(row) for row in rows], schema=expected)
        content.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TableError(f"table {table}: {error}") from error
    for name in expected.names:
        if not expected.field(name).nullable and content.column(name).null_count:
            raise TableError(f"table {table}: column {name} holds a null, which it may not")
    with atomic_path(path) as temporary:
        pq.write_table(content, temporary, compression=compression(content.num_rows))


def compression(rows: int) -> str:
    """How a table of so many rows is packed: a single row, as of each run, only grows, and takes 2.5 times to read."""
    return "zstd" if rows > 1 else "none"


class _NoPandas(MetaPathFinder):
    """A finder that knows pandas and does not have it."""

    def find_spec(self, name: str, *_: object) -> None:
        """None for every other module: others look for it."""
        if name == "pandas":
            raise ModuleNotFoundError("this job needs no pandas", name=name)


@contextlib.contextmanager
def _without_pandas() -> Iterator[None]:
    """A block in which pyarrow does not import pandas, to see whether values are a series, in 0.3 s of every job.

    What nobody has imported made no value. Arrow imports it later where it is asked for a data frame.
    """
    finders = [] if "pandas" in sys.modules else [_NoPandas()]
    sys.meta_path[:0] = finders
    try:
        yield
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)


def read_table(table: str, path: str | Path, expected: pa.Schema | None = None) -> pa.Table:
    """Read the table `table`; `expected` is the schema of one that is not one of `TABLES`, or is made once for many.

    Raises:
        TableError: the file's columns or types differ, or it is damaged and has been set aside.
    """
    content = read_parquet(path)
    expected = schema(TABLES[table]) if expected is None else expected
    if not content.schema.equals(expected):
        raise TableError(f"{path} does not hold the table {table} of this version: {content.schema} != {expected}")
    return content


def read_parquet(path: str | Path) -> pa.Table:
    """Read a table of whatever columns.

    Raises:
        TableError: the file is damaged and has been set aside.
    """
    try:
        content = pq.ParquetFile(path).read(use_threads=False)  # of a small file, a third less time
        content.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        aside = set_aside(Path(path))
        raise TableError(f"{path} is no whole table; it is now {aside}, and the next run makes it again") from error
    return content
