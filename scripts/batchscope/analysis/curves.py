"""What runs had reached on the way: learning curves, and where every batch size stood after equal budgets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope.analysis.targets import recorded
from batchscope.stats.intervals import t_interval, t_intervals
from batchscope.tables.cells import CELL, PAIR, RUN, about, of_pair
from batchscope.tables.codebook import frame
from batchscope.tables.metrics import OTHER_CURVES

LOSSES = ("train_loss", "validation_loss")
METRICS = (*LOSSES, "train_accuracy", "validation_accuracy", *OTHER_CURVES)
BUDGETS = ("epochs", "updates", "seconds")
AT_BUDGET = ("validation_loss", "validation_error")

# Amounts that differ by less than this share are the same amount, added up in another order.
_ROUNDING = 1e-9


def learning_curves(evaluations: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, metric and epoch at which all its runs that ended `ok` and have it were evaluated: their mean.

    Where epochs are not known, as of runs made elsewhere without `n_train`, numbers of examples tell evaluations apart.
    Where all losses of a data set and recipe are positive, those of losses are geometric means with the t-interval of
    the mean logarithm. One run gives no interval.
    """
    curves = dict(list(evaluations.groupby(CELL, sort=False)))
    rows: list[dict[Any, Any]] = []
    for _, of_recipe in about(runs, PAIR) if curves else ():
        logarithmic = positive(evaluations.merge(of_recipe[PAIR].head(1), on=PAIR))
        for name, group in about(of_recipe, CELL):
            ended_ok = group.loc[group["outcome"] == "ok", "seed"]
            found = curves.get(tuple(name.values()))
            if found is None:
                continue
            found = found[found["seed"].isin(ended_ok)]
            spent = "epoch" if found["epoch"].notna().all() else "examples"
            looks = found.drop_duplicates(["seed", spent])
            for metric in (name for name in METRICS if name in looks):
                known = looks[looks[metric].notna()]
                table = known.pivot(index=spent, columns="seed", values=metric).dropna()
                if len(table):
                    head = {**name, "metric": metric, "n": table.shape[1]}
                    points = _points(table, looks, geometric=logarithmic and metric in LOSSES)
                    rows += [head | row for row in points]
    return frame("learning_curves", rows)


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
    for pair, runs_of_pair in about(runs, PAIR):
        curves = of_pair(spent, list(pair.values()))
        for budget in BUDGETS:
            finished = curves[(curves["outcome"] == "ok") & curves[budget].notna()]
            if finished.empty:
                continue
            amount = float(finished.groupby(RUN)[budget].max().min())
            values = _at(curves, budget, amount)
            for name, group in about(runs_of_pair, CELL):
                found = [values[run] for run in group[RUN].itertuples(index=False, name=None) if run in values]
                row: dict[str, Any] = {**name, "budget": budget, "amount": amount}
                rows.append({**row, "n": len(found), "n_runs": len(group), **_intervals(np.array(found))})
    return frame("equal_budget", rows)


def positive(evaluations: pd.DataFrame) -> bool:
    """Whether all losses that are numbers are above zero, so that they have logarithms; false where there are none."""
    losses = evaluations[list(LOSSES)].to_numpy(np.float64, na_value=np.nan)
    losses = losses[np.isfinite(losses)]
    return bool(len(losses) and (losses > 0).all())


def _points(table: pd.DataFrame, looks: pd.DataFrame, *, geometric: bool) -> list[dict[Any, Any]]:
    """A row per row of `table`, with what had been spent by the evaluations `looks`."""
    values = table.to_numpy(np.float64)
    found = {}
    for name, numbers in zip(
        ("mean", "ci_low", "ci_high"), t_intervals(np.log(values) if geometric else values), strict=True
    ):
        if numbers is not None:
            found[name] = np.exp(numbers) if geometric else numbers
    spent = looks.groupby(str(table.index.name))[["epoch", "updates", "examples"]].first().loc[table.index]
    points = pd.DataFrame({**spent, **found}).assign(geometric=geometric)
    return points.to_dict("records")


def _with_spent(evaluations: pd.DataFrame, runs: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """Evaluations with a finite loss, the outcome of their run, the three budgets and the two metrics."""
    curves = evaluations.rename(columns={"epoch": "epochs"})
    curves = curves.merge(runs[[*RUN, "outcome"]], on=RUN)
    curves = curves.merge(timings[[*CELL, "seconds_per_update"]], on=CELL, how="left")
    curves = curves.assign(
        seconds=(curves["updates"] * curves["seconds_per_update"]).astype("float64"),
        validation_error=recorded(curves, "validation_error"),
    )
    finite = np.isfinite(curves["validation_loss"].to_numpy(dtype=np.float64, na_value=np.nan))
    columns = [*RUN, "evaluation", "outcome", *BUDGETS, *AT_BUDGET]
    kept: pd.DataFrame = curves.loc[finite, columns].sort_values([*RUN, "evaluation"])
    return kept


def _at(curves: pd.DataFrame, budget: str, amount: float) -> dict[Any, NDArray[np.float64]]:
    """The two metrics by run once `amount` of `budget` was spent, between the evaluations around it."""
    found = {}
    trained = curves[curves["evaluation"] > 0]
    all_spent, all_values = (
        trained[names].to_numpy(dtype=np.float64, na_value=np.nan) for names in (budget, list(AT_BUDGET))
    )
    for run, rows in trained.groupby(RUN, sort=False).indices.items():
        spent, values = all_spent[rows], all_values[rows]
        if spent[0] <= amount * (1 + _ROUNDING) and spent[-1] >= amount * (1 - _ROUNDING):
            found[run] = np.array([np.interp(amount, spent, values[:, i]) for i in range(len(AT_BUDGET))])
    return found


def _intervals(found: NDArray[np.float64]) -> dict[str, float | None]:
    """Means and intervals of `found`, one row per run and one column per metric; null where a run lacks the metric."""
    row: dict[str, float | None] = {}
    for position, metric in enumerate(AT_BUDGET):
        values = found[:, position] if len(found) else found
        interval = t_interval(values if np.isfinite(values).all() else [])
        row |= interval.columns(metric)
    return row
