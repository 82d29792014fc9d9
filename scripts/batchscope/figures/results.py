"""What came out at each batch size: loss and accuracy, gap, updates, noise, and how the runs ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from batchscope.analysis.summary import GAP, OUTCOMES
from batchscope.figures import theme
from batchscope.figures.against import Point, cut_in_words, draw, over_seeds, readings
from batchscope.figures.frames import Frames, of_size
from batchscope.figures.words import intervals_in_words, outcomes_in_words, series_in_words

_DOTS = "Large dots: means; small dots beside them: single runs."
_NO_RUN = "not measured, or no run ended ok"


def draw_accuracy_vs_batch(frames: Frames) -> Figure:
    """Best validation loss and test accuracy at the epoch it chose, against batch size."""
    made, (upper, lower) = theme.figure(2, 1, 2.2)
    loss, accuracy = (over_seeds(frames, f"selected_{metric}") for metric in ("validation_loss", "test_accuracy"))
    draw(upper, frames, loss, "Best validation loss", logarithmic=True, linked=True, bottom=False, missing=_NO_RUN)
    draw(lower, frames, accuracy, "Test accuracy", linked=True, missing=_NO_RUN)
    made.align_ylabels()
    return made


def caption_accuracy_vs_batch(frames: Frames) -> str:
    """What is drawn."""
    return _caption(
        frames,
        "Above: the lowest validation loss of a run, over its epochs. Below: the test accuracy at that same epoch; the "
        "test part decides nothing. Thin lines join the runs of a seed, which start from the same weights on the same "
        "data: sizes are compared along them.",
    )


def alt_accuracy_vs_batch(frames: Frames) -> str:
    """Axes and values."""
    loss, accuracy = (over_seeds(frames, f"selected_{metric}") for metric in ("validation_loss", "test_accuracy"))
    return " ".join(
        [
            "Two panels against batch size.",
            series_in_words("The mean best validation loss", readings(frames, loss)),
            series_in_words("The mean test accuracy", readings(frames, accuracy)),
        ]
    )


def draw_gap_vs_batch(frames: Frames) -> Figure:
    """Train minus test accuracy at the selected epoch, against batch size."""
    made, (axes,) = theme.figure(1, 1, 2.6)
    points = over_seeds(frames, GAP)
    draw(axes, frames, points, "Train − test accuracy", missing=_NO_RUN)
    if points:
        axes.axhline(0, color=theme.GREY, linewidth=0.8)
    return made


def caption_gap_vs_batch(frames: Frames) -> str:
    """What is drawn."""
    return _caption(
        frames,
        "Accuracy on the training part minus accuracy on the test part, at the selected epoch. Sizes that fit the "
        "training part less well have a smaller gap for that reason alone: this is not at equal training loss.",
    )


def alt_gap_vs_batch(frames: Frames) -> str:
    """Axes and values."""
    gap = readings(frames, over_seeds(frames, GAP))
    return f"One panel against batch size. {series_in_words('The mean train minus test accuracy', gap)}"


def draw_updates_vs_batch(frames: Frames) -> Figure:
    """Updates per run and epochs to the selected epoch against batch size."""
    made, (upper, lower) = theme.figure(2, 1, 2.0)
    draw(upper, frames, over_seeds(frames, "updates"), "Updates", logarithmic=True, bottom=False, missing=_NO_RUN)
    draw(lower, frames, over_seeds(frames, "selected_epoch"), "Selected epoch", missing=_NO_RUN)
    lower.set_ylim(bottom=0)
    made.align_ylabels()
    return made


def caption_updates_vs_batch(frames: Frames) -> str:
    """What is drawn."""
    return _caption(
        frames,
        "Above: updates made until the run stopped. Below: the epoch with the lowest validation loss; where it is the "
        "last one of the budget, the run may not have finished improving.",
        [*over_seeds(frames, "updates").values(), *over_seeds(frames, "selected_epoch").values()],
    )


def alt_updates_vs_batch(frames: Frames) -> str:
    """Axes and values."""
    return " ".join(
        [
            "Two panels against batch size.",
            series_in_words("The mean number of updates", readings(frames, over_seeds(frames, "updates"))),
            series_in_words("The mean selected epoch", readings(frames, over_seeds(frames, "selected_epoch"))),
        ]
    )


def draw_noise_vs_batch(frames: Frames) -> Figure:
    """Noise of the step loss against batch size, with a line of slope -1/2 to compare with."""
    made, (axes,) = theme.figure(1, 1, 2.9)
    points = over_seeds(frames, "step_loss_noise")
    draw(axes, frames, points, "Noise of the step loss", logarithmic=True, missing=_NO_RUN)
    sizes = [size for size in frames.sizes if size in points]
    if len(sizes) > 1 and all(points[size].value > 0 for size in sizes):
        x = np.array([size.batch_size for size in sizes], dtype=np.float64)
        axes.plot(
            x,
            points[sizes[0]].value * np.sqrt(x[0] / x),
            color=theme.GREY,
            linestyle=(0, (4, 3)),
            linewidth=1.0,
            zorder=1,
        )
        theme.note(axes, ["dashed: ∝ 1/√B, for comparison"])
    return made


def caption_noise_vs_batch(frames: Frames) -> str:
    """What is drawn."""
    return _caption(
        frames,
        "Spread of the losses of successive whole batches: root of a sixth of their mean squared second difference, in "
        "which a steady fall cancels, median over the last half of the run. Each size is measured at its own weights "
        "and its own loss, so sizes differ in more than their batch. The dashed line starts at the smallest size and "
        "falls as one over the root of the batch size, to compare with; it is not fitted.",
        list(over_seeds(frames, "step_loss_noise").values()),
    )


def alt_noise_vs_batch(frames: Frames) -> str:
    """Axes and values."""
    noise = readings(frames, over_seeds(frames, "step_loss_noise"))
    return f"One panel against batch size. {series_in_words('The mean noise', noise)}"


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
    rest = outcomes_in_words(frames) or "All runs ended ok."
    return f"How the {len(frames.runs)} runs ended, per batch size. {rest}"


def alt_outcomes(frames: Frames) -> str:
    """How many ended ok, and which did not."""
    ok = int((frames.runs["outcome"] == "ok").sum())
    return f"Bars per batch size: {ok} of {len(frames.runs)} runs ended ok. {outcomes_in_words(frames)}".strip()


def _caption(frames: Frames, what: str, cut: Sequence[Point] = ()) -> str:
    parts = [what, _DOTS, intervals_in_words(frames), cut_in_words(cut), outcomes_in_words(frames)]
    return " ".join(part for part in parts if part)
