"""How every figure looks: sizes of type, colours of batch sizes, the log2 axis of batch sizes, and the SVG file."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import BboxBase
from numpy.typing import ArrayLike, NDArray

from batchscope.figures import svg
from batchscope.figures.frames import Frames, Size
from batchscope.figures.words import compact, plain
from batchscope.identity.digests import sealed_markup
from batchscope.identity.files import atomic_path
from batchscope.text import TIMES

WIDTH = 6.0  # inches; type of 9 pt is then legible on a phone and more than 9 pt on a printed page of 7 inches
NARROW = 3.6  # inches; what a phone has room for at the size of the drawing
# Every colour that draws something has a contrast of 3 with the page, in the light and where it is turned round.
INK, GREY, FAINT = "#222222", "#6b6b6b", "#929292"
# Okabe and Ito's colours for what is not a batch size: told apart by every kind of colour vision.
TRAIN, VALIDATION = "#222222", "#d55e00"
TRAIN_RUN, VALIDATION_RUN = FAINT, "#dd7322"  # single runs beside their mean
THIN = 0.8  # points, the width of a line of a single run: a pixel at least, so that its colour is seen
CROSS: dict[str, Any] = {"marker": "x", "s": 36, "linewidth": 1.3, "zorder": 4}  # where a run that failed ended
SHADE, PICK = "#e7f0fb", "#1f5fae"  # sizes that are not significantly worse than the best; the recommended one
OUTCOMES = {"ok": "#0072b2", "diverged": "#d55e00", "out_of_memory": "#222222"}

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    # Matplotlib brings the first one along, so that the layout is the same on every machine.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica", "sans-serif"],
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.title_fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.2,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,  # a user's names may hold dollar signs
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.w_pad": 0.07,
    "figure.constrained_layout.h_pad": 0.05,
    "svg.fonttype": "none",
}


@contextmanager
def applied() -> Iterator[None]:
    """Draw in the theme inside the block; Matplotlib's own settings are as before after it."""
    import seaborn as sns  # takes a second with all of scipy.stats, and captions need none of it

    style: dict[Any, Any] = {**sns.axes_style("ticks"), **_STYLE}
    with mpl.rc_context(style):
        yield


def figure(
    rows: int, columns: int, panel_height: float, *, extra: float = 0.4, sharey: bool = False, width: float = WIDTH
) -> tuple[Figure, list[Axes]]:
    """An empty figure of the usual width and its panels, row by row; `extra` inches are left for legend or labels."""
    made = Figure(figsize=(width, rows * panel_height + extra), layout="constrained")
    axes = made.subplots(rows, columns, squeeze=False, sharey=sharey)
    return made, [axes[row, column] for row in range(rows) for column in range(columns)]


