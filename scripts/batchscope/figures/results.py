"""What came out at each batch size: loss and accuracy, gap, updates, noise, and how the runs ended."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from batchscope.analysis.summary import GAP, OUTCOMES
from batchscope.figures import theme
from batchscope.figures.against import Panel, Points, cut_in_words, over_seeds, stack
from batchscope.figures.frames import Frames, of_size
from batchscope.figures.words import failed_in_words, intervals_in_words, outcomes_in_words

_DOTS = "Large dots: means; small dots: single runs."


def _panel(label: str, words: str, metric: str, **style: bool) -> Panel:
    return Panel(label, words, partial(over_seeds, metric=metric), style=style)


def _line_at_zero(axes: Sequence[Axes], points: Sequence[Points]) -> None:
    if points[0]:
        axes[0].axhline(0, color=theme.GREY, linewidth=0.8)


def _below_from_zero(axes: Sequence[Axes], _: Sequence[Points]) -> None:
    axes[1].set_ylim(bottom=0)


def _one_over_root(axes: Sequence[Axes], points: Sequence[Points]) -> None:
    """A line of slope -1/2 from the smallest size, to compare with."""
    values = {float(size.batch_size): point.value for size, point in points[0].items()}
    if len(values) > 1 and min(values.values()) > 0:
        x = np.array([*values])
        y = values[x[0]] * np.sqrt(x[0] / x)
        axes[0].plot(x, y, color=theme.GREY, linestyle=(0, (4, 3)), linewidth=1.0, zorder=1)
        theme.note(axes[0], ["dashed: ∝ 1/√B, for comparison"])


_LOSS = _panel(
    "Best validation loss", "The mean best validation loss", "selected_validation_loss", logarithmic=True, linked=True
)
_ACCURACY = _panel("Test accuracy", "The mean test accuracy", "selected_test_accuracy", linked=True)
_GAP = _panel("Train − test accuracy", "The mean train minus test accuracy", GAP)
_UPDATES = _panel("Updates", "The mean number of updates", "updates", logarithmic=True)
_SELECTED = _panel("Selected epoch", "The mean selected epoch", "selected_epoch")
_NOISE = _panel("Noise of the step loss", "The mean noise", "step_loss_noise", logarithmic=True)
_NO_RUN = "not measured, or no run ended ok"
draw_accuracy_vs_batch, alt_accuracy_vs_batch = stack([_LOSS, _ACCURACY], 2.2, missing=_NO_RUN)
draw_gap_vs_batch, alt_gap_vs_batch = stack([_GAP], 2.6, _line_at_zero, missing=_NO_RUN)
draw_updates_vs_batch, alt_updates_vs_batch = stack([_UPDATES, _SELECTED], 2.0, _below_from_zero, missing=_NO_RUN)
draw_noise_vs_batch, alt_noise_vs_batch = stack([_NOISE], 2.9, _one_over_root, missing=_NO_RUN)


def caption_accuracy_vs_batch(frames: Frames) -> str:
    """What is drawn."""
    return _caption(
        frames,
        "Above: the lowest validation loss of a run. Below: test accuracy at that epoch, never used for selection. "
        "Thin lines join the runs of a seed.",
    )


def caption_gap_vs_batch(frames: Frames) -> str:
    """What is drawn."""
    return _caption(
        frames,
        "Training minus test accuracy at the selected epoch, not at equal training loss: sizes that fit the training "
        "part less well have a smaller gap for that reason alone.",
    )


def caption_updates_vs_batch(frames: Frames) -> str:
    """What is drawn."""
    return _caption(
        frames,
        "Above: updates made until the run stopped. Below: the epoch with the lowest validation loss.",
        _UPDATES,
        _SELECTED,
    )


def caption_noise_vs_batch(frames: Frames) -> str:
    """What is drawn."""
    return _caption(
        frames,
        "How far the losses of successive batches stray, each size at its own weights. Dashed: ∝ 1/√B from the "
        "smallest size, not fitted.",
        _NOISE,
    )


def draw_outcomes(frames: Frames) -> Figure:
    """How many runs of each batch size ended how."""
    made, (axes,) = theme.figure(1, 1, 2.2, extra=0.6)
    theme.batch_axis(axes, frames.sizes)
    for size in frames.sizes:
        width = 0.7 * theme.spacing(frames.sizes, size)
        floor, ended = 0, of_size(frames.runs, size)["outcome"]
        left, right = size.batch_size * 2 ** (-width / 2), size.batch_size * 2 ** (width / 2)
        for outcome in OUTCOMES:
            count = int((ended == outcome).sum())
            axes.bar(left, count, right - left, bottom=floor, align="edge", color=theme.OUTCOMES[outcome])
            floor += count
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


def _caption(frames: Frames, what: str, *cut: Panel) -> str:
    """`cut` are panels that cannot show every bar whole."""
    points = [point for panel in cut for point in panel.points(frames).values()]
    parts = [what, _DOTS, intervals_in_words(frames), cut_in_words(points), failed_in_words(frames)]
    return " ".join(part for part in parts if part)
