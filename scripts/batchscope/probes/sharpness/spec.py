"""The probe of sharpness: what is known of it before it measures."""

from __future__ import annotations

from batchscope.probes.probe import Probe, ProbeFigure
from batchscope.probes.sharpness.columns import RECORDS
from batchscope.tables.cells import PAIR
from batchscope.tables.columns import CHECKPOINT, RUN, Column, boolean, integer, number, string

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

PROBE = Probe(
    name="sharpness",
    title="Sharpness",
    looks_at="weights",
    records=RECORDS,
    rows={
        "sharpness": "One row per run and checkpoint: curvature of the loss.",
        "sharpness_trends": "One row per checkpoint and measure: how sharpness goes with batch size and gap.",
        "slices": "One row per run, checkpoint and position on a line through the weights: the loss there.",
    },
    derived={
        "sharpness": {
            **RECORDS["sharpness"].columns,
            "interpolated": INTERPOLATED,
            GAP: number("", "accuracy on the training part minus that on the test part at that checkpoint"),
        },
        "sharpness_trends": TRENDS,
    },
    figures=(
        ProbeFigure("sharpness_vs_batch", "Sharpness against batch size", "sharpness", needs=("sharpness",)),
        ProbeFigure("sharpness_vs_gap", "Generalisation gap against sharpness", "sharpness", needs=("sharpness",)),
        ProbeFigure("loss_slices", "Loss along a random direction", "sharpness", needs=("slices",)),
    ),
)
