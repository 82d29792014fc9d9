"""The answer: for every data set and recipe a card with the batch size to use, how sure that is, and what it costs."""

from __future__ import annotations

import pandas as pd

from batchscope import text
from batchscope.analysis import recommendation as rule
from batchscope.analysis.advice import SAME_MEMORY
from batchscope.analysis.choosing import span
from batchscope.figures.sheets import Cell, Row, interval, number, rows
from batchscope.figures.targets import sentence_case
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.report import describe, elements
from batchscope.report.content import Content, size
from batchscope.report.fields import Own, sheet
from batchscope.report.page import pair_title
from batchscope.report.sections import claims, costs, elsewhere
from batchscope.report.sections.speed import disturbed
from batchscope.stats import ALPHA
from batchscope.tables.cells import Pair, Size
from batchscope.tables.metrics import METRICS

CARDS = 3  # data sets and recipes up to which each has an open card; more get a table of answers first
_INSTEAD = "steps_to_target"  # the figure shown where no quality is known
ENOUGH_SEEDS = 5

_WHY_NOT = {
    rule.ONE_SIZE: "Only one batch size was tried, so there is nothing to compare it with.",
    rule.NO_RESULT: "No run has a result to compare.",
    rule.LOST: "Every batch size lost a run, and the runs that are left are no fair sample.",
    rule.ONE_RUN: f"One run per batch size cannot tell a difference from chance. Use {ENOUGH_SEEDS} or more.",
    rule.NO_SPREAD: "Every run differs by the same amount, so there is nothing to test with.",
}
_NOTHING = "The runs have neither results nor times to compare, so no size can be recommended."


def answers(content: Content) -> str:
    """The cards; with many data sets and recipes a table of all answers, and the cards folded below it."""
    fair_first = sorted(content.shown, key=lambda pair: bool(_superseding(content, pair)))
    cards = [(pair, card(content, pair)) for pair in fair_first]
    if len(cards) <= CARDS:
        body = "".join(made for _, made in cards)
    else:
        folded = "".join(elements.folded(pair_title(pair), made) for pair, made in cards)
        body = overview(content) + _said("", _not_shown(content)) + elements.box("index", folded)
    return f'<section id="answer">{body}{_statements(content)}</section>'


def card(content: Content, pair: Pair) -> str:
    """What to use, how sure that is and what it costs, beside the figure that shows it."""
    row = _row(content, pair)
    heading = elements.heading(2, elements.slug("answer", *pair), pair_title(pair))
    recipe = content.study["recipes"].get(pair[1])
    about = elements.paragraph(describe.short(recipe), "about") if recipe else ""
    facts = elements.facts([fact for fact in _facts(content, pair, row) if fact])
    left = heading + about + _named(content, pair, row) + _said("", *_verdict(content, pair, row)) + facts
    left += _said("aside", *_cautions(content, pair, row))
    return elements.card(left, _figure(content, pair), disturbed(content, pair))


def overview(content: Content) -> str:
    """A row per data set and recipe with its answer."""
    frame = content.tables["recommendation"]
    fields = (
        Own("Workload", lambda row: Cell(pair_title((row["dataset"], row["recipe"])), row["dataset"]), kind="text"),
        Own("Batch size", lambda row: Cell(_label(row) or "none", _label(row)), kind="text"),
        Own("Not significantly different", lambda row: Cell(row["not_worse"], row["not_worse"]), kind="text"),
        Own("Quality", _value),
        Own("Time", lambda row: Cell(text.seconds(number(row, "seconds")), number(row, "seconds"))),
    )
    caption = (
        "The recommended batch size of every data set and recipe: of the sizes that are not significantly worse than "
        "the best, the one that takes the least time to its selected evaluation."
    )
    made = sheet("answers", "recommendation", frame, fields, caption)
    return "".join(elements.sheet(each.name, each) for each in made)


def _not_shown(content: Content) -> str:
    """What the page leaves out of a large table of runs made elsewhere."""
    every, shown = len(content.pairs), len(content.shown)
    if shown == every:
        return ""
    return (
        f"Cards, figures and sections are those of the first {shown} of {text.integer(every)} workloads of the table. "
        "This list and the files in tables/ have all; `where` under measurements.runs chooses others."
    )


def _named(content: Content, pair: Pair, row: Row) -> str:
    """The recommended size in large type; else the size with the best mean, or the critical size."""
    label = _label(row)
    if label:
        return elements.headline("Recommended batch size", label)
    best, critical = _label(row, "best_"), costs.critical(content, pair)
    if not best and critical is not None:
        return elements.headline("Critical batch size", critical[1].partition(":")[0].partition(" [")[0])
    return elements.headline("Best mean" if best else "No recommendation", best or text.MISSING)


def _said(kind: str, *sentences: str) -> str:
    """The sentences that are not empty, a paragraph each."""
    return "".join(elements.paragraph(sentence, kind) for sentence in sentences if sentence)


