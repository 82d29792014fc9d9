"""The pieces of the page: tables that sort, figures embedded as data, and escaped text around them.

Every function here takes plain text, escapes it and returns HTML; only `Html.html` and the parameters that are named
`html` are taken as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from batchscope import text as numbers
from batchscope.figures.sheets import Cell, Column, Sheet


@dataclass(frozen=True)
class Html(Cell):
    """A cell of which the HTML is given."""

    html: str = ""


def cell(content: Cell) -> str:
    """What stands in a cell, its remarks below it."""
    if isinstance(content, Html):
        return content.html
    remarks = "".join(remark(words) for words in content.remarks)
    if content.value is None:
        dash = f'<span class="missing" aria-hidden="true">{numbers.MISSING}</span><span class="hidden">none</span>'
        return dash + remarks
    bounds = f' <span class="range">{escape(content.bounds)}</span>' if content.bounds else ""
    return escape(content.shown) + bounds + remarks


def sheet(identifier: str, content: Sheet) -> str:
    """A sortable table in a box that scrolls sideways by itself, or a line behind which it is folded away.

    On a narrow screen a `stacked` table shows each row as a block, its cells below one another.
    """
    columns = [column for column, _ in content.columns]
    head = "".join(_heading(column) for column in columns)
    rows = zip(*(cells for _, cells in content.columns), strict=True)
    body = "".join(f"<tr>{_row(columns, row, labelled=content.stacked)}</tr>" for row in rows)
    style = f"sortable{' stacked' * content.stacked}"
    html = _table(identifier, content.caption, style, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>")
    return folded(content.summary, html) if content.summary else html


NARROW = "(max-width: 32rem)"  # a phone; the style sheet has the same


def figure(identifier: str, svg: Path, title: str, alternative: str, caption: str, narrow: Path | None = None) -> str:
    """The drawing `svg`, embedded as an image so that its ids cannot clash with those of other drawings.

    Of a drawing with views the first is shown; the page's script changes between them. A phone gets the drawing
    `narrow`, where there is one.

    `alternative` says in words what the figure shows, for those who do not see it; it may not be empty.
    """
    if not alternative.strip():
        raise ValueError(f"{svg}: a figure needs an alternative text")
    content = _drawing(svg)
    views = dict(_VIEW.findall(content))
    if views:
        content = _seen_through(content, next(iter(views.values())))
    image = f'<img src="{_source(content)}" alt="{escape(alternative)}" {_size(content, svg)}>'
    if narrow is not None:
        other = _drawing(narrow)
        # The attribute is a list, which spaces divide.
        source = f'media="{NARROW}" srcset="{_source(other).replace(" ", "%20")}" {_size(other, narrow)}'
        image = f"<picture><source {source}>{image}</picture>"
    data = f" data-views='{escape(json.dumps(views))}'" if views else ""
    return (
        f'<figure class="plot" id="{escape(identifier)}"{data}>'
        f'<div class="scroll" role="group" aria-label="{escape(title)}" tabindex="0">{image}</div>'
        f"<figcaption><strong>{escape(title)}.</strong> {escape(caption)}</figcaption></figure>"
    )


def heading(level: int, identifier: str, title: str) -> str:
    """A heading with an id, for links."""
    return f'<h{level} id="{escape(identifier)}">{escape(title)}</h{level}>'


def section(title: str, html: str, *introduction: str) -> str:
    """Paragraphs of plain text and `html` behind a title to click on; nothing at all where `html` is empty."""
    if not html:
        return ""
    return folded(title, "".join(paragraph(words) for words in introduction) + html)


def chapter(title: str, html: str, folded: Sequence[str]) -> str:
    """A second-level heading, what stands open under it, and its folded sections; nothing where both are empty."""
    sections = "".join(folded)
    if not html and not sections:
        return ""
    more = f'<div class="folds">{sections}</div>' if sections else ""
    return f'<section class="chapter"><h2 id="{_id(title)}">{escape(title)}</h2>{html}{more}</section>'


def panels(html: str) -> str:
    """Panels side by side, as many as the page has room for."""
    return f'<div class="panels">{html}</div>' if html else ""


def panel(html: str) -> str:
    """One of them."""
    return f'<div class="panel">{html}</div>'


def _id(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def folded(summary: str, html: str) -> str:
    """`html` behind a line to click on; open on paper."""
    return f'<details class="more"><summary>{escape(summary)}</summary>{html}</details>'


def folded_under(heading: str, html: str) -> str:
    """`html` behind its heading (HTML), which is to click on; open on paper, and where a link leads into it."""
    return f'<details class="more under"><summary>{heading}</summary>{html}</details>'


def badge(kind: str, words: str = "") -> str:
    """Words (`kind` itself, where none are given) that stand out in the style of their kind: a verdict, say."""
    return f'<span class="badge {escape(kind.replace(" ", "-"))}">{escape(words or kind)}</span>'


def remark(content: str) -> str:
    """A line in small type below the main content of a cell; nothing where it is empty."""
    return f'<span class="remark">{escape(content)}</span>' if content else ""


def link(target: str, words: str) -> str:
    """A link to a place in this page (`#id`) or to a file beside it."""
    return f'<a href="{escape(target)}">{escape(words)}</a>'


def paragraph(content: str, kind: str = "") -> str:
    """A paragraph of plain text, with the style class `kind`."""
    return f'<p class="{kind}">{escape(content)}</p>' if kind else f"<p>{escape(content)}</p>"


def terms(items: Sequence[tuple[str, str]]) -> str:
    """A list of terms, each with its plain text."""
    return "<dl>" + "".join(f"<dt>{escape(term)}</dt><dd>{escape(words)}</dd>" for term, words in items) + "</dl>"


def facts(items: Sequence[tuple[str, str, str]]) -> str:
    """Facts one below the other: what it is, its value, and a remark below it."""
    return (
        '<dl class="facts">'
        + "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}{_small(remark)}</dd></div>"
            for name, value, remark in items
        )
        + "</dl>"
    )


def headline(name: str, value: str) -> str:
    """The one fact that a reader looks for, in large type."""
    return f'<p class="headline"><span>{escape(name)}</span> <strong>{escape(value)}</strong></p>'


def card(words: str, picture: str, below: str = "") -> str:
    """Words and the figure that shows them (HTML), side by side where there is room, and what stands below both."""
    return f'<article class="card"><div>{words}</div><div>{picture}</div>{below}</article>'


def _small(remark: str) -> str:
    return f"<small>{escape(remark)}</small>" if remark else ""


def box(kind: str, html: str) -> str:
    """A box around `html`: a `caution`, or an `index` of folded pieces."""
    return f'<div class="{escape(kind)}">{html}</div>'


def bullets(items: Sequence[str]) -> str:
    """A list of plain texts."""
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def mapping(content: Mapping[str, Any], caption: str, identifier: str) -> str:
    """Any nested mapping of scalars, lists and mappings as a table of dotted names and values, in the given order."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{_scalar(item)}</td></tr>' for name, item in _flatten(content)
    )
    return _table(identifier, caption, "pairs", f"<tbody>{rows}</tbody>")


