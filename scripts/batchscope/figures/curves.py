"""Learning curves: results on the way against everything a training can be charged with, and losses of single runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D

from batchscope.analysis.curves import positive
from batchscope.figures import FOLLOWED, line_ends, theme
from batchscope.figures.frames import Frames, Size, finished, of_size, value_of
from batchscope.figures.targets import sentence_case
from batchscope.figures.words import (
    elsewhere,
    failed_in_words,
    joined,
    plain,
    range_in_words,
    seeds_in_words,
    series_in_words,
)
from batchscope.tables.metrics import CURVES, quantity
from batchscope.text import listing

_COSTS = ("epochs", "updates", "examples", "seconds")
_SPENT = {"epochs": "epoch"}  # columns of evaluations that are not called like the cost
# In the panels per size: colours of single runs and of their mean, and its width. The training loss is drawn last and
# thinner, so that both are seen where they coincide.
_LOOKS = {
    "validation_loss": (theme.VALIDATION_RUN, theme.VALIDATION, 2.6),
    "train_loss": (theme.TRAIN_RUN, theme.TRAIN, 1.4),
}


def draw_curves_loss(frames: Frames) -> Figure:
    """Training and validation loss against epochs, updates, examples and seconds: views, with log and linear axes.

    Runs made elsewhere have the parts and the axes that are known.
    """
    scales = _scales(frames)
    names = [f"{cost}-{scale}" for scale in scales for cost in _costs(frames)]
    made, panels, ends = _draw(frames, "losses", names)
    for scale in scales:
        first, *others = (axes for name, (axes, *_) in panels.items() if name.endswith(scale))
        for axes in (first, *others):
            if scale == "log":
                _log_losses(frames, axes)
            else:
                theme.plain_axis(axes)
            axes.set_ylim(first.get_ylim())
    line_ends.name_sizes(made, ends, frames)
    return made


def draw_curves_accuracy(frames: Frames) -> Figure:
    """Training and validation accuracy against epochs, updates, examples and seconds: views."""
    costs = _costs(frames)
    made, panels, ends = _draw(frames, "accuracies", costs)
    low, high = panels[costs[0]][0].get_ylim()
    for axes, *_ in panels.values():
        _share_axis(axes, low, high)
    line_ends.name_sizes(made, ends, frames)
    return made


def draw_curves_others(frames: Frames) -> Figure:
    """Other results against epochs, updates, examples and seconds: views, a panel per result with an axis of its own.

    The axis is logarithmic where less is better and there is no bound but zero, as of the perplexity.
    """
    made, views, ends = _draw(frames, "others", _costs(frames), alike=False)
    for (cost, panels), view in zip(views.items(), made.subfigs, strict=True):
        view.supxlabel(_axis(frames, cost), fontsize=10)
        for axes, name in zip(panels, _drawn(frames, "others"), strict=True):
            metric, values = CURVES[name], frames.evaluations[name].to_numpy(np.float64, na_value=np.nan)
            if metric.better == "lower" and not metric.share and np.nanmin(values) > 0:
                theme.log_axis(axes, "y", values)
            elif metric.share:
                _share_axis(axes, *axes.get_ylim())
    line_ends.name_sizes(made, ends, frames)
    return made


def draw_curves_article(frames: Frames) -> Figure:
    """The plot everyone knows from a training, one panel per batch size: thin lines are runs, thick ones their mean.

    Views with a log and a linear axis of the losses.
    """
    height = 1.9 * -(-len(frames.sizes) // 2) + 0.7
    made, views = theme.views(_scales(frames), len(frames.sizes), height, by_two=True)
    losses, cost = _drawn(frames, "losses"), _costs(frames)[0]
    handles = [Line2D([], [], color=_LOOKS[name][1], linewidth=2, label=_title(name)) for name in losses]
    for (scale, panels), view in zip(views.items(), made.subfigs, strict=True):
        for axes, size in zip(panels, frames.sizes, strict=True):
            _single_runs(axes, frames, size, losses, _SPENT.get(cost, cost))
        if scale == "log":
            _log_losses(frames, panels[0])
        else:
            theme.plain_axis(panels[0])
        theme.legend(view, handles)
        view.supxlabel(cost.capitalize(), fontsize=10)
    return made


def caption_curves_loss(frames: Frames) -> str:
    """What the lines and bands are."""
    return _caption(frames, f"{_mean(frames)} over {_repetitions(frames)} of the loss".capitalize(), "losses")


def caption_curves_accuracy(frames: Frames) -> str:
    """What the lines and bands are."""
    return _caption(frames, f"Mean over {_repetitions(frames)} of the accuracy", "accuracies")


def caption_curves_others(frames: Frames) -> str:
    """What the lines and bands are."""
    measured = listing([quantity(name).words for name in _drawn(frames, "others")])
    return _caption(frames, f"Mean over {_repetitions(frames)} of {measured}", "others")


def title_curves_others(frames: Frames) -> str:
    """What was measured."""
    return f"Learning curves of {_in_words(_drawn(frames, 'others'))}"


def caption_curves_article(frames: Frames) -> str:
    """What the lines are."""
    return joined(
        [
            f"Loss on {_on(frames, 'losses')}. Thin lines: single runs ({_n_in_words(frames)} per size); thick lines: "
            f"their {_mean(frames)}, as far as all runs of the size go.",
            "" if elsewhere(frames) else "At one size updates, examples and seconds only rescale the epochs.",
            failed_in_words(frames),
        ]
    )


def alt_curves_loss(frames: Frames) -> str:
    """Axes and the last values of the lines."""
    return _alt(frames, "losses")


def alt_curves_accuracy(frames: Frames) -> str:
    """Axes and the last values of the lines."""
    return _alt(frames, "accuracies")


def alt_curves_others(frames: Frames) -> str:
    """Axes and the last values of the lines."""
    return _alt(frames, "others")


def alt_curves_article(frames: Frames) -> str:
    """Axes and the last values of the means."""
    drawn = _in_words(_drawn(frames, "losses"))
    head = f"{len(frames.sizes)} panels, one per batch size: {drawn} against {_costs(frames)[0]}."
    return joined([head, *_ends(frames, "losses")])


def mean_curve(frames: Frames, size: Size, metric: str) -> pd.DataFrame:
    """Mean of `metric` with its interval after each evaluation, over the runs of `size` that ended `ok`.

    Columns `epoch`, `mean`, `ci_low` and `ci_high` and others, in the order of the table; no rows where it has none.
    """
    rows = of_size(frames.learning_curves, size)
    return rows[rows["metric"] == metric]


def _scales(frames: Frames) -> tuple[str, ...]:
    """A loss that is not positive has no log axis."""
    return ("log", "linear") if positive(frames.evaluations) else ("linear",)


def _mean(frames: Frames) -> str:
    return "geometric mean" if positive(frames.evaluations) else "mean"


def _share_axis(axes: Axes, low: float, high: float) -> None:
    """From `low` to `high`, but no further beyond 0 and 1 than lines need."""
    axes.set_ylim(max(low, -0.02), min(high, 1.02))


def _log_losses(frames: Frames, axes: Axes) -> None:
    """A log axis where all losses are positive, which makes their means geometric."""
    if positive(frames.evaluations):
        losses = frames.evaluations[[*FOLLOWED["losses"]]]
        theme.log_axis(axes, "y", losses.to_numpy(np.float64, na_value=np.nan))


def _draw(
    frames: Frames, group: str, names: Sequence[str], *, alike: bool = True
) -> tuple[Figure, dict[str, list[Axes]], dict[FigureBase, dict[Axes, pd.DataFrame]]]:
    """The figure, the panels of each view, and the ends of the lines in the panels of each part of the figure.

    Where panels are not `alike`, they stand two in a row, each with an axis of its own.
    """
    drawn = _drawn(frames, group)
    height = 2.75 if alike else 0.4 + 2.35 * -(-len(drawn) // 2)
    made, views = theme.views(names, len(drawn), height, by_two=not alike, alike=alike)
    ends: dict[FigureBase, dict[Axes, pd.DataFrame]] = {part: {} for part in made.subfigs}
    no_line = "not measured" if (frames.runs["outcome"] == "ok").any() else "no run ended ok"
    no_line = "no evaluation that all runs of a size have" if elsewhere(frames) else no_line
    for column, name in enumerate(drawn):
        means = _charged(frames, frames.learning_curves[frames.learning_curves["metric"] == name])
        failed = _charged(frames, _unfinished(frames, name))
        for (view, panels), row in zip(views.items(), made.subfigs, strict=True):
            cost, axes = view.partition("-")[0], panels[column]
            axes.set_title(_title(name))
            if alike:
                axes.set_xlabel(_axis(frames, cost))
            known, lost = means.dropna(subset=[cost]), failed.dropna(subset=[cost])
            ends[row][axes] = _panel(axes, frames, known, lost, cost, name, no_line)
    return made, views, ends


def _drawn(frames: Frames, group: str) -> list[str]:
    """The columns of evaluations that are drawn of a group: of runs made elsewhere those that were recorded."""
    if not elsewhere(frames):
        return [*FOLLOWED[group]]
    known = frames.evaluations
    return [name for name in FOLLOWED[group] if name in known and known[name].notna().any()]


def _title(name: str) -> str:
    return sentence_case(CURVES[name].words)


def _in_words(drawn: Sequence[str]) -> str:
    """`training and validation loss`, `validation F1 and validation WER`."""
    parts: dict[str, list[str]] = {}
    for name in drawn:
        part, _, measured = CURVES[name].words.partition(" ")
        parts.setdefault(measured, []).append(part)
    return listing([f"{listing(of)} {measured}" for measured, of in parts.items()])


def _costs(frames: Frames) -> list[str]:
    """What runs can be charged with: all of it, but for runs made elsewhere of which only some is known."""
    if not elsewhere(frames):
        return list(_COSTS)
    spent = _charged(frames, frames.evaluations)
    return [cost for cost in _COSTS if (spent[cost] > 0).any()]


def _axis(frames: Frames, cost: str) -> str:
    clock = "timed in isolation" if len(frames.timings) else "beside other runs"
    return f"Seconds, {clock}" if cost == "seconds" else cost.capitalize()


def _charged(frames: Frames, rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the label of their size and what they had cost by then; null where nothing was timed."""
    parts = []
    for size in frames.sizes:
        found = of_size(rows, size)
        spent = {name: found[name].astype("float64") for name in ("epoch", "updates", "examples")}
        seconds = spent["updates"] * _seconds_per_update(frames, size)
        parts.append(found.assign(size=size.label, epochs=spent.pop("epoch"), seconds=seconds, **spent))
    return pd.concat(parts)


