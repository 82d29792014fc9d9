"""The probe of gradients: what is known of it before it measures."""

from __future__ import annotations

from batchscope.probes.gradients.columns import RECORDS
from batchscope.probes.probe import Probe, ProbeFigure, interval, mean
from batchscope.tables.job_columns import CELL, CHECKPOINT, Columns, integer, number, string

_GRADIENTS, _SCALES = (RECORDS[table].columns for table in ("gradients", "noise_scale"))
BETWEEN = tuple(
    f"{name}{part}"
    for name, parts in {"gradient_signal_to_noise": ("", "_q25", "_q75"), "cosine": ("_mean", "_q25", "_q75")}.items()
    for part in parts
)
WEIGHT = ("coordinate", "coordinate_mean", "coordinate_std", "coordinate_min", "coordinate_max")

MEANS: Columns = {
    **CELL,
    **CHECKPOINT,
    "drawn_batch_size": _GRADIENTS["drawn_batch_size"],
    "n": integer("", "seeds"),
    "batches": integer("", "batches drawn, in the run of the lowest seed"),
    **mean("gradient_variance", "", "trace of the covariance of the gradient of a batch"),
    "gradient_variance_expected": number("", "what random draws without replacement give, mean over the seeds"),
    "gradient_variance_with_replacement": number("", "the same without the finite-population factor"),
    **{name: number("", f"{_GRADIENTS[name].meaning}; mean over the seeds") for name in BETWEEN},
    "gradient_bias": number("", f"{_GRADIENTS['gradient_bias'].meaning}; mean over the seeds"),
    **interval("gradient_bias", "", "two standard errors, those of the seeds combined"),
    **{name: _GRADIENTS[name] for name in WEIGHT},
}
SLOPES: Columns = {
    **CELL,
    **CHECKPOINT,
    "metric": string("gradient_variance or gradient_signal_to_noise"),
    "n": integer("", "seeds with a slope"),
    "n_sizes": integer("", "sizes drawn"),
    "slope": number("", "of the logarithm of the metric on that of the size drawn, mean over the seeds"),
    "ci_low": number("", "lower end of its 95 % t-interval"),
    "ci_high": number("", "upper end"),
    "expected": number("", "slope over these sizes of what random draws without replacement give"),
}
SCALE_MEANS: Columns = {
    **CELL,
    **CHECKPOINT,
    "n": integer("", "seeds"),
    "n_estimated": integer("", "seeds with a noise scale"),
    "epoch_min": number("epochs", "passes over the training part up to that checkpoint, fewest over the seeds"),
    "epoch_max": number("epochs", "most over the seeds"),
    "noise_scale": number("examples", "mean trace over mean |G|², null unless every seed has both"),
    **interval("noise_scale", "examples", "95 % interval (Fieller) from the spread between seeds"),
    "growth": number(
        "", "noise scale over that at the first checkpoint, geometric mean over the seeds, if all have both"
    ),
    **interval("growth", "", "95 % t-interval, of the logarithm"),
}

PROBE = Probe(
    name="gradients",
    title="Gradients",
    looks_at="weights",
    records=RECORDS,
    rows={
        "gradients": "One row per run, checkpoint and size of the batches drawn: their gradients at fixed weights.",
        "gradient_means": "One row per batch size, checkpoint and size drawn: the same over the seeds.",
        "gradient_slopes": "One row per batch size, checkpoint and metric: how it goes with the size drawn.",
        "noise_scale": "One row per run and checkpoint: the gradient noise scale.",
        "noise_scale_means": "One row per batch size and checkpoint: the gradient noise scale over the seeds.",
    },
    derived={
        "gradient_means": MEANS,
        "gradient_slopes": SLOPES,
        "noise_scale": {
            **_SCALES,
            "noise_scale_of_these": number(
                "examples", "trace over the squared length of the gradient of these examples"
            ),
        },
        "noise_scale_means": SCALE_MEANS,
    },
    figures=(
        ProbeFigure(
            "gradient_variance", "Variance and signal-to-noise of the gradient", "gradients", needs=("gradients",)
        ),
        ProbeFigure("gradient_direction", "Direction and bias of the gradient", "gradients", needs=("gradients",)),
        ProbeFigure("noise_scale", "Gradient noise scale", "gradients", needs=("noise_scale",)),
    ),
)
