"""Tables of range tests, evaluation modes, accumulated gradients and the costs of an update; empty without a probe."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from batchscope import text
from batchscope.claims.scope import Pair, twins
from batchscope.figures.frames import Size, of_size
from batchscope.figures.mechanics_words import geometric, null_in_words, shift
from batchscope.report import elements
from batchscope.report.content import Content, Row, number, rows, size_cell, spread_cells
from batchscope.report.elements import Cell, Column
from batchscope.stats import LEVEL
from batchscope.stats.intervals import t_interval

Columns = list[tuple[Column, Sequence[Cell]]]

SIZE = Column("Batch size", "examples")
_OF_SUMMARY = ["batch_size", "full_batch", "utilisation_percent", "utilisation_kind"]
_LOOPS = {"fit": "Keras' own loop", "fused": "Compiled loop", "data": "Only reading"}


def rate_range_table(content: Content, pair: Pair) -> str:
    """One row per batch size: the rates that the range test found beside the tuned rate and that of the runs."""
    frame = content.of("rate_ranges", pair)
    if frame.empty:
        return ""
    cells = _cells(frame)
    parts = [of_size(frame, size) for size in cells]
    columns: Columns = [
        (SIZE, [_size(size) for size in cells]),
        (Column("Suggested rate"), [_rate(part, "suggested_rate") for part in parts]),
        (Column("Seeds with one"), [_known(part, "suggested_rate") for part in parts]),
        (Column("Rate of the lowest loss"), [_rate(part, "lowest_loss_rate") for part in parts]),
        (Column("Diverged at"), [_reach(part, "diverged_rate") for part in parts]),
        (Column("Seeds that diverged"), [_known(part, "diverged_rate") for part in parts]),
    ]
    tuned, recipe = _tuned(content, pair)
    if recipe is not None:
        columns.append((Column("Tuned rate"), [_optimum(of_size(tuned, size)) for size in cells]))
    used = content.of("rates", pair)
    columns.append((Column("Rate of the runs"), [_used(of_size(used, size)) for size in cells]))
    beside = f"The tuned rate is that of {recipe}, found on whole trainings, with its interval over tuning seeds. "
    caption = (
        f"{_where(pair)} Geometric means over the seeds that have a value, with {LEVEL} t-intervals of the logarithm. "
        "Suggested: where the loss falls fastest over the logarithm of the rate. Diverged: the first rate with which "
        "the smoothed loss is far above its lowest, from the lowest to the highest of the seeds that did; the others "
        f"held out up to the last rate. {beside if recipe is not None else ''}"
        "The test looks at the first updates only: a rate that suits them need not suit a whole training."
    )
    missing = [
        elements.paragraph(f"{what}: {reasons}.", "note")
        for what, column in (("No suggestion", "suggested_rate"), ("No rate of the lowest loss", "lowest_loss_rate"))
        if (reasons := null_in_words(frame, column, cells))
    ]
    return elements.table_of(elements.slug("table-ranges", *pair), caption, columns) + "".join(missing)


def _reach(part: pd.DataFrame, column: str) -> Cell:
    """From the smallest to the largest of the values that there are."""
    found = part[column].dropna()
    if found.empty:
        return elements.value(None)
    ends = dict.fromkeys(text.number(float(end)) for end in (found.min(), found.max()))
    return Cell(" to ".join(ends), float(found.min()))


def modes_table(content: Content, pair: Pair) -> str:
    """One row per size of the runs and of the batches evaluated: validation loss in both modes and the difference."""
    frame = content.of("modes", pair)
    if frame.empty:
        return ""
    found = _modes(frame)
    shown = rows(found)
    columns: Columns = [
        (Column("Batch size of the runs", "examples"), [size_cell(row) for row in shown]),
        (Column("Batch size evaluated", "examples"), [_whole(row, "evaluated_batch_size") for row in shown]),
        (Column("Loss in training mode", "nat"), spread_cells(found, "training")),
        (Column("Loss in inference mode", "nat"), spread_cells(found, "inference")),
        (Column("Training − inference", "nat"), spread_cells(found, "shift")),
        (Column("Seeds"), [_whole(row, "n") for row in shown]),
    ]
    caption = (
        f"{_where(pair)} Validation loss of the last weights of the runs, evaluated in batches of a size. Means over "
        f"seeds with {LEVEL} t-intervals, of the difference over pairs of the same weights. In training mode batch "
        "normalisation takes its statistics from the batch; dropout is off and the moving statistics stay as they "
        "are. Without batch normalisation there is no difference."
    )
    sizes = [Size(int(size), False) for size in sorted(set(frame["evaluated_batch_size"]))]
    by_evaluated = frame.assign(batch_size=frame["evaluated_batch_size"], full_batch=False)
    reasons = null_in_words(by_evaluated, "training_loss", sizes, "runs")
    missing = elements.paragraph(f"Not measured: {reasons}.", "note") if reasons else ""
    return elements.table_of(elements.slug("table-modes", *pair), caption, columns) + missing


def accumulation_table(content: Content, pair: Pair) -> str:
    """One row per seed: how far weights from micro batches are from those of the whole batch; and their memory."""
    frame = content.of("accumulation", pair)
    if frame.empty:
        return ""
    found = rows(frame)
    columns: Columns = [
        (SIZE, [size_cell(row) for row in found]),
        (Column("Micro batch", "examples"), [_whole(row, "micro_batch_size") for row in found]),
        (Column("Seed"), [_whole(row, "seed") for row in found]),
        (Column("Updates"), [_whole(row, "updates") for row in found]),
        (Column("Largest difference of a weight"), [_number(row, "largest_difference") for row in found]),
        (Column("Relative difference"), [_number(row, "relative_difference") for row in found]),
        (Column("Rounding", "relative difference"), [_number(row, "rounding") for row in found]),
    ]
    if frame["reason"].notna().any():
        columns.append((Column("Why one is missing", kind="text"), [_reason(row) for row in found]))
    caption = (
        f"{_where(pair)} Two trainings from the same weights with the same batches: one takes the gradient of a batch "
        "at once, the other adds up those of its micro batches. Relative difference: length of the difference of their "
        "weights over the length of the way from the first weights. Rounding: the same between two trainings in whole "
        "batches that hold the same examples in another order. Where the relative difference is as small as that, the "
        "two agree as far as can be told; batch normalisation and dropout make it larger."
    )
    table = elements.table_of(elements.slug("table-accumulation", *pair), caption, columns)
    cases = frame[["batch_size", "micro_batch_size"]].drop_duplicates().itertuples(index=False, name=None)
    return table + "".join(
        elements.paragraph(memory(content, pair, int(whole), int(micro)), "note") for whole, micro in cases
    )


def memory(content: Content, pair: Pair, whole: int, micro: int) -> str:
    """Peak memory with and without micro batches, in a sentence, from timings.

    Those of a recipe that differs in the accumulation only and was timed at the whole size; else those of updates of
    both sizes.
    """
    at_once = _peak(content, pair, whole)
    for other in twins("accumulation", True, pair, content.pairs, content.study):
        accumulated = _peak(content, other, whole)
        if content.study["recipes"][other[1]]["micro_batch_size"] == micro and at_once and accumulated:
            return (
                f"Peak memory ({_memory_kind(content, pair)}) of an update of {whole:,} examples: {_mega(at_once)} at "
                f"once, {_mega(accumulated)} over micro batches of {micro:,} (recipe {other[1]}), each in its own "
                "timing."
            )
    alone = _peak(content, pair, micro)
    if at_once is None or alone is None:
        return (
            f"Peak memory of batches of {whole:,} against micro batches of {micro:,}: not measured, since the study "
            "has no timings of both sizes."
        )
    return (
        f"Peak memory ({_memory_kind(content, pair)}): {_mega(at_once)} for an update of {whole:,} examples and "
        f"{_mega(alone)} for one of {micro:,}, each in its own timing, without accumulation; the sum of the gradients "
        "takes as much as the weights on top."
    )


def overheads_table(content: Content, pair: Pair) -> str:
    """One row per batch size: time per update of each loop and its shares; and the cost of each loop, or why not."""
    frame = content.of("overheads", pair)
    if frame.empty:
        return ""
    found = rows(frame.merge(content.of("summary", pair)[_OF_SUMMARY], on=_OF_SUMMARY[:2], how="left"))
    columns: Columns = [
        (SIZE, [size_cell(row) for row in found]),
        *(
            (Column(_LOOPS[loop], "ms"), [_bounded(row, f"{loop}_seconds_per_update", 1e3) for row in found])
            for loop in _LOOPS
        ),
        (Column("Saved by compiling", "% of Keras' own loop"), [_bounded(row, "dispatch_share", 100) for row in found]),
        (Column("Fixed cost", "% of the compiled loop"), [_bounded(row, "overhead_share", 100) for row in found]),
        (Column("Reading", "% of the compiled loop"), [_bounded(row, "data_share", 100) for row in found]),
        (Column("Computing", "% of the compiled loop"), [_bounded(row, "compute_share", 100) for row in found]),
        (Column("Fixed cost", "% of Keras' own loop"), [_bounded(row, "fit_overhead_share", 100) for row in found]),
        (Column("Utilisation", "%"), [_number(row, "utilisation_percent") for row in found]),
        (Column("Windows"), [_whole(row, "windows") for row in found]),
    ]
    kinds = {str(row["utilisation_kind"]) for row in found if pd.notna(row["utilisation_percent"])}
    caption = (
        f"{_where(pair)} Time per update: medians over windows of one job with quartiles, alone on the machine, the "
        f"loops in turns. Shares with {LEVEL} intervals. What compiling saves is measured in pairs of windows; the "
        "other shares come from lines fitted over the batch sizes, where these were accepted, and are not cut at 0 and "
        "100. Another job on the same machine may differ by more than the intervals say. Utilisation, of another job: "
        f"{' and '.join(sorted(kinds)) or 'not measured'}."
    )
    return elements.table_of(elements.slug("table-overheads", *pair), caption, columns) + _costs(content, pair)


def _costs(content: Content, pair: Pair) -> str:
    found = rows(content.of("update_costs", pair))
    if not found:
        return ""
    columns: Columns = [
        (Column("Loop", kind="text"), [elements.text(_LOOPS[row["loop"]]) for row in found]),
        (Column("Fixed cost", "µs per update"), [_accepted(row, "fixed_seconds") for row in found]),
        (Column("Marginal cost", "µs per example"), [_accepted(row, "marginal_seconds") for row in found]),
        (Column("Misfit", "relative"), [_number(row, "rmse_relative") for row in found]),
        (Column("Sizes"), [_whole(row, "n_sizes") for row in found]),
        (Column("Line", kind="text"), [_line(row) for row in found]),
    ]
    caption = (
        f"{_where(pair)} Time per update = fixed cost + marginal cost × batch size, fitted to the logarithms of the "
        f"medians, with {LEVEL} intervals. The fixed cost is what the line says of a batch without examples: launching "
        "the operations, and the work that the weights alone determine."
    )
    return elements.table_of(elements.slug("table-costs", *pair), caption, columns)


def _modes(frame: pd.DataFrame) -> pd.DataFrame:
    """Means and intervals over the seeds of each size of the runs and of the batches evaluated."""
    keys = ["batch_size", "full_batch", "evaluated_batch_size"]
    found = []
    for key, group in frame.sort_values(keys, kind="stable").groupby(keys, sort=False):
        row: dict[str, object] = dict(zip(keys, key, strict=True))
        intervals = {
            "training": t_interval(group["training_loss"].dropna().astype("float64")),
            "inference": t_interval(group["inference_loss"].dropna().astype("float64")),
            "shift": shift(group),
        }
        for name, interval in intervals.items():
            row |= {f"{name}_mean": interval.mean, f"{name}_ci_low": interval.low, f"{name}_ci_high": interval.high}
        found.append({**row, "n": intervals["shift"].n})
    return pd.DataFrame(found)


def _cells(frame: pd.DataFrame) -> list[Size]:
    cells = frame[["batch_size", "full_batch"]].drop_duplicates().itertuples(index=False, name=None)
    return sorted(Size(int(size), bool(full)) for size, full in cells)


def _tuned(content: Content, pair: Pair) -> tuple[pd.DataFrame, str | None]:
    """The table `rates` of the recipe, or of one that differs from it in the learning rate only, and was tuned."""
    for each in (pair, *twins("learning_rate", "tuned", pair, content.pairs, content.study)):
        frame = content.of("rates", each)
        if len(frame) and frame["optimum"].notna().any():
            return frame, each[1]
    return content.of("rates", pair), None


def _peak(content: Content, pair: Pair, size: int) -> float | None:
    """Peak memory of a timing, in bytes; None without a timing of the size or without a reading."""
    summary, timings = content.of("summary", pair), content.of("timings", pair)
    if not (timings["batch_size"] == size).any():
        return None
    known = summary.loc[summary["batch_size"] == size, "memory_bytes"].dropna()
    return float(known.iloc[0]) if len(known) else None


def _memory_kind(content: Content, pair: Pair) -> str:
    return str(content.of("summary", pair)["memory_kind"].dropna().iloc[0])


def _mega(peak: float) -> str:
    return f"{text.number(peak / 1e6)} MB"


def _where(pair: Pair) -> str:
    return f"{pair[0]} with {pair[1]}."


def _size(size: Size) -> Cell:
    return elements.value(float(size.batch_size), size.label)


def _rate(part: pd.DataFrame, column: str) -> Cell:
    found = geometric(part[column])
    return elements.quartiles(found.mean, found.low, found.high)


def _known(part: pd.DataFrame, column: str) -> Cell:
    count = int(part[column].notna().sum())
    return elements.value(float(count), f"{count} of {len(part)}")


def _optimum(part: pd.DataFrame) -> Cell:
    if part.empty:
        return elements.value(None)
    row = rows(part)[0]
    return elements.quartiles(*(number(row, name) for name in ("optimum", "optimum_ci_low", "optimum_ci_high")))


def _used(part: pd.DataFrame) -> Cell:
    return elements.value(None if part.empty else number(rows(part)[0], "learning_rate"))


def _whole(row: Row, name: str) -> Cell:
    return elements.value(number(row, name), text.integer(number(row, name)))


def _number(row: Row, name: str) -> Cell:
    return elements.value(number(row, name))


def _bounded(row: Row, name: str, factor: float) -> Cell:
    """A value with its quartiles or its interval where the table has them, times `factor`."""
    ends = ("_q25", "_q75") if f"{name}_q25" in row else ("_ci_low", "_ci_high")
    found = [number(row, name + end) if name + end in row else None for end in ("", *ends)]
    return elements.quartiles(*(None if value is None else factor * value for value in found))


def _accepted(row: Row, name: str) -> Cell:
    return _bounded(row, name, 1e6) if row["accepted"] else elements.value(None)


def _line(row: Row) -> Cell:
    return elements.text("accepted" if row["accepted"] else f"refused: {row['reason']}")


def _reason(row: Row) -> Cell:
    return elements.text("" if pd.isna(row["reason"]) else row["reason"])
