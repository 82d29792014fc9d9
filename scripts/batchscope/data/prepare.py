"""From what a source gives to what a job reads: checks, labels as integers, the split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from batchscope.data.sources.reading import Examples
from batchscope.data.splits import DataError, split_sizes
from batchscope.tables.foreign import short

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
Indices = NDArray[np.intp]

_ROWS = 4096


def check(examples: Examples) -> None:
    """Raise `DataError` unless features are finite numbers with at least two axes and labels go with them."""
    x, y = examples.x, examples.y
    if x.dtype.kind not in "biuf":
        raise DataError(f"{examples.x_name} has the type {x.dtype}; features must be numbers")
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise DataError(f"{examples.x_name} has the shape {x.shape}; it must be (examples, features) or have more axes")
    if y.ndim != 1:
        raise DataError(f"{examples.y_name} has the shape {y.shape}; it must be (examples,), one label per example")
    if len(x) != len(y):
        raise DataError(f"{examples.x_name} has {len(x)} examples, but {examples.y_name} has {len(y)} labels")
    if not len(x):
        raise DataError(f"{examples.x_name} has no examples")
    for start, block in blocks(x):
        with np.errstate(over="ignore"):
            finite = np.isfinite(block.astype(np.float32)).reshape(len(block), -1).all(axis=1)
        if not finite.all():
            raise DataError(
                f"{examples.x_name} holds a value that is no finite number of 32 bits, first in example "
                f"{start + int(np.argmin(finite)) + 1}; remove or replace such values"
            )


def encode_labels(
    parts: Sequence[Examples], classes: int | None, names: Sequence[str] | None = None
) -> tuple[list[Integers], tuple[str, ...]]:
    """Labels of all parts as integers from 0, and the names of the classes.

    Where the number of classes is declared, integer labels must lie in 0..classes-1 and stay as they are; otherwise
    the sorted distinct labels are numbered. `names` are those of a source whose classes are known.

    Raises:
        DataError: a label is missing, not whole, or out of range, or there are fewer than two classes.
    """
    labels = [_plain_labels(part) for part in parts]
    if len({label.dtype.kind for label in labels}) > 1:
        raise DataError(f"{' and '.join(part.y_name for part in parts)}: one holds texts and the other numbers")
    distinct = np.unique(np.concatenate(labels))
    if classes is not None and labels[0].dtype.kind == "i":
        for part, label in zip(parts, labels, strict=True):
            outside = (label < 0) | (label >= classes)
            if outside.any():
                first = int(np.argmax(outside))
                raise DataError(
                    f"{part.y_name}: the label of example {first + 1} is {label[first]}; "
                    f"with `classes: {classes}` labels go from 0 to {classes - 1}"
                )
        distinct = np.arange(classes)
    elif classes is not None and len(distinct) != classes:
        raise DataError(f"{parts[0].y_name} has {len(distinct)} different labels, but `classes` is {classes}")
    if len(distinct) < 2:
        raise DataError(f"{parts[0].y_name} has {len(distinct)} class; at least two are needed")
    codes = [np.searchsorted(distinct, label).astype(np.int32) for label in labels]
    return codes, tuple(names) if names else tuple(str(value) for value in distinct)


def split_indices(
    y: Integers, split: Mapping[str, int | float], seed: int, names: Sequence[str]
) -> tuple[Indices, Indices, Indices]:
    """Indices of the training, validation and test examples; they keep the order of the source.

    Parts with a declared training size follow one another. Otherwise each held-out part is stratified: its share of
    every class differs from the whole by less than one example. The test part is empty where the split names none.

    Raises:
        DataError: a class is too small to be split, or a part has fewer examples than there are classes.
    """
    n_train, n_validation, n_test = split_sizes(len(y), split)
    if "train" in split:
        train, validation, test = np.split(np.arange(len(y)), [n_train, n_train + n_validation])
        return train, validation, test
    rest, test = np.arange(len(y)), np.empty(0, np.intp)
    if n_test:
        rest, test = _stratified(y, rest, ("test", n_test), seed, names)
    train, validation = _stratified(y, rest, ("validation", n_validation), seed, names)
    return train, validation, test


def check_classes_trained(train: Integers, held_out: Mapping[str, Integers], names: Sequence[str]) -> None:
    """Raise `DataError` where a held-out part has a class that the training part lacks."""
    for part, labels in held_out.items():
        unknown = np.setdiff1d(labels, train)
        if len(unknown):
            raise DataError(f"the {part} part has the class {short(names[unknown[0]])}, but no training example has it")


def by_class(x: Floats, y: Integers) -> tuple[Floats, Integers]:
    """The examples (n, ...) and their labels (n,), sorted by class; within a class the order stays."""
    order = np.argsort(y, kind="stable")
    return x[order], y[order]


def blocks(x: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Parts of `x` along its first axis, each with the index where it starts: copies of them stay small."""
    for start in range(0, len(x), _ROWS):
        yield start, x[start : start + _ROWS]


def _plain_labels(examples: Examples) -> NDArray[Any]:
    """Labels as int64 or as text."""
    y, name = examples.y, examples.y_name
    if y.dtype.kind == "S":
        try:
            y = np.char.decode(y, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{name} holds bytes that are no text in UTF-8: {error}") from error
    if y.dtype.kind in "OT" and all(isinstance(label, str) for label in y):
        y = y.astype(object).astype(str)
    if y.dtype.kind == "U":
        missing = np.isin(np.char.lower(np.char.strip(y)), ("", "nan"))
        if missing.any():
            raise DataError(f"{name}: example {int(np.argmax(missing)) + 1} has no label")
        return y
    if y.dtype.kind == "f":
        wide = y.astype(np.result_type(y, np.float64))  # 2**53 is no number of 16 bits
        whole = (np.abs(wide) < 2**53) & (wide == np.round(wide))
        if not whole.all():
            first = int(np.argmin(whole))
            raise DataError(
                f"{name}: the label of example {first + 1} is {y[first]}; labels must be whole numbers or texts "
                "(predicting a quantity is not supported)"
            )
    if y.dtype.kind == "u" and (y > 2**63 - 1).any():
        first = int(np.argmax(y > 2**63 - 1))
        raise DataError(f"{name}: the label of example {first + 1} is {y[first]}; labels must be below 2**63")
    if y.dtype.kind not in "biuf":
        raise DataError(f"{name} has the type {y.dtype}; labels must be whole numbers or texts")
    return y.astype(np.int64)


def _stratified(
    y: Integers, rest: Indices, wanted: tuple[str, int], seed: int, names: Sequence[str]
) -> tuple[Indices, Indices]:
    part, size = wanted
    present, counts = np.unique(y[rest], return_counts=True)
    if counts.min() < 2:
        name = short(names[present[np.argmin(counts)]])
        raise DataError(
            f"the class {name} has one example left for the {part} part and the training part together; every class "
            "needs at least one example for each part"
        )
    if min(size, len(rest) - size) < len(present):
        raise DataError(
            f"split: {part} takes {size} of {len(rest)} examples; with {len(present)} classes, it must take at least "
            f"{len(present)} and leave at least {len(present)}"
        )
    kept, taken = train_test_split(rest, test_size=size, stratify=y[rest], random_state=seed)
    return np.sort(kept), np.sort(taken)
