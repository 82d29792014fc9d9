"""The batch size to use for each data set and recipe, by one rule, and how sure that is.

Of the sizes that are not significantly worse than the one with the best quality, the recommended one takes the least
time to its selected evaluation. Quality is the metric of the table `best`, whose tests (adjusted by Holm) say what is
significantly worse. The rule looks at no test data, unless runs made elsewhere have nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from batchscope.analysis.best import BEST, COMPARED, NOT_COMPARABLE, NOT_TESTABLE
from batchscope.analysis.times import times
from batchscope.stats.times import LEAST_DIFFERENCE, Time
from batchscope.tables.cells import PAIR, SIZE, Pair, Size, labels, of_pair, pairs, sizes_of
from batchscope.tables.codebook import frame

QUALITY, TARGET, NONE = "quality", "target", "none"
TO_SELECTED, PER_EPOCH, TO_TARGET = "to the selected evaluation", "per epoch", "to the target"
# Why no size is recommended.
ONE_SIZE = "one batch size only"
NO_RESULT = "no result to compare"
LOST = "every batch size lost a run"
ONE_RUN = "one run per batch size"
NO_SPREAD = "runs without spread"
NOT_TIMED = "not timed"

Tables = Mapping[str, pd.DataFrame]
Row = dict[str, Any]


@dataclass(frozen=True)
class _Compared:
    """The sizes of a data set and recipe by how they compare with the best, and the rows of `best` by size."""

    rows: Mapping[Size, Row]

    def having(self, *status: str) -> list[Size]:
        return [size for size, row in self.rows.items() if row["status"] in status]

    @property
    def best(self) -> Size | None:
        return next(iter(self.having(BEST)), None)

    @property
    def worse(self) -> list[Size]:
        return [size for size in self.having(COMPARED) if self.rows[size]["told_apart"]]

    @property
    def not_worse(self) -> list[Size]:
        """Sizes that are not significantly worse than the best, which is one of them."""
        return [size for size in self.having(BEST, COMPARED) if size not in self.worse]


def recommendation(tables: Tables, tuned: Mapping[Pair, str]) -> pd.DataFrame:
    """One row per data set and recipe: the recommended batch size, or why there is none.

    Sizes that are not significantly worse than the best are compared in their time to the selected evaluation; where
    the selected epoch is not known, as of many runs made elsewhere, in their time per epoch. Where the runs have no
    quality at all, the size is that with the least mean time to a target (`advice`), if it is decided.

    `superseded_by` names the recipe that tunes the learning rate for every size and is the same otherwise: its answer
    is the fairer one. `still_improving` are sizes of which most runs had their best evaluation at the end of their
    budget. `edge` says that the recommended size (or, without one, that of the best mean) is the smallest or largest
    tried, so that one beyond it may be better.

    Args:
        tables: runs, timings, best and advice of the study.
        tuned: the recipe that tunes the learning rate, of the data sets and recipes that have such a twin.
    """
    rows = [{**_row(tables, pair), "superseded_by": tuned.get(pair)} for pair in pairs(tables["runs"])]
    return frame("recommendation", rows)


def _row(tables: Tables, pair: Pair) -> Row:
    runs, timings, found = (of_pair(tables[name], pair) for name in ("runs", "timings", "best"))
    compared = _Compared(
        {Size.of(row): {str(name): value for name, value in row.items()} for _, row in found.iterrows()}
    )
    row = {
        **dict(zip(PAIR, pair, strict=True)),
        "metric": found["metric"].iloc[0],
        "worse": labels(compared.worse),
        "not_compared": labels(compared.having(NOT_COMPARABLE, NOT_TESTABLE)),
        "still_improving": labels(_improving(runs)),
    }
    if compared.best is None:
        return {**row, **_by_target(of_pair(tables["advice"], pair), known=bool(found["n"].sum()))}
    seconds, kind = spent(found, compared.not_worse)
    reason = _reason(compared, seconds)
    chosen = None if reason else min(compared.not_worse, key=lambda size: (seconds.get(size, 0.0), size))
    rivals = [size for size in compared.not_worse if size != (chosen or compared.best)]
    return {
        **row,
        **_named("best_", compared.best),
        "basis": NONE if reason else QUALITY,
        "reason": reason,
        "not_worse": labels(rivals),
        "as_fast": labels(_as_fast(chosen, compared.not_worse, seconds, times(timings))),
        "edge": _edge(compared, chosen or compared.best),
        **(_chosen(compared, chosen, seconds, kind) if chosen else {}),
    }


def _as_fast(
    chosen: Size | None, among: Sequence[Size], seconds: Mapping[Size, float], timed: Mapping[Size, Time]
) -> list[Size]:
    """Those whose time one timing job each, `timed`, cannot tell apart from that of the `chosen` size."""
    if chosen is None or chosen not in seconds:
        return []
    most = {size: seconds[chosen] * _least_factor(timed.get(size), timed.get(chosen)) for size in among}
    return [size for size in among if size != chosen and seconds[size] <= most[size]]


def _least_factor(one: Time | None, other: Time | None) -> float:
    """The ratio of two times up to which they are not told apart."""
    return 1 + LEAST_DIFFERENCE if one is None or other is None else 1 / one.factors_over(other)[0]


def _reason(compared: _Compared, seconds: Mapping[Size, float]) -> str:
    """Why no size of those compared can be recommended; empty where one can."""
    if len(compared.rows) == 1:
        return ONE_SIZE
    if compared.having(NOT_TESTABLE):
        few = min(compared.rows[size]["n"] for size in compared.having(BEST, NOT_TESTABLE)) < 2
        return ONE_RUN if few else NO_SPREAD
    if len(compared.not_worse) > 1 and any(size not in seconds for size in compared.not_worse):
        return NOT_TIMED
    return ""


def _chosen(compared: _Compared, size: Size, seconds: Mapping[Size, float], kind: str) -> Row:
    """What is known of the recommended size."""
    row = compared.rows[size]
    kept = ("n", "value_mean", "value_ci_low", "value_ci_high", "difference", "difference_ci_low", "difference_ci_high")
    known = seconds if size in seconds else {}
    slowest = max(known, key=lambda each: known[each], default=None)
    return {
        **_named("", size),
        **{name: row[name] for name in (*kept, "p_adjusted", "seeds_to_tell")},
        "seconds": seconds.get(size),
        "seconds_kind": kind if known else "",
        "best_seconds": None if compared.best is None else known.get(compared.best),
        **_named("slowest_", slowest),
        "slowest_seconds": None if slowest is None else known[slowest],
    }


def _edge(compared: _Compared, size: Size) -> str:
    """Whether a size is the smallest or largest tried, beyond which there are others."""
    sizes = sorted(compared.rows)
    if len(sizes) == 1 or size.full_batch or size.batch_size == 1:
        return ""
    return {sizes[0]: "smallest", sizes[-1]: "largest"}.get(size, "")


def spent(best: pd.DataFrame, wanted: Sequence[Size]) -> tuple[dict[Size, float], str]:
    """Seconds by size of a data set and recipe, and of what: of a kind that all `wanted` sizes have, if there is one.

    `best` are its rows of that table.
    """
    kinds = {TO_SELECTED: "seconds_to_selected", PER_EPOCH: "seconds_per_epoch"}
    found: dict[Size, float] = {}
    for kind, column in kinds.items():
        timed = best[best[column].notna()]
        found = {Size.of(row): float(row[column]) for _, row in timed.iterrows()}
        if found and all(size in found for size in wanted):
            return found, kind
    return found, PER_EPOCH


def _by_target(advice: pd.DataFrame, *, known: bool) -> Row:
    """The size with the least time to a target, where there is no quality to compare."""
    answer = advice[advice["goal"] == "time_to_target"].iloc[0]
    if known or pd.isna(answer["batch_size"]) or answer["unit"] != "s":
        return {"basis": NONE, "reason": LOST if known else NO_RESULT}
    return {
        **_named("", Size.of(answer)),
        "basis": TARGET,
        "reason": "",
        "not_worse": answer["not_told_apart"],
        "seconds": answer["value"],
        "seconds_kind": TO_TARGET,
    }


def _improving(runs: pd.DataFrame) -> list[Size]:
    """Sizes of which more than half of the runs had their best evaluation at the end of their budget.

    A longer one may change the place of such a size.
    """
    runs = runs[runs["outcome"] == "ok"]
    at_end = (runs["selected_epoch"] == runs["epochs"]).fillna(False) & ~runs["stopped_early"].fillna(True).astype(bool)
    most = at_end.groupby([runs[name] for name in SIZE]).transform("mean") > 0.5
    return sizes_of(runs[most])


def _named(prefix: str, size: Size | None) -> Row:
    values = (None, None) if size is None else size
    return {f"{prefix}{name}": value for name, value in zip(SIZE, values, strict=True)}
