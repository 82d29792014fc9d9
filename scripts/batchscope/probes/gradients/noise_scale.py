"""The gradient noise scale at checkpoints beside the critical batch size of whole runs, on one axis of examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, of_size
from batchscope.figures.target_words import all_targets, joined
from batchscope.figures.targets import Law, Target, law_of, metric_words
from batchscope.figures.words import plain
from batchscope.probes import marks, moments
from batchscope.probes.gradients.analysis import noise_scale_over_seeds
from batchscope.probes.moments import estimate, known
from batchscope.stats.intervals import t_interval
from batchscope.text import listing
from batchscope.training.checkpoints import Checkpoint, by_checkpoint

_CRITICAL = "critical_batch_size"
_ENDS = ("noise_scale_ci_low", "noise_scale_ci_high")


@dataclass(frozen=True)
class Place:
    """The runs of a batch size at a checkpoint.

    `mean` is the mean of tr(Σ) over the mean of |G|², each over all runs, None where the latter is not above zero: a
    mean of the noise scales would leave out those that could not be estimated, which are the largest.
    """

    size: Size
    checkpoint: Checkpoint
    mean: float | None
    rows: pd.DataFrame


def draw_noise_scale(frames: Frames) -> Figure:
    """Noise scale against the checkpoint of the run, per batch size; beside it the accepted critical batch sizes."""
    laws = _accepted(frames)
    widths = [3.0, 0.8 + 0.28 * len(laws)] if laws else [1.0]
    made = Figure(figsize=(theme.WIDTH, 3.9), layout="constrained")
    panels = list(made.subplots(1, len(widths), squeeze=False, sharey=True, width_ratios=widths)[0])
    places = _places(frames)
    _limits(panels[0], places, list(laws.values()))
    panels[0].set_ylabel("Examples")
    panels[0].set_xlabel("Epochs up to the checkpoint")
    panels[0].set_title("Noise scale of gradients")
    _noise_panel(panels[0], frames, places)
    if laws:
        panels[1].set_title("B_crit of runs")
        _critical_panel(panels[1], laws)
    theme.legend(made, _handles(frames, places))
    return made


def caption_noise_scale(frames: Frames) -> str:
    """What is drawn, what was not estimable, how the noise scale grew, and what it is not."""
    rows = frames.of("noise_scale")
    return joined(
        [
            f"{'Left: g' if _accepted(frames) else 'G'}radient noise scale B_simple = tr(Σ)/|G|², with Σ the "
            "covariance of the gradients of single examples and G the gradient of all data like them, from "
            f"{moments.ranged(rows['examples'])} training examples at weights that do not move, the model in "
            "inference mode. Weights: those of runs with batch size "
            f"{listing([size.label for size in moments.sizes_of(frames, rows)])}, "
            f"{listing([checkpoint.when for checkpoint in by_checkpoint(rows)])}.",
            "Small dots: single runs, side by side; bars: 95 % intervals (Fieller, jackknife over the examples), cut "
            "at the edges of the panel. Large dots: mean tr(Σ) over mean |G|² of "
            f"{moments.seeds(len(place.rows) for place in _places(frames))}. After the first update the weights have "
            "been fitted to these very examples: the intervals hold for others like them only before it.",
            _open_in_words(rows),
            _refused_in_words(_places(frames)),
            _growth_in_words(frames),
            moments.missing_in_words(frames, rows, moments.sizes_of(frames, rows)),
            _critical_in_words(frames),
            "The two are different things and no equality is claimed: the noise scale belongs to one checkpoint, and "
            "tends to grow during training as the gradient shrinks faster than its noise; B_crit belongs to whole runs "
            "up to a target and to how their learning rate was chosen.",
        ]
    )


def alt_noise_scale(frames: Frames) -> str:
    """Values of both."""
    parts = [
        f"{plain(place.mean, digits=3)} for batch size {place.size.label} {place.checkpoint.when}"
        for place in _places(frames)
        if place.mean is not None
    ]
    found = f"Over all seeds it is {listing(parts)}." if parts else "There is no mean over seeds."
    head = "Gradient noise scale against the checkpoint of the run, beside the critical batch size."
    return joined([head, found, _refused_in_words(_places(frames)), _critical_in_words(frames)])


def _accepted(frames: Frames) -> dict[Target, Law]:
    """The laws that were accepted, by target."""
    targets = all_targets(frames, _CRITICAL) if len(frames.critical_batch_size) else []
    laws = {target: law_of(frames, target) for target in targets}
    return {target: law for target, law in laws.items() if law is not None and law.accepted}


def _places(frames: Frames) -> list[Place]:
    rows, found = frames.of("noise_scale"), []
    for size in moments.sizes_of(frames, rows):
        for checkpoint, here in by_checkpoint(of_size(rows, size)).items():
            mean, _, _ = noise_scale_over_seeds(here)
            found.append(Place(size, checkpoint, mean, here.sort_values("seed")))
    return found


def _limits(axes: Axes, places: Sequence[Place], laws: Sequence[Law]) -> None:
    rows = pd.concat([place.rows for place in places])
    values = [*known(rows["noise_scale"]), *(law.b_crit for law in laws if law.b_crit is not None)]
    ends = [*known(rows[list(_ENDS)].stack()), *(end for law in laws for end in (law.low, law.high) if end is not None)]
    marks.log_limits(axes, values, ends)


def _noise_panel(axes: Axes, frames: Frames, places: Sequence[Place]) -> None:
    if not any(len(known(place.rows["noise_scale"])) for place in places):
        theme.say(axes, "not measured: no noise scale\ncould be estimated")
        axes.tick_params(left=True, labelleft=True)
        return
    shades, sizes = theme.colours(frames.sizes), list(dict.fromkeys(place.size for place in places))
    order = [*by_checkpoint(frames.of("noise_scale"))]
    slots = max(len(place.rows) for place in places) + 1
    step = 0.7 / (slots * len(sizes))
    for size in sizes:
        own = [place for place in places if place.size == size]
        x = [order.index(place.checkpoint) + step * slots * (sizes.index(size) - (len(sizes) - 1) / 2) for place in own]
        for middle, place in zip(x, own, strict=True):
            for i, row in enumerate(place.rows.to_dict("records")):
                offset = step * (i - (len(place.rows) - 1) / 2)
                _single(axes, middle + offset, [row[name] for name in ("noise_scale", *_ENDS)], shades[size])
        means = [np.nan if place.mean is None else place.mean for place in own]
        axes.plot(x, means, "o-", color=shades[size], markersize=6, linewidth=1.2, mec="white", mew=0.6, zorder=4)
    labels = [each.label.replace(" of the", "\nof the") for each in order]
    axes.set_xticks(
        range(len(order)), [f"{_epochs(places, each)}\n{label}" for each, label in zip(order, labels, strict=True)]
    )
    axes.set_xlim(-0.5, len(order) - 0.5)
    axes.grid(False, axis="x")


def _epochs(places: Sequence[Place], checkpoint: Checkpoint) -> str:
    """When the runs were at a checkpoint: `20`, `25 to 40`."""
    found = pd.concat([place.rows["epoch"] for place in places if place.checkpoint == checkpoint])
    return " to ".join(dict.fromkeys(plain(float(end), digits=3) for end in (found.min(), found.max())))


def _single(axes: Axes, x: float, numbers: Sequence[float | None], colour: str) -> None:
    """The estimate of one run with its bar; an arrow to the upper edge where its interval is open."""
    value, low, high = (None if number is None or not np.isfinite(number) else float(number) for number in numbers)
    if value is None:
        return
    bottom, top = axes.get_ylim()
    style: dict[str, Any] = {"color": colour, "alpha": 0.6, "zorder": 2}
    axes.plot([x, x], [bottom if low is None else max(low, bottom), top if high is None else high], lw=1.1, **style)
    if high is None:
        above = axes.get_xaxis_transform()
        axes.plot([x], [0.985], "^", markersize=5, markeredgewidth=0, transform=above, clip_on=False, **style)
    axes.plot([x], [value], "o", markersize=3, markeredgewidth=0, **style)


def _critical_panel(axes: Axes, laws: dict[Target, Law]) -> None:
    """B_crit with its interval for every target, harder targets of a metric to the right."""
    bottom, top = axes.get_ylim()
    for x, law in enumerate(laws.values()):
        assert law.b_crit is not None
        if law.low is not None and law.high is not None:
            reach = [[law.b_crit - max(law.low, bottom / 2)], [min(law.high, top * 2) - law.b_crit]]
            axes.errorbar(x, law.b_crit, reach, color=theme.INK, elinewidth=1.5, capsize=3.5)
        axes.plot([x], [law.b_crit], "D", color=theme.INK, markersize=5, zorder=4)
    by_metric: dict[str, list[int]] = {}
    for x, target in enumerate(laws):
        by_metric.setdefault(target.metric, []).append(x)
    labels = [target.tick for target in laws]
    for metric, at in by_metric.items():
        labels[at[len(at) // 2]] += "\n" + metric_words(metric).replace(" ", "\n")
    axes.set_xticks(range(len(laws)), labels)
    axes.set_xlim(-0.6, len(laws) - 0.4)


def _handles(frames: Frames, places: Sequence[Place]) -> list[Line2D]:
    shades = theme.colours(frames.sizes)
    found = [Line2D([], [], linewidth=0, label="Trained with:")]
    for size in dict.fromkeys(place.size for place in places):
        found.append(Line2D([], [], color=shades[size], marker="o", markersize=5, label=size.label))
    if any(len(_open(place.rows)) for place in places):
        label = "no upper end"
        found.append(Line2D([], [], color=theme.GREY, linewidth=0, marker="^", markersize=5, label=label))
    return found


def _open(rows: pd.DataFrame) -> pd.DataFrame:
    """Estimates whose interval has no upper end."""
    found: pd.DataFrame = rows[rows["noise_scale"].notna() & rows[_ENDS[1]].isna()]
    return found


def _open_in_words(rows: pd.DataFrame) -> str:
    count = len(_open(rows))
    if not count:
        return ""
    return (
        f"Arrows: {count} of {len(rows)} intervals have no upper end, since |G|² cannot be told apart from zero there."
    )


def _refused_in_words(places: Sequence[Place]) -> str:
    """Where the noise scale could not be estimated, and why."""
    cells, reasons = [], []
    for place in places:
        lacking = place.rows[place.rows["noise_scale"].isna()]
        if len(lacking):
            cells.append(
                f"{len(lacking)} of {len(place.rows)} runs with batch size {place.size.label} {place.checkpoint.when}"
            )
            reasons += [str(reason).removesuffix(".") for reason in lacking["reason"].dropna()]
    if not cells:
        return ""
    why = "; ".join(dict.fromkeys(reasons)) or "no reason is given"
    return f"Not estimable, and so not drawn: {listing(cells)} ({why})."


def _growth_in_words(frames: Frames) -> str:
    """By what factor the noise scale changed from the first checkpoint to the last, where every run has both."""
    rows, parts = frames.of("noise_scale"), []
    order = [*by_checkpoint(rows)]
    for size in moments.sizes_of(frames, rows) if len(order) > 1 else ():
        by_seed = {each: part.set_index("seed") for each, part in by_checkpoint(of_size(rows, size)).items()}
        if not {order[0], order[-1]} <= set(by_seed):
            continue
        ratio = by_seed[order[-1]]["noise_scale"] / by_seed[order[0]]["noise_scale"]
        if ratio.isna().any():
            continue
        found = t_interval(known(np.log(ratio)))
        factor, low, high = (None if v is None else float(np.exp(v)) for v in (found.mean, found.low, found.high))
        parts.append(f"{estimate(factor, low, high, found.n)} for batch size {size.label}")
    if not parts:
        return ""
    return (
        f"From the first checkpoint to the last it changed by a factor of {'; '.join(parts)} (geometric mean and 95 % "
        "t-interval over seeds, only where every run has both estimates)."
    )


def _critical_in_words(frames: Frames) -> str:
    """The critical batch sizes that are drawn, with their targets."""
    laws = _accepted(frames)
    if not laws:
        return "No critical batch size was accepted for these runs: there is nothing to compare with."
    parts = [f"{estimate(law.b_crit, law.low, law.high, 1)} at {target.label}" for target, law in laws.items()]
    lacking = len(frames.critical_batch_size) - len(laws)
    refused = f" Fits to {lacking} further targets were refused and are not drawn." if lacking else ""
    return (
        "Right: critical batch size B_crit, fitted to the epochs that runs of all sizes need to a target, with 95 % "
        f"bootstrap intervals: {'; '.join(parts)}.{refused}"
    )
