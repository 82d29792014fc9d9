"""A column of a foreign table, and what its cells mean: labels, whole numbers, numbers, truth values, seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from batchscope.config.errors import DataError

HIGHEST = 2**63 - 1
EXACT = 2**53  # beyond it a number with a fraction, which was a floating-point number, may have been rounded
_NO_VALUE = {"", "nan", "na", "n/a", "null", "none", "<na>", "nat"}  # how programs write a cell without a value
_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_WHOLE_FLOAT = re.compile(r"[+-]?[0-9]{1,40}\.0*")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,5})?")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}([ \u00a0\u202f\u2009',._][0-9]{3})+([.,][0-9]+)?")
_CLOCK = re.compile(
    r"((?P<days>-?[0-9]+) days?,? ?\+?)?((?P<hours>[0-9]+):(?P<minutes>[0-9]{2}):(?P<seconds>[0-9]{2}(\.[0-9]+)?))?"
)
_TRUTH = {"true": True, "false": False, "1": True, "0": False}

_T = TypeVar("_T")


@dataclass(frozen=True)
class Column:
    """The cells of a column as text.

    Attributes:
        path: the file.
        name: of the column.
        cells: of all rows, or of some.
        known_as: the key of a study file that names the column, for messages.
        rows: which rows of the file these are, counted from 0; None for all.
    """

    path: Path
    name: str
    cells: tuple[str, ...]
    known_as: str = ""
    rows: Sequence[int] | None = None

    def at(self, rows: Sequence[int]) -> Column:
        """The cells of some rows."""
        return replace(self, cells=tuple(self.cells[row] for row in rows), rows=rows)

    def labels(self) -> list[str]:
        """The cells as they are, blanks and all."""
        return list(self.cells)

    def empty(self) -> list[bool]:
        """Which cells have no value, as numbers: without a character but blanks, or nan, NA, n/a, null, None, NaT."""
        return [has_no_value(cell) for cell in self.cells]

    def wholes(self, low: int = 0, high: int = HIGHEST, *, empty: bool = False) -> list[int | None]:
        """Whole numbers from `low` to `high`, exactly; None where the cell has no value, if it may be `empty`.

        `12.0` is 12, since programs write whole numbers so beside cells without a value. Up to 2**53, for beyond that
        it may be a rounded one.

        Raises:
            DataError: the first cell that is anything else.
        """
        valid = f"an integer from {low} to {high}" + (", or an empty cell" if empty else "")

        def whole(cell: str) -> int:
            cell = cell.strip()
            if _WHOLE_FLOAT.fullmatch(cell):
                number = int(cell.partition(".")[0])
                if abs(number) > EXACT:
                    raise _WrongError("has passed through a floating-point number, which may have changed it")
            elif _WHOLE.fullmatch(cell):
                number = int(cell)
            else:
                raise _WrongError(f"is not a whole number{_grouped(cell)}")
            if not low <= number <= high:
                raise _WrongError("is not allowed")
            return number

        return list(self._each(whole, valid, empty=empty))

    def numbers(
        self, low: float = -math.inf, high: float = math.inf, *, empty: bool = False, valid: str = ""
    ) -> list[float]:
        """Finite numbers from `low` to `high`; NaN where the cell has no value, if it may be `empty`.

        Args:
            low: the lowest that is allowed.
            high: the highest that is allowed.
            empty: whether a cell may have no value.
            valid: the end of the sentence that refuses a cell.

        Raises:
            DataError: the first cell that is anything else.
        """

        def number(cell: str) -> float:
            value = as_number(cell)
            if value is None:
                raise _WrongError(f"is not a number{_hint(cell)}")
            if not math.isfinite(value) or not low <= value <= high:
                raise _WrongError("is not allowed")
            return value

        valid = valid or "a number" + (", or an empty cell" if empty else "")
        return [math.nan if value is None else value for value in self._each(number, valid, empty=empty)]

    def booleans(self) -> list[bool]:
        """True or false, in any case, or 1 or 0.

        Raises:
            DataError: the first cell that is anything else.
        """

        def truth(cell: str) -> bool:
            if cell.strip().lower() not in _TRUTH:
                raise _WrongError("is neither true nor false")
            return _TRUTH[cell.strip().lower()]

        return [bool(value) for value in self._each(truth, "true or false", empty=False)]

    def seconds(self, *, empty: bool = False) -> list[float]:
        """Durations and times in seconds; NaN where the cell has no value, if it may be `empty`.

        A number is seconds; a duration is as pandas writes it (`0 days 00:01:02.5`) or as a clock shows it
        (`1:02:03`), a moment as ISO 8601 (`2024-05-01T12:00:00Z`): seconds since 1970, in UTC where no zone is named.

        Raises:
            DataError: the first cell that is anything else.
        """

        def second(cell: str) -> float:
            for reading in (as_number, _duration, _moment):
                value = reading(cell.strip())
                if value is not None and math.isfinite(value):
                    return value
            raise _WrongError("is neither a number of seconds nor a duration or a time")

        valid = "seconds, a duration such as 0 days 00:01:02, or a time such as 2024-05-01 12:00:00"
        valid += ", or an empty cell" if empty else ""
        return [math.nan if value is None else value for value in self._each(second, valid, empty=empty)]

    def refusal(self, row: int, what: str, valid: str) -> DataError:
        """The sentence that refuses a cell; `row` counts its cells from 0."""
        row = row if self.rows is None else self.rows[row]
        known = f" ({self.known_as})" if self.known_as else ""
        return DataError(
            f"{self.path}: column `{short(self.name)}`{known}, row {row + 1} after the header: {what}; valid is {valid}"
        )

    def look_alikes(self) -> Iterator[tuple[str, str]]:
        """Pairs of labels that differ by case, by blanks, or by how a number is written, and stay different."""
        return look_alikes(self.cells)

    def _each(self, convert: Callable[[str], _T], valid: str, *, empty: bool) -> Iterator[_T | None]:
        for row, cell in enumerate(self.cells):
            if has_no_value(cell):
                if not empty:
                    raise self.refusal(row, "the cell has no value", valid)
                yield None
                continue
            try:
                yield convert(cell)
            except _WrongError as wrong:
                raise self.refusal(row, f"`{short(cell)}` {wrong}", valid) from None


class _WrongError(ValueError):
    """What is wrong with a cell."""


def short(text: str) -> str:
    """A text of a user's file as messages show it: of a long one the beginning, and escaped what cannot be printed."""
    printed = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[:61])
    return printed if len(printed) <= 60 else f"{printed[:60]}…"


