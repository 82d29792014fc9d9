"""The critical batch size: the law E = E_min (1 + B / B_crit) fitted to epochs to a target, or refused.

McCandlish et al. (2018, arXiv 1812.06162) write it (S / S_min - 1)(E / E_min - 1) = 1 with updates S and examples E; at
B = B_crit a target costs twice the examples, and twice the updates, of the cheapest way. Where the measurements do not
show both sides of that bend, or do not follow the law, the fit is refused with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from batchscope.stats import ALPHA, FITTED_SIZES
from batchscope.stats.intervals import percentile_interval, pooled_p, t_quantile
from batchscope.tables.cells import CELL, OF_TARGET, about
from batchscope.tables.codebook import frame

# Two parameters; with four sizes there are two degrees of freedom left to see a misfit.
# Root mean square misfit of log E, about 15 %. Measurements that follow the law (MLPerf's reference convergence points,
# Deep Speech 2 in the Zeus trace) leave 0.02 to 0.12, the upper end being epochs counted in ones and twos.
MAX_RMSE_LOG = 0.15
# The law only rises. A fall of log E from a size to a larger one is a U-shape from the misfit allowed above on, if
# chance does not explain it.
MAX_FALL_LOG = MAX_RMSE_LOG
# B_crit may lie at most this factor outside the sizes fitted. There E at the smallest size, or S at the largest, is
# three times its asymptote: further out, one side of the bend was not seen and E_min or S_min is a guess.
EXTRAPOLATION = 2.0
# A run is evaluated now and then, so its epochs to target, taken half-way between two evaluations, are wrong by up to
# half of their distance, and the same way for all runs of a size. Above this share the bend moves visibly.
MAX_RESOLUTION = 0.25
# Values of B_crit that are tried reach this factor beyond the sizes; an interval that ends there is unbounded.
_SEARCHED = 100.0
_GRID = 257
RESAMPLES = 10_000  # with 2,000 chance moves the ends of the interval by another 0.3 %


@dataclass(frozen=True)
class Fit:
    """E = e_min (1 + B / b_crit): epochs and examples, with the root mean square misfit of log E over the sizes."""

    e_min: float
    b_crit: float
    rmse_log: float


@dataclass(frozen=True)
class _Size:
    """Epochs to the target of all runs of one batch size, all of which reached it, by seed; their mean resolution."""

    batch_size: int
    epochs: NDArray[np.float64]
    resolution: float
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class _Ends:
    """The ends of an interval of B_crit, None where there is none or at the edge of what is searched.

    `bounded` is true, too, where there is no interval for want of runs or spread.
    """

    low: float | None
    high: float | None
    bounded: bool


def critical_batch_sizes(
    to_target: pd.DataFrame,
    n_train: Mapping[str, int | None],
    *,
    paired: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per data set, recipe, metric and target: the critical batch size, or why there is none.

    Fitted are log E_min and log B_crit, by least squares in log E, to the mean epochs to target of every size at which
    all runs reach it, each size with the same weight. `ci_low` and `ci_high` are a 95 % percentile bootstrap interval
    of B_crit over the runs within each size; where `paired`, runs of one seed are drawn together, since they share
    data, weights and order. The spread of the resampled means is widened by √(n / (n - 1)) for each size (Hesterberg
    2015, The American Statistician 69, 371-386) and by the quantile of Student's t over that of the normal: resampling
    few runs understates it. The interval is null where a size has a single run, of which the spread is unknown, where
    no size has a spread, or where it is unbounded. It holds the noise between runs, not that of the evaluation's
    cadence or of the law being wrong.

    A fit is refused (`accepted` false, with one `reason`) by the limits at the top of this module; its numbers are
    given where three sizes or more allow a fit. Where it is refused for one side of the bend alone, `at_least` or
    `at_most` say on which side of the sizes B_crit lies: an end of the interval, but at most `EXTRAPOLATION` times
    outside the sizes. The full batch takes part like any size, though its gradient has no
    sampling noise left: the law is for batches that are small against the data.
    Where epochs are not known, but examples are, the law is fitted to these.

    Args:
        to_target: the table of that name.
        n_train: examples in the training part by data set, None where not known; S_min = E_min n_train / B_crit.
        paired: draw runs of one seed together.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    rows = []
    for target, known in about(to_target, OF_TARGET):
        unit = "examples" if known["epochs"].isna().all() and known["examples"].notna().any() else "epochs"
        group = known.assign(epochs=known[unit])
        sizes = _sizes(group)
        found = fit([size.batch_size for size in sizes], [size.epochs.mean() for size in sizes])
        ends = _interval(sizes, resamples, seed, paired)
        reason, bound = _reason(group, sizes, found, ends, unit)
        n_sizes, n_runs = len({size.batch_size for size in sizes}), sum(len(size.epochs) for size in sizes)
        row = {**target, "n_sizes": n_sizes, "n_runs": n_runs}
        row |= {"accepted": not reason, "reason": reason, **_bound(sizes, ends, bound)}
        if sizes:
            row |= {"min_batch_size": sizes[0].batch_size, "max_batch_size": sizes[-1].batch_size}
        if found:
            row |= {"b_crit": found.b_crit, "rmse_log": found.rmse_log}
            row |= {"ci_low": ends.low, "ci_high": ends.high} if ends.bounded else {}
            row["e_min"] = found.e_min if unit == "epochs" else None
            per_unit = n_train.get(row["dataset"]) if unit == "epochs" else 1
            examples = None if per_unit is None else found.e_min * per_unit
            row |= {"e_min_examples": examples, "s_min": None if examples is None else examples / found.b_crit}
        rows.append(row)
    return frame("critical_batch_size", rows)


def with_residuals(targets: pd.DataFrame, fits: pd.DataFrame) -> pd.DataFrame:
    """The table of targets with `law_residual`: how far the mean epochs of a size lie from the law of its target.

    Args:
        targets: the table of that name, its `law_residual` null.
        fits: the table `critical_batch_size`.
    """
    law = targets[OF_TARGET].merge(fits[[*OF_TARGET, "e_min", "e_min_examples", "b_crit"]], on=OF_TARGET, how="left")
    in_epochs = targets["epochs_mean"].notna().to_numpy()
    means = targets["epochs_mean"].where(in_epochs, targets["examples_mean"])
    least = law["e_min"].where(in_epochs, law["e_min_examples"]).to_numpy(np.float64)
    predicted = least * (1 + targets["batch_size"].to_numpy() / law["b_crit"].to_numpy())
    return targets.assign(law_residual=np.log(means.where(means > 0).to_numpy(np.float64)) - np.log(predicted))


def fit(batch_sizes: Sequence[int], epochs: Sequence[float]) -> Fit | None:
    """The law fitted by least squares to log(epochs); None below three different sizes or where no bend is found.

    No bend: the best B_crit lies at the edge of what is searched, 100 times beyond the sizes.

    >>> found = fit([16, 64, 256, 1024], [4 * (1 + size / 128) for size in (16, 64, 256, 1024)])
    >>> round(found.e_min, 6), round(found.b_crit, 6)
    (4.0, 128.0)
    """
    if len(set(batch_sizes)) < 3:
        return None
    x, y = np.log(np.array(batch_sizes, dtype=np.float64)), np.log(np.array(epochs, dtype=np.float64))
    low, high = _searched(x)
    start = float(_profile(x, y[None, :], low, high)[0])
    if _at_edge(start, low, high):
        return None

    def misfit(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        off: NDArray[np.float64] = parameters[0] + _bend(x, parameters[1]) - y
        return off

    found = scipy.optimize.least_squares(
        misfit, [float((y - _bend(x, start)).mean()), start], xtol=1e-12, ftol=1e-12, gtol=1e-12
    )
    e_min, b_crit = np.exp(found.x)
    return Fit(float(e_min), float(b_crit), float(np.sqrt(np.mean(found.fun**2))))


def _sizes(group: pd.DataFrame) -> list[_Size]:
    """The sizes of one target that take part in the fit, since all their runs reach it; the smallest first."""
    return [
        _Size(
            int(runs["batch_size"].iloc[0]),
            runs["epochs"].to_numpy(dtype=np.float64),
            float(runs["resolution_epochs"].mean()),
            tuple(runs["seed"]),
        )
        for _, runs in group.sort_values("seed").groupby(CELL, sort=True)
        if runs["reached"].all() and (runs["epochs"] > 0).all()  # after some training
    ]


def _reason(group: pd.DataFrame, sizes: Sequence[_Size], found: Fit | None, ends: _Ends, unit: str) -> tuple[str, bool]:
    """Why there is no critical batch size, in one sentence, and whether only for one side of the bend not seen.

    The sentence is empty where there is a critical batch size.
    """
    refused = _unfit(group, sizes) or _fall(sizes, unit) or _missed(group, sizes)
    if not refused and found is not None and found.rmse_log > MAX_RMSE_LOG:
        refused = f"The law misfits: the root mean square of log E is {found.rmse_log:.2g}, above {MAX_RMSE_LOG:g}."
    one_sided = "" if refused else _one_sided(sizes, found, ends, unit)
    return refused or one_sided, bool(one_sided)


def _unfit(group: pd.DataFrame, sizes: Sequence[_Size]) -> str:
    """Why the measurements allow no fit; empty where they do."""
    reached = group[group["reached"]]
    if reached["epochs"].isna().any():
        return "Epochs and examples to the target are not known."
    if (reached["epochs"] <= 0).any():
        return "The target is met before training in some runs, so it says nothing about training."
    n_sizes = len({size.batch_size for size in sizes})
    if n_sizes < FITTED_SIZES:
        reach = "1 batch size reaches" if n_sizes == 1 else f"{n_sizes or 'no'} batch sizes reach"
        return f"{reach[0].upper()}{reach[1:]} the target in all runs; the fit needs {FITTED_SIZES}."
    coarse = [size for size in sizes if size.resolution > MAX_RESOLUTION * size.epochs.mean()]
    if coarse:
        takes = coarse[0].epochs.mean()
        own = reached["evaluations_in_a_row"].notna().any()
        earlier = "evaluate earlier (first_evaluation_at) or more often" if own else "evaluate runs more often"
        return (
            f"At batch size {coarse[0].batch_size:,} the target takes {takes:.3g} epoch{'' if takes == 1 else 's'}, "
            f"known only to {coarse[0].resolution:.3g}: {earlier}, or choose a tighter target."
        )
    return ""


def _one_sided(sizes: Sequence[_Size], found: Fit | None, ends: _Ends, unit: str) -> str:
    """Which side of the bend was not seen, in one sentence; empty where both were."""
    smallest, largest = sizes[0].batch_size, sizes[-1].batch_size
    if found is None:
        return f"{unit.capitalize()} to the target show no bend between batch sizes {smallest:,} and {largest:,}."
    if found.b_crit > EXTRAPOLATION * largest:
        return (
            f"B_crit would be {found.b_crit:,.3g}, more than {EXTRAPOLATION:g} times the largest batch size that "
            f"always reaches the target ({largest:,}): by the law {unit} rise by {100 * largest / found.b_crit:.2g} % "
            "up to there, and at B_crit they have doubled."
        )
    if found.b_crit < smallest / EXTRAPOLATION:
        return (
            f"B_crit would be {found.b_crit:,.3g}, less than 1/{EXTRAPOLATION:g} of the smallest batch size "
            f"({smallest:,}): by the law {unit} there are already {1 + smallest / found.b_crit:.2g} times the fewest."
        )
    if ends.bounded:
        return ""
    return "The bootstrap interval of B_crit is unbounded: the runs scatter too much to show a bend."


def _bound(sizes: Sequence[_Size], ends: _Ends, one_sided: bool) -> dict[str, float | None]:
    """What a fit that lacks one side of the bend says about the other: never further out than a fit may reach."""
    if not one_sided:
        return {}
    smallest, largest = sizes[0].batch_size / EXTRAPOLATION, sizes[-1].batch_size * EXTRAPOLATION
    return {
        "at_least": None if ends.low is None or ends.low < smallest else min(ends.low, largest),
        "at_most": None if ends.high is None or ends.high > largest else max(ends.high, smallest),
    }


def _fall(sizes: Sequence[_Size], unit: str) -> str:
    """The fall of E from a size to a larger one that chance does not explain, in words; empty without one.

    Tested are all pairs of sizes whose log of the mean falls by more than `MAX_FALL_LOG`, by one-sided t-tests of the
    logs with one standard deviation for all sizes, times the number of pairs (Bonferroni). Where no size has two runs
    there is no test and the fall alone decides: the law is then not shown.
    """
    logs = [np.log(size.epochs) for size in sizes]
    pairs = [(i, j) for j in range(len(sizes)) for i in range(j) if sizes[i].batch_size < sizes[j].batch_size]
    falls = {(i, j): math.log(sizes[i].epochs.mean() / sizes[j].epochs.mean()) for i, j in pairs}
    for (i, j), fall in sorted(falls.items(), key=lambda item: -item[1]):
        if fall <= MAX_FALL_LOG:
            break
        if pooled_p(logs, i, j) * len(pairs) <= ALPHA:
            return (
                f"The curve is not monotone: batch size {sizes[i].batch_size:,} needs {sizes[i].epochs.mean():.3g} "
                f"{unit}, the larger {sizes[j].batch_size:,} only {sizes[j].epochs.mean():.3g}. The law can only rise; "
                "it does not hold where the learning rate suits some sizes better than others."
            )
    return ""


def _missed(group: pd.DataFrame, sizes: Sequence[_Size]) -> str:
    """The smaller size that missed the target although it was followed for longer than a larger one needed."""
    for _, runs in group.groupby(CELL, sort=True):
        batch_size = int(runs["batch_size"].iloc[0])
        followed = runs["epochs"].where(runs["reached"], runs["budget_epochs"]).astype("float64")
        if runs["reached"].all() or followed.isna().any() or (followed <= 0).any():
            continue
        for size in sizes:
            if batch_size < size.batch_size and math.log(followed.mean() / size.epochs.mean()) > MAX_FALL_LOG:
                return (
                    f"The curve is not monotone: batch size {batch_size:,} has runs that missed the target, followed "
                    f"for {followed.mean():.3g} epochs or more, and the larger {size.batch_size:,} needs only "
                    f"{size.epochs.mean():.3g}."
                )
    return ""


def _interval(sizes: Sequence[_Size], resamples: int, seed: int, paired: bool) -> _Ends:
    """Bootstrap interval of B_crit."""
    few = len({size.batch_size for size in sizes}) < 3 or any(len(size.epochs) < 2 for size in sizes)
    if few or all(np.ptp(size.epochs) == 0 for size in sizes):
        return _Ends(None, None, bounded=True)
    rng = np.random.default_rng(seed)
    together = paired and len({size.seeds for size in sizes}) == 1
    n = len(sizes[0].epochs)
    freedom = n - 1 if together else sum(len(size.epochs) - 1 for size in sizes)
    wider = t_quantile(freedom + 1) / t_quantile(10**6)
    shared = rng.integers(0, n, (resamples, n))
    columns = []
    for size in sizes:
        n = len(size.epochs)
        mean = math.log(size.epochs.mean())
        rows = shared if together else rng.integers(0, n, (resamples, n))
        values = size.epochs if together else np.sort(size.epochs)  # numbers of independent runs say nothing
        drawn = np.log(values[rows].mean(axis=1))
        columns.append(mean + (drawn - mean) * math.sqrt(n / (n - 1)) * wider)
    x = np.log([float(size.batch_size) for size in sizes])
    low, high = _searched(x)
    found = _profile(x, np.stack(columns, axis=1), low, high)
    first, last = percentile_interval(found)
    return _Ends(
        math.exp(first) if first > low + _step(low, high) else None,
        math.exp(last) if last < high - _step(low, high) else None,
        bounded=not (_at_edge(first, low, high) or _at_edge(last, low, high)),
    )


def _searched(log_sizes: NDArray[np.float64]) -> tuple[float, float]:
    """Range of log B_crit that is searched."""
    margin = math.log(_SEARCHED)
    return float(log_sizes.min()) - margin, float(log_sizes.max()) + margin


def _at_edge(log_b_crit: float, low: float, high: float) -> bool:
    step = _step(low, high)
    return not low + step < log_b_crit < high - step


def _step(low: float, high: float) -> float:
    return (high - low) / (_GRID - 1)


def _bend(log_sizes: NDArray[np.float64], log_b_crit: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """log(1 + B / B_crit)."""
    bend: NDArray[np.float64] = np.log1p(np.exp(log_sizes - log_b_crit))
    return bend


def _profile(x: NDArray[np.float64], y: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The log B_crit that fits each row of `y` (samples, sizes) best, E_min being whatever suits it.

    For a given B_crit the best log E_min is the mean of log E - log(1 + B / B_crit), so the sum of squares is that of
    the deviations from the mean. Its lowest point on a grid is refined by golden sections, for all rows at once.
    """
    grid = np.linspace(low, high, _GRID)
    bends = _bend(x, grid[:, None])
    bends -= bends.mean(axis=1, keepdims=True)
    y = y - y.mean(axis=1, keepdims=True)
    best = np.argmin((bends**2).sum(axis=1) - 2 * y @ bends.T, axis=1)
    left, right = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _GRID - 1)]

    def loss(at: NDArray[np.float64]) -> NDArray[np.float64]:
        left_over = y - _bend(x, at[:, None])
        return np.asarray(left_over.var(axis=1))

    golden = (math.sqrt(5) - 1) / 2
    for _ in range(16):  # the bracket shrinks to 1/2000 of two steps of the grid: B_crit to 0.01 %
        inner, outer = right - golden * (right - left), left + golden * (right - left)
        lower = loss(inner) < loss(outer)
        left, right = np.where(lower, left, inner), np.where(lower, outer, right)
    middle: NDArray[np.float64] = (left + right) / 2
    return middle
