"""Which batch size was fastest and which reached the best results, and how sure that order is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope.analysis.spent import training_seconds
from batchscope.analysis.summary import finished_values
from batchscope.analysis.times import epoch_seconds, time_of
from batchscope.stats import ALPHA
from batchscope.stats.families import adjusted
from batchscope.stats.intervals import MeanTest, paired_test, t_interval, welch_test
from batchscope.stats.power import detectable_effect, seeds_to_detect
from batchscope.stats.times import told_apart
from batchscope.stats.trends import rank_probabilities
from batchscope.tables.cells import CELL, PAIR, Size, about, of_pair
from batchscope.tables.codebook import frame
from batchscope.tables.metrics import METRICS, QUALITY

LOSS = "selected_validation_loss"
ACCURACY = "selected_test_accuracy"
RANKED = (LOSS, ACCURACY)

BEST = "best"
COMPARED = "compared"
NOT_COMPARABLE = "not comparable"
NOT_TESTABLE = "not testable"

Cell = tuple[Any, ...]
Floats = NDArray[np.float64]


def best(runs: pd.DataFrame, timings: pd.DataFrame, *, paired: bool = True) -> pd.DataFrame:
    """One row per cell: how it compares in speed with the fastest and in quality with the best of its pair.

    `metric` is the first of `QUALITY` that the data set and recipe has: the selected validation loss of runs of this
    workflow. The best size has the best mean of it; the test accuracy stands beside it and is never used for selection.
    Sizes are compared over the same seeds by two-sided paired t-tests, or by Welch's where runs are not `paired`. The
    best is chosen by the data it is tested on, so the p-values of all pairs of sizes, of all data sets and recipes of
    the study, are adjusted together (Holm): then at most a share `ALPHA` of studies wrongly tells any size apart from a
    best one. Adjusting for the comparisons with the best alone would nearly double that share.

    Times of an epoch are compared by the test of `stats.times`, all pairs of a data set and recipe together (Holm).

    The interval of `difference` (this size minus the best) is not adjusted; `detectable` is the difference that a study
    like this would find with 80 % power, as the smallest p of all its pairs, and `seeds_to_tell` how many seeds (or
    runs of each size) would find the one that was seen. `status` is `best`, `compared`, `not comparable` (a seed of the
    size has no value: it diverged, say) or `not testable` (fewer than two seeds, or every seed differs by exactly the
    same amount).
    """
    workloads = [(pair, group, quality(group)) for pair, group in about(runs, PAIR)]
    values = [complete(group, metric, paired=paired) for _, group, metric in workloads]
    test = paired_test if paired else welch_test
    tests = {(a, b): test(whole[a], whole[b]) for whole in values for a, b in combinations(whole, 2)}
    p_values = adjusted({two: found.p for two, found in tests.items()})
    rows: list[dict[str, Any]] = []
    for (pair, group, metric), whole in zip(workloads, values, strict=True):
        family = _Family(whole, p_values, METRICS[metric].better == "higher", paired)
        own = of_pair(timings, list(pair.values()))
        timed, spent = _speed(own), training_seconds(group, own)
        for name, found in about(group, CELL):
            cell, in_order = tuple(name.values()), found.sort_values("seed")
            value, accuracy = (t_interval(finished_values(in_order, column)) for column in (metric, ACCURACY))
            row = {**name, "metric": metric, "n_runs": len(found), "n": value.n, **value.columns("value")}
            row |= {**accuracy.columns("accuracy"), **family.compared(cell), **timed.get(cell, {})}
            rows.append({**row, "seconds_to_selected": spent.get(Size(*cell[len(PAIR) :]))})
    return frame("best", rows)


def quality(pair: pd.DataFrame) -> str:
    """The metric that the sizes of a data set and recipe are compared by: the first of `QUALITY` that its runs have."""
    ok = pair[pair["outcome"] == "ok"]
    return next((name for name in QUALITY if name in ok and ok[name].notna().any()), LOSS)


def ranks(runs: pd.DataFrame, *, paired: bool = True) -> pd.DataFrame:
    """One row per cell and metric that has a value for every seed of its data set and recipe.

    Ranked are the selected validation loss (low is best) and the test accuracy at the same epoch (high is best), among
    the complete sizes of a data set and recipe; the sizes left out are those that `best` calls not comparable. The
    probabilities and ranks (`rank_probabilities`) are null for fewer than two seeds or two complete sizes, where there
    is no order to be sure of.
    """
    rows: list[dict[str, Any]] = []
    for _, group in about(runs, PAIR):
        for metric in RANKED:
            values = complete(group, metric, paired=paired)
            found = np.full((2, len(values)), np.nan)
            if len(values) > 1 and min(map(len, values.values())) > 1:
                found[:] = rank_probabilities(
                    [*values.values()], lower_is_better=METRICS[metric].better == "lower", paired=paired
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


def complete(pair: pd.DataFrame, metric: str = LOSS, *, paired: bool = True) -> dict[Cell, Floats]:
    """Values by cell of each whose runs all ended ok and have one.

    They are in the order of the seeds, and a cell lacks none that another cell of the `pair` has; runs that are not
    `paired` have no such order: they are sorted by their values, whatever their numbers.
    """
    seeds = sorted(set(pair["seed"]))
    values: dict[Cell, Floats] = {}
    for name, rows in about(pair, CELL):
        found = rows.sort_values("seed")
        numbers = found[metric].to_numpy(np.float64, na_value=np.nan)
        whole = list(found["seed"]) == seeds or not paired
        if whole and (found["outcome"] == "ok").all() and np.isfinite(numbers).all():
            values[tuple(name.values())] = numbers if paired else np.sort(numbers)
    return values


@dataclass(frozen=True)
class _Family:
    """The complete cells of a data set and recipe with their values, and the p-values of the whole study."""

    values: Mapping[Cell, Floats]
    p_values: Mapping[tuple[Cell, Cell], float]
    higher: bool
    paired: bool

    def compared(self, cell: Cell) -> dict[str, Any]:
        """The part of a row of `best` that compares a cell with the best."""
        if cell not in self.values:
            return {"status": NOT_COMPARABLE}
        sign = -1 if self.higher else 1
        best = min(self.values, key=lambda each: sign * float(self.values[each].mean()))
        if cell == best:
            return {"status": BEST}
        test = (paired_test if self.paired else welch_test)(self.values[cell], self.values[best])
        p = self.p_values.get((cell, best), self.p_values.get((best, cell)))
        return {
            "status": NOT_TESTABLE if p is None else COMPARED,
            "difference": test.mean,
            "difference_ci_low": test.low,
            "difference_ci_high": test.high,
            "p": test.p,
            "p_adjusted": p,
            "told_apart": None if p is None else p <= ALPHA,
            **self._power(test, self.values[cell], self.values[best]),
        }

    def _power(self, test: MeanTest, one: Floats, other: Floats) -> dict[str, Any]:
        """What so many seeds, with this spread, would find with 80 % power, and how many would find this difference."""
        if test.low is None or test.mean is None:
            return {}
        sd = float((one - other).std(ddof=1)) if self.paired else math.sqrt(one.var(ddof=1) + other.var(ddof=1))
        level = ALPHA / max(1, len(self.p_values))
        return {
            "detectable": detectable_effect(sd, test.n, level, paired=self.paired),
            "seeds_to_tell": seeds_to_detect(test.mean, sd, level, paired=self.paired) if test.mean else None,
        }
