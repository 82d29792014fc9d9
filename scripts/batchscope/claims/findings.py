"""One claim on one data set and recipe: the parts of its test and the numbers behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from batchscope import text as numbers
from batchscope.analysis.best import label
from batchscope.analysis.summary import without_core
from batchscope.claims import scope, words
from batchscope.claims.definitions import METRICS
from batchscope.claims.estimates import Estimate, largest, over_seeds
from batchscope.claims.samples import NotMeasuredError, Samples, Size, Tables, of_pair, rows_of, samples
from batchscope.claims.scope import Pair
from batchscope.claims.tests import Goal, Part, along, judge, parts, scaled
from batchscope.stats import CONFIDENCE, FITTED_SIZES
from batchscope.training.recipes import updates_per_epoch

Claim = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What a study says about a claim on one data set and recipe.

    Attributes:
        parts: the comparisons, empty where the claim is decided by counting.
        log: whether effects are logarithms of what is shown.
        unit: unit of the effects as they are shown.
        of: what the values are repeated over.
        n: how many of them there are at each size; the fewest.
        sizes: the batch sizes that the verdict is about.
        numbers: the values at these sizes, in words.
        counted: whether everything that was counted is as stated; None for a claim that is tested.
    """

    parts: tuple[Part, ...]
    log: bool
    unit: str
    of: str
    n: int
    sizes: tuple[Size, ...]
    numbers: str
    counted: bool | None = None


def find(claim: Claim, pair: Pair, pairs: Sequence[Pair], tables: Tables, study: Mapping[str, Any]) -> Finding:
    """Test a claim on the data set and recipe `pair`, one of the `pairs` of the study.

    Raises:
        NotMeasuredError: where the study lacks the metric, a size that the claim names, or a recipe to compare with.
    """
    kind = claim["test"]["kind"]
    if kind == "count":
        return _count(claim, of_pair(tables, "runs", pair))
    if kind == "critical":
        fits = of_pair(tables, "critical_batch_size", pair)
        _enough_sizes(of_pair(tables, "to_target", pair))
        return _critical(claim, fits, _edges(tables, pair))
    paired = pair[1] in study["recipes"]
    found = samples(claim["metric"], tables, pair, paired=paired)
    if kind == "arms":
        return _arms(claim, pair, pairs, tables, study, found)
    other = claim["test"].get("along")
    tested = along(claim, found, samples(other, tables, pair, paired=paired)) if other else parts(claim, found)
    sizes = _sizes(claim, found)
    text = words.means(METRICS[claim["metric"]], found, sizes)
    if kind in ("falls", "rises") and not other:
        text = "; ".join(filter(None, [text, words.turn(found, sizes, kind == "falls")]))
    if METRICS[claim["metric"]].table == "windows":
        text = "; ".join(filter(None, [text, _disturbed(of_pair(tables, "timings", pair))]))
    log, unit = _unit(claim)
    return Finding(tuple(tested), log, unit, found.of, _fewest(found, sizes), tuple(sizes), text)


def _disturbed(timings: pd.DataFrame) -> str:
    """How many timings something else slowed down, as a warning; empty where none."""
    short = len(without_core(timings))
    return f"{short} of {numbers.count(len(timings), 'timing')} did not have a core alone" if short else ""


def _unit(claim: Claim) -> tuple[bool, str]:
    """Whether the effect is a logarithm of what is shown, and the unit of what is shown."""
    kind, unit = claim["test"]["kind"], METRICS[claim["metric"]].unit
    if kind == "slope":
        return False, ""
    log = kind in ("ratio", "more_spread") or scaled(claim)[0]
    if kind in ("falls", "rises"):
        of = f" of {METRICS[claim['test']['along']].words}" if claim["test"]["along"] else ""
        return log, f"{'×' if log else unit} per doubling{of}".strip()
    return log, "×" if log else unit


