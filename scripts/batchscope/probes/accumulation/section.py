"""What the report says about accumulated gradients."""

from __future__ import annotations

from collections.abc import Sequence

from batchscope import text
from batchscope.figures import sheets
from batchscope.figures.sheets import Cell, Column, Sheet, counts_of, numbers_of, rows, texts_of
from batchscope.probes.section import Block, Evidence, Note, Section, where
from batchscope.tables.cells import Pair


def accumulation(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per seed: how far weights from micro batches are from those of the whole batch; and their memory."""
    frame = evidence.of("accumulation", pair)
    if frame.empty:
        return []
    found = rows(frame)
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Batch size", "examples"), [sheets.size(row) for row in found]),
        (Column("Micro batch", "examples"), counts_of(found, "micro_batch_size")),
        (Column("Seed"), counts_of(found, "seed")),
        (Column("Updates"), counts_of(found, "updates")),
        (Column("Largest difference of a weight"), numbers_of(found, "largest_difference")),
        (Column("Relative difference"), numbers_of(found, "relative_difference")),
        (Column("Rounding", "relative difference"), numbers_of(found, "rounding")),
    ]
    if frame["reason"].notna().any():
        columns.append((Column("Why one is missing", kind="text"), texts_of(found, "reason")))
    caption = (
        f"{where(pair)} Two trainings from the same weights with the same batches, whole or in micro batches. Relative "
        "difference: length of the difference of their weights over the length of the way from the first weights. "
        "Rounding: the same between two trainings in whole batches with their examples in another order."
    )
    cases = frame[["batch_size", "micro_batch_size"]].drop_duplicates().itertuples(index=False, name=None)
    notes = [Note(memory(evidence, pair, int(whole), int(micro))) for whole, micro in cases]
    return [Sheet("table-accumulation", caption, columns), *notes]


def _difference(evidence: Evidence, pair: Pair) -> str:
    """How far the weights are apart at most, beside what rounding alone does."""
    frame = evidence.of("accumulation", pair).dropna(subset=["relative_difference", "rounding"])
    if frame.empty:
        return ""
    difference, rounding = (text.number(float(frame[name].max())) for name in ("relative_difference", "rounding"))
    return (
        f"Micro batches change the final weights by up to {difference} of the way that training moved them; rounding "
        f"alone changes them by up to {rounding}."
    )


SECTIONS = (
    Section(
        "accumulation",
        "Accumulated gradients",
        "Micro batches added up to one update, against the whole batch.",
        accumulation,
        "Where the relative difference is as small as rounding, the two agree as far as can be told; batch "
        "normalization and dropout make it larger.",
        finding=_difference,
    ),
)


def memory(evidence: Evidence, pair: Pair, whole: int, micro: int) -> str:
    """Peak memory with and without micro batches, in a sentence, from timings.

    Those of a recipe that differs in the accumulation only and was timed at the whole size; else those of updates of
    both sizes.
    """
    at_once = _peak(evidence, pair, whole)
    for other in evidence.twins("accumulation", True, pair):
        accumulated = _peak(evidence, other, whole)
        if evidence.study["recipes"][other[1]]["micro_batch_size"] == micro and at_once and accumulated:
            return (
                f"Peak memory ({_kind(evidence, pair)}) of an update of {whole:,} examples: {_mega(at_once)} at once, "
                f"{_mega(accumulated)} over micro batches of {micro:,} (recipe {other[1]}), each in its own timing."
            )
    alone = _peak(evidence, pair, micro)
    if at_once is None or alone is None:
        return (
            f"Peak memory of batches of {whole:,} against micro batches of {micro:,}: not measured, since the study "
            "has no timings of both sizes."
        )
    return (
        f"Peak memory ({_kind(evidence, pair)}): {_mega(at_once)} for an update of {whole:,} examples and "
        f"{_mega(alone)} for one of {micro:,}, each in its own timing, without accumulation; the sum of the gradients "
        "takes as much as the weights on top."
    )


def _peak(evidence: Evidence, pair: Pair, size: int) -> float | None:
    """Peak memory of a timing, in bytes; None without a timing of the size or without a reading."""
    summary, timings = evidence.of("summary", pair), evidence.of("timings", pair)
    if not (timings["batch_size"] == size).any():
        return None
    known = summary.loc[summary["batch_size"] == size, "memory_bytes"].dropna()
    return float(known.iloc[0]) if len(known) else None


def _kind(evidence: Evidence, pair: Pair) -> str:
    return str(evidence.of("summary", pair)["memory_kind"].dropna().iloc[0])


def _mega(peak: float) -> str:
    return f"{text.number(peak / 1e6)} MB"
