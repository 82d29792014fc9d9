"""Data sets of a user's files: whether they give data, and other data than before, asked before any job starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from batchscope.identity import file_sha256

SOURCES = ("npz", "table")


def is_made(dataset: Mapping[str, Any], made: Path) -> bool:
    """Whether the data set file `made` is there, of this definition, and newer than the user's file."""
    if not made.is_file() or made.stat().st_mtime < Path(dataset["path"]).stat().st_mtime:
        return False
    return bool(_written(made)["definition"] == dataset)


def gives_other_data(dataset: Mapping[str, Any], made: Path) -> bool:
    """Whether `made` is there and came from another definition, or from another content of the user's file."""
    if not made.is_file():
        return False
    written, path = _written(made), Path(dataset["path"])
    return bool(written["definition"] != dataset or written["meta"]["files"].get(path.name) != file_sha256(path))


def check(dataset: Mapping[str, Any], draw: str) -> None:
    """Make the data set without writing it.

    Raises:
        DataError: the data cannot be used; the message names data set, file and key and says what would be valid.
    """
    from batchscope.datasets import making  # with libraries that take a second to import

    making.prepared(dataset, draw, data_folders=[], cache=Path())


def _written(made: Path) -> dict[str, Any]:
    """What a data set file says of itself; other definitions and no files where it cannot be read."""
    try:
        with np.load(made, allow_pickle=False) as content:
            return {name: json.loads(str(content[name])) for name in ("definition", "meta")}
    except (OSError, KeyError, ValueError):
        return {"definition": None, "meta": {"files": {}}}
