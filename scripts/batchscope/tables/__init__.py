"""Every column of every table, and their files. Names alone are imported here, so that rules can use them."""

# Every table of a study but those of its probes, each written as Parquet and as CSV.
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
    "verdicts",
    "published",
)
