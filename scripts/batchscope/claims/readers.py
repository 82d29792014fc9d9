"""How a metric is read: for each table, from its rows to the values per batch size of one data set and recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pandas as pd

from batchscope import text
from batchscope.analysis.rates import optima, repetitions
from batchscope.analysis.summary import GAP, with_gap
from batchscope.analysis.times import shared, times
from batchscope.claims.parts import Effect, NotMeasuredError
from batchscope.claims.samples import Samples, Values
from batchscope.claims.scope import Design
from batchscope.probes.sharpness.analysis import MIN_SIZES, complete_sizes, lowest_common_loss
from batchscope.stats.estimates import Estimate, of_bootstrap, of_fit
from batchscope.tables.cells import SIZE, Pair, Size, of_pair, sizes_of
from batchscope.tables.metrics import TARGETS, Metric
from batchscope.training.checkpoints import Checkpoint, at, of_rows

Tables = Mapping[str, pd.DataFrame]

_NOTHING = {
    "runs": "there are no runs",
    "timings": "nothing was timed",
    "summary": "there is no summary",
    "to_target": "no target was set",
    "trials": "no learning rate was tuned",
    "critical_batch_size": "no critical batch size was fitted",
}
_ENDS = {
    "diverged": "diverged",
    "out_of_memory": "ran out of memory",
    "cut off": "was still improving when its budget ended",
}
_SHARPNESS = {"lambda_max": "λ_max", "keskar_0_001": "φ", "adaptive_sharpness": "adaptive sharpness"}


@dataclass(frozen=True)
class Evidence:
    """What a claim is judged by.

    Attributes:
        tables: those of the study, by name.
        pair: the data set and recipe.
        pairs: those of the study, of which `pair` is one.
        design: the data sets and recipes of the study.
        paired: whether runs of one seed share data, initial weights and order: true of runs of this workflow, not of
            measurements made elsewhere.
    """

    tables: Tables
    pair: Pair
    pairs: Sequence[Pair] = ()
    design: Design = field(default_factory=Design)
    paired: bool = True

    def of(self, pair: Pair) -> Evidence:
        """The same study on another data set and recipe."""
        return replace(self, pair=pair)

    def known(self, table: str) -> pd.DataFrame:
        """The rows of a table about the data set and recipe, also where there are none."""
        return of_pair(self.tables[table], self.pair) if table in self.tables else pd.DataFrame()

    def rows(self, table: str) -> pd.DataFrame:
        """The rows of a table about the data set and recipe; raise `NotMeasuredError` where there are none."""
        found = self.known(table)
        if found.empty:
            raise NotMeasuredError(_NOTHING.get(table, f"there is no table {table}"))
        return found

    def samples(self, metric: Metric) -> Samples:
        """The values of a metric; raise `NotMeasuredError` where the study has none at any size."""
        if metric.probe and (metric.table not in self.tables or self.tables[metric.table].empty):
            raise NotMeasuredError(f"the study has no probe of {metric.probe}")
        if metric.probe and self.known(metric.table).empty:
            raise NotMeasuredError(f"the probe of {metric.probe} does not look at this recipe")
        found = READERS[metric.table](metric, self)
        if not found.values and len(set(found.problems.values())) == 1 and metric.of != "tuning seeds":
            raise NotMeasuredError(f"{metric.words}: {next(iter(found.problems.values()))}")
        return found

    def fits(self) -> list[Fit]:
        """The fits of a critical batch size; raise `NotMeasuredError` where there are none."""
        rows = self.rows("critical_batch_size")
        used = rows[rows["accepted"].astype(bool)]
        tightest = set(used.sort_values(["e_min", "e_min_examples"]).groupby("metric").tail(1).index)
        return [_fit(fit, tightest=label in tightest) for label, fit in rows.iterrows()]

    def tuned_at_edge(self) -> int:
        """Batch sizes whose tuned rate is at an edge; the critical size depends on how rates are chosen."""
        rates = self.known("rates")
        return int(rates["at_edge"].fillna(False).sum()) if "at_edge" in rates else 0


@dataclass(frozen=True)
class Fit:
    """A critical batch size as fitted at one target.

    Attributes:
        where: the target in words.
        size: the batch size, in examples; it may be NaN.
        n_runs: runs behind it.
        estimate: its logarithm, with the freedom of the runs of one batch size, or why the fit is not used.
        tightest: whether its target is the tightest, of its metric, for which the law holds.
    """

    where: str
    size: float
    n_runs: int
    estimate: Estimate | str
    tightest: bool

    @property
    def effect(self) -> Effect:
        """What is tested."""
        return self.where, f"{self.where}: {self.estimate}" if isinstance(self.estimate, str) else self.estimate


def _fit(fit: pd.Series[Any], *, tightest: bool) -> Fit:
    value, low, high = (float(fit[name]) for name in ("b_crit", "ci_low", "ci_high"))
    n_runs = int(fit["n_runs"])
    estimate: Estimate | str
    if not fit["accepted"]:
        estimate = f"no critical batch size ({fit['reason'].removesuffix('.')})"
    elif math.isnan(value) or not 0 < low < high:
        estimate = "the fit has no interval"
    else:
        freedom = max(1, n_runs // int(fit["n_sizes"]) - 1)
        estimate = of_bootstrap(n_runs, math.log(value), math.log(low), math.log(high), freedom)
    return Fit(f"at {_goal(str(fit['metric']), fit['target'])}", value, n_runs, estimate, tightest)


Reader = Callable[[Metric, Evidence], Samples]


def _runs(metric: Metric, evidence: Evidence) -> Samples:
    """One value per run, from a column of the runs or made of two of them."""
    runs = evidence.rows("runs")
    if metric.name == GAP and {"selected_train_accuracy", "selected_test_accuracy"} <= set(runs.columns):
        runs = with_gap(runs)
    if metric.name not in runs.columns:
        raise NotMeasuredError(f"{metric.words}: not measured")
    return _per_run(runs, metric, evidence)


def _per_run(runs: pd.DataFrame, metric: Metric, evidence: Evidence, note: str = "") -> Samples:
    """One value per run. A size that lacks a seed of the others is not usable: the rest would be a choice of seeds.

    A run that diverged has no loss to compare, but the accuracy that it had.
    """
    seeds = sorted(int(seed) for seed in runs["seed"].unique())
    values: dict[Size, Values] = {}
    problems: dict[Size, str] = {}
    remarks: dict[Size, str] = {}
    for size, group in _by_size(runs):
        ordered = group.sort_values("seed")
        numbers = _numbers(ordered[metric.column])
        ended = ordered["outcome"] if "outcome" in ordered else pd.Series("ok", ordered.index)
        if metric.name == "selected_epoch":
            ended = ended.mask(_cut_off(ordered), "cut off")
        if metric.share:
            counted = (ended == "diverged") & np.isfinite(numbers)
            ended = ended.mask(counted, "ok")
            if n := int(counted.sum()):
                remarks[size] = f"{n} of {len(counted)} runs diverged, and count with the accuracy they had"
        found = dict(zip(ordered["seed"].astype(int), zip(ended, numbers, strict=True), strict=True))
        lacking = [_lack(seed, found.get(seed)) for seed in (seeds if evidence.paired else found)]
        reasons = [reason for reason in lacking if reason]
        if not np.isfinite(numbers).any() and (ended == "ok").any():
            problems[size] = "not measured"
        elif reasons:
            problems[size] = reasons[0] + (f"; {len(reasons) - 1} more like it" if len(reasons) > 1 else "")
        else:
            values[size] = numbers
    of, shared = ("seeds", tuple(seeds)) if evidence.paired else ("runs", ())
    return Samples(values, problems, evidence.paired, of, shared, note, remarks=remarks)


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


def _goal(metric: str, target: float) -> str:
    """A target in words; the name that an import gave its metric where it is none of ours."""
    return f"{TARGETS[metric].words if metric in TARGETS else metric.replace('_', ' ')} {target:g}"


def _to_target(metric: Metric, evidence: Evidence) -> Samples:
    """Values to the tightest target that every run of every size reached: the one that took the most epochs.

    A loss, where the study has targets that are losses.
    """
    rows = evidence.rows("to_target")
    losses = rows[rows["metric"].str.endswith("loss")]
    rows = losses if len(losses) else rows
    targets = rows.groupby(["metric", "target"], sort=False)
    effort = targets["epochs"].mean()[targets["reached"].all()]
    if effort.empty:
        raise NotMeasuredError("no target was reached by all runs of all sizes")
    tightest = effort.idxmax() if effort.notna().any() else effort.index[-1]
    name, target = cast(tuple[str, float], tightest)
    note = f"to {_goal(name, target)}"
    found = _per_run(targets.get_group((name, target)), metric, evidence, note)
    timings = evidence.known("timings")
    if metric.column not in ("seconds", "joules") or timings.empty:
        return found
    return replace(found, times=times(timings), warning=shared(timings))


def _refuse_borrowed(evidence: Evidence) -> None:
    """One measurement is judged once: under the recipe that was timed, not under those that take its timings."""
    timings = evidence.known("timings")
    lenders = set(timings["timed_recipe"]) if "timed_recipe" in timings else set()
    if lenders - {evidence.pair[1]}:
        raise NotMeasuredError(f"its timings are those of {min(lenders)}, where they are judged")


def _drawn(size: str, what: str) -> Reader:
    """A reader of values by the size of batches that a probe drew, in the column `size`.

    They are those at the earliest checkpoint and for runs of the smallest size looked at.
    """

    def read(metric: Metric, evidence: Evidence) -> Samples:
        rows = evidence.rows(metric.table)
        first = rows.sort_values(["updates", "batch_size"], kind="stable").head(1)
        (checkpoint,), (trained,) = of_rows(first), first["batch_size"]
        rows = at(rows[rows["batch_size"] == trained], checkpoint)
        weights = f"the weights of runs with batch size {trained:,}, {checkpoint.when}"
        note = f"with {weights}; sizes are of batches {what}"
        if metric.finite:
            n, drawn = rows["examples"].astype("float64"), rows[size].astype("float64")
            rows = rows.assign(**{metric.name: rows[metric.name] * ((n - 1) / (n - drawn)) ** metric.finite})
            note += ", corrected for draws without replacement"
        return _per_run(rows.assign(batch_size=rows[size], full_batch=False), metric, evidence, note)

    return read


def _sharpness(metric: Metric, evidence: Evidence) -> Samples:
    """Values at the training loss that most sizes reached in all their runs; the others are left out, and named."""
    rows, runs = evidence.rows("sharpness"), evidence.rows("runs")
    checkpoint = lowest_common_loss(rows, runs)
    if checkpoint is None:
        raise NotMeasuredError(
            f"fewer than {MIN_SIZES} batch sizes (both of two) kept weights at a common training loss in all runs"
        )
    shared = complete_sizes(rows, runs, checkpoint)
    rows = at(rows, checkpoint).merge(pd.DataFrame(shared, columns=SIZE), on=SIZE)
    losses = rows["train_loss"].astype("float64")
    apart = f", so at training losses from {losses.min():.2g} to {losses.max():.2g}"
    apart = ", interpolated" if checkpoint.interpolated else apart
    lost = [size.label for size in sizes_of(runs) if size not in shared]
    without = f", without {text.listing(lost)}, whose runs did not all fall so far" if lost else ""
    others = _by_other_measures(evidence, checkpoint) if metric.name == "lambda_max" else ""
    return _per_run(rows, metric, evidence, f"of the weights {checkpoint.when}{apart}{without}{others}")


def _by_other_measures(evidence: Evidence, checkpoint: Checkpoint) -> str:
    """What the measures that rescaling leaves alone, or changes otherwise, say of the batch size at a checkpoint."""
    trends = evidence.known("sharpness_trends")
    if trends.empty:
        return ""
    here = at(trends[trends["against"] == "batch_size"], checkpoint)
    parts = []
    for measure, words in _SHARPNESS.items():
        for _, row in here[here["measure"] == measure].dropna(subset=["correlation"]).iterrows():
            ends = (float(row[name]) for name in ("correlation", "ci_low", "ci_high"))
            value, low, high = (round(end, 2) if np.isfinite(end) else None for end in ends)
            parts.append(f"{words} {text.interval(value, low, high)}")
    return f" (rank correlation with the batch size there: {', '.join(parts)})" if parts else ""


def _overheads(metric: Metric, evidence: Evidence) -> Samples:
    """Shares that the line of the fused loop gives at each size; the sizes are the sample, less two for the line."""
    rows, costs = evidence.rows("overheads"), evidence.rows("update_costs")
    n = int(costs.loc[costs["loop"] == "fused", "n_sizes"].iloc[0])
    fitted, values, problems = {}, {}, {}
    for size, group in _by_size(rows):
        value, low, high = (float(group[f"{metric.name}{end}"].iloc[0]) for end in ("", "_ci_low", "_ci_high"))
        if np.isfinite([value, low, high]).all():
            fitted[size], values[size] = of_fit(n, value, low, high, n - 2), np.array([value])
        else:
            problems[size] = str(group["reason"].iloc[0]) or "the fit gives no interval"
    return Samples(values, problems, False, "sizes", note="from a line through the times of all sizes", fitted=fitted)


def _timed(metric: Metric, evidence: Evidence) -> Samples:
    """One value per size, the median of its timing, whose error stands for the spread."""
    _refuse_borrowed(evidence)
    timings = evidence.rows("timings")
    found = times(timings)
    if not found:
        raise NotMeasuredError(_NOTHING["timings"])
    values = {size: _numbers(group[metric.name]) for size, group in _by_size(timings) if size in found}
    every = {*sizes_of(timings), *(sizes_of(evidence.rows("runs")) if "runs" in evidence.tables else ())}
    problems = dict.fromkeys(every - set(values), "not timed")
    return Samples(values, problems, False, "timed windows", warning=shared(timings), times=found)


def _tuned(metric: Metric, evidence: Evidence) -> Samples:
    """The best learning rate of each tuning seed, between the rates tried; see `rates.optimum` and `repetitions`."""
    trials = repetitions(evidence.rows("trials"), paired=evidence.paired)
    seeds = sorted(int(seed) for seed in trials["seed"].unique())
    values: dict[Size, Values] = {}
    problems: dict[Size, str] = {}
    bounds: dict[Size, tuple[Values, Values]] = {}
    for size, group in _by_size(trials):
        found = optima(group)
        ends = found.ends(seeds)
        if found.by_seed is None or ends is None:
            problems[size] = "a tuning seed has no rate that did not diverge"
        elif found.located:
            values[size] = np.array([found.by_seed[seed].rate for seed in seeds])
        else:
            bounds[size] = ends
            beyond = ends[0].min() == 0 or np.isinf(ends[1]).any()
            edge = "lowest or highest tried" if beyond else "last before training fails or its loss jumps"
            problems[size] = f"the best rate of a tuning seed is the {edge}"
    return Samples(values, problems, True, "tuning seeds", tuple(seeds), bounds=bounds)


def _per_size(metric: Metric, evidence: Evidence) -> Samples:
    """The one value of a size that the summary has."""
    _refuse_borrowed(evidence)
    rows = evidence.rows(metric.table)
    found = {size: _numbers(group[metric.name]) for size, group in _by_size(rows)}
    values = {size: value for size, value in found.items() if np.isfinite(value).all()}
    kinds = rows.get(f"{metric.name.rpartition('_')[0]}_kind", pd.Series(dtype="str")).dropna()
    note = f"({kinds.iloc[0]})" if len(kinds) else ""
    return Samples(values, dict.fromkeys(found.keys() - values, "not measured"), False, "sizes", note=note)


def _by_size(rows: pd.DataFrame) -> Iterator[tuple[Size, pd.DataFrame]]:
    """The rows of each batch size, smallest first."""
    for key, group in rows.groupby(SIZE, sort=True):
        size, full = cast(tuple[int, bool], key)
        yield Size(int(size), bool(full)), group


def _numbers(column: pd.Series[float]) -> Values:
    return np.asarray(column.to_numpy(np.float64, na_value=np.nan))


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