def _seconds_per_update(frames: Frames, size: Size) -> float:
    """From the timing; in a study without timings from the clocks of the runs themselves; NaN where neither has it."""
    if len(frames.timings):
        timed = value_of(frames.timings, size, "seconds_per_update")
        return np.nan if timed is None else timed
    runs = of_size(frames.runs, size)
    updates = float(runs["updates"].sum())
    return float(runs["train_seconds"].sum()) / updates if updates else np.nan


def _unfinished(frames: Frames, column: str) -> pd.DataFrame:
    """Evaluations with a finite value of `column` of the runs that did not end ok."""
    ended = frames.runs[frames.runs["outcome"] != "ok"][["batch_size", "full_batch", "seed"]]
    found = frames.evaluations.merge(ended, on=["batch_size", "full_batch", "seed"])
    finite: pd.DataFrame = found[np.isfinite(found[column].to_numpy(np.float64, na_value=np.nan))]
    return finite


def _panel(
    axes: Axes, frames: Frames, means: pd.DataFrame, failed: pd.DataFrame, cost: str, column: str, no_line: str
) -> pd.DataFrame:
    """Means with their bands, and runs that did not end ok: dashed, with a cross at their end.

    Gives the ends of the lines: of the mean of each size, or of its longest run where it has none.
    """
    logarithmic = cost in ("updates", "seconds")  # such an axis has no place for zero
    if logarithmic:
        means, failed = (rows[rows[cost] > 0] for rows in (means, failed))
    coloured = theme.by_size(frames)
    theme.lines(axes, means, cost, "mean", **coloured)
    alone = means.groupby("size")["size"].transform("size") == 1
    theme.dots(axes, means[alone], cost, "mean", s=16, **coloured)
    for size, band in means.dropna(subset=["ci_low", "ci_high"]).groupby("size", sort=False):
        colour = coloured["palette"][size]
        axes.fill_between(band[cost], band["ci_low"], band["ci_high"], color=colour, alpha=0.13, linewidth=0)
    theme.lines(axes, failed, cost, column, units="seed", linestyle=(0, (3, 2)), linewidth=0.9, **coloured)
    theme.dots(axes, failed.groupby(["size", "seed"]).tail(1), cost, column, **theme.CROSS, **coloured)
    ends = means.groupby("size", sort=False).tail(1)
    theme.tips(axes, [(row[cost], row["mean"], _end(row)) for row in ends.to_dict("records")])
    reached = [*means[cost], *failed[cost]]
    if not reached:
        theme.say(axes, no_line)
    elif logarithmic:
        theme.log_axis(axes, "x", reached)
    else:
        theme.counts_axis(axes)
    longest = failed[~failed["size"].isin(ends["size"])].sort_values("epoch").groupby("size", sort=False).tail(1)
    found = [ends[["size", cost, "mean"]], longest[["size", cost, column]]]
    return pd.concat([each.set_axis(["size", "x", "y"], axis=1) for each in found])


