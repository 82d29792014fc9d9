"""The learning-rate range test: what is known of it before it measures."""

from __future__ import annotations

from batchscope.probes.probe import Probe, ProbeFigure, mean
from batchscope.probes.rates.columns import RECORDS
from batchscope.tables.job_columns import CELL, Columns, integer, number

_CURVES = RECORDS["rate_curves"].columns
_OVER = "geometric mean over the seeds that have one"
_ENDS = "95 % t-interval, of the logarithm"
RANGE_MEANS: Columns = {
    **CELL,
    "n": integer("", "range tests, one per seed"),
    "n_suggested": integer("", "seeds with a suggestion"),
    **mean("suggested_rate", "", "rate at which the smoothed loss falls fastest", _OVER, _ENDS),
    "suggested_rate_loss": number(
        "nat", "mean smoothed loss at that mean, interpolated over the logarithm of the rate"
    ),
    "n_lowest_loss": integer("", "seeds whose lowest smoothed loss lies before the highest rate"),
    **mean("lowest_loss_rate", "", "rate at that lowest loss", _OVER, _ENDS),
    "n_diverged": integer("", "seeds whose loss blew up"),
    "diverged_rate_min": number("", "lowest, over these, of the first rate where it did"),
    "diverged_rate_max": number("", "highest, over these"),
}
CURVE_MEANS: Columns = {
    **CELL,
    "update": _CURVES["update"],
    "learning_rate": _CURVES["learning_rate"],
    "n": integer("", "seeds; updates at which one of them has no smoothed loss are left out"),
    "smoothed_loss": number("nat", "smoothed loss, mean over the seeds", nullable=False),
}

PROBE = Probe(
    name="rates",
    title="Range of rates",
    looks_at="runs",
    records=RECORDS,
    rows={
        "rate_ranges": "One row per learning-rate range test: the rates it suggests.",
        "rate_curves": "One row per update of a learning-rate range test.",
        "rate_range_means": "One row per batch size: what its range tests suggest, over the seeds.",
        "rate_curve_means": "One row per batch size and update of its range tests: their mean loss.",
    },
    derived={
        "rate_range_means": RANGE_MEANS,
        "rate_curve_means": CURVE_MEANS,
    },
    figures=(ProbeFigure("rate_range", "Learning-rate range test", "rates", needs=("rate_curves",)),),
)
