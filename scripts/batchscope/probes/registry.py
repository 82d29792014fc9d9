"""Every probe, in the order of the report, and what a study has in all: its tables and its figures."""

from __future__ import annotations

from importlib import import_module

from batchscope import figures, tables
from batchscope.figures import FigureSpec
from batchscope.probes.probe import Probe

NAMES = (
    "gradients",
    "sharpness",
    "rates",
    "modes",
    "accumulation",
    "overheads",
)

PROBES: dict[str, Probe] = {probe: import_module(f"batchscope.probes.{probe}.spec").PROBE for probe in NAMES}

STUDY_TABLES: tuple[str, ...] = (*tables.TABLES, *(table for probe in PROBES.values() for table in probe.tables))
STUDY_FIGURES: dict[str, FigureSpec] = figures.FIGURES | {
    figure.name: figure for probe in PROBES.values() for figure in probe.figures
}
