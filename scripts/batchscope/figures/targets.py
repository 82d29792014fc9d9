"""Runs on their way to a target: what figures of targets draw alike, and the words they share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from batchscope.figures import theme
from batchscope.figures.frames import Frames, Size, known, of_size
from batchscope.figures.words import plain
from batchscope.tables.metrics import TARGETS

Numbers = NDArray[np.float64]
# Updates of an import that does not say n_train: epochs over the batch size, which are updates over n_train.
RELATIVE = "relative"
# Not the triangle: it says that a run ended before the target.
_MARKERS = "osDPXhp*"


@dataclass(frozen=True)
class Target:
    """A value of a metric. An import need not name either: then `metric` is empty, or `value` None."""

    metric: str
    value: float | None

    @property
    def label(self) -> str:
        """As in captions: `validation loss 0.4`, or `the target` where neither is known."""
        if self.value is None:
            return f"the target of the {self.metric}" if self.metric else "the target"
        return f"{metric_words(self.metric)} {plain(self.value)}"

    @property
    def tick(self) -> str:
        """As in legends and on axes beside the metric: `0.4`."""
        return "not named" if self.value is None else plain(self.value)


@dataclass(frozen=True)
class Look:
    """Colour and marker of a target."""

    colour: str
    marker: str


@dataclass(frozen=True)
class Cost:
    """What the runs of one size took to one target, in one unit.

    `mean` with its interval is None unless all runs reached it, `median` (Kaplan-Meier) is None where all did or where
    fewer than half did. `singles` are the runs that reached it; `ends` how far the others were followed, NaN where that
    is not known in this unit, or not at all.
    """

    n: int
    mean: float | None
    low: float | None
    high: float | None
    median: float | None
    singles: Numbers
    ends: Numbers


@dataclass(frozen=True)
class Law:
    """E(B) = e_min (1 + B / b_crit) as fitted to one target, or why it was refused.

    E is in epochs, or in examples where these alone are known (`examples_unit`).
    """

    e_min: float | None
    b_crit: float | None
    low: float | None
    high: float | None
    accepted: bool
    reason: str
    smallest: int
    largest: int
    s_min: float | None

    def fewest_updates(self, unit: str) -> float | None:
        """S_min in updates or `RELATIVE` to n_train; None where the fit was refused, or it is not known."""
        if not self.accepted or unit != RELATIVE:
            return self.s_min if self.accepted else None
        assert self.e_min is not None
        assert self.b_crit is not None
        return self.e_min / self.b_crit

    def epochs(self, batch_sizes: Numbers) -> Numbers:
        """Epochs or examples to the target (McCandlish et al. 2018, arXiv 1812.06162, equation 5.1)."""
        assert self.e_min is not None
        assert self.b_crit is not None
        return self.e_min * (1 + batch_sizes / self.b_crit)


def metric_words(metric: str) -> str:
    """A metric in words; the name that an import gave it where it is none of ours."""
    return TARGETS[metric].words if metric in TARGETS else metric or "target"


def sentence_case(words: str) -> str:
    """`words` with a capital first letter; abbreviations stay as they are."""
    return words[:1].upper() + words[1:]


def metrics_of(frames: Frames, table: str = "to_target") -> list[str]:
    """Metrics that have targets, in the order of the table."""
    return list(dict.fromkeys(getattr(frames, table)["metric"].fillna("")))


def targets_of(frames: Frames, metric: str, table: str = "to_target") -> list[Target]:
    """The targets of `metric`, from the one that is reached first to the hardest."""
    found = getattr(frames, table)
    wanted = found.loc[found["metric"].fillna("") == metric, "target"]
    values = sorted({float(value) for value in wanted.dropna()})
    targets = [Target(metric, value) for value in (values if _higher_is_harder(frames, metric) else values[::-1])]
    return [*([Target(metric, None)] if wanted.isna().any() else []), *targets]


def _higher_is_harder(frames: Frames, metric: str) -> bool:
    """Whether `metric` grows as a run improves. An import does not say so, but the epochs to its targets do."""
    rows = frames.to_target
    if metric in TARGETS or rows.empty:
        return metric in TARGETS and TARGETS[metric].better == "higher"
    rows = rows[(rows["metric"].fillna("") == metric) & rows["reached"].astype(bool)].dropna(subset=["epochs"])
    by_target = rows.pivot_table(index=["batch_size", "full_batch", "seed"], columns="target", values="epochs").dropna()
    if by_target.shape[0] == 0 or by_target.shape[1] < 2:
        return False
    return bool(by_target.iloc[:, -1].sum() > by_target.iloc[:, 0].sum())


def looks(targets: Sequence[Target]) -> dict[Target, Look]:
    """A colour and a marker per target, lightest for the easiest; not the colours of batch sizes."""
    shades = np.linspace(0.63, 1.0, len(targets)) if len(targets) > 1 else [0.75]
    return {
        target: Look(to_hex(colormaps["OrRd"](shade)), _MARKERS[i % len(_MARKERS)])
        for i, (target, shade) in enumerate(zip(targets, shades, strict=True))
    }


def legend(axes: Axes, targets: Sequence[Target]) -> None:
    """What the colours and markers of a panel's targets are, on a line above it that starts with their metric."""
    if [*targets] == [Target("", None)]:
        return  # nothing to tell apart, and no name
    handles = [Line2D([], [], linewidth=0, label=f"{sentence_case(metric_words(targets[0].metric))}:")]
    for target, look in looks(targets).items():
        handles.append(Line2D([], [], color=look.colour, marker=look.marker, markersize=5, label=target.tick))
    columns = min(len(handles), 9)
    by_column = [handle for column in range(columns) for handle in handles[column::columns]]
    narrow = {"borderpad": 0.2, "columnspacing": 0.9, "handletextpad": 0.4}
    axes.legend(handles=by_column, loc="lower left", bbox_to_anchor=(-0.06, 1), ncols=columns, **narrow)