def _end(row: Mapping[Any, Any]) -> str:
    """What a line ends with, in words."""
    bounds = (
        "" if np.isnan(row["ci_low"]) else f" [{plain(row['ci_low'], digits=3)}, {plain(row['ci_high'], digits=3)}]"
    )
    after = f"{plain(row['examples'])} examples" if np.isnan(row["epochs"]) else f"{plain(row['epochs'])} epochs"
    return f"batch size {row['size']}: {plain(row['mean'], digits=3)}{bounds} after {after}"


def _single_runs(axes: Axes, frames: Frames, size: Size, losses: Sequence[str], at: str) -> None:
    """The panel of a size: losses of its runs and their means against the column `at`, or why there are none."""
    axes.set_title(f"Batch size {size.label}")
    looks = [name for name in _LOOKS if name in losses]
    missing = [name for name in looks if not _runs_of_size(axes, frames, size, name, at)]
    if len(missing) < len(looks):
        theme.counts_axis(axes)
        theme.note(axes, [f"{CURVES[name].words} not measured" for name in missing])
    else:
        theme.say(axes, "not measured" if finished(frames, size) else "no run ended ok")


def _runs_of_size(axes: Axes, frames: Frames, size: Size, column: str, at: str) -> bool:
    """Draw the runs of one size and their mean against the column `at`; False where there is nothing to draw."""
    faint, colour, width = _LOOKS[column]
    found = of_size(frames.evaluations, size)
    known = found[np.isfinite(found[column].to_numpy(np.float64, na_value=np.nan))]
    theme.lines(axes, known, at, column, units="seed", color=faint, linewidth=theme.THIN, zorder=1.9)
    lost = known[~known["seed"].isin(finished(frames, size))].groupby("seed").tail(1)
    theme.dots(axes, lost, at, column, **theme.CROSS, color=colour)
    theme.lines(axes, mean_curve(frames, size, column), at, "mean", color=colour, linewidth=width)
    return bool(len(known))


