"""What the documents say beside what was measured: the verdicts of the study."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from batchscope import text
from batchscope.claims.definitions import resolved
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.report import elements
from batchscope.report.content import Content, Row, figure_id, number, rows
from batchscope.report.elements import Cell, Column
from batchscope.stats import ALPHA, LEVEL

NOT_MEASURED = "not measured"
SHORT = 8  # verdicts up to which the whole table is shown at once
KINDS = ("supported", "contradicted", "undecided")

_HOW = (
    "Each statement comes with a test and with a margin, the smallest effect that counts; both were fixed before the "
    "runs. Supported means that the test rules out that there is no effect in the direction of the statement; "
    "contradicted, that it rules out an effect as large as the margin: the effect may still be there, and then the row "
    "says that it is smaller than what counts. Each p-value is twice the smaller of those two tests and adjusted "
    f"(Holm) over the tests of the statement's family, and a verdict needs an adjusted p of at most {ALPHA}. "
    "Everything else is undecided. Undecided is not “no effect”: beside it stands the smallest effect that as many "
    "seeds would find four times out of five. Tests are over seeds; those of a time are over the timed windows of one "
    "job per size, and do not hold how another job, or another day, would differ."
)


def verdicts(content: Content) -> str:
    """How many statements held, how a verdict comes about, the table, and folded away what was not measured."""
    found = rows(content.tables["verdicts"])
    if not found:
        return ""
    judged = [row for row in found if row["verdict"] != NOT_MEASURED]
    missing = [row for row in found if row["verdict"] == NOT_MEASURED]
    parts = [elements.paragraph(counted(found)), elements.paragraph(_HOW)]
    if judged:
        table = _table(content, judged)
        if len(judged) > SHORT:
            parts.append(_overview(judged))
            table = elements.folded(f"All {len(judged)} verdicts, with numbers, p-values and scope", table)
        parts.append(table)
    if missing:
        parts.append(_missing(missing))
    return "".join(parts)


def counted(found: Sequence[Row]) -> str:
    """How often each verdict was given, in a sentence."""
    judged = [row for row in found if row["verdict"] != NOT_MEASURED]
    claims = {row["claim"] for row in judged}
    missing = {row["claim"] for row in found} - claims
    sentences = []
    if judged:
        counts = {kind: sum(row["verdict"] == kind for row in judged) for kind in KINDS}
        words = text.listing([f"{count} {kind}" for kind, count in counts.items() if count])
        sentences.append(
            f"{text.count(len(claims), 'statement')} {_was(len(claims))} tested here, with "
            f"{text.count(len(judged), 'verdict')}, one per data set and recipe: {words}."
        )
    if missing:
        sentences.append(f"{text.count(len(missing), 'statement')} {_was(len(missing))} not measured in this study.")
    return " ".join(sentences)


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _table(content: Content, judged: Sequence[Row]) -> str:
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Statement", kind="text"), [_statement(row) for row in judged]),
        (Column("Verdict", kind="text"), [_verdict(row) for row in judged]),
        (Column("What was measured", kind="text"), [_measured(content, row) for row in judged]),
        (Column("Effect", "and what counts"), [_effect(content, row) for row in judged]),
        (Column("Runs or seeds"), [elements.value(number(row, "n"), _count(row)) for row in judged]),
        (Column("p, adjusted"), [_p(row) for row in judged]),
        (Column("Smallest effect found", "power 80 %"), [elements.value(number(row, "detectable")) for row in judged]),
    ]
    caption = (
        "One row per statement, data set and recipe. Of several comparisons the effect is that of the one that "
        f"decides; its {LEVEL} interval is not adjusted. A verdict holds for the budget, the sizes, the model and the "
        "data of its row."
    )
    return elements.table_of("table-verdicts", caption, columns, stacked=True)


def _overview(judged: Sequence[Row]) -> str:
    """One row per statement: its verdicts, and on what each was given."""
    lines: dict[str, list[str]] = {}
    heads: dict[str, Row] = {}
    for row in judged:
        heads.setdefault(str(row["claim"]), row)
        value, low, high = (number(row, name) for name in ("effect", "ci_low", "ci_high"))
        effect = "" if value is None else f": {text.interval(value, low, high)} {_text(row['unit'])}".rstrip()
        where = " with ".join(filter(None, (_text(row["dataset"]), _text(row["recipe"]))))
        badge = elements.badge(str(row["verdict"]))
        lines.setdefault(str(row["claim"]), []).append(f'<span class="line">{badge} {escape(where + effect)}</span>')
    cells = [[_statement(heads[claim]), Cell("".join(found), claim)] for claim, found in lines.items()]
    caption = (
        "One row per statement: the verdict on each data set and recipe, with the effect that decides it and its "
        f"{LEVEL} interval, not adjusted."
    )
    heads_of_columns = [Column("Statement", kind="text"), Column("Verdicts", kind="text")]
    return elements.table("table-verdicts-overview", caption, heads_of_columns, cells, stacked=True)


def _statement(row: Row) -> Cell:
    html = escape(str(row["statement"])) + elements.remark(f"{row['claim']}, {row['source']}")
    return Cell(html, str(row["claim"]))


def _verdict(row: Row) -> Cell:
    return Cell(elements.badge(str(row["verdict"])), str(row["verdict"]))


def _measured(content: Content, row: Row) -> Cell:
    html = escape(_text(row["measured"])) + elements.remark(_sentence(_text(row["reason"])))
    scope, budget = _text(row["scope"]), _text(row["budget"])
    html += elements.remark(f"Holds for: {scope.rstrip('.')}." if scope else "")
    html += elements.remark(f"Budget: {budget.rstrip('.')}." if budget else "")
    name, dataset, recipe = (_text(row[key]) for key in ("figure", "dataset", "recipe"))
    if name in STUDY_FIGURES and dataset and recipe and content.drawn(name, (dataset, recipe)):
        target = f"#{figure_id(name, (dataset, recipe))}"
        html += f'<span class="remark">{elements.link(target, f"Figure: {STUDY_FIGURES[name].title}")}</span>'
    return Cell(html, _text(row["measured"]))


def _sentence(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:].rstrip('.')}." if reason else ""


def _effect(content: Content, row: Row) -> Cell:
    cell = elements.spread(number(row, "effect"), number(row, "ci_low"), number(row, "ci_high"))
    if cell.value is None:
        return cell
    margin = number(row, "margin")
    counts = _stated(content, str(row["claim"])) + ([] if margin is None else [f"margin {text.number(margin)}"])
    return Cell(cell.html + elements.remark(_text(row["unit"])) + elements.remark(", ".join(counts)), cell.value)


def _stated(content: Content, name: str) -> list[str]:
    """The number that a statement names, as its test has it."""
    claims = content.study.get("claims", {})
    stated = resolved({name: claims[name]})[name].test.stated() if name in claims else ""
    return [f"stated: {stated}"] if stated else []


def _count(row: Row) -> str:
    return text.integer(number(row, "n"))


def _p(row: Row) -> Cell:
    p = number(row, "p_adjusted")
    return elements.value(p, text.p_value(p).removeprefix("= "))


def _missing(missing: Sequence[Row]) -> str:
    """Statements without a measurement, grouped by the reason."""
    reasons: dict[str, dict[str, str]] = {}
    for row in missing:
        words = f"{row['claim']}: {row['statement']}"
        reasons.setdefault(_text(row["reason"]) or "no reason is given", {})[words] = str(row["source"])
    html = "".join(
        elements.paragraph(f"{reason[0].upper()}{reason[1:].rstrip('.')}:")
        + elements.bullets([f"{words} [{source}]" for words, source in found.items()])
        for reason, found in reasons.items()
    )
    total = len({row["claim"] for row in missing})
    return elements.folded(f"Not measured everywhere: {text.count(total, 'statement')}, with the reasons", html)


def _text(content: Any) -> str:
    return "" if pd.isna(content) else str(content)
