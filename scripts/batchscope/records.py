"""The tables of Batchscope: how they are written and read, strictly, and fingerprints of what they come from.

Every table is a Parquet file with exactly the columns that `columns` names, in this order. A file that lacks a column,
has one too many or holds another type is refused at write and at read. Null means "not measured" (the reason is in the
run's manifest); it is never written as zero.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchscope import columns
from batchscope.columns import CELL, RUN, TELEMETRY_SUMMARY, Kind
from batchscope.probe_columns import PROBES

__all__ = [
    "CELL",
    "RUN",
    "TABLES",
    "TELEMETRY_SUMMARY",
    "TableError",
    "atomic_path",
    "code_fingerprint",
    "fingerprint",
    "read_table",
    "schema",
    "write_json",
    "write_table",
]

TABLES = {**columns.TABLES, **PROBES}

_ARROW: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}


class TableError(ValueError):
    """A table does not have the columns or the types that its name promises."""


def schema(table: str) -> pa.Schema:
    """Arrow schema of a table; its fields carry unit and meaning as metadata."""
    return pa.schema(
        [
            pa.field(name, _ARROW[column.kind], column.nullable, {"unit": column.unit, "meaning": column.meaning})
            for name, column in TABLES[table].items()
        ]
    )


def write_table(table: str, rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write `rows` (one mapping per row, every column present) as the table `table`, atomically."""
    expected = schema(table)
    for row in rows:
        if set(row) != set(expected.names):
            missing, unknown = sorted(set(expected.names) - set(row)), sorted(set(row) - set(expected.names))
            raise TableError(f"table {table}: a row lacks {missing} and has the unknown columns {unknown}")
    try:
        content = pa.Table.from_pylist([dict(row) for row in rows], schema=expected)
        content.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TableError(f"table {table}: {error}") from error
    for name in expected.names:
        if not expected.field(name).nullable and content.column(name).null_count:
            raise TableError(f"table {table}: column {name} holds a null, which it may not")
    with atomic_path(path) as temporary:
        pq.write_table(content, temporary, compression="zstd")


def read_table(table: str, path: str | Path) -> pa.Table:
    """Read the table `table`; raise `TableError` where the file's columns or types differ."""
    content = pq.ParquetFile(path).read()
    expected = schema(table)
    if not content.schema.equals(expected):
        raise TableError(f"{path} does not hold the table {table} of this version: {content.schema} != {expected}")
    return content


def write_json(content: Any, path: str | Path) -> None:
    """Write `content` as indented JSON with sorted keys, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends, and is removed if the block fails."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=final.parent, prefix=f".{final.stem}-", suffix=final.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


def fingerprint(content: Any) -> str:
    """SHA-256 (hexadecimal) of any JSON-like content, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def code_fingerprint(files: Sequence[Path], root: Path) -> str:
    """SHA-256 over contents and names, relative to `root`, of source files. Snakemake follows no import; a rule with
    this as a param runs again when any of them changes, and not when only their time stamps do."""
    names = sorted(files)
    return fingerprint([[str(f.relative_to(root)), hashlib.sha256(f.read_bytes()).hexdigest()] for f in names])


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
