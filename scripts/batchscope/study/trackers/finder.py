"""What was found in an export so far: which column was taken for what, and what is said and asked about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from batchscope.study.trackers.fields import AmbiguousError, Field
from batchscope.study.trackers.tracker import Tracker
from batchscope.tables.foreign import short

SHOWN = 8


class Finder:
    """What was found so far in the columns `every`, whose cells are those of the `rows` of the file."""

    def __init__(self, tracker: Tracker, every: Sequence[Field], rows: Sequence[int]) -> None:
        self.tracker, self.every, self.rows = tracker, every, rows
        self.columns: dict[str, tuple[str, str]] = {}
        self.used: set[str] = set()
        self.percent: list[str] = []
        self.remarks: list[str] = []
        self.questions: dict[str, str] = {}

    def take(self, ours: str, field: Field, why: str) -> None:
        """Use a column as one of ours."""
        self.columns[ours] = (field.column, why)
        self.used.add(field.column)

    def rest(self, fits: Callable[[str], object], *kinds: str) -> list[Field]:
        """The columns of some kinds that have values, are not used yet, and whose name fits."""
        wanted = kinds or ("setting", "")
        return [f for f in self.every if f.kind in wanted and f.given and f.column not in self.used and fits(f.name)]

    def ask(self, ours: str, find: Callable[[], Field | None]) -> Field | None:
        """Take what is found; what cannot be told becomes a question."""
        try:
            found = find()
        except AmbiguousError as question:
            self.questions[f"columns.{ours}"] = str(question)
            return None
        if found is not None:
            self.take(ours, found, examples(found))
        return found


def is_choice(each: Field) -> bool:
    """Whether a column that may be a result looks like a setting: a word, or numbers that come again and again."""
    return not each.numbers or len(each.given) <= max(2, len(each.cells) // 4)


def examples(found: Field) -> str:
    """What the values of a column are, in a few words."""
    if len(found.given) > SHOWN:
        ends = f", {min(found.numbers):g} to {max(found.numbers):g}" if found.numbers else ""
        return f"{len(found.given)} values{ends}"
    return ", ".join(f"{number:g}" for number in sorted(found.numbers)) or ", ".join(map(short, found.given))
