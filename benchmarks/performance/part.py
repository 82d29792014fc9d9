"""What a part of the benchmark is, and what it says on the page."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol, cast

from matplotlib.axes import Axes

PARTS = ("scripts", "updates", "trials", "starts", "growth")
"""Modules of this folder, in the order of the page. One is imported when it is measured or shown, and not before."""

RATIO = "×"
"""The unit of a ratio."""


@dataclass(frozen=True)
class Row:
    """A line of the page.

    Attributes:
        what: what is compared or measured.
        value: the number; of a ratio, how many times.
        unit: of the number: `RATIO`, s, µs, MB, …
        low: lower end of its interval or spread, as the part's `METHOD` says; None where it has none.
        high: upper end.
        at_least: what the project wants of it; None where it wants nothing.
        at_most: the same.
    """

    what: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def wanted(self) -> bool:
        """Whether the project states a target for it."""
        return self.at_least is not None or self.at_most is not None

    @property
    def reached(self) -> bool:
        """Whether the number is on the right side of its target."""
        low, high = self.at_least, self.at_most
        return (low is None or self.value >= low) and (high is None or self.value <= high)


class Part(Protocol):
    """A module of this folder.

    Attributes:
        TITLE: its heading.
        METHOD: how it measures, in a few sentences; Markdown.
    """

    TITLE: str
    METHOD: str

    def measure(self, quick: bool) -> dict[str, Any]:
        """Measure; what is returned goes into the JSON as it is. `quick` takes seconds, not minutes, for a test."""

    def rows(self, result: dict[str, Any]) -> list[Row]:
        """The lines of the page, from what `measure` returned and the JSON holds."""

    def draw(self, result: dict[str, Any], axes: Axes) -> None:
        """Draw the result into a panel of the figure."""


def load(name: str) -> Part:
    """Import the part of this name."""
    return cast(Part, importlib.import_module(name))
