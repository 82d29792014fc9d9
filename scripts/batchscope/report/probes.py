"""The sections of the probes, put on the page."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

from batchscope.probes import section
from batchscope.probes.registry import PROBES
from batchscope.report.content import Content
from batchscope.report.page import Section


def sections(content: Content, chapter: Literal["why", "time"]) -> str:
    """The sections of all probes that belong to a chapter; those without content are left out."""
    return "".join(
        Section(each.name, each.title, [each.introduction], each.build)(content)
        for probe in PROBES
        for each in sections_of(probe)
        if each.chapter == chapter
    )


def sections_of(probe: str) -> tuple[section.Section, ...]:
    """The sections of a probe."""
    found: tuple[section.Section, ...] = import_module(f"batchscope.probes.{probe}.section").SECTIONS
    return found
