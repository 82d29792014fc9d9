"""Tables that other programs wrote, .csv or .parquet: the same content gives the same cells, whatever the format.

A cell is text, as a .csv file has it, and what it means is asked of its column (`Column.numbers`, `.wholes` …), never
guessed. Nothing is trimmed, merged or taken for missing on the way.

A .csv file is UTF-8, with a header; `,`, `;` or tab separate its cells, and lines without a character are skipped. It
is read with the standard library only; a .parquet file needs pyarrow for its cells, not for its columns and rows.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from batchscope.config.errors import DataError, choice
from batchscope.tables.foreign import csv_files, footer
from batchscope.tables.foreign.column import Column, look_alikes, short

__all__ = [
    "Column",
    "DataError",
    "Table",
    "header",
    "index",
    "is_parquet",
    "look_alikes",
    "ranges",
    "read",
    "readable",
    "repeated",
    "rows",
    "short",
]

_UNNAMED_INDEX = re.compile(r"|index|Unnamed: \d+|__index_level_\d+__")


@dataclass(frozen=True)
class Table:
    """Some columns of a file with all their cells; `names` are all columns that the file has, in its order."""

    path: Path
    names: tuple[str, ...]
    cells: dict[str, tuple[str, ...]]
    rows: int

    def column(self, name: str, known_as: str = "") -> Column:
        """A column that was read.

        Args:
            name: its name in the file.
            known_as: the key of a study file that names it, for messages.

        Raises:
            DataError: the file has no such column, or more than one.
        """
        require(self.path, self.names, name, known_as)
        return Column(self.path, name, self.cells[name], known_as)


def read(path: Path, columns: Collection[str] | None = None) -> Table:
    """The cells of a file, of some of its columns or of all whose names are there once.

    Raises:
        DataError: there is no such file, it is no such table, a row has more or fewer cells than the header, or a
            named column is not there once.
    """
    names = header(path)
    for name in columns or ():
        require(path, names, name)
    once = {name: position for position, name in enumerate(names) if names.count(name) == 1}
    wanted = {name: once[name] for name in (once if columns is None else dict.fromkeys(columns))}
    if is_parquet(path):
        from batchscope.tables.foreign import arrow  # with pyarrow, which the Snakefile may lack

        numbered = {name: tuple(map(str, numbers)) for name, numbers in ranges(path).items() if name in wanted}
        cells = arrow.texts(path, [name for name in wanted if name not in numbered])
        return Table(path, tuple(names), cells | numbered, _footer(path).rows)
    positions = tuple(wanted.values())
    chosen = [[record[position] for position in positions] for record in records(path)]
    turned = zip(*chosen, strict=True) if chosen else [()] * len(wanted)
    return Table(path, tuple(names), dict(zip(wanted, turned, strict=True)), len(chosen))


def repeated(table: Table) -> dict[int, int]:
    """By row, the first row that is the same in every column but an index without a name; both count from 0.

    None is known to be the same where the header names a column more than once: its cells are not read.

    Args:
        table: all columns of a file.
    """
    if len(set(table.names)) < len(table.names):
        return {}
    cells = [cells for name, cells in table.cells.items() if not _UNNAMED_INDEX.fullmatch(name)]
    first: dict[tuple[str, ...], int] = {}
    found = {row: first.setdefault(said, row) for row, said in enumerate(zip(*cells, strict=True))}
    return {row: earlier for row, earlier in found.items() if row != earlier}


def readable(path: Path) -> bool:
    """Whether this Python can read the cells of a file: those of a .parquet file need pyarrow."""
    return not is_parquet(path) or importlib.util.find_spec("pyarrow") is not None


def header(path: Path) -> list[str]:
    """Names of the columns of a file, in its order, after them those of `ranges`; none of an empty .csv file.

    Raises:
        DataError: there is no such file, or it is no such table.
    """
    return [*_footer(path).columns, *ranges(path)] if is_parquet(path) else csv_files.header(path)


def rows(path: Path) -> int:
    """Number of rows after the header.

    Raises:
        DataError: as `read`.
    """
    return _footer(path).rows if is_parquet(path) else sum(1 for _ in records(path))


def records(path: Path) -> Iterator[list[str]]:
    """The rows of a .csv file after its header, one by one.

    Raises:
        DataError: as `read`.
    """
    return csv_files.records(path)


def index(path: Path) -> tuple[str, ...]:
    """Names of the columns that pandas wrote as the index of a .parquet file; a .csv file does not tell."""
    return _footer(path).index if is_parquet(path) else ()


def ranges(path: Path) -> Mapping[str, range]:
    """Indexes with a name that pandas only describes in a .parquet file, since they are evenly spaced numbers."""
    return _footer(path).ranges if is_parquet(path) else {}


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name.

    Raises:
        DataError: its name ends in neither .csv nor .parquet.
    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(f"{path} ends in {path.suffix or 'nothing'}; a table must be a .csv or a .parquet file")
    return path.suffix.lower() == ".parquet"


def require(path: Path, names: Collection[str], name: str, known_as: str = "") -> None:
    """Raise `DataError` unless `name` is among the `names` of the columns of a file exactly once."""
    place = f"{path}: {known_as}" if known_as else str(path)
    says = f"{place} names the column `{short(name)}`, which" if known_as else f"{place} has no column `{short(name)}`"
    if name not in names:
        shown = [short(there) for there in list(names)[:20]] + ["…"] * (len(names) > 20)
        rest = choice(name, shown) if shown else "; valid is a file with columns, and this one is empty"
        raise DataError(says + (" is not there" if known_as else "") + rest)
    if list(names).count(name) > 1:
        raise DataError(f"{path} has more than one column `{short(name)}`; valid is a name that is there once")


def _footer(path: Path) -> footer.Footer:
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    try:
        return footer.read(path)
    except (footer.FooterError, OSError) as error:
        raise DataError(f"{path} is not a whole Parquet file: {error}") from error
