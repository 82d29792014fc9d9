"""What gradients of batches say over sizes and seeds: slopes against the size drawn, and the noise scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from batchscope.probes.gradients.spec import SLOPES
from batchscope.stats.intervals import fieller, t_interval, t_quantile
from batchscope.stats.trends import slopes
from batchscope.tables.cells import CELL, CHECKPOINT
from batchscope.tables.codebook import typed

SLOPED = ("gradient_variance", "gradient_signal_to_noise")


def analyse(records: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of the study from the records of the jobs."""
    return {"gradient_slopes": gradient_slopes(records["gradients"])}


def gradient_slopes(gradients: pd.DataFrame) -> pd.DataFrame:
    """Slope of log(metric) on log(size of the batches drawn), per weights looked at: −1 and 1/2 are expected.

    One row per data set, recipe, batch size of the runs, checkpoint and metric of `SLOPED`; a slope per seed, and their
    mean with a 95 % t-interval over the `n` seeds. Seeds that lack a size are left out.
    """
    keys = [*CELL, *CHECKPOINT]
    rows = []
    for key, group in gradients.groupby(keys, sort=False, dropna=False):
        for metric in SLOPED:
            table = group.pivot_table(index="drawn_batch_size", columns="seed", values=metric, dropna=False)
            usable = table.loc[:, (table > 0).all()]
            row: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "metric": metric}
            row |= {"n": usable.shape[1], "n_sizes": len(usable)}
            if usable.shape[1] and len(usable) > 1:
                found = t_interval(slopes(np.log(usable), np.log(usable.index.to_numpy(np.float64))))
                row |= {"slope": found.mean, "ci_low": found.low, "ci_high": found.high}
            rows.append(row)
    return typed(rows, SLOPES)


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
