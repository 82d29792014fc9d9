"""The answer: for every data set and recipe a card with the batch size to use, how sure that is, and what it costs."""

from __future__ import annotations

import pandas as pd

from batchscope import text
from batchscope.analysis import recommendation as rule
from batchscope.analysis.advice import SAME_MEMORY
from batchscope.analysis.choosing import span
from batchscope.figures.sheets import Row, interval, number, rows
from batchscope.figures.targets import sentence_case
from batchscope.figures.words import range_in_words
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.report import describe, elements
from batchscope.report.content import Content, size
from batchscope.report.page import pair_title
from batchscope.report.sections import advice, claims, costs, elsewhere, overview
from batchscope.report.sections.elsewhere import IN_MOST
from batchscope.report.sections.speed import disturbed
from batchscope.stats import ALPHA
from batchscope.tables.cells import Pair, listed
from batchscope.tables.metrics import METRICS

CARDS = 3  # data sets and recipes up to which each has an open card; more get a table of answers first
_INSTEAD = ("time_to_target", "steps_to_target")  # the figures, the first there is, where no quality is known
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
    """The cards; with many data sets and recipes a table of all answers, and the cards folded below it.

    What other goals ask for is folded below them.
    """
    fair_first = sorted(content.shown, key=lambda pair: bool(_superseding(content, pair)))
    cards = [(pair, card(content, pair)) for pair in fair_first]
    if len(cards) <= CARDS:
        body = "".join(made for _, made in cards)
    else:
        folded = "".join(elements.folded(pair_title(pair), made) for pair, made in cards)
        body = overview.table(content) + _said("", _not_shown(content)) + elements.box("index", folded)
    return f'<section id="answer">{body}{_statements(content)}{advice.advice(content)}</section>'


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
    label = overview.label(row)
    if label:
        return elements.headline("Recommended batch size", label)
    best, critical = overview.label(row, "best_"), costs.critical(content, pair)
    if not best and critical is not None:
        return elements.headline("Critical batch size", critical[1].partition(":")[0].partition(" [")[0])
    alone = row["reason"] == rule.ONE_SIZE
    return elements.headline(
        "The only batch size" if alone else "Best mean" if best else "No recommendation", best or text.MISSING
    )


def _said(kind: str, *sentences: str) -> str:
    """The sentences that are not empty, a paragraph each."""
    return "".join(elements.paragraph(sentence, kind) for sentence in sentences if sentence)


def _verdict(content: Content, pair: Pair, row: Row) -> list[str]:
    """How the other sizes compare, why none is recommended, and what would show it."""
    why_not = _WHY_NOT.get(str(row["reason"]), "")
    if row["reason"] == rule.NOT_TIMED:
        why_not = _not_timed(row, trained=content.trained)
    elif row["reason"] == rule.NO_RESULT and not content.trained:
        why_not = _NOTHING
    compared = costs.compared(content, pair, row) if row["basis"] == rule.TARGET else _compared(content, pair, row)
    return [_why(row), compared, why_not, _undecided(content, row)]


def _why(row: Row) -> str:
    """Which part of the rule names the recommended size."""
    chosen, best = overview.label(row), overview.label(row, "best_")
    if not chosen:
        return ""
    if row["basis"] == rule.TARGET:
        return "It takes the least mean time to the target."
    if chosen != best:
        return "It takes the least time of the sizes that are not significantly worse than the best mean."
    if row["not_worse"]:
        return "It has the best mean, and takes the least time of the sizes that are not significantly worse."
    return f"It has the best mean{' of the sizes that could be compared' if row['not_compared'] else ''}."