def _verdict(content: Content, pair: Pair, row: Row) -> list[str]:
    """How the other sizes compare, why none is recommended, and what would decide it."""
    why_not = _WHY_NOT.get(str(row["reason"]), "")
    if row["reason"] == rule.NOT_TIMED:
        why_not = _not_timed(row)
    elif row["reason"] == rule.NO_RESULT and not content.trained:
        why_not = _NOTHING
    compared = costs.compared(content, pair, row) if row["basis"] == rule.TARGET else _compared(content, pair, row)
    return [compared, why_not, _undecided(content, row)]


def _not_timed(row: Row) -> str:
    """Between which sizes their time would decide."""
    sizes = text.listing([_label(row, "best_"), *str(row["not_worse"]).split("; ")])
    return f"Time would decide between {sizes}, and it was not measured."


def _cautions(content: Content, pair: Pair, row: Row) -> list[str]:
    """What may change the answer."""
    return [
        _superseded(content, pair),
        _as_fast(row),
        _improving(row),
        _edge(content, pair, row),
        *([] if content.trained else elsewhere.more(content, pair, row)),
        _lost(content, pair),
        *fitted(content, pair),
        _few(content, row),
        *([] if content.trained else [elsewhere.at_best_rate(content, pair), elsewhere.left_out(content, pair)]),
    ]


_ENDED = ["batch_size", "full_batch", "outcome", "outcome_detail"]


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


def _compared(content: Content, pair: Pair, row: Row) -> str:
    """Which sizes are not significantly different, and which are worse."""
    every = costs.sizes(content, pair)
    parts = []
    for column, one, many in (
        ("not_worse", "is not significantly different", "are not significantly different"),
        ("worse", "is significantly worse", "are significantly worse"),
    ):
        named = [every[label] for label in str(row[column]).split("; ") if label in every]
        if named:
            parts.append(f"{span(named, [*every.values()])} {one if len(named) == 1 else many}")
    if not parts:
        return ""
    tested = f" (Holm-adjusted p ≤ {ALPHA})" if row["worse"] else ""
    return f"Batch size {'; '.join(parts)}{tested}."


def _undecided(content: Content, row: Row) -> str:
    """What would decide between the recommended size and the one with the best mean."""
    difference, seeds, n = (number(row, name) for name in ("difference", "seeds_to_tell", "n"))
    if difference is None or n is None:
        return ""
    higher = METRICS[str(row["metric"])].better == "higher"
    distance, way = text.number(abs(difference), 2), "lower" if higher else "higher"
    worse = f"Its mean is {distance} {way} than that of {_label(row, 'best_')}"
    if seeds is None:
        return f"{worse}, too little to be shown with 1,000 {_repetition(content)}s."
    more = text.count(max(1, int(seeds) - int(n)), f"more {_repetition(content)}")
    each = "" if content.trained else " of each size"
    return f"{worse}. Undecided: {more}{each} would decide a difference of that size."


def _improving(row: Row) -> str:
    named = str(row["still_improving"]).replace("; ", ", ")
    if not named:
        return ""
    return f"Still improving when the budget ended: {named}. A longer budget may change the answer."


def _as_fast(row: Row) -> str:
    named = row["as_fast"].replace("; ", ", ") if isinstance(row["as_fast"], str) else ""
    return f"One timing each cannot tell apart its time from that of {named}." if named else ""


def _edge(content: Content, pair: Pair, row: Row) -> str:
    edge = row["edge"]
    if not isinstance(edge, str) or not edge:
        return ""
    named = int(row["batch_size"] if _label(row) else row["best_batch_size"])
    beyond = named // 2 if edge == "smallest" else 2 * named
    fits = not (content.of("runs", pair)["n_train"] < beyond).any()
    which = "It" if _label(row) else _label(row, "best_")
    other = "smaller" if edge == "smallest" else "larger"
    more = f": add {text.integer(beyond)}" if fits else ""
    return f"{which} is the {edge} size tried; {other} ones may be better{more}."


def _superseded(content: Content, pair: Pair) -> str:
    other = _superseding(content, pair)
    if not other:
        return ""
    label = _label(_row(content, (pair[0], other)))
    answer = f"There batch size {label} is recommended." if label else "There no size can be recommended."
    return f"One learning rate for all sizes favours some of them. {other} tunes it for every size. {answer}"


def _superseding(content: Content, pair: Pair) -> str:
    found = _row(content, pair)["superseded_by"]
    return found if isinstance(found, str) else ""


def _lost(content: Content, pair: Pair) -> str:
    """Sizes that lack a run, and how it ended."""
    found = content.rows("best", pair)
    missing = {size(row) for row in found if int(row["n"]) < int(row["n_runs"])}
    if not any(int(row["n"]) for row in found):
        return ""  # nobody recorded the metric
    if not content.trained:
        return f"Not compared, since a run has no result: {text.listing(sorted(missing))}." if missing else ""
    parts = [
        f"{size(row)} ({int(row['n_diverged'])} diverged, {int(row['n_out_of_memory'])} out of memory, of "
        f"{text.count(int(row['n_runs']), 'run')})"
        for row in content.rows("summary", pair)
        if size(row) in missing
    ]
    return f"Not compared, since runs were lost: {text.listing(parts)}." if parts else ""


