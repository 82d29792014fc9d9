"""From the records of runs and timings to the tables of a study. Imports nothing, so that rules can name tables."""

from __future__ import annotations

CONFIDENCE = 0.95  # of every interval
FITTED_SIZES = 4  # batch sizes below which no law is fitted to them

# Every table of a study, each written as Parquet and as CSV.
TABLES = (
    "runs",
    "evaluations",
    "steps",
    "timings",
    "windows",
    "not_measured",
    "metrics",
    "summary",
    "best",
    "ranks",
    "equal_budget",
    "trials",
    "rates",
    "rate_slopes",
    "to_target",
    "targets",
    "critical_batch_size",
    "savings",
    "pareto",
    "advice",
    "tree",
    "gradients",
    "gradient_slopes",
    "noise_scale",
    "sharpness",
    "sharpness_trends",
    "slices",
    "modes",
    "rate_ranges",
    "rate_curves",
    "accumulation",
    "overheads",
    "update_costs",
    "verdicts",
    "published",
)
