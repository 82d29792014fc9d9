"""Gradients of batches at weights that do not move: variance, signal-to-noise ratio, direction and bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.target_words import joined
from batchscope.figures.words import series_in_words
from batchscope.probes import marks
from batchscope.probes.gradients.noise_scale import (
    alt_noise_scale,
    caption_noise_scale,
    draw_noise_scale,
    title_noise_scale,
)
from batchscope.probes.moments import known
from batchscope.probes.words import seeds_in_words
from batchscope.tables.cells import sizes_of
from batchscope.training.checkpoints import Checkpoint, at, by_checkpoint

__all__ = [
    "alt_gradient_direction",
    "alt_gradient_variance",
    "alt_noise_scale",
    "caption_gradient_direction",
    "caption_gradient_variance",
    "caption_noise_scale",
    "draw_gradient_direction",
    "draw_gradient_variance",
    "draw_noise_scale",
    "title_noise_scale",
]

MOST_SIZES = 3  # of the runs whose weights are looked at: a column of panels each
_DRAWN = "drawn_batch_size"
_NOISE = "gradient_signal_to_noise"
_DASHED = (0, (4, 3))
_BEYOND = 30.0  # a quartile so many times below every median is cut at the edge

Draw = Callable[[Axes, Frames, pd.DataFrame], None]


def draw_gradient_variance(frames: Frames) -> Figure:
    """Variance and signal-to-noise ratio of the gradient against the size of the batches drawn, log-log."""
    lines: dict[str, Any] = {"expected": "-", "∝ 1/B, ∝ √B": _DASHED}
    handles = [Line2D([], [], color=theme.GREY, lw=1.0, ls=style, label=label) for label, style in lines.items()]
    return _figure(frames, {_variance: 2.5, _signal: 2.3}, handles)


def caption_gradient_variance(frames: Frames) -> str:
    """What is drawn, over how many seeds, and the lines to compare with."""
    bars = " with 95 % t-intervals" if frames.of("gradient_means")["n"].max() > 1 else ""
    return (
        f"Above: variance of the gradient of a batch, mean over {seeds_in_words(frames.of('gradient_means'))}{bars}; "
        "lines: expected of draws without replacement, and the same in proportion to 1/B. Below: signal-to-noise ratio "
        f"of a weight, median and quartiles over the weights; line: in proportion to √B.{_left_out(frames)}"
    )


def alt_gradient_variance(frames: Frames) -> str:
    """Axes and values."""
    return _readings(frames, {"gradient_variance_mean": "variance", _NOISE: "median signal-to-noise ratio"})


def draw_gradient_direction(frames: Frames) -> Figure:
    """Cosine of the gradient of a batch to the full gradient, and its relative bias, against the size drawn."""
    return _figure(frames, {_cosine: 2.3, _bias: 1.9}, [])


def caption_gradient_direction(frames: Frames) -> str:
    """What is drawn, over how many seeds, and the intervals."""
    return (
        "Above: cosine of the gradient of a batch to that of all examples, G, mean and quartiles over the batches. "
        "Below: bias, the mean over batches of the gradient along G minus G, relative to |G|, with ± 2 standard "
        f"errors. Means over {seeds_in_words(frames.of('gradient_means'))}.{_left_out(frames)}"
    )


def alt_gradient_direction(frames: Frames) -> str:
    """Axes and values."""
    return _readings(frames, {"cosine_mean": "mean cosine", "gradient_bias": "relative bias"})


def _trained(frames: Frames) -> list[Size]:
    """The batch sizes of the runs that are drawn: all, or the smallest, the middle one and the largest."""
    found = sizes_of(frames.of("gradient_means"))
    return found if len(found) <= MOST_SIZES else [found[0], found[len(found) // 2], found[-1]]


def _left_out(frames: Frames) -> str:
    found = len(sizes_of(frames.of("gradient_means")))
    return f" Shown: {MOST_SIZES} of {found} batch sizes." if found > MOST_SIZES else ""


def _shown(frames: Frames) -> pd.DataFrame:
    return pd.concat([of_size(frames.of("gradient_means"), size) for size in _trained(frames)])


def _figure(frames: Frames, panels: dict[Draw, float], further: list[Line2D]) -> Figure:
    """Panels of some height below one another, a column for each batch size of the runs looked at, on common axes."""
    sizes = _trained(frames)
    made = Figure(figsize=(theme.WIDTH, sum(panels.values()) + 0.8), layout="constrained")
    grid = made.subplots(len(panels), len(sizes), squeeze=False, sharey="row", height_ratios=[*panels.values()])
    for column, size in enumerate(sizes):
        for row, panel in enumerate(panels):
            axes: Axes = grid[row, column]
            _drawn_axis(axes, frames, len(sizes), bottom=row == len(panels) - 1)
            panel(axes, frames, of_size(frames.of("gradient_means"), size))
            if column:
                axes.set_ylabel("")
        grid[0, column].set_title(f"Trained with {size.label}")
    made.align_ylabels(grid[:, 0])
    theme.legend(made, [*marks.handles(_checkpoints(frames)), *further])
    return made


def _checkpoints(frames: Frames) -> list[Checkpoint]:
    return [*by_checkpoint(frames.of("gradient_means"))]


def _drawn_axis(axes: Axes, frames: Frames, columns: int, *, bottom: bool) -> None:
    """The log2 axis with the sizes drawn; in a narrow panel, labels that would meet the one before are left out."""
    drawn = sorted({int(size) for size in _shown(frames)[_DRAWN]})
    theme.batch_axis(axes, [Size(size, False) for size in drawn], label=bottom)
    if not bottom:
        return
    axes.set_xlabel("Size drawn (examples)")
    low, high = axes.get_xlim()
    inches = 0.78 * theme.WIDTH / columns / float(np.log2(high / low))
    labels, end = [], -np.inf
    for size in drawn:
        middle, half = float(np.log2(size)) * inches, 0.045 * (len(f"{size:,}") + 0.8)
        labels.append(f"{size:,}" if middle - half > end else "")
        end = middle + half if labels[-1] else end
    axes.set_xticks([float(size) for size in drawn], labels)


def _variance(axes: Axes, frames: Frames, rows: pd.DataFrame) -> None:
    axes.set_ylabel("Variance of the gradient")
    names = ["gradient_variance_mean", "gradient_variance_expected"]
    ends = ["gradient_variance_ci_low", "gradient_variance_ci_high"]
    if not marks.log_limits(axes, _shown(frames)[names]):
        theme.say(axes, "not measured")
        return
    for checkpoint, look in marks.looks(_checkpoints(frames)).items():
        part = at(rows, checkpoint)
        for name, style in (("expected", "-"), ("with_replacement", _DASHED)):
            axes.plot(part[_DRAWN], part[f"gradient_variance_{name}"], color=look["color"], lw=1.0, ls=style, zorder=1)
        _markers(axes, part, names[0], ends, look, 1.0, capsize=2.5)


def _signal(axes: Axes, frames: Frames, rows: pd.DataFrame) -> None:
    axes.set_ylabel("Signal-to-noise ratio")
    ends = [f"{_NOISE}_q25", f"{_NOISE}_q75"]
    if not marks.log_limits(axes, _shown(frames)[_NOISE], _shown(frames)[ends], reach=_BEYOND):
        theme.say(axes, "not measured")
        return
    for checkpoint, look, place in _side_by_side(frames):
        part = at(rows, checkpoint)
        part = part[part[_NOISE] > 0]
        _markers(axes, part, _NOISE, ends, look, place)
        if len(part) > 1:
            x, y = (part[name].to_numpy(np.float64) for name in (_DRAWN, _NOISE))
            axes.plot(x, y[0] * np.sqrt(x / x[0]), color=look["color"], linewidth=1.0, linestyle=_DASHED, zorder=1)


def _cosine(axes: Axes, frames: Frames, rows: pd.DataFrame) -> None:
    axes.set_ylabel("Cosine to full gradient")
    names = ["cosine_mean", "cosine_q25", "cosine_q75"]
    every = known(_shown(frames)[names].stack())
    if not len(every):
        theme.say(axes, "not measured")
        return
    theme.plain_axis(axes)
    axes.set_ylim(min(0.0, 1.05 * every.min()), 1.04)
    for checkpoint, look, place in _side_by_side(frames):
        _markers(axes, at(rows, checkpoint), names[0], names[1:], look, place)


def _bias(axes: Axes, frames: Frames, rows: pd.DataFrame) -> None:
    axes.set_ylabel("Relative bias")
    ends = ["gradient_bias_ci_low", "gradient_bias_ci_high"]
    reach = np.abs(known(_shown(frames)[ends].stack()))
    if not len(reach):
        theme.say(axes, "not measured")
        return
    theme.plain_axis(axes)
    edge = 1.15 * (reach.max() or 1.0)
    axes.set_ylim(-edge, edge)
    axes.axhline(0, color=theme.GREY, linewidth=0.8, zorder=1)
    for checkpoint, look, place in _side_by_side(frames):
        _markers(axes, at(rows, checkpoint), "gradient_bias", ends, look, place)


def _side_by_side(frames: Frames) -> list[tuple[Checkpoint, dict[str, Any], float]]:
    """The checkpoints, how they look, and the factor of the size drawn that puts them side by side."""
    looks = marks.looks(_checkpoints(frames))
    middle = (len(looks) - 1) / 2
    return [(each, look, float(2 ** (0.13 * (i - middle)))) for i, (each, look) in enumerate(looks.items())]


def _markers(
    axes: Axes, rows: pd.DataFrame, middle: str, ends: list[str], look: dict[str, Any], place: float, capsize: float = 0
) -> None:
    """A marker per size drawn with a bar between `ends`."""
    x, (low, high) = rows[_DRAWN] * place, (rows[end] for end in ends)
    marks.bar(axes, x, rows[middle], (low, high), color=look["color"], capsize=capsize)
    axes.plot(x, rows[middle], linewidth=0, markersize=5, zorder=4, **look)


def _readings(frames: Frames, columns: dict[str, str]) -> str:
    """Every series of `columns` in words."""
    sentences = ["Two rows of panels against the size of the batches drawn."]
    for column, words in columns.items():
        for size in _trained(frames):
            for checkpoint, rows in by_checkpoint(of_size(_shown(frames), size)).items():
                values = [
                    (Size(int(drawn), False), value) for drawn, value in zip(rows[_DRAWN], rows[column], strict=True)
                ]
                weights = f"the weights of runs with batch size {size.label} {checkpoint.when}"
                sentences.append(series_in_words(f"The {words} with {weights}", values))
    return joined(sentences)
