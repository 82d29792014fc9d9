"""The gradient noise scale at checkpoints beside the critical batch size of whole runs, on one axis of examples."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.figures import theme
from batchscope.figures.frames import Frames, known, of_size
from batchscope.figures.target_words import all_targets, joined
from batchscope.figures.targets import Law, Target, law_of, metric_words
from batchscope.figures.words import plain
from batchscope.probes import marks
from batchscope.probes.words import seeds_in_words
from batchscope.tables.cells import sizes_of
from batchscope.text import listing
from batchscope.training.checkpoints import Checkpoint, at, by_checkpoint

_NAMES = ("noise_scale", "noise_scale_ci_low", "noise_scale_ci_high")


def draw_noise_scale(frames: Frames) -> Figure:
    """Noise scale against the checkpoint of the run, per batch size; beside it the accepted critical batch sizes."""
    laws, runs = _accepted(frames), frames.of("noise_scale")
    widths = [3.0, 0.8 + 0.28 * len(laws)] if laws else [1.0]
    made = Figure(figsize=(theme.WIDTH, 3.9), layout="constrained")
    panels = list(made.subplots(1, len(widths), squeeze=False, sharey=True, width_ratios=widths)[0])
    fits = pd.DataFrame([(law.b_crit, law.low, law.high) for law in laws.values()], columns=[*_NAMES])
    every = pd.concat([runs[[*_NAMES]], fits.astype("float64")])
    marks.log_limits(panels[0], every[_NAMES[0]], every[[*_NAMES[1:]]])
    panels[0].set_ylabel("Examples")
    panels[0].set_xlabel("Epochs up to the checkpoint")
    panels[0].set_title("Noise scale of gradients")
    if runs[_NAMES[0]].notna().any():
        _noise_panel(panels[0], frames)
    else:
        theme.say(panels[0], "not measured: no noise scale\ncould be estimated")
        panels[0].tick_params(left=True, labelleft=True)
    if laws:
        panels[1].set_title("B_crit of runs")
        _critical_panel(panels[1], laws)
    theme.legend(made, _handles(frames))
    return made


def title_noise_scale(frames: Frames) -> str:
    """What is drawn: critical batch sizes where there are."""
    return f"Gradient noise scale{' and critical batch size' if _accepted(frames) else ''}"


def caption_noise_scale(frames: Frames) -> str:
    """What is drawn, over how many seeds, and the intervals."""
    laws, open_ended = _accepted(frames), _open(frames.of("noise_scale"))
    return joined(
        [
            f"{'Left: g' if laws else 'G'}radient noise scale tr(Σ)/|G|² at the weights of runs. Small dots: single "
            f"runs with 95 % intervals{', arrows where one has no upper end' if len(open_ended) else ''}; large dots: "
            f"mean tr(Σ) over mean |G|² of {seeds_in_words(frames.of('noise_scale_means'))}.",
            "Right: critical batch sizes fitted to whole runs, with 95 % bootstrap intervals." if laws else "",
        ]
    )


def alt_noise_scale(frames: Frames) -> str:
    """Values of both."""
    means = frames.of("noise_scale_means").dropna(subset=["noise_scale"])
    parts = [
        f"{plain(value, digits=3)} for batch size {size.label} {checkpoint.when}"
        for size in sizes_of(means)
        for checkpoint, here in by_checkpoint(of_size(means, size)).items()
        for value in here["noise_scale"]
    ]
    fits = [f"{plain(law.b_crit or 0.0, digits=3)} at {target.label}" for target, law in _accepted(frames).items()]
    return joined(
        [
            f"Gradient noise scale against the checkpoint of the run{', beside the critical batch size' * bool(fits)}.",
            f"Over all seeds it is {listing(parts)}." if parts else "There is no mean over seeds.",
            f"The critical batch size is {listing(fits)}." if fits else "No critical batch size was accepted.",
        ]
    )


def _accepted(frames: Frames) -> dict[Target, Law]:
    """The laws that were accepted, by target."""
    targets = all_targets(frames, "critical_batch_size") if len(frames.critical_batch_size) else []
    laws = {target: law_of(frames, target) for target in targets}
    return {target: law for target, law in laws.items() if law is not None and law.accepted}


def _noise_panel(axes: Axes, frames: Frames) -> None:
    runs, means = frames.of("noise_scale"), frames.of("noise_scale_means")
    shades, sizes, order = theme.colours(frames), sizes_of(runs), [*by_checkpoint(runs)]
    slots = int(means["n"].max()) + 1
    step = 0.7 / (slots * len(sizes))
    for i, size in enumerate(sizes):
        own, x = by_checkpoint(of_size(means, size)), []
        for checkpoint in own:
            x.append(order.index(checkpoint) + step * slots * (i - (len(sizes) - 1) / 2))
            singles = at(of_size(runs, size), checkpoint).sort_values("seed")
            for place, row in enumerate(singles.to_dict("records")):
                _single(axes, x[-1] + step * (place - (len(singles) - 1) / 2), row, shades[size])
        y = [float(mean["noise_scale"].iloc[0]) for mean in own.values()]
        axes.plot(x, y, "o-", color=shades[size], markersize=6, linewidth=1.2, mec="white", mew=0.6, zorder=4)
    axes.set_xticks(range(len(order)), [_tick(means, checkpoint) for checkpoint in order])
    axes.set_xlim(-0.5, len(order) - 0.5)
    axes.grid(False, axis="x")


def _tick(means: pd.DataFrame, checkpoint: Checkpoint) -> str:
    """When the runs were at a checkpoint, `20` or `25 to 40` epochs, and what it is called."""
    here = at(means, checkpoint)
    ends = (plain(float(end), digits=3) for end in (here["epoch_min"].min(), here["epoch_max"].max()))
    return f"{' to '.join(dict.fromkeys(ends))}\n{checkpoint.label.replace(' of the', chr(10) + 'of the')}"


def _single(axes: Axes, x: float, row: dict[Any, Any], colour: str) -> None:
    """The estimate of one run with its bar; an arrow to the upper edge where its interval is open."""
    value, low, high = (known(row[name]) for name in _NAMES)
    if value is None:
        return
    bottom, top = axes.get_ylim()
    style: dict[str, Any] = {"color": colour, "zorder": 2}
    axes.plot(
        [x, x], [bottom if low is None else max(low, bottom), top if high is None else high], lw=theme.THIN, **style
    )
    if high is None:
        above = axes.get_xaxis_transform()
        axes.plot([x], [0.985], "^", markersize=5, markeredgewidth=0, transform=above, clip_on=False, **style)
    axes.plot([x], [value], "o", markersize=3, markeredgewidth=0, **style)


def _critical_panel(axes: Axes, laws: dict[Target, Law]) -> None:
    """B_crit with its interval for every target, harder targets of a metric to the right."""
    for x, law in enumerate(laws.values()):
        assert law.b_crit is not None
        marks.bar(axes, x, law.b_crit, (law.low, law.high), color=theme.INK)
        axes.plot([x], [law.b_crit], "D", color=theme.INK, markersize=5, zorder=4)
    by_metric: dict[str, list[int]] = {}
    for x, target in enumerate(laws):
        by_metric.setdefault(target.metric, []).append(x)
    labels = [target.tick for target in laws]
    for metric, places in by_metric.items():
        labels[places[len(places) // 2]] += "\n" + metric_words(metric).replace(" ", "\n")
    axes.set_xticks(range(len(laws)), labels)
    axes.set_xlim(-0.6, len(laws) - 0.4)


def _handles(frames: Frames) -> list[Line2D]:
    shades, runs = theme.colours(frames), frames.of("noise_scale")
    found = [Line2D([], [], linewidth=0, label="Trained with:")]
    for size in sizes_of(runs):
        found.append(Line2D([], [], color=shades[size], marker="o", markersize=5, label=size.label))
    if len(_open(runs)):
        found.append(marks.handle("no upper end", colour=theme.GREY, marker="^", ms=5))
    return found


def _open(rows: pd.DataFrame) -> pd.DataFrame:
    """Estimates whose interval has no upper end."""
    found: pd.DataFrame = rows[rows["noise_scale"].notna() & rows["noise_scale_ci_high"].isna()]
    return found
