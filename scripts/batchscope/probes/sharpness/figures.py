"""Sharpness of the training loss against batch size and generalisation gap, and slices through that loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.target_words import joined
from batchscope.figures.targets import sentence_case
from batchscope.figures.words import series_in_words
from batchscope.probes import marks, moments
from batchscope.probes.moments import Numbers, intervals, known
from batchscope.probes.sharpness.analysis import MIN_SIZES, lowest_common_loss
from batchscope.probes.sharpness.spec import GAP
from batchscope.stats.intervals import Interval, t_interval
from batchscope.text import fixed, listing
from batchscope.training.checkpoints import END, Checkpoint, at, by_checkpoint

MEASURES = {
    "lambda_max": "λ_max of the Hessian",
    "keskar_0_001": "φ of Keskar et al. (%)",
    "adaptive_sharpness": "Adaptive sharpness (%)",
}
_NAMES = {"lambda_max": "λ_max", "keskar_0_001": "φ", "adaptive_sharpness": "adaptive sharpness"}
_THRESHOLD = "stability_threshold"
_RESCALING = (
    "λ_max and φ change when the weights of ReLU layers are rescaled so that the network computes the same function; "
    "adaptive sharpness does not."
)
_NO_CHECKPOINT = "not measured: no checkpoint that\nall runs share, nor an end"


def draw_sharpness_vs_batch(frames: Frames) -> Figure:
    """λ_max with the stability threshold, φ and adaptive sharpness against the batch size of the runs."""
    made, panels = theme.figure(3, 1, 2.0, extra=0.5)
    shown = _checkpoints(frames)
    for axes, (measure, label) in zip(panels, MEASURES.items(), strict=True):
        theme.batch_axis(axes, frames.sizes, label=axes is panels[-1])
        axes.set_ylabel(label)
        if not shown:
            theme.say(axes, _NO_CHECKPOINT)
            continue
        thresholds = _thresholds(frames) if measure == "lambda_max" else {}
        _measure_panel(axes, frames, measure, thresholds)
    made.align_ylabels(panels)
    handles = [_handle(shown, checkpoint) for checkpoint in shown]
    if _thresholds(frames):
        label = "2 (1 + momentum) / rate"
        handles.append(
            Line2D([], [], linewidth=0, color=theme.VALIDATION, marker="_", markersize=12, mew=1.6, label=label)
        )
    if handles:
        theme.legend(made, handles)
    return made


def caption_sharpness_vs_batch(frames: Frames) -> str:
    """What is drawn, the rank correlations, and what the measures do not say."""
    every = frames.of("sharpness")
    shown = _checkpoints(frames)
    rows = pd.concat([at(every, checkpoint) for checkpoint in (*shown, None)])
    counts = [found.n for each in shown for found in _over_seeds(frames, each, "lambda_max").values()]
    return joined(
        [
            f"Sharpness of the loss on the same {moments.ranged(every['examples'])} training examples for "
            "every run, in inference mode, against the batch size of the run. Above: λ_max, the largest eigenvalue of "
            "the Hessian. Middle: φ, the rise of the loss in a box of ε = 0.001 around the weights (Keskar et al. "
            "2017). Below: adaptive sharpness, the same in a box in proportion to the weights. Both rises are the "
            "highest that a short search found, so lower bounds.",
            f"Large markers: means; {intervals(counts)}; small dots: single runs.",
            "Dashes: 2 (1 + momentum) over the learning rate of the runs, before any schedule: with more curvature "
            "gradient descent on a quadratic is not stable."
            if _thresholds(frames)
            else "The threshold of stability is not known for this optimizer.",
            _trends_in_words(frames, "batch_size", _checkpoints(frames), "batch size"),
            _RESCALING,
            _when_in_words(frames),
            _null_in_words(rows),
            moments.missing_in_words(frames, rows, frames.sizes) if len(rows) else "",
        ]
    )


def alt_sharpness_vs_batch(frames: Frames) -> str:
    """Axes, values and rank correlations."""
    sentences = ["Three panels against the batch size of the runs."]
    for measure, name in _NAMES.items():
        for checkpoint in _checkpoints(frames):
            found = _over_seeds(frames, checkpoint, measure)
            values = [(size, found[size].mean if size in found else None) for size in frames.sizes]
            sentences.append(series_in_words(f"The mean {name} {checkpoint.when}", values))
    return joined([*sentences, _trends_in_words(frames, "batch_size", _checkpoints(frames), "batch size")])


def draw_sharpness_vs_gap(frames: Frames) -> Figure:
    """Training minus test accuracy against λ_max and against adaptive sharpness, one dot per run."""
    made, panels = theme.figure(1, 2, 3.0, extra=0.5, sharey=True)
    rows = at(frames.of("sharpness"), _checkpoint(frames))
    sizes = [size for size in frames.sizes if len(of_size(rows, size))]
    panels[0].set_ylabel("Train − test accuracy")
    for axes, measure in zip(panels, ("lambda_max", "adaptive_sharpness"), strict=True):
        axes.set_xlabel(MEASURES[measure])
        pairs = rows.dropna(subset=[measure, GAP])
        if pairs.empty:
            theme.say(axes, "not measured" if len(rows) else _NO_CHECKPOINT)
            continue
        if _far_apart(known(pairs[measure])):
            theme.log_axis(axes, "x", known(pairs[measure]))
        theme.plain_axis(axes)
        shades = theme.colours(frames.sizes)
        for size in sizes:
            of_runs = of_size(pairs, size)
            x, y = (of_runs[column].to_numpy(np.float64) for column in (measure, GAP))
            axes.plot(x, y, "o", color=shades[size], markersize=3.5, alpha=0.6, mew=0)
            if len(x):
                axes.plot([x.mean()], [y.mean()], "o", color=shades[size], markersize=7, mec="white", mew=0.8, zorder=3)
    theme.size_legend(made, sizes or frames.sizes)
    return made


def caption_sharpness_vs_gap(frames: Frames) -> str:
    """What is drawn, the rank correlations, and that they are no cause."""
    checkpoint = _checkpoint(frames)
    if checkpoint is None:
        return "Generalisation gap against sharpness: not measured where all runs kept weights, nor at their ends."
    rows = at(frames.of("sharpness"), checkpoint)
    counts = [len(of_size(rows, size)) for size in moments.sizes_of(frames, rows)]
    return joined(
        [
            f"Accuracy on the training part minus that on the test part, against sharpness, both {checkpoint.when}. "
            "Left: λ_max, the largest eigenvalue of the Hessian of the training loss; right: adaptive sharpness. Small "
            f"dots: single runs ({moments.seeds(counts)} per size); large dots: means over the runs of a size, without "
            "intervals.",
            _trends_in_words(frames, GAP, [checkpoint], "gap"),
            "An association over batch sizes, not a cause: the size changes both, and so may other things.",
            _RESCALING,
            "The runs stopped at different training losses: a run that fits the training part less well has a smaller "
            "gap for that reason alone."
            if checkpoint == END
            else _met_in_words(frames, checkpoint),
            _null_in_words(rows),
            moments.missing_in_words(frames, rows, frames.sizes),
        ]
    )


def alt_sharpness_vs_gap(frames: Frames) -> str:
    """Axes, mean gaps and rank correlations."""
    checkpoint = _checkpoint(frames)
    if checkpoint is None:
        return caption_sharpness_vs_gap(frames)
    gaps = _over_seeds(frames, checkpoint, GAP)
    values = [(size, gaps[size].mean if size in gaps else None) for size in frames.sizes]
    return joined(
        [
            "Two panels: generalisation gap against λ_max and against adaptive sharpness.",
            series_in_words(f"The mean gap {checkpoint.when}", values),
            _trends_in_words(frames, GAP, [checkpoint], "gap"),
        ]
    )


def draw_loss_slices(frames: Frames) -> Figure:
    """Loss along a random, filter-normalized direction, a line per batch size and a panel per checkpoint."""
    rows = frames.of("slices")
    parts = by_checkpoint(rows)
    made, panels = theme.figure_of(len(parts), 2.5, extra=0.6)
    logarithmic = _far_apart(known(rows["loss"]))
    for i, (axes, (checkpoint, part)) in enumerate(zip(panels, parts.items(), strict=True)):
        axes.set_title(sentence_case(checkpoint.label))
        _slice_panel(axes, frames, part)
        if i >= len(parts) - min(2, len(parts)):
            axes.set_xlabel("Position along the direction")
        if i % 2 == 0:
            axes.set_ylabel("Loss")
    if logarithmic:
        theme.log_axis(panels[0], "y", known(rows["loss"]))
    else:
        theme.plain_axis(panels[0])
    theme.size_legend(made, moments.sizes_of(frames, rows))
    return made


def caption_loss_slices(frames: Frames) -> str:
    """What is drawn, over how many seeds, and what one direction cannot say."""
    rows = frames.of("slices")
    parts = by_checkpoint(rows).values()
    counts = [of_size(part, size)["seed"].nunique() for part in parts for size in moments.sizes_of(frames, part)]
    axis = " The loss is on a log axis." if _far_apart(known(rows["loss"])) else ""
    return joined(
        [
            f"Loss on the same {moments.ranged(rows['examples'])} training examples for every run, in inference mode, "
            "along one random direction through its weights. The direction has, filter by filter, the length of the "
            "weights (Li et al. 2018); biases and normalizations stay as they are. Runs of a seed share the random "
            "numbers behind it.",
            f"Thick lines: means over {moments.seeds(counts)} per size; thin lines: single runs.{axis}",
            "One direction out of very many shows the mean curvature more than the largest: a flat slice does not say "
            "that there is no sharp direction.",
            moments.missing_in_words(frames, rows, frames.sizes),
        ]
    )


def alt_loss_slices(frames: Frames) -> str:
    """Axes, and how far the loss rises to the ends."""
    sentences = ["Loss along a random direction through the weights, one line per batch size."]
    for checkpoint, rows in by_checkpoint(frames.of("slices")).items():
        values = []
        for size in frames.sizes:
            mean = _mean_slice(of_size(rows, size))
            rise = float(mean.iloc[[0, -1]].mean() - mean.min()) if len(mean) else None
            values.append((size, rise))
        words = f"The mean loss at the ends above the lowest {checkpoint.when}"
        sentences.append(series_in_words(words, values))
    return joined(sentences)


def _checkpoint(frames: Frames) -> Checkpoint | None:
    """Where runs are compared: at the lowest training loss at which they meet, else at their ends; None without."""
    return next(iter(_checkpoints(frames)), None)


def _checkpoints(frames: Frames) -> list[Checkpoint]:
    """The lowest common training loss and the end, as far as they were looked at."""
    rows = frames.of("sharpness")
    met = lowest_common_loss(rows, frames.runs)
    return [*([met] if met else []), *([END] if END in by_checkpoint(rows) else [])]


def _over_seeds(frames: Frames, checkpoint: Checkpoint, column: str) -> dict[Size, Interval]:
    rows = at(frames.of("sharpness"), checkpoint)
    found = {size: t_interval(known(of_size(rows, size)[column])) for size in frames.sizes}
    return {size: interval for size, interval in found.items() if interval.mean is not None}


def _thresholds(frames: Frames) -> dict[Size, float]:
    """The threshold of stability of every size that has one; runs of a size share their learning rate."""
    found = {size: known(of_size(frames.of("sharpness"), size)[_THRESHOLD]) for size in frames.sizes}
    return {size: float(values[0]) for size, values in found.items() if len(values)}


def _far_apart(values: Numbers) -> bool:
    """Whether `values` are drawn on a log axis: all positive, and the largest more than three times the smallest."""
    return len(values) > 0 and values.min() > 0 and bool(values.max() > 3 * values.min())


def _handle(shown: Sequence[Checkpoint], checkpoint: Checkpoint) -> Line2D:
    style = {"markersize": 6, "color": theme.INK, **_face(shown, checkpoint)}
    return Line2D([], [], linewidth=0, label=checkpoint.label, **style)


def _face(shown: Sequence[Checkpoint], checkpoint: Checkpoint) -> dict[str, Any]:
    """A marker per checkpoint: the last, the end, is full."""
    marker = "o" if checkpoint == END else "D"
    return {"marker": marker} if checkpoint == shown[-1] else {"marker": marker, "markerfacecolor": "white"}


def _measure_panel(axes: Axes, frames: Frames, measure: str, thresholds: Mapping[Size, float]) -> None:
    """One measure: means with bars and single runs, the checkpoints side by side."""
    parts = {checkpoint: at(frames.of("sharpness"), checkpoint) for checkpoint in _checkpoints(frames)}
    measured = np.concatenate([known(part[measure]) for part in parts.values()])
    values = [*measured, *thresholds.values()]
    if not len(measured):
        theme.say(axes, "not measured")
        return
    found = {checkpoint: _over_seeds(frames, checkpoint, measure) for checkpoint in parts}
    if _far_apart(np.array(values)):
        ends = [end for means in found.values() for mean in means.values() for end in (mean.low, mean.high)]
        marks.log_limits(axes, values, [end for end in ends if end is not None], reach=3.0)
    else:
        theme.plain_axis(axes)
    shades = theme.colours(frames.sizes)
    for size in frames.sizes:
        room = theme.spacing(frames.sizes, size)
        if size in thresholds:
            style: dict[str, Any] = {"color": theme.VALIDATION, "markersize": 16 * room + 4, "mew": 1.6, "zorder": 2}
            axes.plot([size.batch_size], [thresholds[size]], "_", **style)
        for i, (checkpoint, part) in enumerate(parts.items()):
            x = size.batch_size * 2 ** ((0.5 * i - 0.25 * (len(parts) - 1)) * room)
            singles = known(of_size(part, size)[measure])
            if size in found[checkpoint]:
                _means(axes, x, room, singles, found[checkpoint][size], shades[size], _face([*parts], checkpoint))


def _means(
    axes: Axes, x: float, room: float, singles: Numbers, mean: Interval, colour: str, face: Mapping[str, Any]
) -> None:
    assert mean.mean is not None
    if len(singles) > 1:
        beside = x * 2 ** (np.linspace(0.1, 0.2, len(singles)) * room)
        axes.plot(beside, singles, "o", color=colour, markersize=2.6, alpha=0.55, markeredgewidth=0, zorder=2)
    marks.bar(axes, x, mean.mean, (mean.low, mean.high), color=colour)
    axes.plot([x], [mean.mean], linewidth=0, markersize=5.5, color=colour, zorder=4, **face)


def _mean_slice(rows: pd.DataFrame) -> pd.Series[float]:
    """Mean over the seeds at every position that all of them have; empty without a run."""
    table = rows.pivot_table(index="position", columns="seed", values="loss").dropna()
    found: pd.Series[float] = table.mean(axis=1)
    return found


def _slice_panel(axes: Axes, frames: Frames, rows: pd.DataFrame) -> None:
    shades = theme.colours(frames.sizes)
    if not len(known(rows["loss"])):
        theme.say(axes, "not measured")
        return
    for size in moments.sizes_of(frames, rows):
        of_runs = of_size(rows, size)
        for seed in sorted(of_runs["seed"].unique()):
            single = of_runs[of_runs["seed"] == seed].sort_values("position")
            axes.plot(single["position"], single["loss"], color=shades[size], linewidth=0.6, alpha=0.5, zorder=2)
        mean = _mean_slice(of_runs)
        axes.plot(mean.index, mean, color=shades[size], linewidth=1.8, zorder=3)


def _trends_in_words(frames: Frames, against: str, shown: Sequence[Checkpoint], words: str) -> str:
    """The rank correlations of the measures with `against`, with their intervals."""
    parts = []
    for checkpoint in shown:
        cells = [f"{_NAMES[name]} {found}" for name, found in _correlations(frames, against, checkpoint).items()]
        if cells:
            parts.append(f"{checkpoint.when} {', '.join(cells)}")
    if not parts:
        return f"No rank correlation with the {words}: fewer than {MIN_SIZES} sizes with a value, or no spread."
    return (
        f"Spearman's rank correlation with the {words} over the sizes of a seed (mean and 95 % t-interval over seeds): "
        f"{'; '.join(parts)}."
    )


def _correlations(frames: Frames, against: str, checkpoint: Checkpoint) -> dict[str, str]:
    """By measure, those that are known, in words."""
    trends, found = frames.of("sharpness_trends"), {}
    if trends.empty:
        return {}
    here = at(trends[trends["against"] == against], checkpoint).dropna(subset=["correlation"])
    for row in here[here["measure"].isin([*_NAMES])].to_dict("records"):
        mean, low, high = (fixed(float(row[name]), 2) for name in ("correlation", "ci_low", "ci_high"))
        n, same = int(row["n"]), "the same in every seed, " if row["n"] > 1 else ""
        interval = f"no interval: {same}" if pd.isna(row["ci_low"]) else f"{low} to {high}, "
        found[str(row["measure"])] = f"{mean} ({interval}n = {n})"
    return found


def _when_in_words(frames: Frames) -> str:
    """At which training losses the runs are compared."""
    shown = _checkpoints(frames)
    if END not in shown:
        return ""
    losses = known(at(frames.of("sharpness"), END)["train_loss"])
    between = f" ({moments.ranged(losses, digits=2)} nat)" if len(losses) else ""
    apart = f"At their ends runs are at different training losses{between}"
    if len(shown) > 1:
        return f"{apart}. {_met_in_words(frames, shown[0])}"
    common = f"no training loss was reached in all runs of {MIN_SIZES} sizes (both of two)"
    return f"{apart}, and {common}: sizes differ in that as well."


def _met_in_words(frames: Frames, checkpoint: Checkpoint) -> str:
    """How nearly alike the training losses are where the runs meet."""
    if checkpoint.interpolated:
        return (
            f"{sentence_case(checkpoint.label)} is the lowest of those that most sizes fell to in all their runs; "
            "measures are interpolated to it, in their logarithms over that of the training loss."
        )
    losses = known(at(frames.of("sharpness"), checkpoint)["train_loss"])
    between = f", so at {moments.ranged(losses, digits=2)} nat, which may differ by size" if len(losses) else ""
    return (
        f"Training loss {checkpoint.train_loss:g} is the lowest of those that most sizes fell to in all their "
        f"runs: weights are those of the first evaluation at or below it{between}."
    )


def _null_in_words(rows: pd.DataFrame) -> str:
    """What has no value in some runs, with the reasons."""
    lacking = [
        f"{name} of {int(rows[column].isna().sum())}" for column, name in _NAMES.items() if rows[column].isna().any()
    ]
    if not lacking:
        return ""
    reasons = [str(reason).removesuffix(".") for reason in rows["reason"].dropna()]
    why = f" ({'; '.join(dict.fromkeys(reasons))})" if reasons else ""
    return f"Not measured: {listing(lacking)} of {len(rows)} sets of weights{why}."
