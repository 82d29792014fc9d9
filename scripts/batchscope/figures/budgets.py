"""What a target costs in seconds and joules, and how far equal budgets bring every batch size."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from batchscope.figures import theme
from batchscope.figures.against import Point, cut_in_words, draw, readings
from batchscope.figures.frames import Frames, Size, known, of_size
from batchscope.figures.target_words import imported, runs_in_words, targets_alt
from batchscope.figures.targets import metrics_of, panel, sentence_case, targets_of, unreached_mark
from batchscope.figures.words import joined, plain, range_in_words, series_in_words
from batchscope.text import listing

_COSTS = {"seconds": ("Time to the target", "s"), "joules": ("Energy to the target", "J")}
_BUDGETS = ("epochs", "updates", "seconds")
_MEASURES = ("validation_loss", "validation_error")


def draw_time_to_target(frames: Frames) -> Figure:
    """Seconds, and joules where they were measured, to every target against batch size."""
    metrics, costs = metrics_of(frames), _measured(frames)
    made, panels = theme.figure(len(metrics) * len(costs), 1, 2.8, extra=0.8)
    places = [(metric, cost) for metric in metrics for cost in costs]
    for axes, (metric, cost) in zip(panels, places, strict=True):
        label, unit = _COSTS[cost]
        targets = targets_of(frames, metric)
        panel(axes, frames, targets, cost, label, joined=targets, shown_unit=unit)
    made.align_ylabels(panels)
    theme.legend(made, unreached_mark(frames))
    return made


def title_time_to_target(frames: Frames) -> str:
    """What was measured on the way to the targets."""
    return f"Time{' and energy' if 'joules' in _measured(frames) else ''} to the targets"


def caption_time_to_target(frames: Frames) -> str:
    """What is drawn, by which rule, over how many runs."""
    costs = _measured(frames)
    if not frames.to_target[costs].notna().any(axis=None):
        return "The time to a target was not measured: no timings, or no run reached a target."
    seconds = "as measured elsewhere" if imported(frames) else "updates times those of an update, timed in isolation"
    return joined([f"{_heading(costs)} until a run reached a target: {seconds}.", runs_in_words(frames)])


def alt_time_to_target(frames: Frames) -> str:
    """Axes and values."""
    costs = _measured(frames)
    if not frames.to_target[costs].notna().any(axis=None):
        return "Time to the target against batch size: not measured."
    words = {"seconds": ("time", "s"), "joules": ("energy", "J")}
    head = f"{_heading(costs)} to the target against batch size."
    return joined([head, *(targets_alt(frames, cost, *words[cost]) for cost in costs)])


def draw_equal_budget(frames: Frames) -> Figure:
    """Validation loss (or error) against batch size after each equal budget: epochs, updates, seconds."""
    budgets, measure = _budgets(frames), _measure(frames)
    made, panels = theme.figure(len(budgets), 1, 2.0, extra=0.6)
    for axes, budget in zip(panels, budgets, strict=True):
        axes.set_title(_amount(frames, budget))
        points = _points(frames, budget, measure)
        bottom = axes is panels[-1]
        label = sentence_case(measure.replace("_", " "))
        draw(axes, frames, points, label, logarithmic=True, bottom=bottom)
        without = _without(frames, budget)
        if without:
            style: dict[str, Any] = {"color": theme.GREY, "markerfacecolor": "none", "markersize": 5, "clip_on": False}
            axes.plot(without, [0.97] * len(without), "^", transform=axes.get_xaxis_transform(), **style)
    made.align_ylabels(panels)
    return made


def title_equal_budget(frames: Frames) -> str:
    """What was spent."""
    return f"Validation at equal {listing(_budgets(frames))}"


def caption_equal_budget(frames: Frames) -> str:
    """What is drawn, at which budgets, over how many runs."""
    rows, measure, budgets = frames.equal_budget, _measure(frames), _budgets(frames)
    counts = [int(n) for n in rows["n"] if n > 0]
    points = [point for budget in budgets for point in _points(frames, budget, measure).values()]
    return joined(
        [
            f"Mean {measure.replace('_', ' ')} of the same runs after equal budgets, the largest that every run that "
            "ended ok has spent.",
            f"Bars: 95 % t-intervals over n = {range_in_words(counts)} runs."
            if max(counts, default=0) > 1
            else "No bars: one run.",
            "Triangles: sizes without a value there." if any(_without(frames, budget) for budget in budgets) else "",
            cut_in_words(points),
        ]
    )


def alt_equal_budget(frames: Frames) -> str:
    """Axes and values."""
    measure = _measure(frames)
    words = [
        series_in_words(
            f"{_amount(frames, budget)}: the mean {measure.replace('_', ' ')}",
            readings(frames, _points(frames, budget, measure)),
        )
        for budget in _budgets(frames)
    ]
    return joined(["Against batch size, a panel for each budget.", *words])


def _measured(frames: Frames) -> list[str]:
    """Seconds always, so that the figure says that they are missing; joules where there are any."""
    return ["seconds", *(["joules"] if frames.to_target["joules"].notna().any() else [])]


def _heading(costs: list[str]) -> str:
    return "Time (above) and energy (below)" if len(costs) > 1 else "Time"


def _measure(frames: Frames) -> str:
    """The loss, or the error where an import has no loss."""
    return next((m for m in _MEASURES if frames.equal_budget[f"{m}_mean"].notna().any()), _MEASURES[0])


def _budgets(frames: Frames) -> list[str]:
    """Those after which anything was measured."""
    measure = _measure(frames)
    return [budget for budget in _BUDGETS if _points(frames, budget, measure)] or ["epochs"]


def _amount(frames: Frames, budget: str) -> str:
    """`Equal epochs: 20`; without the number where there is none."""
    rows = frames.equal_budget
    amounts = rows.loc[rows["budget"] == budget, "amount"].dropna()
    if amounts.empty:
        return f"Equal {budget}"
    value = float(amounts.iloc[0])
    return f"Equal {budget}: {plain(value, 's') if budget == 'seconds' else plain(value)}"


def _without(frames: Frames, budget: str) -> list[int]:
    """Sizes of which no run has a value at that budget, where others have one."""
    points = _points(frames, budget, _measure(frames))
    return [size.batch_size for size in frames.sizes if size not in points] if points else []


def _points(frames: Frames, budget: str, measure: str) -> dict[Size, Point]:
    rows = frames.equal_budget[frames.equal_budget["budget"] == budget].dropna(subset=[f"{measure}_mean"])
    names = [f"{measure}_{part}" for part in ("mean", "ci_low", "ci_high")]
    return {
        size: Point(mean, known(low), known(high))
        for size in frames.sizes
        for mean, low, high in of_size(rows, size)[names].itertuples(index=False)
    }
