"""How sure an order of means is, by resampling the seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

RESAMPLES = 10_000

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

    >>> best, rank = rank_probabilities([[0.30, 0.31, 0.29], [0.40, 0.41, 0.39]], lower_is_better=True)
    >>> best.tolist(), rank.tolist()
    ([1.0, 0.0], [1.0, 2.0])
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
