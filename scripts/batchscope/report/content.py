"""What the report is made of: the study's design, tables and files, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from batchscope.analysis.external_runs.given import SHOWN
from batchscope.claims.scope import Design
from batchscope.figures.frames import Frames, select
from batchscope.figures.sheets import Row, rows
from batchscope.jobs import saved
from batchscope.probes.registry import STUDY_FIGURES, STUDY_TABLES
from batchscope.tables.cells import Pair, Size, folder, of_pair, pairs

# A resolved definition as JSON: each source, model and optimizer has keys of its own (`study` has their types).
Definition = Mapping[str, Any]


class Described(TypedDict):
    """What `study.json` says about a study (`Study.describe`), as far as the page puts it into words."""

    question: str
    targets: Sequence[Mapping[str, Any]]
    timing: bool
    datasets: dict[str, Definition]
    recipes: dict[str, Definition]
    cells: list[dict[str, int | str]]
    borrowed_timings: list[dict[str, str]]
    seeds: list[int]
    claims: dict[str, Definition]
    measurements: Definition | None
    settings: Definition


@dataclass(frozen=True)
class Content:
    """A study's resolved design, its manifest (any JSON: the page lays it out as it is), its tables by name, and the
    folder with its figures.
    """

    study: Described
    manifest: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    figures: Path

    @property
    def pairs(self) -> list[Pair]:
        """Data sets and recipes in the order of the study."""
        return pairs(self.tables["runs"])

    @property
    def shown(self) -> list[Pair]:
        """Those that the page shows in full: of a large table of runs made elsewhere the first."""
        return self.pairs if self.trained else self.pairs[:SHOWN]

    @property
    def trained(self) -> bool:
        """Whether the study trained its runs; else they were measured elsewhere and imported."""
        return not self.study.get("measurements")

    @property
    def peak_memory(self) -> str:
        """What the peak memory of a batch size is called: of timed updates where there are any, as in `summary`."""
        return f"Peak memory of {'runs' if self.tables['timings'].empty else 'updates'}"

    def of(self, table: str, pair: Pair) -> pd.DataFrame:
        """The rows of `table` that belong to one data set and recipe."""
        return of_pair(self.tables[table], pair)

    def rows(self, table: str, pair: Pair) -> list[Row]:
        """The same, as mappings."""
        return rows(self.of(table, pair))

    def all_rows(self, table: str) -> list[Row]:
        """All rows of `table`, as mappings."""
        return rows(self.tables[table])

    def has(self, table: str, pair: Pair, column: str) -> bool:
        """Whether `column` of `table` has a value for a data set and recipe."""
        return bool(self.of(table, pair)[column].notna().any())

    def shows(self, table: str, column: str) -> bool:
        """Whether `column` of `table` has a value for any data set and recipe that the page shows in full."""
        return any(self.has(table, pair, column) for pair in self.shown)

    def twins(self, key: str, value: str | bool, pair: Pair) -> list[Pair]:
        """The pairs on the same data set whose recipe differs in `key` only, and has `value` there."""
        return Design.of({}, self.study["recipes"]).twins(key, value, pair, self.pairs)

    def frames(self, pair: Pair) -> Frames:
        """What the figures of a data set and recipe are drawn from."""
        if pair not in self._selected:
            self._selected[pair] = select(self.tables, *pair)
        return self._selected[pair]

    def svg(self, name: str, pair: Pair) -> Path | None:
        """The file of the figure `name` of a data set and recipe; None where the page has none."""
        file = self.figures / folder(pair[0]) / folder(pair[1]) / f"{name}.svg"
        return file if file.is_file() and STUDY_FIGURES[name].is_shown(self.frames(pair)) else None

    @cached_property
    def _selected(self) -> dict[Pair, Frames]:
        return {}


def load(tables: Path, figures: Path, study: Path, manifest: Path) -> Content:
    """Read the tables of a study (`STUDY_TABLES`, as Parquet) and the files that describe it."""
    return Content(
        study=json.loads(study.read_text(encoding="utf-8")),
        manifest=json.loads(manifest.read_text(encoding="utf-8")),
        tables={name: saved.load(tables / f"{name}.parquet") for name in STUDY_TABLES},
        figures=figures,
    )


def size(row: Row) -> str:
    """The label of a row's batch size."""
    return Size.of(row).label
