"""What the report says about sharpness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from batchscope import text
from batchscope.figures import sheets
from batchscope.figures.sheets import Cell, Column, Sheet, counts_of, numbers_of, rows, spreads_of, texts_of
from batchscope.probes.moments import known, named, ordered, ranged_examples
from batchscope.probes.section import Block, Evidence, Figure, Pair, Section, folded, where
from batchscope.probes.sharpness.spec import GAP
from batchscope.stats import LEVEL
from batchscope.stats.intervals import t_interval
from batchscope.tables.cells import CHECKPOINT, SIZE

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
    found = rows(_over_seeds(frame))
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("Batch size", "examples"), [sheets.size(row) for row in found]),
        (_CHECKPOINT, texts_of(found, "checkpoint")),
        *(
            (column, spreads_of(found, measure) if measure != "stability_threshold" else numbers_of(found, measure))
            for measure, column in _MEASURES.items()
            if frame[measure].notna().any()
        ),
        (Column("Seeds"), counts_of(found, "seeds")),
        (Column("Remark", kind="text"), texts_of(found, "remark")),
    ]
    caption = (
        f"{where(pair)} Sharpness of the loss on {ranged_examples(frame)} training examples, the same for every run, "
        f"in inference mode: means over the seeds that have a value with {LEVEL} t-intervals. λ_max and the trace are "
        "of the Hessian; stable up to is 2 (1 + momentum) over the learning rate, for SGD alone; φ is the rise of the "
        "loss in a box around the weights (Keskar et al. 2017), adaptive sharpness that in a box in proportion to the "
        "weights, which alone does not change when ReLU layers are rescaled. The gap is training minus test accuracy "
        "at the same checkpoint. Rows of different training losses do not compare."
    )
    table = Sheet("table-sharpness", caption, columns, folded(found, "every batch size and checkpoint"))
    figures = [Figure(name) for name in ("sharpness_vs_batch", "sharpness_vs_gap", "loss_slices")]
    return [*figures, table, *_trends(evidence, pair)]


SECTIONS = (
    Section(
        "sharpness",
        "Sharpness",
        "How fast the training loss rises around the weights of a run. Sharpness changes along a run, so sizes are "
        "compared where they have the same training loss. The largest eigenvalue and φ change when layers of a ReLU "
        "network are rescaled although the network computes the same; the adaptive measure does not.",
        sharpness,
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
        f"{LEVEL} t-interval, cut off at ±1; none where all seeds have the same. An association, not a cause."
    )
    summary = f"Rank correlations: {text.count(len(found), 'row')}"
    return [Sheet("table-sharpness-trends", caption, columns, summary)]


def _over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per batch size and checkpoint: mean and t-interval of every measure, and what has no value."""
    found = []
    keys = [*SIZE, *CHECKPOINT, "interpolated"]
    for key, group in ordered(frame).groupby(keys, sort=False, dropna=False):
        row: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "seeds": group["seed"].nunique()}
        for measure in _MEASURES:
            interval = t_interval(known(group[measure]))
            row |= {f"{measure}_mean": interval.mean, f"{measure}_ci_low": interval.low}
            row |= {f"{measure}_ci_high": interval.high}
        reasons = dict.fromkeys(str(reason) for reason in group["reason"].dropna())
        count = f"{group['reason'].notna().sum()} of {len(group)}: "
        row |= {"remark": count + "; ".join(reasons) if reasons else ""}
        found.append({**row, "stability_threshold": row["stability_threshold_mean"]})
    return named(pd.DataFrame(found))
