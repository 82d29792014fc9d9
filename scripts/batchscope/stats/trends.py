"""Whether a quantity follows the batch size: slopes, a test of the order, and how sure an order of means is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from batchscope.stats.intervals import ROUNDING

RESAMPLES = 10_000  # of the seeds

Floats = NDArray[np.float64]


def slopes(values: ArrayLike, x: ArrayLike) -> Floats:
    """Least-squares slope of `values` on `x` for every seed, shape (seeds,).

    `values` has the shape (sizes, seeds); `x`, the logarithm of the batch size, say, the shape (sizes,) or, where it
    differs between seeds, (sizes, seeds). The slopes are one number per seed and so independent; their mean with its
    t-interval (`t_interval`, `one_sample`) needs no assumption about how the sizes of a seed depend on each other. What
    is left of values that do not change with `x` after rounding is set to zero. Raises ValueError for numbers that are
    not finite and for a seed with the same `x` everywhere.

    >>> slopes([[0, 1], [1, 3], [2, 5]], [0, 1, 2]).tolist()
    [1.0, 2.0]
    """
    table = _table(values)
    places = np.asarray(x, dtype=np.float64)
    if places.ndim == 1:
        places = np.repeat(places[:, None], table.shape[1], axis=1)
    if places.shape != table.shape or not np.isfinite(places).all():
        raise ValueError(f"expected finite places for {table.shape} values (sizes, seeds), not {np.shape(x)}")
    steps = places - places.mean(axis=0)
    if (np.abs(steps).max(axis=0) <= ROUNDING * np.abs(places).max(axis=0)).any():
        raise ValueError("a slope needs values at two places or more")
    found: Floats = (steps * (table - table[0])).sum(axis=0) / (steps**2).sum(axis=0)
    rounding = ROUNDING * np.abs(table).max(axis=0)
    return np.where(np.abs(found) * np.ptp(places, axis=0) <= rounding, 0.0, found)


def page_trend(values: ArrayLike) -> float | None:
    """p-value for "the values rise with the size" against "no order", by Page's test of the ranks within each seed.

    `values` has the shape (sizes, seeds), sizes from small to large; give `values[::-1]` for a fall. One-sided and
    exact up to eight sizes and twelve seeds without ties (then the normal approximation, or, with ties, at most a
    little too large: SciPy's `page_trend_test`). It tests an order, not an effect: a small p says that some sizes
    differ and the later tend to be larger, not by how much nor that every step goes up. None for fewer than two seeds
    or three sizes. Page 1963, Journal of the American Statistical Association 58, 216-230.

    >>> round(page_trend([[0.1, 0.2, 0.1], [0.2, 0.3, 0.3], [0.4, 0.4, 0.6]]), 4)
    0.0046
    """
    table = _table(values)
    sizes, seeds = table.shape
    if seeds < 2 or sizes < 3:
        return None
    scale = np.abs(table).max() or 1.0
    without_rounding = np.round(table / scale, 12)
    return min(1.0, float(scipy.stats.page_trend_test(without_rounding.T).pvalue))


def rank_probabilities(
    values: Sequence[ArrayLike],
    *,
    lower_is_better: bool,
    paired: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Share of bootstrap resamples in which each size has the best mean, and its mean rank (1 = best).

    `values` holds those of each size, by seed; both results have the shape (sizes,). Seeds are drawn with replacement,
    the same for all sizes, so that what they share cancels; where runs are not `paired`, those of each size are drawn
    by themselves, and sizes may have different numbers of them. Sizes that tie for the best share the
    resample in equal parts, and tied ranks are averaged; so the probabilities sum to 1 and the ranks to
    sizes * (sizes + 1) / 2.

    **With few seeds the probabilities are overconfident**: a resample of n seeds varies by sqrt((n - 1) / n) of what n
    new seeds would. Of two sizes that do not differ, over five seeds, one gets 0.95 or more in a fifth of all studies
    (docs/statistics.md). They describe the seeds at hand and decide nothing; what can be told apart is in the table
    `best`. Raises ValueError for fewer than two seeds, and for paired sizes with different numbers of them.

    >>> best, rank = rank_probabilities([[0.30, 0.31, 0.29], [0.40, 0.41, 0.39]], lower_is_better=True)
    >>> best.tolist(), rank.tolist()
    ([1.0, 0.0], [1.0, 2.0])
    """
    samples = [_table([np.asarray(of_size, dtype=np.float64)])[0] for of_size in values]
    numbers = {len(sample) for sample in samples}
    if min(numbers, default=0) < 2 or resamples < 1:
        raise ValueError(f"ranks need two seeds and a resample or more, not {sorted(numbers)} and {resamples}")
    if paired and len(numbers) > 1:
        raise ValueError(f"paired sizes need equal seeds, not {sorted(numbers)} of them")
    generator, drawn = np.random.default_rng(seed), np.empty((0, 0), np.int64)
    scale = max(np.abs(sample).max() for sample in samples) or 1.0
    means = np.empty((len(samples), resamples))
    for index, sample in enumerate(samples):
        n = len(sample)
        if index == 0 or not paired:
            drawn = generator.multinomial(n, np.full(n, 1 / n), size=resamples)
        means[index] = np.round((sample if lower_is_better else -sample) / scale @ drawn.T / n, 12)  # ties to rounding
    first = means == means.min(axis=0)
    return (first / first.sum(axis=0)).mean(axis=1), scipy.stats.rankdata(means, axis=0).mean(axis=1)


def _table(values: ArrayLike) -> Floats:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ValueError(f"expected a table (sizes, seeds) of finite numbers, not {values!r}")
    return table
