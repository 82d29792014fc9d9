"""What the report says about gradients of batches and the noise scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

from batchscope import text
from batchscope.figures import sheets
from batchscope.figures.frames import of_size
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
from batchscope.probes.moments import estimate, missing_in_words, named, ordered, ranged_examples
from batchscope.probes.section import Block, Evidence, Figure, Note, Section, folded, where
from batchscope.stats import LEVEL
from batchscope.tables.cells import SIZE, Pair, sizes_of
from batchscope.training.checkpoints import by_checkpoint

_NOISE = "gradient_signal_to_noise"
_PARTS = {"mean": "Mean", "std": "Standard deviation", "min": "Minimum", "max": "Maximum"}
_METRICS = {"gradient_variance": "Variance", _NOISE: "Signal-to-noise"}
_TRAINED = Column("Trained with", "examples")
_CHECKPOINT = Column("Checkpoint", kind="text")


def gradients(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per batch size of the runs, checkpoint and size drawn: one weight, then all weights, over batches."""
    frame = evidence.of("gradients", pair)
    if frame.empty:
        return []
    found = rows(named(evidence.of("gradient_means", pair)))
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (_TRAINED, [sheets.size(row) for row in found]),
        (_CHECKPOINT, texts_of(found, "checkpoint")),
        (Column("Size drawn", "examples"), counts_of(found, "drawn_batch_size")),
        (Column("Batches"), counts_of(found, "batches")),
        (Column("Variance", "trace"), numbers_of(found, "gradient_variance_mean")),
        (Column("Signal-to-noise"), _between(found, _NOISE, f"{_NOISE}_q25", f"{_NOISE}_q75")),
        (Column("Cosine"), _between(found, "cosine_mean", "cosine_q25", "cosine_q75")),
        (Column("Bias", "of |G|"), spreads_of(found, "gradient_bias", mean="")),
        (Column("Seeds"), counts_of(found, "n")),
        (Column("Weight", "number"), counts_of(found, "coordinate")),
        *((Column(words), numbers_of(found, f"coordinate_{part}")) for part, words in _PARTS.items()),
    ]
    caption = (
        f"{where(pair)} Batches drawn without replacement from {ranged_examples(frame)} training examples, at the "
        "weights of runs with the batch size in the first column. Means over the seeds; brackets are quartiles over "
        "weights (signal-to-noise) or batches (cosine), and ± 2 standard errors (bias). Last columns: one weight, in "
        "the run of the lowest seed."
    )
    table = Sheet("table-gradients", caption, columns, folded(found, "every checkpoint and size of the batches drawn"))
    notes = [_beyond(found), missing_in_words(evidence.of("runs", pair), frame, sizes_of(frame))]
    figures = [Figure("gradient_variance"), Figure("gradient_direction")]
    return [*figures, table, _slopes(evidence, pair), *(Note(words) for words in notes if words)]


def noise_scale(evidence: Evidence, pair: Pair) -> list[Block]:
    """One row per run and checkpoint: the noise scale with its interval, what it is made of, or why there is none."""
    frame = evidence.of("noise_scale", pair)
    if frame.empty:
        return []
    frame = ordered(frame, "seed")
    found = rows(named(frame))
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (_TRAINED, [sheets.size(row) for row in found]),
        (_CHECKPOINT, texts_of(found, "checkpoint")),
        (Column("Seed"), counts_of(found, "seed")),
        (Column("Epochs"), numbers_of(found, "epoch")),
        (Column("Noise scale", "examples"), [_noise_scale(row) for row in found]),
        (Column("tr(Σ)"), numbers_of(found, "covariance_trace")),
        (Column("|G|²"), numbers_of(found, "gradient_norm_squared")),
        (Column("tr(Σ)/|G|² of these examples", "examples"), numbers_of(found, "noise_scale_of_these")),
    ]
    caption = (
        f"{where(pair)} tr(Σ)/|G|² at the weights of single runs, from {ranged_examples(frame)} training examples in "
        f"inference mode, with a {LEVEL} interval (Fieller, jackknife over the examples). No upper end: |G|² is not "
        "distinguishable from zero. No number: its estimate is not above zero."
    )
    table = Sheet("table-noise-scale", caption, columns, folded(found, "every run and checkpoint"))
    reasons = frame["reason"].dropna().str.removesuffix(".").value_counts(sort=False)
    notes = [f"{text.count(int(n), 'row')} of {len(found)}: {reason}." for reason, n in reasons.items()]
    notes += [_growth(evidence, pair), missing_in_words(evidence.of("runs", pair), frame, sizes_of(frame))]
    return [table, *(Note(words) for words in notes if words), Figure("noise_scale")]


def _variance(evidence: Evidence, pair: Pair) -> str:
    """How the variance of a batch's gradient falls with its size, at the last checkpoint."""
    slopes = ordered(evidence.of("gradient_slopes", pair))
    slopes = slopes[(slopes["metric"] == "gradient_variance") & slopes["slope"].notna()]
    if slopes.empty:
        return ""
    row = rows(slopes.tail(1))[0]
    slope = text.interval(number(row, "slope"), number(row, "ci_low"), number(row, "ci_high"), 2)
    return (
        f"The variance of the gradient changes as the batch size to the power {slope}; random draws give "
        f"{text.fixed(number(row, 'expected'), 2)}."
    )


