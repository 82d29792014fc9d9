"""The probe of evaluation modes: what is known of it before it measures."""

from __future__ import annotations

from batchscope.probes.modes.columns import RECORDS
from batchscope.probes.probe import Probe, ProbeFigure, mean
from batchscope.tables.job_columns import CELL, Columns, integer

MEANS: Columns = {
    **CELL,
    "evaluated_batch_size": RECORDS["modes"].columns["evaluated_batch_size"],
    "n": integer("", "seeds with both losses"),
    **mean("training_loss", "nat", "validation loss with the statistics of the batch"),
    **mean("inference_loss", "nat", "validation loss with the stored statistics"),
    **mean("shift", "nat", "the first minus the second, of the same weights and examples"),
}

PROBE = Probe(
    name="modes",
    title="Evaluation modes",
    looks_at="weights",
    records=RECORDS,
    rows={
        "modes": "One row per run, checkpoint and evaluation size: the loss in training and in inference mode.",
        "mode_means": "One row per batch size and evaluation size: means of these losses over the seeds.",
    },
    derived={"mode_means": MEANS},
    figures=(
        ProbeFigure("evaluation_modes", "Evaluation in training and in inference mode", "modes", needs=("modes",)),
    ),
)
