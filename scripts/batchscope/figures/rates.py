"""The learning rate of every batch size: how it was tuned, and how the best one grows with the size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batchscope.analysis.external_runs.given import criterion_in_words
from batchscope.figures import line_ends, theme
from batchscope.figures.frames import Frames, Size, labelled, of_size, value_of
from batchscope.figures.targets import Numbers, sentence_case
from batchscope.figures.words import joined, plain, range_in_words, series_in_words
from batchscope.tables.cells import listed

_LOSS = "selected_validation_loss"
# Trials whose loss is so many times the median of all are marked at the upper edge: nobody reads their values.
_BEYOND = 30.0


def draw_tuning(frames: Frames) -> Figure:
    """Lowest validation loss of every trial against its learning rate, one line per batch size."""
    made, (axes,) = theme.figure(1, 1, 3.6, extra=0.4)
    axes.set_xlabel("Learning rate")
    axes.set_ylabel(_criterion(frames))
    known = _finite(frames)
    if known.empty:
        theme.say(axes, "not measured: no trial has a result")
        return made
    losses = known[_LOSS].to_numpy(np.float64)
    top = _BEYOND * float(np.median(losses)) if losses.min() > 0 else float(losses.max())
    _loss_axis(axes, losses[losses <= top])
    theme.log_axis(axes, "x", frames.trials["learning_rate"].to_numpy(np.float64))
    _trials(axes, frames, axes.get_ylim()[1])
    ends = _tuning_curves(axes, frames)
    axes.legend(handles=_tuning_marks(frames), loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0.2)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * (high / low) ** 0.05)  # room for the names
    line_ends.name_sizes(made, {made: {axes: ends}}, frames)
    return made


def caption_tuning(frames: Frames) -> str:
    """What is drawn, over how many tuning seeds, and how the grid was widened."""
    seeds, bad = frames.trials["seed"].nunique(), int((frames.trials["outcome"] != "ok").sum())
    if len(frames.of("rate_choices")):
        own = "These are the runs of the report: their rate was chosen on them."
    elif {*frames.trials["seed"]} & {*frames.runs["seed"]}:
        own = "Runs use some of these seeds: their rate was chosen on them."
    else:
        own = "No run uses these seeds."
    return joined(
        [
            f"{_criterion(frames)} of a trial against its learning rate. Lines: means over "
            f"n = {seeds} {_repetitions(frames, seeds)} where no trial failed, without intervals; dots: "
            "single trials; rings: the rate that the runs use.",
            own,
            f"Crosses: the {bad} {'trial' if bad == 1 else 'trials'} that did not end ok." if bad else "",
        ]
    )


def alt_tuning(frames: Frames) -> str:
    """Axes and the rates chosen."""
    head = f"{_criterion(frames)} against learning rate, one line per batch size."
    return f"{head} {series_in_words('The chosen learning rate', _chosen(frames))}"


def draw_rate_vs_batch(frames: Frames) -> Figure:
    """Best learning rate against batch size, log-log, with the rate used and lines of slope 1 and 1/2."""
    made, (axes,) = theme.figure(1, 1, 3.2, extra=0.7)
    theme.batch_axis(axes, frames.sizes)
    axes.set_ylabel("Learning rate")
    optima = [(size, value) for size in frames.sizes if (value := value_of(frames.rates, size, "optimum")) is not None]
    used = [(size, value) for size, value in _used(frames) if value is not None and value > 0]
    if not optima and not used:
        theme.say(axes, "not measured")
        return made
    _rate_limits(axes, frames, [value for _, value in (*optima, *used)])
    if len(optima) > 1:
        _slopes(axes, frames, optima)
    axes.plot([s.batch_size for s, _ in used], [v for _, v in used], "s", **_HOLLOW, markersize=8, zorder=2)
    best = labelled(frames.rates.dropna(subset=["optimum"]))
    colour = best["size"].map({size.label: shade for size, shade in theme.colours(frames).items()})
    axes.scatter(best["batch_size"], best["optimum"], color=list(colour), s=36, linewidth=0, zorder=4)
    ends = best.rename(columns={"optimum_ci_low": "low", "optimum_ci_high": "high"})
    theme.bars(axes, ends, "batch_size", colour)
    edge = [size for size in frames.sizes if _at_edge(frames, size)]
    at = [(size.batch_size, value) for size, value in used if size in edge]
    axes.plot([x for x, _ in at], [y for _, y in at], "x", color=theme.VALIDATION, markersize=7, zorder=5)
    handles = [
        Line2D([], [], color=theme.INK, linewidth=0, marker="o", markersize=5, label="optimum"),
        Line2D([], [], linewidth=0, marker="s", markersize=8, **_HOLLOW, label="used by the runs"),
        *([Line2D([], [], color=theme.INK, linewidth=1.2, label="fitted slope")] if _fitted(frames) else []),
        *(Line2D([], [], color=theme.GREY, linestyle=style, label=words) for words, (_, style) in _REFERENCES.items()),
    ]
    if at:
        handles.append(Line2D([], [], color=theme.VALIDATION, linewidth=0, marker="x", label="at the edge"))
    theme.legend(made, handles)
    return made


def caption_rate_vs_batch(frames: Frames) -> str:
    """What is drawn, and the slope with its interval."""
    counts = [int(n) for n in frames.rates["n_seeds"] if n > 0]
    bars = " with 95 % t-intervals" if max(counts, default=0) > 1 else ""
    over = f", geometric means over n = {range_in_words(counts)} {_repetitions(frames)}{bars}"
    if _of_means(frames):
        over = " of the means over runs"
    edge = any(_at_edge(frames, size) for size in frames.sizes)
    return joined(
        [
            f"Dots: best learning rate{over}. Squares: rate of the runs.",
            _slope_in_words(frames),
            "Crosses: a better rate may lie beyond those that could be trained." if edge else "",
        ]
    )


def alt_rate_vs_batch(frames: Frames) -> str:
    """Axes, values and slope."""
    optima = [(size, value_of(frames.rates, size, "optimum")) for size in frames.sizes]
    return joined(
        [
            "Learning rate against batch size.",
            series_in_words("The best learning rate", optima),
            _slope_in_words(frames),
        ]
    )


_REFERENCES: dict[str, tuple[float, Any]] = {"slope 1": (1.0, (0, (4, 3))), "slope 1/2": (0.5, (0, (1, 2)))}
_HOLLOW: dict[str, Any] = {"color": theme.GREY, "markerfacecolor": "none"}


def _finite(frames: Frames) -> pd.DataFrame:
    """Trials that ended ok with a loss that is a number."""
    trials = frames.trials
    losses = trials[_LOSS].to_numpy(np.float64, na_value=np.nan)
    found: pd.DataFrame = trials[np.isfinite(losses) & (trials["outcome"] == "ok")]
    return found


def _loss_axis(axes: Axes, losses: Numbers) -> None:
    """Log where the losses are positive and far apart; with room at the top for trials that failed."""
    low, high = float(losses.min()), float(losses.max())
    if low > 0 and high > 2 * low:
        theme.log_axis(axes, "y", losses)
        axes.set_ylim(low / (high / low) ** 0.05, high * (high / low) ** 0.15)
    else:
        theme.plain_axis(axes)
        room = high - low or abs(high) or 1.0
        axes.set_ylim(low - 0.05 * room, high + 0.15 * room)


def _trials(axes: Axes, frames: Frames, top: float) -> None:
    """The single trials, those that failed, and those whose loss lies beyond the axis."""
    for size, colour in theme.colours(frames).items():
        trials = of_size(frames.trials, size)
        rates, losses = (trials[name].to_numpy(np.float64, na_value=np.nan) for name in ("learning_rate", _LOSS))
        good = np.isfinite(losses) & (trials["outcome"] == "ok").to_numpy()
        inside = good & (losses <= top)
        axes.plot(rates[inside], losses[inside], "o", color=colour, markersize=3, mew=0, clip_on=False)
        for beyond, mark in ((~good, "x"), (good & (losses > top), "^")):
            at = np.unique(rates[beyond])
            axes.plot(at, [0.96] * len(at), mark, color=colour, markersize=5, transform=axes.get_xaxis_transform())


def _tuning_curves(axes: Axes, frames: Frames) -> pd.DataFrame:
    """The mean loss of a size per rate, where no trial failed, and a ring about the rate chosen; the ends of lines."""
    ends = []
    ring: dict[str, Any] = {
        "markersize": 9,
        "markerfacecolor": "none",
        "markeredgewidth": 1.6,
        "zorder": 4,
        "clip_on": False,
    }
    for size, colour in theme.colours(frames).items():
        curve = of_size(frames.tuning_curves, size)
        whole = curve["loss_mean"].where(curve["n_ok"] == curve["n"])
        axes.plot(curve["learning_rate"], whole, color=colour, linewidth=1.4, zorder=3)
        for last in whole.dropna().index[-1:]:
            ends.append((size.label, curve["learning_rate"][last], whole[last]))
        chosen = curve[curve["chosen"]].dropna(subset=["loss_mean"])
        axes.plot(chosen["learning_rate"], chosen["loss_mean"], "o", color=colour, **ring)
    return pd.DataFrame(ends, columns=["size", "x", "y"])


def _tuning_marks(frames: Frames) -> list[Line2D]:
    ring = Line2D([], [], linewidth=0, marker="o", markersize=8, markeredgewidth=1.6, **_HOLLOW, label="chosen")
    failed = (frames.trials["outcome"] != "ok").any()
    return [ring, *([Line2D([], [], linewidth=0, marker="x", **_HOLLOW, label="did not end ok")] if failed else [])]


def _chosen(frames: Frames) -> list[tuple[Size, float | None]]:
    chosen = frames.trials[frames.trials["chosen"].astype(bool)]
    return [(size, value_of(chosen, size, "learning_rate")) for size in frames.sizes]


def _used(frames: Frames) -> list[tuple[Size, float | None]]:
    return [(size, value_of(frames.rates, size, "learning_rate")) for size in frames.sizes]


def _at_edge(frames: Frames, size: Size) -> bool:
    row = of_size(frames.rates, size) if len(frames.rates) else frames.rates
    return len(row) > 0 and not pd.isna(row["at_edge"].iloc[0]) and bool(row["at_edge"].iloc[0])


def _rate_limits(axes: Axes, frames: Frames, values: Sequence[float]) -> None:
    """Wide enough for all rates and bars, but no bar may stretch the axis by more than a decade on a side."""
    ends = frames.rates[["optimum_ci_low", "optimum_ci_high"]].to_numpy(np.float64, na_value=np.nan)
    ends = ends[np.isfinite(ends) & (ends > 0)]
    low = max(min([*values, *ends]), min(values) / 10)
    high = min(max([*values, *ends]), max(values) * 10)
    margin = max(1.3, (high / low) ** 0.08)
    theme.log_axis(axes, "y", np.array([low / margin, high * margin]))
    axes.set_ylim(low / margin, high * margin)


def _slopes(axes: Axes, frames: Frames, optima: Sequence[tuple[Size, float]]) -> None:
    """The fitted slope over the sizes that it rests on, through their middle; and slopes 1 and 1/2 from the first."""
    x = np.array([size.batch_size for size, _ in optima], dtype=np.float64)
    y = np.array([value for _, value in optima])
    for power, style in _REFERENCES.values():
        axes.plot(x, y[0] * (x / x[0]) ** power, color=theme.GREY, linestyle=style, linewidth=1.0, zorder=1)
    slope = _fitted(frames)
    if slope is not None:
        inside = [not _at_edge(frames, size) for size, _ in optima]
        x, y = x[inside], y[inside]
        middle = np.exp(np.log(y).mean() + slope * (np.log(x) - np.log(x).mean()))
        axes.plot(x, middle, color=theme.INK, linewidth=1.2, zorder=2)


def _fitted(frames: Frames) -> float | None:
    """The slope of the best rates; None where there is none, or only its bounds are known."""
    slopes = frames.rate_slopes["slope"].dropna().tolist() if len(frames.rate_slopes) else []
    return float(slopes[0]) if slopes else None


def _slope_in_words(frames: Frames) -> str:
    rows = frames.rate_slopes.dropna(subset=["slope_lowest"]) if len(frames.rate_slopes) else frames.rate_slopes
    if rows.empty:
        return "No slope was fitted."
    row = rows.iloc[0]
    least, most = (plain(float(row[f"slope_{end}"]), digits=3) for end in ("lowest", "highest"))
    n, sizes = int(row["n"]), len(listed(row["fitted"]))
    open_ended = pd.isna(row["ci_low"]) or pd.isna(row["ci_high"])
    low, high = ("", "") if open_ended else (plain(float(row[name]), digits=3) for name in ("ci_low", "ci_high"))
    if row["bounded"]:
        reach = "" if open_ended else f" (95 %, with the spread of {_repetitions(frames, n)}: {low} to {high})"
        return f"No slope is drawn: over {sizes} sizes it lies between {least} and {most}{reach}."
    if open_ended:
        why = "runs share no seeds" if _of_means(frames) else f"n = {n} {_repetitions(frames, n)}"
        return f"Solid: fitted slope {least} over {sizes} sizes (no interval: {why})."
    of_it = f"95 % t-interval {low} to {high} over n = {n} {_repetitions(frames, n)}, {sizes} sizes"
    return f"Solid: fitted slope {least} ({of_it})."


def _criterion(frames: Frames) -> str:
    """What the best rate has least of."""
    of_external_runs = frames.of("rate_choices")
    if of_external_runs.empty:
        return "Lowest validation loss"
    return sentence_case(criterion_in_words(of_external_runs["criterion"].iloc[0]))


def _of_means(frames: Frames) -> bool:
    """Whether best rates are those of the means of runs, since runs made elsewhere share no seeds."""
    return len(frames.of("rate_choices")) > 0 and bool((frames.rates["n_seeds"] <= 1).all())


def _repetitions(frames: Frames, n: int = 2) -> str:
    """What there are several of at each rate."""
    kind = "tuning seed" if frames.of("rate_choices").empty else "repetition"
    return kind if n == 1 else f"{kind}s"
