"""The answer at a glance: quality and time against batch size, with the recommended size and its equals marked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batchscope import text
from batchscope.analysis import recommendation
from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, labelled
from batchscope.figures.targets import sentence_case
from batchscope.figures.words import elsewhere, joined, plain, seeds_in_words, series_in_words
from batchscope.tables.cells import listed
from batchscope.tables.metrics import METRICS

_HEIGHT, _NARROW_HEIGHT = 2.0, 1.75  # inches of a panel
_ROOM = 0.42  # inches that a value takes beside its point
_PER_DECADE = 8.0  # a wider range than this gets a logarithmic axis
_TIMES = {
    recommendation.TO_SELECTED: "Time to the selected evaluation",
    recommendation.PER_EPOCH: "Time per epoch",
}


def draw_answer(frames: Frames) -> Figure:
    """Quality above, time below; sizes not significantly worse than the best are shaded, the recommended one marked."""
    return _drawn(frames, _HEIGHT, theme.WIDTH)


def draw_answer_narrow(frames: Frames) -> Figure:
    """The same for a phone: as wide as its page, so that the type keeps its size."""
    return _drawn(frames, _NARROW_HEIGHT, theme.NARROW)


def caption_answer(frames: Frames) -> str:
    """What is drawn, and what shade and line mean."""
    named = _recommendation(frames)
    quality, seconds, _ = _series(frames)
    clock = "as measured elsewhere" if elsewhere(frames) else "updates alone, timed in isolation"
    return joined(
        [
            f"Means with 95 % t-intervals over {seeds_in_words(frames)}." if len(quality) else "",
            "Shaded: sizes that are not significantly worse than the best (Holm-adjusted p above 0.05)."
            if len(_equals(frames, named)) > 1
            else "",
            "Dotted: the recommended size." if pd.notna(named["batch_size"]) else "",
            f"Time: {clock}." if len(seconds) else "",
        ]
    )


def alt_answer(frames: Frames) -> str:
    """Both curves in words, and the recommended size."""
    named = _recommendation(frames)
    quality, seconds, kind = _series(frames)
    curves = [
        series_in_words(name, [(Size.of(row), row["value"]) for row in rows], unit)
        for name, rows, unit in (
            (sentence_case(METRICS[named["metric"]].words), quality.to_dict("records"), ""),
            (_TIMES[kind], seconds.to_dict("records"), "s"),
        )
        if rows
    ]
    size = f"Recommended: batch size {Size.of(named).label}." if pd.notna(named["batch_size"]) else ""
    return joined([size or "No size is recommended.", *curves])


caption_answer_narrow, alt_answer_narrow = caption_answer, alt_answer


def _drawn(frames: Frames, height: float, width: float) -> Figure:
    quality, seconds, kind = _series(frames)
    named = _recommendation(frames)
    series = ((quality, "", _quality_title(named)), (seconds, "s", _TIMES[kind]))
    drawn = [each for each in series if len(each[0])]
    made, axes = theme.figure(len(drawn), 1, height, extra=0.3, width=width)
    for at, (rows, unit, title) in zip(axes, drawn, strict=True):
        _panel(frames, at, rows, unit, _with_room(rows, named, width))
        _mark(frames, at, named, first=at is axes[0])
        at.set_title(title)
        theme.batch_axis(at, frames.sizes, label=at is axes[-1], width=width)
        at.grid(visible=False, axis="x")
    return made


def _recommendation(frames: Frames) -> dict[str, Any]:
    return {str(name): value for name, value in frames.of("recommendation").iloc[0].items()}


def _series(frames: Frames) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Quality and seconds by size, each with value, low and high; and what the seconds are."""
    best = labelled(frames.of("best"))
    columns = ["batch_size", "full_batch", "size"]
    quality = best[[*columns, "value_mean", "value_ci_low", "value_ci_high"]].set_axis(
        [*columns, "value", "low", "high"], axis=1
    )
    _, kind = recommendation.spent(frames.of("best"), _equals(frames, _recommendation(frames)))
    column = {recommendation.TO_SELECTED: "seconds_to_selected"}.get(kind, "seconds_per_epoch")
    seconds = best[[*columns, column]].set_axis([*columns, "value"], axis=1).assign(low=np.nan, high=np.nan)
    return quality.dropna(subset="value"), seconds.dropna(subset="value"), kind


def _equals(frames: Frames, named: dict[str, Any]) -> list[Size]:
    """The sizes that are not significantly worse than the best, which is one of them."""
    labels = {*listed(named["not_worse"])}
    own = {Size.of(named, of).label for of in ("", "best_") if pd.notna(named[f"{of}batch_size"])}
    return [size for size in frames.sizes if size.label in labels | own]


