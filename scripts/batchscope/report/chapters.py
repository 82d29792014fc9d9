"""The chapters of the page, in the order of a reader's questions.

A chapter opens with a finding and a figure for every data set and recipe; its tables, further figures and long reading
are folded below them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from batchscope.report import elements, findings, probes
from batchscope.report.content import Content
from batchscope.report.page import OPEN_PAIRS, figure_html, pair_title
from batchscope.report.sections import (
    advice,
    claims,
    method,
    published,
    rates,
    speed,
    stability,
    targets,
)
from batchscope.report.sections import quality as results
from batchscope.tables.cells import Pair

Find = Callable[[Content, Pair], str]
Part = Callable[[Content], str]


def quality(content: Content) -> str:
    """How good the results are at each batch size."""
    more: list[Part] = [results.summary, results.comparison, results.accuracy, results.others, results.side_by_side]
    more.append(results.curves)
    curves = _side_by_side([panel for pair in content.shown if (panel := _curves(content, pair))])
    folded = [part(content) for part in more]
    return _chapter(content, "Quality", findings.quality, "accuracy_vs_batch", folded, curves)


def speed_and_memory(content: Content) -> str:
    """How fast each batch size is, and what it takes of the machine."""
    more = [speed.time(content), probes.sections(content, "time"), speed.resources(content)]
    return _chapter(content, "Speed", findings.speed, "time_per_epoch", more)


def time_to_target(content: Content) -> str:
    """What each batch size needs to get to a target, and the critical batch size."""
    more: list[Part] = [targets.targets, targets.critical, targets.budgets, targets.savings]
    title = "Targets" if len(content.tables["to_target"]) else "Equal budgets"
    return _chapter(content, title, findings.target, "time_to_target", [part(content) for part in more])


def stability_and_noise(content: Content) -> str:
    """How far the loss of single updates strays, and which runs were lost."""
    more = [stability.updates(content), stability.lost(content)]
    return _chapter(content, "Stability", findings.noise, "noise_vs_batch", more)


def why(content: Content) -> str:
    """What the probes show about the reasons."""
    found = probes.findings(content, "why")
    shown = [panel for panels in found for panel in panels[:OPEN_PAIRS]]
    rest = [panel for panels in found for panel in panels[OPEN_PAIRS:]]
    return elements.chapter("Why", elements.panels("".join(shown)) + _more(rest), [probes.sections(content, "why")])


def learning_rates(content: Content) -> str:
    """The learning rate of every batch size."""
    return _chapter(content, "Learning rates", findings.rate, "rate_vs_batch", [rates.rates(content)])


def statements(content: Content) -> str:
    """What the documents say, beside what was measured."""
    return elements.chapter("Claims", claims.verdicts(content), [published.published(content), advice.tree(content)])


def how(content: Content) -> str:
    """What was done, and what the page does not say."""
    more: list[Part] = [method.design, method.limits, stability.not_measured]
    return elements.chapter("Method", elements.paragraph(findings.rule(content)), [part(content) for part in more])


def provenance(content: Content) -> str:
    """Where the numbers come from; at the end of the page its glossary."""
    return elements.chapter("Provenance", method.files(content), [method.provenance(content), method.terms(content)])


def _chapter(content: Content, title: str, find: Find, figure: str, folded: Sequence[str], further: str = "") -> str:
    """A chapter with a finding and a figure of each data set and recipe that has them, and what is open `further`."""
    found = [(pair, find(content, pair)) for pair in content.shown]
    panels = [_panel(content, pair, words, figure) for pair, words in found if words]
    return elements.chapter(title, _side_by_side(panels) + further, folded)


def _side_by_side(panels: Sequence[str]) -> str:
    """Panels two in a row; of many the first row is open and the others are folded."""
    shown = len(panels) if len(panels) <= 2 * OPEN_PAIRS else OPEN_PAIRS
    return elements.panels("".join(panels[:shown])) + _more(panels[shown:])


def _more(panels: Sequence[str]) -> str:
    """Panels of the same kind as those above, folded."""
    return elements.folded(f"The same for {len(panels)} more", elements.panels("".join(panels))) if panels else ""


def _panel(content: Content, pair: Pair, words: str, figure: str) -> str:
    head = elements.heading(3, elements.slug(figure, *pair), pair_title(pair)) + elements.paragraph(words, "finding")
    return elements.panel(head + figure_html(content, pair, figure))


def _curves(content: Content, pair: Pair) -> str:
    svg = figure_html(content, pair, results.open_curves(content, pair))
    head = elements.heading(3, elements.slug("curves_loss", *pair), f"Learning curves of {pair_title(pair)}")
    return elements.panel(head + svg) if svg else ""
