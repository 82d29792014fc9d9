"""Arrays of a .npz file of the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from batchscope.data.sources.reading import Examples, Place, Source, Values, hashes
from batchscope.data.splits import UNREADABLE, DataError, npz_shape


def read(dataset: Values, seed: int, place: Place) -> Source:
    """The arrays."""
    path, (x, y, x_test, y_test) = Path(dataset["path"]), (dataset[key] for key in ("x", "y", "x_test", "y_test"))
    test = None if x_test is None else _examples(path, x_test, y_test)
    return Source(_examples(path, x, y), test, classes=dataset["classes"], files=hashes(path))


def _examples(path: Path, x: str, y: str) -> Examples:
    for key in (x, y):
        npz_shape(path, key)  # says which arrays there are, and refuses Python objects
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return Examples(arrays[x], arrays[y], f"{path}: array `{x}`", f"{path}: array `{y}`")
    except UNREADABLE as error:
        raise DataError(f"{path} is not a whole .npz file: {error}") from error