def _caption(frames: Frames, mean: str, group: str) -> str:
    several = bool((frames.learning_curves["n"] > 1).any())
    bands = "bands: 95 % t-intervals" if several else "no bands"
    clock = ""
    if "seconds" in _costs(frames):
        clock = (
            "Seconds: updates times those of an update, timed in isolation."
            if len(frames.timings)
            else "Seconds: those of the runs, which may have shared the machine."
        )
    failed = failed_in_words(frames).replace(" and are in no mean", ": dashed, in no mean")
    what = f"{mean} on {_on(frames, group)}, as far as all runs of a size go ({_n_in_words(frames)} per size; {bands})."
    return joined([what, clock, failed])


def _on(frames: Frames, group: str) -> str:
    """On which data something was measured; whether others took the whole training part is not known."""
    whole = "" if elsewhere(frames) else "whole "
    parts = dict.fromkeys(CURVES[name].words.partition(" ")[0] for name in _drawn(frames, group))
    return f"the {whole}{listing([*parts])} part"


def _n_in_words(frames: Frames) -> str:
    """How many runs a size has, of those made elsewhere only those whose course is known."""
    if not elsewhere(frames):
        return seeds_in_words(frames)
    counts = {int(n) for n in frames.learning_curves["n"]}
    return f"n = {range_in_words(counts)} {'run' if counts == {1} else 'runs'}"


def _repetitions(frames: Frames) -> str:
    return "runs" if elsewhere(frames) else "seeds"


def _alt(frames: Frames, group: str) -> str:
    drawn = _drawn(frames, group)
    panels = {1: "One panel", 2: "Two panels"}.get(len(drawn), f"{len(drawn)} panels")
    costs = listing(_costs(frames))
    head = f"{panels}, {_in_words(drawn)}, one line per batch size, in views against {costs}."
    return joined([head, *_ends(frames, group)])


def _ends(frames: Frames, group: str) -> list[str]:
    """The last values of the means, in words."""
    sentences = []
    for name in _drawn(frames, group):
        curves = {size: mean_curve(frames, size, name)["mean"] for size in frames.sizes}
        ends = [(size, float(curve.iloc[-1]) if len(curve) else None) for size, curve in curves.items()]
        sentences.append(series_in_words(f"The last mean {CURVES[name].words}", ends))
    return sentences
