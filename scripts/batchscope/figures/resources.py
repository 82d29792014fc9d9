"""What a training took besides time at each batch size: memory and utilisation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes

from batchscope.figures.against import Panel, Point, Points, stack
from batchscope.figures.frames import Frames, value_of


def _points(frames: Frames, column: str) -> Points:
    values = {size: value_of(frames.summary, size, column) for size in frames.sizes}
    return {size: Point(value) for size, value in values.items() if value is not None}


def _from_zero(axes: Sequence[Axes], points: Sequence[Points]) -> None:
    if points[0]:
        axes[0].set_ylim(0, 1.15 * max(point.value for point in points[0].values()) or 1)


def _up_to_all(axes: Sequence[Axes], points: Sequence[Points]) -> None:
    if points[0]:
        axes[0].set_ylim(0, max(105.0, 1.05 * max(point.value for point in points[0].values())))


_MEMORY = Panel("Peak memory", "The peak memory", partial(_points, column="memory_bytes"), "B")
_UTILISATION = Panel("Utilisation (%)", "Utilisation in percent", partial(_points, column="utilisation_percent"))
draw_memory, alt_memory = stack([_MEMORY], 2.4, _from_zero)
draw_utilisation, alt_utilisation = stack([_UTILISATION], 2.4, _up_to_all)


def caption_memory(frames: Frames) -> str:
    """Which memory it is."""
    return _caption(frames, "memory_kind", "Peak memory")


def caption_utilisation(frames: Frames) -> str:
    """Which utilisation it is."""
    return _caption(frames, "utilisation_kind", "Utilisation")


def _caption(frames: Frames, column: str, what: str) -> str:
    kinds = list(dict.fromkeys(frames.summary[column].dropna()))
    if not kinds:
        return f"{what} was not measured."
    if len(frames.timings):
        return f"{what}: {kinds[0]}. One measurement per batch size, in a fresh process: no interval."
    return f"{what}: {kinds[0]}, over the runs of a size. This study has no timings."
