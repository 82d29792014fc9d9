"""Where the time of an update goes: a cost per update and a cost per example, fitted to timed windows, or refused.

Measured are three loops (see `measure`): `data` only reads the batches from the device's memory, `fused`
trains in one compiled call, `fit` is Keras' own loop. To each is fitted, over the batch sizes B of one data set and one
recipe, the line

    seconds per update = fixed + marginal * B.

The fixed cost of the fused loop is what an update costs whatever its batch: launching its operations, and the work that
the weights alone determine (reading them, the optimizer's step). It is called overhead, as the claims do; where there
are many weights, part of it is arithmetic. The marginal cost is what one more example adds. The fixed cost is what the
line says of a batch without examples: the larger the smallest batch, the further outside of what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike, NDArray

from batchscope.probes.overheads.spec import LOOPS, OVERHEADS, UPDATE_COSTS
from batchscope.stats import FITTED_SIZES
from batchscope.stats.intervals import t_interval, t_quantile
from batchscope.tables import job_columns as columns
from batchscope.tables.codebook import typed

CELL = list(columns.CELL)

# Two parameters; with four sizes there are two degrees of freedom left to see a misfit.
# Root mean square of the relative residuals. Timings of this project's studies on two busy virtual cores leave 0.04 to
# 0.14; where large batches miss the cache, or small ones leave vector units idle, it is more and no line holds.
MAX_RMSE = 0.15
# A cost that is below zero by less than this share of the time of an update is zero but for rounding.
ROUNDING = 1e-6

Ends = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """seconds per update = fixed + marginal * B, with what its intervals need.

    Attributes:
        fixed: seconds per update of a batch of no examples; negative where chance makes it so.
        marginal: seconds per example.
        rmse: root mean square over the sizes of measured seconds over those of the line, less 1.
        covariance: of (fixed, marginal), shape (2, 2).
        quantile: of Student's t, by which standard errors are multiplied for a 95 % interval.
    """

    fixed: float
    marginal: float
    rmse: float
    covariance: NDArray[np.float64]
    quantile: float

    def seconds(self, batch_size: float) -> float:
        """Seconds per update at a batch size, according to the line."""
        return self.fixed + self.marginal * batch_size

    def intervals(self) -> tuple[Ends, Ends]:
        """95 % intervals of the fixed and of the marginal cost."""
        fixed, marginal = self.quantile * np.sqrt(np.diag(self.covariance)).astype(float)
        return (self.fixed - fixed, self.fixed + fixed), (self.marginal - marginal, self.marginal + marginal)

    def fixed_share(self, batch_size: float) -> float:
        """Share of the fixed cost in the seconds per update at a batch size, according to the line."""
        return self.fixed / self.seconds(batch_size)

    def fixed_share_interval(self, batch_size: float) -> Ends | None:
        """95 % interval of `fixed_share`, by Fieller's theorem; None where it is unbounded.

        The shares s for which fixed - s (fixed + marginal B) does not differ from zero (Fieller 1954, Journal of the
        Royal Statistical Society B 16, 175-185): with the ratio's parts estimated together, no linearisation.
        """
        parts = np.array([[1.0, 0.0], [1.0, batch_size]])  # the fixed cost and the whole time
        values = parts @ (self.fixed, self.marginal)
        spread = self.quantile**2 * parts @ self.covariance @ parts.T
        (fixed, both), (_, whole) = np.outer(values, values) - spread
        if whole <= 0:
            return None
        half = math.sqrt(max(both**2 - fixed * whole, 0.0)) / whole
        return float(both / whole - half), float(both / whole + half)


@dataclass(frozen=True)
class _Fitted:
    """The line of one loop, the number of different sizes, and why it is refused; empty where it is not."""

    line: Line | None
    n_sizes: int
    reason: str


def analyse(records: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of the study from the records of the jobs."""
    windows = records["loop_windows"]
    return {"overheads": overheads(windows), "update_costs": update_costs(windows)}


