"""What a training took besides time at each batch size: memory and utilisation."""

from __future__ import annotations

from matplotlib.figure import Figure

from batchscope.figures import theme
from batchscope.figures.against import Point, draw, readings
from batchscope.figures.frames import Frames, Size, value_of
from batchscope.figures.words import series_in_words


def draw_memory(frames: Frames) -> Figure:
    """Peak memory against batch size."""
    made, (axes,) = theme.figure(1, 1, 2.4)
    points = _points(frames, "memory_bytes")
    draw(axes, frames, points, "Peak memory", unit="B")
    if points:
        axes.set_ylim(0, 1.15 * max(point.value for point in points.values()) or 1)
    return made


def caption_memory(frames: Frames) -> str:
    """Which memory it is."""
    return _caption(frames, "memory_kind", "Peak memory")


def alt_memory(frames: Frames) -> str:
    """Axes and values."""
    words = series_in_words("The peak memory", readings(frames, _points(frames, "memory_bytes")), "B")
    return f"One panel against batch size. {words}"


def draw_utilisation(frames: Frames) -> Figure:
    """Utilisation of the GPU, or of the CPU threads, against batch size."""
    made, (axes,) = theme.figure(1, 1, 2.4)
    points = _points(frames, "utilisation_percent")
    draw(axes, frames, points, "Utilisation (%)")
    if points:
        axes.set_ylim(0, max(105.0, 1.05 * max(point.value for point in points.values())))
    return made


def caption_utilisation(frames: Frames) -> str:
    """Which utilisation it is."""
    return _caption(frames, "utilisation_kind", "Utilisation")


def alt_utilisation(frames: Frames) -> str:
    """Axes and values."""
    words = series_in_words("Utilisation in percent", readings(frames, _points(frames, "utilisation_percent")))
    return f"One panel against batch size. {words}"


def _points(frames: Frames, column: str) -> dict[Size, Point]:
    values = {size: value_of(frames.summary, size, column) for size in frames.sizes}
    return {size: Point(value) for size, value in values.items() if value is not None}


def _caption(frames: Frames, column: str, what: str) -> str:
    kinds = list(dict.fromkeys(frames.summary[column].dropna()))
    if not kinds:
        return f"{what} was not measured."
    if len(frames.timings):
        return f"{what}: {kinds[0]}. One measurement per batch size, in a fresh process: no interval."
    return f"{what}: {kinds[0]}, over the runs of a size. This study has no timings."
