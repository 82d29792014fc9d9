"""One number per batch size, on the log2 axis of batch sizes: the panel that most figures are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from batchscope.analysis.summary import finished_values, with_gap
from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, of_size


@dataclass(frozen=True)
class Point:
    """A number with its interval (None where there is none) and the single values it stands for."""

    value: float
    low: float | None = None
    high: float | None = None
    singles: Sequence[float] = ()


def over_seeds(frames: Frames, metric: str) -> dict[Size, Point]:
    """Mean, 95 % t-interval and the single runs of `metric` for the sizes that have a value."""
    found = frames.metrics[frames.metrics["metric"] == metric]
    runs = with_gap(frames.runs)
    points = {}
    for size in frames.sizes:
        row = of_size(found, size)
        if len(row) and row["n"].iloc[0] > 0:
            mean, low, high = (float(row[column].iloc[0]) for column in ("mean", "ci_low", "ci_high"))
            known = bool(np.isfinite(low))
            singles = finished_values(of_size(runs, size), metric).tolist()
            points[size] = Point(mean, low if known else None, high if known else None, singles)
    return points


def draw(
    axes: Axes,
    frames: Frames,
    points: Mapping[Size, Point],
    label: str,
    *,
    logarithmic: bool = False,
    unit: str = "",
    bottom: bool = True,
    missing: str = "not measured",
) -> None:
    """Draw `points` against batch size: a bar per interval, a dot per value, small dots beside it for single values.

    A `logarithmic` axis is so only where all values are positive and the largest is more than twice the smallest.
    `bottom` panels carry the labels of the x axis. `missing` is said where there is no point.
    """
    theme.batch_axis(axes, frames.sizes, label=bottom)
    axes.set_ylabel(label)
    if not points:
        theme.say(axes, missing)
        axes.tick_params(labelbottom=bottom)
        return
    shades = theme.colours(frames.sizes)
    sizes = [size for size in frames.sizes if size in points]
    means = [points[size].value for size in sizes]
    axes.plot([size.batch_size for size in sizes], means, color=theme.FAINT, linewidth=1.0, zorder=1)
    seen: list[float] = []
    for size in sizes:
        point, x, colour = points[size], float(size.batch_size), shades[size]
        if len(point.singles) > 1:
            beside = x * 2 ** (np.linspace(0.16, 0.34, len(point.singles)) * theme.spacing(frames.sizes, size))
            axes.plot(beside, point.singles, "o", color=colour, markersize=3, alpha=0.55, markeredgewidth=0, zorder=2)
        if point.low is not None and point.high is not None:
            reach = [[point.value - point.low], [point.high - point.value]]
            axes.errorbar(x, point.value, reach, color=colour, elinewidth=1.5, capsize=3.5, capthick=1.5, zorder=3)
            seen += [point.low, point.high]
        axes.plot(x, point.value, "o", color=colour, markersize=5, zorder=4)
        seen += [point.value, *point.singles]
    positive = [value for value in seen if value > 0]
    if logarithmic and len(positive) == len(seen) and max(seen) > 2 * min(seen):
        theme.log_axis(axes, "y", positive, unit)
    else:
        theme.plain_axis(axes, unit)


def readings(frames: Frames, points: Mapping[Size, Point]) -> list[tuple[Size, float | None]]:
    """The values of `points` in the order of the sizes, for the alternative text."""
    return [(size, points[size].value if size in points else None) for size in frames.sizes]
