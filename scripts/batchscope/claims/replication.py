"""Numbers that others published beside what the study measured of the same quantity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from batchscope.claims.metrics import CRITICAL, NOISE_SCALE, Metric
from batchscope.claims.metrics import PUBLISHED as METRICS
from batchscope.claims.readers import samples
from batchscope.claims.samples import NotMeasuredError, rows_of
from batchscope.claims.scope import Pair
from batchscope.probes.gradients.analysis import noise_scale_over_seeds
from batchscope.stats.intervals import t_interval
from batchscope.tables.cells import pairs
from batchscope.tables.codebook import dtypes
from batchscope.training import checkpoints
from batchscope.training.checkpoints import Checkpoint

Tables = Mapping[str, pd.DataFrame]
Row = dict[str, Any]

PUBLISHED = dtypes("published")


def published(tables: Tables, study: Mapping[str, Any]) -> pd.DataFrame:
    """One row per published number and data set and recipe that the study measures it on, in the order of the study.

    `value` is the mean over the `n` seeds with its 95 % t-interval and standard deviation; of the noise scale the ratio
    of means with Fieller's interval; of a critical batch size what the fit gives, over `n` runs. Null, with a reason,
    where a run was lost, a fit was refused or there is no estimate. Runs that diverged count with the accuracy they
    had, which `reason` then says.

    Args:
        tables: those of the study.
        study: `Study.describe()`; used is `published`.

    Returns:
        The columns of `PUBLISHED`, also where there are no rows.
    """
    rows = []
    for entry in study["published"]:
        for pair in pairs(tables["runs"]):
            found = _found(entry, pair, tables)
            if found is not None:
                known = {"metric": entry["metric"], "published": entry["value"], "source": entry["source"]}
                known |= {"dataset": pair[0], "recipe": pair[1], "published_plus_minus": entry["plus_minus"]}
                rows.append({"reason": "", **known, **found})
    return pd.DataFrame(rows, columns=list(PUBLISHED)).astype(PUBLISHED)


def _found(entry: Mapping[str, Any], pair: Pair, tables: Tables) -> Row | None:
    """What the study measured; None where it does not measure that on this data set and recipe."""
    metric = METRICS[entry["metric"]]
    if metric == CRITICAL:
        return _critical(entry["target"], rows_of(tables[metric.table], pair))
    return _of_weights(entry, metric, pair, tables) if metric.probe else _of_runs(entry, metric, pair, tables)


def _of_weights(entry: Mapping[str, Any], metric: Metric, pair: Pair, tables: Tables) -> Row | None:
    """What a probe measured at the weights that every run kept at one checkpoint."""
    rows = checkpoints.at(rows_of(tables[metric.table], pair), Checkpoint(fraction=entry["at"]))
    rows = _of_size(rows, entry["batch_size"])
    if rows.empty:
        return None
    head = {"checkpoint_fraction": entry["at"], "n": len(rows), **rows.iloc[0][["batch_size", "full_batch"]]}
    n_runs = len(_of_size(rows_of(tables["runs"], pair), entry["batch_size"]))
    if len(rows) < n_runs:
        return {**head, "reason": f"only {len(rows)} of {n_runs} runs got there"}
    if metric == NOISE_SCALE:
        value, low, high = noise_scale_over_seeds(rows)
        reason = "" if value is not None else "noise hides the gradient: |G|² is not above zero"
        return {**head, "value": value, "ci_low": low, "ci_high": high, "reason": reason}
    values = rows[metric.name].to_numpy(np.float64, na_value=np.nan)
    if not np.isfinite(values).all():
        return {**head, "reason": "a run has no value"}
    return {**head, **_mean(values)}


def _of_runs(entry: Mapping[str, Any], metric: Metric, pair: Pair, tables: Tables) -> Row | None:
    rows = _of_size(rows_of(tables["runs"], pair), entry["batch_size"])
    if rows.empty:
        return None
    size = int(rows["batch_size"].iloc[0]), bool(rows["full_batch"].iloc[0])
    head: Row = {"batch_size": size[0], "full_batch": size[1]}
    try:
        found = samples(metric, tables, pair)
    except NotMeasuredError as error:
        return {**head, "reason": str(error)}
    if size not in found.values:
        return {**head, "reason": found.problems[size]}
    return {**head, **_mean(found.values[size]), "reason": found.remarks.get(size, "")}


def _of_size(rows: pd.DataFrame, size: int | str) -> pd.DataFrame:
    found: pd.DataFrame = rows[rows["full_batch"] if size == "full" else rows["batch_size"] == size]
    return found


def _mean(values: Any) -> Row:
    found = t_interval(values)
    return {"n": found.n, "value": found.mean, "ci_low": found.low, "ci_high": found.high, "sd": found.sd}


def _critical(target: Mapping[str, Any], fits: pd.DataFrame) -> Row | None:
    fits = fits[(fits["metric"] == target["metric"]) & (fits["target"] == target["value"])]
    if fits.empty:
        return None
    fit, head = fits.iloc[0], {"target_metric": target["metric"], "target": target["value"]}
    if not fit["accepted"]:
        return {**head, "n": fit["n_runs"], "reason": f"no critical batch size: {fit['reason']}"}
    return {**head, "n": fit["n_runs"], "value": fit["b_crit"], "ci_low": fit["ci_low"], "ci_high": fit["ci_high"]}
