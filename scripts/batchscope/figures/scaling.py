"""Updates and epochs to targets against batch size, the law fitted to them, and its critical batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size
from batchscope.figures.target_words import fits_in_words, runs_in_words, targets_alt
from batchscope.figures.targets import (
    RELATIVE,
    Law,
    Look,
    Target,
    costs_of,
    examples_unit,
    law_of,
    looks,
    metric_words,
    metrics_of,
    n_train,
    panel,
    rows_of,
    sentence_case,
    steps_unit,
    targets_of,
    unreached_mark,
)
from batchscope.figures.words import joined, range_in_words
from batchscope.tables.cells import SIZE

_DASHED, _DOTTED = (0, (4, 3)), (0, (1, 2))
_STEPS_LABELS = {"updates": "Updates to the target", RELATIVE: "Updates ÷ training examples"}
_NO_RUN = "not measured: no run says how far it was followed"


def draw_steps_to_target(frames: Frames) -> Figure:
    """Updates to every target against batch size, log-log, with the law, perfect scaling, plateau and bend."""
    metrics, unit = metrics_of(frames), steps_unit(frames)
    made, panels = theme.figure(len(metrics), 1, 3.6, extra=1.0)
    for axes, metric in zip(panels, metrics, strict=True):
        targets = targets_of(frames, metric)
        found = {target: law for target in targets if (law := law_of(frames, target)) is not None}
        plateaus = {target: fewest for target, law in found.items() if (fewest := law.fewest_updates(unit)) is not None}
        bare, further = [target for target in targets if target not in plateaus], [*plateaus.values()]
        label = _STEPS_LABELS[unit]
        if not panel(axes, frames, targets, unit, label, joined=bare, further=further, missing=_NO_RUN):
            continue
        _reach_bends(axes, [found[target] for target in plateaus])
        for target, look in looks(targets).items():
            _perfect_scaling(axes, frames, target, unit)
            if target in plateaus:
                _bent_law(axes, found[target], plateaus[target], look)
    made.align_ylabels(panels)
    line: dict[str, Any] = {"color": theme.GREY, "linewidth": 1.0}
    fitted = [
        _law_mark(),
        Line2D([], [], **line, linestyle=_DOTTED, label="S_min"),
        Line2D([], [], color=theme.GREY, linewidth=0, marker="|", markersize=10, markeredgewidth=2, label="B_crit"),
    ]
    scaling = Line2D([], [], **line, linestyle=_DASHED, label="perfect scaling")
    theme.legend(made, [*(fitted if _accepted(frames) else []), scaling, *unreached_mark(frames)])
    return made


def caption_steps_to_target(frames: Frames) -> str:
    """What is drawn, over how many runs."""
    of = " over the number of training examples" if steps_unit(frames) == RELATIVE else ""
    law = "Solid: the fitted law S = S_min (1 + B_crit / B); dotted: S_min; upright mark: B_crit with its interval; "
    return joined(
        [
            f"Updates{of} until a run reached a target.",
            runs_in_words(frames),
            f"{law if _accepted(frames) else 'Solid: between means; '}dashed: perfect scaling.",
        ]
    )


def alt_steps_to_target(frames: Frames) -> str:
    """Axes, values and what the law says."""
    unit = steps_unit(frames)
    what = "number of updates" if unit == "updates" else "number of updates over the number of training examples"
    return joined(["Updates to the target against batch size.", targets_alt(frames, unit, what), fits_in_words(frames)])


def draw_examples_to_target(frames: Frames) -> Figure:
    """Epochs to every target against batch size with the law, and the residuals of the law below."""
    metrics, unit = metrics_of(frames), examples_unit(frames)
    below = 1.6 if _fitted(frames) else 0.0
    heights = [3.2, *([below] if below else [])] * len(metrics)
    made = Figure(figsize=(theme.WIDTH, len(metrics) * (3.4 + below) + 0.8), layout="constrained")
    panels = list(made.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
    lowers = panels[1::2] if below else [None] * len(metrics)
    for upper, lower, metric in zip(panels[:: 2 if below else 1], lowers, metrics, strict=True):
        targets = targets_of(frames, metric)
        if lower is not None:
            _residuals(lower, frames, targets)
        accepted = {target: law for target in targets if (law := law_of(frames, target)) is not None and law.accepted}
        bare, label = [target for target in targets if target not in accepted], f"{unit.capitalize()} to the target"
        if not panel(upper, frames, targets, unit, label, joined=bare, bottom=lower is None, missing=_NO_RUN):
            continue
        if unit == "epochs":
            _examples_beside(upper, frames)
        for target, law in accepted.items():
            x = np.geomspace(law.smallest, law.largest, 100)
            upper.plot(x, law.epochs(x), color=looks(targets)[target].colour, linewidth=1.2)
    made.align_ylabels(panels)
    theme.legend(made, [*([_law_mark()] if _accepted(frames) else []), *unreached_mark(frames)])
    return made


def title_examples_to_target(frames: Frames) -> str:
    """What was counted."""
    return f"{sentence_case(examples_unit(frames))} to the targets"


def caption_examples_to_target(frames: Frames) -> str:
    """What is drawn, over how many runs."""
    unit = examples_unit(frames)
    if not _fitted(frames):
        return joined([f"{sentence_case(unit)} until a run reached a target.", runs_in_words(frames)])
    return joined(
        [
            f"Above: {unit} until a run reached a target.",
            runs_in_words(frames),
            f"Solid: {'the fitted law E = E_min (1 + B / B_crit)' if _accepted(frames) else 'between means'}. Below: "
            "logarithm of mean over law, hollow where the law was refused.",
        ]
    )


def alt_examples_to_target(frames: Frames) -> str:
    """Axes, values and what the law says."""
    unit = examples_unit(frames)
    residuals = ", and the residuals of the law" if _fitted(frames) else ""
    head = f"{sentence_case(unit)} to the target against batch size{residuals}."
    return joined([head, targets_alt(frames, unit, f"number of {unit}"), fits_in_words(frames)])


def draw_critical_vs_target(frames: Frames) -> Figure:
    """B_crit with its interval against the target, harder targets to the right."""
    table = "critical_batch_size"
    metrics = metrics_of(frames, table)
    made, panels = theme.figure(len(metrics), 1, 2.9, extra=0.6)
    for axes, metric in zip(panels, metrics, strict=True):
        targets = targets_of(frames, metric, table)
        laws = {target: law_of(frames, target) for target in targets}
        _critical_axes(axes, frames, targets, [law for law in laws.values() if law is not None])
        axes.set_xlabel(f"{sentence_case(metric_words(metric))} to reach (harder to the right)")
        for target, law in laws.items():
            if law is not None:
                _critical(axes, target, law)
    handles = [
        Line2D([], [], color=theme.INK, linewidth=1.5, marker="o", markersize=5, label="accepted"),
        Line2D([], [], color=theme.GREY, linewidth=0, marker="x", markersize=6, label="not accepted"),
        Line2D([], [], color=theme.FAINT, linewidth=5, alpha=0.5, label="sizes fitted"),
    ]
    theme.legend(made, handles)
    return made


def caption_critical_vs_target(frames: Frames) -> str:
    """What is drawn, over how many runs."""
    over = range_in_words(int(n) for n in frames.critical_batch_size["n_runs"])
    return (
        "Critical batch size, at which a run needs twice the fewest epochs, against the target, harder targets to the "
        f"right. Bars: 95 % bootstrap intervals over {over} runs; grey: the sizes fitted. Crosses: fits that were "
        "refused, at the lower edge where they give no number."
    )


def alt_critical_vs_target(frames: Frames) -> str:
    """Axes and values."""
    head = "Critical batch size against the target, harder targets to the right."
    return f"{head} {fits_in_words(frames, 'critical_batch_size')}"


def _perfect_scaling(axes: Axes, frames: Frames, target: Target, unit: str) -> None:
    for size, cost in costs_of(frames, target, unit).items():
        if cost.mean is not None and cost.mean > 0:
            x = np.array([size.batch_size, frames.sizes[-1].batch_size], dtype=np.float64)
            axes.plot(x, cost.mean * x[0] / x, color=theme.GREY, linestyle=_DASHED, linewidth=0.8, zorder=1)
            return


def _reach_bends(axes: Axes, laws: Sequence[Law]) -> None:
    """Widen x to the critical batch sizes of `laws`, but by a factor of 4 at most."""
    low, high = axes.get_xlim()
    ends = [end for law in laws for end in (law.b_crit, law.low, law.high) if end is not None and end > 0]
    axes.set_xlim(
        min(low, max(low / 4, min(ends, default=low) / 1.1)), max(high, min(high * 4, max(ends, default=high) * 1.1))
    )


def _bent_law(axes: Axes, law: Law, plateau: float, look: Look) -> None:
    """The law over the sizes fitted, its plateau, and B_crit with its interval on it."""
    assert law.b_crit is not None
    x = np.geomspace(law.smallest, law.largest, 100)
    axes.plot(x, plateau * (1 + law.b_crit / x), color=look.colour, linewidth=1.2, zorder=2)
    axes.axhline(plateau, color=look.colour, linestyle=_DOTTED, linewidth=1.0, zorder=1)
    style: dict[str, Any] = {"color": look.colour, "zorder": 2}
    if law.low is not None and law.high is not None:
        low, high = axes.get_xlim()
        axes.plot([max(low, law.low), min(high, law.high)], [plateau] * 2, linewidth=4, alpha=0.45, **style)
    axes.plot([law.b_crit], [plateau], marker="|", markersize=12, markeredgewidth=2, **style)


def _examples_beside(axes: Axes, frames: Frames) -> None:
    known = n_train(frames)
    if known is None:
        return
    factors = (lambda y: np.asarray(y) * known, lambda y: np.asarray(y) / known)
    beside = axes.secondary_yaxis("right", functions=factors)
    # A secondary axis has all of an axes that a log axis asks for, but not its type.
    theme.log_axis(cast("Axes", beside), "y", np.array(axes.get_ylim()) * known)
    beside.set_ylabel("Examples")


def _fitted(frames: Frames) -> bool:
    """Whether a law was fitted, though it may have been refused."""
    return bool(frames.targets["law_residual"].notna().any())


def _accepted(frames: Frames) -> bool:
    """Whether the law of a target is drawn."""
    return bool(frames.critical_batch_size["accepted"].astype(bool).any())


def _law_mark() -> Line2D:
    return Line2D([], [], color=theme.GREY, linewidth=1.2, label="law")


def _residuals(axes: Axes, frames: Frames, targets: Sequence[Target]) -> None:
    theme.batch_axis(axes, frames.sizes)
    largest = 0.0
    for target, look in looks(targets).items():
        rows = rows_of(frames.targets, target).dropna(subset=["law_residual"]).sort_values(SIZE)
        law = law_of(frames, target)
        if law is None or rows.empty:
            continue
        face = look.colour if law.accepted else "none"
        style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 5, "linewidth": 0.8}
        axes.plot(rows["batch_size"], rows["law_residual"], mfc=face, **style)
        largest = max(largest, float(rows["law_residual"].abs().max()))
    if not axes.lines:
        theme.say(axes, "not measured: no law to compare with")
        return
    theme.plain_axis(axes)
    axes.set_ylim(-1.25 * (largest or 1.0), 1.25 * (largest or 1.0))
    axes.axhline(0, color=theme.GREY, linewidth=0.8, zorder=1)
    axes.set_ylabel("ln(mean ÷ law)")


def _critical_axes(axes: Axes, frames: Frames, targets: Sequence[Target], laws: Sequence[Law]) -> None:
    """x: the targets, harder to the right; y: log2, ticks at the sizes of the study."""
    values = np.array([target.value or 0.0 for target in targets])
    apart = bool((values > 0).all() and values.max() > 3 * values.min())
    axes.set_xscale("log" if apart else "linear")
    axes.xaxis.set_major_locator(FixedLocator(values.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(values.tolist(), [target.tick for target in targets])
    first, last = (np.log(values) if apart else values)[[0, -1]]
    room = 0.12 * (last - first) or 0.5 * abs(last) or 1.0
    ends = np.array([first - room, last + room])
    axes.set_xlim(*(np.exp(ends) if apart else ends).tolist())
    numbers = [v for law in laws for v in (law.b_crit, law.low, law.high) if v is not None and v > 0]
    numbers += [float(size.batch_size) for size in frames.sizes]
    axes.set_yscale("log", base=2)
    axes.set_ylim(min(numbers) / 1.5, max(numbers) * 1.5)
    axes.yaxis.set_minor_locator(NullLocator())
    ticks, labels = _size_ticks(frames.sizes, float(np.log2(max(numbers) / min(numbers) * 2.25)))
    axes.set_yticks(ticks, labels)
    axes.set_ylabel("B_crit (examples per update)")


def _size_ticks(sizes: Sequence[Size], doublings: float) -> tuple[list[float], list[str]]:
    """The sizes as ticks of an axis of so many doublings, without the labels that would meet the one below."""
    ticks, labels, last = [], [], -np.inf
    for size in sizes:
        at = float(np.log2(size.batch_size))
        meets = at - last < doublings / 12
        ticks.append(float(size.batch_size))
        labels.append("" if meets else size.label)
        last = last if meets else at
    return ticks, labels


def _critical(axes: Axes, target: Target, law: Law) -> None:
    x = target.value or 0.0
    if law.smallest > 0 and law.largest > law.smallest:
        axes.plot([x] * 2, [law.smallest, law.largest], color=theme.FAINT, linewidth=5, alpha=0.5, zorder=1)
    if law.b_crit is None:
        axes.plot([x], [0.03], "x", color=theme.GREY, transform=axes.get_xaxis_transform(), clip_on=False)
        return
    colour = theme.INK if law.accepted else theme.GREY
    bar = pd.DataFrame({"x": [x], "low": [law.low], "high": [law.high]}, dtype="float64")
    theme.bars(axes, bar, "x", colour, linestyle="solid" if law.accepted else "dotted")
    axes.plot(x, law.b_crit, "o" if law.accepted else "x", color=colour, markersize=6, zorder=4)
