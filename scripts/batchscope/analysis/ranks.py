"""How sure the order of the batch sizes is: probabilities of being best, by resampling the seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from batchscope.analysis.best import ACCURACY, LOSS, complete, sizes_of
from batchscope.tables import records

CELL = list(records.CELL)
RESAMPLES = 10_000

# Metrics that are ranked, and whether lower is better.
RANKED = {LOSS: True, ACCURACY: False}

_TYPES = {
    "dataset": "str",
    "recipe": "str",
    "batch_size": "int64",
    "full_batch": "bool",
    "metric": "str",
    "probability_best": "float64",
    "rank_mean": "float64",
    "n": "int64",
}

Floats = NDArray[np.float64]


def rank_probabilities(
    values: ArrayLike, *, lower_is_better: bool, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Floats, Floats]:
    """Share of bootstrap resamples in which each size has the best mean, and its mean rank (1 = best).

    `values` has the shape (sizes, seeds), both results the shape (sizes,). Seeds are drawn with replacement, the same
    for all sizes, so that what they share cancels. Sizes that tie for the best share the resample in equal parts, and
    tied ranks are averaged; so the probabilities sum to 1 and the ranks to sizes * (sizes + 1) / 2.

    **With few seeds the probabilities are overconfident**: a resample of n seeds varies by sqrt((n - 1) / n) of what n
    new seeds would. Of two sizes that do not differ, over five seeds, one gets 0.95 or more in a fifth of all studies
    (docs/statistics.md). They describe the seeds at hand and decide nothing; what can be told apart is in the table
    `best`. Raises ValueError for fewer than two seeds.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not len(table) or not np.isfinite(table).all():
        raise ValueError(f"expected a table (sizes, seeds) of finite numbers, not {values!r}")
    seeds = table.shape[1]
    if seeds < 2 or resamples < 1:
        raise ValueError(f"ranks need two seeds and a resample or more, not {seeds} and {resamples}")
    scale = np.abs(table).max() or 1.0
    drawn = np.random.default_rng(seed).multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    means = np.round((table if lower_is_better else -table) / scale @ drawn.T / seeds, 12)  # ties up to rounding
    first = means == means.min(axis=0)
    return (first / first.sum(axis=0)).mean(axis=1), stats.rankdata(means, axis=0).mean(axis=1)


def ranks(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell and metric that has a value for every seed of its data set and recipe.

    Ranked are the selected validation loss (low is best) and the test accuracy at the same epoch (high is best), among
    the complete sizes of a data set and recipe; the sizes left out are those that `best` calls not comparable.

    Columns: those of a cell, metric, probability_best, rank_mean (see `rank_probabilities`; null for fewer than two
    seeds or two complete sizes, where there is no order to be sure of), n (seeds).
    """
    rows: list[dict[str, Any]] = []
    for _, group in runs.groupby(["dataset", "recipe"], sort=False):
        for metric, lower_is_better in RANKED.items():
            values = complete(sizes_of(group), metric)
            found = _of_sizes(list(values.values()), lower_is_better)
            for cell, probability, rank in zip(values, *found, strict=True):
                head = {**dict(zip(CELL, cell, strict=True)), "metric": metric}
                rows.append({**head, "probability_best": probability, "rank_mean": rank, "n": len(values[cell])})
    return pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)


def _of_sizes(values: list[Floats], lower_is_better: bool) -> tuple[Floats, Floats]:
    if len(values) < 2 or len(values[0]) < 2:
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    return rank_probabilities(np.stack(values), lower_is_better=lower_is_better)
