"""What frozen models share on every backend: examples in passes of bounded memory, and means over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.training.engines import Vector

Batch = tuple[Any, Any]  # examples and labels, arrays of the framework
EXAMPLES_TRIED = 8  # one by one, to see whether losses that the model adds belong to the examples


def passes(
    examples: Batch, chunk: int, take: Callable[[Any, NDArray[np.int64]], Any], indices: NDArray[np.int64] | None
) -> Iterator[Batch]:
    """All examples, or those at `indices`, which `take` gathers of an array, in passes of at most `chunk`."""
    x, y = examples
    for start in range(0, len(y) if indices is None else len(indices), chunk):
        cut = slice(start, start + chunk)
        yield (x[cut], y[cut]) if indices is None else (take(x, indices[cut]), take(y, indices[cut]))


def mean(gradient: Callable[..., tuple[Any, Any]], parts: Iterable[Batch], n: int) -> tuple[float, Vector]:
    """Mean loss of `n` examples and its gradient, shape (p,), from the sums that `gradient` gives of each pass."""
    loss, total = 0.0, np.zeros(())
    for part in parts:
        part_loss, part_gradient = gradient(*part)
        loss, total = loss + float(part_loss), total + np.asarray(part_gradient, np.float64)
    return loss / n, total / n
