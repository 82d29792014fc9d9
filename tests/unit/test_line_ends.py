"""Batch sizes at the ends of lines: moved no further than it takes, and never over one another or over a line."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from batchscope.figures import line_ends, theme
from batchscope.figures.frames import Frames, Size, select
from batchscope.figures.line_ends import spread
from batchscope.tables.cells import PAIR

SIZES = [Size(1, False), Size(32, False), Size(800, True)]
TABLES = ("evaluations", "steps", "timings", "windows", "metrics", "summary", "learning_curves")
X = np.linspace(0, 1, 50)


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ((0, 30, 15), (0, 30, 15)),  # far enough apart
        ((10, 10, 16), (8, 12, 16)),  # two at one place move by half a gap each, and meet no other
        ((10, 10, 10), (6, 10, 14)),
        ((0, 1, 20), (0, 4, 20)),  # none below the lowest
        ((40, 39, 20), (40, 36, 20)),  # nor above the highest, in the order of the places, whatever that of the list
    ],
)
def test_places_are_spread_by_as_little_as_it_takes(wanted: tuple[float, ...], places: tuple[float, ...]) -> None:
    assert list(spread(wanted, 4, 0, 40)) == pytest.approx(places)


@pytest.fixture
def frames() -> Frames:
    cells = [{"dataset": "d", "recipe": "r", "batch_size": size, "full_batch": full} for size, full in SIZES]
    return select({"runs": pd.DataFrame(cells), **dict.fromkeys(TABLES, pd.DataFrame(columns=PAIR))}, "d", "r")


@pytest.fixture
def panel() -> Iterator[tuple[Figure, Axes]]:
    with theme.applied():
        made, views = theme.views(["only"], 1, 2.5)
        yield made, views["only"][0]


def draw(axes: Axes, lines: dict[Size, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    for x, y in lines.values():
        axes.plot(x, y)
    ends = [(size.label, x[-1], y[-1]) for size, (x, y) in lines.items()]
    return pd.DataFrame(ends, columns=["size", "x", "y"])


def labels(made: Figure, axes: Axes) -> dict[str, Annotation]:
    made.draw_without_rendering()
    names = {text.get_text(): text for text in axes.texts if isinstance(text, Annotation) and text.get_text()}
    boxes = [text.get_window_extent() for text in names.values()]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert all(made.bbox.containsx(box.x1) and made.bbox.containsy(box.y0) for box in boxes)
    return names


def test_lines_that_end_side_by_side_get_a_column_in_the_order_of_their_ends(
    panel: tuple[Figure, Axes], frames: Frames
) -> None:
    made, axes = panel
    ends = draw(axes, {size: (X, end * X) for size, end in zip(SIZES, (0.5, 0.5001, 0.4), strict=True)})
    line_ends.name_sizes(made, {made.subfigs[0]: {axes: ends}}, frames)
    named = labels(made, axes)
    assert {*named} == {"1", "32", "full"}
    assert axes.get_title(loc="right") == "Batch size"
    boxes = {name: text.get_window_extent() for name, text in named.items()}
    assert boxes["full"].y0 < boxes["1"].y0 < boxes["32"].y0
    assert min(boxes[name].x0 for name in ("1", "32", "full")) > axes.bbox.x1
    assert not made.subfigs[0].legends


@pytest.mark.parametrize(("title", "heading"), [("Loss", "Batch size"), ("A title across all of the panel, " * 3, "")])
def test_the_title_of_a_panel_comes_before_what_the_names_are(
    panel: tuple[Figure, Axes], frames: Frames, title: str, heading: str
) -> None:
    made, axes = panel
    axes.set_title(title)
    line_ends.name_sizes(made, {made.subfigs[0]: {axes: draw(axes, {SIZES[0]: (X, X)})}}, frames)
    assert (axes.get_title(loc="left"), axes.get_title(loc="right")) == (title, heading)


def test_names_keep_off_single_points(panel: tuple[Figure, Axes], frames: Frames) -> None:
    made, axes = panel
    ends = draw(axes, {size: (X * share, X) for size, share in zip(SIZES, (1, 0.6, 0.3), strict=True)})
    points = np.array([(x + 0.03, y) for x, y in ends[["x", "y"]].to_numpy()])
    axes.plot(points[:, 0], points[:, 1], "o")
    axes.set_xlim(-0.2, 1.2)
    axes.set_ylim(-0.2, 1.2)
    line_ends.name_sizes(made, {made.subfigs[0]: {axes: ends}}, frames)
    boxes = [text.get_window_extent() for text in labels(made, axes).values()]
    assert boxes
    assert not any(box.count_contains(axes.transData.transform(points)) for box in boxes)


def test_lines_that_end_apart_get_their_labels_beside_their_ends(panel: tuple[Figure, Axes], frames: Frames) -> None:
    made, axes = panel
    ends = draw(axes, {size: (X * share, 1 - X) for size, share in zip(SIZES, (1, 0.6, 0.3), strict=True)})
    line_ends.name_sizes(made, {made.subfigs[0]: {axes: ends}}, frames)
    named = labels(made, axes)
    paths = [line.get_path().transformed(line.get_transform()) for line in axes.lines]
    for size, (x, y) in zip(SIZES, ends[["x", "y"]].to_numpy(), strict=True):
        box = named["full" if size.full_batch else size.label].get_window_extent()
        assert not any(path.intersects_bbox(box, filled=False) for path in paths)
        away = np.hypot(*(axes.transData.transform((x, y)) - [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]))
        assert away < 30 * made.dpi / 72
    assert not made.subfigs[0].legends


def test_a_label_keeps_off_the_line_that_it_names(panel: tuple[Figure, Axes], frames: Frames) -> None:
    made, axes = panel
    jagged = 0.5 + 0.3 * np.resize([-1, 1], 400)
    ends = draw(axes, {SIZES[0]: (np.linspace(0, 1, 400), jagged), SIZES[1]: (X / 2, X)})
    line_ends.name_sizes(made, {made.subfigs[0]: {axes: ends}}, frames)
    box = labels(made, axes)["1"].get_window_extent().padded(2)
    paths = [line.get_path().transformed(line.get_transform()) for line in axes.lines]
    assert not any(path.intersects_bbox(box, filled=False) for path in paths)


def test_where_labels_find_no_room_there_is_a_legend(panel: tuple[Figure, Axes], frames: Frames) -> None:
    made, axes = panel
    ends = draw(axes, {size: (X * share, 1 - X) for size, share in zip(SIZES, (1, 0.6, 0.3), strict=True)})
    axes.plot(np.tile([0, 1], 60), np.repeat(np.linspace(0, 1, 60), 2))
    line_ends.name_sizes(made, {made.subfigs[0]: {axes: ends}}, frames)
    assert not labels(made, axes)
    assert not axes.get_title(loc="right")
    (legend,) = made.subfigs[0].legends
    assert {text.get_text() for text in legend.get_texts()} == {"Batch size:", "1", "32", "800 (full)"}


def test_a_panel_without_lines_gets_neither(panel: tuple[Figure, Axes], frames: Frames) -> None:
    made, axes = panel
    theme.say(axes, "not measured")
    line_ends.name_sizes(made, {made.subfigs[0]: {axes: draw(axes, {})}}, frames)
    assert not made.subfigs[0].legends
    assert [text.get_text() for text in axes.texts] == ["not measured"]


def cloud(axes: Axes, places: list[tuple[float, float]], singles: int) -> pd.DataFrame:
    """A large point per size with `singles` small ones around it."""
    points = pd.DataFrame(places, columns=["x", "y"]).assign(size=[size.label for size in SIZES])
    around = np.linspace(0, 2 * np.pi, singles, endpoint=False)
    for x, y in places:
        axes.scatter(x + 0.04 * np.cos(around), y + 0.04 * np.sin(around), s=12)
    axes.scatter(points["x"], points["y"], s=49)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return points


@pytest.mark.parametrize("apart", [0.3, 0.02])
def test_points_have_their_names_beside_them_and_off_all_points(
    panel: tuple[Figure, Axes], frames: Frames, apart: float
) -> None:
    made, axes = panel
    places = [(0.5 + apart * i, 0.5 - apart * i) for i in (-1, 0, 1)]
    line_ends.name_points(made, {axes: cloud(axes, places, 5)}, frames)
    named = labels(made, axes)
    assert {*named} == {"1", "32", "full"}
    assert not made.legends
    assert axes.get_title(loc="right") == "Batch size"
    drawn = np.concatenate([axes.transData.transform(each.get_offsets()) for each in axes.collections])
    assert not any(text.get_window_extent().count_contains(drawn) for text in named.values())
    joined = sum(text.arrow_patch is not None for text in axes.texts if isinstance(text, Annotation))
    assert bool(joined) == (apart < 0.1)  # a name that stands further off is joined to its point


def test_where_names_find_no_room_among_points_there_is_a_legend(panel: tuple[Figure, Axes], frames: Frames) -> None:
    made, axes = panel
    points = cloud(axes, [(0.3, 0.3), (0.5, 0.5), (0.7, 0.7)], 1)
    axes.scatter(*np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 60)), s=4)
    line_ends.name_points(made, {axes: points}, frames)
    assert not labels(made, axes)
    assert len(made.legends) == 1