def update_costs(windows: pd.DataFrame) -> pd.DataFrame:
    """One row per data set, recipe and loop: the fixed cost per update and the marginal cost per example.

    See `fit` for the line and its 95 % intervals. It is refused (`accepted` false, with a `reason`) below
    `FITTED_SIZES` batch sizes, above `MAX_RMSE`, and where a cost is below zero by more than chance: then the time does
    not grow in proportion to the examples. A cost below zero within chance stands as it is. Numbers are given
    from three sizes on.

    Args:
        windows: columns dataset, recipe, batch_size, full_batch, loop, window, updates, seconds, seconds_per_update.

    Returns:
        The columns of `UPDATE_COSTS`, also where there are no rows; seconds per update and seconds per example.
    """
    rows = []
    for (dataset, recipe), pair in windows.groupby(["dataset", "recipe"], sort=False):
        for loop, fitted in _lines(pair).items():
            row = {"dataset": dataset, "recipe": recipe, "loop": loop, "n_sizes": fitted.n_sizes}
            row |= {"accepted": not fitted.reason, "reason": fitted.reason}
            if fitted.line is not None:
                fixed, marginal = fitted.line.intervals()
                row["rmse_relative"] = fitted.line.rmse
                row |= _with_ends("fixed_seconds", fitted.line.fixed, fixed)
                row |= _with_ends("marginal_seconds", fitted.line.marginal, marginal)
            rows.append(row)
    return typed(rows, UPDATE_COSTS)


