"""The learning-rate range test: what is known of it before it measures."""

from __future__ import annotations

from batchscope.probes.probe import Probe, ProbeFigure
from batchscope.probes.rates.columns import RECORDS

PROBE = Probe(
    name="rates",
    title="Range of rates",
    looks_at="runs",
    records=RECORDS,
    rows={
        "rate_ranges": "One row per learning-rate range test: the rates it suggests.",
        "rate_curves": "One row per update of a learning-rate range test.",
    },
    figures=(ProbeFigure("rate_range", "Learning-rate range test", "rates", needs=("rate_curves",)),),
)
