"""What the documents say beside what was measured: the verdicts of the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

import pandas as pd

from batchscope import text
from batchscope.claims.definitions import resolved
from batchscope.figures.sheets import Cell, Column, Row, Sheet, number, rows, spread
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.report import elements
from batchscope.report.content import Content
from batchscope.report.elements import Html
from batchscope.report.fields import Field, Own, sheet
from batchscope.report.page import figure_id
from batchscope.report.sections.quality import p_adjusted
from batchscope.stats import ALPHA, LEVEL
from batchscope.stats.times import JOB_SPREAD

NOT_MEASURED = "not measured"
_SHORT = 8  # verdicts up to which the whole table is shown at once
_KINDS = ("supported", "contradicted", "undecided")
_LINES = 4  # verdicts on a statement up to which each has a line in the overview

_HOW = (
    "Each statement comes with a test and with a margin, the smallest effect that counts; {fixed}. Supported: the test "
    "shows an effect in the direction of the statement. Contradicted: it rules out an effect as large as the margin; "
    "a smaller one may still be there, and then the row says so. Each p-value is twice the smaller of those two tests "
    "and adjusted (Holm) over the tests of the statement's family, and a verdict needs an adjusted p of at most "
    f"{ALPHA}. Everything else is undecided. Undecided is not “no effect”: beside it stands the smallest effect that "
    "as many {repeated} would find four times out of five. Tests are over {repeated}{times}."
)
_TIMES = (
    "; of a time there is one job per size, for which they assume that another may differ by "
    f"{100 * JOB_SPREAD:g} % (standard deviation) beyond its windows"
)


def _how(content: Content) -> str:
    if content.trained:
        return _HOW.format(fixed="both were fixed before the runs", repeated="seeds", times=_TIMES)
    return _HOW.format(fixed="both come from the statement and not from these runs", repeated="runs", times="")


def verdicts(content: Content) -> str:
    """How many statements held, how a verdict comes about, the table, and folded away what was not measured."""
    found = content.tables["verdicts"]
    if not content.trained:  # what a table cannot speak about is not listed
        found = found[found["verdict"] != NOT_MEASURED]
    if found.empty:
        return ""
    judged, missing = found[found["verdict"] != NOT_MEASURED], _shown(content, found[found["verdict"] == NOT_MEASURED])
    parts = [elements.paragraph(counted(found), "finding")]
    if len(judged) > _SHORT:
        parts.append(_overview(judged))
    listed = _table(content, _shown(content, judged))
    parts += [elements.folded("How a verdict comes about", elements.paragraph(_how(content))), listed]
    if len(missing):
        parts.append(_missing(missing))
    return "".join(parts)


def _shown(content: Content, found: pd.DataFrame) -> pd.DataFrame:
    """The verdicts on what the page shows, and those on no data set and recipe."""
    shown = {*content.shown}
    pairs = zip(found["dataset"], found["recipe"], strict=True)
    return found[[pd.isna(pair[0]) or pair in shown for pair in pairs]]


def counted(found: pd.DataFrame) -> str:
    """How often each verdict was given, in a sentence."""
    judged = found[found["verdict"] != NOT_MEASURED]
    tested, missing = judged["claim"].nunique(), len({*found["claim"]} - {*judged["claim"]})
    sentences = []
    if tested:
        each = f", with {len(judged)} verdicts, one per data set and recipe" if len(judged) > tested else ""
        sentences.append(
            f"{text.count(tested, 'statement')} {_was(tested)} tested{each}: "
            f"{text.listing([f'{count} {kind}' for kind, count in counts(judged) if count])}."
        )
    if missing:
        sentences.append(f"{text.count(missing, 'statement')} could not be tested: not measured in this study.")
    return " ".join(sentences)


def counts(found: pd.DataFrame) -> list[tuple[str, int]]:
    """How often each verdict was given."""
    return [(kind, int((found["verdict"] == kind).sum())) for kind in _KINDS]


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _table(content: Content, judged: pd.DataFrame) -> str:
    fields = (
        Own("Statement", _statement, kind="text"),
        Own("Verdict", _verdict, kind="text"),
        Own("What was measured", lambda row: _measured(content, row), kind="text"),
        Own("Effect", lambda row: _effect(content, row), "and what counts"),
        Field("Runs or seeds" if content.trained else "Runs", "n"),
        Own("p, adjusted", p_adjusted),
        Field("Smallest effect found", "detectable", "power 80 %", optional=True),
    )
    caption = (
        "One row per statement, data set and recipe. Of several comparisons the effect is that of the one that "
        f"decides; its {LEVEL} interval is not adjusted. A verdict holds for the budget, the sizes, the model and the "
        "data of its row."
    )
    folded = f"All {len(judged)} verdicts, with numbers, p-values and scope" if len(judged) > _SHORT else ""
    made = sheet("verdicts", "verdicts", judged, fields, caption, folded)
    return "".join(elements.sheet(each.name, replace(each, stacked=True)) for each in made)


def _overview(judged: pd.DataFrame) -> str:
    """One row per statement: its verdicts, and on what each was given."""
    heads: dict[str, Row] = {}
    given: dict[str, list[Row]] = {}
    for row in rows(judged):
        heads.setdefault(str(row["claim"]), row)
        given.setdefault(str(row["claim"]), []).append(row)
    lines = {claim: map(_line, found) if len(found) <= _LINES else _by_kind(found) for claim, found in given.items()}
    caption = (
        "One row per statement: the verdict on each data set and recipe, with the effect that decides it and its "
        f"{LEVEL} interval, not adjusted; of more than {_LINES} how often each verdict was given."
    )
    columns: list[tuple[Column, list[Cell]]] = [
        (Column("Statement", kind="text"), [_statement(row) for row in heads.values()]),
        (Column("Verdicts", kind="text"), [Html(value=claim, html="".join(found)) for claim, found in lines.items()]),
    ]
    name = "table-verdicts-overview"
    return elements.sheet(name, Sheet(name, caption, columns, stacked=True))


def _line(row: Row) -> str:
    """A verdict and what it is about, with the effect."""
    value, low, high = (number(row, name) for name in ("effect", "ci_low", "ci_high"))
    effect = "" if value is None else f": {text.interval(value, low, high)} {_text(row['unit'])}".rstrip()
    where = " with ".join(filter(None, (_text(row["dataset"]), _text(row["recipe"]))))
    return f'<span class="line">{elements.badge(str(row["verdict"]))} {escape(where + effect)}</span>'


def _by_kind(found: Sequence[Row]) -> list[str]:
    """Of many verdicts on a statement how often each was given, and between which effects."""
    lines = []
    for kind in _KINDS:
        of_kind = [row for row in found if row["verdict"] == kind]
        effects = sorted(value for row in of_kind if (value := number(row, "effect")) is not None)
        ends = dict.fromkeys(text.number(value) for value in (effects[0], effects[-1])) if effects else ()
        unit = _text(of_kind[0]["unit"]) if of_kind else ""
        reach = f", effect {' to '.join(ends)} {unit}".rstrip() if effects else ""
        if of_kind:
            where = f"{len(of_kind)} of {len(found)} workloads"
            lines.append(f'<span class="line">{elements.badge(kind)} {escape(where + reach)}</span>')
    return lines


def _statement(row: Row) -> Cell:
    return Cell(str(row["statement"]), str(row["claim"]), remarks=(f"{row['claim']}, {row['source']}",))


def _verdict(row: Row) -> Cell:
    return Html(value=str(row["verdict"]), html=elements.badge(str(row["verdict"])))


def _measured(content: Content, row: Row) -> Cell:
    scope, budget = _text(row["scope"]), _text(row["budget"])
    remarks = (
        _sentence(_text(row["reason"])),
        f"Holds for: {scope.rstrip('.')}." if scope else "",
        f"Budget: {budget.rstrip('.')}." if budget else "",
    )
    html = elements.cell(Cell(_text(row["measured"]), "", remarks=remarks))
    name, pair = _text(row["figure"]), (_text(row["dataset"]), _text(row["recipe"]))
    if name in STUDY_FIGURES and all(pair) and content.svg(name, pair):
        title = STUDY_FIGURES[name].heading(content.frames(pair))
        link = elements.link(f"#{figure_id(name, pair)}", f"Figure: {title}")
        html += f'<span class="remark">{link}</span>'
    return Html(value=_text(row["measured"]), html=html)


def _sentence(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:].rstrip('.')}." if reason else ""


def _effect(content: Content, row: Row) -> Cell:
    cell = spread(number(row, "effect"), number(row, "ci_low"), number(row, "ci_high"))
    margin = number(row, "margin")
    counts = _stated(content, str(row["claim"])) + ([] if margin is None else [f"margin {text.number(margin)}"])
    return cell if cell.value is None else replace(cell, remarks=(_text(row["unit"]), ", ".join(counts)))


def _stated(content: Content, name: str) -> list[str]:
    """The number that a statement names, as its test has it."""
    claims = content.study.get("claims", {})
    stated = resolved({name: claims[name]})[name].test.stated() if name in claims else ""
    return [f"stated: {stated}"] if stated else []


def _missing(missing: pd.DataFrame) -> str:
    """Statements without a measurement, grouped by the reason."""
    reasons: dict[str, dict[str, str]] = {}
    for row in rows(missing):
        words = f"{row['claim']}: {row['statement']}"
        reasons.setdefault(_text(row["reason"]) or "no reason is given", {})[words] = str(row["source"])
    html = "".join(
        elements.paragraph(f"{_sentence(reason).removesuffix('.')}:")
        + elements.bullets([f"{words} [{source}]" for words, source in found.items()])
        for reason, found in reasons.items()
    )
    total = text.count(missing["claim"].nunique(), "statement")
    return elements.folded(f"Not measured everywhere: {total}, with the reasons", html)


def _text(content: str | float | None) -> str:
    return "" if pd.isna(content) else str(content)
