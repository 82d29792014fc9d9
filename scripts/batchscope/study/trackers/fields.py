"""The columns of an export with the cells of the runs that count, and how one is picked among several."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from batchscope.analysis.external_runs.selecting import FAILED, finished
from batchscope.config.errors import ConfigError
from batchscope.study.trackers.names import words
from batchscope.study.trackers.tracker import Kind, Tracker
from batchscope.tables.foreign import Table, repeated, short
from batchscope.tables.foreign.column import as_number, has_no_value
from batchscope.text import listing

UNFINISHED = FAILED | {
    *("killed", "running", "pending", "preempting", "preempted", "scheduled", "pruned", "waiting", "canceled"),
    *("cancelled", "stopped", "timeout", "queued", "unknown"),
}


class AmbiguousError(ConfigError):
    """What a table does not tell and its reader must know."""


@dataclass(frozen=True)
class Field:
    """A column: its name in the file, the same without the export's prefix, and its cells in the runs that count."""

    column: str
    name: str
    kind: Kind
    cells: tuple[str, ...]

    @cached_property
    def given(self) -> tuple[str, ...]:
        """Different cells with a value, in the order of the file."""
        return tuple(dict.fromkeys(cell for cell in self.cells if not has_no_value(cell)))

    @property
    def varies(self) -> bool:
        """Whether two runs differ in it."""
        return len(self.given) > 1

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        """The different numbers; none where a cell holds something else."""
        found = [as_number(cell) for cell in self.given]
        return tuple(dict.fromkeys(each for each in found if each is not None)) if None not in found else ()

    def wholes(self, low: int) -> bool:
        """Whether it holds whole numbers of at least `low` in every run."""
        every = not any(has_no_value(cell) for cell in self.cells)
        return every and bool(self.numbers) and all(each >= low and each == each // 1 for each in self.numbers)


def runs_of(table: Table, tracker: Tracker) -> list[int]:
    """The rows of the runs that finished (all, where no column says), each once where the tracker names runs."""
    states = [table.cells[name] for name, role in tracker.roles.items() if role == "state" and name in table.cells]
    named = any(role == "name" and name in table.cells for name, role in tracker.roles.items())
    same = repeated(table) if named else {}
    return [row for row in range(table.rows) if row not in same and (not states or finished(states[0][row]))]


def fields(table: Table, tracker: Tracker, kept: Sequence[int]) -> list[Field]:
    """The columns of a table in its order, with the cells of the rows that are kept."""
    return [
        Field(name, tracker.kind(name)[1], tracker.kind(name)[0], tuple(cells[position] for position in kept))
        for name, cells in table.cells.items()
    ]


def are_percentages(numbers: Sequence[float]) -> bool:
    """Whether numbers that are shares, those that are finite, are written as percentages: beyond 1, up to 100."""
    finite = [number for number in numbers if math.isfinite(number)]
    return bool(finite) and min(finite) >= 0 and 1 < max(finite) <= 100


def in_percent(numbers: Sequence[float], scale: str) -> bool:
    """Whether shares, or ratios, of which some lie above 1, are written as percentages."""
    finite = [number for number in numbers if math.isfinite(number)]
    if scale == "ratio":
        return bool(finite) and min(finite) >= 0 and sorted(finite)[len(finite) // 2] > 1
    return scale == "share" and are_percentages(finite)


def taken_for_percentages(columns: Sequence[str]) -> list[str]:
    """A sentence on the columns whose values are divided by 100; none without any."""
    named = f"{listing(list(map(short, columns)))} {'are' if len(columns) > 1 else 'is'}"
    return [f"{named} taken for percentages: 50 counts as 0.5."] if columns else []


def pick(found: Sequence[Field], what: str, rank: Callable[[Field], int] = lambda field: 0) -> Field | None:
    """The one of several columns that may be `what`: of the lowest rank, one that varies, with the shortest name.

    Columns with the same cells are one.

    Raises:
        AmbiguousError: two are equally good.
    """
    if not found:
        return None
    lowest = min(map(rank, found))
    left = [field for field in found if rank(field) == lowest]
    left = [field for field in left if field.varies] or left
    shortest = min(len(words(field.name)) for field in left)
    left = [field for field in left if len(words(field.name)) == shortest]
    if len({field.cells for field in left}) > 1:
        raise AmbiguousError(f"{' and '.join(f'`{field.column}`' for field in left)} may both be {what}")
    return left[0]
