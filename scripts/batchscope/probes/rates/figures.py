"""The learning-rate range test: loss while the rate rises, and the rate it suggests beside the tuned one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.figures import line_ends, theme
from batchscope.figures.against import Points, readings
from batchscope.figures.frames import Frames, labelled
from batchscope.figures.target_words import joined
from batchscope.figures.words import series_in_words
from batchscope.probes import marks
from batchscope.probes.words import seeds_of
from batchscope.tables.cells import SIZE

# The axis of losses ends at so many times the loss at the lowest rate: nobody reads how fast a run diverges.
_TOP = 1.5
_REFERENCES: dict[str, tuple[float, Any]] = {"slope 1": (1.0, (0, (4, 3))), "slope 1/2": (0.5, (0, (1, 2)))}
_LOOKS: dict[str, dict[str, Any]] = {
    "suggested": {"marker": "o", "ms": 5},
    "lowest loss": {"marker": "v", "ms": 6, "mfc": "none"},
    "tuned": {"marker": "D", "ms": 4, "colour": theme.INK},
    "used by the runs": {"marker": "s", "ms": 9, "mfc": "none", "colour": theme.GREY},
}
_SHIFTS = {"tuned": -0.25, "used by the runs": -0.25}  # of the way to the next size: not from the range test


def draw_rate_range(frames: Frames) -> Figure:
    """Smoothed loss against the rising rate, and suggested, lowest-loss, tuned and used rates against batch size."""
    made, (upper, lower) = theme.figure(2, 1, 3.1, extra=0.4)
    _draw_curves(upper, frames)
    _draw_rates(lower, frames)
    made.align_ylabels([upper, lower])
    line_ends.name_sizes(made, {made: {upper: _ends(upper, frames)}}, frames)
    return made


def caption_rate_range(frames: Frames) -> str:
    """What is drawn, over how many seeds, and the intervals."""
    known = any(point.low is not None for point in _rates(frames)["suggested"].values())
    bars = " with 95 % t-intervals of the logarithm" if known else ", without intervals,"
    return (
        f"Above: smoothed loss of the batches against the rising rate, mean over {seeds_of(frames.of('rate_ranges'))} "
        "as far as every seed has one; dots: the suggested rate. Below: geometric means over the seeds"
        f"{bars} and single seeds, beside the rates that were tuned and used; the slopes are not fitted."
    )


def alt_rate_range(frames: Frames) -> str:
    """Axes, the suggested rates, and the tuned ones."""
    rates = _rates(frames)
    return joined(
        [
            "Two panels: smoothed loss against a rising learning rate, one line per batch size; learning rates against "
            "batch size.",
            series_in_words("The suggested rate", readings(frames, rates["suggested"])),
            series_in_words("The tuned rate", readings(frames, rates["tuned"])) if rates["tuned"] else "",
        ]
    )


def _rates(frames: Frames) -> dict[str, Points]:
    """What the lower panel shows."""
    means, runs = frames.of("rate_range_means"), frames.of("rate_ranges")
    return {
        "suggested": marks.points(means, frames.sizes, "suggested_rate", runs),
        "lowest loss": marks.points(means[[*SIZE, "lowest_loss_rate_mean"]], frames.sizes, "lowest_loss_rate"),
        "tuned": marks.points(frames.rates, frames.sizes, "optimum"),
        "used by the runs": marks.points(frames.rates, frames.sizes, "learning_rate"),
    }


def _draw_curves(axes: Axes, frames: Frames) -> None:
    curves = frames.of("rate_curve_means")
    if curves.empty:
        theme.say(axes, "not measured: no smoothed loss")
    else:
        marks.lines(axes, curves, frames, "learning_rate", "smoothed_loss", linewidth=1.4, zorder=2)
        low, top = (
            float(curves["smoothed_loss"].min()),
            _TOP * float(curves.groupby(SIZE)["smoothed_loss"].first().max()),
        )
        theme.log_axis(axes, "x", curves["learning_rate"])
        if low > 0 and top > 2 * low:
            theme.log_axis(axes, "y", np.array([low, top]))
            axes.set_ylim(low / (top / low) ** 0.05, top)
        else:
            theme.plain_axis(axes)
            axes.set_ylim(low - 0.05 * (top - low), top)
    axes.set_xlabel("Learning rate")
    axes.set_ylabel("Smoothed loss of the batch")
    shades = theme.colours(frames)
    losses = marks.points(frames.of("rate_range_means"), frames.sizes, "suggested_rate_loss")
    for size, rate in _rates(frames)["suggested"].items():
        if size in losses:
            axes.plot([rate.value], [losses[size].value], "o", color=shades[size], ms=7, mec="white", mew=0.8, zorder=4)


def _ends(axes: Axes, frames: Frames) -> pd.DataFrame:
    """Where the lines of the upper panel end, or leave it."""
    curves = labelled(frames.of("rate_curve_means"))
    curves = curves[curves["smoothed_loss"] <= axes.get_ylim()[1]]
    last = curves.sort_values("learning_rate").groupby("size", sort=False).tail(1)
    return last[["size", "learning_rate", "smoothed_loss"]].set_axis(["size", "x", "y"], axis=1)


def _draw_rates(axes: Axes, frames: Frames) -> None:
    theme.batch_axis(axes, frames.sizes)
    axes.set_ylabel("Learning rate")
    drawn = _rates(frames)
    points = [point for series in drawn.values() for point in series.values()]
    values = [value for point in points for value in (point.value, *point.singles.values())]
    ends = [end for point in points for end in (point.low, point.high) if end is not None]
    if not marks.log_limits(axes, values, ends):
        theme.say(axes, "not measured: no seed has a suggestion")
        return
    for name, series in drawn.items():
        marks.markers(axes, frames, series, _SHIFTS.get(name, 0.0), **_LOOKS[name])
    handles = [marks.handle(name, **_LOOKS[name]) for name, series in drawn.items() if series]
    if len(drawn["suggested"]) > 1:
        handles += _references(axes, drawn["suggested"])
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0.2)


def _references(axes: Axes, suggested: Points) -> list[Line2D]:
    """Slopes to compare with, from the suggestion of the smallest size that has one."""
    x = np.array([size.batch_size for size in suggested], dtype=np.float64)
    first = next(iter(suggested.values())).value
    style: dict[str, Any] = {"color": theme.GREY, "linewidth": 1.0, "zorder": 1}
    return [
        line
        for name, (power, dashes) in _REFERENCES.items()
        for line in axes.plot(x, first * (x / x[0]) ** power, linestyle=dashes, label=name, **style)
    ]