def slug(*parts: str) -> str:
    """An id made of `parts`, unique for distinct parts: what is not a letter, digit, _ or - becomes its code point."""
    return ":".join(re.sub(r"[^A-Za-z0-9_-]", lambda found: f".{ord(found.group()):x}", part) for part in parts)


def _table(identifier: str, caption: str, style: str, html: str) -> str:
    name = escape(identifier)
    return (
        f'<figure class="table" id="{name}"><figcaption id="{name}-caption">{escape(caption)}</figcaption>'
        f'<div class="scroll" role="group" aria-labelledby="{name}-caption" tabindex="0">'
        f'<table class="{style}" aria-labelledby="{name}-caption">{html}</table></div></figure>'
    )


def _heading(column: Column) -> str:
    unit = f' <span class="unit">{escape(column.unit)}</span>' if column.unit else ""
    return f'<th scope="col" data-kind="{column.kind}">{escape(column.heading)}{unit}</th>'


def _row(columns: Sequence[Column], row: Sequence[Cell], *, labelled: bool) -> str:
    """The cells of a row; they carry the heading of their column where they are to be read without it."""
    cells = []
    for index, (column, content) in enumerate(zip(columns, row, strict=True)):
        tag, scope = ("th", ' scope="row"') if index == 0 else ("td", "")
        sort = "" if content.value is None else escape(str(content.value))
        label = f' data-label="{escape(column.heading)}"' if labelled else ""
        cells.append(f'<{tag}{scope} class="{column.kind}"{label} data-value="{sort}">{cell(content)}</{tag}>')
    return "".join(cells)


