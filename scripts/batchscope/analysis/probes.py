"""What the probes say over sizes and seeds: of gradients against the batch drawn, of sharpness against that trained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from batchscope.analysis.statistics import t_interval
from batchscope.analysis.trends import slopes

GRADIENT_SLOPES = {
    "dataset": "str",
    "recipe": "str",
    "batch_size": "int64",
    "full_batch": "bool",
    "moment": "str",
    "metric": "str",
    "n": "int64",
    "n_sizes": "int64",
    "slope": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
}
SHARPNESS_TRENDS = {
    "dataset": "str",
    "recipe": "str",
    "moment": "str",
    "measure": "str",
    "against": "str",
    "n": "int64",
    "n_sizes": "int64",
    "correlation": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
}
SLOPED = ("gradient_variance", "gradient_signal_to_noise")
MEASURES = ("lambda_max", "trace", "keskar_0_001", "keskar_0_0005", "adaptive_sharpness")
GAP = "matched_generalisation_gap"
MIN_SIZES = 3  # below which ranks say nothing


def gradient_slopes(gradients: pd.DataFrame) -> pd.DataFrame:
    """Slope of log(metric) on log(size of the batches drawn), per weights looked at: −1 and 1/2 are expected.

    One row per data set, recipe, batch size of the runs, moment and metric of `SLOPED`; a slope per seed, and their
    mean with a 95 % t-interval over the `n` seeds. Seeds that lack a size are left out.
    """
    keys = ["dataset", "recipe", "batch_size", "full_batch", "moment"]
    rows = []
    for key, group in gradients.groupby(keys, sort=False):
        for metric in SLOPED:
            table = group.pivot_table(index="drawn_batch_size", columns="seed", values=metric, dropna=False)
            usable = table.loc[:, (table > 0).all()]
            row: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "metric": metric}
            row |= {"n": usable.shape[1], "n_sizes": len(usable)}
            if usable.shape[1] and len(usable) > 1:
                found = t_interval(slopes(np.log(usable), np.log(usable.index.to_numpy(np.float64))))
                row |= {"slope": found.mean, "ci_low": found.low, "ci_high": found.high}
            rows.append(row)
    return pd.DataFrame(rows, columns=list(GRADIENT_SLOPES)).astype(GRADIENT_SLOPES)


def with_gap(sharpness: pd.DataFrame) -> pd.DataFrame:
    """The table of sharpness with the generalisation gap of its moments: training minus test accuracy."""
    return sharpness.assign(**{GAP: sharpness["train_accuracy"] - sharpness["test_accuracy"]})


def sharpness_trends(sharpness: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of sharpness with the batch size and with the generalisation gap over the sizes of a seed.

    Spearman's, one number per seed, and their mean with a 95 % t-interval over the `n` seeds that have at least
    `MIN_SIZES` sizes. The ends of the interval are null where every seed has the same correlation, and are cut off at
    ±1. One row per data set, recipe, moment, measure of `MEASURES` and what it is held against.

    Args:
        sharpness: what `with_gap` gives.
    """
    rows = []
    for (dataset, recipe, moment), group in sharpness.groupby(["dataset", "recipe", "moment"], sort=False):
        for measure in MEASURES:
            for against in ("batch_size", GAP):
                found = [
                    value
                    for _, of_seed in group.groupby("seed", sort=True)
                    if (value := _correlation(of_seed[measure], of_seed[against])) is not None
                ]
                mean = t_interval(found)
                ends = (mean.low, mean.high) if mean.sd else (None, None)
                low, high = (None if end is None else max(-1.0, min(1.0, end)) for end in ends)
                sizes = group.loc[group[measure].notna(), "batch_size"].nunique()
                row = {"dataset": dataset, "recipe": recipe, "moment": moment, "measure": measure, "against": against}
                rows.append(
                    row | {"n": mean.n, "n_sizes": sizes, "correlation": mean.mean, "ci_low": low, "ci_high": high}
                )
    return pd.DataFrame(rows, columns=list(SHARPNESS_TRENDS)).astype(SHARPNESS_TRENDS)


def lowest_common_loss(sharpness: pd.DataFrame, runs: pd.DataFrame) -> str | None:
    """The moment at which all `runs` of a data set and recipe met at the lowest training loss; None without one.

    Sharpness falls and rises along a run, so sizes are compared where they fit the training part equally well.
    """
    counts = sharpness["moment"].value_counts()
    common = [str(moment) for moment in counts.index[counts == len(runs)] if str(moment).startswith("train loss")]
    return min(common, key=lambda moment: float(moment.removeprefix("train loss ")), default=None)


def _correlation(first: ArrayLike, second: ArrayLike) -> float | None:
    """Spearman's rank correlation; None for fewer than `MIN_SIZES` pairs or where one of the two does not vary."""
    pairs = np.array([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < MIN_SIZES or (np.ptp(pairs, axis=1) == 0).any():
        return None
    found = round(float(stats.spearmanr(*pairs).statistic), 12)  # ±1 comes out with an error of rounding
    return found if math.isfinite(found) else None
