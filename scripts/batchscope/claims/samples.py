"""The numbers that a claim is about: those of a metric per batch size, over seeds or timed windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope.claims.scope import Pair
from batchscope.stats.estimates import Estimate

Tables = Mapping[str, pd.DataFrame]
Size = tuple[int, bool]  # batch_size and full_batch
Wanted = Sequence[int | str] | str  # the sizes that a claim names, or `all`
Values = NDArray[np.float64]

_NOTHING = {
    "runs": "there are no runs",
    "windows": "nothing was timed",
    "summary": "there is no summary",
    "to_target": "no target was set",
    "trials": "no learning rate was tuned",
    "critical_batch_size": "no critical batch size was fitted",
}


class NotMeasuredError(Exception):
    """What a claim is about was not measured; the text says why."""


@dataclass(frozen=True)
class Samples:
    """The values of a metric for one data set and recipe.

    Attributes:
        values: by size, smallest first, those of every repetition; where `paired`, in the order of `seeds`.
        problems: by size, why it has no usable values; a size is in `values` or here.
        paired: whether the sizes share their repetitions, so that differences are taken seed by seed.
        of: what the values are repeated over, in words.
        seeds: the seeds, empty where the values are not paired.
        note: what else a reader must know of the metric, such as the target.
        remarks: by size, what else a reader must know of its values.
        fitted: by size, its estimate, where the value is what a fit over all sizes gives there.
        bounds: by size, the two ends that each value lies between (0 and infinity where it has none) where that is all
            that is known, so that the size is among the problems.
    """

    values: dict[Size, Values]
    problems: dict[Size, str]
    paired: bool
    of: str
    seeds: tuple[int, ...] = ()
    note: str = ""
    remarks: Mapping[Size, str] = field(default_factory=dict)
    fitted: Mapping[Size, Estimate] = field(default_factory=dict)
    bounds: Mapping[Size, tuple[Values, Values]] = field(default_factory=dict)

    @property
    def sizes(self) -> list[Size]:
        """Every size of the data set and recipe, smallest first."""
        return sorted([*self.values, *self.problems])

    def size(self, wanted: int | str) -> Size:
        """The size that a claim names: a number, `full`, `smallest` or `largest`; else `NotMeasuredError`."""
        found = self.sizes
        if wanted in ("smallest", "largest"):
            return found[0] if wanted == "smallest" else found[-1]
        matching = [size for size in found if (size[1] if wanted == "full" else size[0] == wanted)]
        if not matching:
            what = "full batch" if wanted == "full" else f"batch size {wanted:,}"
            raise NotMeasuredError(f"the study has no {what}")
        return matching[0]

    def chosen(self, wanted: Wanted) -> list[Size]:
        """The sizes of a list, or those of the study for `all`, in ascending order."""
        return self.sizes if isinstance(wanted, str) else sorted({self.size(each) for each in wanted})

    def others(self, chosen: Sequence[Size]) -> list[Size]:
        """The sizes of the study beside some of them, in ascending order."""
        return [size for size in self.sizes if size not in chosen]


def of_pair(tables: Tables, table: str, pair: Pair) -> pd.DataFrame:
    """The rows of a table about one data set and recipe; raise `NotMeasuredError` where there are none."""
    frame = tables.get(table)
    found = None if frame is None else rows_of(frame, pair)
    if found is None or found.empty:
        raise NotMeasuredError(_NOTHING.get(table, f"there is no table {table}"))
    return found


def rows_of(frame: pd.DataFrame, pair: Pair) -> pd.DataFrame:
    """The rows of `frame` about one data set and recipe, also where there are none."""
    return frame[(frame["dataset"] == pair[0]) & (frame["recipe"] == pair[1])]
