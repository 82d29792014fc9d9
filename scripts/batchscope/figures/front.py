"""What is to be had for which training time: no size on the front is both slower and worse than another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, known, of_size
from batchscope.figures.words import failed_in_words, intervals_in_words, joined, plain

# Where a label may stand beside its point, in points, best first: close to it, or further off at the end of a line.
_NEAR = ((7, 7), (9, 0), (-9, 0), (7, -7), (-7, 7), (-7, -7), (7, 15), (-7, -15), (7, -15), (-7, 15))
_FAR = ((24, 14), (-24, -14), (24, -14), (-24, 14), (14, 34), (-14, -34), (14, -34), (-14, 34), (36, 24), (-36, -24))
_PLACES = (*_NEAR, *_FAR)


@dataclass(frozen=True)
class _Place:
    """A size between its seconds and its test error."""

    seconds: float
    error: float
    low: float | None
    high: float | None
    on_front: bool


def draw_pareto(frames: Frames) -> Figure:
    """Test error against training seconds to the selected epoch, one point per batch size."""
    made, (axes,) = theme.figure(1, 1, 3.6)
    axes.set_xlabel("Training time to the selected epoch")
    axes.set_ylabel("Test error")
    places = _places(frames)
    if not places:
        theme.say(axes, "not measured")
        return made
    coloured = theme.by_size(frames)
    points = pd.DataFrame([vars(place) for place in places.values()]).assign(size=[size.label for size in places])
    front = points[points["on_front"]]
    theme.lines(axes, front, "seconds", "error", color=theme.GREY, linewidth=1.0, zorder=1)
    theme.dots(axes, points, "seconds", "error", s=64, zorder=4, **coloured)
    theme.dots(axes, points[~points["on_front"]], "seconds", "error", s=30, color="white", zorder=5)
    theme.bars(axes, points, "seconds", points["size"].map(coloured["palette"]))
    seconds = points["seconds"]
    theme.log_axis(axes, "x", seconds, "s")
    margin = max(1.25, (seconds.max() / seconds.min()) ** 0.1)
    axes.set_xlim(seconds.min() / margin, seconds.max() * margin)
    theme.plain_axis(axes)
    axes.margins(y=0.12)
    _labels(made, axes, places)
    theme.tips(
        axes,
        [
            (
                each.seconds,
                each.error,
                f"batch size {size.label}: {plain(each.seconds, 's', 3)}, test error {plain(each.error, digits=3)}",
            )
            for size, each in places.items()
        ],
    )
    return made


def caption_pareto(frames: Frames) -> str:
    """What is drawn, and what the front is."""
    missing = len(frames.sizes) - len(_places(frames))
    return joined(
        [
            "Test error at the selected epoch against the time to it, timed in isolation. Filled and joined: the "
            "front, sizes that no other beats in both means.",
            intervals_in_words(frames),
            f"{missing} {'size lacks' if missing == 1 else 'sizes lack'} a timing or an accuracy." if missing else "",
            failed_in_words(frames),
        ]
    )


def alt_pareto(frames: Frames) -> str:
    """Where every size lies."""
    words = [
        f"batch size {size.label}: {plain(place.seconds, 's')}, test error {plain(place.error, digits=3)}"
        f"{' (on the front)' if place.on_front else ''}"
        for size, place in _places(frames).items()
    ]
    return f"Test error against training time: {'; '.join(words) if words else 'not measured'}."


def _places(frames: Frames) -> dict[Size, _Place]:
    rows = frames.pareto.dropna(subset=["seconds_mean", "test_error_mean"])
    places = {}
    for size in frames.sizes:
        found = of_size(rows, size)
        if len(found):
            row = found.iloc[0]
            low, high = (known(row[f"test_error_ci_{end}"]) for end in ("low", "high"))
            numbers = (float(row["seconds_mean"]), float(row["test_error_mean"]))
            places[size] = _Place(*numbers, low, high, bool(row["on_front"]))
    return {size: place for size, place in places.items() if place.seconds > 0}


def _labels(made: Figure, axes: Axes, places: Mapping[Size, _Place]) -> None:
    """The size beside every point, at the first place where it meets no point, bar or label."""
    made.draw_without_rendering()
    taken = [_box(axes, place) for place in places.values()]
    for size, place in places.items():
        at = (place.seconds, place.error)
        text = axes.annotate(size.label, at, (0, 0), textcoords="offset points", fontsize=9)
        boxes = [_moved(text, offset) for offset in _PLACES]
        best = min(range(len(boxes)), key=lambda i: (_crowd(boxes[i], taken, axes), i))
        taken.append(_moved(text, _PLACES[best]))
        if _PLACES[best] in _FAR:
            line = {"arrowstyle": "-", "color": theme.GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
            axes.annotate("", at, _PLACES[best], textcoords="offset points", arrowprops=line)


def _moved(text: Annotation, offset: tuple[int, int]) -> Bbox:
    """Put `text` at `offset` points from its point; what it then covers, in pixels."""
    text.set_position(offset)
    text.set_horizontalalignment("left" if offset[0] > 0 else "right")
    text.set_verticalalignment("center")
    return text.get_window_extent()


def _box(axes: Axes, place: _Place) -> Bbox:
    """What the point and its bar cover, in pixels."""
    low = place.error if place.low is None else place.low
    high = place.error if place.high is None else place.high
    (x, bottom), (_, top) = axes.transData.transform([(place.seconds, low), (place.seconds, high)])
    return Bbox([[x - 5, bottom - 5], [x + 5, top + 5]])


def _crowd(box: Bbox, taken: Sequence[Bbox], axes: Axes) -> int:
    """How many of `taken` meet `box`; leaving the panel counts as well."""
    inside = axes.bbox.contains(box.x0, box.y0) and axes.bbox.contains(box.x1, box.y1)
    return sum(box.overlaps(other) for other in taken) + (not inside)
