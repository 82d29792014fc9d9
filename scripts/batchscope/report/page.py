"""Sections of the page: their blocks for every data set and recipe, put into HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from batchscope.figures.sheets import Sheet
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.probes.section import Block as Typed
from batchscope.probes.section import Figure
from batchscope.report import elements
from batchscope.report.content import Content
from batchscope.tables.cells import Pair

Block = Typed | str
"""A table, a figure or a note; or HTML made with `elements`."""

Build = Callable[[Content, Pair], Sequence[Block]]
"""What a section says about a data set and recipe."""

Title = str | Callable[[Content], str]
"""The title of a section; a function names what the study measured of what the section may show."""

OPEN_PAIRS = 2  # with more data sets and recipes in a section, the page shows the first and folds the others


@dataclass(frozen=True)
class Section:
    """A section with a part for every data set and recipe.

    Pairs of which `build` makes nothing are left out, and so is the section where nothing is left. Where there are
    many, all but the first are folded.
    """

    name: str
    title: Title
    introduction: Sequence[str]
    build: Build

    def __call__(self, content: Content) -> str:
        """The section of a study, as HTML."""
        made = [(heading(self.name, pair), html(content, pair, self.build(content, pair))) for pair in content.shown]
        found = [part for part in made if part[1]]
        shown = len(found) if len(found) <= OPEN_PAIRS else 1
        body = "".join(head + part for head, part in found[:shown])
        body += "".join(elements.folded_under(head, part) for head, part in found[shown:])
        title = self.title if isinstance(self.title, str) else self.title(content)
        return elements.section(title, body, *self.introduction)


def section(title: Title, *introduction: str) -> Callable[[Build], Section]:
    """Make a section, with this title and introduction, of the function that builds its parts."""
    return lambda build: Section(build.__name__, title, introduction, build)


def heading(section: str, pair: Pair) -> str:
    """The heading of a data set and recipe in the section `section`."""
    return elements.heading(3, elements.slug(section, *pair), pair_title(pair))


def pair_title(pair: Pair) -> str:
    """How the page names a data set trained with a recipe."""
    return f"{pair[0]} with {pair[1]}"


def html(content: Content, pair: Pair, blocks: Sequence[Block]) -> str:
    """The blocks of a data set and recipe, in their order; figures that the study does not have are left out.

    Several figures in a row stand side by side.
    """
    made = ((isinstance(block, Figure), _block(content, pair, block)) for block in blocks)
    parts = []
    for drawn, group in groupby(filter(itemgetter(1), made), key=itemgetter(0)):
        found = [part for _, part in group]
        parts.append(elements.panels("".join(found)) if drawn and len(found) > 1 else "".join(found))
    return "".join(parts)


def figure_id(name: str, pair: Pair) -> str:
    """Where a figure stands in the page."""
    return elements.slug(f"figure-{name}", *pair)


def _block(content: Content, pair: Pair, block: Block) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Figure):
        return figure_html(content, pair, block.name)
    if isinstance(block, Sheet):
        return elements.sheet(elements.slug(block.name, *pair), block)
    return elements.paragraph(block.words, "note")


def figure_html(content: Content, pair: Pair, name: str) -> str:
    """The figure `name` of a data set and recipe with its caption; nothing where the study does not have it."""
    svg = content.svg(name, pair)
    if svg is None:
        return ""
    spec, frames = STUDY_FIGURES[name], content.frames(pair)
    return elements.figure(figure_id(name, pair), svg, spec.heading(frames), spec.alt(frames), spec.caption(frames))
