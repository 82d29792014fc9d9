"""The sections of the probes, put on the page."""

from __future__ import annotations

from importlib import import_module

from batchscope.probes import section
from batchscope.probes.registry import PROBES
from batchscope.probes.section import Chapter, Figure
from batchscope.report import elements
from batchscope.report.content import Content
from batchscope.report.page import Block, Section, figure_html, pair_title
from batchscope.tables.cells import Pair


def findings(content: Content, chapter: Chapter) -> list[list[str]]:
    """Of every section of a chapter a panel per data set and recipe with a finding: the sentence and its figure."""
    return [
        [_panel(content, pair, each, words) for pair in content.shown if (words := each.finding(content, pair))]
        for each in _of_chapter(chapter)
        if each.finding
    ]


def sections(content: Content, chapter: Chapter) -> str:
    """The sections of all probes that belong to a chapter, without what `findings` shows; empty ones are left out."""
    return "".join(_folded(each)(content) for each in _of_chapter(chapter))


def sections_of(probe: str) -> tuple[section.Section, ...]:
    """The sections of a probe."""
    found: tuple[section.Section, ...] = import_module(f"batchscope.probes.{probe}.section").SECTIONS
    return found


def _of_chapter(chapter: Chapter) -> list[section.Section]:
    return [each for probe in PROBES for each in sections_of(probe) if each.chapter == chapter]


def _panel(content: Content, pair: Pair, of: section.Section, words: str) -> str:
    head = elements.heading(3, elements.slug(f"finding-{of.name}", *pair), f"{of.title}: {pair_title(pair)}")
    shown = figure_html(content, pair, of.figure) if of.figure else ""
    return elements.panel(head + elements.paragraph(words, "finding") + shown)


def _folded(of: section.Section) -> Section:
    """The section with its first figure, unless a finding stands open above it."""

    def build(content: Content, pair: Pair) -> list[Block]:
        open_above = of.finding is not None and of.finding(content, pair) != ""
        return [block for block in of.build(content, pair) if not (open_above and block == Figure(of.figure))]

    return Section(of.name, of.title, [words for words in (of.introduction, of.method) if words], build)
