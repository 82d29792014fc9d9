"""Batch sizes written at the ends of their lines or beside their points, instead of a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure, FigureBase
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike, NDArray

from batchscope.figures import svg, theme
from batchscope.figures.frames import Frames, Size

TYPE = 8.5  # points
_LINE = 1.15 * TYPE  # from one label to the next
_REACH = 11.0  # points from the ends of lines to a column of labels
_SAME = 0.02  # of the width of a panel: lines that end so close together end at one place
_AIR = 2.5  # pixels between a label and what it may not meet
# Where a label may stand beside an end, in points, best first.
_BESIDE = ((4, 0), (4, 7), (4, -7), (0, 9), (0, -9), (-4, -8), (-4, 8), (9, 13), (9, -13), (-9, -14), (-9, 14))
# The same beside a point; what stands further off is joined to it.
_NEAR = ((8, 0), (-8, 0), (0, 11), (0, -11), (7, 8), (7, -8), (-7, 8), (-7, -8))
_FAR = tuple((x * reach, y * reach) for reach in (14, 22, 32) for x in (1, -1) for y in (0.4, -0.4, 1, -1))
_DOT = 4.0  # points from the middle of a point to its edge


def name_sizes(made: Figure, parts: Mapping[FigureBase, Mapping[Axes, pd.DataFrame]], frames: Frames) -> None:
    """Write the batch size at the end of every line; a part of `made` where one finds no room gets a legend above it.

    `parts` are the panels of each part with the ends of their lines: columns `size` (its label), `x` and `y`. Lines
    that end side by side get a column of labels at the right, each joined to its end; others get theirs beside it.
    """
    _name(made, parts, frames, points=False)


def name_points(made: Figure, panels: Mapping[Axes, pd.DataFrame], frames: Frames) -> None:
    """Write the batch size beside every point; a legend above the `panels` of `made` where one finds no room.

    `panels` are given with their points: columns `size` (its label), `x` and `y`.
    """
    _name(made, {made: panels}, frames, points=True)


def _name(
    made: Figure, parts: Mapping[FigureBase, Mapping[Axes, pd.DataFrame]], frames: Frames, *, points: bool
) -> None:
    labels = {
        axes: _labels(axes, ends, frames.sizes, points=points)
        for panels in parts.values()
        for axes, ends in panels.items()
    }
    made.draw_without_rendering()  # where things are is known from here on
    for part, panels in parts.items():
        own = {axes: labels[axes] for axes in panels if labels[axes]}
        if all(_place(axes, found, points=points) for axes, found in own.items()):
            for axes, found in own.items():
                _strokes(axes, found, frames)
                _head(axes)
        else:
            for axes, found in own.items():
                axes.set_title("", loc="right")
                for label in found:
                    label.remove()
            theme.size_legend(part, frames, frames.sizes)


def spread(wanted: ArrayLike, gap: float, low: float, high: float) -> NDArray[np.float64]:
    """The places that are `wanted`, moved as little as it takes to lie `gap` apart between `low` and `high`.

    They keep their order, and the sum of squares of what they move by is the least: those that would be too close are
    moved as one (pool adjacent violators). There must be room for all of them.
    """
    places = np.array(wanted, dtype=np.float64)
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(order))
    pools: list[list[float]] = []
    for place in places[order] - steps:
        pools.append([place])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    pooled = [float(np.mean(pool)) for pool in pools for _ in pool]
    places[order] = np.clip(pooled, low, high - steps[-1]) + steps
    return places


def _labels(axes: Axes, ends: pd.DataFrame, sizes: Sequence[Size], *, points: bool) -> list[Annotation]:
    """A label to the right of every end (or of every one of some points), and above the panel what it is.

    Those of a column stand outside the panel and take part in the layout.
    """
    if ends.empty:
        return []
    words = {size.label: _word(size) for size in sizes}
    _head(axes)
    column = not points and _is_column(axes, ends)
    if column:
        axes.set_xlim(right=ends["x"].max())
    found = []
    for label, x, y in ends[["size", "x", "y"]].itertuples(index=False):
        text = axes.annotate(
            words[label],
            (x, y),
            (_REACH, 0),
            textcoords="offset points",
            va="center",
            fontsize=TYPE,
            annotation_clip=False,
            zorder=6,
        )
        text.set_in_layout(column)
        found.append(text)
    return found


def _is_column(axes: Axes, ends: pd.DataFrame) -> bool:
    shares = axes.transAxes.inverted().transform(axes.transData.transform(ends[["x", "y"]].to_numpy(np.float64)))[:, 0]
    return bool(shares.max() - shares.min() < _SAME)


def _place(axes: Axes, labels: Sequence[Annotation], *, points: bool) -> bool:
    """Move the labels apart, or to where they meet no line and no point; False where there is no room."""
    if labels[0].get_in_layout():
        return _stack(axes, labels)
    drawn = [line for line in axes.lines if not str(line.get_gid()).startswith(svg.TIP)]
    lines = [
        line.get_path().transformed(line.get_transform())
        for line in drawn
        if line.get_linestyle() != "None" and len(line.get_path()) > 1
    ]
    spots = [line.get_transform().transform(line.get_xydata()) for line in drawn if line.get_linestyle() == "None"]
    clouds = [each for each in axes.collections if isinstance(each, PathCollection)]
    spots += [cloud.get_offset_transform().transform(cloud.get_offsets()) for cloud in clouds]
    taken = [_dot(axes, label) for label in labels] if points else []
    for label in labels:
        for offset in (*_NEAR, *_FAR) if points else _BESIDE:
            box = _moved(label, offset)
            inside = axes.bbox.contains(box.x0, box.y0) and axes.bbox.contains(box.x1, box.y1)
            around = box.padded(_AIR)
            if (
                inside
                and not any(around.overlaps(other) for other in taken)
                and not any(line.intersects_bbox(around, filled=False) for line in lines)
                and not any(around.count_contains(places) for places in spots)
            ):
                taken.append(box)
                break
        else:
            return False
    return True


def _dot(axes: Axes, label: Annotation) -> Bbox:
    """What the point of a label covers, in pixels."""
    (x, y), reach = axes.transData.transform(label.xy), _DOT * axes.figure.dpi / 72
    return Bbox([[x - reach, y - reach], [x + reach, y + reach]])


def _stack(axes: Axes, labels: Sequence[Annotation]) -> bool:
    """A column of labels, each as near to the height of its end as the others let it be."""
    points = 72 / axes.figure.dpi
    low, high = points * axes.bbox.y0 + TYPE / 2, points * axes.bbox.y1 - TYPE / 2
    if high - low < _LINE * (len(labels) - 1):
        return False
    ends = [points * float(axes.transData.transform(label.xy)[1]) for label in labels]
    for label, end, place in zip(labels, ends, spread(ends, _LINE, low, high), strict=True):
        label.set_position((_REACH, float(place - end)))
    return True


def _moved(label: Annotation, offset: tuple[float, float]) -> Bbox:
    """Put `label` at `offset` points from its end; what it then covers, in pixels."""
    label.set_position(offset)
    label.set_horizontalalignment("center" if not offset[0] else "left" if offset[0] > 0 else "right")
    return label.get_window_extent()


def _head(axes: Axes) -> None:
    """Write above a panel what the names are, unless its title leaves no room for it."""
    heading = axes.set_title("Batch size", loc="right", fontsize=TYPE, color=theme.GREY)
    title = axes.set_title(axes.get_title(loc="left"), loc="left")
    if title.get_text() and title.get_window_extent().x1 + TYPE > heading.get_window_extent().x0:
        axes.set_title("", loc="right")


def _word(size: Size) -> str:
    """What the line of a size is called: `full`, or its number."""
    return "full" if size.full_batch else size.label


def _strokes(axes: Axes, labels: Sequence[Annotation], frames: Frames) -> None:
    """From each end to its label in the column, and from each point to one further off, a stroke in its colour."""
    shades = {_word(size): shade for size, shade in theme.colours(frames).items()}
    for label in labels:
        x, y = label.get_position()
        if label.get_in_layout() or (x, y) in _FAR:
            stroke = {"arrowstyle": "-", "color": shades[label.get_text()], "linewidth": 1.2}
            look: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
            look["arrowprops"] = {**stroke, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", label.xy, (x - float(np.copysign(2, x)), y), **look)
