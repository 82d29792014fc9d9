"""How sure the order of the batch sizes is: probabilities of being best, by resampling the seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batchscope.analysis.best import ACCURACY, LOSS, by_size, complete
from batchscope.stats.ranks import rank_probabilities
from batchscope.tables.cells import CELL, PAIR
from batchscope.tables.codebook import frame
from batchscope.tables.metrics import METRICS

RANKED = (LOSS, ACCURACY)

Floats = NDArray[np.float64]


def ranks(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell and metric that has a value for every seed of its data set and recipe.

    Ranked are the selected validation loss (low is best) and the test accuracy at the same epoch (high is best), among
    the complete sizes of a data set and recipe; the sizes left out are those that `best` calls not comparable. The
    probabilities and ranks (`rank_probabilities`) are null for fewer than two seeds or two complete sizes, where there
    is no order to be sure of.
    """
    rows: list[dict[str, Any]] = []
    for _, group in runs.groupby(PAIR, sort=False):
        for metric in RANKED:
            values = complete(by_size(group), metric)
            found = _of_sizes(list(values.values()), METRICS[metric].better == "lower")
            for cell, probability, rank in zip(values, *found, strict=True):
                head = {**dict(zip(CELL, cell, strict=True)), "metric": metric}
                rows.append({**head, "probability_best": probability, "rank_mean": rank, "n": len(values[cell])})
    return frame("ranks", rows)


def _of_sizes(values: list[Floats], lower_is_better: bool) -> tuple[Floats, Floats]:
    if len(values) < 2 or len(values[0]) < 2:
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    return rank_probabilities(np.stack(values), lower_is_better=lower_is_better)
