"""How fast an update, an epoch and an example are at each batch size, from timings alone on the machine."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from batchscope.figures import theme
from batchscope.figures.against import Point, draw, readings
from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.words import series_in_words

NO_TIMINGS = "not measured: no timing of these sizes"


def draw_time_per_epoch(frames: Frames) -> Figure:
    """Seconds per update and per epoch against batch size."""
    made, (upper, lower) = theme.figure(2, 1, 2.2)
    draw(upper, frames, _seconds(frames, per_epoch=False), "Time per update", **_LOG, bottom=False)
    draw(lower, frames, _seconds(frames, per_epoch=True), "Time per epoch", **_LOG)
    made.align_ylabels()
    return made


def caption_time_per_epoch(frames: Frames) -> str:
    """What is drawn and how it was timed."""
    return (
        "Above: time per update. Below: the same times the updates of an epoch; no evaluation, no compilation. "
        f"{_timing_in_words(frames)}"
    )


def alt_time_per_epoch(frames: Frames) -> str:
    """Axes and values."""
    return " ".join(
        [
            "Two panels against batch size.",
            series_in_words("The median time per update", readings(frames, _seconds(frames, per_epoch=False)), "s"),
            series_in_words("The median time per epoch", readings(frames, _seconds(frames, per_epoch=True)), "s"),
        ]
    )


def draw_throughput(frames: Frames) -> Figure:
    """Examples per second against batch size."""
    made, (axes,) = theme.figure(1, 1, 2.6)
    draw(axes, frames, _throughput(frames), "Examples per second", logarithmic=True, missing=NO_TIMINGS)
    return made


def caption_throughput(frames: Frames) -> str:
    """What is drawn and how it was timed."""
    return f"Batch size over the time per update. {_timing_in_words(frames)}"


def alt_throughput(frames: Frames) -> str:
    """Axes and values."""
    words = series_in_words("The median number of examples per second", readings(frames, _throughput(frames)))
    return f"One panel against batch size. {words}"


_LOG: dict[str, Any] = {"logarithmic": True, "unit": "s", "missing": NO_TIMINGS}


def _seconds(frames: Frames, *, per_epoch: bool) -> dict[Size, Point]:
    points = {}
    for size in frames.sizes:
        timed = of_size(frames.timings, size).dropna(subset=["seconds_per_update"])
        if len(timed):
            factor = float(timed["updates_per_epoch"].iloc[0]) if per_epoch else 1.0
            low, middle, high = (
                factor * float(timed[f"seconds_per_update{part}"].iloc[0]) for part in ("_q25", "", "_q75")
            )
            windows = of_size(frames.windows, size)
            pairs = zip(windows["window"], windows["seconds_per_update"], strict=True)
            points[size] = Point(middle, low, high, {window: factor * float(seconds) for window, seconds in pairs})
    return points


def _throughput(frames: Frames) -> dict[Size, Point]:
    return {
        size: Point(
            size.batch_size / point.value,
            None if point.high is None else size.batch_size / point.high,
            None if point.low is None else size.batch_size / point.low,
            {window: size.batch_size / seconds for window, seconds in point.singles.items()},
        )
        for size, point in _seconds(frames, per_epoch=False).items()
    }


def _timing_in_words(frames: Frames) -> str:
    counts = sorted({int(count) for count in frames.timings["windows"]})
    if not counts:
        return "This study has no timings."
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    lenders = sorted(set(frames.timings["timed_recipe"]) - set(frames.timings["recipe"]))
    borrowed = f" The timings are those of {lenders[0]}, which does the same work per update." if lenders else ""
    singles = "" if lenders else "; small dots: single windows"
    return (
        f"Large dots: medians over {number} timed windows alone on the machine; bars: quartiles{singles}. "
        f"Bars shorter than a dot are hidden by it.{borrowed}"
    )
