"""What gradients of batches say over sizes and seeds: means, slopes against the size drawn, and the noise scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from batchscope.probes.gradients.spec import BETWEEN, MEANS, SCALE_MEANS, SLOPES, WEIGHT
from batchscope.probes.moments import known, ordered
from batchscope.stats.intervals import fieller, t_interval, t_quantile
from batchscope.stats.trends import slopes
from batchscope.tables.cells import CELL, CHECKPOINT, PAIR
from batchscope.tables.codebook import typed
from batchscope.training.checkpoints import by_checkpoint

SLOPED = {"gradient_variance": 1.0, "gradient_signal_to_noise": -0.5}
"""Metrics of which a slope is fitted, with the power of the variance that they are in proportion to."""
_AT = [*CELL, *CHECKPOINT]


def analyse(records: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of the study from the records of the jobs."""
    gradients, scales = records["gradients"], records["noise_scale"]
    return {
        "gradient_means": gradient_means(gradients),
        "gradient_slopes": gradient_slopes(gradients),
        "noise_scale": with_these(scales),
        "noise_scale_means": noise_scale_means(scales),
    }


def gradient_means(gradients: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds, per batch size of the runs, checkpoint and size drawn; one weight is of the lowest seed.

    The interval of the variance is a 95 % t-interval over the seeds; that of the bias is two standard errors wide on
    each side, which follow from those of the seeds.
    """
    keys, rows = [*_AT, "drawn_batch_size"], []
    for key, group in ordered(gradients, "drawn_batch_size", "seed").groupby(keys, sort=False, dropna=False):
        row: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "n": group["seed"].nunique()}
        row |= {name: group[name].iloc[0] for name in ("batches", *WEIGHT)}
        row |= t_interval(known(group["gradient_variance"])).columns("gradient_variance")
        row |= {name: _mean(group[name]) for name in ("gradient_variance_expected", *BETWEEN)}
        n, drawn = float(group["examples"].iloc[0]), row["drawn_batch_size"]
        if row["gradient_variance_expected"] is not None and drawn < n:
            row["gradient_variance_with_replacement"] = row["gradient_variance_expected"] * (n - 1) / (n - drawn)
        rows.append(row | _bias(group))
    return typed(rows, MEANS)


def gradient_slopes(gradients: pd.DataFrame) -> pd.DataFrame:
    """Slope of log(metric) on log(size of the batches drawn), per weights looked at: about −1 and 1/2 are expected.

    One row per data set, recipe, batch size of the runs, checkpoint and metric of `SLOPED`; a slope per seed, and their
    mean with a 95 % t-interval over the `n` seeds. Seeds that lack a size are left out. `expected` is the slope of the
    factor (n − B)/(n − 1)/B that draws of B of n examples without replacement give the variance.
    """
    rows = []
    for key, group in gradients.groupby(_AT, sort=False, dropna=False):
        for metric, power in SLOPED.items():
            table = group.pivot_table(index="drawn_batch_size", columns="seed", values=metric, dropna=False)
            usable = table.loc[:, (table > 0).all()]
            row: dict[str, Any] = {**dict(zip(_AT, key, strict=True)), "metric": metric}
            row |= {"n": usable.shape[1], "n_sizes": len(usable)}
            x, n = table.index.to_numpy(np.float64), float(group["examples"].iloc[0])
            if usable.shape[1] and len(usable) > 1:
                found = t_interval(slopes(np.log(usable), np.log(x)))
                row |= {"slope": found.mean, "ci_low": found.low, "ci_high": found.high}
            if len(x) > 1 and x.max() < n:
                row["expected"] = power * float(np.polyfit(np.log(x), np.log((n - x) / (n - 1) / x), 1)[0])
            rows.append(row)
    return typed(rows, SLOPES)


def with_these(scales: pd.DataFrame) -> pd.DataFrame:
    """The noise scale with the gradient of the examples themselves, whose square has tr(Σ)/n more than |G|²."""
    length = scales["gradient_norm_squared"] + scales["covariance_trace"] / scales["examples"]
    return scales.assign(noise_scale_of_these=scales["covariance_trace"] / length)


def noise_scale_means(scales: pd.DataFrame) -> pd.DataFrame:
    """The noise scale over the seeds of a batch size at a checkpoint, and its growth since the first checkpoint."""
    rows = []
    for _, pair in scales.groupby(PAIR, sort=False):
        first = next(iter(by_checkpoint(pair).values()))
        for key, group in ordered(pair, "seed").groupby(_AT, sort=False, dropna=False):
            at = dict(zip(_AT, key, strict=True))
            value, low, high = noise_scale_over_seeds(group)
            row: dict[str, Any] = {**at, "n": group["seed"].nunique(), "n_estimated": group["noise_scale"].count()}
            row |= {"epoch_min": group["epoch"].min(), "epoch_max": group["epoch"].max()}
            row |= {"noise_scale": value, "noise_scale_ci_low": low, "noise_scale_ci_high": high}
            before = first[(first[CELL] == group[CELL].iloc[0]).all(axis="columns")]
            rows.append(row | _growth(before, group))
    return typed(rows, SCALE_MEANS)


def noise_scale_over_seeds(rows: pd.DataFrame) -> tuple[float | None, float | None, float | None]:
    """The noise scale at one checkpoint over seeds, and its 95 % interval: mean trace over mean squared length.

    Fieller's interval from the spread between seeds, with one end or none where the length cannot be told apart from
    zero. All None where a seed lacks one of the two, or the mean length is not above zero.

    Args:
        rows: those of the table `noise_scale` of one data set, recipe, batch size and checkpoint, one per seed.
    """
    found = rows[["covariance_trace", "gradient_norm_squared"]].to_numpy(np.float64, na_value=np.nan)
    if not len(found) or not np.isfinite(found).all() or found[:, 1].mean() <= 0:
        return None, None, None
    pair = found.mean(axis=0)
    value = float(pair[0] / pair[1])
    if len(found) < 2:
        return value, None, None
    return value, *fieller(pair, np.cov(found.T) / len(found), t_quantile(len(found)))


def _growth(before: pd.DataFrame, now: pd.DataFrame) -> dict[str, float | None]:
    """By what factor the noise scale changed between two checkpoints of the same runs."""
    ratio = now.set_index("seed")["noise_scale"] / before.set_index("seed")["noise_scale"]
    if before.empty or ratio.isna().any() or before[CHECKPOINT].iloc[0].equals(now[CHECKPOINT].iloc[0]):
        return {}
    found = t_interval(known(np.log(ratio)))
    ends = {"growth": found.mean, "growth_ci_low": found.low, "growth_ci_high": found.high}
    return {name: None if end is None else float(np.exp(end)) for name, end in ends.items()}


def _bias(group: pd.DataFrame) -> dict[str, float]:
    """Mean over seeds of the bias, and two standard errors on each side of it, from those of the seeds."""
    both = group[["gradient_bias", "gradient_bias_se"]].to_numpy(np.float64, na_value=np.nan)
    both = both[np.isfinite(both).all(axis=1)]
    if not len(both):
        return {}
    mean, error = float(both[:, 0].mean()), float(np.sqrt((both[:, 1] ** 2).sum())) / len(both)
    return {"gradient_bias": mean, "gradient_bias_ci_low": mean - 2 * error, "gradient_bias_ci_high": mean + 2 * error}


def _mean(values: pd.Series[float]) -> float | None:
    found = known(values)
    return float(found.mean()) if len(found) else None