def unreached_mark(frames: Frames) -> list[Line2D]:
    """The entry of a legend for runs that ended before a target; none where every run reached all."""
    if frames.to_target["reached"].astype(bool).all():
        return []
    style: dict[str, Any] = {"linewidth": 0, "marker": "^", "markersize": 5, "markerfacecolor": "none"}
    return [Line2D([], [], **style, color=theme.GREY, label="not reached")]


def steps_unit(frames: Frames) -> str:
    """`updates`, or `RELATIVE` where nothing says how many updates an epoch has."""
    counted = bool(frames.to_target["updates"].notna().any())
    planned = "updates_per_epoch" in frames.runs and bool(frames.runs["updates_per_epoch"].notna().any())
    return "updates" if counted or planned else RELATIVE


def examples_unit(frames: Frames) -> str:
    """`epochs`, or `examples` for an import that counts these alone."""
    rows = frames.to_target
    alone = rows["epochs"].isna().all() and rows["budget_epochs"].isna().all() and rows["examples"].notna().any()
    return "examples" if alone else "epochs"


def n_train(frames: Frames) -> int | None:
    """Examples of the training part; None where an import does not say."""
    if "n_train" not in frames.runs:
        return None
    known = frames.runs["n_train"].dropna()
    return int(known.iloc[0]) if len(known) else None


def rows_of(frame: pd.DataFrame, target: Target) -> pd.DataFrame:
    """The rows of `frame` about `target`."""
    of_value = frame["target"].isna() if target.value is None else frame["target"] == target.value
    found: pd.DataFrame = frame[(frame["metric"].fillna("") == target.metric) & of_value]
    return found


def costs_of(frames: Frames, target: Target, unit: str) -> dict[Size, Cost]:
    """What the runs took to `target`, for every size that has any; `unit` is a column of `to_target` or `RELATIVE`."""
    runs, cells = rows_of(frames.to_target, target), rows_of(frames.targets, target)
    found = {size: (of_size(runs, size), of_size(cells, size)) for size in frames.sizes}
    return {size: _cost(frames, size, rows, cell, unit) for size, (rows, cell) in found.items() if len(rows)}


def _cost(frames: Frames, size: Size, rows: pd.DataFrame, cell: pd.DataFrame, unit: str) -> Cost:
    column, scale = ("epochs", 1 / size.batch_size) if unit == RELATIVE else (unit, 1.0)
    reached = rows["reached"].astype(bool)
    singles = scale * rows.loc[reached, column].dropna().to_numpy(np.float64)
    numbers = cell[[f"{column}_mean", f"{column}_ci_low", f"{column}_ci_high", "epochs_median"]]
    mean, low, high, median = (None if pd.isna(value) else scale * float(value) for value in numbers.iloc[0])
    if reached.all():
        return Cost(len(rows), mean, low, high, None, singles, np.array([]))
    per_epoch = 1.0 if column == "epochs" else float(cell[f"{column}_per_epoch"].iloc[0])
    budgets = rows.loc[~reached, "budget_epochs"].to_numpy(np.float64, na_value=np.nan)
    ends = np.where(budgets > 0, scale * budgets * per_epoch, np.nan)
    median = None if median is None or np.isnan(per_epoch) else median * per_epoch
    return Cost(len(rows), mean, low, high, median, singles, ends)


