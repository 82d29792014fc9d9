"""What the card of runs made elsewhere says besides: what their table left out, and what to measure next."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from batchscope import text
from batchscope.analysis.best import COMPARED
from batchscope.analysis.external_runs import selecting
from batchscope.analysis.external_runs.given import best_mean_in_words
from batchscope.analysis.external_runs.rows import rate_step
from batchscope.analysis.scaling import MAX_RESOLUTION
from batchscope.figures.sheets import Row, number, rows
from batchscope.figures.targets import metric_words
from batchscope.report.content import Content, size
from batchscope.tables.cells import CELL, SIZE, Pair
from batchscope.tables.metrics import METRICS

_NEXT = 2  # sizes that are named with the number of runs that would tell them apart
IN_MOST = "in 4 of 5 such studies"  # the power of 80 % that `seeds_to_tell` has, at the spread that was seen


def left_out(content: Content, pair: Pair) -> str:
    """How many rows of the table are no results, and why."""
    found = content.of("left_out", pair)
    if found.empty:
        return ""
    counts = found.groupby("reason", sort=False)["rows"].sum().sort_values(ascending=False, kind="stable")
    several = len(counts) > 1
    reasons = text.listing(
        [f"{text.integer(int(n))} {reason}" if several else str(reason) for reason, n in counts.items()]
    )
    return f"Left out: {text.count(int(counts.sum()), 'row')} of the table ({reasons})."


def at_best_rate(content: Content, pair: Pair) -> str:
    """How many of the runs stand at the best learning rate of their size; which rate it is where there is but one."""
    choices = content.rows("rate_choices", pair)
    if not choices:
        return _one_rate(content, pair)
    best, passed_over = best_mean_in_words(str(choices[0]["criterion"])), str(choices[0]["passed_over"])
    among, others = "", ""
    if passed_over:
        among = " among the rates at which the largest share of runs succeeded"
        named = text.listing(passed_over.split("; "))
        others = f" A smaller share of runs succeeded at learning rates with a better mean: {named}."
    kept = len(content.of("runs", pair))
    return (
        f"Each size stands at its best learning rate, that of the {best}{among}: {text.integer(kept)} of "
        f"{text.count(int(choices[0]['runs']), 'run')}.{others}"
    )


def _one_rate(content: Content, pair: Pair) -> str:
    """That all sizes stand at one learning rate, where the table says so."""
    runs = content.of("runs", pair)
    rates = runs["learning_rate"].dropna()
    if runs["batch_size"].nunique() < 2 or len(rates) < len(runs) or rates.map(rate_step).nunique() != 1:
        return ""
    return f"All runs compared had the learning rate {rates.iloc[0]:g}: one for all sizes favours some of them."


def all_runs(content: Content) -> int:
    """How many runs with a result the table holds, those at other learning rates than the best among them."""
    chosen = {(str(row["dataset"]), str(row["recipe"])): int(row["runs"]) for row in content.all_rows("rate_choices")}
    return sum(chosen.get(pair, len(content.of("runs", pair))) for pair in content.pairs)


def more(content: Content, pair: Pair, row: Row) -> list[str]:
    """What to measure next: more runs, rates beyond those tried, finer looks."""
    return [_more_runs(content, pair, row), _rates(content, pair), _looks(content, pair)]


def _more_runs(content: Content, pair: Pair, row: Row) -> str:
    """How many runs of each size would show the differences from the best that were not shown."""
    if number(row, "difference") is not None:
        return ""  # said beside the recommended size
    open_ = [each for each in content.rows("best", pair) if each["status"] == COMPARED and not each["told_apart"]]
    known = [each for each in open_ if number(each, "seeds_to_tell") and number(each, "difference")]
    if not known:
        return ""
    order = sorted(known, key=lambda each: float(each["seeds_to_tell"]))[:_NEXT]
    unit = METRICS[str(row["metric"])].unit
    parts = [
        f"{text.integer(number(each, 'seeds_to_tell'))} runs per size for {size(each)} "
        f"({text.number(abs(float(each['difference'])), 2)}{f' {unit}' if unit else ''})"
        for each in order
    ]
    return f"About {text.listing(parts)} would show the difference from the best mean {IN_MOST}."


def _rates(content: Content, pair: Pair) -> str:
    """At which sizes the best learning rate was the lowest or the highest tried, and at which runs failed beyond it."""
    left_out = content.of("left_out", pair)
    failed = left_out[left_out["reason"].map(selecting.failed).astype(bool)]
    said: dict[str, list[str]] = {}
    for _, trials in content.of("trials", pair).groupby(SIZE):
        first = rows(trials)[0]
        lost = failed.loc[failed["batch_size"] == first["batch_size"], "learning_rate"].dropna()
        for what in _beyond(trials, lost):
            said.setdefault(what, []).append(size(first))
    return " ".join(said_of.format(text.listing(said[said_of])) for said_of in _SAID if said_of in said)


_SAID = tuple(
    words
    for most, way in (("lowest", "lower"), ("highest", "higher"))
    for words in (
        f"The best learning rate is the {most} tried at {{}}: try {way} ones.",
        f"At {{}} runs failed at the next {way} learning rate: try rates between.",
    )
)


def _beyond(trials: pd.DataFrame, failed: pd.Series[float]) -> Iterator[str]:
    """What of `_SAID` holds for a batch size; nothing on a side where a rate with a worse mean bounds the best.

    Args:
        trials: those of the size.
        failed: learning rates of its runs that failed.
    """
    steps = trials["learning_rate"].map(rate_step)
    means = trials.groupby(steps)["selected_validation_loss"].mean().to_dict()
    best = steps[trials["chosen"]].min()
    tried = {**dict.fromkeys(failed.map(rate_step), math.nan), **means}
    if best not in means or len(tried) == 1:
        return
    passed_over = any(mean < means[best] for mean in means.values())
    for sign, (at_end, lost) in ((-1, _SAID[:2]), (1, _SAID[2:])):
        beyond = [mean for step, mean in tried.items() if sign * (step - best) > 0]
        if not beyond and not passed_over:
            yield at_end
        elif beyond and not any(mean >= means[best] for mean in beyond):
            yield lost


def _looks(content: Content, pair: Pair) -> str:
    """The targets of which evaluations are too far apart for a critical batch size."""
    found = content.of("to_target", pair)
    reached = found[found["reached"]]
    means = reached.groupby(["metric", "target", *CELL], sort=False)[["epochs", "resolution_epochs"]].mean()
    coarse = means[means["resolution_epochs"] > MAX_RESOLUTION * means["epochs"]].reset_index()
    if coarse.empty:
        return ""
    metric = metric_words(str(coarse["metric"].iloc[0]))
    values = [f"{value:g}" for value in dict.fromkeys(coarse["target"])]
    return (
        f"Runs were evaluated every {text.number(float(coarse['resolution_epochs'].iloc[0]))} epochs, too rarely for a "
        f"critical batch size at {metric} {text.listing(values)}: evaluate more often."
    ).replace("every 1.00 epochs", "once an epoch")
