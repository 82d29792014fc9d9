"""Data sets: made once per draw as an .npz file with training, validation and test part, then read by every job.

`load` is all that a training job needs; what makes the files, and the libraries for it, is in `making`.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.splits import UNREADABLE, DataError

__all__ = ["ARRAYS", "Data", "DataError", "digest", "load"]

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

ARRAYS = ("x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test")


@dataclass(frozen=True)
class Data:
    """A data set: features (n, ...) as float32, labels (n,) as int32 from 0, and what is known about them.

    `meta` has: name, classes, class_names, n_total, scale (its kind and the fitted numbers), draw, source, files
    (SHA-256 of what was read, by name) and digest (SHA-256 of the six arrays).
    """

    x_train: Floats
    y_train: Integers
    x_validation: Floats
    y_validation: Integers
    x_test: Floats
    y_test: Integers
    meta: dict[str, Any]


def load(path: Path) -> Data:
    """Read a data set file and verify it.

    Raises:
        DataError: the file is missing, cut short or changed since it was written.
    """
    if not path.is_file():
        raise DataError(f"there is no data set file {path}")
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("its end is missing")
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            arrays = {name: content[name] for name in ARRAYS}
            meta = json.loads(str(content["meta"]))
    except (KeyError, *UNREADABLE) as error:
        raise DataError(f"{path} is not a whole data set file ({error})") from error
    if not isinstance(meta, dict) or meta.get("digest") != digest(arrays):
        raise DataError(f"{path} was changed after it was written (its digest does not match)")
    return Data(**arrays, meta=meta)


def digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over names, types, shapes and contents of the arrays of a data set."""
    made = hashlib.sha256()
    for name, array in arrays.items():
        made.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        made.update(np.ascontiguousarray(array).data)
    return made.hexdigest()