def _sizes(claim: Claim, found: Samples) -> list[Size]:
    """The sizes that a claim is about, smallest first."""
    test = claim["test"]
    if "pairs" in test:
        return sorted({found.size(each) for pair in test["pairs"] for each in pair})
    named = [size for key in ("batch_sizes", "than", "among") if key in test for size in found.chosen(test[key])]
    return sorted({*named, *([found.size(test["batch_size"])] if "batch_size" in test else [])})


def _fewest(found: Samples, sizes: Sequence[Size]) -> int:
    if found.fitted:
        return min(fitted.freedom for fitted in found.fitted.values()) + 2
    if found.of == "sizes":
        return len([size for size in sizes if size in found.values])
    return min((len(found.values[size]) for size in sizes if size in found.values), default=0)


def _count(claim: Claim, runs: pd.DataFrame) -> Finding:
    """Exact: the counts of the source, and those of the study's own runs."""
    wrong = []
    for case in claim["test"]["cases"]:
        examples, size = case["examples"], case["batch_size"]
        right = updates_per_epoch(examples, size, "keep")
        if case["updates"] != right:
            wrong.append(f"{case['updates']:,} is stated for {examples:,} examples at {size:,}, which make {right:,}")
    whole = (runs["epochs"] >= 1) & (runs["epochs"] % 1 == 0)  # of a part of an epoch, the last batch may be missing
    made: list[dict[str, Any]] = runs[whole.fillna(False)].to_dict("records")  # type: ignore[assignment]
    for run in made:
        counted = run["updates"] / run["epochs"]
        if counted != updates_per_epoch(int(run["n_train"]), int(run["batch_size"]), "keep"):
            size = label(int(run["batch_size"]), bool(run["full_batch"]))
            wrong.append(f"a run at {size} made {counted:,g} per epoch of {run['n_train']:,} examples")
    sizes = tuple(sorted({(int(run["batch_size"]), bool(run["full_batch"])) for run in made}))
    both = f"{len(claim['test']['cases'])} counts of the source and those of {numbers.count(len(made), 'run')}"
    text = f"Of {both} not all are N/B rounded up: {wrong[0]}" if wrong else f"All {both} are N/B rounded up"
    return Finding((), False, "", "runs", len(made), sizes, text, not wrong)


def _enough_sizes(reached: pd.DataFrame) -> None:
    """A recipe without the sizes that the law needs was not made to show it."""
    n_sizes = reached["batch_size"].nunique()
    if n_sizes < FITTED_SIZES:
        raise NotMeasuredError(f"{numbers.count(n_sizes, 'batch size')}; the fit needs {FITTED_SIZES}")


def _edges(tables: Tables, pair: Pair) -> str:
    """A warning where tuned rates are at an edge, since the critical size depends on how rates are chosen."""
    rates = tables.get("rates")
    if rates is None:
        return ""
    count = int(rows_of(rates, pair)["at_edge"].fillna(False).sum())
    return (
        f"; the tuned rate of {numbers.count(count, 'batch size')} is at the edge of what could be trained"
        if count
        else ""
    )


def _critical(claim: Claim, rows: pd.DataFrame, warning: str) -> Finding:
    """The critical batch size at the tightest target, of each metric, for which the law holds, with its interval.

    The critical size grows as the target tightens, so one number cannot be right at all of them.
    """
    goal = Goal("within", math.log(claim["test"]["equals"]), math.log(claim["margin"]))
    tested, shown = [], []
    fits: list[dict[str, Any]] = rows.to_dict("records")  # type: ignore[assignment]
    used = rows[rows["accepted"].astype(bool)]
    tightest = used.sort_values("e_min").groupby("metric").tail(1)
    for position, fit in enumerate(fits):
        where = f"at {str(fit['metric']).replace('_', ' ')} {fit['target']:g}"
        estimate = _fitted(fit)
        if used.empty or rows.index[position] in tightest.index:
            tested.append(judge(where, f"{where}: {estimate}" if isinstance(estimate, str) else estimate, goal))
        shown.append(f"{'none' if isinstance(estimate, str) else numbers.number(fit['b_crit'])} {where}")
    n = int(tightest["n_runs"].min()) if len(tightest) else 0
    found = f": {', '.join(shown)}" if len(shown) > 1 or not len(tightest) else ""
    text = f"Critical batch size in examples{found}{warning}"
    return Finding(tuple(tested), True, "examples", "runs", n, (), text)