def _few(content: Content, row: Row) -> str:
    n = number(row, "n")
    if not n or n >= ENOUGH_SEEDS:
        return ""
    each = "" if content.trained else " of each size"
    return f"{text.count(int(n), _repetition(content))}{each} leave wide intervals; use {ENOUGH_SEEDS}."


def _repetition(content: Content) -> str:
    """What a size has several of."""
    return "seed" if content.trained else "run"


Fact = tuple[str, str, str] | None


def _facts(content: Content, pair: Pair, row: Row) -> list[Fact]:
    """Rows of the card: name, value and remark. Nothing stands there that was not measured, but for energy."""
    return [
        _quality(content, pair, row),
        _accuracy(content, pair, row),
        _time(row),
        costs.target(content, pair),
        costs.critical(content, pair),
        _memory(content, pair, row),
        costs.energy(content, pair),
        costs.saved(content, pair),
    ]


def _quality(content: Content, pair: Pair, row: Row) -> Fact:
    metric = METRICS[str(row["metric"])]
    if number(row, "value_mean") is None:
        own = _own(content, "best", pair, row)
        if own is None or number(own, "value_mean") is None:
            return None
        row = {**row, **{name: own[name] for name in ("value_mean", "value_ci_low", "value_ci_high")}}
    remark = "the best mean of all sizes" if number(row, "difference") is None else f"best mean: {_label(row, 'best_')}"
    return sentence_case(metric.words), _value(row).shown + _value(row).bounds, remark


def _value(row: Row) -> Cell:
    middle, _, bounds = interval(row, "value").partition(" [")
    unit = METRICS[str(row["metric"])].unit
    value = number(row, "value_mean")
    return (
        Cell(middle, value, f" [{bounds}{f' {unit}' if unit else ''}" if bounds else "")
        if value is not None
        else Cell()
    )


def _accuracy(content: Content, pair: Pair, row: Row) -> Fact:
    own = _own(content, "best", pair, row)
    if own is None or row["metric"] == "selected_test_accuracy" or number(own, "accuracy_mean") is None:
        return None
    remark = "never used for selection" if content.trained else "not used to compare sizes"
    return "Test accuracy", f"{interval(own, 'accuracy', factor=100, places=1)} %", remark


def _time(row: Row) -> Fact:
    seconds, slowest = number(row, "seconds"), number(row, "slowest_seconds")
    if seconds is None or row["seconds_kind"] == rule.TO_TARGET:
        return None
    remark = ""
    if slowest is not None and slowest > seconds:
        remark = f"{text.ratio(slowest / seconds)} × faster than {_label(row, 'slowest_')}"
    return f"Time {row['seconds_kind']}", text.seconds(seconds), remark


def _memory(content: Content, pair: Pair, row: Row) -> Fact:
    own = _own(content, "summary", pair, row)
    known = {size(each): number(each, "memory_bytes") for each in content.rows("summary", pair)}
    measured = {label: value for label, value in known.items() if value}
    value = None if own is None else number(own, "memory_bytes")
    if not value:
        return None
    least, most = (pick(measured, key=lambda label: measured[label] or 0.0) for pick in (min, max))
    if (measured[most] or 0) < SAME_MEMORY * (measured[least] or 0):
        remark = "the same for all sizes (within 5 %)"
    else:
        remark = f"least: {_megabytes(measured[least])} at {least}; most: {_megabytes(measured[most])} at {most}"
    return "Peak memory", _megabytes(value), remark


def _figure(content: Content, pair: Pair) -> str:
    drawn, svg = "answer", content.svg("answer", pair)
    if svg is None:
        drawn, svg = _INSTEAD, content.svg(_INSTEAD, pair)
    if svg is None:
        return ""
    spec, frames = STUDY_FIGURES[drawn], content.frames(pair)
    return elements.figure(
        elements.slug("figure-answer", *pair), svg, spec.title, spec.alt(frames), spec.caption(frames)
    )


def _statements(content: Content) -> str:
    """How many statements were supported, contradicted or left undecided, with a link to them."""
    counts = claims.counts(content.tables["verdicts"])
    chips = "".join(elements.badge(kind, f"{count} {kind}") for kind, count in counts if count)
    return f'<p class="chips"><a href="#claims">Statements tested</a> {chips}</p>' if chips else ""


def _row(content: Content, pair: Pair) -> Row:
    return content.rows("recommendation", pair)[0]


def _own(content: Content, name: str, pair: Pair, row: Row) -> Row | None:
    """The row of a table about the size that the card names."""
    label = _label(row) or _label(row, "best_")
    return next((each for each in content.rows(name, pair) if size(each) == label), None)


def _label(row: Row, prefix: str = "") -> str:
    return "" if pd.isna(row[f"{prefix}batch_size"]) else Size.of(row, prefix).label


def _megabytes(value: float | None) -> str:
    return f"{text.number(None if value is None else value / 1e6)} MB"
