"""A section of the report about a probe: what it is made of, without a word about how a page is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pandas as pd

from batchscope.figures.sheets import Sheet
from batchscope.tables.cells import Pair

Chapter = Literal["why", "time"]
LONG = 24  # rows of a table above which it is folded away


@dataclass(frozen=True)
class Figure:
    """The figure of this name, where the study has it."""

    name: str


@dataclass(frozen=True)
class Note:
    """A remark below a table."""

    words: str


Block = Sheet | Figure | Note


class Evidence(Protocol):
    """What sections are made from: the tables of a study, and its design."""

    @property
    def study(self) -> Mapping[str, Any]:
        """`Study.describe()`."""

    def of(self, table: str, pair: Pair) -> pd.DataFrame:
        """The rows of a table that belong to one data set and recipe."""

    def twins(self, key: str, value: Any, pair: Pair) -> Sequence[Pair]:
        """The pairs on the same data set whose recipe differs in `key` only, and has `value` there."""


@dataclass(frozen=True)
class Section:
    """A section of the report, with a part for every data set and recipe that it has blocks of.

    Attributes:
        name: unique within the page.
        title: its heading.
        introduction: what precedes the first part.
        method: how the numbers of its tables were made; it follows the introduction.
        build: the blocks of a data set and recipe, in their order.
        chapter: among which sections it stands: those that explain what the runs show, or those about time.
        finding: what the probe found for a data set and recipe in one sentence with its number, or nothing; it stands
            open, above the `figure`.
        figure: the name of the figure that shows the finding.
    """

    name: str
    title: str
    introduction: str
    build: Callable[[Evidence, Pair], Sequence[Block]]
    method: str = ""
    chapter: Chapter = "why"
    finding: Callable[[Evidence, Pair], str] | None = None
    figure: str = ""


def where(pair: Pair) -> str:
    """How a caption begins: `digits with mlp.`"""
    return f"{pair[0]} with {pair[1]}."


def folded(found: Sequence[object], what: str) -> str:
    """The line behind which a table with rows for `found` is folded away; empty for a short one, which is shown."""
    return f"All {len(found)} rows: {what}" if len(found) > LONG else ""
