"""The same runs on three equal budgets: after as many epochs, updates and seconds as every size has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope.stats.intervals import t_interval
from batchscope.tables.cells import CELL, PAIR, RUN, of_pair
from batchscope.tables.codebook import frame

BUDGETS = ("epochs", "updates", "seconds")
METRICS = ("validation_loss", "validation_error")

# Amounts that differ by less than this share are the same amount, added up in another order.
_ROUNDING = 1e-9


def equal_budget(evaluations: pd.DataFrame, runs: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """One row per cell and budget: validation loss and error (one minus the accuracy) once `amount` was spent.

    `amount` is the largest that every run of the data set and recipe that ended `ok` has spent, at its last evaluation;
    seconds are updates times the seconds per update of the cell's timing. A run counts with the value on the straight
    line between its evaluations before and after `amount`. It has no value, and `n` < `n_runs`, where `amount` lies
    before its first evaluation in training (small sizes make many updates before it), where it diverged or ran out of
    memory before, or, for seconds, where its cell has no timing. Values are means over the `n` runs with 95 %
    t-intervals; with `n` = 1 there is no interval, with 0 no mean. A budget that no run has spent gives no rows.
    """
    spent = _with_spent(evaluations, runs, timings)
    rows = []
    for pair, runs_of_pair in runs.groupby(PAIR, sort=False):
        curves = of_pair(spent, pair)
        for budget in BUDGETS:
            finished = curves[(curves["outcome"] == "ok") & curves[budget].notna()]
            if finished.empty:
                continue
            amount = float(finished.groupby(RUN)[budget].max().min())
            values = _at(curves, budget, amount)
            for cell, group in runs_of_pair.groupby(CELL, sort=False):
                found = [values[run] for run in group[RUN].itertuples(index=False, name=None) if run in values]
                row: dict[str, Any] = {**dict(zip(CELL, cell, strict=True)), "budget": budget, "amount": amount}
                rows.append({**row, "n": len(found), "n_runs": len(group), **_intervals(np.array(found))})
    return frame("equal_budget", rows)


def _with_spent(evaluations: pd.DataFrame, runs: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """Evaluations with a finite loss, the outcome of their run, the three budgets and the two metrics."""
    curves = evaluations.rename(columns={"epoch": "epochs"})
    curves = curves.merge(runs[[*RUN, "outcome"]], on=RUN)
    curves = curves.merge(timings[[*CELL, "seconds_per_update"]], on=CELL, how="left")
    curves = curves.assign(
        seconds=(curves["updates"] * curves["seconds_per_update"]).astype("float64"),
        validation_error=1 - curves["validation_accuracy"].astype("float64"),
    )
    finite = np.isfinite(curves["validation_loss"].to_numpy(dtype=np.float64, na_value=np.nan))
    columns = [*RUN, "evaluation", "outcome", *BUDGETS, *METRICS]
    kept: pd.DataFrame = curves.loc[finite, columns].sort_values([*RUN, "evaluation"])
    return kept


def _at(curves: pd.DataFrame, budget: str, amount: float) -> dict[Any, NDArray[np.float64]]:
    """The two metrics by run once `amount` of `budget` was spent, between the evaluations around it."""
    found = {}
    for run, curve in curves[curves["evaluation"] > 0].groupby(RUN, sort=False):
        spent, values = (curve[names].to_numpy(dtype=np.float64, na_value=np.nan) for names in (budget, list(METRICS)))
        if spent[0] <= amount * (1 + _ROUNDING) and spent[-1] >= amount * (1 - _ROUNDING):
            found[run] = np.array([np.interp(amount, spent, values[:, i]) for i in range(len(METRICS))])
    return found


def _intervals(found: NDArray[np.float64]) -> dict[str, float | None]:
    """Means and intervals of `found`, one row per run and one column per metric; null where a run lacks the metric."""
    row: dict[str, float | None] = {}
    for position, metric in enumerate(METRICS):
        values = found[:, position] if len(found) else found
        interval = t_interval(values if np.isfinite(values).all() else [])
        row |= interval.columns(metric)
    return row
