"""Moments of a run at which probes look at its weights: their order and names, and numbers over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.words import plain
from batchscope.stats.intervals import Interval, t_interval
from batchscope.text import integer, listing

Numbers = NDArray[np.float64]

CROSSED, EQUAL = "train loss ", "equal loss "  # how the names of moments begin; a number follows


def in_order(frame: pd.DataFrame) -> list[str]:
    """The moments of a probe's table: shares of the budget, training losses from high to low, and the end."""
    return sorted((str(moment) for moment in frame["moment"].unique()), key=_rank)


def name(moment: str) -> str:
    """A moment in a legend: `start`, `50 % of the budget`, `training loss 0.3`, `first below training loss 0.3`."""
    if moment.startswith(CROSSED):
        return f"first below training loss {moment.removeprefix(CROSSED)}"
    if moment.startswith(EQUAL):
        return f"training loss {moment.removeprefix(EQUAL)}"
    return f"{moment} of the budget" if moment.endswith("%") else moment


def when(moment: str) -> str:
    """A moment in a sentence: `before the first update`, `at 50 % of the budget`, `at training loss 0.3`."""
    words = {"start": "before the first update", "end": "at the end"}
    return words.get(moment, name(moment) if moment.startswith(CROSSED) else f"at {name(moment)}")


def ordered(frame: pd.DataFrame, *further: str) -> pd.DataFrame:
    """The rows of a probe's table by batch size, then moment, then the columns `further`."""
    place = {moment: i for i, moment in enumerate(in_order(frame))}
    ranked = frame.assign(_place=frame["moment"].map(place))
    return ranked.sort_values(["batch_size", "full_batch", "_place", *further], ignore_index=True, kind="stable")


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the names of their moments, see `name`."""
    return frame.assign(moment=[name(str(moment)) for moment in frame["moment"]])


def sizes_of(frames: Frames, rows: pd.DataFrame) -> list[Size]:
    """The batch sizes of the runs that `rows` are about."""
    return [size for size in frames.sizes if len(of_size(rows, size))]


def known(values: ArrayLike | pd.Series[Any]) -> Numbers:
    """The numbers among `values`, without nulls and what is not finite."""
    found: Numbers = pd.Series(values).to_numpy(np.float64, na_value=np.nan)
    return found[np.isfinite(found)]


def over_seeds(rows: pd.DataFrame, column: str, by: str = "batch_size") -> dict[int, Interval]:
    """Mean and 95 % t-interval over the rows with a value of `column`, one per seed, for each value of `by`."""
    found = {}
    for key in sorted({int(value) for value in rows[by]}):
        interval = t_interval(known(rows.loc[rows[by] == key, column]))
        if interval.mean is not None:
            found[key] = interval
    return found


def means(found: Mapping[int, Interval]) -> dict[int, float]:
    """The means of what `over_seeds` gives."""
    return {key: interval.mean for key, interval in found.items() if interval.mean is not None}


def seeds(counts: Iterable[int]) -> str:
    """`n = 5 seeds`, `n = 3 to 5 seeds`."""
    found = sorted(set(counts)) or [0]
    number = f"{found[0]} to {found[-1]}" if len(found) > 1 else str(found[0])
    return f"n = {number} {'seed' if found == [1] else 'seeds'}"


def intervals(counts: Iterable[int]) -> str:
    """`bars: 95 % t-intervals over n = 5 seeds, cut at the edges of the panel`, or that there are none."""
    found = [*counts]
    if max(found, default=0) < 2:
        return f"no bars: {seeds(found)}"
    return f"bars: 95 % t-intervals over {seeds(found)}, cut at the edges of the panel"


def ranged(values: ArrayLike | pd.Series[Any], digits: int = 4) -> str:
    """`4,096`, `512 to 4,096`; of the numbers among `values`."""
    found = known(values)
    if not len(found):
        return "an unknown number of"
    ends = dict.fromkeys(plain(float(end), digits=digits) for end in (found.min(), found.max()))
    return " to ".join(ends)


def ranged_examples(frame: pd.DataFrame) -> str:
    """How many examples were looked at: `1,024`, or from the fewest to the most."""
    ends = dict.fromkeys(integer(float(end)) for end in (frame["examples"].min(), frame["examples"].max()))
    return " to ".join(ends)


def estimate(value: float | None, low: float | None, high: float | None, n: int) -> str:
    """`−1.02 (−1.03 to −1.01)`; without an interval it says so, without a value `not known`."""
    if value is None or not np.isfinite(value):
        return "not known"
    middle = plain(value, digits=3)
    if low is None or high is None or not (np.isfinite(low) and np.isfinite(high)):
        return f"{middle} (no interval: {'one seed' if n == 1 else 'no spread'})"
    return f"{middle} ({plain(low, digits=3)} to {plain(high, digits=3)})"


def missing_in_words(frames: Frames, rows: pd.DataFrame, sizes: Sequence[Size]) -> str:
    """A sentence on the runs with one of `sizes` that have no weights at a moment of `rows`; empty without such."""
    parts = []
    for moment in in_order(rows):
        there = rows[rows["moment"] == moment]
        lacking = {size: of_size(frames.runs, size)["seed"].nunique() - _seeds_of(there, size) for size in sizes}
        cells = [f"{count} at batch size {size.label}" for size, count in lacking.items() if count > 0]
        if cells:
            parts.append(f"{listing(cells)} {when(moment)}")
    return f"Runs without weights to look at: {'; '.join(parts)}." if parts else ""


def _seeds_of(rows: pd.DataFrame, size: Size) -> int:
    return int(of_size(rows, size)["seed"].nunique())


def _rank(moment: str) -> tuple[int, float, float]:
    for place, kind in ((2.0, EQUAL), (2.5, CROSSED)):
        if moment.startswith(kind):
            return 2, -float(moment.removeprefix(kind)), place
    if moment.endswith("%"):
        return 1, float(moment.removesuffix("%")), 0.0
    return (0, 0.0, 0.0) if moment == "start" else (3, 0.0, 0.0)
