"""What the report says about where the time of an update goes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from batchscope.figures import sheets
from batchscope.figures.sheets import Cell, Column, Row, Sheet, counts_of, number, numbers_of, rows
from batchscope.probes.section import Block, Evidence, Figure, Note, Section, where
from batchscope.stats import LEVEL
from batchscope.tables.cells import Pair

_OF_SUMMARY = ["batch_size", "full_batch", "utilisation_percent", "utilisation_kind"]
_LOOPS = {"fit": "Keras' own loop", "fused": "Compiled loop", "data": "Only reading"}


def costs(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per batch size: time per update of each loop and its shares; and the cost of each loop, or why not."""
    frame = evidence.of("overheads", pair)
    if frame.empty:
        return []
    found = rows(frame.merge(evidence.of("summary", pair)[_OF_SUMMARY], on=_OF_SUMMARY[:2], how="left"))
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Batch size", "examples"), [sheets.size(row) for row in found]),
        *(
            (Column(_LOOPS[loop], "ms"), [_bounded(row, f"{loop}_seconds_per_update", 1e3) for row in found])
            for loop in _LOOPS
        ),
        (Column("Saved by compiling", "% of Keras' own loop"), [_bounded(row, "dispatch_share", 100) for row in found]),
        (Column("Fixed cost", "% of the compiled loop"), [_bounded(row, "overhead_share", 100) for row in found]),
        (Column("Reading", "% of the compiled loop"), [_bounded(row, "data_share", 100) for row in found]),
        (Column("Computing", "% of the compiled loop"), [_bounded(row, "compute_share", 100) for row in found]),
        (Column("Fixed cost", "% of Keras' own loop"), [_bounded(row, "fit_overhead_share", 100) for row in found]),
        (Column("Utilisation", "%"), numbers_of(found, "utilisation_percent")),
        (Column("Windows"), counts_of(found, "windows")),
    ]
    kinds = {str(row["utilisation_kind"]) for row in found if pd.notna(row["utilisation_percent"])}
    caption = (
        f"{where(pair)} Time per update: medians over windows of one job with quartiles, timed in isolation, the loops "
        f"in turns. Shares with {LEVEL} intervals: what compiling saves from pairs of windows, the others from the "
        "lines fitted over the batch sizes, where accepted."
    )
    used = Note(f"Utilisation, of another job: {' and '.join(sorted(kinds)) or 'not measured'}.")
    return [Sheet("table-overheads", caption, columns), used, *_lines(evidence, pair), Figure("update_costs")]


SECTIONS = (
    Section(
        "costs",
        "Where the time of an update goes",
        "Three loops, timed in turns and in isolation: Keras' own loop, which comes back to Python for every "
        "update and brings the examples from the host; the compiled loop, one call for many updates; and one that only "
        "reads the examples from the device's memory.",
        costs,
        "Shares are not cut at 0 and 100. Another job on the same machine may differ by more than the intervals say.",
        "time",
    ),
)


def _lines(evidence: Evidence, pair: Pair) -> list[Sheet]:
    found = rows(evidence.of("update_costs", pair))
    if not found:
        return []
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Loop", kind="text"), [sheets.text(_LOOPS[row["loop"]]) for row in found]),
        (Column("Fixed cost", "µs per update"), [_accepted(row, "fixed_seconds") for row in found]),
        (Column("Marginal cost", "µs per example"), [_accepted(row, "marginal_seconds") for row in found]),
        (Column("Misfit", "relative"), numbers_of(found, "rmse_relative")),
        (Column("Sizes"), counts_of(found, "n_sizes")),
        (Column("Line", kind="text"), [_line(row) for row in found]),
    ]
    caption = (
        f"{where(pair)} Time per update = fixed cost + marginal cost × batch size, fitted to the logarithms of the "
        f"medians, with {LEVEL} intervals. The fixed cost is what the line says of a batch without examples: launching "
        "the operations, and the work that the weights alone determine."
    )
    return [Sheet("table-costs", caption, columns)]


def _bounded(row: Row, name: str, factor: float) -> Cell:
    """A value with its quartiles or its interval where the table has them, times `factor`."""
    ends = ("_q25", "_q75") if f"{name}_q25" in row else ("_ci_low", "_ci_high")
    found = [number(row, name + end) if name + end in row else None for end in ("", *ends)]
    return sheets.quartiles(*(None if value is None else factor * value for value in found))


def _accepted(row: Row, name: str) -> Cell:
    return _bounded(row, name, 1e6) if row["accepted"] else Cell()


def _line(row: Row) -> Cell:
    return sheets.text("accepted" if row["accepted"] else f"refused: {row['reason']}")
