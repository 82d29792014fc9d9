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

_CHAPTER = re.compile(r"<section class=\"chapter\"><h2 id=\"([^\"]+)\">(.*?)</h2>", re.DOTALL)
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
        filters={"contents": contents, "source_hash": source_hash},
    )
    page, _ = exporter.from_notebook_node(executed, resources={"title": title})
    return str(page)


def contents(body: str) -> str:
    """Links to the answer and to the chapters (second-level headings with an id outside it) of the HTML `body`."""
    chapters = [(anchor, _plain(heading)) for anchor, heading in _CHAPTER.findall(body)]
    links = [("answer", "Answer"), *chapters]
    return "".join(f'<a href="#{anchor}">{escape(words, quote=False)}</a>' for anchor, words in links)


def source_hash(script: str) -> str:
    """The content-security-policy source that lets exactly the inline `script` run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


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
