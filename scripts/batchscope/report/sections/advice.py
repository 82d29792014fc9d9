"""The batch size for each goal, and a source's decision tree, followed."""

from __future__ import annotations

from dataclasses import replace

from batchscope import text
from batchscope.figures.sheets import Row, number
from batchscope.probes.section import Figure
from batchscope.report import elements
from batchscope.report.content import Content, size
from batchscope.report.fields import Field, table
from batchscope.report.page import Block, html, pair_title, section
from batchscope.report.sections import costs
from batchscope.tables.cells import Pair

_ABOUT = {
    "time_to_target": "time to a target",
    "test_accuracy": "test accuracy",
    "memory": "memory",
    "energy": "energy",
}
GOALS = {
    "time_to_target": "Least time to a target",
    "test_accuracy": "Best test accuracy",
    "memory": "Least memory of a run",
    "energy": "Least energy",
    "decision_tree": "A source's decision tree",
}


def advice(content: Content) -> str:
    """A box per data set and recipe, and the front of time and error below it."""
    return elements.section(
        _title(content),
        "".join(html(content, pair, _advice(content, pair)) for pair in content.shown),
        "Decided: all other sizes are significantly worse for this goal. Not decided: the size named has the best "
        "mean, and others may be as good or better.",
    )


def _title(content: Content) -> str:
    """The goals for which a size is named, or would be if a run had reached the target in time."""
    judged = {
        str(row["goal"])
        for pair in content.shown
        if _named(content, pair)
        for row in content.rows("advice", pair)
        if number(row, "batch_size") is not None or _judged(content, pair, row)
    }
    about = text.listing([words for goal, words in _ABOUT.items() if goal in judged])
    return f"By goal: {about}" if about else "By goal"


def _named(content: Content, pair: Pair) -> list[Row]:
    """The goals that a size is named for."""
    return [row for row in content.rows("advice", pair) if number(row, "batch_size") is not None]


def _advice(content: Content, pair: Pair) -> list[Block]:
    """The size to use for each goal, how sure that is, and the sentences behind it; nothing where no goal has one."""
    found, named = content.rows("advice", pair), _named(content, pair)
    if not named:
        return []
    heading = elements.heading(3, elements.slug("advice", *pair), pair_title(pair))
    facts = elements.facts([_fact(row) for row in named if row["goal"] != "decision_tree"])
    said = found if content.trained else [row for row in found if row in named or _judged(content, pair, row)]
    words = elements.terms([(f"{GOALS[str(row['goal'])]}: {_status(row)}", str(row["words"])) for row in said])
    return [heading + facts + words, Figure("pareto")]


def _judged(content: Content, pair: Pair, row: Row) -> bool:
    """Whether the study has what a goal is about, though no size can be named."""
    return row["goal"] == "time_to_target" and bool(content.of("to_target", pair)["seconds"].notna().any())


def _fact(row: Row) -> tuple[str, str, str]:
    return GOALS[str(row["goal"])], size(row), f"{costs.measured(row)}; {_status(row)}"


def _status(row: Row) -> str:
    """Whether the question is decided; never "decided" where it is not."""
    if number(row, "batch_size") is None:
        return "not followed" if row["goal"] == "decision_tree" else "no size named"
    if row["goal"] == "decision_tree":
        return f"{size(row)}, {'can be judged' if row['decided'] else 'cannot be judged in full'}"
    return "decided" if row["decided"] else "not decided"


@section(
    "A decision tree, followed",
    "One of the source documents chooses a batch size by questions. They are answered here with the measured numbers. "
    "The size at which the tree ends is compared with the measured best under the answer, by goal.",
)
def tree(content: Content, pair: Pair) -> list[Block]:
    """One row per question, with the number that decided it."""
    fields = (
        Field("Step", "step"),
        Field("Question", "question"),
        Field("Measured, and threshold", "measured"),
        Field("Answer", "answer"),
        Field("Go on with", "next"),
    )
    caption = (
        "The questions are those of one of the source documents, in its order. It says "
        "“unstable”, “slow”, “low” and “much lower” without numbers: the thresholds are ours. Where the answer asks "
        "for another size, the next size of the study is taken and the question asked again."
    )
    return [replace(each, stacked=True) for each in table(content, pair, "tree", fields, caption)]
