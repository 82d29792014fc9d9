"""What tables of probes say of a run by checkpoint, in order and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from batchscope.figures.frames import Size, of_size
from batchscope.figures.words import plain
from batchscope.tables.cells import CELL
from batchscope.text import integer, listing
from batchscope.training.checkpoints import by_checkpoint, of_rows

Numbers = NDArray[np.float64]


def ordered(frame: pd.DataFrame, *further: str) -> pd.DataFrame:
    """The rows of a probe's table by data set, recipe, batch size, checkpoint and the columns `further`."""
    place = {checkpoint: i for i, checkpoint in enumerate(by_checkpoint(frame))}
    ranked = frame.assign(_place=[place[found] for found in of_rows(frame)])
    return ranked.sort_values([*CELL, "_place", *further], ignore_index=True, kind="stable")


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the labels of their checkpoints in a column `checkpoint`."""
    return frame.assign(checkpoint=[found.label for found in of_rows(frame)])


def known(values: ArrayLike | pd.Series[Any]) -> Numbers:
    """The numbers among `values`, without nulls and what is not finite."""
    found: Numbers = pd.Series(values).to_numpy(np.float64, na_value=np.nan)
    return found[np.isfinite(found)]


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


def missing_in_words(runs: pd.DataFrame, rows: pd.DataFrame, sizes: Sequence[Size]) -> str:
    """A sentence on the `runs` of `sizes` that have no weights at a checkpoint of `rows`; empty without such."""
    parts = []
    for checkpoint, there in by_checkpoint(rows).items():
        lacking = {size: _seeds_of(runs, size) - _seeds_of(there, size) for size in sizes}
        cells = [f"{count} at batch size {size.label}" for size, count in lacking.items() if count > 0]
        if cells:
            parts.append(f"{listing(cells)} {checkpoint.when}")
    return f"Runs without weights to look at: {'; '.join(parts)}." if parts else ""


def _seeds_of(rows: pd.DataFrame, size: Size) -> int:
    return int(of_size(rows, size)["seed"].nunique())
