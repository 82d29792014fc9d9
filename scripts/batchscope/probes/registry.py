"""Every probe, in the order of the report, and what a study has in all: its tables and its figures."""

from __future__ import annotations

from importlib import import_module

from batchscope import figures
from batchscope.figures import FigureSpec
from batchscope.probes.probe import Probe
from batchscope.tables.contents import TABLES
from batchscope.tables.job_columns import Columns

NAMES = (
    "gradients",
    "sharpness",
    "rates",
    "modes",
    "accumulation",
    "overheads",
)

PROBES: dict[str, Probe] = {probe: import_module(f"batchscope.probes.{probe}.spec").PROBE for probe in NAMES}

PROBE_COLUMNS: dict[str, Columns] = {
    table: columns for probe in PROBES.values() for table, columns in probe.tables.items()
}
STUDY_TABLES: dict[str, str] = TABLES | {table: row for probe in PROBES.values() for table, row in probe.rows.items()}
"""Every table of a study, with what a row of it is."""
STUDY_FIGURES: dict[str, FigureSpec] = figures.FIGURES | {
    figure.name: figure for probe in PROBES.values() for figure in probe.figures
}
