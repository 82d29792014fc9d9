"""Where examples come from: one function per kind of source."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import sklearn.datasets
from numpy.typing import NDArray

from batchscope.data.download import RemoteFile, obtain
from batchscope.data.functions import FunctionError, load_function
from batchscope.data.mirrors import CLASS_NAMES, REMOTE_FILES, read_images
from batchscope.data.prepare import Examples
from batchscope.data.scaling import MAX_MERGED, differences
from batchscope.data.splits import (
    UNREADABLE,
    DataError,
    feature_columns,
    npz_shape,
    require_file,
    short,
    split_sizes,
    table_columns,
    table_rows,
)
from batchscope.identity.digests import file_sha256
from batchscope.identity.imports import closure


@dataclass(frozen=True)
class Source:
    """Examples to split, a test part of their own where the source has one, and the hashes of the files read."""

    examples: Examples
    test: Examples | None = None
    classes: int | None = None
    class_names: Sequence[str] | None = None
    files: Mapping[str, str] = field(default_factory=dict)


def read_source(
    dataset: Mapping[str, Any],
    seed: int,
    *,
    data_folders: Sequence[Path],
    cache: Path,
    remote_files: Mapping[str, Sequence[RemoteFile]] = REMOTE_FILES,
) -> Source:
    """Read or draw the examples of a resolved data set; `seed` is used where they are drawn."""
    source = dataset["source"]
    if source in remote_files:
        return _published(source, remote_files[source], data_folders, cache)
    readers: dict[str, Callable[[Mapping[str, Any], int], Source]] = {
        "digits": _digits,
        "blobs": _blobs,
        "random-labels": _random_labels,
        "npz": _npz,
        "table": _table,
        "function": _function,
    }
    if source not in readers:
        raise DataError(f"source is {source!r}; it must be one of {', '.join((*readers, *remote_files))}")
    return readers[source](dataset, seed)


def _digits(_dataset: Mapping[str, Any], _seed: int) -> Source:
    images = sklearn.datasets.load_digits()
    y_names = [str(name) for name in images.target_names]
    examples = Examples(images.images[..., None], images.target, "digits", "digits")
    return Source(examples, classes=10, class_names=y_names)


def _blobs(dataset: Mapping[str, Any], seed: int) -> Source:
    """Gaussian blobs drawn as in the article: `train + test` points at once, the last `test` of them for testing.

    The validation points come from the same centres and the same generator afterwards, which leaves the others as
    `make_blobs(n_samples=train + test, centers=classes, random_state=seed)` gives them.
    """
    train, validation, test = split_sizes(sum(dataset["split"].values()), dataset["split"])
    generator = np.random.RandomState(seed)
    options = {"n_features": dataset["features"], "cluster_std": dataset["cluster_std"], "random_state": generator}
    x, y, centres = sklearn.datasets.make_blobs(
        train + test, centers=dataset["classes"], return_centers=True, **options
    )
    x_validation, y_validation = sklearn.datasets.make_blobs(validation, centers=centres, **options)
    return Source(
        Examples(
            np.concatenate([x[:train], x_validation, x[train:]]),
            np.concatenate([y[:train], y_validation, y[train:]]),
            "blobs",
            "blobs",
        ),
        classes=dataset["classes"],
    )


def _random_labels(dataset: Mapping[str, Any], seed: int) -> Source:
    """Features from the standard normal distribution and labels drawn uniformly, independent of them."""
    n = sum(split_sizes(sum(dataset["split"].values()), dataset["split"]))
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, dataset["features"]), dtype=np.float32)
    y = generator.integers(0, dataset["classes"], n)
    return Source(Examples(x, y, "random-labels", "random-labels"), classes=dataset["classes"])


def _published(name: str, remote: Sequence[RemoteFile], data_folders: Sequence[Path], cache: Path) -> Source:
    paths = [obtain(file, name, data_folders=data_folders, cache=cache) for file in remote]
    images = read_images(name, paths)
    return Source(
        Examples(images.x, images.y, f"{name} training images", f"{name} training labels"),
        Examples(images.x_test, images.y_test, f"{name} test images", f"{name} test labels"),
        len(CLASS_NAMES[name]),
        CLASS_NAMES[name],
        # The published hash, also of a copy packed differently: the data set file must not depend on which was found.
        {file.name: file.sha256 for file in remote},
    )


def _npz(dataset: Mapping[str, Any], _seed: int) -> Source:
    path = Path(dataset["path"])
    main, test = (dataset["x"], dataset["y"]), (dataset["x_test"], dataset["y_test"])
    if (test[0] is None) != (test[1] is None):
        raise DataError("x_test and y_test belong together: name both arrays or neither")
    return Source(
        _npz_examples(path, *main),
        None if test[0] is None else _npz_examples(path, *test),
        classes=dataset["classes"],
        files=_hash(path),
    )


def _npz_examples(path: Path, x: str, y: str) -> Examples:
    for key in (x, y):
        npz_shape(path, key)  # says which arrays there are, and refuses Python objects
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Examples(arrays[x], arrays[y], f"{path}: array `{x}`", f"{path}: array `{y}`")
    except UNREADABLE as error:
        raise DataError(f"{path} is not a whole .npz file: {error}") from error


def _table(dataset: Mapping[str, Any], _seed: int) -> Source:
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
    return Source(examples, classes=dataset["classes"], files=_hash(path))


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


def _function(dataset: Mapping[str, Any], seed: int) -> Source:
    name = dataset["function"]
    x, y = _call(name, dataset["arguments"], seed)
    if dataset["draw"] == "per-seed" and _is_drawn_again(name, dataset["arguments"], seed, (x, y)):
        raise DataError(
            f"function {name} returns the same data for the seeds {seed} and {seed ^ 1}; valid is a function that "
            "draws with its argument `seed`, or `draw: fixed`"
        )
    file = Path(name.rpartition(":")[0]).resolve()
    files = {str(path.relative_to(file.parent)): file_sha256(path) for path in closure(file, file.parent)}
    return Source(Examples(x, y, f"function {name}: x", f"function {name}: y"), files=files)


def _call(name: str, arguments: Mapping[str, Any], seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """What the user's function returns, with the global generators seeded, too, and left as they were."""
    try:
        with _own_generators():
            _seed_generators(seed)
            function = load_function(name)  # imports the file again, so that it keeps nothing of a call before
            _seed_generators(seed)  # whatever the import drew or seeded
            result = function(seed=seed, **arguments)
    except FunctionError as error:
        raise DataError(f"function: {error}") from error
    except Exception as error:  # whatever the user's code raises; the traceback stays attached
        raise DataError(f"function {name} failed with {type(error).__name__}: {error}") from error
    if not isinstance(result, tuple) or len(result) != 2:
        raise DataError(f"function {name} returned {type(result).__name__}; it must return two arrays, (x, y)")
    try:
        return np.array(result[0]), np.array(result[1])
    except ValueError as error:
        raise DataError(f"function {name} returned something that is no array: {error}") from error


@contextlib.contextmanager
def _own_generators() -> Iterator[None]:
    """Python's and NumPy's global generators go on afterwards as if nothing had been drawn."""
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


def _seed_generators(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)


def _is_drawn_again(name: str, arguments: Mapping[str, Any], seed: int, drawn: Sequence[NDArray[Any]]) -> bool:
    """Whether the function returns the same for another seed."""
    try:
        other = _call(name, arguments, seed ^ 1)
    except DataError:
        return False  # a function that fails for another seed, such as one that reads a file per seed, looks at it
    return all(np.array_equal(_comparable(one), _comparable(two)) for one, two in zip(drawn, other, strict=True))


def _comparable(x: NDArray[Any]) -> NDArray[Any]:
    return x.astype(str) if x.dtype.hasobject else x


def _hash(path: Path) -> dict[str, str]:
    require_file(path)
    return {path.name: file_sha256(path)}
