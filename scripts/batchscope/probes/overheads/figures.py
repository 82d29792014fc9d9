"""Where the time of an update goes: three loops against batch size, the lines fitted to them, and shares of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from batchscope.figures import theme
from batchscope.figures.against import Point, draw
from batchscope.figures.frames import Frames, Size, value_of
from batchscope.figures.target_words import joined
from batchscope.figures.words import plain, series_in_words

LOOPS = {"fit": "Keras' own loop", "fused": "compiled loop", "data": "only reading"}
SHARES = {"overhead_share": "fixed cost", "data_share": "reading", "compute_share": "computing"}

_MARKERS: dict[str, dict[str, Any]] = {
    "fit": {"marker": "s", "mfc": "none", "ms": 6},
    "fused": {"marker": "o", "ms": 5},
    "data": {"marker": "^", "mfc": "none", "ms": 6},
}
_STYLES: dict[str, Any] = {"fit": (0, (4, 3)), "fused": "-", "data": (0, (1, 2))}
_FILLS = {"overhead_share": theme.VALIDATION, "data_share": theme.FAINT, "compute_share": theme.OUTCOMES["ok"]}
_HALF_BAR = 0.3  # of the way to the next size


def draw_update_costs(frames: Frames) -> Figure:
    """Seconds per update of the loops with their lines; shares of the compiled loop; what it saves of Keras' own."""
    made, (upper, middle, lower) = theme.figure(3, 1, 2.3, extra=0.8)
    _draw_seconds(upper, frames)
    _draw_shares(middle, frames)
    draw(lower, frames, _points(frames, "dispatch_share"), "Share saved", missing="not measured: a loop was not timed")
    made.align_ylabels([upper, middle, lower])
    return made


def caption_update_costs(frames: Frames) -> str:
    """What the loops are, how they were timed, the costs with their intervals, and why a line was refused."""
    shares = _of_sizes(frames, "overhead_share")
    split = _of_sizes(frames, "compute_share")
    return joined(
        [
            "Above: time per update against batch size, log axes. Squares: Keras' own loop, which comes back to Python "
            "for every update and brings the examples from the host; dots: the compiled loop, one call for many "
            "updates; triangles: a loop that only reads the examples from the device's memory. "
            f"Medians over {_windows_in_words(frames)} of one job per size, alone on the machine, the loops in turns; "
            "bars: quartiles.",
            "Lines, where they were accepted: time = fixed cost + cost per example × batch size, fitted to the "
            "logarithms of the medians.",
            costs_in_words(frames.of("update_costs")),
            refused_in_words(frames.of("update_costs")),
            "Middle: shares of the time of the compiled loop according to its line, not cut at 0 and 1; bars: 95 % "
            "interval of the fixed share."
            if shares
            else "",
            "How much of the rest is reading is not known: there is no line of the loop that only reads."
            if shares and not split
            else "",
            "The fixed cost is what the line says of a batch without examples: launching the operations, and the work "
            "that the weights alone determine.",
            "Below: share of the time of Keras' own loop that the compiled one saves; geometric mean over pairs of "
            "windows taken one after the other, bars: 95 % t-intervals.",
            "The intervals are about this job: another one on the same machine may differ by more.",
        ]
    )


def alt_update_costs(frames: Frames) -> str:
    """Axes, the times of the loops, and the shares."""
    times = [
        series_in_words(f"The median time per update ({name})", _of_sizes(frames, f"{loop}_seconds_per_update"), "s")
        for loop, name in LOOPS.items()
    ]
    return joined(
        [
            "Three panels against batch size: time per update of three loops; shares of the compiled loop; share of "
            "Keras' own loop that the compiled one saves.",
            *times,
            series_in_words("The share of the fixed cost", _of_sizes(frames, "overhead_share")),
            series_in_words("The share saved", _of_sizes(frames, "dispatch_share")),
        ]
    )


def costs_in_words(costs: pd.DataFrame) -> str:
    """Fixed cost and cost per example of every accepted line, with intervals."""
    parts = []
    for loop, name in LOOPS.items():
        for _, row in costs[(costs["loop"] == loop) & costs["accepted"].astype(bool)].iterrows():
            parts.append(
                f"{name}: {_with_interval(row, 'fixed_seconds')} per update and "
                f"{_with_interval(row, 'marginal_seconds')} per example, over {int(row['n_sizes'])} sizes"
            )
    return f"With 95 % intervals: {'; '.join(parts)}." if parts else ""


def refused_in_words(costs: pd.DataFrame) -> str:
    """The loops whose line was refused, and why."""
    refused = costs[~costs["accepted"].astype(bool)] if len(costs) else costs
    reasons = dict(zip(refused["loop"], refused["reason"], strict=True))
    parts = [f"{name} ({_inside(str(reasons[loop]))})" for loop, name in LOOPS.items() if loop in reasons]
    return f"No line is given for: {'; '.join(parts)}." if parts else ""


