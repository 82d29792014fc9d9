"""What the report says about gradients of batches and the noise scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from batchscope import text
from batchscope.figures import sheets
from batchscope.figures.sheets import (
    Cell,
    Column,
    Row,
    Sheet,
    counts_of,
    number,
    numbers_of,
    rows,
    spreads_of,
    texts_of,
)
from batchscope.probes.moments import known, named, ordered, ranged_examples
from batchscope.probes.section import Block, Evidence, Figure, Note, Pair, Section, folded, where
from batchscope.stats import LEVEL
from batchscope.tables.cells import CHECKPOINT, SIZE

_NOISE = "gradient_signal_to_noise"
_MEANS = ("gradient_variance", "cosine_mean", "cosine_q25", "cosine_q75", _NOISE, f"{_NOISE}_q25", f"{_NOISE}_q75")
_WEIGHT = ("coordinate", "coordinate_mean", "coordinate_std", "coordinate_min", "coordinate_max")
_PARTS = {"mean": "Mean", "std": "Standard deviation", "min": "Minimum", "max": "Maximum"}
_TRAINED = Column("Trained with", "examples")
_CHECKPOINT = Column("Checkpoint", kind="text")


def gradients(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per batch size of the runs, checkpoint and size drawn: one weight, then all weights, over batches."""
    frame = evidence.of("gradients", pair)
    if frame.empty:
        return []
    found = rows(_over_seeds(frame))
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (_TRAINED, [sheets.size(row) for row in found]),
        (_CHECKPOINT, texts_of(found, "checkpoint")),
        (Column("Size drawn", "examples"), counts_of(found, "drawn_batch_size")),
        (Column("Batches"), counts_of(found, "batches")),
        (Column("Variance", "trace"), numbers_of(found, "gradient_variance")),
        (Column("Signal-to-noise"), _between(found, _NOISE, f"{_NOISE}_q25", f"{_NOISE}_q75")),
        (Column("Cosine"), _between(found, "cosine_mean", "cosine_q25", "cosine_q75")),
        (Column("Bias", "of |G|"), spreads_of(found, "bias")),
        (Column("Seeds"), counts_of(found, "seeds")),
        (Column("Weight", "number"), counts_of(found, "coordinate")),
        *((Column(words), numbers_of(found, f"coordinate_{part}")) for part, words in _PARTS.items()),
    ]
    caption = (
        f"{where(pair)} Gradients of batches drawn at random, without replacement, from {ranged_examples(frame)} "
        "training examples, at the weights of runs with the batch size in the first column. Means over the seeds, of: "
        "the trace of the covariance of the gradient; the signal-to-noise ratio, median over all weights and "
        "quartiles; the cosine to the full gradient G, mean over the batches and quartiles; the mean over batches of "
        "the gradient along G minus G, relative to |G|, with ± 2 standard errors. Last, one weight, the one with the "
        "largest full gradient there, in the run of the lowest seed: mean, standard deviation, minimum and "
        "maximum of its gradient over the batches."
    )
    table = Sheet("table-gradients", caption, columns, folded(found, "every checkpoint and size of the batches drawn"))
    return [Figure("gradient_variance"), Figure("gradient_direction"), table]


def noise_scale(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per run and checkpoint: the noise scale with its interval, what it is made of, or why there is none."""
    frame = evidence.of("noise_scale", pair)
    if frame.empty:
        return []
    frame = ordered(_of_these(frame), "seed")
    found = rows(named(frame))
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (_TRAINED, [sheets.size(row) for row in found]),
        (_CHECKPOINT, texts_of(found, "checkpoint")),
        (Column("Seed"), counts_of(found, "seed")),
        (Column("Epochs"), numbers_of(found, "epoch")),
        (Column("Noise scale", "examples"), [_noise_scale(row) for row in found]),
        (Column("tr(Σ)"), numbers_of(found, "covariance_trace")),
        (Column("|G|²"), numbers_of(found, "gradient_norm_squared")),
        (Column("tr(Σ)/|G|² of these examples", "examples"), numbers_of(found, "of_these")),
    ]
    caption = (
        f"{where(pair)} Gradient noise scale tr(Σ)/|G|² at the weights of single runs, from "
        f"{ranged_examples(frame)} training examples in inference mode. |G|² is the squared length of the gradient of "
        "all the data that these examples are a sample of: estimated by what the length for these examples exceeds "
        f"noise by, with a {LEVEL} interval of the ratio (Fieller, jackknife over the examples; the spread between "
        "seeds is not in it). Where |G|² cannot be told apart from zero the interval has no upper end; where its "
        "estimate is not above zero there is no noise scale. Unbiased before the first update; later the weights have "
        "been fitted to these very examples. The last number takes the length of the gradient of these examples as it "
        "is: what a batch drawn from them sees."
    )
    table = Sheet("table-noise-scale", caption, columns, folded(found, "every run and checkpoint"))
    reasons = frame["reason"].dropna().str.removesuffix(".").value_counts(sort=False)
    notes = [Note(f"{text.count(int(n), 'row')} of {len(found)}: {reason}.") for reason, n in reasons.items()]
    return [table, *notes, Figure("noise_scale")]


SECTIONS = (
    Section(
        "gradients",
        "Gradients of mini-batches",
        "Batches of several sizes, drawn again and again with the weights held still, so that nothing but the draw "
        "differs. What a batch of some size says about the gradient of all examples is measured here, not what "
        "training with it does.",
        gradients,
    ),
    Section(
        "noise-scale",
        "Gradient noise scale",
        "The batch size at which the noise of the gradient is as large as the gradient. It is measured with the "
        "weights held still and tends to grow as training proceeds. It is not the critical batch size, which is "
        "fitted to runs; both are shown, and no equality is claimed.",
        noise_scale,
    ),
)


def _over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per size of the runs, checkpoint and size drawn: means over the seeds, one weight of the lowest seed."""
    found = []
    keys = [*SIZE, *CHECKPOINT, "drawn_batch_size"]
    for key, group in ordered(frame, "drawn_batch_size", "seed").groupby(keys, sort=False, dropna=False):
        row: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "seeds": group["seed"].nunique()}
        row |= {column: group[column].iloc[0] for column in ("batches", *_WEIGHT)}
        row |= {column: _mean(group[column]) for column in _MEANS}
        both = group[["gradient_bias", "gradient_bias_se"]].dropna()
        mean, error = _mean(both["gradient_bias"]), math.hypot(*both["gradient_bias_se"]) / max(1, len(both))
        low, high = (None if mean is None else mean + 2 * sign * error for sign in (-1, 1))
        found.append({**row, "bias_mean": mean, "bias_ci_low": low, "bias_ci_high": high})
    return named(pd.DataFrame(found))


def _of_these(frame: pd.DataFrame) -> pd.DataFrame:
    """The noise scale with the gradient of the examples themselves, whose square has tr(Σ)/n more than |G|²."""
    length = frame["gradient_norm_squared"] + frame["covariance_trace"] / frame["examples"]
    return frame.assign(of_these=frame["covariance_trace"] / length)


def _mean(values: pd.Series[float]) -> float | None:
    found = known(values)
    return float(found.mean()) if len(found) else None


def _between(found: Sequence[Row], middle: str, low: str, high: str) -> list[Cell]:
    """A number between two others, each to three significant digits."""
    return [sheets.quartiles(number(row, middle), number(row, low), number(row, high)) for row in found]


def _noise_scale(row: Row) -> Cell:
    value, low, high = (number(row, f"noise_scale{part}") for part in ("", "_ci_low", "_ci_high"))
    return sheets.quartiles(value, low, math.inf if high is None else high)