def _not_timed(row: Row, *, trained: bool) -> str:
    """Of which sizes the one that takes the least time would be recommended."""
    labels = [overview.label(row, "best_"), *listed(row["not_worse"])]
    which = "faster" if len(labels) == 2 else "fastest"
    known = "was not measured"
    if not trained:
        known = "is not known: seconds per epoch or update of each size go into a file under measurements.timings"
    return f"The {which} of {text.listing(labels)} would be recommended, but their time {known}."


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
        _few(content, pair, row),
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
    parts: list[str] = []
    for column, one, many in (
        ("not_worse", "is not significantly different", "are not significantly different"),
        ("worse", "is significantly worse", "are significantly worse"),
    ):
        found = [every[label] for label in listed(row[column]) if label in every]
        if found:
            sizes = (span if parts else costs.named)(found, [*every.values()])
            parts.append(f"{sizes} {one if len(found) == 1 else many}")
    if not parts:
        return ""
    tested = f" (Holm-adjusted p ≤ {ALPHA})" if row["worse"] else ""
    return f"{'; '.join(parts)}{tested}."


def _undecided(content: Content, row: Row) -> str:
    """How many more runs would show the difference between the recommended size and the one with the best mean."""
    difference, seeds, n = (number(row, name) for name in ("difference", "seeds_to_tell", "n"))
    if difference is None or n is None:
        return ""
    metric = METRICS[str(row["metric"])]
    low, high = (number(row, f"difference_ci_{end}") for end in ("low", "high"))
    if difference < 0 and low is not None and high is not None:
        low, high = -high, -low
    distance = f"{text.interval(abs(difference), low, high)} {metric.unit}".rstrip()
    way = "lower" if metric.better == "higher" else "higher"
    chosen, best = overview.label(row), overview.label(row, "best_")
    worse = f"The mean of batch size {chosen} is {distance} {way} than that of batch size {best}"
    worse += " (95 % interval, not adjusted)" if low is not None else ""
    if seeds is None:
        return f"{worse}, and 1,000 {_repetition(content)}s would probably not show it."
    more = text.count(max(1, int(seeds) - int(n)), f"more {_repetition(content)}")
    return f"{worse}. Undecided: about {more} per size would show a difference of that size {IN_MOST}."


def _improving(row: Row) -> str:
    named = ", ".join(listed(row["still_improving"]))
    if not named:
        return ""
    return f"Most runs were still improving when the budget ended: {named}. A longer budget may change the answer."


def _as_fast(row: Row) -> str:
    near = listed(row["as_fast"])
    return f"Its time is not distinguishable from that of {text.listing(near)}: each was timed once." if near else ""


def _edge(content: Content, pair: Pair, row: Row) -> str:
    edge = row["edge"]
    if not isinstance(edge, str) or not edge:
        return ""
    named = int(row["batch_size"] if overview.label(row) else row["best_batch_size"])
    beyond = named // 2 if edge == "smallest" else 2 * named
    fits = not (content.of("runs", pair)["n_train"] < beyond).any()
    which = "It" if overview.label(row) else f"Batch size {overview.label(row, 'best_')}"
    other = "smaller" if edge == "smallest" else "larger"
    more = f": add {text.integer(beyond)}" if fits else ""
    return f"{which} is the {edge} size tried; {other} ones may be better{more}."


def _superseded(content: Content, pair: Pair) -> str:
    other = _superseding(content, pair)
    if not other:
        return ""
    label = overview.label(_row(content, (pair[0], other)))
    answer = f"There batch size {label} is recommended." if label else "There no size can be recommended."
    return f"One learning rate for all sizes favours some of them. The recipe {other} tunes it for every size. {answer}"


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


def _few(content: Content, pair: Pair, row: Row) -> str:
    n = number(row, "n")
    if not n or n >= ENOUGH_SEEDS:
        return ""
    if content.trained:
        several = text.count(int(n), "seed")
    else:
        runs = [int(each["n"]) for each in content.rows("best", pair) if int(each["n"])]
        several = f"{range_in_words(runs)} {'run' if max(runs) == 1 else 'runs'} of each size"
    return f"{several} leave wide intervals; use {ENOUGH_SEEDS} or more."


def _repetition(content: Content) -> str:
    """What a size has several of."""
    return "seed" if content.trained else "run"


Fact = tuple[str, str, str] | None


