"""The sections of the probes, put on the page."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Literal

from batchscope.figures.sheets import Sheet
from batchscope.probes.registry import PROBES
from batchscope.probes.section import Block, Figure, Pair, Section
from batchscope.report import content, elements
from batchscope.report.content import Content


def sections(report: Content, chapter: Literal["why", "time"]) -> str:
    """The sections of all probes that belong to a chapter; those without content are left out."""
    return "".join(
        content.by_pair(report, each.title, each.name, partial(part, report, each), each.introduction)
        for probe in PROBES
        for each in sections_of(probe)
        if each.chapter == chapter
    )


def sections_of(probe: str) -> tuple[Section, ...]:
    """The sections of a probe."""
    found: tuple[Section, ...] = import_module(f"batchscope.probes.{probe}.section").SECTIONS
    return found


def part(report: Content, section: Section, pair: Pair) -> str:
    """What a section says about a data set and recipe, as HTML; empty where it says nothing."""
    return "".join(_html(report, pair, block) for block in section.build(report, pair))


def _html(report: Content, pair: Pair, block: Block) -> str:
    if isinstance(block, Figure):
        return content.figures(report, pair, block.name)
    if isinstance(block, Sheet):
        return elements.sheet(elements.slug(block.name, *pair), block)
    return elements.paragraph(block.words, "note")
