"""What reading a source gives, and where it looks. Each source has a `read.py` with

read(dataset, seed, place): the examples of a resolved data set; `seed` is used where they are drawn. It raises
`DataError` where they cannot be used, and says what would be valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.download import RemoteFile
from batchscope.data.splits import require_file
from batchscope.identity.digests import file_sha256

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Examples:
    """Features (n, ...) and labels (n,) as a source gives them, and what messages call them.

    `origin` is to be added to `x`, and `columns` are the names of the features of a table.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    x_name: str
    y_name: str
    origin: NDArray[np.float64] | float = 0.0
    columns: Sequence[str] = ()


@dataclass(frozen=True)
class Source:
    """Examples to split, a test part of their own where the source has one, and the hashes of the files read."""

    examples: Examples
    test: Examples | None = None
    classes: int | None = None
    class_names: Sequence[str] | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where files of published data sets are: folders that are searched, that of downloads, and other mirrors."""

    data_folders: Sequence[Path] = ()
    cache: Path = Path()
    remote_files: Mapping[str, Sequence[RemoteFile]] | None = None


def hashes(path: Path) -> dict[str, str]:
    """The SHA-256 of a file, by its name."""
    require_file(path)
    return {path.name: file_sha256(path)}
