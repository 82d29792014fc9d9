"""From the records of runs and timings to the tables of a study. Imports nothing, so that rules can name tables."""

from __future__ import annotations

# Every table of a study, each written as Parquet and as CSV.
TABLES = (
    "runs",
    "epochs",
    "steps",
    "timings",
    "windows",
    "not_measured",
    "metrics",
    "summary",
    "best",
    "choices",
)
