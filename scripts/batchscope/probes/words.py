"""What figures and tables of range tests, evaluation modes and accumulation say in common. Draws nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from batchscope.figures.frames import Size, of_size
from batchscope.stats.intervals import Interval, t_interval

SHOWN_REASONS = 3


def geometric(values: ArrayLike) -> Interval:
    """Geometric mean of positive `values` with the t-interval of their logarithms; null and zero are left out.

    `sd` is that of the logarithms.
    """
    sample = np.asarray(values, dtype=np.float64)
    found = t_interval(np.log(sample[np.isfinite(sample) & (sample > 0)]))
    mean, low, high = (None if end is None else math.exp(end) for end in (found.mean, found.low, found.high))
    return Interval(found.n, mean, low, high, found.sd)


def shift(modes: pd.DataFrame) -> Interval:
    """Loss in training mode minus that in inference mode of the same weights and examples, over the rows of `modes`."""
    found = modes.dropna(subset=["training_loss", "inference_loss"])
    return t_interval((found["training_loss"] - found["inference_loss"]).astype("float64"))


def seeds_of(rows: pd.DataFrame) -> str:
    """`n = 5 seeds`, `n = 3 to 5 seeds`: how many seeds the cells of `rows` have."""
    cells = rows.groupby(["batch_size", "full_batch"])["seed"].nunique() if len(rows) else [0]
    counts = sorted({int(count) for count in cells})
    number = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    return f"n = {number} {'seed' if counts == [1] else 'seeds'}"


def null_in_words(rows: pd.DataFrame, column: str, sizes: Sequence[Size], what: str = "seeds") -> str:
    """Why `column` is null, `REASON (batch size 1: 3 of 5 seeds; 8: 2 of 5); REASON …`; empty where it never is."""
    found: dict[str, list[str]] = {}
    for size in sizes:
        of_this = of_size(rows, size)
        empty = of_this[of_this[column].isna()]
        for reason, count in empty["reason"].fillna("no reason given").value_counts(sort=False).items():
            found.setdefault(str(reason), []).append(f"{size.label}: {count} of {len(of_this)}")
    parts = [f"{reason.removesuffix('.')} (batch size {_counts(counts, what)})" for reason, counts in found.items()]
    further = len(parts) - SHOWN_REASONS
    more = [f"and {further} other {'reason' if further == 1 else 'reasons'}"] if further > 0 else []
    return "; ".join(parts[:SHOWN_REASONS] + more)


def _counts(counts: Sequence[str], what: str) -> str:
    first, *others = counts
    return "; ".join([f"{first} {what.removesuffix('s') if first.endswith(' of 1') else what}", *others])
