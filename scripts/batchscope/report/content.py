"""What the report is made of: the study's tables and files, read once, and the figures of each data set and recipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from batchscope.claims.scope import Design
from batchscope.figures import frames, sheets
from batchscope.jobs import tables as study_tables
from batchscope.probes.registry import STUDY_FIGURES, STUDY_TABLES
from batchscope.report import elements
from batchscope.tables.cells import Size, of_pair, pairs

Row = sheets.Row
number, rows = sheets.number, sheets.rows

OPEN_PAIRS = 2  # with more data sets and recipes in a section, the page shows the first and folds the others


@dataclass(frozen=True)
class Content:
    """A study's resolved design, its manifest, its tables by name, and the folder with its figures."""

    study: Mapping[str, Any]
    manifest: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    figures: Path

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Data sets and recipes in the order of the study."""
        return pairs(self.tables["runs"])

    @property
    def parts(self) -> list[tuple[str, tuple[int, int, int]]]:
        """Data sets in the order of the study, with their examples for training, validation and test."""
        runs = self.tables["runs"].drop_duplicates("dataset")
        return [(row["dataset"], (row["n_train"], row["n_validation"], row["n_test"])) for row in rows(runs)]

    def of(self, table: str, pair: tuple[str, str]) -> pd.DataFrame:
        """The rows of `table` that belong to one data set and recipe."""
        return of_pair(self.tables[table], pair)

    def twins(self, key: str, value: Any, pair: tuple[str, str]) -> list[tuple[str, str]]:
        """The pairs on the same data set whose recipe differs in `key` only, and has `value` there."""
        return Design.of({}, self.study["recipes"]).twins(key, value, pair, self.pairs)

    @property
    def trained(self) -> bool:
        """Whether the study trained its runs; else they were measured elsewhere and imported."""
        return not self.study.get("measurements")

    def has(self, table: str, pair: tuple[str, str], column: str) -> bool:
        """Whether `column` of `table` has a value for a data set and recipe."""
        return bool(self.of(table, pair)[column].notna().any())

    def drawn(self, name: str, pair: tuple[str, str]) -> bool:
        """Whether the study has the figure `name` for a data set and recipe."""
        there = _svg(self, name, pair).is_file()
        return there and STUDY_FIGURES[name].has_rows(frames.select(self.tables, *pair))


def load(tables: Path, figures: Path, study: Path, manifest: Path) -> Content:
    """Read the tables of a study (`STUDY_TABLES`, as Parquet) and the files that describe it."""
    return Content(
        study=json.loads(study.read_text(encoding="utf-8")),
        manifest=json.loads(manifest.read_text(encoding="utf-8")),
        tables={name: study_tables.load(tables / f"{name}.parquet") for name in STUDY_TABLES},
        figures=figures,
    )


def per_pair(content: Content, section: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Every data set and recipe with its heading for the section `section`."""
    for pair in content.pairs:
        yield pair, elements.heading(3, elements.slug(section, *pair), pair_title(pair))


def pair_title(pair: tuple[str, str]) -> str:
    """How the page names a data set trained with a recipe."""
    return f"{pair[0]} with {pair[1]}"


def by_pair(
    content: Content, title: str, section: str, build: Callable[[tuple[str, str]], str], *introduction: str
) -> str:
    """A section with what `build` makes of every data set and recipe, under a heading each.

    Pairs of which `build` makes nothing are left out, and so is the section where nothing is left. Where there are
    many, all but the first are folded.
    """
    made = ((heading, build(pair)) for pair, heading in per_pair(content, section))
    blocks = [(heading, html) for heading, html in made if html]
    shown = len(blocks) if len(blocks) <= OPEN_PAIRS else 1
    html = "".join(heading + block for heading, block in blocks[:shown])
    html += "".join(elements.folded_under(heading, block) for heading, block in blocks[shown:])
    return elements.section(title, html, *introduction)


def figures(content: Content, pair: tuple[str, str], *names: str) -> str:
    """Those of the figures `names` that the study has of a data set and recipe, with titles, captions and alternative
    texts, as HTML.
    """
    selected = frames.select(content.tables, *pair)
    blocks = []
    for spec in (STUDY_FIGURES[name] for name in names):
        svg = _svg(content, spec.name, pair)
        if not svg.is_file() or not spec.has_rows(selected):
            continue
        identifier = figure_id(spec.name, pair)
        blocks.append(elements.figure(identifier, svg, spec.title, spec.alt(selected), spec.caption(selected)))
    return "".join(blocks)


def figure_id(name: str, pair: tuple[str, str]) -> str:
    """Where a figure stands in the page."""
    return elements.slug(f"figure-{name}", *pair)


def _svg(content: Content, name: str, pair: tuple[str, str]) -> Path:
    return content.figures / pair[0] / pair[1] / f"{name}.svg"


def size(row: Row) -> str:
    """The label of a row's batch size."""
    return Size(int(row["batch_size"]), bool(row["full_batch"])).label


def size_cell(row: Row) -> elements.Cell:
    """The cell that heads the row of a batch size."""
    return elements.cell(sheets.size(row))


def spread_cells(
    frame: pd.DataFrame,
    name: str,
    low: str = "_ci_low",
    high: str = "_ci_high",
    mean: str = "_mean",
    *,
    aligned: bool = True,
) -> list[elements.Cell]:
    """One cell per row with the mean `name` and its interval, see `sheets.spreads_of`."""
    return [elements.cell(cell) for cell in sheets.spreads_of(rows(frame), name, low, high, mean, aligned=aligned)]
