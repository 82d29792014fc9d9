"""One number per batch size, on the log2 axis of batch sizes: the panel that most figures are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batchscope.analysis.summary import with_gap
from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, known, of_size
from batchscope.figures.words import plain, series_in_words


@dataclass(frozen=True)
class Point:
    """A number with its interval (None where there is none) and the single values it stands for, by seed or window."""

    value: float
    low: float | None = None
    high: float | None = None
    singles: Mapping[int, float] = field(default_factory=dict)


Points = Mapping[Size, Point]
_ENDS = {"low": "float64", "high": "float64"}


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
    found = frames.metrics[(frames.metrics["metric"] == metric) & (frames.metrics["n"] > 0)]
    runs = with_gap(frames.runs)[["batch_size", "full_batch", "seed", "outcome", metric]]
    runs = runs[(runs["outcome"] == "ok") & runs[metric].notna()].astype({metric: "float64"})
    points = {}
    for size in frames.sizes:
        for mean, low, high in of_size(found, size)[["mean", "ci_low", "ci_high"]].itertuples(index=False):
            singles = of_size(runs, size)
            by_seed = dict(zip(singles["seed"], singles[metric], strict=True))
            points[size] = Point(mean, known(low), known(high), by_seed)
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
    if not points:
        theme.batch_axis(axes, frames.sizes, label=bottom)
        theme.say(axes, missing)
        axes.tick_params(labelbottom=bottom)
        axes.set_ylabel(label)
        return
    means, singles = _tables(frames, points)
    joined: dict[str, Any] = {"color": theme.FAINT, "zorder": 1}
    if linked:
        theme.lines(axes, singles, "batch_size", "value", units="key", linewidth=theme.THIN, **joined)
    else:
        theme.lines(axes, means, "batch_size", "value", linewidth=1.0, **joined)
    dots: dict[str, Any] = {"linewidth": 0, "marker": "o", "markeredgecolor": "auto", **theme.by_size(frames)}
    small: dict[str, Any] = {"markersize": 3, "markeredgewidth": 0, "zorder": 2}
    theme.lines(axes, singles[singles["n"] > 1], "beside", "value", **small, **dots)
    theme.lines(axes, means, "batch_size", "value", markersize=5, markeredgewidth=1.0, zorder=4, **dots)
    theme.batch_axis(axes, frames.sizes, label=bottom)
    axes.set_ylabel(label)
    _value_axis(axes, [*means["value"], *singles["value"]], [*means["low"], *means["high"]], unit, logarithmic)
    theme.bars(axes, means, "batch_size", means["size"].map(dots["palette"]))
    theme.tips(axes, [(row["batch_size"], row["value"], _reading(row, unit)) for row in means.to_dict("records")])


def _reading(row: Mapping[Any, Any], unit: str) -> str:
    """A row of means in words: `batch size 8: 0.11 [0.105, 0.114]`."""
    value, low, high = (row[name] for name in ("value", "low", "high"))
    ends = f" [{plain(low, unit, 3)}, {plain(high, unit, 3)}]" if pd.notna(low) and pd.notna(high) else ""
    return f"batch size {row['size']}: {plain(value, unit, 3)}{ends}"


def _tables(frames: Frames, points: Points) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row per point, and a row per single value with its place beside it."""
    sizes = [size for size in frames.sizes if size in points]
    means = [
        (size.label, float(size.batch_size), points[size].value, points[size].low, points[size].high) for size in sizes
    ]
    singles = [
        (size.label, float(size.batch_size), place, key, value, len(points[size].singles))
        for size in sizes
        for place, (key, value) in zip(
            theme.beside(frames.sizes, size, len(points[size].singles)), points[size].singles.items(), strict=True
        )
    ]
    return (
        pd.DataFrame(means, columns=["size", "batch_size", "value", "low", "high"]).astype(_ENDS),
        pd.DataFrame(singles, columns=["size", "batch_size", "beside", "key", "value", "n"]),
    )


def _value_axis(axes: Axes, values: Sequence[float], ends: Sequence[float], unit: str, logarithmic: bool) -> None:
    if not (logarithmic and min(values) > 0 and max(values) > 2 * min(values)):
        theme.plain_axis(axes, unit)
        return
    positive = [*values, *(end for end in ends if end > 0)]
    theme.log_axis(axes, "y", positive, unit)
    margin = (max(positive) / min(positive)) ** 0.06
    axes.set_ylim(min(positive) / margin, max(positive) * margin)


def cut_in_words(points: Iterable[Point]) -> str:
    """A sentence on bars that an axis from zero, or a log axis, cannot show whole; empty without such."""
    cut = any(point.low is not None and point.low <= 0 for point in points)
    return "Bars at the lower edge go on below." if cut else ""


def readings(frames: Frames, points: Points) -> list[tuple[Size, float | None]]:
    """The values of `points` in the order of the sizes, for the alternative text."""
    return [(size, points[size].value if size in points else None) for size in frames.sizes]
