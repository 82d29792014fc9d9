"""The plot everyone knows from a training: training and validation loss per epoch, one panel per batch size."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.figures import theme
from batchscope.figures.curves import PARTS, is_logarithmic, mean_curve
from batchscope.figures.frames import Frames, Size, finished, of_size
from batchscope.figures.words import failed_in_words, seeds_in_words, series_in_words

# The training loss is drawn last and thinner, so that both are seen where they coincide.
_WIDTHS = {"train": 1.2, "validation": 2.6}
_COLOURS = {"train": theme.TRAIN, "validation": theme.VALIDATION}


def draw_curves_article(frames: Frames) -> Figure:
    """One panel per batch size; thin lines are runs, thick ones their mean."""
    made, panels = theme.figure_of(len(frames.sizes), 1.9, extra=0.7)
    logarithmic = is_logarithmic(frames)
    for axes, size in zip(panels, frames.sizes, strict=True):
        axes.set_title(f"Batch size {size.label}")
        _panel(axes, frames, size)
    if logarithmic:
        losses = frames.evaluations[[f"{part}_loss" for part in PARTS]]
        theme.log_axis(panels[0], "y", losses.to_numpy(np.float64, na_value=np.nan))
    handles = [Line2D([], [], color=_COLOURS[part], linewidth=2, label=f"{part.capitalize()} loss") for part in PARTS]
    theme.legend(made, handles)
    made.supxlabel("Epochs", fontsize=10)
    return made


def caption_curves_article(frames: Frames) -> str:
    """What the lines are."""
    mean = "geometric mean" if is_logarithmic(frames) else "mean"
    seeds = seeds_in_words(frames)
    return (
        f"Loss on the whole training part and the validation part. Thin lines: single runs ({seeds} per size)"
        f"; thick lines: their {mean}, as far as all runs of the size go. {failed_in_words(frames)}"
    ).strip()


def alt_curves_article(frames: Frames) -> str:
    """Axes and the last values of the means."""
    sentences = [f"{len(frames.sizes)} panels, one per batch size: training and validation loss against epochs."]
    for part in PARTS:
        ends: list[tuple[Size, float | None]] = []
        for size in frames.sizes:
            curve = mean_curve(frames, size, f"{part}_loss")
            ends.append((size, float(curve.mean[-1]) if curve else None))
        sentences.append(series_in_words(f"The last mean {part} loss", ends))
    return " ".join(sentences)


def _panel(axes: Axes, frames: Frames, size: Size) -> None:
    missing = [part for part in reversed(PARTS) if not _lines(axes, frames, size, part)]
    if len(missing) < len(PARTS):
        theme.counts_axis(axes)
        theme.note(axes, [f"{part} loss not measured" for part in missing])
    else:
        theme.say(axes, "not measured" if finished(frames, size) else "no run ended ok")


def _lines(axes: Axes, frames: Frames, size: Size, part: str) -> bool:
    """Draw the runs of one size and their mean; False where there is nothing to draw."""
    column, colour, seeds = f"{part}_loss", _COLOURS[part], finished(frames, size)
    found = of_size(frames.evaluations, size)
    known = found[np.isfinite(found[column].to_numpy(np.float64, na_value=np.nan))]
    for seed, run in known.groupby("seed"):
        axes.plot(run["epoch"], run[column], color=colour, linewidth=0.7, alpha=0.45)
        if seed not in seeds:
            axes.plot(run["epoch"].iloc[-1], run[column].iloc[-1], "x", color=colour, markersize=6)
    curve = mean_curve(frames, size, column)
    if curve is not None:
        axes.plot(curve.epochs, curve.mean, color=colour, linewidth=_WIDTHS[part])
    return bool(len(known))
