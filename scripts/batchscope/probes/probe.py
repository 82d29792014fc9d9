"""What a probe is made of, as the rules, the tables and the figures need to know it before anything is measured.

A probe is a folder here and a name in `registry`. In its folder are

    settings.py  its keys in a study (`Settings`), whose `check` refuses what cannot be measured
    columns.py   the tables that its jobs write (`RECORDS`)
    spec.py      all else that is known beforehand (`PROBE`)
    measure.py   `measure(subject)`: the rows of those tables
    analysis.py  `analyse(records)`: the tables of the study that are not the records as they are, where there are some
    figures.py   `draw_NAME`, `caption_NAME` and `alt_NAME` of each of its figures, where it has some
    section.py   its sections of the report (`SECTIONS`)

All but `settings`, `columns` and `spec` are imported by name when they are needed. A measurement follows from `measure`
and `columns`, so that it is not made again where only a figure, an analysis or a sentence changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Literal

from batchscope.figures import FigureSpec
from batchscope.probes.columns import Record
from batchscope.tables.job_columns import Column, Columns, number


@dataclass(frozen=True)
class ProbeFigure(FigureSpec):
    """A figure of a probe: `module` is the name of the probe, whose `figures` draw it."""

    @property
    def group(self) -> str:
        """The probe."""
        return self.module

    def _functions(self) -> ModuleType:
        probe = self.module
        return import_module(f"batchscope.probes.{probe}.figures")


@dataclass(frozen=True)
class Probe:
    """A probe.

    Attributes:
        name: its key below `probes` of a study, its folder here and below `results/{study}/probes`.
        title: what its jobs measure, in their messages.
        looks_at: `weights` that the runs kept; `runs` that it makes itself, one job per run; or `cells`, each timed in
            isolation, once and not per seed.
        records: the tables that a job writes, by name.
        rows: what a row of each of its tables of the study is; those that `derived` does not name are records.
        derived: the tables of the study that its `analysis` makes.
        figures: drawn for each data set and recipe that it looks at.
        minutes: after which a job is given up.
    """

    name: str
    title: str
    looks_at: Literal["weights", "runs", "cells"]
    records: Mapping[str, Record]
    rows: Mapping[str, str]
    derived: Mapping[str, Columns] = field(default_factory=dict)
    figures: tuple[ProbeFigure, ...] = ()
    minutes: int = 240

    @property
    def tables(self) -> Mapping[str, Columns]:
        """The columns of its tables of the study, by name."""
        known = {name: record.columns for name, record in self.records.items()} | {**self.derived}
        return {name: known[name] for name in self.rows}


def mean(
    name: str, unit: str, meaning: str, over: str = "mean over the seeds", ends: str = "95 % t-interval"
) -> Columns:
    """The columns NAME_mean, NAME_ci_low and NAME_ci_high of a table over seeds."""
    return {f"{name}_mean": number(unit, f"{meaning}, {over}"), **interval(name, unit, ends)}


def interval(name: str, unit: str, ends: str = "95 % interval") -> dict[str, Column]:
    """The columns NAME_ci_low and NAME_ci_high."""
    return {
        f"{name}_ci_{end}": number(unit, f"{side} end of its {ends}")
        for end, side in (("low", "lower"), ("high", "upper"))
    }
