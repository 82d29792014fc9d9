"""What every run needed to reach targets that were fixed before the runs, and each batch size over its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from batchscope.analysis.external_runs.given import Baseline
from batchscope.stats.intervals import ROUNDING, t_interval
from batchscope.stats.quantiles import median
from batchscope.stats.survival import restricted_mean, survival_median
from batchscope.tables.cells import CELL, OF_TARGET, PAIR, RUN, about
from batchscope.tables.codebook import frame
from batchscope.tables.derived_columns import AMOUNTS
from batchscope.tables.metrics import TARGETS

Curve = Mapping[str, NDArray[np.float64]]
_SPENT = ("epoch", "updates", "examples")
_ENERGY = ("gpu_energy_joules", "cpu_package_energy_joules")


class Target(TypedDict):
    """Values of a metric that runs have to reach, on these data sets or (None) on all."""

    datasets: Sequence[str] | None
    metric: str
    values: Sequence[float]
    evaluations_in_a_row: int


def to_target(
    runs: pd.DataFrame, evaluations: pd.DataFrame, timings: pd.DataFrame, targets: Sequence[Target]
) -> pd.DataFrame:
    """One row per run and target that applies to its data set: whether and when the run reached it.

    A target is reached at the first of `evaluations_in_a_row` successive evaluations at or below its value (at or above
    it where more of the metric is better), counting the evaluation before training; a run that ends before the row is
    complete has not reached it. It was reached somewhere between the first evaluation of the row and the one before;
    what was spent is that half-way between them, and `resolution_epochs` is their distance (0 where the target was met
    before training): taking the later of the two would make few, late looks, as at small budgets, look like slow
    progress. Seconds are updates times the seconds per update of the timing. Joules are updates times the energy per
    timed update, of the GPU or, where no size of the data set and recipe has that, of the CPU packages; both are null
    without a timing.

    `budget_epochs` is how far the run was followed. A run that diverged, or that early stopping ended because it no
    longer improved, would hardly have reached the target later: it counts as followed as far as any run of its data set
    and recipe. A run that ran out of memory before its first evaluation was followed for 0 epochs. A data set and
    recipe in which the metric was never measured have no rows.

    Args:
        runs: the table of that name.
        evaluations: the table of that name.
        timings: the table of that name.
        targets: of the resolved study.
    """
    costs = _costs(timings)
    curves = _curves(evaluations, {target["metric"] for target in targets})
    rows: list[dict[str, Any]] = []
    for pair, group in about(runs, PAIR):
        keys = list(group[RUN].itertuples(index=False, name=None))
        found = {key: curves[key] for key in keys if key in curves}
        longest = max((float(curve["epoch"].max()) for curve in found.values()), default=0.0)
        for (metric, target), in_a_row in _wanted(targets, pair["dataset"]).items():
            if not any(np.isfinite(curve[metric]).any() for curve in found.values()):
                continue
            ended = (group["outcome"] == "diverged") | group["stopped_early"].astype("boolean").fillna(False)
            for key, hopeless in zip(keys, ended, strict=True):
                row: dict[str, Any] = {**dict(zip(RUN, key, strict=True)), "metric": metric, "target": target}
                row["evaluations_in_a_row"] = in_a_row
                if key in found:
                    crossing = first_crossing(found[key][metric], TARGETS[metric].sign * target, in_a_row)
                    row |= _spent(found[key], crossing, costs.get(key[:-1]))
                else:
                    row |= {"reached": False, "budget_epochs": 0.0}
                rows.append(row | ({"budget_epochs": longest} if hopeless else {}))
    return frame("to_target", rows)


def first_crossing(values: ArrayLike, target: float, in_a_row: int) -> int | None:
    """Position of the first of `in_a_row` successive `values` at or below `target`; None where there are none.

    A value that is not a number lies above every target.

    >>> first_crossing([0.9, 0.4, 0.6, 0.5, 0.3], 0.5, 2)
    3
    """
    below = np.asarray(values, dtype=np.float64) <= target
    if len(below) < in_a_row:
        return None
    complete = np.lib.stride_tricks.sliding_window_view(below, in_a_row).all(axis=1)
    return int(complete.argmax()) if complete.any() else None


def recorded(evaluations: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    """The metric of a target at each evaluation, NaN where it was not measured.

    An error that nobody recorded is one minus the accuracy.
    """
    known = TARGETS[metric]
    values = _numbers(evaluations, metric)
    return np.where(np.isnan(values), 1 - _numbers(evaluations, known.column), values) if known.one_minus else values


def summarise(to_target: pd.DataFrame, runs: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """One row per cell and target: what it took over the runs.

    Means and 95 % t-intervals of what was spent are given only where all `n` runs reached the target: the mean over
    those that did would flatter a size that often misses it. Where all did between the same two evaluations they show
    no spread, and there is a mean without an interval. Runs that missed it count as censored at `budget_epochs`
    in the Kaplan-Meier median, given where half of the runs reached the target, and in the mean restricted to
    `restricted_to_epochs`. That horizon is one per data set, recipe and target, so that sizes compare: the shortest
    time for which a run that missed the target was followed (without runs out of memory), or, where none missed it, the
    longest that a run needed.

    What an epoch costs (`updates_per_epoch` and so on) turns epochs into the other units, also for runs that missed the
    target: the median over all targets that runs of the size reached, or else what the tables of runs and timings say.
    """
    per_epoch = _per_epoch(to_target, runs, timings)
    rows = []
    for target, of_target in about(to_target, OF_TARGET):
        horizon = _horizon(of_target)
        for name, group in about(of_target, CELL):
            row = {**name, **target, "n": len(group), "n_reached": int(group["reached"].sum())}
            for amount in AMOUNTS:
                row |= _interval(group, amount)
            rows.append({**row, **_survival(group, horizon), **per_epoch[tuple(name.values())]})
    return frame("targets", rows)


def savings(to_target: pd.DataFrame, timings_by_limit: pd.DataFrame, baseline: Baseline | None) -> pd.DataFrame:
    """Up to four rows per data set, recipe, metric and target: the baseline, and what costs least energy.

    Energy to the target is the mean over the `n` runs of the epochs to it, times the seconds per epoch, times the mean
    power. `choice` is `baseline`; `batch_size`, the best size at the baseline's power limit; `power_limit`, the best
    limit at its size; or `both`. The baseline itself is among the candidates, so no saving is below zero. Sizes at
    which not all runs reach the target are no candidates; where that is so of the baseline, savings are null. The best
    of several estimates is chosen by those estimates, so the saving is a little too large, and it holds no interval.

    Args:
        to_target: the table of that name.
        timings_by_limit: batch_size, power_limit_watts (null where power was not limited), seconds_per_epoch and
            power_watts.
        baseline: None for no rows.
    """
    rows: list[dict[str, Any]] = []
    if baseline is not None:
        for target, group in about(to_target, OF_TARGET):
            rows += [target | row for row in _choices(_energies(group, timings_by_limit), baseline)]
    return frame("savings", rows)


def _wanted(targets: Sequence[Target], dataset: str) -> dict[tuple[str, float], int]:
    """Evaluations in a row by metric and value of the targets that apply to `dataset`."""
    return {
        (entry["metric"], float(value)): int(entry["evaluations_in_a_row"])
        for entry in targets
        if entry["datasets"] is None or dataset in entry["datasets"]
        for value in entry["values"]
    }


def _curves(evaluations: pd.DataFrame, metrics: Iterable[str]) -> dict[Any, Curve]:
    """By run what was spent until each of its evaluations, in their order, and the metrics there; NaN for null.

    Metrics of which more is better are negated.
    """
    evaluations = evaluations.sort_values("evaluation", kind="stable")
    columns = {name: _numbers(evaluations, name) for name in _SPENT}
    columns |= {metric: TARGETS[metric].sign * recorded(evaluations, metric) for metric in metrics}
    rows_of = evaluations.groupby(RUN, sort=False).indices
    return {run: {name: values[rows] for name, values in columns.items()} for run, rows in rows_of.items()}


def _numbers(evaluations: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column with NaN for null, also where there is none."""
    if column not in evaluations:
        return np.full(len(evaluations), np.nan)
    return evaluations[column].to_numpy(np.float64, na_value=np.nan)


