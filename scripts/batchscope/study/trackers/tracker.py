"""What a tracker's export is known by, and what its columns are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["setting", "result", "about", ""]
"""Of a column: what a run was set to, what came out of it, what the tracker says about it, or "" where the layout of
the export does not tell the first two apart.
"""


@dataclass(frozen=True)
class Tracker:
    """A program that exports tables of runs.

    Attributes:
        name: what it is called in a sentence.
        wrote: whether it wrote a table with these columns.
        kind: the kind of a column and its name without the export's prefix.
        roles: by column, which of our columns (`name`, `state`) it is wherever it is there.
        keeps_last: whether a result is the last value that was logged, unless the run said otherwise.
        objective: columns whose name does not say what they measure, such as the value that a trial returned.
    """

    name: str
    wrote: Callable[[Sequence[str]], bool]
    kind: Callable[[str], tuple[Kind, str]]
    roles: Mapping[str, str] = field(default_factory=dict)
    keeps_last: bool = False
    objective: Callable[[str], bool] = lambda _: False


def prefixed(prefixes: Mapping[str, Kind], column: str) -> tuple[Kind, str]:
    """The kind that a column's prefix says and the rest of its name; without a prefix it is `about` the run."""
    for prefix, kind in prefixes.items():
        if column.startswith(prefix):
            return kind, column.removeprefix(prefix)
    return "about", column
