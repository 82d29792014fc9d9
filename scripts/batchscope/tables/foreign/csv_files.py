"""Text with separated cells, by the standard library: which character separates them, and its records."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from batchscope.config.errors import DataError

SEPARATORS = (",", ";", "\t")
_TRIED = 20  # records that tell which character separates cells


def header(path: Path) -> list[str]:
    """The first record of a file; empty where it has none."""
    return next(_all(path), [])


def records(path: Path) -> Iterator[list[str]]:
    """The records after the header, each with as many cells as it."""
    first, *_ = head = list(itertools.islice(_all(path), 1)) or [[]]
    for number, record in enumerate(itertools.islice(_all(path), len(head), None), start=1):
        if len(record) != len(first):
            raise DataError(
                f"{path}: row {number} after the header has {len(record)} cells; valid are {len(first)}, as in the "
                "header"
            )
        yield record


def separator(path: Path) -> str:
    """The character that separates cells.

    It is one by which all of the first records have as many cells, more than one, or else one by which the header has
    more than one; of several, that by which these are most.
    """
    with _opened(path) as stream:
        widths = {mark: _widths(stream, mark) for mark in SEPARATORS}
    fit = {mark: found[0] for mark, found in widths.items() if len(set(found)) == 1 and found[0] > 1}
    seen = fit or {mark: next(iter(found), 0) for mark, found in widths.items()}
    return max(seen, key=lambda mark: seen[mark])  # the first of equals


def _widths(stream: TextIO, mark: str) -> list[int]:
    """Cells of each of the first records; of none where they are no such text."""
    stream.seek(0)
    try:
        return [len(record) for record in itertools.islice(_records(stream, mark), 1 + _TRIED)]
    except (csv.Error, UnicodeDecodeError):
        return []


def _all(path: Path) -> Iterator[list[str]]:
    mark = separator(path)
    try:
        with _opened(path) as stream:
            yield from _records(stream, mark)
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}") from error


def _opened(path: Path) -> TextIO:
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    return path.open(newline="", encoding="utf-8-sig")


def _records(stream: TextIO, mark: str) -> Iterator[list[str]]:
    csv.field_size_limit(sys.maxsize)  # Python's own limit is 131,072 characters, also of a cell that nobody asks for
    return (record for record in csv.reader(stream, delimiter=mark, strict=True) if record)
