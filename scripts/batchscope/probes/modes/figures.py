"""The loss of the same weights in batches of several sizes, in training mode and in inference mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.figures import against, theme
from batchscope.figures.against import Point, Points
from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.words import series_in_words
from batchscope.probes import marks
from batchscope.probes.words import by_evaluated, seeds_of
from batchscope.tables.cells import sizes_of

_TRAINING, _INFERENCE = "training_loss", "inference_loss"


def draw_evaluation_modes(frames: Frames) -> Figure:
    """Validation loss against the size of the batches evaluated, one panel per batch size of the runs."""
    losses, sizes = _losses(frames), tuple(_evaluated(frames))
    evaluated = replace(frames, sizes=sizes, all_sizes=sizes)
    made, panels = theme.figure_of(len(losses), 2.9 if len(losses) < 3 else 2.4, extra=0.7)
    for axes, (size, found) in zip(panels, losses.items(), strict=True):
        _line(axes, of_size(frames.of("mode_means"), size))
        against.draw(axes, evaluated, found[_TRAINING], "Validation loss")
        axes.set_xlabel("Batch size that is evaluated" if axes in panels[-2:] else "")
        if len(losses) > 1:
            axes.set_title(f"Runs with batch size {size.label}")
    _loss_axis(panels, [point for found in losses.values() for points in found.values() for point in points.values()])
    for right in panels[1::2]:
        right.set_ylabel("")
    handles = [
        Line2D([], [], color=theme.INK, linewidth=0, marker="o", markersize=5, label="training mode"),
        Line2D([], [], color=theme.VALIDATION, linewidth=1.6, label="inference mode"),
    ]
    theme.legend(made, handles)
    return made


def caption_evaluation_modes(frames: Frames) -> str:
    """What is drawn, over how many seeds, and the intervals."""
    several = frames.of("mode_means")["n"].max() > 1
    return (
        "Validation loss of the weights at the end of each run, evaluated in batches of several sizes. Dots: training "
        f"mode, mean over {seeds_of(frames.of('modes'))}"
        + (" with 95 % t-intervals; small dots: single seeds. " if several else ", without intervals. ")
        + ("Line and band: inference mode, the same." if several else "Line: inference mode.")
    )


def alt_evaluation_modes(frames: Frames) -> str:
    """Axes, and the losses in both modes."""
    sentences = ["Validation loss in training and in inference mode against the size of the batches evaluated."]
    losses = _losses(frames)
    for size, found in losses.items():
        after = f" of runs with batch size {size.label}" if len(losses) > 1 else ""
        for mode, points in zip(("training", "inference"), found.values(), strict=True):
            values = [(of, points[of].value if of in points else None) for of in _evaluated(frames)]
            sentences.append(series_in_words(f"The loss in {mode} mode{after}", values))
    return " ".join(sentences)


def _losses(frames: Frames) -> dict[Size, dict[str, Points]]:
    """By batch size of the runs the losses in both modes, each by the size of the batches evaluated."""
    means, runs = frames.of("mode_means"), frames.of("modes")
    return {
        size: {
            loss: marks.points(
                by_evaluated(of_size(means, size)), _evaluated(frames), loss, by_evaluated(of_size(runs, size))
            )
            for loss in (_TRAINING, _INFERENCE)
        }
        for size in sizes_of(runs)
    }


def _evaluated(frames: Frames) -> list[Size]:
    """Sizes of the batches evaluated, smallest first."""
    return sizes_of(by_evaluated(frames.of("modes")))


def _line(axes: Axes, means: pd.DataFrame) -> None:
    """The loss in inference mode with its band; before the axes are logarithmic, since seaborn would round."""
    found = means.dropna(subset=[f"{_INFERENCE}_mean"])
    x, y = found["evaluated_batch_size"], found[f"{_INFERENCE}_mean"]
    import seaborn as sns

    sns.lineplot(x=x, y=y, color=theme.VALIDATION, linewidth=1.6, zorder=2, ax=axes)
    low, high = (found[f"{_INFERENCE}_ci_{end}"].fillna(y) for end in ("low", "high"))
    axes.fill_between(x, low, high, color=theme.VALIDATION, alpha=0.18, linewidth=0, zorder=1)


def _loss_axis(panels: Sequence[Axes], drawn: Sequence[Point]) -> None:
    """One axis for all panels: log where the losses are far apart; bars that go on to zero then end at its edge."""
    values = [value for point in drawn for value in (point.value, *point.singles.values())]
    if not values:
        return
    logarithmic = min(values) > 0 and max(values) > 3 * min(values)
    ends = [end for point in drawn for end in (point.low, point.high) if end is not None]
    reach = [*values, *(end for end in ends if end > 0 or not logarithmic)]
    low, high = min(reach), max(reach)
    for axes in panels:
        if logarithmic:
            theme.log_axis(axes, "y", reach)
            axes.set_ylim(low / (high / low) ** 0.06, high * (high / low) ** 0.06)
        else:
            theme.plain_axis(axes)
            room = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
            axes.set_ylim(low - room, high + room)