def overheads(windows: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: how long an update takes in each loop, and which shares of that are not computation.

    Measured: `*_seconds_per_update`, medians over the windows with quartiles, and `dispatch_share`, the share of Keras'
    own loop that the fused one saves, (fit - fused) / fit: Python and bringing the examples from the host, less what
    Keras does at the same time as the computation. It is one less the geometric mean of fused / fit over the pairs of
    windows that were taken one after the other, with a t-interval of the logarithms.

    From the lines of `update_costs`, and null with a `reason` where these are refused: `overhead_share`, the fixed cost
    of the fused loop over its time per update; `data_share` and `compute_share`, the rest of that time, split by the
    marginal cost of an example in the loop that only reads, so that the three add up to 1; `fit_overhead_share`, the
    fixed cost of Keras' own loop over its time. The times that the shares are of come from the line as well;
    `*_residual` tells how far the median of the windows lies from it, relative to it, also where it is refused. No
    share is clamped to 0 and 1.

    Intervals of shares of a line hold what `fit` says. That of `dispatch_share` holds the noise of the windows of one
    job, and not how another would differ.

    Args:
        windows: as for `update_costs`.

    Returns:
        The columns of `OVERHEADS`, also where there are no rows.
    """
    rows = []
    for _, pair in windows.groupby(["dataset", "recipe"], sort=False):
        lines = _lines(pair)
        for cell, group in pair.groupby(CELL, sort=True):
            row: dict[str, Any] = {**dict(zip(CELL, cell, strict=True)), **_measured(group)}
            rows.append(row | _shares(row, lines))
    return typed(rows, OVERHEADS)


def fit(batch_sizes: Sequence[int], seconds: Sequence[ArrayLike]) -> Line | None:
    """The line through the median seconds per update of each size; None below three different sizes.

    Minimised is the sum of squares of log(median) - log(line), every size with the same weight: times span orders of
    magnitude, and by least squares in seconds the largest sizes alone would place the intercept.

    The error of the line is that of a regression: the scatter of the medians about it, with as many degrees of freedom
    as there are sizes more than two. So the sizes are the sample, and an interval holds the noise of the windows, what
    differs from one job to the next, and a misfit as far as that is without order; not a line that is wrong in an
    orderly way, of which `MAX_RMSE` sets the limit.

    Args:
        batch_sizes: examples per update.
        seconds: per update, above zero, of the windows of each batch size.
    """
    if len(set(batch_sizes)) < 3:
        return None
    b = np.array(batch_sizes, dtype=np.float64)
    y = np.log([np.median(np.asarray(values, dtype=np.float64)) for values in seconds])
    # Its logarithms at both ends of the sizes describe the line: so it is above zero between them whatever they are.
    way = (b - b.min()) / np.ptp(b)
    start = [y[b == b.min()].mean(), y[b == b.max()].mean()]

    def misfit(ends: NDArray[np.float64]) -> NDArray[np.float64]:
        off: NDArray[np.float64] = np.log(np.exp(ends[0]) * (1 - way) + np.exp(ends[1]) * way) - y
        return off

    found = scipy.optimize.least_squares(misfit, start, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    first, last = np.exp(found.x)
    marginal = (last - first) / np.ptp(b)
    line = first * (1 - way) + last * way
    # How the costs answer to a small change of each log(median): the pseudo-inverse of the line's relative slopes.
    answer = np.linalg.pinv(np.stack([1 / line, b / b.max() / line], axis=1)) / np.array([[1.0], [b.max()]])
    scatter = float(found.fun @ found.fun) / (len(b) - 2)
    rmse = float(np.sqrt(np.mean((np.exp(y) / line - 1) ** 2)))
    fixed = float(first - marginal * b.min())
    return Line(fixed, float(marginal), rmse, scatter * answer @ answer.T, t_quantile(len(b) - 1))


def _lines(pair: pd.DataFrame) -> dict[str, _Fitted]:
    """The lines of one data set and recipe, by loop; loops that were not timed are left out."""
    lines = {}
    for loop in LOOPS:
        cells = [cell for _, cell in pair[pair["loop"] == loop].groupby(CELL, sort=True)]
        if cells:
            sizes = [int(cell["batch_size"].iloc[0]) for cell in cells]
            line = fit(sizes, [cell["seconds_per_update"] for cell in cells])
            lines[loop] = _Fitted(line, len(set(sizes)), _reason(line, sizes))
    return lines


def _reason(line: Line | None, sizes: Sequence[int]) -> str:
    """Why the line is refused, in one sentence; empty where it is not."""
    n_sizes = len(set(sizes))
    if line is None or n_sizes < FITTED_SIZES:
        return f"{n_sizes} batch size{' was' if n_sizes == 1 else 's were'} timed; the line needs {FITTED_SIZES}."
    if line.rmse > MAX_RMSE:
        return (
            f"The line misfits: the root mean square of the relative residuals is {line.rmse:.3g}, above {MAX_RMSE:g}."
        )
    (_, fixed), (_, marginal) = line.intervals()
    if fixed < -ROUNDING * line.seconds(min(sizes)):
        return "The fixed cost would be below zero: an example takes longer in large batches than in small ones."
    if marginal * max(sizes) < -ROUNDING * line.seconds(min(sizes)):
        return "The cost of an example would be below zero: an update gets shorter as its batch grows."
    return ""


def _measured(cell: pd.DataFrame) -> dict[str, Any]:
    """Seconds per update of each loop in one cell, and the share that the fused loop saves."""
    table = cell.pivot_table(index="window", columns="loop", values="seconds_per_update")
    row: dict[str, Any] = {"windows": len(table)}
    for loop in table.columns:
        low, median, high = table[loop].dropna().quantile([0.25, 0.5, 0.75])
        name = f"{loop}_seconds_per_update"
        row |= {name: median, f"{name}_q25": low, f"{name}_q75": high}
    if {"fused", "fit"} <= set(table.columns):
        left = t_interval(np.log((table["fused"] / table["fit"]).dropna()))
        if left.mean is not None:
            row["dispatch_share"] = 1 - math.exp(left.mean)
        if left.low is not None and left.high is not None:
            row |= {"dispatch_share_ci_low": 1 - math.exp(left.high), "dispatch_share_ci_high": 1 - math.exp(left.low)}
    return row


def _shares(cell: Mapping[str, Any], lines: Mapping[str, _Fitted]) -> dict[str, Any]:
    """What the lines say of one measured cell, and why they do not."""
    reasons = [f"{loop}: {fitted.reason}" for loop, fitted in lines.items() if fitted.reason]
    reasons += [f"{loop}: not timed." for loop in LOOPS if loop not in lines]
    row: dict[str, Any] = {"reason": " ".join(reasons)}
    batch_size, good = cell["batch_size"], {}
    for loop, fitted in lines.items():
        if fitted.line is not None:
            measured = cell.get(f"{loop}_seconds_per_update", math.nan)
            row[f"{loop}_residual"] = measured / fitted.line.seconds(batch_size) - 1
            if not fitted.reason:
                good[loop] = fitted.line
    for loop, name in (("fused", "overhead_share"), ("fit", "fit_overhead_share")):
        if loop in good:
            row |= _with_ends(name, good[loop].fixed_share(batch_size), good[loop].fixed_share_interval(batch_size))
    if {"fused", "data"} <= set(good):
        row["data_share"] = good["data"].marginal * batch_size / good["fused"].seconds(batch_size)
        row["compute_share"] = 1 - row["overhead_share"] - row["data_share"]
    return row


def _with_ends(name: str, value: float, ends: Ends | None) -> dict[str, float | None]:
    low, high = ends or (None, None)
    return {name: value, f"{name}_ci_low": low, f"{name}_ci_high": high}