def _costs(timings: pd.DataFrame) -> dict[Any, tuple[float, float]]:
    """Seconds and joules per update of every timed cell; NaN where not measured."""
    costs: dict[Any, tuple[float, float]] = {}
    for _, pair in timings.groupby(PAIR, sort=False):
        energy = next((name for name in _ENERGY if pair[name].notna().any()), _ENERGY[0])
        updates = (pair["windows"] * pair["updates_per_window"]).astype("float64")
        joules = pair[energy].astype("float64") / updates
        seconds = pair["seconds_per_update"].astype("float64")
        cells = pair[CELL].itertuples(index=False, name=None)
        costs |= dict(zip(cells, zip(seconds, joules, strict=True), strict=True))
    return costs


def _spent(curve: Curve, crossing: int | None, cost: tuple[float, float] | None) -> dict[str, Any]:
    row: dict[str, Any] = {"reached": crossing is not None, "budget_epochs": float(curve["epoch"].max())}
    if crossing is None:
        return row
    before = max(crossing - 1, 0)
    epochs, updates, examples = (float(curve[name][before] + curve[name][crossing]) / 2 for name in _SPENT)
    row |= {"epochs": epochs, "updates": updates, "examples": examples}
    if cost is not None:
        row |= {"seconds": updates * cost[0], "joules": updates * cost[1]}
    return row | {"resolution_epochs": float(curve["epoch"][crossing] - curve["epoch"][before])}


