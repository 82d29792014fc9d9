"""Time, throughput, memory, utilisation and energy."""

from __future__ import annotations

import pandas as pd

from batchscope import text
from batchscope.analysis.times import shared
from batchscope.figures.sheets import Cell, Row, number, rows, value
from batchscope.figures.targets import sentence_case
from batchscope.probes.section import Figure, Note
from batchscope.report import elements
from batchscope.report.content import Content, size
from batchscope.report.fields import SIZE, Field, Own, table
from batchscope.report.page import Block, section
from batchscope.stats import LEVEL
from batchscope.tables.cells import Pair


def _title_of_time(content: Content) -> str:
    return "Time and throughput" if content.shows("summary", "seconds_per_epoch") else "Time: not measured"


@section(
    _title_of_time,
    "Seconds come from timings in isolation. A short epoch is not yet a short training: how many "
    "epochs a size needs, and how far it gets, is in the learning curves.",
)
def time(content: Content, pair: Pair) -> list[Block]:
    """One row per batch size: seconds per update and epoch, and throughput; above it what disturbed the timings."""
    if not content.trained:
        return []
    above, below = disturbed(content, pair), imprecise(content, pair)
    return [above, *_timed(content, pair), *below, Figure("throughput")]


def _timed(content: Content, pair: Pair) -> list[Block]:
    """The table, or a note where nothing was timed."""
    frame = content.of("summary", pair)
    timed = [row for row in rows(frame) if number(row, "seconds_per_epoch") is not None]
    if not timed:
        return [Note("No batch size was timed; `timing: true` in the study file times each, in isolation.")]
    first = timed[0]

    def faster(row: Row) -> Cell:
        seconds = number(row, "seconds_per_epoch")
        times = None if seconds is None else float(first["seconds_per_epoch"]) / seconds
        return value(times, text.ratio(times))

    fields = (
        SIZE,
        Field("Time per update", "seconds_per_update", "ms"),
        Field("Updates per epoch", "updates_per_epoch"),
        Field("Time per epoch", "seconds_per_epoch", form="digits"),
        Own("Speed", faster, f"times that of {size(first)}"),
        Field("Throughput", "examples_per_second", "examples/s", form="whole"),
    )
    caption = (
        f"Medians over repeated windows of one job, timed in isolation, with {LEVEL} intervals; updates only, without "
        "compiling and evaluation. In the time per epoch a last, short batch counts as a whole one."
    )
    return [*table(content, pair, "speed", fields, caption, of="summary")]


def disturbed(content: Content, pair: Pair) -> str:
    """A warning where a timing on one CPU thread did not get its core: then something else used the machine."""
    found = shared(content.of("timings", pair))
    return elements.box("caution", elements.paragraph(f"Take these seconds with care: {found}.")) if found else ""


def imprecise(content: Content, pair: Pair) -> list[Block]:
    """A note on the timings whose time was spent before their median was as precise as the study asks."""
    late = [row for row in rows(content.of("timings", pair)) if row["ended_by"] == "max_seconds"]
    if not late:
        return []
    settings = content.study["settings"]["timing"]
    found = text.listing([f"{size(row)} ({_known_to(row)})" for row in late])
    spent, wanted = f"{settings['max_seconds']:g} s, five windows at least", f"{100 * settings['precision']:g} %"
    sizes = f"{'batch size' if len(late) == 1 else 'batch sizes'} {found}"
    return [
        Note(
            f"When the time for windows was spent ({spent}), the {LEVEL} interval of the median was not yet within "
            f"{wanted} of it at {sizes}."
        )
    ]


def _known_to(row: Row) -> str:
    """How far the interval of the median reaches from it."""
    middle, low, high = (number(row, f"seconds_per_update{end}") for end in ("", "_ci_low", "_ci_high"))
    if middle is None or low is None or high is None:
        return "no interval"
    return f"within {text.number(100 * max(middle - low, high - middle) / middle, 2)} %"


def memory(content: Content) -> Field:
    """The column of the peak memory, which says of what it is: a run holds its evaluations, too."""
    return Field(content.peak_memory, "memory_bytes", "MB")


_RESOURCES = {
    "memory": "memory_bytes",
    "utilisation": "utilisation_percent",
    "energy": "energy_per_epoch_joules",
}


def _title_of_resources(content: Content) -> str:
    """What was measured of them."""
    known = [name for name, column in _RESOURCES.items() if content.shows("summary", column)]
    return sentence_case(text.listing(known)) or "Memory, utilisation and energy: not measured"


@section(_title_of_resources)
def resources(content: Content, pair: Pair) -> list[Block]:
    """One row per batch size, with what was measured in the caption."""
    if not content.trained:
        return []
    frame = content.of("summary", pair)
    caption = " ".join(_kind(frame, name) for name in ("memory", "utilisation"))
    fields = (
        SIZE,
        memory(content),
        Field("Utilisation", "utilisation_percent"),
        Field("Energy per epoch", "energy_per_epoch_joules", optional=True),
    )
    return [
        *table(content, pair, "resources", fields, caption, of="summary"),
        Note(_kind(frame, "energy")),
        Figure("memory"),
        Figure("utilisation"),
    ]


def _kind(frame: pd.DataFrame, name: str) -> str:
    """What was measured as memory, say, or why nothing was."""
    kinds = [str(kind) for kind in frame[f"{name}_kind"].dropna().unique()]
    if name == "energy" and frame["energy_per_epoch_joules"].isna().all():
        reasons = [str(reason) for reason in frame["energy_reason"].dropna().unique() if reason]
        return f"Energy: not measured{f' ({reasons[0]})' if reasons else ''}."
    return f"{name.capitalize()}: {text.listing(kinds) or 'not measured'}."
