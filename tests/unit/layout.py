"""Whether the words of a figure can be read."""

from __future__ import annotations

from itertools import combinations, pairwise

from matplotlib.figure import Figure


def check_layout(made: Figure) -> None:
    """Words lie inside the figure; tick labels of a vertical axis, and names of lines, do not overlap."""
    made.draw_without_rendering()
    page = made.bbox.padded(1)
    for axes in made.axes:
        low, high = sorted(axes.get_ylim())
        ticks = [tick for tick in axes.get_yticklabels() if tick.get_text() and low <= tick.get_position()[1] <= high]
        for text in [axes.xaxis.label, axes.yaxis.label, *axes.texts, *ticks]:
            box = text.get_window_extent()
            assert not text.get_text() or (page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1)), text
        boxes = sorted((tick.get_window_extent() for tick in ticks), key=lambda box: box.y0)
        assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))
        names = [text.get_window_extent() for text in axes.texts if text.get_text()] if made.subfigs else []
        assert not any(one.overlaps(other) for one, other in combinations(names, 2))