def figure_of(panels: int, panel_height: float, *, extra: float) -> tuple[Figure, list[Axes]]:
    """An empty figure of so many panels with shared axes, two in a row; every column ends in tick labels."""
    made = Figure(figsize=(WIDTH, -(-panels // 2) * panel_height + extra), layout="constrained")
    return made, _by_two(made, panels)


def _by_two(part: FigureBase, panels: int, *, alike: bool = True) -> list[Axes]:
    columns = min(2, panels)
    axes = list(part.subplots(-(-panels // columns), columns, squeeze=False, sharex=True, sharey=alike).flat)
    for unused in axes[panels:]:
        unused.remove()
    for lowest in axes[:panels][-columns:]:
        lowest.tick_params(labelbottom=True)
    return axes[:panels]


def views(
    names: Sequence[str], panels: int, height: float, *, by_two: bool = False, alike: bool = True
) -> tuple[Figure, dict[str, list[Axes]]]:
    """An empty figure of several views of the same, one below the other, and by name the panels of each.

    They stand in a row, or `by_two` as those of `figure_of`, and share their vertical axis where what they show is
    `alike`. A page shows one view at a time and may change it; the file has them all, the first one as the default.
    """
    made = Figure(figsize=(WIDTH, len(names) * height), layout="constrained")
    parts = made.subfigures(len(names), 1, squeeze=False)[:, 0]
    for name, part in zip(names, parts, strict=True):
        part.set_gid(f"{_VIEW}{name}")
    return made, {
        name: _by_two(part, panels, alike=alike)
        if by_two
        else list(part.subplots(1, panels, squeeze=False, sharey=alike)[0])
        for name, part in zip(names, parts, strict=True)
    }


def colours(frames: Frames) -> dict[Size, str]:
    """The colour of each size of a data set and recipe, the same in all figures of the study.

    In order of all sizes of the study: viridis from dark (small) to its green (large); beyond it is too light on white.
    The full batches of all data sets share the last colour.
    """
    numbers = sorted({size.batch_size for size in frames.all_sizes if not size.full_batch})
    keys: list[int | str] = [*numbers, *(["full"] if any(size.full_batch for size in frames.all_sizes) else [])]
    shades = dict(zip(keys, np.linspace(0.0, 0.58, len(keys)) if len(keys) > 1 else [0.35], strict=True))
    own = {size: shades["full" if size.full_batch else size.batch_size] for size in frames.sizes}
    return {size: to_hex(mpl.colormaps["viridis"](shade)) for size, shade in own.items()}


def by_size(frames: Frames) -> dict[str, Any]:
    """What colours `lines` and `dots` by the column `size`, which holds the labels of sizes."""
    return {"hue": "size", "palette": {size.label: colour for size, colour in colours(frames).items()}}


def size_legend(made: FigureBase, frames: Frames, sizes: Sequence[Size]) -> None:
    """A legend of the colours of `sizes` above the panels."""
    shades = colours(frames)
    head = Line2D([], [], linewidth=0, label="Batch size:")
    legend(made, [head, *(Line2D([], [], color=shades[s], linewidth=2.5, label=s.label) for s in sizes)])


def legend(made: FigureBase, handles: Sequence[Artist]) -> None:
    """A legend above the panels, row by row in as many columns as fit; nothing without handles."""
    if not handles:
        return
    longest = max(len(str(handle.get_label())) for handle in handles)
    total = sum(len(str(handle.get_label())) + 5 for handle in handles)
    columns = len(handles) if total <= 78 else max(1, 78 // (longest + 5))
    by_column = [handle for column in range(columns) for handle in handles[column::columns]]
    made.legend(handles=by_column, loc="outside upper left", ncols=columns, borderpad=0.2)


def batch_axis(axes: Axes, sizes: Sequence[Size], *, label: bool = True, width: float = WIDTH) -> None:
    """Make x the log2 axis of batch sizes, ticks at the real sizes; labels that would meet go to a second line.

    `width` is that of the figure in inches.
    """
    values = sorted({size.batch_size for size in sizes})
    names = _tick_names(sizes)
    low, high = values[0] / 2**0.7, values[-1] * 2**0.7
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    inches_per_log2 = 0.85 * width / np.log2(high / low)
    ends, texts = [-np.inf] * 4, []
    for value in values:
        middle, half = np.log2(value) * inches_per_log2, 0.04 * (len(names[value]) + 1)
        line = next((i for i, end in enumerate(ends) if middle - half > end), int(np.argmin(ends)))
        ends[line] = middle + half
        texts.append("\n" * line + names[value])
    axes.xaxis.set_major_locator(FixedLocator([float(value) for value in values]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks([float(value) for value in values], texts if label else [""] * len(values))
    if label:
        axes.set_xlabel("Batch size (examples per update)")


def spacing(sizes: Sequence[Size], size: Size) -> float:
    """Distance on the log2 axis from `size` to its nearest neighbour, at most 1."""
    others = [other.batch_size for other in sizes if other.batch_size != size.batch_size]
    return min(1.0, *(abs(float(np.log2(other / size.batch_size))) for other in others), 1.0)


def beside(sizes: Sequence[Size], size: Size, count: int) -> NDArray[np.float64]:
    """Where `count` small dots stand on the axis of batch sizes, side by side to the right of `size`."""
    places: NDArray[np.float64] = size.batch_size * 2 ** (np.linspace(0.16, 0.34, count) * spacing(sizes, size))
    return places


def lines(
    axes: Axes,
    rows: pd.DataFrame,
    x: str,
    y: str,
    *,
    units: str | None = None,
    hue: str | None = None,
    palette: Mapping[str, str] | None = None,
    **style: Any,
) -> None:
    """A line through the finite rows of a table, in the order of `x`: one per colour (`hue`) and unit (`units`).

    The same as seaborn's `lineplot` without aggregation, whose preparations took a fifth of the time of all figures.
    """
    if rows.empty:
        return
    named = list(dict.fromkeys(filter(None, (x, y, hue, units))))
    shown = rows[named].replace([np.inf, -np.inf], np.nan).dropna()
    of_colour = {name: shown[shown[hue] == name] for name in rows[hue].unique()} if hue else {"": shown}
    looks = {"markeredgewidth": 0.75, "markeredgecolor": "white", **style}
    for name, found in of_colour.items():
        coloured = {**looks, "color": palette[name]} if palette else looks
        ordered = found.sort_values([*filter(None, (units,)), x, y])
        for _, line in ordered.groupby(units) if units else [("", ordered)]:
            if len(line):
                axes.plot(line[x].to_numpy(np.float64), line[y].to_numpy(np.float64), **coloured)


def dots(axes: Axes, rows: pd.DataFrame, x: str, y: str, **style: Any) -> None:
    """A dot per row of a table.

    The labels of the axes stay as they are. To be called before an axis becomes logarithmic: seaborn takes values to
    the logarithm and back, and the last bit would change.
    """
    import seaborn as sns

    if len(rows):
        labels = axes.get_xlabel(), axes.get_ylabel()
        sns.scatterplot(rows, x=x, y=y, ax=axes, legend=False, **{"linewidth": 0, **style})
        axes.set(xlabel=labels[0], ylabel=labels[1])


_VIEW = "view: "


def tips(axes: Axes, places: Iterable[tuple[float, float, str]]) -> None:
    """Words that a reader meets at a place of the panel, given in its data: the page shows them on hover and focus."""
    for x, y, words in places:
        axes.plot([x], [y], marker="o", markersize=12, linewidth=0, alpha=0, gid=f"{svg.TIP}{words}", zorder=9)


def bars(axes: Axes, rows: pd.DataFrame, x: str, colour: str | pd.Series[str], **style: Any) -> None:
    """An upright bar from `low` to `high` for each row that has both.

    On a log axis one that goes on to zero or below ends just outside it, so call it once the axis has its limits.
    """
    edge = axes.get_ylim()[0] / 2 if axes.get_yscale() == "log" else -np.inf
    ends = rows.dropna(subset=["low", "high"])
    shown = colour if isinstance(colour, str) else list(colour[ends.index])
    axes.vlines(ends[x], ends["low"].clip(lower=edge), ends["high"], shown, linewidth=1.5, **{"zorder": 3, **style})


def _tick_names(sizes: Sequence[Size]) -> dict[int, str]:
    names: dict[int, str] = {}
    for size in sorted(sizes):
        # A study may have both 800 and `full` of 800 examples: one place on the axis, one tick.
        names[size.batch_size] = f"{size.batch_size:,} and full" if size.batch_size in names else size.label
    return names


def log_axis(axes: Axes, which: Literal["x", "y"], values: ArrayLike, unit: str = "") -> None:
    """Make axis x or y logarithmic, its ticks plain numbers, as many as the range of the positive `values` asks."""
    positive = np.asarray(values, dtype=np.float64)
    positive = positive[np.isfinite(positive) & (positive > 0)]
    axis: Axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    decades = float(np.log10(positive.max() / positive.min())) if len(positive) else 1.0
    subs = (1.0, 2.0, 5.0) if decades < 1.7 else (1.0, 3.0) if decades < 3.2 else (1.0,)
    few = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    _ticks(axis, few if decades < 0.6 else LogLocator(subs=subs, numticks=9), positive, unit)
    axis.set_minor_locator(NullLocator())


def _tick(value: float, unit: str = "") -> str:
    return plain(value, unit) if unit else compact(value)


def _ticks(axis: Axis, locator: MaxNLocator | LogLocator, values: Iterable[float], unit: str) -> None:
    """Ticks with their unit; of many seconds in whole minutes or hours, where all `values` read well in these."""
    least, most = min(values, default=0.0), max(values, default=0.0)
    longer = [(length, name) for length, start, name in TIMES if length > 1 and most >= start]
    length, name = next((found for found in longer if unit == "s" and least >= found[0] / 100), (1.0, unit))
    if length == 1:
        axis.set_major_locator(locator)
        axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, unit)))
    else:
        axis.set_major_locator(_Multiples(locator, length))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{compact(value / length)} {name}"))


class _Multiples(Locator):
    """The ticks that `of` puts on an axis in a unit `length` times as large."""

    def __init__(self, of: MaxNLocator | LogLocator, length: float) -> None:
        self._of, self._length = of, length

    def __call__(self) -> Sequence[float]:
        assert self.axis is not None
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        found = self._of.tick_values(vmin / self._length, vmax / self._length)
        return [self._length * float(value) for value in found]


def counts_axis(axes: Axes) -> None:
    """Few, whole ticks with thousands set off, on an x axis that counts epochs or examples from zero."""
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def plain_axis(axes: Axes, unit: str = "") -> None:
    """A linear y axis with a few plain numbers."""
    most = axes.get_ylim()[1] if unit else 0.0
    _ticks(axes.yaxis, MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]), [most], unit)


def whole_axis(axes: Axes) -> None:
    """A linear y axis that counts from zero."""
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])


def note(axes: Axes, lines: Sequence[str]) -> None:
    """Small words in the upper right corner of a panel."""
    axes.text(0.98, 0.95, "\n".join(lines), transform=axes.transAxes, ha="right", va="top", fontsize=9, color=GREY)


def say(axes: Axes, words: str) -> None:
    """Say in the panel why nothing is drawn in it. Ticks that no other panel shares are taken away."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=GREY)
    axes.grid(False)
    if len(axes.get_shared_x_axes().get_siblings(axes)) == 1:
        axes.tick_params(bottom=False, labelbottom=False)
    if len(axes.get_shared_y_axes().get_siblings(axes)) == 1:
        axes.tick_params(left=False, labelleft=False)


def save(made: Figure, path: str | Path, *, title: str, alt: str) -> None:
    """Write `made` as SVG with text as text, a title and `alt` as description. Equal figures give equal bytes.

    Its `views`, if any, stand in it as elements `<view>`.
    All ids in the file start with a hash of its place in the study (data set, recipe, name), so that several files can
    stand in one HTML page.
    """
    mark = "f" + hashlib.sha256("/".join(Path(path).parts[-3:]).encode()).hexdigest()[:8]
    buffer = io.StringIO()
    with applied(), mpl.rc_context({"svg.hashsalt": mark}):
        made.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"(<defs>)", lambda found: _views(made) + found[0], buffer.getvalue(), count=1)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', text)
    text = re.sub(r'(url\(|href=")#', rf"\1#{mark}-", text)
    words = f'<title id="{mark}-title">{escape(title)}</title>\n <desc id="{mark}-desc">{escape(alt)}</desc>'
    opened = f'<svg id="{mark}" role="img" aria-labelledby="{mark}-title {mark}-desc" '
    text, count = re.subn(r"<svg ([^>]*)>", lambda found: f"{opened}{found[1]}>\n {words}", text, count=1)
    if count != 1:
        raise ValueError(f"{path}: Matplotlib wrote no <svg> element")
    with atomic_path(path) as temporary:
        temporary.write_text(sealed_markup(svg.compact(text, mark)), encoding="utf-8")


def _views(made: Figure) -> str:
    """Where the views of a drawn figure lie, in points from the upper left."""
    width, height = (72 * inches for inches in made.get_size_inches())
    found = []
    for part in made.subfigs:
        box = part.bbox.transformed(made.transFigure.inverted())
        place = " ".join(f"{each:g}" for each in np.round(_from_above(box, width, height), 2))
        found.append(f'<view id="{str(part.get_gid()).removeprefix(_VIEW)}" viewBox="{place}"/>\n')
    return "".join(found)


def _from_above(box: BboxBase, width: float, height: float) -> tuple[float, float, float, float]:
    return box.x0 * width, (1 - box.y1) * height, box.width * width, box.height * height
