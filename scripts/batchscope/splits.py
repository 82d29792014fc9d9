"""How many examples each part of a data set has, found out without loading the data.

`study.py` needs the size of every training part before a dry run, and `datasets` cuts the data with the same
functions, so that both agree. Imports the standard library and NumPy only (pyarrow where a Parquet file is asked for).
"""

from __future__ import annotations

import csv
import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal


SOURCE_SIZES = {"digits": 1797, "mnist": 60_000, "fashion-mnist": 60_000, "cifar10": 50_000}
"""Examples that a source has to train and validate on (for digits, to test on as well)."""

Part = Literal["train", "validation", "test"]
_PARTS: tuple[Part, ...] = ("train", "validation", "test")


class DataError(ValueError):
    """The data, or the way the study describes them, cannot be used; the message says what would be valid."""


def split_sizes(n: int, split: Mapping[str, int | float]) -> tuple[int, int, int]:
    """Sizes of the training, validation and test parts that `n` examples are cut into.

    `validation` and `test` are counts (integers from 1) or fractions of `n` between 0 and 1, rounded to the nearest
    whole number, halves up; training gets the rest. A split without `test` (the source has its own) gives 0 for it.
    A split with `train` holds counts only, which must add up to `n`. The three sizes always add up to `n`.

    Raises:
        DataError: a part is no such number or would be empty.
    """
    fractions = "train" not in split
    sizes = {part: _part_size(n, part, value, fractions=fractions) for part, value in split.items()}
    validation, test = sizes["validation"], sizes.get("test", 0)
    train = sizes.get("train", n - validation - test)
    if train < 1:
        held_out = " and ".join(part for part in ("validation", "test") if part in split)
        raise DataError(f"split: {held_out} take {validation + test} of the {n} examples and leave none to train on")
    if train + validation + test != n:
        raise DataError(f"split: the parts add up to {train + validation + test}, but there are {n} examples")
    return train, validation, test


def known_size(dataset: Mapping[str, Any], part: Part = "train") -> int | None:
    """Number of examples in a part of a resolved data set, without loading it; None where only a function knows.

    The source's own test part counts as none.

    Raises:
        DataError: the file is missing or unreadable, or the split does not fit its size.
    """
    try:
        n = _size(dataset)
        return None if n is None else split_sizes(n, dataset["split"])[_PARTS.index(part)]
    except DataError as error:
        raise DataError(f"data set {dataset['name']}: {error}") from error


def npz_shape(path: Path, key: str) -> tuple[int, ...]:
    """Shape of the array `key` of an .npz file, read from its header.

    Raises:
        DataError: there is no such file or array, or it holds Python objects (which only unpickling could read).
    """
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [Path(name).stem for name in archive.namelist()]
            if key not in names:
                raise DataError(f"{path} has no array `{key}`; it has: {', '.join(sorted(names)) or 'none'}")
            with archive.open(f"{key}.npy") as stream:
                import numpy as np
                version = np.lib.format.read_magic(stream)
                if version not in ((1, 0), (2, 0)):
                    raise DataError(f"{path}: array `{key}` is a structured array; a plain one is needed")
                old = version == (1, 0)
                read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(stream)
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not a whole .npz file ({error}); write it with numpy.savez") from error
    if dtype.hasobject:
        raise DataError(f"{path}: array `{key}` holds Python objects; numbers are needed, or texts of fixed length")
    return tuple(int(length) for length in shape)


def table_columns(path: Path) -> list[str]:
    """Names of the columns of a .csv or .parquet file, each of which must be there once.

    Raises:
        DataError: there is no such file, it is no such table, or two columns have the same name.
    """
    names = _parquet_columns(path) if _is_parquet(path) else next(_csv_records(path), [])
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path} has more than one column {', '.join(twice)}; every name must be there once")
    return names


def table_rows(path: Path) -> int:
    """Number of records of a .csv file (without its header; a record may span lines in quotes) or a .parquet file."""
    if _is_parquet(path):
        return int(_parquet_file(path).metadata.num_rows)
    return max(sum(1 for _ in _csv_records(path)) - 1, 0)


def require_file(path: Path) -> None:
    """Raise `DataError` unless `path` is a file."""
    if not path.is_file():
        raise DataError(f"there is no file {path}")


def _size(dataset: Mapping[str, Any]) -> int | None:
    source = dataset["source"]
    if source in ("blobs", "random-labels"):
        return int(sum(dataset["split"].values()))
    if source == "npz":
        shape = npz_shape(Path(dataset["path"]), dataset["x"])
        if not shape:
            raise DataError(f"{dataset['path']}: array `{dataset['x']}` is one number; it needs a row per example")
        return shape[0]
    if source == "table":
        return table_rows(Path(dataset["path"]))
    return None if source == "function" else SOURCE_SIZES[source]


def _part_size(n: int, part: str, value: int | float, *, fractions: bool) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if fractions and isinstance(value, float) and 0 < value < 1:
        size = math.floor(value * n + 0.5)
        if size < 1:
            raise DataError(f"split: {part}: {value} of {n} examples is less than one example")
        return size
    valid = "a count from 1 or a fraction between 0 and 1" if fractions else "a count from 1"
    raise DataError(f"split: {part} is {value!r}; it must be {valid}")


def _is_parquet(path: Path) -> bool:
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(f"{path} ends in {path.suffix or 'nothing'}; a table must be a .csv or a .parquet file")
    return path.suffix.lower() == ".parquet"


def _csv_records(path: Path) -> Iterator[list[str]]:
    require_file(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            yield from (record for record in csv.reader(stream, strict=True) if record)
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}") from error


def _parquet_file(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    require_file(path)
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a whole Parquet file: {error}") from error


def _parquet_columns(path: Path) -> list[str]:
    return [str(name) for name in _parquet_file(path).schema_arrow.names]
