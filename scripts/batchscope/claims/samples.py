"""From the tables of a study to the numbers that a claim is about: per batch size, over seeds or timed windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope import text
from batchscope.analysis.best import label
from batchscope.analysis.rates import optima
from batchscope.analysis.summary import GAP, with_gap
from batchscope.claims.definitions import METRICS
from batchscope.claims.scope import Pair
from batchscope.probes.moments import CROSSED, EQUAL
from batchscope.probes.sharpness.analysis import MIN_SIZES, complete_sizes, lowest_common_loss

Tables = Mapping[str, pd.DataFrame]
Size = tuple[int, bool]  # batch_size and full_batch
Values = NDArray[np.float64]

_SIZE = ["batch_size", "full_batch"]
_NOTHING = {
    "runs": "there are no runs",
    "windows": "nothing was timed",
    "summary": "there is no summary",
    "to_target": "no target was set",
    "trials": "no learning rate was tuned",
    "critical_batch_size": "no critical batch size was fitted",
}
_DRAWN = (("drawn_batch_size", "drawn"), ("evaluated_batch_size", "evaluated"))
# Powers of the factor (n − 1)/(n − B) by which draws without replacement shrink what a batch of B examples shows.
_FINITE = {"gradient_variance": 1.0, "gradient_signal_to_noise": -0.5}
_ENDS = {
    "diverged": "diverged",
    "out_of_memory": "ran out of memory",
    "cut off": "was still improving when its budget ended",
}


class NotMeasuredError(Exception):
    """What a claim is about was not measured; the text says why."""


@dataclass(frozen=True)
class Fitted:
    """A number that a fit gives, with its 95 % interval and the degrees of freedom of Student's t behind it."""

    value: float
    low: float
    high: float
    freedom: int


@dataclass(frozen=True)
class Samples:
    """The values of a metric for one data set and recipe.

    Attributes:
        values: by size, smallest first, those of every repetition; where `paired`, in the order of `seeds`.
        problems: by size, why it has no usable values; a size is in `values` or here.
        paired: whether the sizes share their repetitions, so that differences are taken seed by seed.
        of: what the values are repeated over, in words.
        seeds: the seeds, empty where the values are not paired.
        note: what else a reader must know of the metric, such as the target.
        remarks: by size, what else a reader must know of its values.
        fitted: by size, where the value is what a fit over all sizes gives there.
        bounds: by size, the two ends that each value lies between (0 and infinity where it has none) where that is all
            that is known, so that the size is among the problems.
    """

    values: dict[Size, Values]
    problems: dict[Size, str]
    paired: bool
    of: str
    seeds: tuple[int, ...] = ()
    note: str = ""
    remarks: Mapping[Size, str] = field(default_factory=dict)
    fitted: Mapping[Size, Fitted] = field(default_factory=dict)
    bounds: Mapping[Size, tuple[Values, Values]] = field(default_factory=dict)

    @property
    def sizes(self) -> list[Size]:
        """Every size of the data set and recipe, smallest first."""
        return sorted([*self.values, *self.problems])

    def size(self, wanted: int | str) -> Size:
        """The size that a claim names: a number, `full`, `smallest` or `largest`; else `NotMeasuredError`."""
        found = self.sizes
        if wanted in ("smallest", "largest"):
            return found[0] if wanted == "smallest" else found[-1]
        matching = [size for size in found if (size[1] if wanted == "full" else size[0] == wanted)]
        if not matching:
            what = "full batch" if wanted == "full" else f"batch size {wanted:,}"
            raise NotMeasuredError(f"the study has no {what}")
        return matching[0]

    def chosen(self, wanted: list[int | str] | str) -> list[Size]:
        """The sizes of a list, or those of the study for `all`, in ascending order."""
        return self.sizes if isinstance(wanted, str) else sorted({self.size(each) for each in wanted})


def of_pair(tables: Tables, table: str, pair: Pair) -> pd.DataFrame:
    """The rows of a table about one data set and recipe; raise `NotMeasuredError` where there are none."""
    frame = tables.get(table)
    found = None if frame is None else rows_of(frame, pair)
    if found is None or found.empty:
        raise NotMeasuredError(_NOTHING.get(table, f"there is no table {table}"))
    return found


def rows_of(frame: pd.DataFrame, pair: Pair) -> pd.DataFrame:
    """The rows of `frame` about one data set and recipe, also where there are none."""
    return frame[(frame["dataset"] == pair[0]) & (frame["recipe"] == pair[1])]


