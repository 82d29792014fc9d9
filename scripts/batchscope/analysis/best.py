"""Which batch size was fastest and which reached the lowest validation loss, and how sure that order is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope.analysis.summary import finished_values
from batchscope.analysis.times import epoch_seconds, time_of
from batchscope.stats import ALPHA
from batchscope.stats.families import adjusted
from batchscope.stats.intervals import MeanTest, paired_test, t_interval, t_quantile
from batchscope.stats.power import detectable_effect
from batchscope.stats.times import told_apart
from batchscope.stats.trends import rank_probabilities
from batchscope.tables.cells import CELL, PAIR, Size, about, of_pair
from batchscope.tables.codebook import frame
from batchscope.tables.metrics import METRICS

LOSS = "selected_validation_loss"
ACCURACY = "selected_test_accuracy"
RANKED = (LOSS, ACCURACY)

BEST = "best"
COMPARED = "compared"
NOT_COMPARABLE = "not comparable"
NOT_TESTABLE = "not testable"

Cell = tuple[Any, ...]
Floats = NDArray[np.float64]


def best(runs: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: how it compares in speed with the fastest and in validation loss with the best of its pair.

    The best size has the lowest mean selected validation loss; the test accuracy stands beside it and decides nothing.
    Sizes are compared over the same seeds by two-sided paired t-tests. The best is chosen by the data it is tested on,
    so the p-values of all pairs of sizes, of all data sets and recipes of the study, are adjusted together (Holm): then
    at most a share `ALPHA` of studies wrongly tells any size apart from a best one. Adjusting for the comparisons with
    the best alone would nearly double that share.

    Times of an epoch are compared by the test of `stats.times`, all pairs of a data set and recipe together (Holm).

    The interval of `difference` (this size minus the best) is not adjusted; `detectable` is the difference that a study
    like this would find with 80 % power, as the smallest p of all its pairs. `status` is `best`, `compared`, `not
    comparable` (a seed of the size has no value: it diverged, say) or `not testable` (fewer than two seeds, or every
    seed differs by exactly the same amount).
    """
    values = [complete(of_pair) for _, of_pair in about(runs, PAIR)]
    tests = {(a, b): paired_test(whole[a], whole[b]) for whole in values for a, b in combinations(whole, 2)}
    p_values = adjusted({two: test.p for two, test in tests.items()})
    level = ALPHA / max(1, len(p_values))
    rows: list[dict[str, Any]] = []
    for (pair, group), whole in zip(about(runs, PAIR), values, strict=True):
        timed = _speed(of_pair(timings, list(pair.values())))
        for name, found in about(group, CELL):
            cell, in_order = tuple(name.values()), found.sort_values("seed")
            loss, accuracy = (t_interval(finished_values(in_order, metric)) for metric in (LOSS, ACCURACY))
            row = {**name, "n_runs": len(found), "n": loss.n, **loss.columns("loss"), **accuracy.columns("accuracy")}
            rows.append({**row, **_compared(cell, whole, p_values, level), **timed.get(cell, {})})
    return frame("best", rows)


def ranks(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell and metric that has a value for every seed of its data set and recipe.

    Ranked are the selected validation loss (low is best) and the test accuracy at the same epoch (high is best), among
    the complete sizes of a data set and recipe; the sizes left out are those that `best` calls not comparable. The
    probabilities and ranks (`rank_probabilities`) are null for fewer than two seeds or two complete sizes, where there
    is no order to be sure of.
    """
    rows: list[dict[str, Any]] = []
    for _, group in about(runs, PAIR):
        for metric in RANKED:
            values = complete(group, metric)
            found = np.full((2, len(values)), np.nan)
            if len(values) > 1 and len(next(iter(values.values()))) > 1:
                found[:] = rank_probabilities(
                    np.stack(list(values.values())), lower_is_better=METRICS[metric].better == "lower"
                )
            for cell, probability, rank in zip(values, *found, strict=True):
                row = {**dict(zip(CELL, cell, strict=True)), "metric": metric, "n": len(values[cell])}
                rows.append({**row, "probability_best": probability, "rank_mean": rank})
    return frame("ranks", rows)


def label(batch_size: int, full_batch: bool) -> str:
    """A batch size as tables and figures write it: `32`, or `800 (full)`."""
    return Size(batch_size, full_batch).label


def _speed(timings: pd.DataFrame) -> dict[Cell, dict[str, Any]]:
    """The part of the rows of `best` on the speed of the timed sizes of one pair."""
    timed = epoch_seconds(timings).dropna(subset=["seconds_per_epoch"]).astype("float64")
    rows: dict[Any, dict[Any, Any]] = timed.to_dict("index")
    per_epoch = {tuple(row[name] for name in CELL): time_of(row, "epoch") for row in timings.to_dict("records")}
    known = {cell: time for cell, time in per_epoch.items() if time is not None}
    slower = told_apart(known)
    fastest = min(rows, key=lambda cell: float(rows[cell]["seconds_per_epoch"]), default=())
    apart = {cell: frozenset((cell, fastest)) in slower for cell in known if cell != fastest and fastest in known}
    return {cell: {**row, "fastest": cell == fastest, "slower": apart.get(cell)} for cell, row in rows.items()}


def complete(pair: pd.DataFrame, metric: str = LOSS) -> dict[Cell, Floats]:
    """Values by cell, in the order of the seeds: of each whose run of every seed of the `pair` ended ok and has one."""
    seeds = sorted(set(pair["seed"]))
    values: dict[Cell, Floats] = {}
    for name, rows in about(pair, CELL):
        found = rows.sort_values("seed")
        numbers = found[metric].to_numpy(np.float64, na_value=np.nan)
        if list(found["seed"]) == seeds and (found["outcome"] == "ok").all() and np.isfinite(numbers).all():
            values[tuple(name.values())] = numbers
    return values


def _compared(
    cell: Cell, values: Mapping[Cell, Floats], p_values: Mapping[tuple[Cell, Cell], float], level: float
) -> dict[str, Any]:
    """The part of a row of `best` that compares its validation loss with that of the best of the complete `values`."""
    if cell not in values:
        return {"status": NOT_COMPARABLE}
    best = min(values, key=lambda each: float(values[each].mean()))
    if cell == best:
        return {"status": BEST}
    test = paired_test(values[cell], values[best])
    p = p_values.get((cell, best), p_values.get((best, cell)))
    return {
        "status": NOT_TESTABLE if p is None else COMPARED,
        "difference": test.mean,
        "difference_ci_low": test.low,
        "difference_ci_high": test.high,
        "p": test.p,
        "p_adjusted": p,
        "told_apart": None if p is None else p <= ALPHA,
        "detectable": _detectable(test, level),
    }


def _detectable(test: MeanTest, level: float) -> float | None:
    """The difference that so many pairs, with this spread, would find with 80 % power at a level."""
    if test.high is None or test.mean is None:
        return None
    sd = (test.high - test.mean) / t_quantile(test.n) * math.sqrt(test.n)
    return detectable_effect(sd, test.n, level)
