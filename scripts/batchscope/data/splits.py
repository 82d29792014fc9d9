"""How many examples each part of a data set has, and what files say of themselves, without loading the data.

A study needs the size of every training part before a dry run, and `prepare` cuts the data with the same functions, so
that both agree. Imports the standard library only.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from batchscope.config.errors import DataError
from batchscope.data import npy_header
from batchscope.tables import foreign
from batchscope.tables.foreign import short

__all__ = [
    "CHANNELS",
    "UNREADABLE",
    "DataError",
    "Part",
    "channels_first",
    "feature_columns",
    "npz_shape",
    "require_file",
    "split_sizes",
    "table_columns",
]

Part = Literal["train", "validation", "test"]
CHANNELS = (1, 3, 4)  # of an image: grey, colours, colours and opacity


UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)
"""What reading a damaged .npz file raises."""


def split_sizes(n: int, split: Mapping[str, int | float]) -> tuple[int, int, int]:
    """Sizes of the training, validation and test parts that `n` examples are cut into.

    `validation` and `test` are counts (integers from 1) or fractions of `n` between 0 and 1, rounded to the nearest
    whole number, halves up; training gets the rest. A split without `test` (the source has its own) gives 0 for it.
    A split with `train` holds counts only, which must add up to `n`. The three sizes always add up to `n`.

    Raises:
        DataError: a part would be empty.
    """
    sizes = {part: _part_size(n, part, value) for part, value in split.items()}
    validation, test = sizes["validation"], sizes.get("test", 0)
    train = sizes.get("train", n - validation - test)
    if train < 1:
        held_out = " and ".join(part for part in ("validation", "test") if part in split)
        raise DataError(f"split: {held_out} take {validation + test} of the {n} examples and leave none to train on")
    if train + validation + test != n:
        raise DataError(f"split: the parts add up to {train + validation + test}, but there are {n} examples")
    return train, validation, test


def npz_shape(path: Path, key: str) -> tuple[int, ...]:
    """Shape of the array `key` of an .npz file, read from its header.

    Raises:
        DataError: there is no such file or array, or it holds Python objects (which only unpickling could read).
    """
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            header = _array_header(archive, arrays[key]) if key in arrays else None
    except UNREADABLE as error:
        raise DataError(f"{path} is not a whole .npz file ({error}); write it with numpy.savez") from error
    if header is None:
        raise DataError(f"{path} has no array `{key}`; it has: {_listed(sorted(arrays)) or 'none'}")
    if header.kind == "O":
        raise DataError(f"{path}: array `{key}` holds Python objects; numbers are needed, or texts of fixed length")
    if header.kind == "V":
        raise DataError(f"{path}: array `{key}` is a structured array; a plain one is needed")
    return header.shape


def channels_first(shape: Sequence[int]) -> bool:
    """Whether the shape of one image has its channels (1, 3 or 4) on its first axis and not on its last."""
    return len(shape) == 3 and shape[0] in CHANNELS and shape[2] not in CHANNELS


def table_columns(path: Path) -> list[str]:
    """Names of the columns of a .csv or .parquet file, each of which must be there once.

    Raises:
        DataError: there is no such file, it is no such table, or two columns have the same name.
    """
    names = [name for name in foreign.header(path) if name not in foreign.ranges(path)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path} has more than one column {_listed(twice)}; every name must be there once")
    return names


def feature_columns(path: Path, target: str, named: Sequence[str] | None) -> list[str]:
    """The columns of a table that are its features: those that are `named`, otherwise all but the target.

    Raises:
        DataError: a column is not there or named twice, none is left, or one is a row number or index that pandas
            wrote and nobody named; it tells the class where a file is sorted by it.
    """
    columns = table_columns(path)
    features = [name for name in columns if name != target] if named is None else list(named)
    for name in (target, *features):
        if name not in columns:
            raise DataError(f"{path} has no column `{name}`; it has: {_listed(columns)}")
    if target in features or len(set(features)) < len(features):
        raise DataError(f"features of {path}: every column may be named once, and the target `{target}` not at all")
    if not features:
        raise DataError(f"{path}: no column is left for the features beside `{target}`; at least one is needed")
    index = foreign.index(path)
    for name in features if named is None else ():
        nameless = not name.strip() or name.startswith(("__index_level_", "Unnamed: "))
        if nameless or name in index:
            what = "looks like a row number" if nameless else "is the index of a table"
            raise DataError(
                f"{path}: the column `{short(name)}` {what} that pandas wrote; valid is a file written with "
                "index=False, or a list of the columns to use as `features`"
            )
    return features


def require_file(path: Path) -> None:
    """Raise `DataError` unless `path` is a file."""
    if not path.is_file():
        raise DataError(f"there is no file {path}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} others" if len(names) > 20 else ""
    return ", ".join(map(short, names[:20])) + more


def _part_size(n: int, part: str, value: int | float) -> int:
    size = value if isinstance(value, int) else math.floor(value * n + 0.5)
    if size < 1:
        raise DataError(f"split: {part}: {value} of {n} examples is less than one example")
    return size


def _array_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npy_header.Header:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is compressed in a way that NumPy does not use")
    with archive.open(member) as stream:
        header = npy_header.read(stream)
    if header.bytes not in (None, member.file_size):
        raise ValueError(f"{member.filename} has {member.file_size} bytes where its header announces {header.bytes}")
    return header