def samples(metric: str, tables: Tables, pair: Pair, *, paired: bool = True) -> Samples:
    """The values of `metric` for the data set and recipe `pair`.

    Args:
        metric: a name of `claims.METRICS`, other than critical_batch_size.
        tables: the tables of the study.
        pair: data set and recipe.
        paired: whether runs of one seed share data, initial weights and order: true of runs of this workflow, not of
            measurements made elsewhere.

    Raises:
        NotMeasuredError: where the study has no value of the metric at any size.
    """
    known = METRICS[metric]
    if known.probe and (known.table not in tables or tables[known.table].empty):
        raise NotMeasuredError(f"the study has no probe of {known.probe}")
    if known.probe and rows_of(tables[known.table], pair).empty:
        raise NotMeasuredError(f"the probe of {known.probe} does not look at this recipe")
    if known.table in ("windows", "summary"):
        _refuse_borrowed(tables, pair)
    if known.table == "windows":
        found = _timed(metric, tables, pair)
    elif known.table == "trials":
        found = _tuned(of_pair(tables, "trials", pair))
    elif known.of == "sizes":
        found = _per_size(of_pair(tables, known.table, pair), metric)
    elif known.table == "sharpness":
        found = _sharpness(tables, pair, metric, paired)
    elif known.table == "overheads":
        found = _overheads(of_pair(tables, "overheads", pair), of_pair(tables, "update_costs", pair), metric)
    elif known.probe:
        found = _drawn(of_pair(tables, known.table, pair), metric, paired)
    elif known.table == "to_target":
        found = _to_target(of_pair(tables, "to_target", pair), metric, paired)
    else:
        found = _per_run(_with_metric(of_pair(tables, known.table, pair), metric), metric, paired)
    if not found.values and len(set(found.problems.values())) == 1 and metric != "best_learning_rate":
        raise NotMeasuredError(f"{known.words}: {next(iter(found.problems.values()))}")
    return found


