"""What happened at every update: the loss of the batch, the norm of its gradient, the path of one weight."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from batchscope.figures import line_ends, theme
from batchscope.figures.frames import Frames, Size, finished, of_size, value_of
from batchscope.figures.words import failed_in_words, plain, series_in_words

# A line on a log axis of updates starts at the second record where that is a later update than this.
MAX_STRIDE = 5
# One example that is fitted to the last digit has a gradient of 1e-19: the axis of norms ends so many decades down.
NORM_DECADES = 5
_THINNED = "At most 400 updates of a run are drawn, evenly spread"


def draw_step_losses(frames: Frames) -> Figure:
    """Loss of every batch before its update against examples, one panel per batch size."""
    made, panels = _traces(frames, "loss", "Loss of the batch")
    # The axis ends at a high quantile of the wildest size; the few losses beyond it are marked at the edge.
    top = 1.1 * frames.summary["step_loss_q99"].max()
    top = top if top > 0 else 1.0
    bold = _seed(frames)
    for axes, size in panels.items():
        axes.set_ylim(0, top)
        steps = _of_seed(frames, size, bold)
        beyond = steps[~(steps["loss"] <= top)]
        axes.plot(beyond["examples"], [0.985 * top] * len(beyond), "^", color=theme.INK, markersize=3, linewidth=0)
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
    made, panels = _traces(frames, "gradient_norm", "Gradient norm")
    norms = frames.steps["gradient_norm"].to_numpy(np.float64, na_value=np.nan)
    norms = norms[np.isfinite(norms) & (norms > 0)]
    if panels and len(norms):
        top, bottom = norms.max(), max(norms.min(), norms.max() / 10**NORM_DECADES)
        axes = made.axes[0]
        theme.log_axis(axes, "y", [bottom, top])
        axes.set_ylim(bottom / 1.3, top * 1.3)
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
    """The tracked weight after every update, one line per batch size: views against examples and against updates."""
    made, views = theme.views(("examples", "updates"), 1, 2.75)
    seed = _seed(frames)
    paths = [_of_seed(frames, size, seed).dropna(subset=["weight"]).assign(size=size.label) for size in frames.sizes]
    coloured, ends = theme.by_size(frames), dict[FigureBase, dict[Axes, pd.DataFrame]]()
    for (view, (axes,)), part in zip(views.items(), made.subfigs, strict=True):
        cost = "examples" if view == "examples" else "update"
        path = pd.concat(paths if view == "examples" else [_from_second(path) for path in paths])
        theme.lines(axes, path, cost, "weight", linewidth=1.2, **coloured)
        theme.dots(axes, path[path.groupby("size")["size"].transform("size") == 1], cost, "weight", s=36, **coloured)
        axes.set(xlabel=view.capitalize(), ylabel="Weight")
        if path.empty:
            theme.say(axes, "not measured")
        elif view == "examples":
            theme.counts_axis(axes)
        else:
            theme.log_axis(axes, "x", path[cost])
        last = path.groupby("size", sort=False).tail(1)
        ends[part] = {axes: last[["size", cost, "weight"]].set_axis(["size", "x", "y"], axis=1)}
    line_ends.name_sizes(made, ends, frames)
    return made


def caption_weight_path(frames: Frames) -> str:
    """Which weight and which run."""
    return (
        "One weight of the first layer after each update, against examples trained on or against updates. "
        f"One run per batch size (seed {_seed(frames)}), all from the same initial weights. {_THINNED}."
    )


def alt_weight_path(frames: Frames) -> str:
    """Axes and where the weight ended."""
    seed = _seed(frames)
    paths = [(size, _of_seed(frames, size, seed)["weight"].dropna()) for size in frames.sizes]
    ends = [(size, float(path.iloc[-1]) if len(path) else None) for size, path in paths]
    head = "One weight, in views against examples trained on and against updates, one line per batch size."
    return f"{head} {series_in_words('The weight at the end', ends)}"


def _traces(frames: Frames, column: str, label: str) -> tuple[Figure, dict[Axes, Size]]:
    """`column` of all runs against examples, a panel per size, one seed in colour; the panels with something in it."""
    made, panels = theme.figure_of(len(frames.sizes), 1.75, extra=0.5)
    made.supylabel(label, fontsize=10)
    made.supxlabel("Examples trained on", fontsize=10)
    bold, drawn = _seed(frames), {}
    for axes, (size, colour) in zip(panels, theme.colours(frames).items(), strict=True):
        axes.set_title(f"Batch size {size.label}")
        steps = of_size(frames.steps, size)
        known = steps[np.isfinite(steps[column].to_numpy(np.float64, na_value=np.nan))]
        if known.empty:
            theme.say(axes, "not measured")
            continue
        others = known[known["seed"] != bold]
        theme.lines(axes, others, "examples", column, units="seed", color=theme.FAINT, linewidth=theme.THIN)
        theme.lines(axes, known[known["seed"] == bold], "examples", column, color=colour, linewidth=1.0)
        theme.counts_axis(axes)
        drawn[axes] = size
    return made, drawn


def _from_second(path: pd.DataFrame) -> pd.DataFrame:
    """From update 1 to the 200th, say, a log axis would show a long straight line that nobody measured."""
    return path.iloc[1:] if len(path) > 1 and path["update"].iloc[1] > MAX_STRIDE else path


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
