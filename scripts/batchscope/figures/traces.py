"""What happened at every update: the loss of the batch, the norm of its gradient, the path of one weight."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, finished, of_size, value_of
from batchscope.figures.words import failed_in_words, plain, series_in_words

# A line on a log axis of updates starts at the second record where that is a later update than this.
MAX_STRIDE = 5
# One example that is fitted to the last digit has a gradient of 1e-19: the axis of norms ends so many decades down.
NORM_DECADES = 5
_THINNED = "At most 400 updates of a run are drawn, evenly spread"


def draw_step_losses(frames: Frames) -> Figure:
    """Loss of every batch before its update against examples, one panel per batch size."""
    made, panels = _panels(frames)
    # The axis ends at a high quantile of the wildest size; the few losses beyond it are marked at the edge.
    top, seed = 1.1 * frames.summary["step_loss_q99"].max(), _seed(frames)
    top = top if top > 0 else 1.0
    for axes, size in zip(panels, frames.sizes, strict=True):
        if _traces(axes, frames, size, "loss", seed):
            axes.set_ylim(0, top)
            steps = _of_seed(frames, size, seed)
            beyond = steps[~(steps["loss"] <= top)]
            axes.plot(beyond["examples"], [0.985 * top] * len(beyond), "^", color=theme.INK, markersize=3, linewidth=0)
    _finish(made, "Loss of the batch")
    return made


def caption_step_losses(frames: Frames) -> str:
    """Which run is which line."""
    return (
        f"Mean loss of each batch before its update, against examples trained on. {_which(frames)} {_THINNED}. "
        f"Triangles: losses beyond the edge or not finite. {failed_in_words(frames)}"
    ).strip()


def alt_step_losses(frames: Frames) -> str:
    """Axes and how far the losses spread."""
    noise = [(size, value_of(frames.summary, size, "noise_mean")) for size in frames.sizes]
    head = f"{len(frames.sizes)} panels, one per batch size: loss of the batch against examples trained on."
    return f"{head} {series_in_words('The mean noise of the step loss', noise)}"


def draw_gradient_norm(frames: Frames) -> Figure:
    """Norm of every batch's gradient against examples, one panel per batch size."""
    made, panels = _panels(frames)
    seed = _seed(frames)
    drawn = [
        _traces(axes, frames, size, "gradient_norm", seed) for axes, size in zip(panels, frames.sizes, strict=True)
    ]
    norms = frames.steps["gradient_norm"].to_numpy(np.float64, na_value=np.nan)
    norms = norms[np.isfinite(norms) & (norms > 0)]
    if any(drawn) and len(norms):
        top, bottom = norms.max(), max(norms.min(), norms.max() / 10**NORM_DECADES)
        theme.log_axis(panels[0], "y", [bottom, top])
        panels[0].set_ylim(bottom / 1.3, top * 1.3)
    _finish(made, "Gradient norm")
    return made


def caption_gradient_norm(frames: Frames) -> str:
    """Which run is which line."""
    return (
        "Euclidean norm of the gradient of each batch over all weights, before clipping, against examples trained on. "
        f"{_which(frames)} {_THINNED}. {failed_in_words(frames)}"
    ).strip()


def alt_gradient_norm(frames: Frames) -> str:
    """Axes and the median norm per size."""
    return (
        f"{len(frames.sizes)} panels, one per batch size: gradient norm against examples trained on, log scale. "
        + series_in_words(
            "The median norm", [(size, value_of(frames.summary, size, "gradient_norm_median")) for size in frames.sizes]
        )
    )


def draw_weight_path(frames: Frames) -> Figure:
    """The tracked weight after every update against examples and against updates, one line per batch size."""
    made, panels = theme.figure(2, 1, 2.3, extra=0.6, sharey=True)
    shades, seed = theme.colours(frames.sizes), _seed(frames)
    for axes, cost in zip(panels, ("examples", "update"), strict=True):
        reached: list[float] = []
        for size in frames.sizes:
            steps = _of_seed(frames, size, seed).dropna(subset=["weight"])
            if cost == "update" and len(steps) > 1 and steps["update"].iloc[1] > MAX_STRIDE:
                # From update 1 to the 200th, say, a log axis would show a long straight line that nobody measured.
                steps = steps.iloc[1:]
            marker = "o" if len(steps) == 1 else None
            axes.plot(steps[cost], steps["weight"], color=shades[size], linewidth=1.2, marker=marker)
            reached.extend(steps[cost])
        axes.set_ylabel("Weight")
        axes.set_xlabel("Examples" if cost == "examples" else "Updates")
        if not reached:
            theme.say(axes, "not measured")
        elif cost == "examples":
            theme.counts_axis(axes)
        else:
            theme.log_axis(axes, "x", reached)
    theme.size_legend(made, frames.sizes)
    return made


def caption_weight_path(frames: Frames) -> str:
    """Which weight and which run."""
    return (
        "One weight of the first layer after each update: above against examples trained on, below against updates. "
        f"One run per batch size (seed {_seed(frames)}), all from the same initial weights. {_THINNED}."
    )


def alt_weight_path(frames: Frames) -> str:
    """Axes and where the weight ended."""
    ends: list[tuple[Size, float | None]] = []
    seed = _seed(frames)
    for size in frames.sizes:
        weights = _of_seed(frames, size, seed)["weight"].dropna()
        ends.append((size, float(weights.iloc[-1]) if len(weights) else None))
    head = "Two panels: one weight against examples trained on and against updates, one line per batch size."
    return f"{head} {series_in_words('The weight at the end', ends)}"


def _panels(frames: Frames) -> tuple[Figure, list[Axes]]:
    return theme.figure_of(len(frames.sizes), 1.75, extra=0.5)


def _finish(made: Figure, label: str) -> None:
    made.supylabel(label, fontsize=10)
    made.supxlabel("Examples trained on", fontsize=10)


def _traces(axes: Axes, frames: Frames, size: Size, column: str, bold: int) -> bool:
    """Draw `column` of all seeds of `size`, `bold` in colour; say so where there is nothing, and return False."""
    axes.set_title(f"Batch size {size.label}")
    steps = of_size(frames.steps, size)
    known = steps[np.isfinite(steps[column].to_numpy(np.float64, na_value=np.nan))]
    if known.empty:
        theme.say(axes, "not measured")
        return False
    for _, run in known[known["seed"] != bold].groupby("seed"):
        axes.plot(run["examples"], run[column], color=theme.FAINT, linewidth=0.4)
    run = known[known["seed"] == bold]
    axes.plot(run["examples"], run[column], color=theme.colours(frames.sizes)[size], linewidth=0.7)
    theme.counts_axis(axes)
    return True


def _seed(frames: Frames) -> int:
    """The smallest seed whose runs ended `ok` at every size; else the smallest."""
    everywhere = set.intersection(*(set(finished(frames, size)) for size in frames.sizes))
    return min(everywhere or {int(seed) for seed in frames.runs["seed"]})


def _of_seed(frames: Frames, size: Size, seed: int) -> pd.DataFrame:
    steps = of_size(frames.steps, size)
    return steps[steps["seed"] == seed]


def _which(frames: Frames) -> str:
    others = frames.runs["seed"].nunique() - 1
    rest = "the other seed" if others == 1 else f"the other {plain(others)} seeds"
    return f"Coloured: seed {_seed(frames)}" + (f"; grey: {rest}." if others else ".")