def _flatten(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Pairs of dotted names and scalars or lists of scalars; of several mappings in a list each gets a number."""
    pairs: list[tuple[str, Any]] = []
    for name, item in content.items():
        label = f"{prefix}{str(name).replace('_', ' ')}"
        parts = item if isinstance(item, list) else [item]
        if not parts or not all(isinstance(part, Mapping) and part for part in parts):
            pairs.append(_readable(label, item))
            continue
        for position, part in enumerate(parts, 1):
            pairs += _flatten(part, f"{label} {position} › " if len(parts) > 1 else f"{label} › ")
    return pairs


def _readable(label: str, item: Any) -> tuple[str, Any]:
    if label.endswith(" bytes") and isinstance(item, int):
        return label.removesuffix(" bytes"), f"{numbers.number(item / 1e9)} GB"
    return label, item


def _scalar(item: Any) -> str:
    if item is None:
        return '<span class="missing">not available</span>'
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, list | Mapping) and not item:
        return '<span class="missing">none</span>'
    if isinstance(item, list):
        return "<br>".join(_scalar(part) for part in item)
    return escape(str(item))


def _drawing(file: Path) -> str:
    """What an SVG file has between its tags."""
    return _AROUND.sub("", file.read_text(encoding="utf-8"))


def _source(svg: str) -> str:
    """An SVG as a data URL in an attribute: a third shorter than in base64."""
    svg = svg.replace(">\n<", "><").replace("'", "&#39;").replace('"', "'")
    for character in '%#<>"&\n':
        svg = svg.replace(character, f"%{ord(character):02X}")
    return f"data:image/svg+xml;charset=utf-8,{svg}"


_AROUND = re.compile(r"\A.*?(?=<svg\b)|(?<=</svg>).*\Z", re.DOTALL)  # what a file has besides its drawing
_VIEW = re.compile(r'<view id="[^"-]*-([^"]+)" viewBox="([^"]+)"/>')


def _seen_through(svg: str, view: str) -> str:
    """The drawing with only the box `view` of it (left, top, width and height in points) in sight."""
    _, _, width, height = view.split()
    for name, value in (("viewBox", view), ("width", f"{width}pt"), ("height", f"{height}pt")):
        svg = re.sub(rf'(<svg\b[^>]*\b{name}=")[^"]*', rf"\g<1>{value}", svg, count=1)
    return svg


_POINTS = {"pt": 4 / 3, "px": 1.0, "": 1.0, "in": 96.0}


def _size(svg: str, path: Path) -> str:
    """Width and height in CSS pixels as attributes, so that the page does not jump while the images are decoded."""
    root = re.search(r"<svg\b[^>]*>", svg)
    found = {
        name: match
        for name in ("width", "height")
        if root and (match := re.search(rf'\b{name}="([\d.]+)(pt|px|in|)"', root.group()))
    }
    if len(found) != 2:
        raise ValueError(f"{path} is not an SVG with a width and a height in pt, px or in")
    pixels = {name: round(float(match.group(1)) * _POINTS[match.group(2)]) for name, match in found.items()}
    return " ".join(f'{name}="{length}"' for name, length in pixels.items())
