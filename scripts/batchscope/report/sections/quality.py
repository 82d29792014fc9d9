"""How good the results are: losses and accuracies, which batch sizes differ significantly, and the curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from batchscope import text
from batchscope.analysis.best import BEST, COMPARED, NOT_COMPARABLE, NOT_TESTABLE
from batchscope.analysis.external_runs.given import paired
from batchscope.figures import sheets
from batchscope.figures.sheets import Cell, Column, Row, Sheet, number, rows, value
from batchscope.figures.targets import sentence_case
from batchscope.probes.section import Figure
from batchscope.report import elements
from batchscope.report.content import Content
from batchscope.report.fields import SIZE, Field, Own, table, words
from batchscope.report.page import Block, section
from batchscope.report.sections.speed import memory
from batchscope.stats import ALPHA, LEVEL
from batchscope.tables import cells
from batchscope.tables.cells import Pair
from batchscope.tables.metrics import ELSEWHERE, METRICS, Metric

_SUMMARY: tuple[Field | Own, ...] = (
    SIZE,
    Field("Updates per epoch", "updates_per_epoch"),
    Field("Time per epoch", "seconds_per_epoch", form="digits"),
    Field("Updates in all", "updates", "mean", form="whole"),
    Field("Best validation loss", "validation_loss"),
    Field("Test accuracy", "test_accuracy"),
    Field("Train − test accuracy", "gap"),
    Field("Noise of the step loss", "noise"),
)


@section(
    "Summary",
    "One row per batch size. In a browser, a click on a heading sorts the table by it. What memory, utilisation and "
    "energy are here, and why one is missing, is said in the chapter Speed.",
)
def summary(content: Content, pair: Pair) -> list[Block]:
    """One row per batch size: updates, seconds, losses, accuracy, gap and noise, and how many runs that is."""
    if not content.trained:
        return []
    caption = (
        f"Means over the runs that finished, with {LEVEL} t-intervals over seeds. Loss, accuracy and their difference "
        "are those at the epoch with the lowest validation loss. Time per epoch: its updates alone, timed in isolation."
    )
    fields = (
        *_SUMMARY,
        memory(content),
        Field("Utilisation", "utilisation_percent", optional=True),
        Field("Energy per epoch", "energy_per_epoch_joules", optional=True),
        Field("Runs ended ok", "n_ok", of="n_runs"),
    )
    return [*table(content, pair, "summary", fields, caption)]


def side_by_side(content: Content) -> str:
    """One table of test accuracies for every data set on which two recipes or more share a batch size."""
    datasets = dict.fromkeys(dataset for dataset, _ in content.pairs) if content.trained else ()
    tables = "".join(_beside(content, dataset) for dataset in datasets)
    return elements.section(
        "Recipes side by side",
        tables,
        "Two recipes are compared by the verdicts that name them, not by whether their intervals overlap: runs of one "
        "seed share data, order and, where networks agree, their first weights.",
    )


def _beside(content: Content, dataset: str) -> str:
    recipes = [recipe for each, recipe in content.pairs if each == dataset]
    frame = content.tables["summary"]
    frame = frame[frame["dataset"] == dataset].sort_values(cells.SIZE, kind="stable")
    sizes = frame.drop_duplicates(cells.SIZE)
    if len(sizes) == len(frame) or frame["test_accuracy_mean"].isna().all():
        return ""
    columns = [
        (Column("Batch size", "examples"), [sheets.size(row) for row in rows(sizes)]),
        *((Column(recipe), _cells(frame[frame["recipe"] == recipe], sizes)) for recipe in recipes),
    ]
    caption = (
        f"{dataset}. Test accuracy at the epoch with the lowest validation loss, a column per recipe: means over the "
        f"runs that finished, with {LEVEL} t-intervals over seeds. Where runs were lost, how many finished stands "
        "below: the mean of the others flatters."
    )
    return elements.sheet(elements.slug("table-side-by-side", dataset), Sheet("side-by-side", caption, columns))


def _cells(of_recipe: pd.DataFrame, sizes: pd.DataFrame) -> list[Cell]:
    """The accuracies of a recipe at `sizes`; a dash where it was not run."""
    found = rows(sizes[cells.SIZE].merge(of_recipe.drop(columns=["dataset", "recipe"]), on=cells.SIZE, how="left"))
    made = []
    for row, cell in zip(found, sheets.spreads_of(found, "test_accuracy"), strict=True):
        n_ok, n_runs = number(row, "n_ok"), number(row, "n_runs")
        lost = n_ok is not None and n_runs is not None and n_ok < n_runs
        made.append(replace(cell, remarks=(f"{n_ok:.0f} of {n_runs:.0f} runs finished",)) if lost else cell)
    return made


_VERDICTS = {
    NOT_COMPARABLE: "not compared: a run has no value",
    NOT_TESTABLE: "not tested: too few runs or no spread",
}


def compared(content: Content, pair: Pair) -> bool:
    """Whether there is something to say about losses: runs that were trained, or imported ones that have them."""
    return content.trained or content.has("best", pair, "value_mean")


@section(
    "Which sizes are significantly different",
    "The size with the best mean is the best of those tried only as far as the others are significantly worse. Sizes "
    "that are not significantly different are not shown to be equal: more runs may separate them.",
    "Smallest difference found: what as many runs with this spread would find significant in four studies of five. "
    "With few runs the share of resamples looks surer than it is.",
)
def comparison(content: Content, pair: Pair) -> list[Block]:
    """One row per batch size: how its best validation loss differs from that of the size with the lowest mean."""
    if not compared(content, pair) or len(content.of("best", pair)) < 2:
        return []
    shared = paired(content.study["measurements"])
    best, ranks, repeated = content.of("best", pair), content.of("ranks", pair), "seeds" if content.trained else "runs"
    metric = METRICS[str(best["metric"].iloc[0])]
    lead = "highest" if metric.better == "higher" else "lowest"
    ranked = ranks[ranks["metric"] == best["metric"].iloc[0]]
    shares = {_size(row): number(row, "probability_best") for row in rows(ranked)}

    def leads(row: Row) -> Cell:
        share = shares.get(_size(row))
        return value(None if share is None else 100 * share)

    fields = (
        SIZE,
        Field(f"{metric.words[0].upper()}{metric.words[1:]}", "value", metric.unit),
        Field(f"Difference from the {lead}", "difference"),
        Own("p, adjusted", p_adjusted),
        words("Verdict", lambda row: _verdict(row, lead)),
        Field("Smallest difference found", "detectable"),
        Own(lead.capitalize(), leads, "% of resamples", optional=True),
        Field(repeated.capitalize(), "n"),
    )
    means = "means over pairs of runs with equal seed" if shared else "those of means over independent runs"
    test = "paired" if shared else "Welch"
    caption = (
        f"Differences are {means}, with {test} {LEVEL} t-intervals, not adjusted. p, adjusted: two-sided "
        f"{test} t-tests, Holm over all pairs of sizes in the study; significant is p ≤ {ALPHA}."
    )
    if len(ranked):
        caption += f" {lead.capitalize()}: share of resamples of the {repeated} in which a size has the {lead} mean."
    return [*table(content, pair, "comparison", fields, caption, of="best")]


def p_adjusted(row: Row) -> Cell:
    """The adjusted p-value of a row."""
    p = number(row, "p_adjusted")
    return value(p, text.p_value(p).removeprefix("= "))


def _verdict(row: Row, lead: str) -> str:
    if row["status"] == COMPARED:
        return "significantly different" if bool(row["told_apart"]) else "not significantly different"
    return f"{lead} mean" if row["status"] == BEST else _VERDICTS[str(row["status"])]


def _size(row: Row) -> tuple[int, bool]:
    return row["batch_size"], row["full_batch"]


_FINAL = (
    Field("Final validation loss", "last_validation_loss"),
    Field("Final train accuracy", "last_train_accuracy"),
    Field("Final test accuracy", "last_test_accuracy"),
)
_ACCURACY: tuple[Field | Own, ...] = (
    SIZE,
    Field("Updates in all", "updates", "mean", form="whole"),
    Field("Epochs trained", "epochs", "mean", form="number"),
    Field("Best epoch", "selected_epoch", "mean", form="number"),
    Field("Test loss at the best epoch", "test_loss"),
    Field("Test accuracy at the best epoch", "test_accuracy"),
    *_FINAL,
)


def _title(content: Content) -> str:
    """What is known of accuracies, and of results after the last update."""
    if content.trained:
        return f"Accuracy{' and the gap between training and test' if content.shows('summary', 'gap_mean') else ''}"
    final = any(content.shows("summary", f"{field.name}_mean") for field in _FINAL)
    return f"Test accuracy{' and final results' if final else ''}"


@section(_title)
def accuracy(content: Content, pair: Pair) -> list[Block]:
    """One row per batch size: epochs trained, and accuracies at the best and after the last epoch."""
    if not (content.trained or content.has("best", pair, "accuracy_mean")):
        return []
    head, fields = f"Means over the runs that finished with {LEVEL} t-intervals over", _ACCURACY
    if content.trained:
        caption = (
            f"{head} seeds. The best epoch has the lowest validation loss; final is after the last update. Test data "
            "are never used for selection. Equal epochs give a large batch fewer updates, so a lower accuracy there "
            "may be a lack of updates."
        )
    else:
        caption = f"{head} runs. Best epoch: what the table gives as a run's best evaluation; final: its last."
        fields = (SIZE, *(replace(field, optional=True) for field in _ACCURACY[1:]))
    results = table(content, pair, "results", fields, caption, of="summary")
    return [*results, Figure("gap_vs_batch"), Figure("updates_vs_batch")]


@section("Other results")
def others(content: Content, pair: Pair) -> list[Block]:
    """One row per batch size: what else runs made elsewhere have as results."""
    known = [METRICS[name] for name in content.tables["runs"].columns if name in ELSEWHERE]
    known = [metric for metric in known if content.has("runs", pair, metric.name)]
    means = {(str(row["metric"]), _size(row)): row for row in content.rows("metrics", pair)}

    def cell(metric: Metric) -> Callable[[Row], Cell]:
        return lambda row: _mean(means[metric.name, _size(row)])

    fields = (SIZE, *(Own(sentence_case(metric.words), cell(metric), metric.unit) for metric in known))
    caption = f"Means over the runs that finished with {LEVEL} t-intervals over runs."
    return [*table(content, pair, "others", fields, caption, of="best")] if known else []


def _mean(row: Row) -> Cell:
    return sheets.spread(number(row, "mean"), number(row, "ci_low"), number(row, "ci_high"))


@section(
    "More learning curves",
    "The same runs on every axis that is known. Against epochs every size has seen the same examples; against updates "
    "every size has changed its weights as often; against seconds every size has had the same time on this "
    "machine. A size can lead on one axis and trail on another.",
)
def curves(content: Content, pair: Pair) -> list[Block]:
    """Accuracies, other results, and the losses of single runs, but for what stands open in the chapter."""
    return [Figure(name) for name in _CURVES[1:] if name != open_curves(content, pair)]


def open_curves(content: Content, pair: Pair) -> str:
    """The figure of curves that stands open: losses, or where nobody recorded them, accuracies or other results."""
    return next((name for name in _CURVES if content.svg(name, pair)), "curves_loss")


_CURVES = ("curves_loss", "curves_accuracy", "curves_others", "curves_article")