def _interval(group: pd.DataFrame, amount: str) -> dict[str, float | None]:
    values = group[amount].to_numpy(dtype=np.float64)
    complete = bool(group["reached"].all()) and bool(np.isfinite(values).all())
    interval = t_interval(values if complete else [])
    spread = bool(interval.sd and interval.mean and interval.sd > ROUNDING * interval.mean)
    return (interval if spread else replace(interval, low=None, high=None)).columns(amount)


def _per_epoch(to_target: pd.DataFrame, runs: pd.DataFrame, timings: pd.DataFrame) -> dict[Any, dict[str, Any]]:
    """What an epoch costs at each cell, by amount."""
    planned = {
        "updates": runs.groupby(CELL, sort=False)["updates_per_epoch"].first(),
        "examples": runs.groupby(CELL, sort=False)["n_train"].first(),
        "seconds": timings.set_index(CELL)["seconds_per_epoch"],
    }
    costs = {amount: known.dropna().to_dict() for amount, known in planned.items()}
    found = {}
    for cell, group in to_target.groupby(CELL, sort=False):
        trained = group[group["reached"] & (group["epochs"] > 0)]
        found[cell] = {
            f"{amount}_per_epoch": costs.get(amount, {}).get(cell) if measured is None else measured
            for amount in AMOUNTS
            if amount != "epochs"
            for measured in [median((trained[amount] / trained["epochs"]).dropna())]
        }
    return found


def _horizon(of_target: pd.DataFrame) -> float | None:
    missed = of_target.loc[~of_target["reached"], "budget_epochs"]
    if missed.isna().any() or of_target.loc[of_target["reached"], "epochs"].isna().any():
        return None
    followed = missed[missed > 0]
    if len(followed):
        return float(followed.min())
    longest = float(of_target["epochs"].max())
    return longest if longest > 0 else None


def _survival(group: pd.DataFrame, horizon: float | None) -> dict[str, float | None]:
    """Median and restricted mean over the runs that were followed at all; null where a time is not known."""
    times = group["epochs"].where(group["reached"], group["budget_epochs"])
    followed = group["reached"] | (times != 0)
    times, reached = times[followed], group.loc[followed, "reached"]
    if times.empty or times.isna().any():
        return {"epochs_median": None, "epochs_restricted_mean": None, "restricted_to_epochs": None}
    mean = None if horizon is None else restricted_mean(times, reached, horizon)
    return {
        "epochs_median": survival_median(times, reached) if 2 * reached.sum() >= len(group) else None,
        "epochs_restricted_mean": mean,
        "restricted_to_epochs": horizon,
    }


def _energies(of_target: pd.DataFrame, timings_by_limit: pd.DataFrame) -> pd.DataFrame:
    """Energy to one target of every batch size and power limit; null where a run misses the target."""
    sizes = of_target.groupby("batch_size")
    epochs = pd.DataFrame({"n": sizes.size(), "epochs_mean": sizes["epochs"].mean()})
    epochs["epochs_mean"] = epochs["epochs_mean"].where(sizes["reached"].all())
    table = timings_by_limit.merge(epochs, left_on="batch_size", right_index=True)
    return table.assign(joules=table["epochs_mean"] * table["seconds_per_epoch"] * table["power_watts"])


def _choices(energies: pd.DataFrame, baseline: Baseline) -> list[dict[Any, Any]]:
    limit = baseline["power_limit_watts"]
    limits = energies["power_limit_watts"]
    same_limit = limits.isna() if limit is None else limits.isna() | (limits == limit)
    same_size = energies["batch_size"] == baseline["batch_size"]
    candidates = {"baseline": same_limit & same_size, "batch_size": same_limit}
    if limits.notna().any():
        candidates |= {"power_limit": same_size, "both": limits.notna()}
    kept = ["batch_size", "power_limit_watts", "n", "epochs_mean", "joules"]
    reference = energies.loc[candidates["baseline"], "joules"].max()
    rows = []
    for choice, chosen in candidates.items():
        found = energies[chosen & (energies["joules"].notna() | (choice == "baseline"))]
        if len(found):
            best = found.sort_values("joules", kind="stable").iloc[0]
            saving = 100 * (1 - best["joules"] / reference)
            rows.append({"choice": choice, **best[kept].to_dict(), "saving_percent": saving})
    return rows
