"""How a metric is read: for each table, from its rows to the values per batch size of one data set and recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from batchscope import text
from batchscope.analysis.best import label
from batchscope.analysis.rates import optima
from batchscope.analysis.summary import GAP, with_gap
from batchscope.claims.metrics import Metric
from batchscope.claims.samples import NotMeasuredError, Samples, Size, Tables, Values, of_pair, rows_of
from batchscope.claims.scope import Pair
from batchscope.probes.sharpness.analysis import MIN_SIZES, complete_sizes, lowest_common_loss
from batchscope.stats.estimates import of_fit
from batchscope.training.checkpoints import Checkpoint, at, of_rows

Reader = Callable[[Metric, Tables, Pair, bool], Samples]

_SIZE = ["batch_size", "full_batch"]
_ENDS = {
    "diverged": "diverged",
    "out_of_memory": "ran out of memory",
    "cut off": "was still improving when its budget ended",
}


def samples(metric: Metric, tables: Tables, pair: Pair, *, paired: bool = True) -> Samples:
    """The values of a metric for the data set and recipe `pair`.

    Args:
        metric: any that is repeated over something at each batch size, or has one value there.
        tables: the tables of the study.
        pair: data set and recipe.
        paired: whether runs of one seed share data, initial weights and order: true of runs of this workflow, not of
            measurements made elsewhere.

    Raises:
        NotMeasuredError: where the study has no value of the metric at any size.
    """
    if metric.probe and (metric.table not in tables or tables[metric.table].empty):
        raise NotMeasuredError(f"the study has no probe of {metric.probe}")
    if metric.probe and rows_of(tables[metric.table], pair).empty:
        raise NotMeasuredError(f"the probe of {metric.probe} does not look at this recipe")
    found = READERS[metric.table](metric, tables, pair, paired)
    if not found.values and len(set(found.problems.values())) == 1 and metric.of != "tuning seeds":
        raise NotMeasuredError(f"{metric.words}: {next(iter(found.problems.values()))}")
    return found


def _runs(metric: Metric, tables: Tables, pair: Pair, paired: bool) -> Samples:
    """One value per run, from a column of the runs or made of two of them."""
    runs = of_pair(tables, "runs", pair)
    if metric.name == GAP and {"selected_train_accuracy", "selected_test_accuracy"} <= set(runs.columns):
        runs = with_gap(runs)
    if metric.name not in runs.columns:
        raise NotMeasuredError(f"{metric.words}: not measured")
    return _per_run(runs, metric, paired)


def _per_run(runs: pd.DataFrame, metric: Metric, paired: bool, note: str = "") -> Samples:
    """One value per run. A size that lacks a seed of the others is not usable: the rest would be a choice of seeds.

    A run that diverged has no loss to compare, but the accuracy that it had.
    """
    seeds = sorted(int(seed) for seed in runs["seed"].unique())
    values: dict[Size, Values] = {}
    problems: dict[Size, str] = {}
    remarks: dict[Size, str] = {}
    for key, group in runs.groupby(_SIZE, sort=True):
        size = _key(key)
        ordered = group.sort_values("seed")
        numbers = ordered[metric.column or metric.name].to_numpy(np.float64, na_value=np.nan)
        ended = ordered["outcome"] if "outcome" in ordered else pd.Series("ok", ordered.index)
        if metric.name == "selected_epoch":
            ended = ended.mask(_cut_off(ordered), "cut off")
        if metric.share:
            counted = (ended == "diverged") & np.isfinite(numbers)
            ended = ended.mask(counted, "ok")
            if counted.any():
                remarks[size] = (
                    f"{int(counted.sum())} of {len(counted)} runs diverged, and count with the accuracy they had"
                )
        found = dict(zip(ordered["seed"].astype(int), zip(ended, numbers, strict=True), strict=True))
        lacking = [_lack(seed, found.get(seed)) for seed in (seeds if paired else found)]
        reasons = [reason for reason in lacking if reason]
        if not np.isfinite(numbers).any() and (ended == "ok").any():
            problems[size] = "not measured"
        elif reasons:
            problems[size] = reasons[0] + (f"; so for {len(reasons) - 1} more" if len(reasons) > 1 else "")
        else:
            values[size] = numbers
    of, shared = ("seeds", tuple(seeds)) if paired else ("runs", ())
    return Samples(values, problems, paired, of, shared, note, remarks)


def _cut_off(runs: pd.DataFrame) -> pd.Series[bool]:
    """Runs whose last epoch was their best: the epoch with the lowest loss, were there more, is not known."""
    if not {"epochs", "stopped_early"} <= set(runs.columns):
        return pd.Series(False, runs.index)
    ok = (runs["outcome"] == "ok") & (runs["selected_epoch"] == runs["epochs"])
    return ok & ~runs["stopped_early"].astype(bool)


def _lack(seed: int, run: tuple[str, float] | None) -> str:
    """Why a run has no value; empty where it has one."""
    if run is None:
        return f"seed {seed} was not run"
    outcome, value = run
    if outcome != "ok":
        return f"the run of seed {seed} {_ENDS[outcome]}"
    return "" if np.isfinite(value) else f"the run of seed {seed} has no value"


def _to_target(metric: Metric, tables: Tables, pair: Pair, paired: bool) -> Samples:
    """Values to the tightest target that every run of every size reached: the one that took the most epochs.

    A loss, where the study has targets that are losses.
    """
    rows = of_pair(tables, "to_target", pair)
    losses = rows[rows["metric"].str.endswith("loss")]
    rows = losses if len(losses) else rows
    reached = rows.groupby(["metric", "target"], sort=False)["reached"].all()
    if not reached.any():
        raise NotMeasuredError("no target was reached by all runs of all sizes")
    common = rows.set_index(["metric", "target"]).loc[list(reached.index[reached])]
    effort = common["epochs"].groupby(level=[0, 1], sort=False).mean()
    tightest: Any = effort.idxmax() if effort.notna().any() else reached.index[reached][-1]
    name, target = tightest
    chosen = rows[(rows["metric"] == name) & (rows["target"] == target)]
    return _per_run(chosen, metric, paired, f"to {str(name).replace('_', ' ')} {target:g}")


def _refuse_borrowed(tables: Tables, pair: Pair) -> None:
    """One measurement is judged once: under the recipe that was timed, not under those that take its timings."""
    timings = tables.get("timings")
    if timings is None or "timed_recipe" not in timings:
        return
    lenders = set(rows_of(timings, pair)["timed_recipe"])
    if lenders - {pair[1]}:
        raise NotMeasuredError(f"its timings are those of {min(lenders)}, where they are judged")


def _drawn(size: str, what: str) -> Reader:
    """A reader of values by the size of batches that a probe drew, in the column `size`.

    They are those at the earliest checkpoint and for runs of the smallest size looked at.
    """

    def read(metric: Metric, tables: Tables, pair: Pair, paired: bool) -> Samples:
        rows = of_pair(tables, metric.table, pair)
        first = rows.sort_values(["updates", "batch_size"], kind="stable").head(1)
        (checkpoint,), (trained,) = of_rows(first), first["batch_size"]
        rows = at(rows[rows["batch_size"] == trained], checkpoint)
        weights = f"the weights of runs with batch size {trained:,}, {checkpoint.when}"
        note = f"with {weights}; sizes are of batches {what}"
        if metric.finite:
            n, drawn = rows["examples"].astype("float64"), rows[size].astype("float64")
            rows = rows.assign(**{metric.name: rows[metric.name] * ((n - 1) / (n - drawn)) ** metric.finite})
            note += ", corrected for draws without replacement"
        return _per_run(rows.assign(batch_size=rows[size], full_batch=False), metric, paired, note)

    return read


def _sharpness(metric: Metric, tables: Tables, pair: Pair, paired: bool) -> Samples:
    """Values at the training loss that most sizes reached in all their runs; the others are left out, and named."""
    rows, runs = of_pair(tables, "sharpness", pair), of_pair(tables, "runs", pair)
    checkpoint = lowest_common_loss(rows, runs)
    if checkpoint is None:
        raise NotMeasuredError(
            f"fewer than {MIN_SIZES} batch sizes (both of two) kept weights at a common training loss in all runs"
        )
    shared = complete_sizes(rows, runs, checkpoint)
    rows = at(rows, checkpoint).merge(pd.DataFrame(shared, columns=_SIZE), on=_SIZE)
    losses = rows["train_loss"].astype("float64")
    apart = f", so at training losses from {losses.min():.2g} to {losses.max():.2g}"
    apart = ", interpolated" if checkpoint.interpolated else apart
    lost = [label(*size) for size in sorted(set(_sizes(runs)) - set(shared))]
    without = f", without {text.listing(lost)}, whose runs did not all fall so far" if lost else ""
    others = _by_other_measures(tables, pair, checkpoint) if metric.name == "lambda_max" else ""
    return _per_run(rows, metric, paired, f"of the weights {checkpoint.when}{apart}{without}{others}")


def _by_other_measures(tables: Tables, pair: Pair, checkpoint: Checkpoint) -> str:
    """What the measures that rescaling leaves alone, or changes otherwise, say of the batch size at a checkpoint."""
    trends = rows_of(tables["sharpness_trends"], pair) if "sharpness_trends" in tables else pd.DataFrame()
    if trends.empty:
        return ""
    here = at(trends[trends["against"] == "batch_size"], checkpoint)
    parts = []
    for measure, words in (
        ("lambda_max", "λ_max"),
        ("keskar_0_001", "φ"),
        ("adaptive_sharpness", "adaptive sharpness"),
    ):
        for row in here[here["measure"] == measure].dropna(subset=["correlation"]).to_dict("records"):
            ends = [float(row[name]) for name in ("correlation", "ci_low", "ci_high")]
            value, low, high = (round(end, 2) if np.isfinite(end) else None for end in ends)
            parts.append(f"{words} {text.interval(value, low, high)}")
    return f" (rank correlation with the batch size there: {', '.join(parts)})" if parts else ""


def _overheads(metric: Metric, tables: Tables, pair: Pair, paired: bool) -> Samples:
    """Shares that the line of the fused loop gives at each size; the sizes are the sample, less two for the line."""
    rows, costs = of_pair(tables, "overheads", pair), of_pair(tables, "update_costs", pair)
    n = int(costs.loc[costs["loop"] == "fused", "n_sizes"].iloc[0])
    fitted, values, problems = {}, {}, {}
    for row in rows.to_dict("records"):
        value, low, high = (float(row[f"{metric.name}{end}"]) for end in ("", "_ci_low", "_ci_high"))
        size = int(row["batch_size"]), bool(row["full_batch"])
        if np.isfinite([value, low, high]).all():
            fitted[size], values[size] = of_fit(n, value, low, high, n - 2), np.array([value])
        else:
            problems[size] = str(row["reason"]) or "the fit gives no interval"
    return Samples(values, problems, False, "sizes", note="from a line through the times of all sizes", fitted=fitted)


def _timed(metric: Metric, tables: Tables, pair: Pair, paired: bool) -> Samples:
    """One value per timed window. Windows of one timing: how a second timing would differ is not in their spread."""
    _refuse_borrowed(tables, pair)
    windows, timings = of_pair(tables, "windows", pair), of_pair(tables, "timings", pair)
    per_epoch = timings.set_index(_SIZE)["updates_per_epoch"]
    values: dict[Size, Values] = {}
    for key, group in windows.groupby(_SIZE, sort=True):
        size, seconds = _key(key), group["seconds_per_update"].to_numpy(np.float64)
        if metric.name == "examples_per_second":
            values[size] = size[0] / seconds
        else:
            values[size] = seconds * (float(per_epoch.loc[size]) if metric.name == "seconds_per_epoch" else 1.0)
    every = {*_sizes(timings), *(_sizes(of_pair(tables, "runs", pair)) if "runs" in tables else ())}
    return Samples(values, dict.fromkeys(every - set(values), "not timed"), False, "timed windows")


def _tuned(metric: Metric, tables: Tables, pair: Pair, paired: bool) -> Samples:
    """The best learning rate of each tuning seed, between the rates tried; see `rates.optimum`."""
    trials = of_pair(tables, "trials", pair)
    seeds = sorted(int(seed) for seed in trials["seed"].unique())
    values: dict[Size, Values] = {}
    problems: dict[Size, str] = {}
    bounds: dict[Size, tuple[Values, Values]] = {}
    for key, group in trials.groupby(_SIZE, sort=True):
        size, found = _key(key), optima(group)
        ends = found.ends(seeds)
        if found.by_seed is None or ends is None:
            problems[size] = "a tuning seed has no rate that did not diverge"
        elif not found.at_edge:
            values[size] = np.array([found.by_seed[seed].rate for seed in seeds])
        else:
            bounds[size] = ends
            beyond = ends[0].min() == 0 or np.isinf(ends[1]).any()
            problems[size] = (
                "the best rate of a tuning seed is the lowest or highest tried"
                if beyond
                else "the best rate of a tuning seed is the last before training fails or its loss jumps"
            )
    return Samples(values, problems, True, "tuning seeds", tuple(seeds), bounds=bounds)


def _per_size(metric: Metric, tables: Tables, pair: Pair, paired: bool) -> Samples:
    _refuse_borrowed(tables, pair)
    summary = of_pair(tables, metric.table, pair)
    sizes = _sizes(summary)
    found = dict(zip(sizes, summary[metric.name].to_numpy(np.float64, na_value=np.nan), strict=True))
    values = {size: np.array([found[size]]) for size in sorted(sizes) if np.isfinite(found[size])}
    return Samples(values, {size: "not measured" for size in sizes if size not in values}, False, "sizes")


def _sizes(rows: pd.DataFrame) -> list[Size]:
    return [_key(key) for key in rows[_SIZE].itertuples(index=False, name=None)]


def _key(key: Any) -> Size:
    size, full = key
    return int(size), bool(full)


READERS: dict[str, Reader] = {
    "runs": _runs,
    "windows": _timed,
    "summary": _per_size,
    "to_target": _to_target,
    "trials": _tuned,
    "gradients": _drawn("drawn_batch_size", "drawn"),
    "modes": _drawn("evaluated_batch_size", "evaluated"),
    "sharpness": _sharpness,
    "overheads": _overheads,
}
"""How the metrics of a table are read, by its name."""
