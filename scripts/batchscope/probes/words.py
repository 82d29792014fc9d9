"""What figures and sections of probes say in common. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from batchscope.figures.frames import of_size
from batchscope.figures.words import range_in_words
from batchscope.tables.cells import SIZE, sizes_of

SHOWN_REASONS = 3


def by_evaluated(modes: pd.DataFrame) -> pd.DataFrame:
    """The rows of `modes` or `mode_means` with the size of the batches evaluated in place of that of the runs."""
    return modes.assign(batch_size=modes["evaluated_batch_size"], full_batch=False)


def seeds_of(rows: pd.DataFrame) -> str:
    """`n = 5 seeds`, `n = 3 to 5 seeds`: how many seeds the batch sizes of `rows` have."""
    counts = {int(count) for count in rows.groupby(SIZE)["seed"].nunique()}
    return f"n = {range_in_words(counts)} {'seed' if counts == {1} else 'seeds'}"


def null_in_words(rows: pd.DataFrame, column: str, what: str = "seeds") -> str:
    """Why `column` is null, `REASON (batch size 1: 3 of 5 seeds; 8: 2 of 5); REASON …`; empty where it never is."""
    found: dict[str, list[str]] = {}
    for size in sizes_of(rows):
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


def seeds_in_words(means: pd.DataFrame) -> str:
    """`n = 5 seeds`, `n = 3 to 5 seeds`: how many seeds are behind the rows of a table of means."""
    counts = {int(count) for count in means["n"]}
    return f"n = {range_in_words(counts)} {'seed' if counts == {1} else 'seeds'}"
