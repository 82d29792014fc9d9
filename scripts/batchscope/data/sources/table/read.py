"""The columns of a table of the user's, as numbers that lose nothing or are refused."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batchscope.data.scaling import MAX_MERGED, differences
from batchscope.data.sources.reading import Examples, Place, Source, Values, hashes
from batchscope.data.splits import DataError, feature_columns, table_columns
from batchscope.tables import foreign
from batchscope.tables.foreign import Column, arrow, short
from batchscope.tables.foreign.column import as_number

log = logging.getLogger(__name__)

_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")  # written as programs write it, so that its text can be made of it again


def read(dataset: Values, seed: int, place: Place) -> Source:
    """The columns."""
    path, target = Path(dataset["path"]), dataset["target"]
    columns = table_columns(path)
    features = feature_columns(path, target, dataset["features"])
    labels = foreign.read(path, [target]).column(target)
    table = arrow.columns(path, columns, features)
    x, origin = np.empty((len(table), len(features)), np.float64), np.zeros(len(features))
    for index, name in enumerate(features):
        numbers = _numbers(table.column(name), f"{path}: column `{short(name)}`")
        if not _are_64_bit_floats(numbers):
            origin[index] = numbers[0]
            numbers = differences(numbers, numbers[0])
        x[:, index] = numbers
    if len(x) != len(labels.cells):
        raise DataError(f"{path} has {len(labels.cells)} rows, but {len(x)} were read; write it with another tool")
    name = f"{path}: column `{short(target)}`"
    examples = Examples(x, _labels(labels, name), f"{path}: features", name, origin, features)
    return Source(examples, classes=dataset["classes"], files=hashes(path))


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
        _refuse_hexadecimal(column, name)
        for kind in (pa.int64(), pa.uint64(), pa.bool_()):
            with contextlib.suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):  # other cells
                return np.asarray(pc.cast(column, kind).to_numpy())
    try:
        numbers = np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), np.float64)
    except pa.ArrowInvalid:
        raise _no_number(column, name) from None
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


def _labels(column: Column, name: str) -> NDArray[Any]:
    """The classes: numbers where every label is one, and no two are the same; else the labels as they are.

    Labels that look alike and stay different are told.
    """
    for one, other in itertools.islice(column.look_alikes(), 10):
        log.warning("%s: `%s` and `%s` are two classes", name, short(one), short(other))
    distinct = dict.fromkeys(column.cells)
    numbers = {label: math.nan if label.lower() == "nan" else as_number(label) for label in distinct}
    if len(set(numbers.values())) == len(distinct) and None not in numbers.values():
        if all(_WHOLE.fullmatch(label) and abs(int(label)) < 2**63 for label in distinct):
            return np.array([int(label) for label in column.cells], np.int64)
        if not all(label.strip().lstrip("+-").isdigit() for label in distinct):
            return np.array([numbers[label] for label in column.cells], np.float64)
    return np.array(column.cells, dtype=str)


def _refuse_nulls(column: pa.ChunkedArray, name: str) -> None:
    if column.null_count:
        first = column.is_null().to_pylist().index(True)
        raise DataError(f"{name}: record {first + 1} has no value; fill in or remove such records")


def _refuse_hexadecimal(column: pa.ChunkedArray, name: str) -> None:
    """Raise `DataError` for 0x1F, which pyarrow takes for 31."""
    if not pa.types.is_decimal(column.type) and any(
        pc.any(pc.match_substring(column, mark)).as_py() for mark in ("0x", "0X")
    ):
        raise _no_number(column, name)


def _no_number(column: pa.ChunkedArray, name: str) -> DataError:
    first = next(index for index, text in enumerate(column.to_pylist()) if as_number(text) is None)
    return DataError(
        f"{name}: record {first + 1} is {short(column[first].as_py())!r}; features must be numbers: fill in or remove "
        "such records, or list the columns to use as `features`"
    )
