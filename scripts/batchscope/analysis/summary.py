"""What each batch size did, over its seeds: every metric in a tidy table, and one row per size to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope.analysis.times import epoch_seconds
from batchscope.stats.intervals import t_interval
from batchscope.stats.quantiles import median, quantile
from batchscope.tables import metrics as metrics_of
from batchscope.tables.cells import CELL, PAIR, about
from batchscope.tables.codebook import frame

OUTCOMES = ("ok", "diverged", "out_of_memory")
GAP = "generalisation_gap"

# Columns of the table `runs`, and the gap, which is made here; updates per epoch are the same in every run.
METRICS = tuple(
    name for name, metric in metrics_of.METRICS.items() if metric.table == "runs" and name != "updates_per_epoch"
)

# In `summary`, mean and interval of these metrics under these names.
_HEADLINES = {
    "validation_loss": "selected_validation_loss",
    "test_accuracy": "selected_test_accuracy",
    "gap": GAP,
    "noise": "step_loss_noise",
    "test_loss": "selected_test_loss",
    "last_validation_loss": "last_validation_loss",
    "last_train_accuracy": "last_train_accuracy",
    "last_test_accuracy": "last_test_accuracy",
    "epochs": "epochs",
    "selected_epoch": "selected_epoch",
    "updates": "updates",
}

_MEMORY = {
    "allocator_peak_bytes": "peak of the framework's allocator on the device",
    "host_memory_peak_bytes": "peak of the process on the host above the imported framework",
}
LOSS_QUANTILE = 0.99  # of the losses of single updates: beyond it lie the few that a figure marks at its edge
_UTILISATION = {
    "gpu_utilisation_mean_percent": "share of time with a kernel running on the GPU",
    "cpu_percent_mean": "CPU time of the process in % of the threads given",
}
_ENERGY = {"gpu_energy_joules": "GPU", "cpu_package_energy_joules": "CPU packages, whole machine"}


def metrics(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell and metric: mean over seeds with its 95 % t-interval.

    A metric is taken over the runs that ended `ok`; `n` of the `n_runs` have a value. With one value there is no
    interval, with none no mean. The interval of an accuracy is not cut at 0 or 1: a bound beyond them says that the
    normal approximation is poor there. `generalisation_gap` is train minus test accuracy at the selected epoch.
    """
    runs = with_gap(runs)
    known = [metric for metric in METRICS if metric in runs]
    measured = {metric for metric in known if runs[metric].notna().any()}  # of a large table made elsewhere, few
    rows = []
    for name, group in about(runs, CELL):
        for metric in known:
            values = finished_values(group, metric) if metric in measured else np.empty(0)
            interval = t_interval(values)
            rows.append(
                {
                    **name,
                    "metric": metric,
                    "unit": metrics_of.METRICS[metric].unit,
                    "n": interval.n,
                    "n_runs": len(group),
                    "mean": interval.mean,
                    "ci_low": interval.low,
                    "ci_high": interval.high,
                    "sd": interval.sd,
                    "minimum": values.min() if interval.n else None,
                    "maximum": values.max() if interval.n else None,
                }
            )
    return frame("metrics", rows)


def with_gap(runs: pd.DataFrame) -> pd.DataFrame:
    """`runs` with the column `generalisation_gap`."""
    return runs.assign(**{GAP: runs["selected_train_accuracy"] - runs["selected_test_accuracy"]})


