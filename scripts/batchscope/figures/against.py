"""One number per batch size, on the log2 axis of batch sizes: the panel that most figures are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batchscope.analysis.summary import with_gap
from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.words import series_in_words


@dataclass(frozen=True)
class Point:
    """A number with its interval (None where there is none) and the single values it stands for, by seed or window."""

    value: float
    low: float | None = None
    high: float | None = None
    singles: Mapping[int, float] = field(default_factory=dict)


Points = Mapping[Size, Point]


@dataclass(frozen=True)
class Panel:
    """A quantity against batch size: label of its axis, name in sentences, points, unit and options of `draw`."""

    label: str
    words: str
    points: Callable[[Frames], Points]
    unit: str = ""
    style: Mapping[str, bool] = field(default_factory=dict)


def stack(
    panels: Sequence[Panel],
    height: float,
    finish: Callable[[Sequence[Axes], Sequence[Points]], None] | None = None,
    *,
    missing: str = "not measured",
) -> tuple[Callable[[Frames], Figure], Callable[[Frames], str]]:
    """What draws `panels` below one another, `height` inches each, and what says their values in words.

    `finish` gets the axes and their points once they are drawn. `missing` is said in a panel without points.
    """

    def draw_stack(frames: Frames) -> Figure:
        made, axes = theme.figure(len(panels), 1, height)
        drawn = [panel.points(frames) for panel in panels]
        for panel, at, points in zip(panels, axes, drawn, strict=True):
            options: dict[str, Any] = {**panel.style, "unit": panel.unit, "missing": missing}
            draw(at, frames, points, panel.label, bottom=at is axes[-1], **options)
        if finish is not None:
            finish(axes, drawn)
        made.align_ylabels()
        return made

    def say(frames: Frames) -> str:
        head = f"{'One panel' if len(panels) == 1 else 'Two panels'} against batch size."
        values = [series_in_words(one.words, readings(frames, one.points(frames)), one.unit) for one in panels]
        return " ".join([head, *values])

    return draw_stack, say


def over_seeds(frames: Frames, metric: str) -> dict[Size, Point]:
    """Mean, 95 % t-interval and the single runs of `metric` for the sizes that have a value."""
    found = frames.metrics[frames.metrics["metric"] == metric]
    runs = with_gap(frames.runs)[["batch_size", "full_batch", "seed", "outcome", metric]]
    runs = runs[(runs["outcome"] == "ok") & runs[metric].notna()]
    points = {}
    for size in frames.sizes:
        row, singles = of_size(found, size), of_size(runs, size)
        if len(row) and row["n"].iloc[0] > 0:
            mean, low, high = (float(row[column].iloc[0]) for column in ("mean", "ci_low", "ci_high"))
            known = bool(np.isfinite(low))
            by_seed = dict(zip(singles["seed"], singles[metric].astype("float64"), strict=True))
            points[size] = Point(mean, low if known else None, high if known else None, by_seed)
    return points


def draw(
    axes: Axes,
    frames: Frames,
    points: Points,
    label: str,
    *,
    logarithmic: bool = False,
    linked: bool = False,
    unit: str = "",
    bottom: bool = True,
    missing: str = "not measured",
) -> None:
    """Draw `points` against batch size: a bar per interval, a dot per value, small dots beside it for single values.

    A `logarithmic` axis is so only where all values are positive and the largest is more than twice the smallest; bars
    that go on to zero or below then end at its edge. `linked` joins the single values of a seed by thin lines instead
    of the large dots by one. `bottom` panels carry the labels of the x axis. `missing` is said where there is no point.
    """
    theme.batch_axis(axes, frames.sizes, label=bottom)
    axes.set_ylabel(label)
    if not points:
        theme.say(axes, missing)
        axes.tick_params(labelbottom=bottom)
        return
    values = [value for point in points.values() for value in (point.value, *point.singles.values())]
    ends = [end for point in points.values() for end in (point.low, point.high) if end is not None]
    if logarithmic and min(values) > 0 and max(values) > 2 * min(values):
        positive = [*values, *(end for end in ends if end > 0)]
        theme.log_axis(axes, "y", positive, unit)
        margin = (max(positive) / min(positive)) ** 0.06
        axes.set_ylim(min(positive) / margin, max(positive) * margin)
    else:
        theme.plain_axis(axes, unit)
    sizes = [size for size in frames.sizes if size in points]
    if linked:
        for key in sorted({key for point in points.values() for key in point.singles}):
            chain = [size for size in sizes if key in points[size].singles]
            line = [points[size].singles[key] for size in chain]
            axes.plot([size.batch_size for size in chain], line, color=theme.FAINT, linewidth=0.7, zorder=1)
    else:
        means = [points[size].value for size in sizes]
        axes.plot([size.batch_size for size in sizes], means, color=theme.FAINT, linewidth=1.0, zorder=1)
    shades = theme.colours(frames.sizes)
    for size in sizes:
        _point(axes, points[size], float(size.batch_size), theme.spacing(frames.sizes, size), shades[size])


def _point(axes: Axes, point: Point, x: float, room: float, colour: str) -> None:
    if len(point.singles) > 1:
        beside = x * 2 ** (np.linspace(0.16, 0.34, len(point.singles)) * room)
        singles = list(point.singles.values())
        axes.plot(beside, singles, "o", color=colour, markersize=3, alpha=0.55, markeredgewidth=0, zorder=2)
    if point.low is not None and point.high is not None:
        edge = axes.get_ylim()[0] / 2 if axes.get_yscale() == "log" else -np.inf
        reach = [[point.value - max(point.low, edge)], [point.high - point.value]]
        axes.errorbar(x, point.value, reach, color=colour, elinewidth=1.5, capsize=3.5, capthick=1.5, zorder=3)
    axes.plot(x, point.value, "o", color=colour, markersize=5, zorder=4)


def cut_in_words(points: Iterable[Point]) -> str:
    """A sentence on bars that an axis from zero, or a log axis, cannot show whole; empty without such."""
    cut = any(point.low is not None and point.low <= 0 for point in points)
    return "Bars at the lower edge go on below." if cut else ""


def readings(frames: Frames, points: Points) -> list[tuple[Size, float | None]]:
    """The values of `points` in the order of the sizes, for the alternative text."""
    return [(size, points[size].value if size in points else None) for size in frames.sizes]
