"""What came out at each batch size, what it took, and how the runs ended: one number per size, on the log2 axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from batchscope.analysis.best import ACCURACY, LOSS
from batchscope.analysis.summary import GAP, OUTCOMES
from batchscope.analysis.times import time_of
from batchscope.figures import theme
from batchscope.figures.against import Panel, Point, Points, cut_in_words, over_seeds, stack
from batchscope.figures.frames import Frames, Size, of_size, value_of
from batchscope.figures.targets import sentence_case
from batchscope.figures.words import (
    elsewhere,
    failed_in_words,
    intervals_in_words,
    joined,
    outcomes_in_words,
    range_in_words,
)
from batchscope.stats import LEVEL
from batchscope.stats.times import JOB_SPREAD
from batchscope.tables.metrics import METRICS

_LOG = {"logarithmic": True}
_NO_RUN = "not measured, or no run ended ok"
_NO_TIMING = "not measured: no timing of these sizes"


def _seconds(frames: Frames, *, per_epoch: bool) -> dict[Size, Point]:
    """Median over the windows of a timing with its interval."""
    points = {}
    for size in frames.sizes:
        timed = of_size(frames.timings, size).dropna(subset=["seconds_per_update"])
        if len(timed):
            row = timed.iloc[0]
            factor = float(row["updates_per_epoch"]) if per_epoch else 1.0
            middle, time = factor * float(row["seconds_per_update"]), time_of(row.to_dict())
            low, high = (middle * end for end in time.factors) if time else (None, None)
            windows = of_size(frames.windows, size)
            singles = dict(zip(windows["window"], factor * windows["seconds_per_update"], strict=True))
            points[size] = Point(middle, low, high, singles)
    return points


def _throughput(frames: Frames) -> dict[Size, Point]:
    return {
        size: Point(
            size.batch_size / point.value,
            None if point.high is None else size.batch_size / point.high,
            None if point.low is None else size.batch_size / point.low,
            {window: size.batch_size / seconds for window, seconds in point.singles.items()},
        )
        for size, point in _seconds(frames, per_epoch=False).items()
    }


def _summary(frames: Frames, column: str) -> dict[Size, Point]:
    values = {size: value_of(frames.summary, size, column) for size in frames.sizes}
    return {size: Point(value) for size, value in values.items() if value is not None}


def _line_at_zero(axes: Sequence[Axes], points: Sequence[Points]) -> None:
    if points[0]:
        axes[0].axhline(0, color=theme.GREY, linewidth=0.8)


def _below_from_zero(axes: Sequence[Axes], _: Sequence[Points]) -> None:
    axes[1].set_ylim(bottom=0)


def _from_zero(axes: Sequence[Axes], points: Sequence[Points], factor: float = 1.15, least: float = 0.0) -> None:
    if points[0]:
        axes[0].set_ylim(0, max(least, factor * max(point.value for point in points[0].values())) or 1)


def _one_over_root(axes: Sequence[Axes], points: Sequence[Points]) -> None:
    """A line of slope -1/2 from the smallest size, to compare with."""
    values = {float(size.batch_size): point.value for size, point in points[0].items()}
    if len(values) > 1 and min(values.values()) > 0:
        x = np.array([*values])
        y = values[x[0]] * np.sqrt(x[0] / x)
        axes[0].plot(x, y, color=theme.GREY, linestyle=(0, (4, 3)), linewidth=1.0, zorder=1)


def _panel(label: str, words: str, metric: str, **style: bool) -> Panel:
    return Panel(label, words, partial(over_seeds, metric=metric), style=style)


_LOSS = _panel("Best validation loss", "The mean best validation loss", LOSS, logarithmic=True, linked=True)
_ACCURACY = _panel("Test accuracy", "The mean test accuracy", ACCURACY, linked=True)
_GAP = _panel("Train − test accuracy", "The mean train minus test accuracy", GAP)
_UPDATES = _panel("Updates", "The mean number of updates", "updates", logarithmic=True)
_SELECTED = _panel("Selected epoch", "The mean selected epoch", "selected_epoch")
_NOISE = _panel("Noise of the step loss", "The mean noise", "step_loss_noise", logarithmic=True)
_UPDATE = Panel("Time per update", "The median time per update", partial(_seconds, per_epoch=False), "s", _LOG)
_EPOCH = Panel("Time per epoch", "The median time per epoch", partial(_seconds, per_epoch=True), "s", _LOG)
_EXAMPLES = Panel("Examples per second", "The median number of examples per second", _throughput, style=_LOG)
_MEMORY = Panel("Peak memory", "The peak memory", partial(_summary, column="memory_bytes"), "B")
_BUSY = Panel("Utilisation (%)", "Utilisation in percent", partial(_summary, column="utilisation_percent"))

draw_gap_vs_batch, alt_gap_vs_batch = stack([_GAP], 2.6, _line_at_zero, missing=_NO_RUN)
draw_updates_vs_batch, alt_updates_vs_batch = stack([_UPDATES, _SELECTED], 2.0, _below_from_zero, missing=_NO_RUN)
draw_noise_vs_batch, alt_noise_vs_batch = stack([_NOISE], 2.9, _one_over_root, missing=_NO_RUN)
draw_time_per_epoch, alt_time_per_epoch = stack([_UPDATE, _EPOCH], 2.2, missing=_NO_TIMING)
draw_throughput, alt_throughput = stack([_EXAMPLES], 2.6, missing=_NO_TIMING)
draw_memory, alt_memory = stack([_MEMORY], 2.4, _from_zero)
draw_utilisation, alt_utilisation = stack([_BUSY], 2.4, partial(_from_zero, factor=1.05, least=105.0))


def _of_runs(what: str, *cut: Panel) -> Callable[[Frames], str]:
    """The caption of a figure of runs; `cut` are panels that cannot show every bar whole."""

    def caption(frames: Frames) -> str:
        points = [point for panel in cut for point in panel.points(frames).values()]
        dots = "Large dots: means; small dots: single runs."
        return joined([what, dots, intervals_in_words(frames), cut_in_words(points), failed_in_words(frames)])

    return caption


def _of_timings(what: str) -> Callable[[Frames], str]:
    """The caption of a figure of timings."""
    return lambda frames: f"{what} {_timing_in_words(frames)}"


def _of_kinds(what: str, column: str) -> Callable[[Frames], str]:
    """The caption of a figure of something of which several kinds can be measured."""

    def caption(frames: Frames) -> str:
        kinds = list(frames.summary[column].dropna())
        if not kinds:
            return f"{what} was not measured."
        if len(frames.timings):
            return f"{what}: {kinds[0]}. One measurement per batch size, in a fresh process: no interval."
        return f"{what}: {kinds[0]}, over the runs of a size. This study has no timings."

    return caption


caption_gap_vs_batch = _of_runs(
    "Training minus test accuracy at the selected epoch, not at equal training loss: sizes that fit the training "
    "part less well have a smaller gap for that reason alone."
)
caption_updates_vs_batch = _of_runs(
    "Above: updates made until the run stopped. Below: the epoch with the lowest validation loss.", _UPDATES, _SELECTED
)
caption_noise_vs_batch = _of_runs(
    "How far the losses of successive batches stray, each size at its own weights. Dashed: ∝ 1/√B from the "
    "smallest size, not fitted.",
    _NOISE,
)
caption_time_per_epoch = _of_timings(
    "Above: time per update. Below: the same times the updates of an epoch; no evaluation, no compilation."
)
caption_throughput = _of_timings("Batch size over the time per update.")
caption_memory = _of_kinds("Peak memory", "memory_kind")
caption_utilisation = _of_kinds("Utilisation", "utilisation_kind")


def _timing_in_words(frames: Frames) -> str:
    if frames.timings.empty:
        return "This study has no timings."
    number = range_in_words(int(count) for count in frames.timings["windows"])
    lenders = sorted(set(frames.timings["timed_recipe"]) - set(frames.timings["recipe"]))
    borrowed = f" The timings are those of {lenders[0]}, which does the same work per update." if lenders else ""
    singles = "" if lenders else "; small dots: single windows"
    return (
        f"Large dots: medians over {number} windows timed in isolation; bars: {LEVEL} intervals, in which another "
        f"job may differ by {100 * JOB_SPREAD:g} %"
        f"{singles}.{borrowed}"
    )


def draw_accuracy_vs_batch(frames: Frames) -> Figure:
    """What sizes are compared by, and the test accuracy below it."""
    return stack(_results(frames), 2.2, missing=_NO_RUN)[0](frames)


def caption_accuracy_vs_batch(frames: Frames) -> str:
    """What is drawn, over how many runs."""
    compared, *others = _results(frames)
    if not elsewhere(frames):
        what = (
            "Above: the lowest validation loss of a run. Below: test accuracy at that epoch, never used for selection. "
            "Thin lines join the runs of a seed."
        )
    elif others:
        what = f"Above: {compared.words.removeprefix('The mean ')}. Below: test accuracy, not used to compare sizes."
    else:
        what = f"{sentence_case(compared.words.removeprefix('The mean '))}."
    return _of_runs(what)(frames)


def alt_accuracy_vs_batch(frames: Frames) -> str:
    """Axes and means."""
    return stack(_results(frames), 2.2)[1](frames)


def _results(frames: Frames) -> list[Panel]:
    """Loss and test accuracy; of runs made elsewhere what they are compared by, and test accuracy where it is known.

    Runs made elsewhere are not joined by their numbers, which need not mean anything.
    """
    if not elsewhere(frames):
        return [_LOSS, _ACCURACY]
    metric = METRICS[str(frames.of("best")["metric"].iloc[0])]
    unit = f" ({metric.unit})" if metric.unit else ""
    label = "\n".join(wrap(f"{sentence_case(metric.words)}{unit}", 22))
    compared = _panel(label, f"The mean {metric.words}", metric.name, logarithmic=metric.name == LOSS)
    known = metric.name != ACCURACY and bool(frames.of("best")["accuracy_mean"].notna().any())
    return [compared, replace(_ACCURACY, style={})] if known else [compared]


def draw_outcomes(frames: Frames) -> Figure:
    """How many runs of each batch size ended how."""
    made, (axes,) = theme.figure(1, 1, 2.2, extra=0.6)
    theme.batch_axis(axes, frames.sizes)
    half = np.array([0.35 * theme.spacing(frames.sizes, size) for size in frames.sizes])
    left, right = (np.array([size.batch_size for size in frames.sizes]) * 2**end for end in (-half, half))
    floor = np.zeros(len(half))
    for outcome in OUTCOMES:
        counts = [int((of_size(frames.runs, size)["outcome"] == outcome).sum()) for size in frames.sizes]
        axes.bar(left, counts, right - left, bottom=floor, align="edge", color=theme.OUTCOMES[outcome])
        floor += counts
    theme.whole_axis(axes)
    axes.set_ylabel("Runs")
    patches = [Patch(color=theme.OUTCOMES[outcome], label=outcome.replace("_", " ")) for outcome in OUTCOMES]
    theme.legend(made, patches)
    return made


def caption_outcomes(frames: Frames) -> str:
    """What is drawn."""
    rest = failed_in_words(frames) or "All runs ended ok."
    return f"How the {len(frames.runs)} runs ended, per batch size. {rest}"


def alt_outcomes(frames: Frames) -> str:
    """How many ended ok, and which did not."""
    ok = int((frames.runs["outcome"] == "ok").sum())
    return f"Bars per batch size: {ok} of {len(frames.runs)} runs ended ok. {outcomes_in_words(frames)}".strip()
