"""A file of measurements with the columns that a study names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchscope.analysis.external_runs.given import TimingsFile
from batchscope.config.errors import DataError
from batchscope.tables import foreign
from batchscope.tables.foreign import Column


@dataclass(frozen=True)
class Source:
    """Some rows of a file; `columns` names its columns by ours, `key` is that of the study file."""

    key: str
    table: foreign.Table
    columns: Mapping[str, str]
    rows: Sequence[int]

    def column(self, ours: str) -> Column:
        """The cells of these rows in a column, by our name of it."""
        return self.named(self.columns[ours], f"columns.{ours}")

    def named(self, theirs: str, key: str) -> Column:
        """The same by its name in the file, and by the key that names it."""
        return self.table.column(theirs, f"{self.key}.{key}").at(self.rows)

    def at(self, rows: Sequence[int]) -> Source:
        """Some rows of the file."""
        return Source(self.key, self.table, self.columns, rows)


def opened(part: str, file: TimingsFile, further: Collection[str] = ()) -> Source:
    """All rows of the file of `measurements.{part}`, with the columns that it names and `further` ones.

    Raises:
        DataError: the file or a column is not there, or there are no rows.
    """
    path = Path(file["path"])
    names = foreign.header(path)
    for ours, theirs in file["columns"].items():
        foreign.require(path, names, theirs, f"measurements.{part}.columns.{ours}")
    table = foreign.read(path, [*file["columns"].values(), *further])
    if not table.rows:
        raise DataError(f"{path}: the file of measurements.{part} has no rows; valid is a row per measurement")
    return Source(f"measurements.{part}", table, file["columns"], range(table.rows))
