"""Gradients of batches at weights that do not move: variance, signal-to-noise ratio, direction and bias."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.target_words import joined
from batchscope.figures.words import plain, series_in_words
from batchscope.probes import marks, moments
from batchscope.probes.gradients.noise_scale import alt_noise_scale, caption_noise_scale, draw_noise_scale
from batchscope.probes.moments import intervals, over_seeds
from batchscope.text import fixed, listing
from batchscope.training.checkpoints import Checkpoint, by_checkpoint

__all__ = [
    "alt_gradient_direction",
    "alt_gradient_variance",
    "alt_noise_scale",
    "caption_gradient_direction",
    "caption_gradient_variance",
    "caption_noise_scale",
    "draw_gradient_direction",
    "draw_gradient_variance",
    "draw_noise_scale",
]

MOST_SIZES = 3  # of the runs whose weights are looked at: a column of panels each
_DRAWN = "drawn_batch_size"
_NOISE = "gradient_signal_to_noise"
_DASHED = (0, (4, 3))
_BEYOND = 30.0  # a quartile so many times below every median is cut at the edge


def draw_gradient_variance(frames: Frames) -> Figure:
    """Variance and signal-to-noise ratio of the gradient against the size of the batches drawn, log-log."""
    made = _figure(frames, (2.5, 2.3), _variance, _signal)
    references = [
        Line2D([], [], color=theme.GREY, linewidth=1.0, label="expected"),
        Line2D([], [], color=theme.GREY, linewidth=1.0, linestyle=_DASHED, label="∝ 1/B, ∝ √B"),
    ]
    theme.legend(made, [*marks.handles(_checkpoints(frames)), *references])
    return made


def caption_gradient_variance(frames: Frames) -> str:
    """What is drawn, over how many seeds, the lines to compare with and the slopes."""
    rows = _shown(frames)
    counts = [
        found.n for *_, part in _parts(frames) for found in over_seeds(part, "gradient_variance", _DRAWN).values()
    ]
    return joined(
        [
            _drawn_in_words(frames),
            "Above: variance of the gradient of a batch (trace of its covariance). Markers: means; "
            f"{intervals(counts)}. Solid: what is expected, the variance of one "
            "example over the size B, times (n − B)/(n − 1) for draws without replacement; dashed: the same without "
            "that factor, in proportion to 1/B. Neither is fitted to the batches.",
            "Below: signal-to-noise ratio of a weight, its full gradient over the standard deviation over batches. "
            "Markers: median over the weights; bars: quartiles over the weights; both means over seeds. Dashed: in "
            "proportion to √B from the smallest size.",
            _dead_in_words(rows),
            moments.missing_in_words(frames, rows, _trained(frames)),
            _slopes_in_words(frames),
        ]
    )


def alt_gradient_variance(frames: Frames) -> str:
    """Axes, values and slopes."""
    head = "Two rows of panels against the size of the batches drawn."
    return joined([head, *_readings(frames, {"gradient_variance": "variance", _NOISE: "median signal-to-noise ratio"})])


def draw_gradient_direction(frames: Frames) -> Figure:
    """Cosine of the gradient of a batch to the full gradient, and its relative bias, against the size drawn."""
    made = _figure(frames, (2.3, 1.9), _cosine, _bias)
    theme.legend(made, marks.handles(_checkpoints(frames)))
    return made


def caption_gradient_direction(frames: Frames) -> str:
    """What is drawn, and how often the bias is more than its error."""
    rows = _shown(frames)
    biases = [bias for *_, part in _parts(frames) for bias in _biases(part).values()]
    beyond = sum(abs(mean) > 2 * error for mean, error in biases)
    counts = [found.n for *_, part in _parts(frames) for found in over_seeds(part, "cosine_mean", _DRAWN).values()]
    return joined(
        [
            _drawn_in_words(frames),
            "Above: cosine of the angle between the gradient of a batch and G, the gradient of all these examples. "
            f"Markers: means over the batches; bars: quartiles over the batches; both means over "
            f"{moments.seeds(counts)}.",
            "Below: bias, the mean over batches (more of them, "
            f"{moments.ranged(rows['bias_batches'])}) of the gradient along G minus G, relative to |G|; bars: ± 2 "
            f"standard errors. {_beyond_in_words(beyond, len(biases))}",
            moments.missing_in_words(frames, rows, _trained(frames)),
            "The mean over batches drawn at random is G by design: the panel shows how small a bias would have been "
            "seen. It does not test the order of the examples in a run, nor a loss that depends on the batch, as with "
            "batch normalization in training mode.",
        ]
    )


def alt_gradient_direction(frames: Frames) -> str:
    """Axes and values."""
    head = "Two rows of panels against the size of the batches drawn."
    biases = [abs(bias[0]) for *_, part in _parts(frames) for bias in _biases(part).values()]
    largest = f"The largest relative bias is {plain(max(biases), digits=2)}." if biases else "Bias: not measured."
    return joined([head, *_readings(frames, {"cosine_mean": "mean cosine"}), largest])


def _trained(frames: Frames) -> list[Size]:
    """The batch sizes of the runs that are drawn: all, or the smallest, the middle one and the largest."""
    found = moments.sizes_of(frames, frames.of("gradients"))
    return found if len(found) <= MOST_SIZES else [found[0], found[len(found) // 2], found[-1]]


def _shown(frames: Frames) -> pd.DataFrame:
    return pd.concat([of_size(frames.of("gradients"), size) for size in _trained(frames)])


def _checkpoints(frames: Frames) -> list[Checkpoint]:
    return [*by_checkpoint(frames.of("gradients"))]


def _parts(frames: Frames) -> list[tuple[Size, Checkpoint, pd.DataFrame]]:
    """What is drawn, by the size of the run and the checkpoint."""
    of_runs = [(size, of_size(frames.of("gradients"), size)) for size in _trained(frames)]
    return [(size, checkpoint, part) for size, rows in of_runs for checkpoint, part in by_checkpoint(rows).items()]


def _figure(
    frames: Frames, heights: tuple[float, float], *panels: Callable[[Axes, Frames, pd.DataFrame], None]
) -> Figure:
    """A column of panels for each batch size of the runs looked at, on common axes."""
    sizes = _trained(frames)
    made = Figure(figsize=(theme.WIDTH, sum(heights) + 0.8), layout="constrained")
    grid = made.subplots(2, len(sizes), squeeze=False, sharey="row", height_ratios=heights)
    for column, size in enumerate(sizes):
        for row, panel in enumerate(panels):
            axes: Axes = grid[row, column]
            _drawn_axis(axes, frames, len(sizes), bottom=row == 1)
            panel(axes, frames, of_size(frames.of("gradients"), size))
            if column:
                axes.set_ylabel("")
        grid[0, column].set_title(f"Trained with {size.label}")
    made.align_ylabels(grid[:, 0])
    return made


def _drawn_axis(axes: Axes, frames: Frames, columns: int, *, bottom: bool) -> None:
    """The log2 axis with the sizes drawn; in a narrow panel, labels that would meet the one before are left out."""
    drawn = sorted({int(size) for size in _shown(frames)[_DRAWN]})
    theme.batch_axis(axes, [Size(size, False) for size in drawn], label=bottom)
    if not bottom:
        return
    axes.set_xlabel("Size drawn (examples)")
    low, high = axes.get_xlim()
    inches = 0.78 * theme.WIDTH / columns / float(np.log2(high / low))
    labels, end = [], -np.inf
    for size in drawn:
        middle, half = float(np.log2(size)) * inches, 0.045 * (len(f"{size:,}") + 0.8)
        labels.append(f"{size:,}" if middle - half > end else "")
        end = middle + half if labels[-1] else end
    axes.set_xticks([float(size) for size in drawn], labels)


def _places(frames: Frames) -> dict[Checkpoint, float]:
    """Factors of the size drawn that put the series of the checkpoints side by side."""
    found = _checkpoints(frames)
    return {checkpoint: float(2 ** (0.13 * (i - (len(found) - 1) / 2))) for i, checkpoint in enumerate(found)}


def _variance(axes: Axes, frames: Frames, rows: pd.DataFrame) -> None:
    axes.set_ylabel("Variance of the gradient")
    every = _shown(frames)
    if not marks.log_limits(axes, every[["gradient_variance", "gradient_variance_expected"]]):
        theme.say(axes, "not measured")
        return
    styles = marks.looks(_checkpoints(frames))
    for checkpoint, part in by_checkpoint(rows).items():
        _expected(axes, part, styles[checkpoint]["color"])
        found = over_seeds(part, "gradient_variance", _DRAWN)
        means = moments.means(found)
        for size, mean in means.items():
            marks.bar(axes, size, mean, (found[size].low, found[size].high), color=styles[checkpoint]["color"])
        axes.plot([*means], [*means.values()], linewidth=0, markersize=5, zorder=4, **styles[checkpoint])


def _expected(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    """What random draws without replacement give, and what it would be with replacement."""
    found = moments.means(over_seeds(rows, "gradient_variance_expected", _DRAWN))
    x = np.array([*found], dtype=np.float64)
    y = np.array([*found.values()], dtype=np.float64)
    axes.plot(x, y, color=colour, linewidth=1.0, zorder=2)
    n = float(rows["examples"].iloc[0])
    axes.plot(x, y * (n - 1) / (n - x), color=colour, linewidth=1.0, linestyle=_DASHED, zorder=1)


def _signal(axes: Axes, frames: Frames, rows: pd.DataFrame) -> None:
    axes.set_ylabel("Signal-to-noise ratio")
    every = _shown(frames)
    quartiles = every[[f"{_NOISE}_q25", f"{_NOISE}_q75"]]
    if not marks.log_limits(axes, every[_NOISE], quartiles, reach=_BEYOND):
        theme.say(axes, "not measured")
        return
    for checkpoint, part in by_checkpoint(rows).items():
        look = marks.looks(_checkpoints(frames))[checkpoint]
        medians = _quartiles(axes, part, _NOISE, (f"{_NOISE}_q25", f"{_NOISE}_q75"), look, _places(frames)[checkpoint])
        if len(medians) > 1:
            x, first = np.array([*medians], dtype=np.float64), next(iter(medians))
            y = medians[first] * np.sqrt(x / first)
            axes.plot(x, y, color=look["color"], linewidth=1.0, linestyle=_DASHED, zorder=1)


def _cosine(axes: Axes, frames: Frames, rows: pd.DataFrame) -> None:
    axes.set_ylabel("Cosine to full gradient")
    every = moments.known(_shown(frames)[["cosine_mean", "cosine_q25", "cosine_q75"]].stack())
    if not len(every):
        theme.say(axes, "not measured")
        return
    theme.plain_axis(axes)
    axes.set_ylim(min(0.0, 1.05 * every.min()), 1.04)
    for checkpoint, part in by_checkpoint(rows).items():
        look = marks.looks(_checkpoints(frames))[checkpoint]
        _quartiles(axes, part, "cosine_mean", ("cosine_q25", "cosine_q75"), look, _places(frames)[checkpoint])


def _quartiles(
    axes: Axes, rows: pd.DataFrame, middle: str, ends: tuple[str, str], look: dict[str, Any], place: float
) -> dict[int, float]:
    """Means over seeds of `middle` with bars between those of `ends`; series stand side by side. By size drawn."""
    found, low, high = (moments.means(over_seeds(rows, column, _DRAWN)) for column in (middle, *ends))
    drawn = {size: mean for size, mean in found.items() if mean > 0 or axes.get_yscale() == "linear"}
    for size, mean in drawn.items():
        marks.bar(axes, size * place, mean, (low.get(size), high.get(size)), color=look["color"], capsize=0)
        axes.plot([size * place], [mean], linewidth=0, markersize=5, zorder=4, **look)
    return drawn


def _biases(rows: pd.DataFrame) -> dict[int, tuple[float, float]]:
    """By size drawn: mean over seeds of the bias, and its standard error from those of the seeds."""
    found = {}
    for size in sorted({int(drawn) for drawn in rows[_DRAWN]}):
        both = rows.loc[rows[_DRAWN] == size, ["gradient_bias", "gradient_bias_se"]]
        numbers = both.to_numpy(np.float64, na_value=np.nan)
        numbers = numbers[np.isfinite(numbers).all(axis=1)]
        if len(numbers):
            error = float(np.sqrt((numbers[:, 1] ** 2).sum())) / len(numbers)
            found[size] = (float(numbers[:, 0].mean()), error)
    return found


def _bias(axes: Axes, frames: Frames, rows: pd.DataFrame) -> None:
    axes.set_ylabel("Relative bias")
    ends = [abs(mean) + 2 * error for *_, part in _parts(frames) for mean, error in _biases(part).values()]
    if not ends:
        theme.say(axes, "not measured")
        return
    theme.plain_axis(axes)
    axes.set_ylim(-1.15 * (max(ends) or 1.0), 1.15 * (max(ends) or 1.0))
    axes.axhline(0, color=theme.GREY, linewidth=0.8, zorder=1)
    styles = marks.looks(_checkpoints(frames))
    places = _places(frames)
    for checkpoint, part in by_checkpoint(rows).items():
        for size, (mean, error) in _biases(part).items():
            x = size * places[checkpoint]
            marks.bar(axes, x, mean, (mean - 2 * error, mean + 2 * error), color=styles[checkpoint]["color"], capsize=0)
            axes.plot([x], [mean], linewidth=0, markersize=4.5, zorder=4, **styles[checkpoint])


def _drawn_in_words(frames: Frames) -> str:
    """Where the weights are from, and how the batches are drawn."""
    rows, every, shown = _shown(frames), moments.sizes_of(frames, frames.of("gradients")), _trained(frames)
    left_out = len(every) > len(shown)
    sizes = listing([size.label for size in shown])
    chosen = (
        f" (the smallest, the middle one and the largest of the {len(every)} that were looked at)" if left_out else ""
    )
    order = listing([checkpoint.when for checkpoint in by_checkpoint(rows)])
    return (
        f"Gradients of batches of B examples, {moments.ranged(rows['batches'])} of each size, drawn at random without "
        f"replacement from n = {moments.ranged(rows['examples'])} training examples. The weights do not move: they "
        f"are those of runs with batch size {sizes}{chosen} {order}, and the model is in inference mode. Log2 axis: "
        "the size drawn, not that of the runs."
    )


def _dead_in_words(rows: pd.DataFrame) -> str:
    dead = moments.known(rows["dead_coordinates"])
    if not len(dead) or not dead.any():
        return ""
    return f"Weights whose gradient is zero in every batch are left out of the ratios: {moments.ranged(dead)} of them."


def _beyond_in_words(beyond: int, count: int) -> str:
    if not count:
        return "The bias was not measured."
    return f"{beyond} of {count} biases are larger than that; by chance about one in twenty would be."


def _slopes_in_words(frames: Frames) -> str:
    """The slopes of the sizes drawn with their intervals, and what to expect of them."""
    parts, slopes = [], frames.of("gradient_slopes")
    for size in _trained(frames) if len(slopes) else ():
        of_run = of_size(slopes, size)
        cells = []
        for metric, words in (("gradient_variance", "variance"), (_NOISE, "ratio")):
            found = by_checkpoint(of_run[of_run["metric"] == metric]).values()
            values = [_slope(row.to_dict("records")[0]) for row in found]
            cells.append(f"{words} {', '.join(values)}")
        parts.append(f"trained with {size.label}: {'; '.join(cells)}")
    if not parts:
        return "No slope was fitted."
    counts = {int(n) for n in slopes["n"]}
    interval = " and 95 % t-interval" if max(counts) > 1 else ""
    order = listing([checkpoint.label for checkpoint in _checkpoints(frames)])
    return (
        f"Slopes of the logarithms (mean{interval} over {moments.seeds(counts)}), {order}: {'. '.join(parts)}. "
        f"{_expected_slope(frames)}"
    )


def _slope(row: dict[Hashable, Any]) -> str:
    slope, low, high = (float(row[column]) for column in ("slope", "ci_low", "ci_high"))
    if not np.isfinite(slope):
        return "not fitted"
    return f"{fixed(slope, 2)} ({fixed(low, 2)} to {fixed(high, 2)})" if np.isfinite(low) else fixed(slope, 2)


def _expected_slope(frames: Frames) -> str:
    """The slope that the factor for draws without replacement gives over these sizes."""
    rows = _shown(frames)
    x = np.array(sorted({float(size) for size in rows[_DRAWN]}))
    n = float(rows["examples"].iloc[0])
    if len(x) < 2 or x[-1] >= n:
        return ""
    slope = float(np.polyfit(np.log(x), np.log((n - x) / (n - 1) / x), 1)[0])
    return (
        f"To be expected with the factor (n − B)/(n − 1) at these sizes: {fixed(slope, 2)} and "
        f"{fixed(-slope / 2, 2)}; without it −1 and 0.5."
    )


def _readings(frames: Frames, columns: dict[str, str]) -> list[str]:
    """Every series of `columns` in words."""
    sentences = []
    for column, words in columns.items():
        for size, checkpoint, rows in _parts(frames):
            values: Sequence[tuple[Size, float | None]] = [
                (Size(drawn, False), found.mean) for drawn, found in over_seeds(rows, column, _DRAWN).items()
            ]
            weights = f"the weights of runs with batch size {size.label} {checkpoint.when}"
            sentences.append(series_in_words(f"The {words} with {weights}", values))
    return sentences
