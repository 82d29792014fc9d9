"""The loss of the same weights in batches of several sizes, in training mode and in inference mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.figures import against, theme
from batchscope.figures.against import Point
from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.target_words import joined
from batchscope.figures.words import plain, series_in_words
from batchscope.probes.words import null_in_words, seeds_of, shift
from batchscope.stats.intervals import t_interval

TRAINING, INFERENCE = "training_loss", "inference_loss"


def draw_evaluation_modes(frames: Frames) -> Figure:
    """Validation loss against the size of the batches evaluated, one panel per batch size of the runs."""
    trained, evaluated = trained_sizes(frames), evaluated_sizes(frames)
    made, panels = theme.figure_of(len(trained), 2.9 if len(trained) < 3 else 2.4, extra=0.7)
    drawn: list[Point] = []
    for axes, size in zip(panels, trained, strict=True):
        training, inference = (over_seeds(frames, size, column) for column in (TRAINING, INFERENCE))
        against.draw(axes, replace(frames, sizes=evaluated), training, "Validation loss")
        axes.set_xlabel("Batch size that is evaluated" if axes in panels[-2:] else "")
        if len(trained) > 1:
            axes.set_title(f"Runs with batch size {size.label}")
        _inference(axes, inference)
        drawn += [*training.values(), *inference.values()]
    _loss_axis(panels, drawn)
    for right in panels[1::2]:
        right.set_ylabel("")
    marks = [
        Line2D([], [], color=theme.INK, linewidth=0, marker="o", markersize=5, label="training mode"),
        Line2D([], [], color=theme.VALIDATION, linewidth=1.6, label="inference mode"),
    ]
    theme.legend(made, marks)
    return made


def caption_evaluation_modes(frames: Frames) -> str:
    """What the two modes are, over how many seeds, and what could not be evaluated."""
    several = frames.of("modes")["seed"].nunique() > 1
    reasons = _reasons(frames)
    return joined(
        [
            "Validation loss of the same weights, those at the end of each run, against the size of the batches that "
            "are evaluated together.",
            f"Dots: training mode, mean over {seeds_of(frames.of('modes'))}; "
            + ("bars: 95 % t-intervals; small dots: single seeds. " if several else "no bars: one seed. ")
            + "Line: inference mode, mean over the same seeds"
            + (", band: 95 % t-interval." if several else "."),
            "In training mode batch normalization takes mean and variance from the batch; dropout is off and the "
            "moving statistics are left as they are. In inference mode it uses the moving statistics. Without batch "
            "normalization both are the same.",
            _smallest_in_words(frames),
            "Both losses of a size come from the same examples; sizes that do not divide the largest leave out some.",
            f"Not measured: {reasons}." if reasons else "",
        ]
    )


def alt_evaluation_modes(frames: Frames) -> str:
    """Axes, and the losses in both modes."""
    head = "Validation loss in training and in inference mode against the size of the batches evaluated."
    sentences = []
    for size in trained_sizes(frames):
        after = f" of runs with batch size {size.label}" if len(trained_sizes(frames)) > 1 else ""
        for name, column in (("training", TRAINING), ("inference", INFERENCE)):
            points = over_seeds(frames, size, column)
            values = [(of, points[of].value if of in points else None) for of in evaluated_sizes(frames)]
            sentences.append(series_in_words(f"The loss in {name} mode{after}", values))
    return joined([head, *sentences])


def trained_sizes(frames: Frames) -> list[Size]:
    """Batch sizes of the runs whose weights were evaluated, smallest first."""
    return [size for size in frames.sizes if len(of_size(frames.of("modes"), size))]


def evaluated_sizes(frames: Frames) -> tuple[Size, ...]:
    """Sizes of the batches evaluated, smallest first."""
    return tuple(Size(int(size), False) for size in sorted(set(frames.of("modes")["evaluated_batch_size"])))


def over_seeds(frames: Frames, trained: Size, column: str) -> dict[Size, Point]:
    """Mean, t-interval and single values of a loss over the runs of a size, by the size of the batches evaluated."""
    rows = of_size(frames.of("modes"), trained)
    points = {}
    for size in evaluated_sizes(frames):
        found = rows[rows["evaluated_batch_size"] == size.batch_size].dropna(subset=[column])
        mean = t_interval(found[column].astype("float64"))
        if mean.mean is not None:
            singles = {int(seed): float(loss) for seed, loss in zip(found["seed"], found[column], strict=True)}
            points[size] = Point(mean.mean, mean.low, mean.high, singles)
    return points


def _inference(axes: Axes, points: Mapping[Size, Point]) -> None:
    """Draw the loss in inference mode as a line with a band."""
    x = [size.batch_size for size in points]
    axes.plot(x, [point.value for point in points.values()], color=theme.VALIDATION, linewidth=1.6, zorder=2)
    low = [point.value if point.low is None else point.low for point in points.values()]
    high = [point.value if point.high is None else point.high for point in points.values()]
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


def _smallest_in_words(frames: Frames) -> str:
    """What the smallest batches do to the loss, and why a batch of one is a case of its own."""
    evaluated, parts = evaluated_sizes(frames), []
    for trained in trained_sizes(frames):
        rows = of_size(frames.of("modes"), trained)
        found = shift(rows[rows["evaluated_batch_size"] == evaluated[0].batch_size])
        if found.mean is None:
            continue
        between = "no interval"
        if found.low is not None and found.high is not None:
            between = f"{plain(found.low, digits=3)} to {plain(found.high, digits=3)}"
        after = f" for runs with batch size {trained.label}" if len(trained_sizes(frames)) > 1 else ""
        parts.append(f"{plain(found.mean, digits=3)} nat ({between}){after}")
    one = (
        "In a batch of one a normalized dense layer has no variance and returns its offset, whatever the example."
        if evaluated[0].batch_size == 1
        else ""
    )
    smallest = (
        f"In batches of {evaluated[0].label} training mode minus inference mode is {', '.join(parts)}." if parts else ""
    )
    return joined([smallest, one])


def _reasons(frames: Frames) -> str:
    """Why losses are null, by the size of the batches evaluated."""
    by_evaluated = frames.of("modes").assign(batch_size=frames.of("modes")["evaluated_batch_size"], full_batch=False)
    return null_in_words(by_evaluated, TRAINING, evaluated_sizes(frames), "runs")