def has_no_value(cell: str) -> bool:
    """Whether a cell, where a number is expected, has none."""
    return len(cell) <= 60 and cell.strip().lower() in _NO_VALUE


def as_number(cell: str) -> float | None:
    """The number of a cell, which may be infinite; None where it is none, or none that computers write."""
    cell = cell.strip()
    if _NUMBER.fullmatch(cell) or _INFINITE.fullmatch(cell):
        return float(cell)
    return None


def look_alikes(labels: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of labels that differ by case, by blanks, or by how a number is written.

    >>> list(look_alikes(["cat", "Cat ", "dog", "1", "1.0"]))
    [('cat', 'Cat '), ('1', '1.0')]
    """
    seen: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        number = as_number(label)
        like = repr(number) if number is not None else " ".join(label.split()).casefold()
        if like in seen:
            yield seen[like], label
        seen.setdefault(like, label)


def _hint(cell: str) -> str:
    cell = cell.strip()
    if _grouped(cell):
        return _grouped(cell)
    if cell.endswith("%"):
        return ", but a percentage"
    if _NUMBER.fullmatch(cell.replace(",", ".", 1)):
        return " with a decimal point"
    return ""


def _grouped(cell: str) -> str:
    return " without marks between its thousands" if _GROUPED.fullmatch(cell) else ""


def _duration(cell: str) -> float | None:
    found = _CLOCK.fullmatch(cell) if cell else None
    if found is None:
        return None
    hours, minutes = int(found["hours"] or 0), int(found["minutes"] or 0)
    return float(86400 * int(found["days"] or 0) + 3600 * hours + 60 * minutes + Fraction(found["seconds"] or 0))


def _moment(cell: str) -> float | None:
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
