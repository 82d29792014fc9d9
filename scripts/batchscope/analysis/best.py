"""Which batch size was fastest and which reached the lowest validation loss, and which cannot be told apart from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope.analysis.summary import epoch_seconds, finished_values
from batchscope.stats import ALPHA
from batchscope.stats.intervals import PairedTest, holm, paired_test, t_interval, t_quantile
from batchscope.stats.power import detectable_effect
from batchscope.tables.cells import CELL, PAIR, Size, of_pair
from batchscope.tables.codebook import frame

LOSS = "selected_validation_loss"
ACCURACY = "selected_test_accuracy"

BEST = "best"
COMPARED = "compared"
NOT_COMPARABLE = "not comparable"
NOT_TESTABLE = "not testable"

Cell = tuple[Any, ...]


def best(runs: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: how it compares in speed with the fastest and in validation loss with the best of its pair.

    The best size has the lowest mean selected validation loss; the test accuracy stands beside it and decides nothing.
    Sizes are compared over the same seeds by two-sided paired t-tests. The best is chosen by the data it is tested on,
    so the p-values of all pairs of sizes, of all data sets and recipes of the study, are adjusted together (Holm): then
    at most a share `ALPHA` of studies wrongly tells any size apart from a best one. Adjusting for the comparisons with
    the best alone would nearly double that share.

    The interval of `difference` (this size minus the best) is not adjusted; `detectable` is the difference that a study
    like this would find with 80 % power, as the smallest p of all its pairs. `status` is `best`, `compared`, `not
    comparable` (a seed of the size has no value: it diverged, say) or `not testable` (fewer than two seeds, or every
    seed differs by exactly the same amount).
    """
    rows: list[dict[str, Any]] = []
    groups = {pair: by_size(group) for pair, group in runs.groupby(PAIR, sort=False)}
    tests = {pair: _tests(sizes) for pair, sizes in groups.items()}
    testable = [
        (pair, two, test.p) for pair, found in tests.items() for two, test in found.items() if test.p is not None
    ]
    adjusted = dict(zip([(pair, two) for pair, two, _ in testable], holm([p for _, _, p in testable]), strict=True))
    for pair, sizes in groups.items():
        timed = _speed(of_pair(timings, pair))
        level = ALPHA / max(1, len(testable))
        loss = _loss(sizes, tests[pair], {two: adjusted.get((pair, two)) for two in tests[pair]}, level)
        for cell, found in sizes.items():
            head = {**dict(zip(CELL, cell, strict=True)), "n_runs": len(found)}
            rows.append({**head, **loss[cell], **timed.get(cell, {}), **_interval(found, ACCURACY, "accuracy")})
    return frame("best", rows)


def label(batch_size: int, full_batch: bool) -> str:
    """A batch size as tables and figures write it: `32`, or `800 (full)`."""
    return Size(batch_size, full_batch).label


def _speed(timings: pd.DataFrame) -> dict[Cell, dict[str, Any]]:
    """The part of the rows of `best` on the speed of the timed sizes of one pair."""
    timed = epoch_seconds(timings).dropna(subset=["seconds_per_epoch"]).astype("float64")
    rows: dict[Any, dict[Any, Any]] = timed.to_dict("index")
    ranges = {cell: (row["seconds_per_epoch_q25"], row["seconds_per_epoch_q75"]) for cell, row in rows.items()}
    fastest = min(rows, key=lambda cell: float(rows[cell]["seconds_per_epoch"]), default=())
    return {
        cell: {**row, "fastest": cell == fastest, "overlaps_fastest": _overlap(ranges[cell], ranges[fastest])}
        for cell, row in rows.items()
    }


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool | None:
    """Whether two ranges overlap; None where an end is not known, as in measurements made elsewhere."""
    if not np.isfinite([one, other]).all():
        return None
    return bool(one[0] <= other[1] and other[0] <= one[1])


def by_size(pair: pd.DataFrame) -> dict[Cell, pd.DataFrame]:
    """The runs of each cell of a data set and recipe, in the order of their seeds."""
    return {cell: found.sort_values("seed") for cell, found in pair.groupby(CELL, sort=False)}


def complete(by_size: Mapping[Cell, pd.DataFrame], metric: str = LOSS) -> dict[Cell, NDArray[np.float64]]:
    """Values, in the order of the seeds, of the sizes whose every run of the pair's seeds ended ok and has one."""
    seeds = sorted({seed for found in by_size.values() for seed in found["seed"]})
    values = {cell: found[metric].to_numpy(np.float64, na_value=np.nan) for cell, found in by_size.items()}
    return {
        cell: values[cell]
        for cell, found in by_size.items()
        if list(found["seed"]) == seeds and (found["outcome"] == "ok").all() and np.isfinite(values[cell]).all()
    }


def _tests(by_size: Mapping[Cell, pd.DataFrame]) -> dict[tuple[Cell, Cell], PairedTest]:
    """The paired test of every two complete sizes of a data set and recipe."""
    values = complete(by_size)
    return {(one, other): paired_test(values[one], values[other]) for one, other in combinations(values, 2)}


def _loss(
    by_size: Mapping[Cell, pd.DataFrame],
    tests: Mapping[tuple[Cell, Cell], PairedTest],
    adjusted: Mapping[tuple[Cell, Cell], float | None],
    level: float,
) -> dict[Cell, dict[str, Any]]:
    """The part of the rows of `best` that compares the validation losses of the sizes of one pair."""
    values = complete(by_size)
    rows = {cell: {**_interval(found, LOSS, "loss"), **_verdict(NOT_COMPARABLE)} for cell, found in by_size.items()}
    if not values:
        return rows
    chosen = min(values, key=lambda cell: float(values[cell].mean()))
    rows[chosen] |= _verdict(BEST)
    for cell in values:
        if cell != chosen:
            p = adjusted[(cell, chosen) if (cell, chosen) in tests else (chosen, cell)]
            status = NOT_TESTABLE if p is None else COMPARED
            test = paired_test(values[cell], values[chosen])
            rows[cell] |= _verdict(status, test, p) | {"detectable": _detectable(test, level)}
    return rows


def _verdict(status: str, test: PairedTest | None = None, p_adjusted: float | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"status": status}
    if test is not None:
        found |= {"difference": test.difference, "difference_ci_low": test.low, "difference_ci_high": test.high}
        found |= {"p": test.p, "p_adjusted": p_adjusted}
    if p_adjusted is not None:
        found["told_apart"] = p_adjusted <= ALPHA
    return found


def _detectable(test: PairedTest, level: float) -> float | None:
    """The difference that so many pairs, with this spread, would find with 80 % power at a level."""
    if test.high is None or test.difference is None:
        return None
    sd = (test.high - test.difference) / t_quantile(test.n) * math.sqrt(test.n)
    return detectable_effect(sd, test.n, level)


def _interval(found: pd.DataFrame, metric: str, name: str) -> dict[str, Any]:
    interval = t_interval(finished_values(found, metric))
    return {**interval.columns(name), **({"n": interval.n} if metric == LOSS else {})}
