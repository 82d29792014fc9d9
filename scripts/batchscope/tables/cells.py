"""What a row of a table is about: a data set and recipe, a batch size, a run; and the rows about one of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from batchscope.tables import job_columns as columns

if TYPE_CHECKING:
    import pandas as pd

PAIR = ["dataset", "recipe"]
SIZE = ["batch_size", "full_batch"]
CELL = list(columns.CELL)
RUN = list(columns.RUN)
CHECKPOINT = list(columns.CHECKPOINT)
OF_TARGET = [*PAIR, "metric", "target"]

Pair = tuple[str, str]  # data set and recipe


class Size(NamedTuple):
    """A batch size of a study, in examples; `full_batch` is true where the study says `full`. Sizes sort by number."""

    batch_size: int
    full_batch: bool

    @classmethod
    def of(cls, row: Mapping[Any, Any] | pd.Series[Any], prefix: str = "") -> Size:
        """The batch size that a row of a table names, in columns whose names may have a `prefix`."""
        return cls(int(row[f"{prefix}batch_size"]), bool(row[f"{prefix}full_batch"]))

    @property
    def label(self) -> str:
        """As tables and figures write it: `32`, or `800 (full)`."""
        return f"{self.batch_size:,} (full)" if self.full_batch else f"{self.batch_size:,}"


def labels(sizes: Iterable[Size]) -> str:
    """How a table lists batch sizes: their labels, smallest first, separated by semicolons."""
    return "; ".join(size.label for size in sorted(sizes))


def listed(content: object) -> list[str]:
    """The labels that `labels` has put together; none where the table has none, or no text at all.

    >>> listed(labels([Size(8, False), Size(1168, True)])), listed(""), listed(float("nan"))
    (['8', '1,168 (full)'], [], [])
    """
    return content.split("; ") if isinstance(content, str) and content else []


def folder(name: str) -> str:
    """What a data set or recipe is called in paths: its name, or a digest where the name is none of the study's.

    >>> folder("fashion-mnist"), folder("../My set")
    ('fashion-mnist', '_22492db14edfcdee')
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,199}", name):
        return name
    return f"_{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def about(frame: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The rows of `frame` about one thing after the other, in its order: the values of the `keys`, and the rows."""
    for values, rows in frame.groupby(list(keys), sort=False, dropna=False):
        yield dict(zip(keys, values, strict=True)), rows


def pairs(frame: pd.DataFrame) -> list[Pair]:
    """Data sets and recipes of a table, in its order."""
    return list(dict.fromkeys(zip(frame["dataset"], frame["recipe"], strict=True)))


def sizes_of(frame: pd.DataFrame) -> list[Size]:
    """Batch sizes of a table, smallest first."""
    return sorted({Size(int(size), bool(full)) for size, full in zip(*(frame[name] for name in SIZE), strict=True)})


def of_pair(frame: pd.DataFrame, pair: Sequence[object]) -> pd.DataFrame:
    """The rows of `frame` about one data set and recipe."""
    return frame[(frame["dataset"] == pair[0]) & (frame["recipe"] == pair[1])]


def of_size(frame: pd.DataFrame, size: tuple[int, bool]) -> pd.DataFrame:
    """The rows of `frame` about one batch size."""
    return frame[(frame["batch_size"] == size[0]) & (frame["full_batch"] == size[1])]