def _draw_seconds(axes: Axes, frames: Frames) -> None:
    theme.batch_axis(axes, frames.sizes, label=False)
    axes.set_ylabel("Time per update")
    loops = {loop: found for loop in LOOPS if (found := _points(frames, f"{loop}_seconds_per_update"))}
    if not loops:
        theme.say(axes, "not measured: no loop was timed")
        return
    ends = [end for points in loops.values() for point in points.values() for end in (point.low, point.high)]
    values = [point.value for points in loops.values() for point in points.values()]
    values += [end for end in ends if end is not None]
    theme.log_axis(axes, "y", values, "s")
    margin = (max(values) / min(values)) ** 0.06
    axes.set_ylim(min(values) / margin, max(values) * margin)
    shades = theme.colours(frames.sizes)
    for loop, points in loops.items():
        _draw_line(axes, frames, loop, points)
        for size, point in points.items():
            if point.low is not None and point.high is not None:
                reach = [[point.value - point.low], [point.high - point.value]]
                axes.errorbar(size.batch_size, point.value, reach, color=shades[size], elinewidth=1.5, capsize=3)
            axes.plot(size.batch_size, point.value, color=shades[size], zorder=4, **_MARKERS[loop])
    handles = [
        Line2D([], [], color=theme.INK, lw=1.0, ls=_STYLES[loop], label=LOOPS[loop], **_MARKERS[loop]) for loop in loops
    ]
    _above(axes, handles)


def _draw_line(axes: Axes, frames: Frames, loop: str, points: Mapping[Size, Point]) -> None:
    """The line over the sizes timed; where it was refused, faint strokes from median to median."""
    x = np.array([size.batch_size for size in points], dtype=np.float64)
    rows = frames.of("update_costs")
    accepted = rows[(rows["loop"] == loop) & rows["accepted"].astype(bool)] if len(rows) else rows
    if accepted.empty:
        medians = [point.value for point in points.values()]
        axes.plot(x, medians, color=theme.FAINT, linewidth=1.0, linestyle=_STYLES[loop], zorder=1)
        return
    fixed, marginal = (float(accepted[name].iloc[0]) for name in ("fixed_seconds", "marginal_seconds"))
    fine = np.geomspace(x.min(), x.max(), 100)
    axes.plot(fine, fixed + marginal * fine, color=theme.INK, linewidth=1.0, linestyle=_STYLES[loop], zorder=2)


def _draw_shares(axes: Axes, frames: Frames) -> None:
    """Stacked bars of what is known of the shares; below zero they go down from zero."""
    theme.batch_axis(axes, frames.sizes, label=False)
    axes.set_ylabel("Share of an update")
    shares = {name: _points(frames, name) for name in SHARES}
    if not shares["overhead_share"]:
        theme.say(axes, "not estimated: the line was refused")
        return
    lowest, highest = 0.0, 1.0
    for size in frames.sizes:
        tops = {True: 0.0, False: 0.0}
        half = _HALF_BAR * theme.spacing(frames.sizes, size)
        left, right = size.batch_size * 2**-half, size.batch_size * 2**half
        for name, points in shares.items():
            if size in points:
                value = points[size].value
                axes.bar(left, value, right - left, tops[value > 0], align="edge", color=_FILLS[name], linewidth=0)
                tops[value > 0] += value
        lowest, highest = min(lowest, tops[False]), max(highest, tops[True])
    for size, point in shares["overhead_share"].items():
        if point.low is not None and point.high is not None:
            reach = [[point.value - point.low], [point.high - point.value]]
            axes.errorbar(size.batch_size, point.value, reach, color=theme.INK, elinewidth=1.2, capsize=3, fmt="none")
    room = 0.04 * (highest - lowest)
    theme.plain_axis(axes)
    axes.set_ylim(lowest - (room if lowest < 0 else 0), highest + room)
    _above(axes, [Patch(color=_FILLS[name], label=SHARES[name]) for name, points in shares.items() if points])


def _above(axes: Axes, handles: list[Any]) -> None:
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0.2)


def _points(frames: Frames, column: str) -> dict[Size, Point]:
    """Values of `column` with quartiles or interval, by the sizes that have one."""
    found = frames.of("overheads")
    ends = ("_q25", "_q75") if column.endswith("seconds_per_update") else ("_ci_low", "_ci_high")
    points = {}
    for size in frames.sizes:
        value = value_of(found, size, column)
        if value is not None:
            names = [column + end for end in ends]
            low, high = (value_of(found, size, n) if n in found else None for n in names)
            points[size] = Point(value, low, high)
    return points


def _of_sizes(frames: Frames, column: str) -> list[tuple[Size, float | None]]:
    """Values of `column` for the sizes that have one."""
    return [(size, point.value) for size, point in _points(frames, column).items()]


def _windows_in_words(frames: Frames) -> str:
    counts = sorted({int(count) for count in frames.of("overheads")["windows"]})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{number} {'window' if counts == [1] else 'windows'}"


def _with_interval(row: Any, name: str) -> str:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_ci_low", "_ci_high"))
    if pd.isna(low) or pd.isna(high):
        return f"{_seconds(value)} (no interval)"
    return f"{_seconds(value)} ({_seconds(low)} to {_seconds(high)})"


def _inside(sentence: str) -> str:
    """A sentence as it stands in brackets."""
    return sentence[:1].lower() + sentence[1:].removesuffix(".")


def _seconds(value: float) -> str:
    return plain(value, "s").replace("-", "−")
