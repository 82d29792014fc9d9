"""The probe of gradients: what is known of it before it measures."""

from __future__ import annotations

from batchscope.probes.gradients.columns import RECORDS
from batchscope.probes.probe import Probe, ProbeFigure
from batchscope.tables.columns import CELL, CHECKPOINT, Column, integer, number, string

SLOPES: dict[str, Column] = {
    **CELL,
    **CHECKPOINT,
    "metric": string("gradient_variance or gradient_signal_to_noise"),
    "n": integer("", "seeds with a slope"),
    "n_sizes": integer("", "sizes drawn"),
    "slope": number("", "of the logarithm of the metric on that of the size drawn, mean over the seeds"),
    "ci_low": number("", "lower end of its 95 % t-interval"),
    "ci_high": number("", "upper end"),
}

PROBE = Probe(
    name="gradients",
    title="Gradients",
    looks_at="weights",
    records=RECORDS,
    rows={
        "gradients": "One row per run, checkpoint and size of the batches drawn: their gradients at fixed weights.",
        "gradient_slopes": "One row per batch size, checkpoint and metric: how it goes with the size drawn.",
        "noise_scale": "One row per run and checkpoint: the gradient noise scale.",
    },
    derived={"gradient_slopes": SLOPES},
    figures=(
        ProbeFigure(
            "gradient_variance", "Variance and signal-to-noise of the gradient", "gradients", needs=("gradients",)
        ),
        ProbeFigure("gradient_direction", "Direction and bias of the gradient", "gradients", needs=("gradients",)),
        ProbeFigure("noise_scale", "Gradient noise scale and critical batch size", "gradients", needs=("noise_scale",)),
    ),
)
