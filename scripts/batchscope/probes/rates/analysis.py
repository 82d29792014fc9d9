"""What range tests say over seeds: rates in geometric means, and the mean curve of the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from batchscope.probes.rates.spec import CURVE_MEANS, RANGE_MEANS
from batchscope.stats.intervals import Interval, t_interval
from batchscope.tables.codebook import typed
from batchscope.tables.job_columns import CELL


def analyse(records: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of the study from the records of the jobs."""
    curves = curve_means(records["rate_curves"])
    return {"rate_range_means": range_means(records["rate_ranges"], curves), "rate_curve_means": curves}


def geometric(rates: pd.Series[float]) -> Interval:
    """Geometric mean of the rates that are known with the t-interval of their logarithms; `sd` is that of these."""
    found = t_interval(np.log(rates.dropna().to_numpy(np.float64)))
    mean, low, high = (None if end is None else math.exp(end) for end in (found.mean, found.low, found.high))
    return Interval(found.n, mean, low, high, found.sd)


def range_means(ranges: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """One row per batch size: geometric means of the rates that its tests found, and from where to where they diverged.

    Args:
        ranges: the table `rate_ranges`, one row per seed.
        curves: what `curve_means` gives.
    """
    by_cell, rows = dict(iter(curves.groupby([*CELL]))), []
    for key, group in ranges.sort_values([*CELL], kind="stable").groupby([*CELL], sort=False):
        suggested, lowest = geometric(group["suggested_rate"]), geometric(group["lowest_loss_rate"])
        diverged = group["diverged_rate"].dropna()
        row: dict[str, Any] = {**dict(zip(CELL, key, strict=True)), "n": len(group)}
        row |= {"n_suggested": suggested.n, **suggested.columns("suggested_rate")}
        row |= {"n_lowest_loss": lowest.n, **lowest.columns("lowest_loss_rate"), "n_diverged": len(diverged)}
        row |= {"diverged_rate_min": diverged.min(), "diverged_rate_max": diverged.max()}
        curve = by_cell.get(key)
        if suggested.mean is not None and curve is not None:
            logs, losses = np.log(curve["learning_rate"].to_numpy()), curve["smoothed_loss"].to_numpy()
            row["suggested_rate_loss"] = np.interp(np.log(suggested.mean), logs, losses, left=np.nan, right=np.nan)
        rows.append(row)
    return typed(rows, RANGE_MEANS)


def curve_means(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean smoothed loss over the seeds of a batch size, at the updates at which every seed has one.

    Seeds without any loss (memory ran out) are not among them.
    """
    rows = []
    for key, group in curves.sort_values([*CELL], kind="stable").groupby([*CELL], sort=False):
        table = group.pivot_table(index="update", columns="seed", values="smoothed_loss", dropna=False)
        means = table.mean(axis="columns", skipna=False).dropna()
        rates = group.drop_duplicates("update").set_index("update")["learning_rate"].loc[means.index]
        cell = {**dict(zip(CELL, key, strict=True)), "n": table.shape[1]}
        points = pd.DataFrame({"update": means.index, "learning_rate": rates.array, "smoothed_loss": means.array})
        rows += [{**cell, **point} for point in points.to_dict("records")]
    return typed(rows, CURVE_MEANS)
