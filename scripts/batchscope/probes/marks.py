"""What figures of probes draw alike: checkpoints, the numbers of a table by batch size, bars, lines, log axes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from batchscope.figures import theme
from batchscope.figures.against import Point
from batchscope.figures.frames import Frames, Size, labelled, of_size
from batchscope.figures.frames import known as number
from batchscope.probes.moments import known
from batchscope.training.checkpoints import Checkpoint

_MARKERS = "osD^vPXh"


def looks(checkpoints: Collection[Checkpoint]) -> dict[Checkpoint, dict[str, Any]]:
    """Marker and grey of each checkpoint, darker the later; colours are those of the batch sizes alone."""
    greys = np.linspace(0.57, 0.05, len(checkpoints)) if len(checkpoints) > 1 else [0.2]
    return {
        checkpoint: {"marker": _MARKERS[i % len(_MARKERS)], "color": str(round(float(grey), 3))}
        for i, (checkpoint, grey) in enumerate(zip(checkpoints, greys, strict=True))
    }


def handles(checkpoints: Collection[Checkpoint]) -> list[Line2D]:
    """Entries of a legend for the looks of `checkpoints`."""
    return [
        Line2D([], [], linewidth=0, markersize=5, label=checkpoint.label, **look)
        for checkpoint, look in looks(checkpoints).items()
    ]


def bar(
    axes: Axes, x: ArrayLike, value: ArrayLike, ends: tuple[ArrayLike | None, ArrayLike | None], **style: Any
) -> None:
    """Bars between the `ends` around each `value`, none where one is null; on a log axis down to below its edge."""
    at, middle, low, high = (np.atleast_1d(np.asarray(each, np.float64)) for each in (x, value, *ends))
    there = np.isfinite(middle) & np.isfinite(low) & np.isfinite(high)
    edge = axes.get_ylim()[0] / 2 if axes.get_yscale() == "log" else -np.inf
    reach = np.maximum(0.0, [middle - np.maximum(low, edge), high - middle])[:, there]
    if there.any():
        looks = {"elinewidth": 1.3, "capsize": 2.5, "zorder": 3, "linewidth": 0, **style}
        axes.errorbar(at[there], middle[there], reach, **looks)


def log_limits(axes: Axes, values: ArrayLike, further: ArrayLike = (), reach: float = 10.0, unit: str = "") -> bool:
    """A log y axis around the positive `values`; False without such.

    `further` numbers, the ends of bars, widen it by a factor of `reach` on each side at most.
    """
    found, ends = (known(np.ravel(np.asarray(numbers, np.float64))) for numbers in (values, further))
    found, ends = found[found > 0], ends[ends > 0]
    if not len(found):
        return False
    low = max(min(found.min(), ends.min(initial=np.inf)), found.min() / reach)
    high = min(max(found.max(), ends.max(initial=0)), found.max() * reach)
    margin = max(1.2, (high / low) ** 0.06)
    theme.log_axis(axes, "y", [low / margin, high * margin], unit)
    axes.set_ylim(low / margin, high * margin)
    return True


def points(
    table: pd.DataFrame, sizes: Sequence[Size], name: str, singles: pd.DataFrame | None = None
) -> dict[Size, Point]:
    """The number `name` of `table` by the sizes that have one: NAME or NAME_mean with the ends of its interval.

    Ends are NAME_ci_low and NAME_ci_high, or the quartiles NAME_q25 and NAME_q75, where the table has them; the single
    values, by seed, are those of the column `name` of `singles`.
    """
    middle = f"{name}_mean" if f"{name}_mean" in table else name
    ends = ("_q25", "_q75") if f"{name}_q25" in table else ("_ci_low", "_ci_high")
    found = {}
    for size in sizes if middle in table else ():
        for row in of_size(table, size).dropna(subset=[middle]).head(1).to_dict("records"):
            low, high = (number(row.get(f"{name}{end}")) for end in ends)
            own = None if singles is None else of_size(singles, size).dropna(subset=[name])
            by_seed = {} if own is None else dict(zip(own["seed"].tolist(), own[name].tolist(), strict=True))
            found[size] = Point(float(row[middle]), low, high, by_seed)
    return found


def markers(
    axes: Axes, frames: Frames, drawn: Mapping[Size, Point], shift: float = 0.0, *, colour: str = "", **look: Any
) -> None:
    """A marker per size with its interval and, beside it, its single values, in the colour of the size or in `colour`.

    `shift` moves it by a share of the way to the next size; `look` are further options of the marker.
    """
    shades = theme.colours(frames)
    for size, point in drawn.items():
        room, shade = theme.spacing(frames.sizes, size), colour or shades[size]
        x = size.batch_size * 2 ** (shift * room)
        bar(axes, x, point.value, (point.low, point.high), color=shade)
        axes.plot([x], [point.value], linewidth=0, color=shade, zorder=4, **look)
        if len(point.singles) > 1:
            beside = x * 2 ** (np.linspace(0.16, 0.34, len(point.singles)) * room)
            axes.plot(beside, [*point.singles.values()], "o", color=shade, ms=3, mew=0, zorder=2)


def handle(label: str, *, colour: str = theme.INK, lw: float = 0.0, **look: Any) -> Line2D:
    """The entry of a legend for what `markers` draws with the same options, on a line `lw` points wide."""
    return Line2D([], [], lw=lw, color=colour, label=label, **look)


def lines(axes: Axes, table: pd.DataFrame, frames: Frames, x: str, y: str, **style: Any) -> None:
    """A line per batch size, in its colour."""
    theme.lines(axes, labelled(table), x, y, **theme.by_size(frames), **style)


def dots(axes: Axes, table: pd.DataFrame, frames: Frames, x: str, y: str, **style: Any) -> None:
    """A dot per row in the colour of its batch size; to be drawn before an axis becomes logarithmic: seaborn rounds."""
    import seaborn as sns

    sns.scatterplot(labelled(table), x=x, y=y, ax=axes, legend=False, **theme.by_size(frames), **style)
