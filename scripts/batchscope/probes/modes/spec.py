"""The probe of evaluation modes: what is known of it before it measures."""

from __future__ import annotations

from batchscope.probes.modes.columns import RECORDS
from batchscope.probes.probe import Probe, ProbeFigure

PROBE = Probe(
    name="modes",
    title="Evaluation modes",
    looks_at="weights",
    records=RECORDS,
    rows={
        "modes": "One row per run, checkpoint and evaluation size: the loss in training and in inference mode.",
    },
    figures=(
        ProbeFigure("evaluation_modes", "Evaluation in training and in inference mode", "modes", needs=("modes",)),
    ),
)
