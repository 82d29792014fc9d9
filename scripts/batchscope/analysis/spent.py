"""Updates and seconds that runs spent up to the evaluation that their validation loss selected."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope.tables.cells import Size, of_size, sizes_of


def updates_made(epoch: NDArray[np.float64], runs: pd.DataFrame) -> NDArray[np.float64]:
    """Updates made after so many epochs; within an epoch they are of whole batches, and its last may be smaller."""
    size, per_epoch = (runs[name].to_numpy(np.float64) for name in ("batch_size", "updates_per_epoch"))
    used = np.minimum(runs["n_train"].to_numpy(np.float64), size * per_epoch)  # fewer where the last batch is dropped
    whole = np.floor(epoch)
    made: NDArray[np.float64] = whole * per_epoch + np.ceil((epoch - whole) * used / size - 1e-6)
    return made


def seconds_to_selected(runs: pd.DataFrame, seconds_per_update: float | None) -> float | None:
    """Mean over the runs of a cell of the updates to the selected evaluation, times the seconds per update.

    None where a run did not end ok or its selected epoch is not known, or where nothing was timed.
    """
    if seconds_per_update is None:
        return None
    needed = runs[["selected_epoch", "updates_per_epoch"]].to_numpy(np.float64, na_value=np.nan)
    if not (runs["outcome"] == "ok").all() or not np.isfinite(needed).all():
        return None
    return float(updates_made(needed[:, 0], runs).mean()) * seconds_per_update


def training_seconds(runs: pd.DataFrame, timings: pd.DataFrame) -> dict[Size, float]:
    """`seconds_to_selected` of the sizes of a data set and recipe that have it."""
    timed = timings[timings["seconds_per_update"].notna()]
    found = {}
    for size in sizes_of(runs):
        per_update = next(iter(of_size(timed, size)["seconds_per_update"]), None)
        seconds = seconds_to_selected(of_size(runs, size), per_update)
        if seconds is not None:
            found[size] = seconds
    return found
