"""The learning-rate range test: loss while the rate rises, and the rate it suggests beside the tuned one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.figures import theme
from batchscope.figures.against import Point
from batchscope.figures.frames import Frames, Size, of_size, value_of
from batchscope.figures.target_words import joined
from batchscope.figures.targets import Numbers
from batchscope.figures.words import plain, series_in_words
from batchscope.probes.words import geometric, null_in_words, seeds_of

Curve = tuple[Numbers, Numbers]

# The axis of losses ends at so many times the loss at the lowest rate: nobody reads how fast a run diverges.
_TOP = 1.5
_REFERENCES: dict[str, tuple[float, Any]] = {"slope 1": (1.0, (0, (4, 3))), "slope 1/2": (0.5, (0, (1, 2)))}


def draw_rate_range(frames: Frames) -> Figure:
    """Smoothed loss against the rising rate, and suggested, lowest-loss, tuned and used rates against batch size."""
    made, (upper, lower) = theme.figure(2, 1, 3.1, extra=0.7)
    theme.size_legend(made, [size for size in frames.sizes if len(of_size(frames.of("rate_curves"), size))])
    _draw_curves(upper, frames)
    _draw_rates(lower, frames)
    made.align_ylabels([upper, lower])
    return made


def caption_rate_range(frames: Frames) -> str:
    """What a range test is and what it cannot say, what is drawn, over how many seeds, and who has no suggestion."""
    suggested = over_seeds(frames, "suggested_rate")
    tuned = any(value_of(frames.rates, size, "optimum") is not None for size in frames.sizes)
    no_suggestion = null_in_words(frames.of("rate_ranges"), "suggested_rate", frames.sizes)
    no_lowest = null_in_words(frames.of("rate_ranges"), "lowest_loss_rate", frames.sizes)
    return joined(
        [
            "Learning-rate range test (Smith 2017): one training per seed whose rate rises geometrically from update "
            f"to update, {seeds_of(frames.of('rate_ranges'))} per batch size. Above: smoothed loss of the batches "
            "against the rate, mean over the seeds as far as every seed has one; cut at the upper edge, log axes. "
            "Dots: the suggested rate, at which the loss falls fastest over the logarithm of the rate.",
            "Below: filled dots: geometric means of the suggested rate over the seeds that have one; small dots: "
            f"single seeds; {_bars_in_words(suggested)}; triangles: rate of the lowest smoothed loss, geometric mean.",
            "Diamonds: best rate as tuned on whole trainings, with its 95 % t-interval over tuning seeds."
            if tuned
            else "The rate of this recipe was not tuned.",
            "Squares: the rate that the runs used. Dashed and dotted: slopes 1 and 1/2 from the suggestion of the "
            "smallest size that has one, to compare with, not fitted.",
            f"No suggestion: {no_suggestion}." if no_suggestion else "Every seed has a suggestion.",
            f"No rate of the lowest loss: {no_lowest}." if no_lowest else "",
            f"The test looks at {_length_in_words(frames)} only: the rate that suits a whole training may differ.",
        ]
    )


def alt_rate_range(frames: Frames) -> str:
    """Axes, the suggested rates, and the tuned ones."""
    suggested = [(size, point.value) for size, point in over_seeds(frames, "suggested_rate").items()]
    tuned = [(size, value_of(frames.rates, size, "optimum")) for size in frames.sizes]
    return joined(
        [
            "Two panels: smoothed loss against a rising learning rate, one line per batch size; learning rates against "
            "batch size.",
            series_in_words("The suggested rate", suggested),
            series_in_words("The tuned rate", tuned) if any(value is not None for _, value in tuned) else "",
        ]
    )


def over_seeds(frames: Frames, column: str) -> dict[Size, Point]:
    """Geometric mean over the seeds that have a rate, its t-interval and the single rates, by size that has any."""
    points = {}
    for size in frames.sizes:
        rows = of_size(frames.of("rate_ranges"), size).dropna(subset=[column])
        found = geometric(rows[column])
        if found.mean is not None:
            singles = {int(seed): float(rate) for seed, rate in zip(rows["seed"], rows[column], strict=True)}
            points[size] = Point(found.mean, found.low, found.high, singles)
    return points


def mean_curves(frames: Frames) -> dict[Size, Curve]:
    """Learning rates and mean smoothed loss over the seeds, at the updates at which every seed has one.

    Seeds without any loss (memory ran out) are not among them.
    """
    curves = {}
    for size in frames.sizes:
        rows = of_size(frames.of("rate_curves"), size)
        table = rows.pivot_table(index="update", columns="seed", values="smoothed_loss", dropna=False)
        means = table.mean(axis="columns", skipna=False).dropna()
        rates = rows.drop_duplicates("update").set_index("update")["learning_rate"]
        if len(means):
            curves[size] = (rates.loc[means.index].to_numpy(np.float64), means.to_numpy(np.float64))
    return curves


def _draw_curves(axes: Axes, frames: Frames) -> None:
    axes.set_xlabel("Learning rate")
    axes.set_ylabel("Smoothed loss of the batch")
    curves = mean_curves(frames)
    if not curves:
        theme.say(axes, "not measured: no smoothed loss")
        return
    losses = np.concatenate([loss for _, loss in curves.values()])
    top = _TOP * max(float(loss[0]) for _, loss in curves.values())
    low = float(losses.min())
    if low > 0 and top > 2 * low:
        theme.log_axis(axes, "y", np.array([low, top]))
        axes.set_ylim(low / (top / low) ** 0.05, top)
    else:
        theme.plain_axis(axes)
        axes.set_ylim(low - 0.05 * (top - low), top)
    theme.log_axis(axes, "x", np.concatenate([rate for rate, _ in curves.values()]))
    shades, suggested = theme.colours(frames.sizes), over_seeds(frames, "suggested_rate")
    for size, (rate, loss) in curves.items():
        axes.plot(rate, loss, color=shades[size], linewidth=1.4, zorder=2)
        if size in suggested:
            at = np.log(suggested[size].value)
            height = np.interp(at, np.log(rate), loss, left=np.nan, right=np.nan)
            axes.plot(suggested[size].value, height, "o", color=shades[size], ms=7, mec="white", mew=0.8, zorder=4)


def _draw_rates(axes: Axes, frames: Frames) -> None:
    theme.batch_axis(axes, frames.sizes)
    axes.set_ylabel("Learning rate")
    suggested = over_seeds(frames, "suggested_rate")
    lowest = {size: Point(point.value) for size, point in over_seeds(frames, "lowest_loss_rate").items()}
    tuned, used = _tuned(frames), _used(frames)
    values = [point.value for points in (suggested, lowest, tuned, used) for point in points.values()]
    values += [rate for point in suggested.values() for rate in point.singles.values()]
    if not values:
        theme.say(axes, "not measured: no seed has a suggestion")
        return
    _limits(axes, values, [*suggested.values(), *tuned.values()])
    if len(suggested) > 1:
        _references(axes, suggested)
    shades = theme.colours(frames.sizes)
    _markers(axes, frames, lowest, 0.0, lambda size: {"marker": "v", "color": shades[size], "mfc": "none", "ms": 6})
    _markers(axes, frames, used, -0.25, lambda _: {"marker": "s", "color": theme.GREY, "mfc": "none", "ms": 9})
    _markers(axes, frames, tuned, -0.25, lambda _: {"marker": "D", "color": theme.INK, "ms": 4})
    _markers(axes, frames, suggested, 0.0, lambda size: {"marker": "o", "color": shades[size], "ms": 5})
    for size, point in suggested.items():
        beside = size.batch_size * 2 ** (
            np.linspace(0.16, 0.34, len(point.singles)) * theme.spacing(frames.sizes, size)
        )
        if len(point.singles) > 1:
            axes.plot(beside, list(point.singles.values()), "o", color=shades[size], ms=3, alpha=0.55, mew=0, zorder=2)
    axes.legend(
        handles=_marks(suggested, lowest, tuned, used), loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0.2
    )


def _markers(
    axes: Axes, frames: Frames, points: Mapping[Size, Point], shift: float, style: Callable[[Size], dict[str, Any]]
) -> None:
    """A marker per size, moved by a share of the way to the next size, and its interval where there is one."""
    for size, point in points.items():
        x = size.batch_size * 2 ** (shift * theme.spacing(frames.sizes, size))
        looks = style(size)
        if point.low is not None and point.high is not None:
            reach = [[point.value - point.low], [point.high - point.value]]
            axes.errorbar(x, point.value, reach, color=looks["color"], elinewidth=1.5, capsize=3.5, zorder=3)
        axes.plot(x, point.value, linewidth=0, zorder=4, **looks)


def _limits(axes: Axes, values: list[float], barred: list[Point]) -> None:
    """Wide enough for all rates and bars, but no bar may stretch the axis by more than a decade on a side."""
    ends = [end for point in barred for end in (point.low, point.high) if end is not None and end > 0]
    low = max(min([*values, *ends]), min(values) / 10)
    high = min(max([*values, *ends]), max(values) * 10)
    margin = max(1.3, (high / low) ** 0.08)
    theme.log_axis(axes, "y", np.array([low / margin, high * margin]))
    axes.set_ylim(low / margin, high * margin)


def _references(axes: Axes, suggested: Mapping[Size, Point]) -> None:
    x = np.array([size.batch_size for size in suggested], dtype=np.float64)
    first = next(iter(suggested.values())).value
    for power, style in _REFERENCES.values():
        axes.plot(x, first * (x / x[0]) ** power, color=theme.GREY, linestyle=style, linewidth=1.0, zorder=1)


def _tuned(frames: Frames) -> dict[Size, Point]:
    points = {}
    for size in frames.sizes:
        value = value_of(frames.rates, size, "optimum")
        if value is not None and value > 0:
            low, high = (value_of(frames.rates, size, f"optimum_ci_{end}") for end in ("low", "high"))
            points[size] = Point(value, low, high)
    return points


def _used(frames: Frames) -> dict[Size, Point]:
    found = [(size, value_of(frames.rates, size, "learning_rate")) for size in frames.sizes]
    return {size: Point(value) for size, value in found if value is not None and value > 0}


def _marks(*drawn: Mapping[Size, Point]) -> list[Line2D]:
    """The legend of what is there."""
    looks: tuple[dict[str, Any], ...] = (
        {"marker": "o", "color": theme.INK, "ms": 5, "label": "suggested"},
        {"marker": "v", "color": theme.INK, "mfc": "none", "ms": 6, "label": "lowest loss"},
        {"marker": "D", "color": theme.INK, "ms": 4, "label": "tuned"},
        {"marker": "s", "color": theme.GREY, "mfc": "none", "ms": 9, "label": "used by the runs"},
    )
    marks = [Line2D([], [], linewidth=0, **look) for points, look in zip(drawn, looks, strict=True) if points]
    slopes = len(drawn[0]) > 1
    lines = [Line2D([], [], color=theme.GREY, ls=style, lw=1.0, label=name) for name, (_, style) in _REFERENCES.items()]
    return [*marks, *(lines if slopes else [])]


def _bars_in_words(suggested: Mapping[Size, Point]) -> str:
    if all(point.low is None for point in suggested.values()):
        return "no bars: no size has two seeds with one"
    return "bars: their 95 % t-intervals of the logarithm, cut at the edges of the panel"


def _length_in_words(frames: Frames) -> str:
    """`the first 200 updates of a training`, and how many epochs that is where the sizes of the data are known."""
    longest = frames.of("rate_curves")["update"].max()
    updates = "the first updates" if pd.isna(longest) else f"the first {plain(float(longest))} updates"
    per_epoch = {size: value_of(frames.runs, size, "updates_per_epoch") for size in frames.sizes}
    known = [(size, float(longest) / steps) for size, steps in per_epoch.items() if steps and not pd.isna(longest)]
    if len(known) < 2:
        return f"{updates} of a training"
    (small, fewest), (large, most) = known[0], known[-1]
    return (
        f"{updates} of a training ({plain(fewest, digits=3)} epochs at batch size {small.label}, "
        f"{plain(most, digits=3)} at {large.label})"
    )
