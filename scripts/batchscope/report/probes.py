"""Tables of what probes found at weights that do not move; empty where a study has no such probe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from batchscope import text
from batchscope.analysis.probes import GAP
from batchscope.claims.scope import Pair
from batchscope.figures.moments import in_order, known, name
from batchscope.report import elements
from batchscope.report.content import Content, Row, number, rows, size_cell, spread_cells
from batchscope.report.elements import Cell, Column
from batchscope.report.evidence import LONG
from batchscope.stats import LEVEL
from batchscope.stats.intervals import t_interval

Columns = list[tuple[Column, Sequence[Cell]]]

_NOISE = "gradient_signal_to_noise"
_MEANS = ("gradient_variance", "cosine_mean", "cosine_q25", "cosine_q75", _NOISE, f"{_NOISE}_q25", f"{_NOISE}_q75")
_WEIGHT = ("coordinate", "coordinate_mean", "coordinate_std", "coordinate_min", "coordinate_max")
_SHARPNESS = {
    "train_loss": Column("Training loss", "nat"),
    "lambda_max": Column("λ_max"),
    "stability_threshold": Column("Stable up to"),
    "trace": Column("Trace"),
    "keskar_0_001": Column("φ at ε = 0.001", "%"),
    "keskar_0_0005": Column("φ at ε = 0.0005", "%"),
    "adaptive_sharpness": Column("Adaptive sharpness", "%"),
    GAP: Column("Train − test accuracy"),
}
_PARTS = {"mean": "Mean", "std": "Standard deviation", "min": "Minimum", "max": "Maximum"}
_AGAINST = {"batch_size": "Batch size", GAP: "Train − test accuracy"}
_TRAINED = Column("Trained with", "examples")
_MOMENT = Column("Moment", kind="text")


def gradient_table(content: Content, pair: Pair) -> str:
    """One row per batch size of the runs, moment and size drawn: one weight, then all weights, over batches."""
    frame = content.of("gradients", pair)
    if frame.empty:
        return ""
    found = _gradients(frame)
    columns: Columns = [
        (_TRAINED, [size_cell(row) for row in rows(found)]),
        (_MOMENT, [elements.text(name(str(row["moment"]))) for row in rows(found)]),
        (Column("Size drawn", "examples"), _whole(found, "drawn_batch_size")),
        (Column("Batches"), _whole(found, "batches")),
        (Column("Variance", "trace"), _values(found, "gradient_variance")),
        (Column("Signal-to-noise"), _between(found, _NOISE, f"{_NOISE}_q25", f"{_NOISE}_q75")),
        (Column("Cosine"), _between(found, "cosine_mean", "cosine_q25", "cosine_q75")),
        (Column("Bias", "of |G|"), spread_cells(found, "bias")),
        (Column("Seeds"), _whole(found, "seeds")),
        (Column("Weight", "number"), _whole(found, "coordinate")),
        *((Column(words), _values(found, f"coordinate_{part}")) for part, words in _PARTS.items()),
    ]
    caption = (
        f"{pair[0]} with {pair[1]}. Gradients of batches drawn at random, without replacement, from {_examples(frame)} "
        "training examples, at the weights of runs with the batch size in the first column. Means over the seeds, of: "
        "the trace of the covariance of the gradient; the signal-to-noise ratio, median over all weights and "
        "quartiles; the cosine to the full gradient G, mean over the batches and quartiles; the mean over batches of "
        "the gradient along G minus G, relative to |G|, with ± 2 standard errors. Last, one weight, the one with the "
        "largest full gradient at that moment, in the run of the lowest seed: mean, standard deviation, minimum and "
        "maximum of its gradient over the batches."
    )
    table = elements.table_of(elements.slug("table-gradients", *pair), caption, columns)
    return _folded(table, len(found), "every moment and size of the batches drawn")


def noise_scale_table(content: Content, pair: Pair) -> str:
    """One row per run and moment: the noise scale with its interval, what it is made of, or why there is none."""
    frame = content.of("noise_scale", pair)
    if frame.empty:
        return ""
    found = _ordered(frame, "seed")
    columns: Columns = [
        (_TRAINED, [size_cell(row) for row in rows(found)]),
        (_MOMENT, [elements.text(name(str(row["moment"]))) for row in rows(found)]),
        (Column("Seed"), _whole(found, "seed")),
        (Column("Epochs"), _values(found, "epoch")),
        (Column("Noise scale", "examples"), [_noise_scale(row) for row in rows(found)]),
        (Column("tr(Σ)"), _values(found, "covariance_trace")),
        (Column("|G|²"), _values(found, "gradient_norm_squared")),
        (Column("tr(Σ)/|G|² of these examples", "examples"), _values(_of_these(found), "of_these")),
    ]
    caption = (
        f"{pair[0]} with {pair[1]}. Gradient noise scale tr(Σ)/|G|² at the weights of single runs, from "
        f"{_examples(frame)} training examples in inference mode. |G|² is the squared length of the gradient of all "
        "the data that these examples are a sample of: estimated by what the length for these examples exceeds noise "
        f"by, with a {LEVEL} interval of the ratio (Fieller, jackknife over the examples; the spread between seeds is "
        "not in it). Where |G|² cannot be told apart from zero the interval has no upper end; where its estimate is "
        "not above zero there is no noise scale. Unbiased before the first update; later the weights have been fitted "
        "to these very examples. The last number takes the length of the gradient of these examples as it is: what a "
        "batch drawn from them sees."
    )
    table = elements.table_of(elements.slug("table-noise-scale", *pair), caption, columns)
    reasons = found["reason"].dropna().str.removesuffix(".").value_counts(sort=False)
    notes = [f"{text.count(int(count), 'row')} of {len(found)}: {reason}." for reason, count in reasons.items()]
    return _folded(table, len(found), "every run and moment") + "".join(
        elements.paragraph(note, "note") for note in notes
    )


def _of_these(frame: pd.DataFrame) -> pd.DataFrame:
    """The noise scale with the gradient of the examples themselves, whose square has tr(Σ)/n more than |G|²."""
    length = frame["gradient_norm_squared"] + frame["covariance_trace"] / frame["examples"]
    return frame.assign(of_these=frame["covariance_trace"] / length)


def sharpness_table(content: Content, pair: Pair) -> str:
    """One row per batch size and moment with means over the seeds; below it, folded, the rank correlations."""
    frame = content.of("sharpness", pair)
    if frame.empty:
        return ""
    found = _sharpness(frame)
    columns: Columns = [
        (Column("Batch size", "examples"), [size_cell(row) for row in rows(found)]),
        (_MOMENT, [elements.text(name(str(row["moment"]))) for row in rows(found)]),
        *(
            (column, spread_cells(found, measure) if measure != "stability_threshold" else _values(found, measure))
            for measure, column in _SHARPNESS.items()
            if frame[measure].notna().any()
        ),
        (Column("Seeds"), _whole(found, "seeds")),
        (Column("Remark", kind="text"), [elements.text(row["remark"]) for row in rows(found)]),
    ]
    caption = (
        f"{pair[0]} with {pair[1]}. Sharpness of the loss on {_examples(frame)} training examples, the same for every "
        f"run, in inference mode: means over the seeds that have a value with {LEVEL} t-intervals. λ_max and the trace "
        "are of the Hessian; stable up to is 2 (1 + momentum) over the learning rate, for SGD alone; φ is the rise of "
        "the loss in a box around the weights (Keskar et al. 2017), adaptive sharpness that in a box in proportion to "
        "the weights, which alone does not change when ReLU layers are rescaled. The gap is training minus test "
        "accuracy at the same moment. Rows of different training losses do not compare."
    )
    table = elements.table_of(elements.slug("table-sharpness", *pair), caption, columns)
    return _folded(table, len(found), "every batch size and moment") + _trends(content, pair)


def _trends(content: Content, pair: Pair) -> str:
    frame = content.of("sharpness_trends", pair).dropna(subset=["correlation"])
    if frame.empty:
        return ""
    found = rows(frame)
    columns: Columns = [
        (Column("Measure", kind="text"), [elements.text(_SHARPNESS[str(row["measure"])].heading) for row in found]),
        (Column("Against", kind="text"), [elements.text(_AGAINST[str(row["against"])]) for row in found]),
        (_MOMENT, [elements.text(name(str(row["moment"]))) for row in found]),
        (Column("Rank correlation"), spread_cells(frame, "", "ci_low", "ci_high", "correlation")),
        (Column("Seeds"), _whole(frame, "n")),
        (Column("Sizes"), _whole(frame, "n_sizes")),
    ]
    caption = (
        f"{pair[0]} with {pair[1]}. Spearman's rank correlation over the batch sizes of a seed: mean over the seeds "
        f"with its {LEVEL} t-interval, cut off at ±1; none where all seeds have the same. An association, not a cause."
    )
    table = elements.table_of(elements.slug("table-sharpness-trends", *pair), caption, columns)
    return elements.folded(f"Rank correlations: {text.count(len(found), 'row')}", table)


def _gradients(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per size of the runs, moment and size drawn: means over the seeds, one weight of the lowest seed."""
    found = []
    keys = ["batch_size", "full_batch", "moment", "drawn_batch_size"]
    for key, group in _ordered(frame, "drawn_batch_size", "seed").groupby(keys, sort=False):
        row: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "seeds": group["seed"].nunique()}
        row |= {column: group[column].iloc[0] for column in ("batches", *_WEIGHT)}
        row |= {column: _mean(group[column]) for column in _MEANS}
        both = group[["gradient_bias", "gradient_bias_se"]].dropna()
        mean, error = _mean(both["gradient_bias"]), math.hypot(*both["gradient_bias_se"]) / max(1, len(both))
        low, high = (None if mean is None else mean + 2 * sign * error for sign in (-1, 1))
        found.append({**row, "bias_mean": mean, "bias_ci_low": low, "bias_ci_high": high})
    return pd.DataFrame(found)