def finished_values(group: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    """Values of `metric` of the runs in `group` that ended `ok` and have one, in the order of the rows."""
    values = group.loc[group["outcome"] == "ok", metric].to_numpy(dtype=np.float64, na_value=np.nan)
    finite: NDArray[np.float64] = values[np.isfinite(values)]
    return finite


def summary(runs: pd.DataFrame, timings: pd.DataFrame, reasons: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: its speed, its results over the seeds, and what it took.

    Seconds are the median over the timed windows, alone on the machine, updates only (`_ci_low` and `_ci_high`: 95 %
    interval, with how another job may differ). Metrics are means over the runs that ended `ok`, with `_ci_low` and
    `_ci_high` as in `metrics`. `memory_kind`, `utilisation_kind` and `energy_kind` name what was measured, the same for
    all sizes of a data set and recipe. Memory and utilisation come from the timings; in a study without, from the runs
    (largest and mean), and the kind says so.
    Where the energy is null, `energy_reason` says why. What is said of `steps` is of the rows that the table keeps.
    """
    cells = runs.groupby(CELL, sort=False)
    parts: list[pd.DataFrame | pd.Series[Any]] = [
        _speed(timings),
        _headlines(runs),
        *_resources(runs, timings),
        _energy(timings, reasons),
        _counts(runs),
        _single_updates(runs, steps),
    ]
    return cells[["n_train", "updates_per_epoch"]].first().join(parts).reset_index()


def _speed(timings: pd.DataFrame) -> pd.DataFrame:
    timed = timings.set_index(CELL)
    return pd.DataFrame(
        {
            "seconds_per_update": timed["seconds_per_update"],
            **epoch_seconds(timings),
            "examples_per_second": timed["examples_per_second"],
            "timing_outcome": timed["outcome"],
        }
    )


def _headlines(runs: pd.DataFrame) -> pd.DataFrame:
    values = metrics(runs).set_index([*CELL, "metric"])
    columns: dict[str, pd.Series[float]] = {}
    for name, metric in _HEADLINES.items():
        of_metric = values.xs(metric, level="metric")
        columns |= {f"{name}_{part}": of_metric[part] for part in ("mean", "ci_low", "ci_high")}
    return pd.DataFrame(columns)


def _resources(runs: pd.DataFrame, timings: pd.DataFrame) -> list[pd.DataFrame]:
    source, where = (runs, "beside other runs") if timings.empty else (timings, "in isolation")
    of = "whole training runs" if timings.empty else "the timed updates"
    source = source.assign(cpu_percent_mean=source["cpu_percent_mean"] / source["threads"])
    cells = source.groupby(CELL, sort=False)
    memory = _first_measured(cells[list(_MEMORY)].max(), _MEMORY, "memory_bytes", "memory_kind")
    utilisation = _first_measured(
        cells[list(_UTILISATION)].mean(), _UTILISATION, "utilisation_percent", "utilisation_kind"
    )
    memory["memory_kind"] += f", of {of}, {where}" if len(timings) else f", of {of}, {where}, the largest of the runs"
    utilisation["utilisation_kind"] += f", {where}"
    return [memory, utilisation]


def _energy(timings: pd.DataFrame, reasons: pd.DataFrame) -> pd.DataFrame:
    """Joules per epoch: energy over the timed windows, per timed update, times the updates of an epoch."""
    timed = timings.set_index(CELL)
    epochs = timed["windows"] * timed["updates_per_window"].astype("float64") / timed["updates_per_epoch"]
    joules = timed[list(_ENERGY)].div(epochs, axis=0)
    frame = _first_measured(joules, _ENERGY, "energy_per_epoch_joules", "energy_kind")
    of_timings = reasons[reasons["kind"] == "timing"]
    found = [
        f"{source}: {reason.rstrip('.')}"
        for column, source in _ENERGY.items()
        for columns, reason in zip(of_timings["columns"], of_timings["reason"], strict=True)
        if column in columns.split(", ")
    ]
    known = frame["energy_per_epoch_joules"].notna()
    return frame.assign(energy_reason=pd.Series("; ".join(found), index=frame.index, dtype="str").mask(known))


def _counts(runs: pd.DataFrame) -> pd.DataFrame:
    ended = {f"n_{outcome}": (runs["outcome"] == outcome).astype("int64") for outcome in OUTCOMES}
    return runs[CELL].assign(n_runs=1, **ended).groupby(CELL, sort=False).sum()


def _single_updates(runs: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """Median gradient norm over all updates; quantile of the losses of runs that ended ok, or of all if none did."""
    by_cell = dict(list(steps.groupby(CELL, sort=False)))
    found = {}
    for cell, group in runs.groupby(CELL, sort=False):
        of_cell = by_cell.get(cell, steps[:0])
        seeds = group.loc[group["outcome"] == "ok", "seed"]
        losses = of_cell[of_cell["seed"].isin(seeds) | seeds.empty]["loss"].to_numpy(np.float64, na_value=np.nan)
        found[cell] = {
            "gradient_norm_median": median(of_cell["gradient_norm"].dropna()),
            "step_loss_q99": quantile(losses[np.isfinite(losses)], LOSS_QUANTILE),
        }
    index = pd.MultiIndex.from_tuples(list(found), names=CELL)
    return pd.DataFrame(list(found.values()), index=index, dtype="float64")


def _first_measured(cells: pd.DataFrame, kinds: Mapping[str, str], value: str, kind: str) -> pd.DataFrame:
    """For each data set and recipe the first column of `kinds` that any of its cells has, so that sizes compare."""
    parts = [pd.DataFrame({value: pd.Series(dtype="float64"), kind: pd.Series(dtype="str")}, index=cells.index[:0])]
    for _, pair in cells.groupby(level=PAIR, sort=False):
        column = next((name for name in kinds if pair[name].notna().any()), None)
        found = pair[column].astype("float64") if column else np.nan
        name = kinds[column] if column else None
        parts.append(pd.DataFrame({value: found, kind: pd.Series(name, pair.index, dtype="str")}, index=pair.index))
    return pd.concat(parts[1:] or parts)
