"""Energy to a target at other batch sizes and power limits than those that were used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from batchscope.tables.cells import OF_TARGET
from batchscope.tables.codebook import frame


def savings(
    to_target: pd.DataFrame, timings_by_limit: pd.DataFrame, baseline: Mapping[str, Any] | None
) -> pd.DataFrame:
    """Up to four rows per data set, recipe, metric and target: the baseline, and what costs least energy.

    Energy to the target is the mean over the `n` runs of the epochs to it, times the seconds per epoch, times the mean
    power. `choice` is `baseline`; `batch_size`, the best size at the baseline's power limit; `power_limit`, the best
    limit at its size; or `both`. The baseline itself is among the candidates, so no saving is below zero. Sizes at
    which not all runs reach the target are no candidates; where that is so of the baseline, savings are null. The best
    of several estimates is chosen by those estimates, so the saving is a little too large, and it holds no interval.

    Args:
        to_target: the table of that name.
        timings_by_limit: batch_size, power_limit_watts (null where power was not limited), seconds_per_epoch and
            power_watts.
        baseline: batch_size and power_limit_watts (None where power was not limited), or None: then there are no rows.
    """
    rows: list[dict[str, Any]] = []
    if baseline is not None:
        for _, group in to_target.groupby(OF_TARGET, sort=False, dropna=False):
            head = {name: group[name].iloc[0] for name in OF_TARGET}
            rows += [head | row for row in _choices(_energies(group, timings_by_limit), baseline)]
    return frame("savings", rows)


def _energies(of_target: pd.DataFrame, timings_by_limit: pd.DataFrame) -> pd.DataFrame:
    """Energy to one target of every batch size and power limit; null where a run misses the target."""
    sizes = of_target.groupby("batch_size")
    epochs = pd.DataFrame({"n": sizes.size(), "epochs_mean": sizes["epochs"].mean()})
    epochs["epochs_mean"] = epochs["epochs_mean"].where(sizes["reached"].all())
    table = timings_by_limit.merge(epochs, left_on="batch_size", right_index=True)
    return table.assign(joules=table["epochs_mean"] * table["seconds_per_epoch"] * table["power_watts"])


def _choices(energies: pd.DataFrame, baseline: Mapping[str, Any]) -> list[dict[str, Any]]:
    limit = baseline["power_limit_watts"]
    limits = energies["power_limit_watts"]
    same_limit = limits.isna() if limit is None else limits.isna() | (limits == limit)
    same_size = energies["batch_size"] == baseline["batch_size"]
    candidates = {"baseline": same_limit & same_size, "batch_size": same_limit}
    if limits.notna().any():
        candidates |= {"power_limit": same_size, "both": limits.notna()}
    kept = ["batch_size", "power_limit_watts", "n", "epochs_mean", "joules"]
    reference = energies.loc[candidates["baseline"], "joules"].max()
    rows = []
    for choice, chosen in candidates.items():
        found = energies[chosen & (energies["joules"].notna() | (choice == "baseline"))]
        if len(found):
            best = found.sort_values("joules", kind="stable").iloc[0]
            saving = 100 * (1 - best["joules"] / reference)
            rows.append({"choice": choice, **best[kept].to_dict(), "saving_percent": saving})
    return rows
