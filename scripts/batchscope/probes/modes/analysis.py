"""What evaluation modes say over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from batchscope.probes.modes.spec import MEANS
from batchscope.stats.intervals import t_interval
from batchscope.tables.codebook import typed
from batchscope.tables.job_columns import CELL


def analyse(records: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of the study from the records of the jobs."""
    return {"mode_means": mode_means(records["modes"])}


def mode_means(modes: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds of each batch size and evaluation size with 95 % t-intervals, of the shift over pairs."""
    keys, rows = [*CELL, "evaluated_batch_size"], []
    for key, group in modes.sort_values(keys, kind="stable").groupby(keys, sort=False):
        losses = group[["training_loss", "inference_loss"]].dropna().astype("float64")
        numbers = {**losses, "shift": losses["training_loss"] - losses["inference_loss"]}
        row: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "n": len(losses)}
        for name, values in numbers.items():
            row |= t_interval(values).columns(str(name))
        rows.append(row)
    return typed(rows, MEANS)
