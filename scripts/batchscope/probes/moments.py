"""What tables of probes say of a run by checkpoint, in order and in words, and numbers over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.words import plain
from batchscope.stats.intervals import Interval, t_interval
from batchscope.tables.cells import SIZE
from batchscope.text import integer, listing
from batchscope.training.checkpoints import by_checkpoint, of_rows

Numbers = NDArray[np.float64]


def ordered(frame: pd.DataFrame, *further: str) -> pd.DataFrame:
    """The rows of a probe's table by batch size, then checkpoint, then the columns `further`."""
    place = {checkpoint: i for i, checkpoint in enumerate(by_checkpoint(frame))}
    ranked = frame.assign(_place=[place[found] for found in of_rows(frame)])
    return ranked.sort_values([*SIZE, "_place", *further], ignore_index=True, kind="stable")


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the labels of their checkpoints in a column `checkpoint`."""
    return frame.assign(checkpoint=[found.label for found in of_rows(frame)])


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
    """A sentence on the runs with one of `sizes` that have no weights at a checkpoint of `rows`; empty without such."""
    parts = []
    for checkpoint, there in by_checkpoint(rows).items():
        lacking = {size: of_size(frames.runs, size)["seed"].nunique() - _seeds_of(there, size) for size in sizes}
        cells = [f"{count} at batch size {size.label}" for size, count in lacking.items() if count > 0]
        if cells:
            parts.append(f"{listing(cells)} {checkpoint.when}")
    return f"Runs without weights to look at: {'; '.join(parts)}." if parts else ""


def _seeds_of(rows: pd.DataFrame, size: Size) -> int:
    return int(of_size(rows, size)["seed"].nunique())
