"""What the study asks, and the short answer. Every sentence is made from the tables and says no more than they do."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from batchscope import text
from batchscope.analysis.best import BEST, COMPARED, NOT_COMPARABLE, NOT_TESTABLE
from batchscope.figures.sheets import Row, number, rows
from batchscope.report import elements
from batchscope.report.content import Content, size
from batchscope.report.page import pair_title
from batchscope.report.sections.quality import compared
from batchscope.report.sections.speed import disturbed
from batchscope.stats import ALPHA, LEVEL
from batchscope.tables.cells import Pair, of_size


def question(content: Content) -> str:
    """The question; below it a warning where the machine has a GPU that the framework could not use."""
    return elements.paragraph(content.study["question"], "lede") + unused_gpus(content)


def unused_gpus(content: Content) -> str:
    """The warning; empty where no GPU was left unused."""
    numerics = content.manifest.get("numerics", ())
    found = {name for each in numerics for name in each.get("unused_gpus", ())}
    if not found:
        return ""
    sentence = (
        f"Everything ran on the CPU, although the driver shows a GPU here ({text.listing(sorted(found))}): the "
        "framework lacks what it needs to use it. `make report DEVICE=gpu` installs that and runs the study on the "
        "GPU; under conda the same is `--config device=gpu`."
    )
    return elements.box("caution", elements.paragraph(sentence))


ENOUGH_SEEDS = 5
_ENDED = ["batch_size", "full_batch", "outcome", "outcome_detail"]


def answers(content: Content) -> str:
    """A box per data set and recipe of which there is something to say about losses."""
    return elements.section(
        "The short answer",
        "".join(answer(content, pair) for pair in content.pairs if compared(content, pair)),
        "Each box is about one data set and one recipe and holds for them alone: for this model, this optimizer and "
        "its learning-rate rule, and this budget.",
    )


def answer(content: Content, pair: Pair) -> str:
    """A box with the headline facts and the sentences on one data set and recipe, as HTML."""
    table = content.rows("best", pair)
    heading = elements.heading(3, elements.slug("answer", *pair), pair_title(pair))
    sentences = [
        *speed(table),
        *loss(table),
        *left_out(content, pair),
        *fitted(content, pair),
        *trade(table),
        *accuracy(table),
        *still_improving(content, pair),
        *few_seeds(table),
    ]
    warning = disturbed(content, pair)
    return elements.box("answer", heading + elements.facts(_facts(table)) + elements.bullets(sentences) + warning)


def speed(table: Sequence[Row]) -> list[str]:
    """Which size takes the least time per epoch, how that compares with the slowest, and which overlap with it."""
    timed = [row for row in table if number(row, "seconds_per_epoch") is not None]
    if not timed:
        return ["Nothing was timed, so nothing is said about speed."]
    fastest, slowest = _fastest(timed), max(timed, key=lambda row: float(row["seconds_per_epoch"]))
    if len(timed) == 1:
        return [f"Only batch size {size(fastest)} was timed: {_seconds(fastest)} per epoch."]
    times = float(slowest["seconds_per_epoch"]) / float(fastest["seconds_per_epoch"])
    sentence = (
        f"An epoch takes the least time at batch size {size(fastest)}: {_seconds(fastest)}, the median over repeated "
        f"windows alone on the machine. The slowest, batch size {size(slowest)}, takes {_seconds(slowest)}: "
        f"{text.ratio(times)} times as long."
    )
    close = [size(row) for row in timed if not pd.isna(row["slower"]) and not bool(row["slower"])]
    if close:
        sentence += f" One timing per size does not tell {text.listing(close)} apart from the fastest."
    return [sentence]


def loss(table: Sequence[Row]) -> list[str]:
    """Which size has the lowest mean validation loss, and which sizes can and cannot be told apart from it."""
    best = _best(table)
    if best is None:
        return ["No batch size finished all its runs, so no validation losses are compared."]
    seeds = text.count(int(best["n"]), "seed")
    partial = any(row["status"] == NOT_COMPARABLE for row in table)
    head = (
        f"{'Of the sizes whose runs all ended ok, the' if partial else 'The'} lowest mean of the best validation loss "
        f"over {seeds} is that of batch size {size(best)}: {_loss(best)} nat."
    )
    tested = [row for row in table if row["status"] == COMPARED]
    apart = [row for row in tested if bool(row["told_apart"])]
    together = [row for row in tested if not bool(row["told_apart"])]
    sentences = [head]
    if apart:
        sentences.append(
            f"Told apart from it, by paired tests with Holm-adjusted p ≤ {ALPHA}: "
            + "; ".join(f"{size(row)}, whose loss is {_difference(row)} nat higher" for row in apart)
            + "."
        )
    if together:
        sentences.append(
            f"{_sizes(together)} cannot be told apart from it. That is not the same as equal: the {LEVEL} intervals of "
            f"the differences, not adjusted, reach from {_reach(together)} nat."
        )
    untested = [row for row in table if row["status"] == NOT_TESTABLE]
    if untested:
        why = "one seed gives no spread to test with" if int(best["n"]) < 2 else "all seeds differ by the same amount"
        sentences.append(f"{_sizes(untested)} could not be tested against it: {why}.")
    return sentences


def trade(table: Sequence[Row]) -> list[str]:
    """Of the sizes that are not told apart from the best, the one with the shortest epoch, and what it may cost.

    A size whose own difference interval excludes zero is left out: it fails only after adjusting for many pairs.
    """
    best = _best(table)
    close = [row for row in table if row["status"] == COMPARED and not bool(row["told_apart"]) and _spans_zero(row)]
    if best is None or not close or any(number(row, "seconds_per_epoch") is None for row in (best, *close)):
        return []
    quick = min((best, *close), key=lambda row: float(row["seconds_per_epoch"]))
    level = [row for row in (best, *close) if row is quick or _may_be_as_fast(row, quick)]
    if len(level) > 1:
        sizes = text.listing([size(row) for row in sorted(level, key=lambda row: float(row["batch_size"]))])
        return [f"Of the sizes whose loss may be equal, one timing each does not tell apart the epochs of {sizes}."]
    if quick is best:
        return [f"Of these sizes, {size(best)} itself takes the least time per epoch."]
    times = float(best["seconds_per_epoch"]) / float(quick["seconds_per_epoch"])
    return [
        f"Of the sizes whose difference from {size(best)} may be zero, {size(quick)} takes the least time per epoch: "
        f"{_seconds(quick)}, {text.ratio(times)} times as fast as {size(best)}. What that costs is not known better "
        f"than {_difference(quick)} nat of validation loss, at equal epochs."
    ]


def _may_be_as_fast(row: Row, quick: Row) -> bool:
    """Whether the intervals of two times per epoch overlap; not known of measurements made elsewhere."""
    low, high = number(row, "seconds_per_epoch_ci_low"), number(quick, "seconds_per_epoch_ci_high")
    return low is not None and high is not None and low <= high


def _spans_zero(row: Row) -> bool:
    low, high = number(row, "difference_ci_low"), number(row, "difference_ci_high")
    return low is not None and high is not None and low <= 0 <= high


def accuracy(table: Sequence[Row]) -> list[str]:
    """Test accuracy of the size with the lowest validation loss, and the range over the sizes."""
    best = _best(table)
    known = [row for row in table if number(row, "accuracy_mean") is not None]
    if best is None or not known:
        return []
    low, high = (pick(known, key=lambda row: float(row["accuracy_mean"])) for pick in (min, max))
    sentence = (
        f"Test accuracy, which decided nothing and is not tested here, is {_accuracy(best)} at batch size {size(best)}"
    )
    if low is high:
        return [f"{sentence}."]
    return [
        f"{sentence}; over the sizes its mean runs from {_accuracy(low)} at {size(low)} to {_accuracy(high)} at "
        f"{size(high)}."
    ]


def left_out(content: Content, pair: Pair) -> list[str]:
    """Sizes that lack a run and are therefore not compared."""
    missing = {size(row) for row in content.rows("best", pair) if row["status"] == NOT_COMPARABLE}
    parts = [
        f"{size(row)} ({int(row['n_diverged'])} diverged and {int(row['n_out_of_memory'])} ran out of memory, "
        f"of {int(row['n_runs'])} runs)"
        for row in content.rows("summary", pair)
        if size(row) in missing
    ]
    return [f"Left out of the comparison of losses: {text.listing(parts)}."] if parts else []


def fitted(content: Content, pair: Pair) -> list[str]:
    """Which sizes fitted into memory, where one did not, and how the largest of those that did not ended."""
    jobs = pd.concat([content.of(table, pair)[_ENDED] for table in ("runs", "timings")])
    lost = jobs[jobs["outcome"] == "out_of_memory"]
    if lost.empty:
        return []
    sizes = [(size(row), row) for row in content.rows("summary", pair)]
    failed = {size(row) for row in rows(lost)}
    fits = [name for name, _ in sizes if name not in failed]
    fits_text = f"{text.listing(fits)} fitted into memory" if fits else "No size fitted into memory"
    last = rows(lost.sort_values("batch_size"))[-1]
    return [
        f"{fits_text}; {text.listing([name for name, _ in sizes if name in failed])} did not. At batch size "
        f"{size(last)}: {last['outcome_detail']}."
    ]


def still_improving(content: Content, pair: Pair) -> list[str]:
    """Sizes with runs whose last epoch was their best: a longer budget may change their place."""
    runs = content.of("runs", pair)
    ended = runs[(runs["outcome"] == "ok") & (runs["selected_epoch"] == runs["epochs"]) & ~runs["stopped_early"]]
    parts = []
    for row in content.rows("summary", pair):
        same = len(of_size(ended, (row["batch_size"], row["full_batch"])))
        if same:
            parts.append(f"{size(row)} ({same} of {int(row['n_ok'])} runs)")
    if not parts:
        return []
    return [
        f"The validation loss was lowest at the very last evaluation of the budget at {text.listing(parts)}: with "
        "more epochs those sizes may do better, and their place may change."
    ]


def few_seeds(table: Sequence[Row]) -> list[str]:
    """A caution where there are too few seeds for intervals worth much."""
    best = _best(table)
    if best is None or int(best["n"]) >= ENOUGH_SEEDS:
        return []
    return [
        f"With {text.count(int(best['n']), 'seed')} these intervals are wide or missing; use {ENOUGH_SEEDS} or more."
    ]


def _facts(table: Sequence[Row]) -> list[tuple[str, str, str]]:
    timed = [row for row in table if number(row, "seconds_per_epoch") is not None]
    best = _best(table)
    found = []
    if timed:
        fastest = _fastest(timed)
        found.append(("Least time per epoch", size(fastest), _seconds(fastest)))
    if best is not None:
        found.append(("Lowest mean validation loss", size(best), f"{_loss(best)} nat"))
        close = [size(row) for row in table if row["status"] == COMPARED and not bool(row["told_apart"])]
        tested = [row for row in table if row["status"] == COMPARED]
        remark = f"{text.count(int(best['n']), 'seed')}, paired, adjusted" if tested else "nothing to test"
        words = "; ".join(close) if close else "no other size" if tested else "not tested"
        found.append(("Not told apart from it", words, remark))
        middle, _, bounds = _accuracy(best).partition(" [")
        found.append(("Test accuracy there", middle, f"[{bounds}" if bounds else "no interval"))
    return found


def _best(table: Sequence[Row]) -> Row | None:
    return next((row for row in table if row["status"] == BEST), None)


def _fastest(timed: Sequence[Row]) -> Row:
    return next(row for row in timed if not pd.isna(row["fastest"]) and bool(row["fastest"]))


def _sizes(found: Sequence[Row]) -> str:
    return ("Batch size " if len(found) == 1 else "Batch sizes ") + text.listing([size(row) for row in found])


def _seconds(row: Row) -> str:
    return text.seconds(number(row, "seconds_per_epoch"))


def _interval(row: Row, name: str, mean: str) -> str:
    return text.interval(number(row, mean), number(row, f"{name}_ci_low"), number(row, f"{name}_ci_high"))


def _loss(row: Row) -> str:
    return _interval(row, "loss", "loss_mean")


def _accuracy(row: Row) -> str:
    return _interval(row, "accuracy", "accuracy_mean")


def _difference(row: Row) -> str:
    return _interval(row, "difference", "difference")


def _reach(found: Sequence[Row]) -> str:
    """From the lowest to the highest bound of the differences' intervals."""
    lows = [bound for row in found if (bound := number(row, "difference_ci_low")) is not None]
    highs = [bound for row in found if (bound := number(row, "difference_ci_high")) is not None]
    if not lows or not highs:
        return f"{text.MISSING} to {text.MISSING}"
    places = text.decimals([(max(highs) - min(lows)) / 2])
    return f"{text.fixed(min(lows), places)} to {text.fixed(max(highs), places)}"
