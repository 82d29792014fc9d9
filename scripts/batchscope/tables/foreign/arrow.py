"""Columns of foreign tables by pyarrow: those of both formats at once, and those of a .parquet file as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from batchscope.config.errors import DataError
from batchscope.tables.foreign import csv_files
from batchscope.tables.foreign.column import short

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def columns(path: Path, names: Sequence[str], wanted: Sequence[str]) -> pa.Table:
    """Some columns: those of a .csv file as text, those of a .parquet file as it types them.

    An index that pandas wrote is a column like others, and categories are their values.

    Args:
        path: the file.
        names: all its columns.
        wanted: some of them, each of which is there once.

    Raises:
        DataError: the file cannot be read as such a table.
    """
    if path.suffix.lower() == ".parquet":
        return _parquet(path, wanted)
    try:
        # As text: pyarrow would guess each type from the first records only.
        return pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(delimiter=csv_files.separator(path), newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: pa.string() for name in names}, strings_can_be_null=False, include_columns=wanted
            ),
        )
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error


def texts(path: Path, wanted: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Columns of a .parquet file as text, empty where a value is null.

    Whole numbers and decimals keep all digits; other numbers have the fewest that tell them apart, in their precision;
    durations are as pandas writes them, times and dates as ISO 8601, in UTC where they have a zone.

    Raises:
        DataError: the file is not whole, or a column holds lists, structures or bytes.
    """
    found = _parquet(path, wanted)
    return {name: tuple(_texts(path, name, found.column(name))) for name in wanted}


def _parquet(path: Path, wanted: Sequence[str]) -> pa.Table:
    try:
        found = pq.ParquetFile(path).read(columns=list(wanted)).select(list(wanted))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a whole Parquet file: {error}") from error
    for position, field in enumerate(found.schema):
        if pa.types.is_dictionary(field.type):
            values = pc.cast(found.column(position), field.type.value_type)
            found = found.set_column(position, field.name, values)
    return found


def _texts(path: Path, name: str, column: pa.ChunkedArray) -> list[str]:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind):
        # As whole numbers of their unit: Python's own types end at microseconds.
        whole = pc.cast(column, pa.int32() if pa.types.is_time32(kind) else pa.int64())
        try:
            return ["" if value is None else _in_time(value, kind) for value in whole.to_pylist()]
        except OverflowError as error:
            raise DataError(f"{path}: column `{short(name)}` holds a time of no year from 1 to 9999") from error
    write = _writer(kind)
    if write is None:
        raise DataError(
            f"{path}: column `{short(name)}` has the type {kind}; valid is a column of numbers, texts, truth values, "
            "dates or times"
        )
    return ["" if value is None else write(value) for value in column.to_pylist()]


def _writer(kind: pa.DataType) -> Callable[[Any], str] | None:
    types = pa.types
    if types.is_floating(kind):
        return lambda value: str(kind.to_pandas_dtype()(value))
    if types.is_decimal(kind):
        return lambda value: format(value, "f")
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    plain = (*texts, types.is_integer, types.is_boolean, types.is_date, types.is_null)
    return str if any(is_kind(kind) for is_kind in plain) else None


def _in_time(value: int, kind: pa.DataType) -> str:
    """A moment, time or duration that is given in units of its type."""
    whole, fraction = divmod(value, _PER_SECOND[kind.unit])
    digits = f"{fraction * (10**9 // _PER_SECOND[kind.unit]):09d}".rstrip("0")
    part = f".{digits}" if digits else ""
    days, clock = divmod(whole, 86400)
    time = f"{clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}{part}"
    if pa.types.is_timestamp(kind):
        return f"{_date(days)} {time}{'+00:00' if kind.tz else ''}"
    if pa.types.is_duration(kind):
        return f"{days} days {'+' * (days < 0)}{time}"
    return time


def _date(days: int) -> str:
    """The date so many days after 1 January 1970."""
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()
