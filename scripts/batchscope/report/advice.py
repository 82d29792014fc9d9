"""Which batch size to use, per goal, and the decision tree that was followed, as HTML."""

from __future__ import annotations

from batchscope import text
from batchscope.report import elements
from batchscope.report.content import Content, Row, number, pair_title, rows, size
from batchscope.report.elements import Cell, Column
from batchscope.tables.cells import Pair

GOALS = {
    "time_to_target": "Least time to a target",
    "test_accuracy": "Best test accuracy",
    "memory": "Least memory",
    "energy": "Least energy",
    "decision_tree": "A source's decision tree",
}


def advice(content: Content, pair: Pair) -> str:
    """A box with the size to use for each goal, how sure that is, and the sentences behind it.

    Nothing where no goal has a size.
    """
    found = rows(content.of("advice", pair))
    named = [row for row in found if number(row, "batch_size") is not None]
    if not named:
        return ""
    heading = elements.heading(3, elements.slug("advice", *pair), pair_title(pair))
    facts = elements.facts([_fact(row) for row in named if row["goal"] != "decision_tree"])
    words = elements.terms([(f"{GOALS[str(row['goal'])]}: {_status(row)}", str(row["words"])) for row in found])
    return elements.box("answer", heading + facts + words)


def _fact(row: Row) -> tuple[str, str, str]:
    unit = f" {row['unit']}" if row["unit"] else ""
    middle = text.interval(number(row, "value"), number(row, "ci_low"), number(row, "ci_high"))
    return GOALS[str(row["goal"])], size(row), f"{middle}{unit}; {_status(row)}"


def _status(row: Row) -> str:
    """Whether the question is decided; never "decided" where it is not."""
    if number(row, "batch_size") is None:
        return "not followed" if row["goal"] == "decision_tree" else "no size named"
    if row["goal"] == "decision_tree":
        return f"{size(row)}, {'can be judged' if row['decided'] else 'cannot be judged in full'}"
    return "decided" if row["decided"] else "not decided"


def tree(content: Content, pair: Pair) -> str:
    """One row per question of the decision tree that was asked, with the number that decided it."""
    found = rows(content.of("tree", pair))
    if not found:
        return ""
    columns = [
        Column("Step"),
        Column("Question", kind="text"),
        Column("Measured, and threshold", kind="text"),
        Column("Answer", kind="text"),
        Column("Go on with", kind="text"),
    ]
    cells = [
        [_step(row), *(elements.text(row[name]) for name in ("question", "measured", "answer", "next"))]
        for row in found
    ]
    caption = (
        f"{pair[0]} with {pair[1]}. The questions are those of one of the source documents, in its order. It says "
        "“unstable”, “slow”, “low” and “much lower” without numbers: the thresholds are ours. Where the answer asks "
        "for another size, the next size of the study is taken and the question asked again."
    )
    return elements.table(elements.slug("table-tree", *pair), caption, columns, cells, stacked=True)


def _step(row: Row) -> Cell:
    return elements.value(number(row, "step"), text.integer(number(row, "step")))
