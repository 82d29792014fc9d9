"""The probe of sharpness: what is known of it before it measures."""

from __future__ import annotations

from batchscope.probes.probe import Probe, ProbeFigure, mean
from batchscope.probes.sharpness.columns import RECORDS
from batchscope.tables.cells import PAIR
from batchscope.tables.job_columns import CELL, CHECKPOINT, RUN, Column, Columns, boolean, integer, number, string

GAP = "matched_generalisation_gap"
INTERPOLATED = boolean("true: at exactly that training loss, between weights above and below it")
TRENDS: dict[str, Column] = {
    **{name: RUN[name] for name in PAIR},
    **CHECKPOINT,
    "interpolated": INTERPOLATED,
    "measure": string("measure of sharpness: the name of its column in `sharpness`"),
    "against": string(f"what it is compared with: batch_size or {GAP}"),
    "n": integer("", "seeds with enough sizes for a rank correlation"),
    "n_sizes": integer("", "batch sizes with the measure"),
    "correlation": number("", "Spearman's rank correlation over the sizes of a seed, mean over the seeds"),
    "ci_low": number("", "lower end of its 95 % t-interval, cut off at −1"),
    "ci_high": number("", "upper end, cut off at 1"),
}
_RECORD = RECORDS["sharpness"].columns
_GAP = number("", "accuracy on the training part minus that on the test part at that checkpoint")
AVERAGED: Columns = {
    **{name: _RECORD[name] for name in ("train_loss", "lambda_max", "trace", "keskar_0_001", "keskar_0_0005")},
    "adaptive_sharpness": _RECORD["adaptive_sharpness"],
    GAP: _GAP,
}
MEANS: Columns = {
    **CELL,
    **CHECKPOINT,
    "interpolated": INTERPOLATED,
    "n": integer("", "seeds"),
    **{
        part: column
        for name, about in AVERAGED.items()
        for part, column in mean(name, about.unit, about.meaning, "mean over the seeds that have it").items()
    },
    "stability_threshold": _RECORD["stability_threshold"],
    "reason": string("why a quantity is null, and in how many of the runs", nullable=True),
}
SLICE_MEANS: Columns = {
    **CELL,
    **CHECKPOINT,
    "n": integer("", "seeds"),
    "position": RECORDS["slices"].columns["position"],
    "loss": number("nat", "loss there, mean over the seeds; positions that one of them lacks are left out"),
}

PROBE = Probe(
    name="sharpness",
    title="Sharpness",
    looks_at="weights",
    records=RECORDS,
    rows={
        "sharpness": "One row per run and checkpoint: curvature of the loss.",
        "sharpness_means": "One row per batch size and checkpoint: the same over the seeds.",
        "sharpness_trends": "One row per checkpoint and measure: how sharpness goes with batch size and gap.",
        "slices": "One row per run, checkpoint and position on a line through the weights: the loss there.",
        "slice_means": "One row per batch size, checkpoint and position: the same over the seeds.",
    },
    derived={
        "sharpness": {
            **_RECORD,
            "interpolated": INTERPOLATED,
            GAP: _GAP,
        },
        "sharpness_means": MEANS,
        "sharpness_trends": TRENDS,
        "slice_means": SLICE_MEANS,
    },
    figures=(
        ProbeFigure("sharpness_vs_batch", "Sharpness against batch size", "sharpness", needs=("sharpness",)),
        ProbeFigure("sharpness_vs_gap", "Generalisation gap against sharpness", "sharpness", needs=("sharpness",)),
        ProbeFigure("loss_slices", "Loss along a random direction", "sharpness", needs=("slices",)),
    ),
)