def _scale(evidence: Evidence, pair: Pair) -> str:
    """The noise scale at the first checkpoint and at the last, of the smallest size with both."""
    means = ordered(evidence.of("noise_scale_means", pair)).dropna(subset=["noise_scale"])
    if means.empty:
        return ""
    of_one = of_size(means, sizes_of(means)[0])
    values = [
        f"{text.number(float(there['noise_scale'].iloc[0]))} examples {at.when}"
        for at, there in by_checkpoint(of_one).items()
    ]
    ends = " and ".join(dict.fromkeys((values[0], values[-1])))
    return f"At the weights of batch size {sizes_of(means)[0].label} the noise scale is {ends}."


SECTIONS = (
    Section(
        "gradients",
        "Gradients of mini-batches",
        "Batches of several sizes, drawn again and again with the weights held still, so that nothing but the draw "
        "differs. What a batch of some size says about the gradient of all examples is measured here, not what "
        "training with it does. To be expected is a variance of that of one example over the size B, times "
        "(n − B)/(n − 1) for draws without replacement from n examples. The mean over random batches is the full "
        "gradient by design: the bias shows how small a one would have been seen. It tests neither the order of the "
        "examples in a run nor a loss that depends on the batch, as with batch normalization in training mode.",
        gradients,
        "Variance is the trace of the covariance of the gradient, signal-to-noise the median over all weights, cosine "
        "that to the full gradient G, and bias the mean over batches of the gradient along G minus G, relative to |G|. "
        "The one weight has the largest full gradient there; given are the mean, standard deviation, minimum and "
        "maximum of its gradient over the batches.",
        finding=_variance,
        figure="gradient_variance",
    ),
    Section(
        "noise-scale",
        "Gradient noise scale",
        "The batch size at which the noise of the gradient is as large as the gradient: tr(Σ)/|G|², with Σ the "
        "covariance of the gradients of single examples and G the gradient of all data like them. It is measured with "
        "the weights held still and tends to grow as training proceeds, as the gradient shrinks faster than its noise. "
        "It is not the critical batch size, which is fitted to runs up to a target and depends on how their learning "
        "rate was chosen; both are shown, and no equality is claimed.",
        noise_scale,
        "|G|² is the squared length of the gradient of all the data that the examples are a sample of, estimated by "
        "what the length for these examples exceeds noise by. It is unbiased before the first update; later the "
        "weights have been fitted to these very examples. The spread between seeds is not in the intervals. The last "
        "column takes the length of the gradient of these examples as it is: what a batch drawn from them sees.",
        finding=_scale,
        figure="noise_scale",
    ),
)


def _slopes(evidence: Evidence, pair: Pair) -> Sheet:
    """Slopes over the sizes drawn, beside those to be expected."""
    found = rows(named(ordered(evidence.of("gradient_slopes", pair))))
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (_TRAINED, [sheets.size(row) for row in found]),
        (_CHECKPOINT, texts_of(found, "checkpoint")),
        (Column("Quantity", kind="text"), [sheets.text(_METRICS[row["metric"]]) for row in found]),
        (Column("Slope"), spreads_of(found, "", "ci_low", "ci_high", "slope")),
        (Column("Expected"), numbers_of(found, "expected")),
        (Column("Seeds"), counts_of(found, "n")),
        (Column("Sizes drawn"), counts_of(found, "n_sizes")),
    ]
    caption = (
        f"{where(pair)} Slope of the logarithm of a quantity on that of the size drawn: mean over the seeds with its "
        f"{LEVEL} t-interval. Expected is the slope of draws without replacement; with replacement it is −1 and 0.5."
    )
    return Sheet("table-gradient-slopes", caption, columns, f"Slopes: {text.count(len(found), 'row')}")


def _beyond(found: Sequence[Row]) -> str:
    """How many biases are more than their error."""
    ends = [(number(row, "gradient_bias_ci_low"), number(row, "gradient_bias_ci_high")) for row in found]
    known = [(low, high) for low, high in ends if low is not None and high is not None]
    if not known:
        return ""
    beyond = sum(low > 0 or high < 0 for low, high in known)
    return (
        f"{beyond} of {len(known)} biases are more than two standard errors from zero; by chance about one in twenty "
        "would be."
    )


def _growth(evidence: Evidence, pair: Pair) -> str:
    """By what factor the noise scale changed from the first checkpoint to the last."""
    last = ordered(evidence.of("noise_scale_means", pair)).groupby(SIZE, sort=False).tail(1)
    parts = []
    for row in rows(last.dropna(subset=["growth"])):
        factor, low, high = (number(row, f"growth{part}") for part in ("", "_ci_low", "_ci_high"))
        parts.append(f"{estimate(factor, low, high, row['n'])} for batch size {sheets.size(row).shown}")
    if not parts:
        return ""
    return (
        f"From the first checkpoint to the last it changed by a factor of {'; '.join(parts)} (geometric mean and "
        f"{LEVEL} t-interval over seeds, where every run has both estimates)."
    )


def _between(found: Sequence[Row], middle: str, low: str, high: str) -> list[Cell]:
    """A number between two others, each to three significant digits."""
    return [sheets.quartiles(number(row, middle), number(row, low), number(row, high)) for row in found]


def _noise_scale(row: Row) -> Cell:
    value, low, high = (number(row, f"noise_scale{part}") for part in ("", "_ci_low", "_ci_high"))
    return sheets.quartiles(value, low, math.inf if high is None else high)
