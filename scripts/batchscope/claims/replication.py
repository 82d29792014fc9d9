"""Numbers that others published beside what the study measured of the same quantity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from batchscope.claims.parts import NotMeasuredError
from batchscope.claims.published import FittedTarget, Published
from batchscope.claims.readers import Evidence, Tables
from batchscope.claims.samples import Values
from batchscope.config.batch_sizes import BatchSize
from batchscope.probes.gradients.analysis import noise_scale_over_seeds
from batchscope.stats.intervals import t_interval
from batchscope.tables.cells import Size, pairs
from batchscope.tables.codebook import frame
from batchscope.tables.metrics import CRITICAL, NOISE_SCALE, PUBLISHED, Metric
from batchscope.training import checkpoints
from batchscope.training.checkpoints import Checkpoint

Row = Mapping[str, object]


def published(tables: Tables, numbers: Iterable[Published]) -> pd.DataFrame:
    """One row per published number and data set and recipe that the study measures it on, in the order of the study.

    `value` is the mean over the `n` seeds with its 95 % t-interval and standard deviation; of the noise scale the ratio
    of means with Fieller's interval; of a critical batch size what the fit gives, over `n` runs. Null, with a reason,
    where a run was lost, a fit was refused or there is no estimate. Runs that diverged count with the accuracy they
    had, which `reason` then says.

    Args:
        tables: those of the study.
        numbers: what others published.

    Returns:
        The table `published`.
    """
    rows = []
    for entry in numbers:
        for pair in pairs(tables["runs"]):
            found = _found(entry, Evidence(tables, pair))
            if found is not None:
                known = {"metric": entry.metric, "published": entry.value, "source": entry.source}
                known |= {"dataset": pair[0], "recipe": pair[1], "published_plus_minus": entry.plus_minus}
                rows.append({"reason": "", **known, **found})
    return frame("published", rows)


def _found(entry: Published, evidence: Evidence) -> Row | None:
    """What the study measured; None where it does not measure that on this data set and recipe."""
    metric = PUBLISHED[entry.metric]
    if metric == CRITICAL and entry.target:
        return _critical(entry.target, evidence.known(metric.table))
    if entry.batch_size is None:
        return None
    return (_of_weights if metric.probe else _of_runs)(entry, entry.batch_size, metric, evidence)


def _of_weights(entry: Published, batch_size: BatchSize, metric: Metric, evidence: Evidence) -> Row | None:
    """What a probe measured at the weights that every run kept at one checkpoint."""
    checkpoint = Checkpoint(fraction=entry.at or 0.0)
    rows = _of_size(checkpoints.at(evidence.known(metric.table), checkpoint), batch_size)
    if rows.empty:
        return None
    head = {"checkpoint_fraction": entry.at, "n": len(rows), **rows.iloc[0][["batch_size", "full_batch"]]}
    n_runs = len(_of_size(evidence.known("runs"), batch_size))
    if len(rows) < n_runs:
        return {**head, "reason": f"only {len(rows)} of {n_runs} runs got there"}
    if metric == NOISE_SCALE:
        value, low, high = noise_scale_over_seeds(rows)
        reason = "" if value is not None else "noise hides the gradient: |G|² is not above zero"
        return {**head, "value": value, "ci_low": low, "ci_high": high, "reason": reason}
    values = rows[metric.name].to_numpy(np.float64, na_value=np.nan)
    return {**head, **_mean(values)} if np.isfinite(values).all() else {**head, "reason": "a run has no value"}


def _of_runs(entry: Published, batch_size: BatchSize, metric: Metric, evidence: Evidence) -> Row | None:
    rows = _of_size(evidence.known("runs"), batch_size)
    if rows.empty:
        return None
    size = Size(int(rows["batch_size"].iloc[0]), bool(rows["full_batch"].iloc[0]))
    try:
        found = evidence.samples(metric)
    except NotMeasuredError as error:
        return {**size._asdict(), "reason": str(error)}
    if size not in found.values:
        return {**size._asdict(), "reason": found.problems[size]}
    return {**size._asdict(), **_mean(found.values[size]), "reason": found.remarks.get(size, "")}


def _of_size(rows: pd.DataFrame, size: BatchSize) -> pd.DataFrame:
    return rows[rows["full_batch"] if size.examples is None else rows["batch_size"] == size.examples]


def _mean(values: Values) -> Row:
    found = t_interval(values)
    return {"n": found.n, "value": found.mean, "ci_low": found.low, "ci_high": found.high, "sd": found.sd}


def _critical(target: FittedTarget, fits: pd.DataFrame) -> Row | None:
    fits = fits[(fits["metric"] == target.metric) & (fits["target"] == target.value)]
    if fits.empty:
        return None
    fit, head = fits.iloc[0], {"target_metric": target.metric, "target": target.value}
    if not fit["accepted"]:
        return {**head, "n": fit["n_runs"], "reason": f"no critical batch size: {fit['reason']}"}
    return {**head, "n": fit["n_runs"], "value": fit["b_crit"], "ci_low": fit["ci_low"], "ci_high": fit["ci_high"]}
