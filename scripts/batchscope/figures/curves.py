"""Learning curves: loss and accuracy against everything a training can be charged with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from batchscope.analysis.curves import positive
from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, finished, of_size, value_of
from batchscope.figures.words import failed_in_words, seeds_in_words, series_in_words

Numbers = NDArray[np.float64]
PARTS = ("train", "validation")


@dataclass(frozen=True)
class Curve:
    """Mean over seeds after each epoch that all of them reached, from epoch 0, and its band: NaN with one seed."""

    epochs: Numbers
    mean: Numbers
    low: Numbers
    high: Numbers


def draw_curves_loss(frames: Frames) -> Figure:
    """Training and validation loss (columns) against epochs, updates, examples and seconds (rows)."""
    return _draw(frames, "loss")


def draw_curves_accuracy(frames: Frames) -> Figure:
    """Training and validation accuracy (columns) against epochs, updates, examples and seconds (rows)."""
    return _draw(frames, "accuracy")


def caption_curves_loss(frames: Frames) -> str:
    """What the lines and bands are."""
    return _caption(frames, "Geometric mean" if is_logarithmic(frames) else "Mean", "loss")


def caption_curves_accuracy(frames: Frames) -> str:
    """What the lines and bands are."""
    return _caption(frames, "Mean", "accuracy")


def alt_curves_loss(frames: Frames) -> str:
    """Axes and the last values of the lines."""
    return _alt(frames, "loss")


def alt_curves_accuracy(frames: Frames) -> str:
    """Axes and the last values of the lines."""
    return _alt(frames, "accuracy")


def is_logarithmic(frames: Frames) -> bool:
    """Whether losses are drawn on a log axis: where all of them are positive, which makes their means geometric."""
    return positive(frames.evaluations)


def mean_curve(frames: Frames, size: Size, metric: str) -> Curve | None:
    """Mean of `metric` at each evaluation over the runs of `size` that ended `ok`; None where the table has none."""
    rows = of_size(frames.learning_curves, size)
    rows = rows[rows["metric"] == metric]
    if rows.empty:
        return None
    epochs, mean, low, high = (rows[name].to_numpy(np.float64) for name in ("epoch", "mean", "ci_low", "ci_high"))
    return Curve(epochs, mean, low, high)


def seconds_per_update(frames: Frames, size: Size) -> float | None:
    """From the timing; in a study without timings from the clocks of the runs themselves."""
    if len(frames.timings):
        return value_of(frames.timings, size, "seconds_per_update")
    runs = of_size(frames.runs, size)
    updates = float(runs["updates"].sum())
    return float(runs["train_seconds"].sum()) / updates if updates else None


@dataclass(frozen=True)
class _Lines:
    """What one size contributes to the panels of one quantity: its mean and its runs that did not end ok."""

    colour: str
    mean: Curve | None
    failed: list[pd.Series[float]]
    per_epoch: dict[str, float | None]


def _draw(frames: Frames, metric: str) -> Figure:
    made, panels = theme.figure(4, 2, 1.95, extra=0.7, sharey=True)
    logarithmic = metric == "loss" and is_logarithmic(frames)
    clock = "alone on the machine" if len(frames.timings) else "beside other runs"
    costs = {"epochs": "Epochs", "updates": "Updates", "examples": "Examples", "seconds": f"Seconds {clock}"}
    no_line = "not measured" if (frames.runs["outcome"] == "ok").any() else "no run ended ok"
    for column, part in enumerate(PARTS):
        panels[column].set_title(f"{part.capitalize()} {metric}")
        lines = _lines(frames, f"{part}_{metric}")
        for axes, (cost, label) in zip(panels[column::2], costs.items(), strict=True):
            axes.set_xlabel(label)
            _panel(axes, lines, cost, no_line)
    if logarithmic:
        columns = [f"{part}_{metric}" for part in PARTS]
        theme.log_axis(panels[0], "y", frames.evaluations[columns].to_numpy(np.float64, na_value=np.nan))
    if metric == "accuracy":
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(max(low, -0.02), min(high, 1.02))
    theme.size_legend(made, frames.sizes)
    return made


def _lines(frames: Frames, column: str) -> list[_Lines]:
    shades = theme.colours(frames.sizes)
    return [
        _Lines(
            shades[size],
            mean_curve(frames, size, column),
            _failed_runs(frames, size, column),
            _per_epoch(frames, size),
        )
        for size in frames.sizes
    ]


def _per_epoch(frames: Frames, size: Size) -> dict[str, float | None]:
    """Updates, examples and seconds of an epoch; seconds are None where nothing was timed."""
    found = of_size(frames.evaluations[["batch_size", "full_batch", "epoch", "updates", "examples"]], size)
    found = found[found["epoch"] > 0]
    if found.empty:
        return {"epochs": 1.0, "updates": None, "examples": None, "seconds": None}
    updates, examples = (float((found[cost] / found["epoch"]).iloc[-1]) for cost in ("updates", "examples"))
    seconds = seconds_per_update(frames, size)
    return {
        "epochs": 1.0,
        "updates": updates,
        "examples": examples,
        "seconds": None if seconds is None else seconds * updates,
    }


def _failed_runs(frames: Frames, size: Size, column: str) -> list[pd.Series[float]]:
    """Finite values of `column` by epoch of each run that did not end ok."""
    found = of_size(frames.evaluations, size)
    finite = np.isfinite(found[column].to_numpy(np.float64, na_value=np.nan))
    known = found[finite & ~found["seed"].isin(finished(frames, size))]
    return [run.set_index("epoch")[column] for _, run in known.groupby("seed")]


def _panel(axes: Axes, lines: Sequence[_Lines], cost: str, no_line: str) -> None:
    reached: list[float] = []
    # A log axis has no place for zero updates.
    start = 1 if cost in ("updates", "seconds") else 0
    for line in lines:
        factor = line.per_epoch[cost]
        if factor is None:
            continue
        if line.mean is not None:
            reached.extend(_mean(axes, line.mean, factor, start, line.colour))
        for failed in (run[run.index >= start] for run in line.failed):
            x = failed.index.to_numpy(np.float64) * factor
            axes.plot(x, failed, color=line.colour, linestyle=(0, (3, 2)), linewidth=0.9)
            axes.plot(x[-1:], failed.iloc[-1:], color=line.colour, marker="x", markersize=6)
            reached.extend(x)
    if not reached:
        theme.say(axes, no_line)
    elif start:
        theme.log_axis(axes, "x", reached)
    else:
        theme.counts_axis(axes)


def _mean(axes: Axes, curve: Curve, factor: float, start: int, colour: str) -> Numbers:
    x = curve.epochs[start:] * factor
    axes.plot(x, curve.mean[start:], color=colour, marker="o" if len(x) == 1 else None, markersize=4)
    if np.isfinite(curve.low).all():
        axes.fill_between(x, curve.low[start:], curve.high[start:], color=colour, alpha=0.13, linewidth=0)
    return x


def _caption(frames: Frames, mean: str, metric: str) -> str:
    several = any(len(finished(frames, size)) > 1 for size in frames.sizes)
    bands = "bands: 95 % t-intervals" if several else "no bands"
    clock = (
        "Seconds: updates times those of an update, timed in isolation."
        if len(frames.timings)
        else "Seconds: those of the runs, which may have shared the machine."
    )
    failed = failed_in_words(frames)
    return " ".join(
        [
            f"{mean} over seeds of the {metric} on the whole training and validation part, as far as all runs of a "
            f"size go ({seeds_in_words(frames)} per size; {bands}).",
            clock,
            *([failed.replace(" and are in no mean", ": dashed, in no mean")] if failed else []),
        ]
    )


def _alt(frames: Frames, metric: str) -> str:
    sentences = [
        f"Eight panels: training and validation {metric} against epochs, updates, examples and seconds, one line per "
        "batch size."
    ]
    for part in PARTS:
        ends: list[tuple[Size, float | None]] = []
        for size in frames.sizes:
            curve = mean_curve(frames, size, f"{part}_{metric}")
            ends.append((size, float(curve.mean[-1]) if curve else None))
        sentences.append(series_in_words(f"The last mean {part} {metric}", ends))
    return " ".join(sentences)
