"""Run the report's notebook with explicit parameters and turn it into one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Mapping
from html import escape, unescape
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from nbconvert import HTMLExporter

from batchscope.identity.digests import sealed_markup
from batchscope.identity.files import atomic_path
from batchscope.report.cells import ENGINE

log = logging.getLogger(__name__)

KERNEL = "python3"  # what a notebook says of itself; none is started

_HEADING = re.compile(r"<h([23])\b[^>]*?\bid=\"([^\"]+)\"[^>]*>(.*?)</h\1>", re.DOTALL)
_BARE_HEADING = re.compile(r"<(h[23])>(.*?)</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")


def render(template: Path, parameters: Mapping[str, Any], html: Path, notebook: Path, title: str) -> None:
    """Execute the notebook `template` and write the page `html`; `notebook` keeps the executed copy as a log.

    `template` is a jupytext percent script or an .ipynb; the page's Jinja template, style and script lie beside it in
    `template/`. `parameters` replace the values of the cell tagged `parameters`; paths are made absolute, so that the
    result does not depend on where it runs. Raises `ValueError` for a parameter that the notebook does not
    have and `papermill.PapermillExecutionError` (with the traceback) where a cell fails: then no page is written, and
    `notebook` holds what ran.
    """
    source = jupytext.read(template)
    _check_parameters(source, parameters, template)
    notebook.parent.mkdir(parents=True, exist_ok=True)
    values = {name: str(value.resolve()) if isinstance(value, Path) else value for name, value in parameters.items()}
    executed = papermill.execute_notebook(
        source,
        str(notebook),
        parameters=values,
        engine_name=ENGINE,
        kernel_name=KERNEL,
        language="python",
        progress_bar=False,
    )
    page = to_html(executed, template.parent / "template", title)
    with atomic_path(html) as temporary:
        temporary.write_text(sealed_markup(page), encoding="utf-8")
    log.info("wrote %s (%.1f MB)", html, len(page.encode()) / 1e6)


def to_html(executed: nbformat.NotebookNode, template: Path, title: str) -> str:
    """The executed notebook as one HTML page made with the Jinja template in the folder `template`.

    Nothing of how or when the notebook was run reaches the page: equal outputs give equal pages.
    """
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        extra_template_basedirs=[str(template.parent)],
        template_name=template.name,
        exclude_anchor_links=True,
        filters={"anchored": anchored, "contents": contents, "source_hash": source_hash},
    )
    page, _ = exporter.from_notebook_node(executed, resources={"title": title})
    return str(page)


def anchored(body: str) -> str:
    """The HTML `body` with an id, made of its text, on every second- and third-level heading that has none."""
    return _BARE_HEADING.sub(lambda found: f'<{found[1]} id="{_anchor(found[2])}">{found[2]}</{found[1]}>', body)


def contents(body: str) -> str:
    """A nested list of links to the second- and third-level headings (those with an id) of the HTML `body`."""
    items: list[str] = []
    inside = False
    for level, anchor, heading in _HEADING.findall(body):
        link = f'<a href="#{anchor}">{escape(_plain(heading), quote=False)}</a>'
        if level == "3" and items:
            items.append(f"<li>{link}</li>" if inside else f"<ul><li>{link}</li>")
            inside = True
            continue
        items.append(("</ul>" if inside else "") + ("</li>" if items else "") + f"<li>{link}")
        inside = False
    return "<ul>" + "".join(items) + ("</ul>" if inside else "") + ("</li>" if items else "") + "</ul>"


def source_hash(script: str) -> str:
    """The content-security-policy source that lets exactly the inline `script` run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", _plain(heading).lower()).strip("-")


def _plain(heading: str) -> str:
    return unescape(_TAG.sub("", heading)).strip()


def _check_parameters(source: nbformat.NotebookNode, parameters: Mapping[str, Any], template: Path) -> None:
    known = {
        name for cell in source.cells if "parameters" in cell.metadata.get("tags", []) for name in _names(cell.source)
    }
    if unknown := sorted(set(parameters) - known):
        raise ValueError(f"{template} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known))}")


def _names(code: str) -> list[str]:
    return re.findall(r"^(\w+)\s*(?::[^=\n]+)?=", code, re.MULTILINE)
