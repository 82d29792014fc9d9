"""Which learning rate the runs used, which was best where it was tuned, and how the best grows with the batch size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from batchscope.stats.intervals import t_interval
from batchscope.tables.cells import CELL, PAIR, about, labels, of_size, sizes_of
from batchscope.tables.codebook import frame

LOSS = "selected_validation_loss"

# How many times too much a parabola may predict for the next rate on its flat side and still describe the losses.
CLIFF = 3.0


@dataclass(frozen=True)
class Optimum:
    """The best learning rate of one tuning seed, which lies from `low` to `high`.

    Where a parabola locates it, the three are equal. Elsewhere `rate` is the best of those tried and the ends are its
    neighbours, between which the best must lie if the loss has one valley; beyond the rates tried they are 0 and
    infinity. `at_edge` says that it is the lowest or highest that could be trained.
    """

    rate: float
    low: float
    high: float
    at_edge: bool = False

    @property
    def located(self) -> bool:
        """Whether it is known better than by its neighbours."""
        return self.low == self.high


@dataclass(frozen=True)
class Optima:
    """Best learning rates of one cell: by tuning seed (None where a seed has no finite loss), and whether one is bound.

    `at_edge` is true where the best mean loss, or the best loss of a single seed, is that of the lowest or highest rate
    that could be trained: the optimum may lie beyond.
    """

    by_seed: dict[int, Optimum] | None
    at_edge: bool

    @property
    def located(self) -> bool:
        """Whether the best of every seed is known better than by its neighbours, and none may lie beyond."""
        seeds = (self.by_seed or {}).values()
        return bool(seeds) and not self.at_edge and all(each.located for each in seeds)

    def ends(self, seeds: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Between which rates the best of each seed lies, in the order of `seeds`; 0 and infinity without a bound.

        None where a seed has no finite loss.
        """
        if self.by_seed is None or set(self.by_seed) != set(seeds):
            return None
        found = [self.by_seed[seed] for seed in seeds]
        return np.array([each.low for each in found]), np.array([each.high for each in found])


def rates(runs: pd.DataFrame, trials: pd.DataFrame, *, paired: bool = True) -> pd.DataFrame:
    """One row per cell: the learning rate of its runs and, where it was tuned, the optimum that the trials locate.

    `optimum` is the geometric mean over the tuning seeds of each seed's optimum (see `optimum`), with a 95 % t-interval
    of the logarithms. It is null where the rate was not tuned or every rate of a seed diverged. A trial that did not
    end `ok` counts as infinitely bad. `learning_rate` is null where the runs of a cell differ in it, `at_edge` where
    the rate was not tuned. Trials that are not `paired` give the optimum of their means, see `repetitions`.
    """
    tried = dict(list(trials.groupby(CELL, sort=False)))
    repeated = dict(list(repetitions(trials, paired=paired).groupby(CELL, sort=False)))
    rows = []
    for name, group in about(runs, CELL):
        cell, used = tuple(name.values()), group["learning_rate"].unique()
        row: dict[str, Any] = {**name, "tuned": cell in tried}
        row |= {"learning_rate": used[0] if len(used) == 1 else None, "n_trials": 0, "n_seeds": 0}
        if cell in tried:
            found, seeds = optima(repeated[cell]), repeated[cell]["seed"].nunique()
            row |= {"n_trials": len(tried[cell]), "n_seeds": seeds, "at_edge": found.at_edge}
            row |= _optimum(found)
        rows.append(row)
    return frame("rates", rows)


