"""What happens from update to update, what was lost, and what was not measured."""

from __future__ import annotations

import pandas as pd

from batchscope import text
from batchscope.probes.section import Figure
from batchscope.report import elements
from batchscope.report.content import Content
from batchscope.report.fields import SIZE, Field, sheet, words
from batchscope.report.page import Block, heading, html, section
from batchscope.tables.cells import Pair


@section(
    "Losses and gradients of single updates",
    "The loss of a single batch is a noisy reading of the loss on all data. The figures show how large the noise is at "
    "each size, and how a weight moves with it.",
)
def updates(content: Content, pair: Pair) -> list[Block]:
    """Losses and gradients of single updates."""
    return [Figure("step_losses"), Figure("gradient_norm"), Figure("weight_path")]


_OUTCOMES = (
    SIZE,
    Field("Data set", "dataset"),
    Field("Recipe", "recipe"),
    words("Run or timing", lambda row: str(row["kind"])),
    Field("Seed", "seed"),
    words("Outcome", lambda row: str(row["outcome"]).replace("_", " ")),
    Field("What happened", "outcome_detail"),
)
_NOT_MEASURED = (
    words("Where", lambda row: f"{row['kind']}s"),
    Field("What", "columns"),
    Field("Why", "reason"),
    Field("How many", "n", of="of"),
)


def lost(content: Content) -> str:
    """The table of what was lost, and a figure for every data set and recipe that lost a run."""
    figures = "".join(
        heading("outcomes", pair) + html(content, pair, [Figure("outcomes")])
        for pair in content.shown
        if _lost(content, pair)
    )
    table = outcomes(content) if content.trained else ""
    return elements.section("What diverged or ran out of memory", table + figures)


def _lost(content: Content, pair: Pair) -> bool:
    """Whether any run of the data set and recipe diverged or ran out of memory."""
    return bool((content.of("runs", pair)["outcome"] != "ok").any())


def outcomes(content: Content) -> str:
    """One row per run or timing that diverged or ran out of memory; a sentence where nothing did."""
    runs = content.tables["runs"].assign(kind="run")
    timings = content.tables["timings"].assign(kind="timing", seed=None).query("timed_recipe == recipe")
    names = ["dataset", "recipe", "batch_size", "full_batch", "kind", "seed", "outcome", "outcome_detail"]
    frames = [frame.loc[frame["outcome"] != "ok", names].astype(object) for frame in (runs, timings)]
    both = pd.concat(frames)
    if both.empty:
        done = f"{text.count(len(runs), 'run')} and {text.count(len(timings), 'timing')}"
        return elements.paragraph(f"Nothing diverged and nothing ran out of memory: all {done} finished.")
    caption = f"{len(both)} of {len(runs) + len(timings)} runs and timings did not end ok. They are in no mean above."
    (table,) = sheet("outcomes", "runs", both, _OUTCOMES, caption)
    return elements.sheet(table.name, table)


def not_measured(content: Content) -> str:
    """What is null in the tables of runs and timings, and why."""
    if not content.trained:
        return ""
    caption = "Columns that are empty in the tables of the jobs. Nothing that was not measured counts as zero."
    found = sheet("not-measured", "not_measured", content.tables["not_measured"], _NOT_MEASURED, caption)
    table = "".join(elements.sheet(each.name, each) for each in found)
    words = elements.paragraph("Everything that could be measured was measured.")
    return elements.section("What was not measured", table or words)
