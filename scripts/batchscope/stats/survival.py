"""How long it takes to reach a target where some runs were not followed until they reached it."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from batchscope.stats.intervals import ROUNDING

Floats = NDArray[np.float64]


def survival_median(times: ArrayLike, reached: ArrayLike) -> float | None:
    """Kaplan-Meier median: the earliest time by which at least half of the runs are estimated to have reached.

    `times`, shape (runs,), holds when a run reached the target, or how long one that did not was followed; `reached`
    says which. None where the curve does not fall to one half: more than half of the runs have no known time, and the
    median lies beyond what was followed. With all of an even number of runs reached it is the lower of the two middle
    times, not their mean. Any unit of time.

    >>> survival_median([3, 5, 8, 10], [True, True, True, False])
    5.0
    """
    steps, surviving = _curve(times, reached)
    fallen = surviving <= 0.5 + ROUNDING
    return float(steps[fallen][0]) if fallen.any() else None


def restricted_mean(times: ArrayLike, reached: ArrayLike, horizon: float) -> float | None:
    """Mean time spent on the way to the target up to `horizon`: the area under the Kaplan-Meier curve from 0 to it.

    A run that needs longer than `horizon` counts with `horizon`; so batch sizes compare only at one common horizon.
    Where every run that did not reach was followed at least that long, it is the plain mean of min(time, horizon).
    None where the curve is not known up to `horizon`: the run followed longest ended before it without reaching.
    `times` and `reached` as in `survival_median`. Royston and Parmar 2013, BMC Medical Research Methodology 13, 152.

    >>> restricted_mean([3, 5, 8, 10], [True, True, True, False], 10)
    6.5
    """
    if not (np.isfinite(horizon) and horizon > 0):
        raise ValueError(f"a horizon is a time above zero, not {horizon}")
    steps, surviving = _curve(times, reached)
    if surviving[-1] > ROUNDING and horizon > steps[-1]:
        return None
    before = steps < horizon
    edges = np.concatenate([[0.0], steps[before], [horizon]])
    heights = np.concatenate([[1.0], surviving[before]])
    return float(np.diff(edges) @ heights)


def _curve(times: ArrayLike, reached: ArrayLike) -> tuple[Floats, Floats]:
    """The distinct times, ascending, and the Kaplan-Meier share of runs that have not reached after each."""
    when, hit = np.asarray(times, dtype=np.float64), np.asarray(reached, dtype=np.bool_)
    if when.ndim != 1 or when.shape != hit.shape or not len(when):
        raise ValueError(f"expected one time and one flag per run, not {when.shape} and {hit.shape}")
    if not np.isfinite(when).all() or when.min() < 0:
        raise ValueError(f"times are finite and not negative: {times!r}")
    found = scipy.stats.ecdf(scipy.stats.CensoredData(uncensored=when[hit], right=when[~hit])).sf
    return np.asarray(found.quantiles, dtype=np.float64), np.asarray(found.probabilities, dtype=np.float64)
