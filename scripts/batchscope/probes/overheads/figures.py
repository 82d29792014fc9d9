"""Where the time of an update goes: three loops against batch size, the lines fitted to them, and shares of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from batchscope.figures import theme
from batchscope.figures.against import Points, draw, readings
from batchscope.figures.frames import Frames
from batchscope.figures.target_words import joined
from batchscope.figures.words import range_in_words, series_in_words
from batchscope.probes import marks

LOOPS = {"fit": "Keras' own loop", "fused": "compiled loop", "data": "only reading"}
SHARES = {"overhead_share": "fixed cost", "data_share": "reading", "compute_share": "computing"}

_LOOKS: dict[str, dict[str, Any]] = {
    "fit": {"marker": "s", "mfc": "none", "ms": 6},
    "fused": {"marker": "o", "ms": 5},
    "data": {"marker": "^", "mfc": "none", "ms": 6},
}
_STROKES: dict[str, Any] = {"fit": (0, (4, 3)), "fused": "-", "data": (0, (1, 2))}
_FILLS = {"overhead_share": theme.VALIDATION, "data_share": theme.FAINT, "compute_share": theme.OUTCOMES["ok"]}
_HALF_BAR = 0.3  # of the way to the next size
_SAVED = "dispatch_share"


def draw_update_costs(frames: Frames) -> Figure:
    """Seconds per update of the loops with their lines; shares of the compiled loop; what it saves of Keras' own."""
    made, (upper, middle, lower) = theme.figure(3, 1, 2.3, extra=0.8)
    _draw_seconds(upper, frames)
    _draw_shares(middle, frames)
    draw(lower, frames, _points(frames, _SAVED), "Share saved", missing="not measured: a loop was not timed")
    made.align_ylabels([upper, middle, lower])
    return made


def caption_update_costs(frames: Frames) -> str:
    """What is drawn, over how many windows, and the intervals."""
    windows = range_in_words(int(count) for count in frames.of("overheads")["windows"])
    accepted = frames.of("update_costs")["accepted"].any()
    middle = (
        "Middle: shares of the compiled loop's time according to its line, with the 95 % interval of the fixed cost."
    )
    return joined(
        [
            f"Above: time per update of three loops, medians over {windows} windows of one job with quartiles"
            f"{', and the accepted lines' if accepted else '; no line was accepted'}.",
            middle if _points(frames, "overhead_share") else "",
            "Below: share of the time of Keras' own loop that compiling saves, with 95 % t-intervals.",
        ]
    )


def alt_update_costs(frames: Frames) -> str:
    """Axes, the times of the loops, and the shares."""
    read = {f"The median time per update ({name})": f"{loop}_seconds_per_update" for loop, name in LOOPS.items()}
    return joined(
        [
            "Three panels against batch size: time per update of three loops; shares of the compiled loop; share of "
            "Keras' own loop that the compiled one saves.",
            *(series_in_words(words, readings(frames, _points(frames, name)), "s") for words, name in read.items()),
            series_in_words("The share of the fixed cost", readings(frames, _points(frames, "overhead_share"))),
            series_in_words("The share saved", readings(frames, _points(frames, _SAVED))),
        ]
    )


def _points(frames: Frames, name: str) -> Points:
    return marks.points(frames.of("overheads"), frames.sizes, name)


def _draw_seconds(axes: Axes, frames: Frames) -> None:
    theme.batch_axis(axes, frames.sizes, label=False)
    axes.set_ylabel("Time per update")
    loops = {loop: found for loop in LOOPS if (found := _points(frames, f"{loop}_seconds_per_update"))}
    points = [point for found in loops.values() for point in found.values()]
    values = [value for point in points for value in (point.value, point.low, point.high) if value is not None]
    if not marks.log_limits(axes, values, unit="s"):
        theme.say(axes, "not measured: no loop was timed")
        return
    for loop, found in loops.items():
        _draw_line(axes, frames, loop, found)
        marks.markers(axes, frames, found, **_LOOKS[loop])
    _above(axes, [marks.handle(LOOPS[loop], lw=1.0, ls=_STROKES[loop], **_LOOKS[loop]) for loop in loops])


def _draw_line(axes: Axes, frames: Frames, loop: str, points: Points) -> None:
    """The line over the sizes timed; where it was refused, faint strokes from median to median."""
    x = np.array([size.batch_size for size in points], dtype=np.float64)
    rows = frames.of("update_costs")
    accepted = rows[(rows["loop"] == loop) & rows["accepted"].astype(bool)]
    if accepted.empty:
        medians = [point.value for point in points.values()]
        axes.plot(x, medians, color=theme.FAINT, linewidth=1.0, linestyle=_STROKES[loop], zorder=1)
        return
    fixed, marginal = (float(accepted[name].iloc[0]) for name in ("fixed_seconds", "marginal_seconds"))
    fine = np.geomspace(x.min(), x.max(), 100)
    axes.plot(fine, fixed + marginal * fine, color=theme.INK, linewidth=1.0, linestyle=_STROKES[loop], zorder=2)


def _draw_shares(axes: Axes, frames: Frames) -> None:
    """Stacked bars of what is known of the shares; below zero they go down from zero."""
    theme.batch_axis(axes, frames.sizes, label=False)
    axes.set_ylabel("Share of an update")
    fixed = _points(frames, "overhead_share")
    if not fixed:
        theme.say(axes, "not estimated: the line was refused")
        return
    rows = frames.of("overheads").dropna(subset=["overhead_share"])
    shares = rows[[name for name in SHARES if rows[name].notna().any()]].fillna(0.0)
    up, down = shares.clip(lower=0), shares.clip(upper=0)
    bottoms = (
        up.cumsum(axis=1)
        .shift(axis=1, fill_value=0.0)
        .where(shares > 0, down.cumsum(axis=1).shift(axis=1, fill_value=0.0))
    )
    x = rows["batch_size"].to_numpy(np.float64)
    half = np.array([_HALF_BAR * theme.spacing(frames.sizes, size) for size in fixed])
    for name in shares:
        height, fill = shares[name], _FILLS[str(name)]
        axes.bar(x * 2**-half, height, x * (2**half - 2**-half), bottoms[name], align="edge", color=fill, linewidth=0)
    for size, point in fixed.items():
        marks.bar(axes, size.batch_size, point.value, (point.low, point.high), color=theme.INK)
    lowest, highest = min(0.0, down.sum(axis=1).min()), max(1.0, up.sum(axis=1).max())
    room = 0.04 * (highest - lowest)
    theme.plain_axis(axes)
    axes.set_ylim(lowest - (room if lowest < 0 else 0), highest + room)
    _above(axes, [Patch(color=_FILLS[str(name)], label=SHARES[str(name)]) for name in shares])


def _above(axes: Axes, handles: Sequence[Artist]) -> None:
    axes.legend(handles=[*handles], loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0.2)