def law_of(frames: Frames, target: Target) -> Law | None:
    """The fit to `target`; None where the table has none."""
    if frames.critical_batch_size.empty:
        return None
    found = rows_of(frames.critical_batch_size, target)
    if found.empty:
        return None
    row = found.iloc[0]
    e_min, b_crit, low, high, s_min = (known(row[name]) for name in ("e_min", "b_crit", "ci_low", "ci_high", "s_min"))
    e_min = known(row["e_min_examples"]) if e_min is None else e_min
    accepted = bool(row["accepted"]) and e_min is not None and b_crit is not None
    smallest, largest = (0 if pd.isna(row[c]) else int(row[c]) for c in ("min_batch_size", "max_batch_size"))
    return Law(e_min, b_crit, low, high, accepted, str(row["reason"]), smallest, largest, s_min)


def panel(
    axes: Axes,
    frames: Frames,
    targets: Sequence[Target],
    unit: str,
    label: str,
    *,
    joined: Collection[Target],
    further: Sequence[float] = (),
    shown_unit: str = "",
    bottom: bool = True,
    missing: str = "not measured",
) -> bool:
    """What the runs took to `targets`, in `unit`, against batch size, log-log; False where there is nothing to draw.

    Means with intervals, single runs, and ends of runs that did not reach a target. Bars to zero and below, and
    triangles of runs whose budget is not known in this unit, stand at the edge. The means of the targets in `joined`
    are linked. The axis reaches to the `further` numbers; `bottom` panels carry the labels of the x axis.
    """
    theme.batch_axis(axes, frames.sizes, label=bottom)
    axes.set_ylabel(label)
    values = _limits(frames, targets, unit, further)
    if not len(values):
        theme.say(axes, missing)
        return False
    theme.log_axis(axes, "y", values, shown_unit)
    margin = max(1.15, (values.max() / values.min()) ** 0.06)
    axes.set_ylim(values.min() / margin, values.max() * margin)
    for i, (target, look) in enumerate(looks(targets).items()):
        # Runs that reached none of the targets ended at the same place: a triangle per target side by side.
        aside = 0.16 + 0.2 * i / max(1, len(targets) - 1)
        _draw_target(axes, frames, target, look, unit, aside=aside, joined=target in joined)
    legend(axes, targets)
    return True


def _draw_target(
    axes: Axes, frames: Frames, target: Target, look: Look, unit: str, *, aside: float, joined: bool
) -> None:
    costs = costs_of(frames, target, unit)
    rows = pd.DataFrame(
        [(float(size.batch_size), cost.mean, cost.low, cost.high, cost.median) for size, cost in costs.items()],
        columns=["x", "mean", "low", "high", "median"],
        dtype="float64",
    )
    means, medians = rows[rows["mean"] > 0], rows.dropna(subset=["median"])
    style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "zorder": 4}
    for size, cost in costs.items():
        x = theme.beside(frames.sizes, size, len(cost.singles))
        axes.plot(x, _positive(cost.singles), "o", color=look.colour, markersize=3, mew=0)
        _ends(axes, size.batch_size * 2 ** (-aside * theme.spacing(frames.sizes, size)), cost.ends, look)
    axes.plot(medians["x"], medians["median"], **style, linewidth=0, markersize=5.5, markerfacecolor="white")
    theme.bars(axes, means, "x", look.colour)
    axes.plot(means["x"], means["mean"], **style, linewidth=1.0 if joined else 0, markersize=5)


def _limits(frames: Frames, targets: Sequence[Target], unit: str, further: Sequence[float]) -> Numbers:
    """All positive numbers that will be drawn for `targets`, and those of `further`.

    Of the upper ends of intervals only those up to twice the largest other number: two runs may have one that leaves
    no room for anything else.
    """
    values, highs = [float(value) for value in further], []
    for cost in (cost for target in targets for cost in costs_of(frames, target, unit).values()):
        values += [*cost.singles, *cost.ends, *(value for value in (cost.mean, cost.median) if value is not None)]
        highs += [cost.high] if cost.high is not None else []
    found = np.asarray(values, dtype=np.float64)
    found = found[np.isfinite(found) & (found > 0)]
    return np.concatenate([found, [high for high in highs if len(found) and high <= 2 * found.max()]])


def _ends(axes: Axes, x: float, ends: Numbers, look: Look) -> None:
    """A hollow triangle per run that did not get there: at its budget, or at the upper edge where that is unknown."""
    style: dict[str, Any] = {"color": look.colour, "markerfacecolor": "none", "markersize": 5, "linewidth": 0}
    axes.plot([x] * len(ends), ends, "^", **style, zorder=4)
    unknown = int(np.isnan(ends).sum())
    if unknown:
        axes.plot([x], [0.97], "^", **style, transform=axes.get_xaxis_transform(), clip_on=False)


def _positive(values: Numbers) -> Numbers:
    return np.where(values > 0, values, np.nan)
