"""Sharpness of the training loss against batch size and generalisation gap, and slices through that loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batchscope.figures import line_ends, theme
from batchscope.figures.against import Points, readings
from batchscope.figures.frames import Frames, labelled, of_size
from batchscope.figures.target_words import joined
from batchscope.figures.targets import sentence_case
from batchscope.figures.words import series_in_words
from batchscope.probes import marks
from batchscope.probes.moments import Numbers, known
from batchscope.probes.sharpness.analysis import lowest_common_loss
from batchscope.probes.sharpness.spec import GAP
from batchscope.probes.words import seeds_in_words
from batchscope.tables.cells import sizes_of
from batchscope.training.checkpoints import END, Checkpoint, at, by_checkpoint

MEASURES = {
    "lambda_max": "λ_max of the Hessian",
    "keskar_0_001": "φ of Keskar et al. (%)",
    "adaptive_sharpness": "Adaptive sharpness (%)",
}
_NAMES = {"lambda_max": "λ_max", "keskar_0_001": "φ", "adaptive_sharpness": "adaptive sharpness"}
_THRESHOLD = "stability_threshold"
_NOWHERE = "not measured: no checkpoint that\nall runs share, nor an end"


def draw_sharpness_vs_batch(frames: Frames) -> Figure:
    """λ_max with the stability threshold, φ and adaptive sharpness against the batch size of the runs."""
    made, panels = theme.figure(3, 1, 2.0, extra=0.5)
    shown, thresholds = _compared(frames), _thresholds(frames)
    for axes, (measure, label) in zip(panels, MEASURES.items(), strict=True):
        theme.batch_axis(axes, frames.sizes, label=axes is panels[-1])
        axes.set_ylabel(label)
        if shown:
            _measure_panel(axes, frames, measure, thresholds if measure == "lambda_max" else {})
        else:
            theme.say(axes, _NOWHERE)
    made.align_ylabels(panels)
    handles = [marks.handle(each.label, ms=6, **look) for each, look in _looks(shown).items()]
    if thresholds:
        dash: dict[str, Any] = {"colour": theme.VALIDATION, "marker": "_", "ms": 12, "mew": 1.6}
        handles.append(marks.handle("2 (1 + momentum) / rate", **dash))
    if handles:
        theme.legend(made, handles)
    return made


def caption_sharpness_vs_batch(frames: Frames) -> str:
    """What is drawn, over how many seeds, and the intervals."""
    if not _compared(frames):
        return "Sharpness against batch size: not measured at a checkpoint that all runs share, nor at their ends."
    means = frames.of("sharpness_means")
    bars = "with 95 % t-intervals" if means["n"].max() > 1 else "without intervals"
    dashes = " Dashes: what gradient descent is stable up to, before any schedule." if _thresholds(frames) else ""
    return (
        "Above: λ_max, the largest eigenvalue of the Hessian; middle: φ, the rise of the loss in a box around the "
        f"weights; below: that in a box in proportion to them. Large markers: means over {seeds_in_words(means)} "
        f"{bars}; small dots: single runs.{dashes}"
    )


def alt_sharpness_vs_batch(frames: Frames) -> str:
    """Axes and values."""
    sentences = ["Three panels against the batch size of the runs."]
    for measure, name in _NAMES.items():
        for checkpoint in _compared(frames):
            values = readings(frames, _points(frames, checkpoint, measure))
            sentences.append(series_in_words(f"The mean {name} {checkpoint.when}", values))
    return joined(sentences)


def draw_sharpness_vs_gap(frames: Frames) -> Figure:
    """Training minus test accuracy against λ_max and against adaptive sharpness, one dot per run."""
    made, panels = theme.figure(1, 2, 3.0, extra=0.5, sharey=True)
    checkpoint = next(iter(_compared(frames)), None)
    runs, means = (at(frames.of(table), checkpoint) for table in ("sharpness", "sharpness_means"))
    points = {}
    for axes, measure in zip(panels, ("lambda_max", "adaptive_sharpness"), strict=True):
        pairs = runs.dropna(subset=[measure, GAP])
        if pairs.empty:
            theme.say(axes, "not measured" if len(runs) else _NOWHERE)
        else:
            marks.dots(axes, pairs, frames, measure, GAP, s=12, linewidth=0)
            marks.dots(axes, means, frames, f"{measure}_mean", f"{GAP}_mean", s=49, linewidth=0.8, zorder=3)
            if _far_apart(known(pairs[measure])):
                theme.log_axis(axes, "x", known(pairs[measure]))
            theme.plain_axis(axes)
            place = ["size", f"{measure}_mean", f"{GAP}_mean"]
            points[axes] = labelled(means)[place].dropna().set_axis(["size", "x", "y"], axis=1)
        axes.set_xlabel(MEASURES[measure])
        axes.set_ylabel("Train − test accuracy" if axes is panels[0] else "")
    line_ends.name_points(made, points, frames)
    return made


def caption_sharpness_vs_gap(frames: Frames) -> str:
    """What is drawn, over how many seeds, and that it is no cause."""
    for checkpoint in _compared(frames):
        return (
            f"Accuracy on the training part minus that on the test part, against sharpness, both {checkpoint.when}. "
            f"Small dots: single runs ({seeds_in_words(at(frames.of('sharpness_means'), checkpoint))} per size); large "
            "dots: their means, without intervals. An association over sizes, not a cause."
        )
    return "Generalisation gap against sharpness: not measured where all runs kept weights, nor at their ends."


def alt_sharpness_vs_gap(frames: Frames) -> str:
    """Axes and mean gaps."""
    for checkpoint in _compared(frames):
        gaps = series_in_words(f"The mean gap {checkpoint.when}", readings(frames, _points(frames, checkpoint, GAP)))
        return f"Two panels: generalisation gap against λ_max and against adaptive sharpness. {gaps}"
    return caption_sharpness_vs_gap(frames)


def draw_loss_slices(frames: Frames) -> Figure:
    """Loss along a random, filter-normalized direction, a line per batch size and a panel per checkpoint."""
    runs, means = by_checkpoint(frames.of("slices")), frames.of("slice_means")
    losses = known(frames.of("slices")["loss"])
    made, panels = theme.figure_of(len(runs), 2.5, extra=0.4)
    ends = {}
    for i, (axes, (checkpoint, part)) in enumerate(zip(panels, runs.items(), strict=True)):
        if part["loss"].notna().any():
            looks: dict[str, Any] = {"units": "seed", "linewidth": theme.THIN, "zorder": 2}
            marks.lines(axes, part, frames, "position", "loss", **looks)
            mean = labelled(at(means, checkpoint)).sort_values("position")
            marks.lines(axes, mean, frames, "position", "loss", linewidth=2.2, zorder=3)
            last = mean.groupby("size", sort=False).tail(1)
            ends[axes] = last[["size", "position", "loss"]].set_axis(["size", "x", "y"], axis=1)
        else:
            theme.say(axes, "not measured")
        axes.set_title(sentence_case(checkpoint.label))
        axes.set_xlabel("Position along the direction" if i >= len(runs) - min(2, len(runs)) else "")
        axes.set_ylabel("Loss" if i % 2 == 0 else "")
    if _far_apart(losses):
        theme.log_axis(panels[0], "y", losses)
    else:
        theme.plain_axis(panels[0])
    line_ends.name_sizes(made, {made: ends}, frames)
    return made


def caption_loss_slices(frames: Frames) -> str:
    """What is drawn, and over how many seeds."""
    axis = " Log axis." if _far_apart(known(frames.of("slices")["loss"])) else ""
    return (
        "Loss on the same training examples for every run along one random direction through its weights, which has, "
        "filter by filter, the length of the weights (Li et al. 2018). Thick lines: means over "
        f"{seeds_in_words(frames.of('slice_means'))} per size; thin lines: single runs.{axis}"
    )


def alt_loss_slices(frames: Frames) -> str:
    """Axes, and between which losses the means lie."""
    sentences = ["Loss along a random direction through the weights, one line per batch size."]
    for checkpoint, means in by_checkpoint(frames.of("slice_means")).items():
        for words, end in (("lowest", "min"), ("highest", "max")):
            values = [(size, float(of_size(means, size)["loss"].agg(end))) for size in sizes_of(means)]
            sentences.append(series_in_words(f"The {words} mean loss {checkpoint.when}", values))
    return joined(sentences)


def _compared(frames: Frames) -> list[Checkpoint]:
    """Where runs are compared: the lowest common training loss and the end, as far as they were looked at."""
    rows = frames.of("sharpness")
    met = lowest_common_loss(rows, frames.runs)
    return [*([met] if met else []), *([END] if END in by_checkpoint(rows) else [])]


def _points(frames: Frames, checkpoint: Checkpoint, measure: str) -> Points:
    means, runs = (at(frames.of(table), checkpoint) for table in ("sharpness_means", "sharpness"))
    return marks.points(means, frames.sizes, measure, runs)


def _thresholds(frames: Frames) -> Points:
    """The threshold of stability of every size that has one; runs of a size share their learning rate."""
    return marks.points(frames.of("sharpness_means"), frames.sizes, _THRESHOLD)


def _far_apart(values: Numbers) -> bool:
    """Whether `values` are drawn on a log axis: all positive, and the largest more than three times the smallest."""
    return len(values) > 0 and values.min() > 0 and bool(values.max() > 3 * values.min())


def _looks(shown: Sequence[Checkpoint]) -> dict[Checkpoint, dict[str, Any]]:
    """A marker per checkpoint: the last, the end, is full."""
    return {
        each: {"marker": "o" if each == END else "D", **({} if each == shown[-1] else {"mfc": "white"})}
        for each in shown
    }


def _measure_panel(axes: Axes, frames: Frames, measure: str, thresholds: Points) -> None:
    """One measure: means with bars and single runs, the checkpoints side by side."""
    looks = _looks(_compared(frames))
    drawn = {checkpoint: _points(frames, checkpoint, measure) for checkpoint in looks}
    points = [point for found in drawn.values() for point in found.values()]
    if not points:
        theme.say(axes, "not measured")
        return
    values = [value for point in points for value in point.singles.values()]
    values += [point.value for point in thresholds.values()]
    if _far_apart(np.array(values)):
        ends = [end for point in points for end in (point.low, point.high) if end is not None]
        marks.log_limits(axes, values, ends, reach=3.0)
    else:
        theme.plain_axis(axes)
    for size, point in thresholds.items():
        width = 16 * theme.spacing(frames.sizes, size) + 4
        axes.plot([size.batch_size], [point.value], "_", color=theme.VALIDATION, ms=width, mew=1.6, zorder=2)
    for i, (checkpoint, found) in enumerate(drawn.items()):
        shift = 0.5 * i - 0.25 * (len(drawn) - 1)
        marks.markers(axes, frames, found, shift, ms=5.5, **looks[checkpoint])