def _fitted(fit: Mapping[str, Any]) -> Estimate | str:
    """A fitted size and its test, or why the fit is not used.

    Student's t in the logarithm, with the freedom of the runs of one size; the standard error is the half of the
    interval that faces the threshold over the quantile of t.
    """
    if not fit["accepted"]:
        return f"no critical batch size ({fit['reason'].removesuffix('.')})"
    ends = [fit["b_crit"], fit["ci_low"], fit["ci_high"]]
    if pd.isna(ends).any() or not 0 < ends[1] < ends[2]:
        return "the fit has no interval"
    value, low, high = (math.log(each) for each in ends)
    freedom = max(1, int(fit["n_runs"]) // int(fit["n_sizes"]) - 1)
    reach = float(special.stdtrit(freedom, 0.5 + CONFIDENCE / 2))

    def test(threshold: float) -> tuple[float | None, float | None]:
        error = (value - low if threshold < value else high - value) / reach
        if error <= 0:  # the interval does not reach beyond the estimate on this side
            return None, None
        t = (value - threshold) / error
        return float(special.stdtr(freedom, -t)), float(special.stdtr(freedom, t))

    return Estimate(int(fit["n_runs"]), value, low, high, None, test)


def _arms(
    claim: Claim, pair: Pair, pairs: Sequence[Pair], tables: Tables, study: Mapping[str, Any], found: Samples
) -> Finding:
    """The metric with one recipe beside that with recipes that differ in one thing, seed by seed, at each size."""
    test, tested, texts, sizes = claim["test"], [], [], set()
    metric = METRICS[claim["metric"]]
    for value in test["second"]:
        twins = scope.twins(test["key"], value, pair, pairs, study)
        if not twins:
            shown = str(value).lower() if isinstance(value, bool) else value
            raise NotMeasuredError(f"no recipe of the study differs from {pair[1]} in {test['key']} ({shown}) alone")
        for twin in twins:
            other = samples(claim["metric"], tables, twin)
            chosen = [size for size in found.chosen(test["batch_sizes"]) if size in other.sizes]
            if not chosen or (test["batch_sizes"] != "all" and len(chosen) < len(test["batch_sizes"])):
                raise NotMeasuredError(f"{pair[1]} and {twin[1]} do not share the batch sizes")
            tested += [_arm(claim, twin[1], found, other, size) for size in chosen]
            texts.append(f"with {twin[1]} {words.series(metric, other, chosen)}")
            sizes |= set(chosen)
    ordered = sorted(sizes)
    head = f"{words.named(metric, found)}: with {pair[1]} {words.series(metric, found, ordered)}"
    text = "; ".join([head, *texts])
    log, unit = _unit(claim)
    return Finding(tuple(tested), log, unit, found.of, _fewest(found, ordered), tuple(ordered), text)


def _arm(claim: Claim, name: str, found: Samples, other: Samples, size: Size) -> Part:
    log, margin = scaled(claim)
    relation = {"lower": "below", "higher": "above", "similar": "within"}[claim["test"]["relation"]]
    goal = Goal(relation, 0.0, margin)  # type: ignore[arg-type]
    text = f"{'divided by' if log else 'minus'} {name} at {label(*size)}"
    for each in (found, other):
        if size in each.problems:
            return judge(text, f"batch size {label(*size)}: {each.problems[size]}", goal)
    if found.seeds != other.seeds:
        return judge(text, f"{name} was not run with the same seeds", goal)
    first, second = found.values[size], other.values[size]
    if log and min(first.min(), second.min()) <= 0:
        return judge(text, "a value is not above zero, so there is no ratio", goal)
    if log:
        first, second = np.log(first), np.log(second)
    return judge(text, over_seeds(first - second, largest(first, second)), goal)
