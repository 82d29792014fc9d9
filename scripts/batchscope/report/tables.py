"""The tables of the page, made from the tables of the study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from batchscope import text
from batchscope.analysis.best import BEST, COMPARED, LOSS, NOT_COMPARABLE, NOT_TESTABLE
from batchscope.analysis.summary import WHOLE_CORE_PERCENT, without_core
from batchscope.report import elements
from batchscope.report.content import Content, Row, number, rows, size, size_cell, spread_cells
from batchscope.report.elements import Cell, Column
from batchscope.stats import ALPHA, LEVEL
from batchscope.tables.cells import Pair

SIZE = Column("Batch size", "examples")
_VERDICTS = {
    BEST: "lowest mean",
    NOT_COMPARABLE: "not compared: a seed has no value",
    NOT_TESTABLE: "not tested: too few seeds or no spread",
}


def summary(content: Content, pair: Pair) -> str:
    """One row per batch size: updates, seconds, losses, accuracy, gap and noise, and how many runs that is."""
    frame = content.of("summary", pair)
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (SIZE, [size_cell(row) for row in rows(frame)]),
        (Column("Updates per epoch"), _integers(frame, "updates_per_epoch")),
        (Column("Time per epoch", "s"), _seconds(frame)),
        (Column("Updates in all", "mean"), _integers(frame, "updates_mean")),
        (Column("Best validation loss", "nat"), spread_cells(frame, "validation_loss")),
        (Column("Test accuracy"), spread_cells(frame, "test_accuracy")),
        (Column("Train − test accuracy"), spread_cells(frame, "gap")),
        (Column("Noise of the step loss", "nat"), spread_cells(frame, "noise")),
        (Column("Peak memory", "MB"), _scaled(frame, "memory_bytes", 1e-6)),
        (Column("Utilisation", "%"), _scaled(frame, "utilisation_percent")),
        (Column("Energy per epoch", "J"), _scaled(frame, "energy_per_epoch_joules")),
        (Column("Runs ended ok"), [_share(row, "n_ok") for row in rows(frame)]),
    ]
    caption = (
        f"{pair[0]} with {pair[1]}. Means over the runs that finished; intervals are {LEVEL} t-intervals over seeds. "
        "Loss, accuracy and their difference are taken at the epoch with the lowest validation loss. The time per "
        "epoch is that of its updates, median over repeated windows with quartiles, alone on the machine. What memory, "
        "utilisation and energy are here, and why one is missing, is said under Memory, utilisation and energy."
    )
    return elements.table_of(elements.slug("table-summary", *pair), caption, columns)


def comparison(content: Content, pair: Pair) -> str:
    """One row per batch size: how its best validation loss differs from that of the size with the lowest mean."""
    frame = content.of("best", pair)
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (SIZE, [size_cell(row) for row in rows(frame)]),
        (Column("Best validation loss", "nat"), spread_cells(frame, "loss")),
        (
            Column("Difference from the lowest", "nat"),
            spread_cells(frame.rename(columns={"difference": "difference_mean"}), "difference"),
        ),
        (Column("p, adjusted"), [_p(row) for row in rows(frame)]),
        (Column("Verdict", kind="text"), [elements.text(verdict(row)) for row in rows(frame)]),
        (Column("Smallest difference found", "nat"), _scaled(frame, "detectable")),
        (Column("Lowest", "% of resamples"), _ranked(content, pair, frame)),
        (Column("Seeds"), _integers(frame, "n")),
    ]
    caption = (
        f"{pair[0]} with {pair[1]}. Differences are means over pairs of runs with equal seed, with paired "
        f"{LEVEL} t-intervals that are not adjusted. The p-values of two-sided paired t-tests are adjusted "
        f"(Holm) over all pairs of sizes in the study; told apart means adjusted p ≤ {ALPHA}. Smallest difference "
        "found: what as many seeds with this spread would tell apart in four studies of five. Lowest: how often a size "
        "has the lowest mean when the seeds are drawn again with replacement; with few seeds this looks surer than it "
        "is, and it decides nothing."
    )
    return elements.table_of(elements.slug("table-comparison", *pair), caption, columns)


def _ranked(content: Content, pair: Pair, frame: pd.DataFrame) -> list[Cell]:
    """For each size the share of bootstrap resamples in which it has the lowest mean loss, in per cent."""
    ranks = content.of("ranks", pair)
    found = {
        (row["batch_size"], row["full_batch"]): number(row, "probability_best")
        for row in rows(ranks[ranks["metric"] == LOSS])
    }
    shares = [found.get((row["batch_size"], row["full_batch"])) for row in rows(frame)]
    return [elements.value(None if share is None else 100 * share) for share in shares]


def compared(content: Content, pair: Pair) -> bool:
    """Whether there is something to say about losses: runs that were trained, or imported ones that have them."""
    return content.trained or content.has("best", pair, "loss_mean")


def speed(content: Content, pair: Pair) -> str:
    """One row per batch size: seconds per update and epoch, and throughput."""
    frame = content.of("summary", pair)
    timed = [row for row in rows(frame) if number(row, "seconds_per_epoch") is not None]
    if not timed:
        return elements.paragraph("No batch size has a timing.", "note")
    first = timed[0]
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (SIZE, [size_cell(row) for row in rows(frame)]),
        (Column("Time per update", "ms"), _scaled(frame, "seconds_per_update", 1e3)),
        (Column("Updates per epoch"), _integers(frame, "updates_per_epoch")),
        (Column("Time per epoch", "s"), _seconds(frame)),
        (Column("Speed", f"times that of {size(first)}"), [_faster(row, first) for row in rows(frame)]),
        (Column("Throughput", "examples/s"), _integers(frame, "examples_per_second")),
    ]
    caption = (
        f"{pair[0]} with {pair[1]}. Medians over repeated windows of one job with their quartiles, alone on the "
        "machine; updates only, without compiling and evaluation. In the time per epoch a last, short batch counts as "
        "a whole one."
    )
    return elements.table_of(elements.slug("table-speed", *pair), caption, columns)


def disturbed(content: Content, pair: Pair) -> str:
    """A warning where a timing on one CPU thread did not get its core: then something else used the machine."""
    timings = content.of("timings", pair)
    alone = timings[(timings["device"] == "cpu") & (timings["threads"] == 1) & timings["cpu_percent_mean"].notna()]
    short = without_core(alone)
    if short.empty:
        return ""
    sentence = elements.paragraph(
        f"Take these seconds with care: {len(short)} of {text.count(len(alone), 'timing')} got less than "
        f"{WHOLE_CORE_PERCENT} % of the core they had reserved, in one case {short['cpu_percent_mean'].min():.0f} %. "
        "Something outside the study was using the machine, so times per update are too long there, by different "
        "factors at different sizes.",
    )
    return elements.box("caution", sentence)


def resources(content: Content, pair: Pair) -> str:
    """One row per batch size: memory, utilisation and energy, with what was measured in the caption."""
    frame = content.of("summary", pair)
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (SIZE, [size_cell(row) for row in rows(frame)]),
        (Column("Peak memory", "MB"), _scaled(frame, "memory_bytes", 1e-6)),
        (Column("Utilisation", "%"), _scaled(frame, "utilisation_percent")),
    ]
    sentences = [f"{pair[0]} with {pair[1]}."]
    for name in ("memory", "utilisation", "energy"):
        kinds = list(frame[f"{name}_kind"].dropna().unique())
        what = text.listing([str(kind) for kind in kinds]) if kinds else "not measured"
        sentences.append(f"{name.capitalize()}: {what}.")
    if frame["energy_per_epoch_joules"].notna().any():
        columns.append((Column("Energy per epoch", "J"), _scaled(frame, "energy_per_epoch_joules")))
    else:
        reasons = [str(reason) for reason in frame["energy_reason"].dropna().unique() if reason]
        sentences[-1] = f"Energy: not measured{f' ({reasons[0]})' if reasons else ''}."
    return elements.table_of(elements.slug("table-resources", *pair), " ".join(sentences), columns)


def results(content: Content, pair: Pair) -> str:
    """One row per batch size: epochs trained, and accuracies at the best and after the last epoch."""
    frame = content.of("summary", pair)
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (SIZE, [size_cell(row) for row in rows(frame)]),
        (Column("Updates in all", "mean"), _integers(frame, "updates_mean")),
        (Column("Epochs trained", "mean"), _scaled(frame, "epochs_mean")),
        (Column("Best epoch", "mean"), _scaled(frame, "selected_epoch_mean")),
        (Column("Test loss at the best epoch", "nat"), spread_cells(frame, "test_loss")),
        (Column("Test accuracy at the best epoch"), spread_cells(frame, "test_accuracy")),
        (Column("Final validation loss", "nat"), spread_cells(frame, "last_validation_loss")),
        (Column("Final train accuracy"), spread_cells(frame, "last_train_accuracy")),
        (Column("Final test accuracy"), spread_cells(frame, "last_test_accuracy")),
    ]
    caption = (
        f"{pair[0]} with {pair[1]}. Means over the runs that finished with {LEVEL} t-intervals over seeds. The best "
        "epoch has the lowest validation loss; final is after the last update. The test data chose nothing."
    )
    return elements.table_of(elements.slug("table-results", *pair), caption, columns)


def lost(content: Content, pair: Pair) -> bool:
    """Whether any run of the data set and recipe diverged or ran out of memory."""
    return bool((content.of("runs", pair)["outcome"] != "ok").any())


def outcomes(content: Content) -> str:
    """What diverged or ran out of memory: one row per run or timing; a sentence where nothing did."""
    runs = content.tables["runs"].assign(kind="run")
    timings = content.tables["timings"].assign(kind="timing", seed=None).query("timed_recipe == recipe")
    both = [row for frame in (runs, timings) for row in rows(frame[frame["outcome"] != "ok"])]
    if not both:
        done = f"{text.count(len(runs), 'run')} and {text.count(len(timings), 'timing')}"
        return elements.paragraph(f"Nothing diverged and nothing ran out of memory: all {done} finished.")
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (SIZE, [size_cell(row) for row in both]),
        (Column("Data set", kind="text"), [elements.text(row["dataset"]) for row in both]),
        (Column("Recipe", kind="text"), [elements.text(row["recipe"]) for row in both]),
        (Column("Run or timing", kind="text"), [elements.text(row["kind"]) for row in both]),
        (Column("Seed"), [elements.value(number(row, "seed"), _whole(row, "seed")) for row in both]),
        (Column("Outcome", kind="text"), [elements.text(str(row["outcome"]).replace("_", " ")) for row in both]),
        (Column("What happened", kind="text"), [_optional(row["outcome_detail"]) for row in both]),
    ]
    caption = f"{len(both)} of {len(runs) + len(timings)} runs and timings did not end ok. They are in no mean above."
    return elements.table_of("table-outcomes", caption, columns)


def not_measured(content: Content) -> str:
    """What is null in the tables of runs and timings, and why."""
    found = rows(content.tables["not_measured"])
    if not found:
        return elements.paragraph("Everything that could be measured was measured.")
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Where", kind="text"), [elements.text(f"{row['kind']}s") for row in found]),
        (Column("What", kind="text"), [elements.text(row["columns"]) for row in found]),
        (Column("Why", kind="text"), [elements.text(row["reason"]) for row in found]),
        (
            Column("How many"),
            [elements.value(float(row["n"]), f"{row['n']:,} of {row['of']:,}") for row in found],
        ),
    ]
    caption = "Columns that are empty in the tables of the jobs. Nothing that was not measured counts as zero."
    return elements.table_of("table-not-measured", caption, columns)


def verdict(row: Row) -> str:
    """A row of the table `best` in words."""
    if row["status"] == COMPARED:
        return "told apart" if bool(row["told_apart"]) else "not told apart"
    return _VERDICTS[str(row["status"])]


def _integers(frame: pd.DataFrame, name: str) -> list[Cell]:
    return [elements.value(number(row, name), _whole(row, name)) for row in rows(frame)]


def _whole(row: Row, name: str) -> str:
    return text.integer(number(row, name))


def _scaled(frame: pd.DataFrame, name: str, factor: float = 1.0) -> list[Cell]:
    found = [number(row, name) for row in rows(frame)]
    return [elements.value(None if content is None else content * factor) for content in found]


def _seconds(frame: pd.DataFrame) -> list[Cell]:
    parts = ("seconds_per_epoch", "seconds_per_epoch_q25", "seconds_per_epoch_q75")
    return [elements.quartiles(*(number(row, part) for part in parts)) for row in rows(frame)]


def _faster(row: Row, first: Row) -> Cell:
    seconds, reference = number(row, "seconds_per_epoch"), number(first, "seconds_per_epoch")
    if seconds is None or reference is None:
        return elements.value(None)
    return elements.value(reference / seconds, text.ratio(reference / seconds))


def _share(row: Row, name: str) -> Cell:
    return elements.value(number(row, name), f"{_whole(row, name)} of {_whole(row, 'n_runs')}")


def _p(row: Row) -> Cell:
    p = number(row, "p_adjusted")
    return elements.value(p, text.p_value(p).removeprefix("= "))


def _optional(content: Any) -> Cell:
    return elements.value(None) if pd.isna(content) else elements.text(content)
