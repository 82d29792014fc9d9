"""What the report says about sharpness."""

from __future__ import annotations

from collections.abc import Sequence

from batchscope import text
from batchscope.figures import sheets
from batchscope.figures.sheets import Cell, Column, Sheet, counts_of, numbers_of, rows, spreads_of, texts_of
from batchscope.probes.moments import missing_in_words, named, ranged_examples
from batchscope.probes.section import Block, Evidence, Figure, Note, Section, folded, where
from batchscope.probes.sharpness.spec import GAP
from batchscope.stats import LEVEL
from batchscope.tables.cells import Pair, sizes_of
from batchscope.training.checkpoints import by_checkpoint

_MEASURES = {
    "train_loss": Column("Training loss", "nat"),
    "lambda_max": Column("λ_max"),
    "stability_threshold": Column("Stable up to"),
    "trace": Column("Trace"),
    "keskar_0_001": Column("φ at ε = 0.001", "%"),
    "keskar_0_0005": Column("φ at ε = 0.0005", "%"),
    "adaptive_sharpness": Column("Adaptive sharpness", "%"),
    GAP: Column("Train − test accuracy"),
}
_AGAINST = {"batch_size": "Batch size", GAP: "Train − test accuracy"}
_CHECKPOINT = Column("Checkpoint", kind="text")


def sharpness(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per batch size and checkpoint with means over the seeds; below it, folded, the rank correlations."""
    frame = evidence.of("sharpness", pair)
    if frame.empty:
        return [Figure("loss_slices")]
    found = rows(named(evidence.of("sharpness_means", pair)))
    remarks = texts_of(found, "reason")
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Batch size", "examples"), [sheets.size(row) for row in found]),
        (_CHECKPOINT, texts_of(found, "checkpoint")),
        *(
            (column, spreads_of(found, measure) if measure != "stability_threshold" else numbers_of(found, measure))
            for measure, column in _MEASURES.items()
            if frame[measure].notna().any()
        ),
        (Column("Seeds"), counts_of(found, "n")),
        *([(Column("Remark", kind="text"), remarks)] if any(cell.value for cell in remarks) else []),
    ]
    caption = (
        f"{where(pair)} Sharpness of the loss on {ranged_examples(frame)} training examples, the same for every run, "
        f"in inference mode: means over the seeds that have a value with {LEVEL} t-intervals. Rows of different "
        "training losses do not compare."
    )
    table = Sheet("table-sharpness", caption, columns, folded(found, "every batch size and checkpoint"))
    figures = [Figure(name) for name in ("sharpness_vs_batch", "sharpness_vs_gap", "loss_slices")]
    runs = evidence.of("runs", pair)
    missing = missing_in_words(runs, frame, sizes_of(runs))
    return [*figures, table, *_trends(evidence, pair), *([Note(missing)] if missing else [])]


def _largest_eigenvalue(evidence: Evidence, pair: Pair) -> str:
    """The largest eigenvalue at the smallest and the largest size, where both can be compared best."""
    means = evidence.of("sharpness_means", pair).dropna(subset=["lambda_max_mean"])
    if means.empty:
        return ""
    # At one training loss for all, where weights around it were kept; else at the end, as the figure.
    compared = means[means["interpolated"]] if means["interpolated"].any() else means
    at, there = list(by_checkpoint(compared).items())[-1]
    found = rows(there)
    ends = [
        f"{text.number(row['lambda_max_mean'])} at batch size {sheets.size(row).shown}" for row in (found[0], found[-1])
    ]
    return f"The largest curvature (λ_max) {at.when} is {' and '.join(dict.fromkeys(ends))}."


SECTIONS = (
    Section(
        "sharpness",
        "Sharpness",
        "How fast the training loss rises around the weights of a run. Sharpness changes along a run, so sizes are "
        "compared at the lowest training loss that most of them fell to in all their runs; measures are interpolated "
        "to it where weights above and below it were kept. At their ends runs are at different training losses, and "
        "one that fits the training part less well has a smaller gap for that reason alone. The largest eigenvalue and "
        "φ change when layers of a ReLU network are rescaled although the network computes the same; the adaptive "
        "measure does not. One random direction shows the mean curvature more than the largest: a flat slice does not "
        "say that there is no sharp direction.",
        sharpness,
        "λ_max and the trace are of the Hessian; stable up to is 2 (1 + momentum) over the learning rate, for SGD "
        "alone; φ is the rise of the loss in a box around the weights (Keskar et al. 2017), adaptive sharpness that in "
        "a box in proportion to the weights. Both rises are the highest that a short search found, so lower bounds. "
        "The gap is training minus test accuracy at the same checkpoint.",
        finding=_largest_eigenvalue,
        figure="sharpness_vs_batch",
    ),
)


def _trends(evidence: Evidence, pair: Pair) -> list[Sheet]:
    frame = evidence.of("sharpness_trends", pair).dropna(subset=["correlation"])
    if frame.empty:
        return []
    found = rows(named(frame))
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Measure", kind="text"), [sheets.text(_MEASURES[str(row["measure"])].heading) for row in found]),
        (Column("Against", kind="text"), [sheets.text(_AGAINST[str(row["against"])]) for row in found]),
        (_CHECKPOINT, texts_of(found, "checkpoint")),
        (Column("Rank correlation"), spreads_of(found, "", "ci_low", "ci_high", "correlation")),
        (Column("Seeds"), counts_of(found, "n")),
        (Column("Sizes"), counts_of(found, "n_sizes")),
    ]
    caption = (
        f"{where(pair)} Spearman's rank correlation over the batch sizes of a seed: mean over the seeds with its "
        f"{LEVEL} t-interval, cut off at ±1; none where all seeds have the same. An association, not a cause: the size "
        "changes both, and so may other things."
    )
    summary = f"Rank correlations: {text.count(len(found), 'row')}"
    return [Sheet("table-sharpness-trends", caption, columns, summary)]
