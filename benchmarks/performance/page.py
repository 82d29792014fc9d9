"""The page docs/performance.md and its figure, from the numbers of docs/performance.json alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import part
from part import RATIO, Row

from batchscope import text
from batchscope.figures import theme

HEAD = """\
# How fast Batchscope is

`make benchmark` measures what stands here ([all numbers](performance.json)). Ratios come first, since absolute times of
one machine drift from day to day.

![What each part measured](performance.svg)
"""
PANEL_HEIGHT = 2.4  # inches
Results = Mapping[str, Mapping[str, Any]]


def read(folder: Path) -> dict[str, Any]:
    """What is measured already, by part; each has its `result` and the `machine` that it comes from."""
    file = folder / "performance.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def write(folder: Path, results: Results) -> None:
    """Write performance.json, .md and .svg."""
    content = json.dumps({name: results[name] for name in part.PARTS if name in results}, indent=1, ensure_ascii=False)
    (folder / "performance.json").write_text(f"{content}\n", encoding="utf-8")
    (folder / "performance.md").write_text(markdown(results), encoding="utf-8")
    draw(folder / "performance.svg", results)


def markdown(results: Results) -> str:
    """The page: what is wanted and what was reached, then each part with all its lines and its machine."""
    parts = {name: part.load(name) for name in part.PARTS if name in results}
    lines = {name: each.rows(results[name]["result"]) for name, each in parts.items()}
    pieces = [HEAD, table([row for rows in lines.values() for row in rows if row.wanted])]
    for name, each in parts.items():
        head = f"## {each.TITLE}\n\n{each.METHOD.strip()}\n"
        pieces += [head, table(lines[name]), machine(results[name]["machine"])]
    return "\n".join(piece for piece in pieces if piece)


def table(rows: list[Row]) -> str:
    """The lines as a table of Markdown, ratios first; columns of targets only where there is one."""
    if not rows:
        return ""
    rows = sorted(rows, key=lambda row: row.unit != RATIO)
    targets = any(row.wanted for row in rows)
    names = ["", "Measured", *(["Wanted", "Reached"] if targets else [])]
    cells = [[row.what, measured(row), *([wanted(row), reached(row)] if targets else [])] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in [names, ["---"] * len(names), *cells])


def measured(row: Row) -> str:
    """`1.21 s [1.18, 1.25]`, or `8.4 ×`."""
    shown = f"{text.number(row.value)} {row.unit}"
    if row.low is None and row.high is None:
        return shown
    return f"{shown} [{text.number(row.low)}, {text.number(row.high)}]"


def wanted(row: Row) -> str:
    """`≥ 9 ×`."""
    ends = [("≥", row.at_least), ("≤", row.at_most)]
    return ", ".join(f"{sign} {end:,g} {row.unit}" for sign, end in ends if end is not None)


def reached(row: Row) -> str:
    """Whether the target is reached; nothing where there is none."""
    return ("yes" if row.reached else "no") if row.wanted else ""


def machine(about: Mapping[str, Any]) -> str:
    """A sentence about the machine, the load, the versions and the commit."""
    load = f"load {about['load']} before, {about['load_after']} after"
    packages = ("python", "tensorflow", "keras", "jax", "numpy", "snakemake")
    versions = ", ".join(f"{name} {about[name]}" for name in packages)
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gb']} GB; {load}; {about['minutes']} minutes. "
        f"{versions}; commit {about['commit']}, {about['date']}.\n"
    )


def draw(file: Path, results: Results) -> None:
    """A panel for each part."""
    parts = {name: part.load(name) for name in part.PARTS if name in results}
    with theme.applied():
        made, panels = theme.figure(len(parts), 1, PANEL_HEIGHT)
        made.set_facecolor("white")
        for axes, (name, each) in zip(panels, parts.items(), strict=True):
            each.draw(results[name]["result"], axes)
            axes.set_title(each.TITLE)
    titles = "; ".join(each.TITLE for each in parts.values())
    theme.save(made, file, title="Performance of Batchscope", alt=f"A panel for each of: {titles}.")
