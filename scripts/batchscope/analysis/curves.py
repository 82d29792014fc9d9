"""Learning curves: the mean over the seeds at every evaluation, as far as all runs of a batch size go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from batchscope.stats.intervals import t_intervals
from batchscope.tables.cells import CELL, PAIR
from batchscope.tables.codebook import frame

LOSSES = ("train_loss", "validation_loss")
METRICS = (*LOSSES, "train_accuracy", "validation_accuracy")


def learning_curves(evaluations: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, metric and epoch at which all its runs that ended `ok` were evaluated: their mean.

    Where all losses of a data set and recipe are positive, those of losses are geometric means with the t-interval of
    the mean logarithm. One run gives no interval.
    """
    curves = dict(list(evaluations.groupby(CELL, sort=False)))
    rows: list[dict[Any, Any]] = []
    for _, of_pair in runs.groupby(PAIR, sort=False):
        logarithmic = positive(evaluations.merge(of_pair[PAIR].head(1), on=PAIR))
        for cell, group in of_pair.groupby(CELL, sort=False):
            seeds = group.loc[group["outcome"] == "ok", "seed"]
            found = curves.get(cell, evaluations[:0])
            found = found[found["seed"].isin(seeds)]
            for metric in METRICS:
                table = found.pivot(index="epoch", columns="seed", values=metric).dropna()
                if len(table) and table.shape[1] == len(seeds):
                    head = {**dict(zip(CELL, cell, strict=True)), "metric": metric, "n": len(seeds)}
                    rows += [head | row for row in _points(table, geometric=logarithmic and metric in LOSSES)]
    return frame("learning_curves", rows)


def positive(evaluations: pd.DataFrame) -> bool:
    """Whether all losses that are numbers are above zero, so that they have logarithms; false where there are none."""
    losses = evaluations[list(LOSSES)].to_numpy(np.float64, na_value=np.nan)
    losses = losses[np.isfinite(losses)]
    return bool(len(losses) and (losses > 0).all())


def _points(table: pd.DataFrame, *, geometric: bool) -> list[dict[Any, Any]]:
    values = table.to_numpy(np.float64)
    found = {}
    for name, numbers in zip(
        ("mean", "ci_low", "ci_high"), t_intervals(np.log(values) if geometric else values), strict=True
    ):
        if numbers is not None:
            found[name] = np.exp(numbers) if geometric else numbers
    points = pd.DataFrame({"epoch": table.index, **found}).assign(geometric=geometric)
    return points.to_dict("records")