def _facts(content: Content, pair: Pair, row: Row) -> list[Fact]:
    """Rows of the card: name, value and remark. Nothing stands there that was not measured, but for energy."""
    return [
        _quality(content, row),
        _accuracy(content, pair, row),
        _time(row),
        costs.target(content, pair),
        costs.critical(content, pair),
        _memory(content, pair, row),
        costs.energy(content, pair),
        costs.saved(content, pair),
    ]


def _quality(content: Content, row: Row) -> Fact:
    metric, row = METRICS[str(row["metric"])], overview.with_quality(content, row)
    if number(row, "value_mean") is None:
        return None
    best = "the best mean of all sizes" if row["reason"] != rule.ONE_SIZE else ""
    remark = best if number(row, "difference") is None else f"best mean: batch size {overview.label(row, 'best_')}"
    return sentence_case(metric.words), overview.quality(row).shown + overview.quality(row).bounds, remark


def _accuracy(content: Content, pair: Pair, row: Row) -> Fact:
    own = overview.row_of(content, "best", pair, row)
    if own is None or row["metric"] == "selected_test_accuracy" or number(own, "accuracy_mean") is None:
        return None
    remark = "never used for selection" if content.trained else "not used to compare sizes"
    return "Test accuracy", f"{interval(own, 'accuracy', factor=100, places=1)} %", remark


def _time(row: Row) -> Fact:
    seconds, best, slowest = (number(row, name) for name in ("seconds", "best_seconds", "slowest_seconds"))
    if seconds is None or row["seconds_kind"] == rule.TO_TARGET:
        return None
    remark, near = "", listed(row["as_fast"])
    for than, prefix, which in ((best, "best_", "the best mean"), (slowest, "slowest_", "the slowest")):
        label = overview.label(row, prefix)
        if not remark and than is not None and than > seconds and label not in near:
            remark = f"{text.ratio(than / seconds)} times as fast as batch size {label}, {which}"
    return f"Time {row['seconds_kind']}", text.seconds(seconds), remark


def _memory(content: Content, pair: Pair, row: Row) -> Fact:
    own = overview.row_of(content, "summary", pair, row)
    known = {size(each): number(each, "memory_bytes") for each in content.rows("summary", pair)}
    measured = {label: value for label, value in known.items() if value}
    value = None if own is None else number(own, "memory_bytes")
    if not value:
        return None
    least, most = (pick(measured, key=lambda label: measured[label] or 0.0) for pick in (min, max))
    if len(measured) == 1:
        remark = ""
    elif (measured[most] or 0) < SAME_MEMORY * (measured[least] or 0):
        remark = "the same for all sizes (within 5 %)"
    else:
        remark = f"least: {_megabytes(measured[least])} at {least}; most: {_megabytes(measured[most])} at {most}"
    return content.peak_memory, _megabytes(value), remark


def _figure(content: Content, pair: Pair) -> str:
    drawn, svg, narrow = "answer", content.svg("answer", pair), content.svg("answer_narrow", pair)
    for name in _INSTEAD:
        if svg is None:
            drawn, svg = name, content.svg(name, pair)
    if svg is None:
        return ""
    spec, frames = STUDY_FIGURES[drawn], content.frames(pair)
    words = (spec.heading(frames), spec.alt(frames), spec.caption(frames))
    return elements.figure(elements.slug("figure-answer", *pair), svg, *words, narrow)


def _statements(content: Content) -> str:
    """How many statements were supported, contradicted or left undecided, with a link to them."""
    counts = claims.counts(content.tables["verdicts"])
    chips = "".join(elements.badge(kind, f"{count} {kind}") for kind, count in counts if count)
    return f'<p class="chips"><a href="#claims">Statements tested</a> {chips}</p>' if chips else ""


def _row(content: Content, pair: Pair) -> Row:
    return content.rows("recommendation", pair)[0]


def _megabytes(value: float | None) -> str:
    return f"{text.number(None if value is None else value / 1e6)} MB"