def _sharpness(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per batch size and moment: mean and t-interval of every measure, and what has no value."""
    found = []
    keys = ["batch_size", "full_batch", "moment"]
    for key, group in _ordered(frame).groupby(keys, sort=False):
        row: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "seeds": group["seed"].nunique()}
        for measure in _SHARPNESS:
            interval = t_interval(known(group[measure]))
            row |= {f"{measure}_mean": interval.mean, f"{measure}_ci_low": interval.low}
            row |= {f"{measure}_ci_high": interval.high}
        reasons = dict.fromkeys(str(reason) for reason in group["reason"].dropna())
        count = f"{group['reason'].notna().sum()} of {len(group)}: "
        row |= {"remark": count + "; ".join(reasons) if reasons else ""}
        found.append({**row, "stability_threshold": row["stability_threshold_mean"]})
    return pd.DataFrame(found)


def _ordered(frame: pd.DataFrame, *further: str) -> pd.DataFrame:
    """By batch size, then moment, then the columns `further`."""
    place = {moment: i for i, moment in enumerate(in_order(frame))}
    ranked = frame.assign(_place=frame["moment"].map(place))
    return ranked.sort_values(["batch_size", "full_batch", "_place", *further], ignore_index=True, kind="stable")


def _mean(values: pd.Series[float]) -> float | None:
    found = known(values)
    return float(found.mean()) if len(found) else None


def _whole(frame: pd.DataFrame, column: str) -> list[Cell]:
    found = [number(row, column) for row in rows(frame)]
    return [elements.value(value, text.integer(value)) for value in found]


def _values(frame: pd.DataFrame, column: str) -> list[Cell]:
    return [elements.value(number(row, column)) for row in rows(frame)]


def _between(frame: pd.DataFrame, middle: str, low: str, high: str) -> list[Cell]:
    """A number between two others, each to three significant digits."""
    return [elements.quartiles(number(row, middle), number(row, low), number(row, high)) for row in rows(frame)]


def _noise_scale(row: Row) -> Cell:
    value, low, high = (number(row, f"noise_scale{part}") for part in ("", "_ci_low", "_ci_high"))
    return elements.quartiles(value, low, math.inf if high is None else high)


def _examples(frame: pd.DataFrame) -> str:
    ends = dict.fromkeys(text.integer(float(end)) for end in (frame["examples"].min(), frame["examples"].max()))
    return " to ".join(ends)


def _folded(table: str, length: int, what: str) -> str:
    return table if length <= LONG else elements.folded(f"All {length} rows: {what}", table)
