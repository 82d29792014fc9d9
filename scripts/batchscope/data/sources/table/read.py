"""The columns of a table of the user's, as numbers that lose nothing or are refused."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from batchscope.data.scaling import MAX_MERGED, differences
from batchscope.data.sources.reading import Examples, Place, Source, Values, hashes
from batchscope.data.splits import DataError, feature_columns, short, table_columns, table_rows


def read(dataset: Values, seed: int, place: Place) -> Source:
    """The columns."""
    path, target = Path(dataset["path"]), dataset["target"]
    columns = table_columns(path)
    features = feature_columns(path, target, dataset["features"])
    table = _read_table(path, columns, [target, *features])
    x, origin = np.empty((len(table), len(features)), np.float64), np.zeros(len(features))
    for index, name in enumerate(features):
        numbers = _numbers(table.column(name), f"{path}: column `{short(name)}`")
        if not _are_64_bit_floats(numbers):
            origin[index] = numbers[0]
            numbers = differences(numbers, numbers[0])
        x[:, index] = numbers
    y = _labels(table.column(target), f"{path}: column `{target}`")
    if len(x) != table_rows(path):
        raise DataError(f"{path} has {table_rows(path)} records, but {len(x)} were read; write it with another tool")
    examples = Examples(x, y, f"{path}: features", f"{path}: column `{target}`", origin, features)
    return Source(examples, classes=dataset["classes"], files=hashes(path))


def _read_table(path: Path, columns: Sequence[str], wanted: Sequence[str]) -> pa.Table:
    try:
        if path.suffix.lower() == ".parquet":
            return pq.ParquetFile(path).read(columns=list(wanted))
        # Read as text and converted afterwards: pyarrow would guess each type from the first records only.
        return pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: pa.string() for name in columns}, strings_can_be_null=False, include_columns=wanted
            ),
        )
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error


def _numbers(column: pa.ChunkedArray, name: str) -> NDArray[Any]:
    """The column as whole numbers of 64 bits where it holds whole numbers only, otherwise as float64."""
    _refuse_nulls(column, name)
    types = pa.types
    texts = (types.is_string, types.is_large_string, types.is_decimal)
    kinds = (types.is_integer, types.is_floating, types.is_boolean, *texts)
    if not any(is_kind(column.type) for is_kind in kinds):
        raise DataError(f"{name} has the type {column.type}; features must be numbers")
    if types.is_integer(column.type):
        return np.asarray(column.to_numpy())
    if any(is_text(column.type) for is_text in texts):
        for whole in (pa.int64(), pa.uint64()):
            with contextlib.suppress(pa.ArrowInvalid):  # other numbers
                return np.asarray(pc.cast(column, whole).to_numpy())
    try:
        numbers = np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), np.float64)
    except pa.ArrowInvalid:
        first = next(index for index, text in enumerate(column) if not _is_number(text))
        raise DataError(
            f"{name}: record {first + 1} is {short(str(column[first].as_py()))!r}; features must be numbers: fill "
            "in or remove such records, or list the columns to use as `features`"
        ) from None
    if not np.isfinite(numbers).all():
        first = int(np.argmin(np.isfinite(numbers)))
        raise DataError(f"{name}: record {first + 1} is {numbers[first]}; fill in or remove such records")
    _refuse_rounded(column, numbers, name)
    if any(is_text(column.type) for is_text in texts):
        _refuse_merged(column, name)
    return numbers


def _are_64_bit_floats(numbers: NDArray[Any]) -> bool:
    return numbers.dtype.kind == "f" or not len(numbers) or -(2**53) <= numbers.min() <= numbers.max() <= 2**53


def _refuse_rounded(column: pa.ChunkedArray, numbers: NDArray[np.float64], name: str) -> None:
    """Raise `DataError` where a whole number, written out, is another one in `numbers`."""
    for index in np.flatnonzero(np.abs(numbers) >= 2**53):
        text = str(column[int(index)].as_py()).strip()
        digits = text.lstrip("+-0")
        if digits.isdecimal() and int(digits) != abs(int(numbers[index])):
            raise DataError(
                f"{name}: record {index + 1} is {short(text)}, which numbers of 64 bits cannot hold exactly; "
                "subtract a number from the whole column, or list the columns to use as `features`"
            )


def _refuse_merged(column: pa.ChunkedArray, name: str) -> None:
    """Raise `DataError` where too many different numbers, written out, are equal as numbers of 64 bits."""
    texts = pc.unique(column)
    numbers = np.asarray(pc.cast(texts, pa.float64(), safe=False))
    if len(np.unique(numbers)) == len(texts):
        return
    written: dict[float, dict[Decimal, str]] = {}
    for text, number in zip(texts.to_pylist(), numbers.tolist(), strict=True):
        written.setdefault(number, {}).setdefault(_exact(text), str(text))
    different = sum(len(values) for values in written.values())
    if len(written) < (1 - MAX_MERGED) * different:
        one, other = next([*values.values()][:2] for values in written.values() if len(values) > 1)
        raise DataError(
            f"{name} holds numbers such as {short(one)} and {short(other)}, which are equal as numbers of 64 bits; "
            "subtract a number from the whole column, or list the columns to use as `features`"
        )


def _exact(written: str | Decimal) -> Decimal:
    try:
        return Decimal(written)
    except InvalidOperation:  # an exponent beyond any that Decimal knows: what is left of it is zero
        return Decimal(0)


def _labels(column: pa.ChunkedArray, name: str) -> NDArray[Any]:
    _refuse_nulls(column, name)
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.asarray(column.to_numpy())
    # Text that is all numbers is numbers: a CSV file knows no types.
    for kind in (pa.int64(), pa.float64()):
        try:
            return np.asarray(pc.cast(column, kind).to_numpy())
        except pa.ArrowInvalid:
            continue
    return np.array(column.to_pylist(), dtype=str)


def _refuse_nulls(column: pa.ChunkedArray, name: str) -> None:
    if column.null_count:
        first = column.is_null().to_pylist().index(True)
        raise DataError(f"{name}: record {first + 1} has no value; fill in or remove such records")


def _is_number(text: pa.Scalar) -> bool:
    try:
        text.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