def _with_room(rows: pd.DataFrame, named: dict[str, Any], width: float) -> set[str]:
    """The sizes whose values stand beside their points without meeting: the recommended and the best one first."""
    at = dict(zip(rows["size"], np.log2(rows["batch_size"].to_numpy(np.float64)), strict=True))
    inches = 0.8 * width / (max(at.values()) - min(at.values()) + 1.4)
    first = {Size.of(named, of).label for of in ("", "best_") if pd.notna(named[f"{of}batch_size"])}
    told: list[str] = []
    for size in sorted(at, key=lambda size: size not in first):
        if all(inches * abs(at[size] - at[other]) >= _ROOM for other in told):
            told.append(size)
    return {*told}


def _panel(frames: Frames, at: Axes, rows: pd.DataFrame, unit: str, told: set[str]) -> None:
    """Points with their intervals and, of the sizes in `told`, their values, joined by a thin line."""
    coloured = theme.by_size(frames)
    theme.lines(at, rows, "batch_size", "value", color=theme.FAINT, linewidth=1.2, zorder=1)
    theme.dots(at, rows, "batch_size", "value", s=52, zorder=4, **coloured)
    values = rows["value"].to_numpy(np.float64)
    if values.min() > 0 and values.max() > _PER_DECADE * values.min():
        theme.log_axis(at, "y", values, unit)
    else:
        theme.plain_axis(at, unit)
    at.margins(y=0.25)
    at.autoscale_view()
    theme.bars(at, rows, "batch_size", rows["size"].map(coloured["palette"]))
    series = rows.to_dict("records")
    for row, following in zip_longest(series, series[1:]):
        shown = plain(row["value"], unit) if unit else text.number(row["value"])
        ends = text.interval(row["value"], row["low"], row["high"]) if not unit else shown
        theme.tips(at, [(row["batch_size"], row["value"], f"batch size {row['size']}: {ends}")])
        if row["size"] not in told:
            continue
        # On the side of the line that goes on from here.
        rises = following is not None and following["value"] > row["value"]
        aside = {"xytext": (6, -4), "va": "top"} if rises else {"xytext": (6, 5)}
        at.annotate(
            shown, (row["batch_size"], row["value"]), textcoords="offset points", fontsize=8.5, zorder=6, **aside
        )


def _mark(frames: Frames, at: Axes, named: dict[str, Any], *, first: bool) -> None:
    """A shade behind the sizes that are not significantly worse, and a line at the recommended one."""
    shaded = _equals(frames, named)
    for low, high in _spans(frames.sizes, shaded) if len(shaded) > 1 else ():
        at.axvspan(low, high, color=theme.SHADE, linewidth=0, zorder=0)
    if first and len(shaded) > 1:
        low, high = _spans(frames.sizes, shaded)[0]
        # Above the large sizes it ends where the shade does, and not beyond the panel.
        late = low * high > frames.sizes[0].batch_size * frames.sizes[-1].batch_size
        at.annotate(
            "not significantly different",
            (high if late else low, 1),
            (-4 if late else 4, -3),
            xycoords=at.get_xaxis_transform(),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            fontsize=8.5,
            color=theme.GREY,
            zorder=3,
            bbox={"facecolor": theme.SHADE, "linewidth": 0, "pad": 1.5},
        )
    if pd.notna(named["batch_size"]):
        at.axvline(float(named["batch_size"]), color=theme.PICK, linestyle=(0, (1, 2)), linewidth=1.4, zorder=2)


def _spans(sizes: Sequence[Size], chosen: Sequence[Size]) -> list[tuple[float, float]]:
    """Where the chosen sizes lie on the axis: from halfway to the size before to halfway to the one after."""
    logs = [float(np.log2(size.batch_size)) for size in sizes]
    found: list[tuple[float, float]] = []
    for index, size in enumerate(sizes):
        if size not in chosen:
            continue
        low = logs[index] - (0.5 * (logs[index] - logs[index - 1]) if index else 0.45)
        high = logs[index] + (0.5 * (logs[index + 1] - logs[index]) if index + 1 < len(logs) else 0.45)
        if found and sizes[index - 1] in chosen:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return [(2**low, 2**high) for low, high in found]


def _quality_title(named: dict[str, Any]) -> str:
    metric = METRICS[named["metric"]]
    unit = f", {metric.unit}" if metric.unit else ""
    return f"{sentence_case(metric.words)}{unit}"
