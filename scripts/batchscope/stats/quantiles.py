"""Quantiles of plain numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def median(values: ArrayLike) -> float | None:
    """The middle of `values`, or the mean of the middle two; None of no values.

    >>> median([3, 1, 10, 2])
    2.5
    """
    sample = np.asarray(values, dtype=np.float64)
    return float(np.median(sample)) if len(sample) else None


def quantile(values: ArrayLike, share: float) -> float | None:
    """The value that the `share` (0 to 1) of `values` does not exceed, on a straight line between two; None of none.

    >>> quantile([0, 1, 2, 3, 4], 0.9)
    3.6
    """
    sample = np.asarray(values, dtype=np.float64)
    return float(np.quantile(sample, share)) if len(sample) else None


def quartiles(values: ArrayLike) -> tuple[float, float, float] | tuple[None, None, None]:
    """First quartile, median and third quartile of `values`; three times None of no values.

    >>> quartiles([0, 1, 2, 3, 4])
    (1.0, 2.0, 3.0)
    """
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample):
        return None, None, None
    low, middle, high = np.quantile(sample, [0.25, 0.5, 0.75]).tolist()
    return low, middle, high