def _with_metric(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """`runs` with the column `metric`, made where the table does not have it as such."""
    if metric == GAP and {"selected_train_accuracy", "selected_test_accuracy"} <= set(runs.columns):
        runs = with_gap(runs)
    if metric not in runs.columns:
        raise NotMeasuredError(f"{METRICS[metric].words}: not measured")
    return runs


def _per_run(runs: pd.DataFrame, metric: str, paired: bool, note: str = "") -> Samples:
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
        numbers = ordered[metric].to_numpy(np.float64, na_value=np.nan)
        ended = ordered["outcome"] if "outcome" in ordered else pd.Series("ok", ordered.index)
        if metric == "selected_epoch":
            ended = ended.mask(_cut_off(ordered), "cut off")
        if metric.endswith("_accuracy"):
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


def _to_target(rows: pd.DataFrame, metric: str, paired: bool) -> Samples:
    """Values to the tightest target that every run of every size reached: the one that took the most epochs.

    A loss, where the study has targets that are losses.
    """
    losses = rows[rows["metric"].str.endswith("loss")]
    rows = losses if len(losses) else rows
    column = metric.removesuffix("_to_target")
    reached = rows.groupby(["metric", "target"], sort=False)["reached"].all()
    if not reached.any():
        raise NotMeasuredError("no target was reached by all runs of all sizes")
    common = rows.set_index(["metric", "target"]).loc[list(reached.index[reached])]
    effort = common["epochs"].groupby(level=[0, 1], sort=False).mean()
    tightest: Any = effort.idxmax() if effort.notna().any() else reached.index[reached][-1]
    name, target = tightest
    chosen = rows[(rows["metric"] == name) & (rows["target"] == target)]
    note = f"to {str(name).replace('_', ' ')} {target:g}"
    return _per_run(chosen.drop(columns="metric").rename(columns={column: metric}), metric, paired, note)


def _refuse_borrowed(tables: Tables, pair: Pair) -> None:
    """One measurement is judged once: under the recipe that was timed, not under those that take its timings."""
    timings = tables.get("timings")
    if timings is None or "timed_recipe" not in timings:
        return
    lenders = set(rows_of(timings, pair)["timed_recipe"])
    if lenders - {pair[1]}:
        raise NotMeasuredError(f"its timings are those of {min(lenders)}, where they are judged")


def _drawn(rows: pd.DataFrame, metric: str, paired: bool) -> Samples:
    """Values by the size of the batches drawn, at the earliest moment and for runs of the smallest size looked at."""
    first = rows.sort_values(["updates", "batch_size"], kind="stable").iloc[0]
    rows = rows[(rows["moment"] == first["moment"]) & (rows["batch_size"] == first["batch_size"])]
    drawn, what = next(kind for kind in _DRAWN if kind[0] in rows)
    weights = f"the weights of runs with batch size {first['batch_size']:,}, {_when(first['moment'])}"
    note = f"with {weights}; sizes are of batches {what}"
    if metric in _FINITE:
        n, size = rows["examples"].astype("float64"), rows[drawn].astype("float64")
        rows = rows.assign(**{metric: rows[metric] * ((n - 1) / (n - size)) ** _FINITE[metric]})
        note += ", corrected for draws without replacement"
    return _per_run(rows.assign(batch_size=rows[drawn], full_batch=False), metric, paired, note)


def _sharpness(tables: Tables, pair: Pair, metric: str, paired: bool) -> Samples:
    """Values at the training loss that most sizes reached in all their runs; the others are left out, and named."""
    rows, runs = of_pair(tables, "sharpness", pair), of_pair(tables, "runs", pair)
    moment = lowest_common_loss(rows, runs)
    if moment is None:
        raise NotMeasuredError(
            f"fewer than {MIN_SIZES} batch sizes (both of two) kept weights at a common training loss in all runs"
        )
    shared = complete_sizes(rows, runs, moment)
    rows = rows[rows["moment"] == moment].merge(pd.DataFrame(shared, columns=_SIZE), on=_SIZE)
    losses = rows["train_loss"].astype("float64")
    apart = "" if moment.startswith(EQUAL) else f", so at training losses from {losses.min():.2g} to {losses.max():.2g}"
    lost = [
        label(*size)
        for size in sorted({_key(key) for key in runs[_SIZE].itertuples(index=False, name=None)} - set(shared))
    ]
    without = f", without {text.listing(lost)}, whose runs did not all fall so far" if lost else ""
    others = _by_other_measures(tables, pair, moment) if metric == "lambda_max" else ""
    return _per_run(rows, metric, paired, f"of the weights {_when(moment)}{apart}{without}{others}")


def _by_other_measures(tables: Tables, pair: Pair, moment: str) -> str:
    """What the measures that rescaling leaves alone, or changes otherwise, say of the batch size at a moment."""
    trends = rows_of(tables["sharpness_trends"], pair) if "sharpness_trends" in tables else pd.DataFrame()
    if trends.empty:
        return ""
    here = trends[(trends["moment"] == moment) & (trends["against"] == "batch_size")]
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


def _overheads(rows: pd.DataFrame, costs: pd.DataFrame, metric: str) -> Samples:
    """Shares that the line of the fused loop gives at each size; the sizes are the sample, less two for the line."""
    freedom = int(costs.loc[costs["loop"] == "fused", "n_sizes"].iloc[0]) - 2
    fitted, values, problems = {}, {}, {}
    for row in rows.to_dict("records"):
        value, low, high = (float(row[f"{metric}{end}"]) for end in ("", "_ci_low", "_ci_high"))
        size = int(row["batch_size"]), bool(row["full_batch"])
        if np.isfinite([value, low, high]).all():
            fitted[size], values[size] = Fitted(value, low, high, freedom), np.array([value])
        else:
            problems[size] = str(row["reason"]) or "the fit gives no interval"
    return Samples(values, problems, False, "sizes", note="from a line through the times of all sizes", fitted=fitted)


def _when(moment: str) -> str:
    """A moment as a sentence names it."""
    words = {"start": "before the first update", "end": "at the end"}
    if moment.startswith(EQUAL):
        return f"at training loss {moment.removeprefix(EQUAL)}, interpolated"
    if moment.startswith(CROSSED):
        return f"at the first evaluation at or below training loss {moment.removeprefix(CROSSED)}"
    return words.get(moment, f"at {moment}" + (" of the budget" if moment.endswith("%") else ""))


def _timed(metric: str, tables: Tables, pair: Pair) -> Samples:
    """One value per timed window. Windows of one timing: how a second timing would differ is not in their spread."""
    windows, timings = of_pair(tables, "windows", pair), of_pair(tables, "timings", pair)
    per_epoch = timings.set_index(_SIZE)["updates_per_epoch"]
    values: dict[Size, Values] = {}
    for key, group in windows.groupby(_SIZE, sort=True):
        size, seconds = _key(key), group["seconds_per_update"].to_numpy(np.float64)
        if metric == "examples_per_second":
            values[size] = size[0] / seconds
        else:
            values[size] = seconds * (float(per_epoch.loc[size]) if metric == "seconds_per_epoch" else 1.0)
    frames = [of_pair(tables, "runs", pair), timings] if "runs" in tables else [timings]
    every = {_key(key) for frame in frames for key in frame[_SIZE].itertuples(index=False, name=None)}
    return Samples(values, dict.fromkeys(every - set(values), "not timed"), False, "timed windows")


def _tuned(trials: pd.DataFrame) -> Samples:
    """The best learning rate of each tuning seed, between the rates tried; see `rates.optimum`."""
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


def _per_size(summary: pd.DataFrame, metric: str) -> Samples:
    sizes = [_key(key) for key in summary[_SIZE].itertuples(index=False, name=None)]
    found = dict(zip(sizes, summary[metric].to_numpy(np.float64, na_value=np.nan), strict=True))
    values = {size: np.array([found[size]]) for size in sorted(sizes) if np.isfinite(found[size])}
    return Samples(values, {size: "not measured" for size in sizes if size not in values}, False, "sizes")


def _key(key: Any) -> Size:
    size, full = key
    return int(size), bool(full)
