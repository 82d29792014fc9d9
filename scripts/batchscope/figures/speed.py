"""How fast an update, an epoch and an example are at each batch size, from timings alone on the machine."""

from __future__ import annotations

from functools import partial

from batchscope.figures.against import Panel, Point, stack
from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.words import range_in_words

_LOG = {"logarithmic": True}


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


_UPDATE = Panel("Time per update", "The median time per update", partial(_seconds, per_epoch=False), "s", _LOG)
_EPOCH = Panel("Time per epoch", "The median time per epoch", partial(_seconds, per_epoch=True), "s", _LOG)
_EXAMPLES = Panel("Examples per second", "The median number of examples per second", _throughput, style=_LOG)
_MISSING = "not measured: no timing of these sizes"
draw_time_per_epoch, alt_time_per_epoch = stack([_UPDATE, _EPOCH], 2.2, missing=_MISSING)
draw_throughput, alt_throughput = stack([_EXAMPLES], 2.6, missing=_MISSING)


def caption_time_per_epoch(frames: Frames) -> str:
    """What is drawn and how it was timed."""
    return (
        "Above: time per update. Below: the same times the updates of an epoch; no evaluation, no compilation. "
        f"{_timing_in_words(frames)}"
    )


def caption_throughput(frames: Frames) -> str:
    """What is drawn and how it was timed."""
    return f"Batch size over the time per update. {_timing_in_words(frames)}"


def _timing_in_words(frames: Frames) -> str:
    if frames.timings.empty:
        return "This study has no timings."
    number = range_in_words(int(count) for count in frames.timings["windows"])
    lenders = sorted(set(frames.timings["timed_recipe"]) - set(frames.timings["recipe"]))
    borrowed = f" The timings are those of {lenders[0]}, which does the same work per update." if lenders else ""
    singles = "" if lenders else "; small dots: single windows"
    return (
        f"Large dots: medians over {number} windows timed in isolation; bars: quartiles, where longer than a dot"
        f"{singles}.{borrowed}"
    )