def curves(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per cell and learning rate tried: the mean loss over the trials that ended ok.

    Rates that differ in their last digits only, since they were computed on different ways, are one.
    """
    rows = []
    for (*cell, _), same in trials.assign(step=_steps(trials)).groupby([*CELL, "step"]):
        losses = same[LOSS].to_numpy(np.float64, na_value=np.nan)
        good = losses[np.isfinite(losses) & (same["outcome"] == "ok").to_numpy()]
        row: dict[str, Any] = {**dict(zip(CELL, cell, strict=True)), "learning_rate": same["learning_rate"].iloc[0]}
        row |= {"n": len(same), "n_ok": len(good), "loss_mean": float(good.mean()) if len(good) else None}
        rows.append(row | {"chosen": bool(same["chosen"].any())})
    return frame("tuning_curves", rows)


def slopes(trials: pd.DataFrame, *, paired: bool = True) -> pd.DataFrame:
    """One row per tuned data set and recipe: the slope of log(optimum) on log(batch size), 0.5 for a square-root law.

    The slope is fitted by least squares to the optima of every tuning seed, and averaged over the `n` seeds with a 95 %
    t-interval. Of the sizes `fitted`, the optimum of those `bounded` is only known to lie between two rates tried.
    Where there are such, `slope` is null; `slope_lowest` and `slope_highest` are the means of the lowest and the
    highest slopes that they allow, and the interval reaches from that of the one to that of the other. Sizes whose
    optimum may lie beyond the rates tried, or which lack one for a seed, are `left_out`. All are null for fewer than
    two sizes, and the ends of the interval for one seed or for trials that are not `paired`, see `repetitions`.
    """
    rows = []
    for pair, group in about(repetitions(trials, paired=paired), PAIR):
        seeds = sorted(int(seed) for seed in group["seed"].unique())
        sizes = sizes_of(group)
        found = {size: optima(of_size(group, size)).ends(seeds) for size in sizes}
        ends = {size: each for size, each in found.items() if each and each[0].min() > 0 and np.isfinite(each[1]).all()}
        bounded = [size for size, (low, high) in ends.items() if (low < high).any()]
        row: dict[str, Any] = {**pair, "n": len(seeds), "fitted": labels(ends), "bounded": labels(bounded)}
        row["left_out"] = labels(size for size in sizes if size not in ends)
        if len(ends) > 1:
            x = np.log([float(size.batch_size) for size in ends])
            x -= x.mean()
            logs = np.log([[low, high] for low, high in ends.values()])
            lowest, highest = weighted_ends(x / (x @ x), logs[:, 0], logs[:, 1])
            row |= {"slope_lowest": float(lowest.mean()), "slope_highest": float(highest.mean())}
            row["slope"] = None if bounded else row["slope_lowest"]
            row |= {"ci_low": t_interval(lowest).low, "ci_high": t_interval(highest).high}
        rows.append(row)
    return frame("rate_slopes", rows)


def repetitions(trials: pd.DataFrame, *, paired: bool) -> pd.DataFrame:
    """The trials by tuning seed; of those that are not `paired`, one at each rate of a cell, with the mean loss of all.

    Runs that share no seed belong to no run at another rate, so no curve over rates is that of one repetition: any
    numbering would be arbitrary, and the optima would depend on it. A rate at which a run did not end `ok` has no mean.
    """
    if paired or trials.empty:
        return trials
    by_rate = trials.assign(seed=0, step=_steps(trials), **{LOSS: _losses(trials)}).groupby([*CELL, "step"], sort=False)
    found = by_rate.first().assign(**{LOSS: by_rate[LOSS].mean()})
    worst = np.isinf(found[LOSS])
    return found.assign(
        outcome=worst.map({True: "diverged", False: "ok"}), **{LOSS: found[LOSS].mask(worst)}
    ).reset_index()


def weighted_ends(
    weights: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and highest weighted sums of values from `low` to `high`, both of shape (values, seeds).

    Ends may be infinite.

    >>> lowest, highest = weighted_ends(np.array([-1.0, 1.0]), np.array([[1.0], [3.0]]), np.array([[2.0], [3.0]]))
    >>> lowest.tolist(), highest.tolist()
    ([1.0], [2.0])
    """
    column = weights[:, None]
    least, most = np.where(column > 0, low, high), np.where(column > 0, high, low)
    lowest, highest = (
        np.multiply(column, ends, out=np.zeros(ends.shape), where=column != 0).sum(axis=0) for ends in (least, most)
    )
    return lowest, highest


def optima(trials: pd.DataFrame) -> Optima:
    """The best learning rates that the `trials` of one cell locate."""
    losses = trials.assign(**{LOSS: _losses(trials)})
    table = losses.pivot_table(index="learning_rate", columns="seed", values=LOSS, aggfunc="min").sort_index()
    mean = table.mean(axis="columns", skipna=False).dropna()  # rates that every seed tried
    at_edge = bool(np.isfinite(mean).any()) and int(np.argmin(mean)) in (0, len(mean) - 1)
    by_seed: dict[int, Optimum] = {}
    for seed in sorted({int(seed) for seed in trials["seed"]}):
        tried = table[seed].dropna()
        found = optimum(tried.index, tried)
        if found is None:
            return Optima(None, at_edge)
        by_seed[seed] = found
        at_edge = at_edge or found.at_edge
    return Optima(by_seed, at_edge)


def _losses(trials: pd.DataFrame) -> pd.Series[float]:
    """The loss of each trial, infinite where it did not end `ok`."""
    bad = (trials["outcome"] != "ok") | trials[LOSS].isna()
    return trials[LOSS].astype("float64").mask(bad, math.inf)


def _steps(trials: pd.DataFrame) -> NDArray[np.float64]:
    """The logarithm of each rate, the same for rates that differ in their last digits only."""
    steps: NDArray[np.float64] = np.log(trials["learning_rate"].to_numpy(np.float64)).round(9)
    return steps


def optimum(learning_rates: ArrayLike, losses: ArrayLike) -> Optimum | None:
    """Learning rate with the lowest loss, refined between the rates tried where the losses allow it.

    The vertex of the parabola through the best point and its two neighbours, loss over log(rate); it lies nearer to the
    best rate than to either neighbour. Where the best is the lowest or highest rate tried or stands beside one that
    diverged, at the edge of what could be trained, or at a cliff, it is the best rate itself: the best lies anywhere up
    to the next rate. At a cliff the loss is flat on one side and lost on the other, and a parabola would put its vertex
    half-way to the flat neighbour, whatever the losses; it shows in the rate beyond that neighbour, for which the
    parabola predicts `CLIFF` times the excess that was measured. None where no loss is finite.

    Args:
        learning_rates: positive, increasing.
        losses: of the same length, infinite where training diverged.

    >>> round(optimum([0.01, 0.1, 1.0], [0.5, 0.3, 0.4]).rate, 3)
    0.147
    >>> optimum([0.01, 0.1, 1.0], [0.5, 0.3, math.inf]).located
    False
    """
    x, y = np.log(np.asarray(learning_rates, dtype=np.float64)), np.asarray(losses, dtype=np.float64)
    if not np.isfinite(y).any():
        return None
    best = int(np.argmin(y))
    around = [0.0, *np.exp(x).tolist(), math.inf][best : best + 3]
    tried = Optimum(around[1], around[0], around[2])
    if best in (0, len(y) - 1) or not np.isfinite(y[best - 1 : best + 2]).all():
        return replace(tried, at_edge=True)
    (left, middle, right), (low, best_loss, high) = x[best - 1 : best + 2], y[best - 1 : best + 2]
    steep = (low - best_loss) / (middle - left), (high - best_loss) / (right - middle)
    if _at_cliff(x, y, best, flat=-1 if steep[0] < steep[1] else 1):
        return tried
    aside = 0.0 if sum(steep) == 0 else ((right - middle) * steep[0] - (middle - left) * steep[1]) / (2 * sum(steep))
    vertex = math.exp(middle + aside)
    return Optimum(vertex, vertex, vertex)


def _at_cliff(x: NDArray[np.float64], y: NDArray[np.float64], best: int, flat: int) -> bool:
    """Whether the parabola through the best point and its neighbours fails at the second point on its flat side."""
    further = best + 2 * flat
    if not 0 <= further < len(x) or not np.isfinite(y[further]):
        return False
    around = slice(best - 1, best + 2)
    predicted = float(np.polyval(np.polyfit(x[around], y[around], 2), x[further]))
    return bool(predicted - y[best] > CLIFF * max(float(y[further] - y[best]), 0.0))


def _optimum(found: Optima) -> dict[str, float | None]:
    interval = t_interval(np.log([each.rate for each in found.by_seed.values()]) if found.by_seed else [])
    low, high = (interval.low, interval.high) if found.located else (None, None)  # else it is a bound
    ends = {"optimum": interval.mean, "optimum_ci_low": low, "optimum_ci_high": high}
    return {name: None if end is None else math.exp(end) for name, end in ends.items()}
