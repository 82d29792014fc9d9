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
