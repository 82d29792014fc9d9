"""Engines: the modules that train. Each offers the same functions; only they name a framework.

configure(device, threads)                  set up the framework, once per process, and tell what it uses
build(plan, data)                           compile a trainer for one run
train(trainer, order, rates)                make len(rates) updates over the examples in `order`
evaluate(trainer, part)                     loss and accuracy of a part of the data, in inference mode
get_weights / set_weights(trainer)          all variables of the model, statistics of normalisation included
allocator_peak_bytes(device)                peak of the device's allocator, or None and the reason
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["train", "validation", "test"]


class OutOfMemoryError(RuntimeError):
    """The device or the host has too little memory for this batch size."""


@dataclass(frozen=True)
class Steps:
    """What one call of `train` saw, one element per update made.

    Attributes:
        loss: mean loss of the batch before the update; the last one is not finite where training diverged.
        gradient_norm: Euclidean norm of the gradient before clipping; NaN where the loop does not give it.
        weight: the tracked weight after the update; NaN where the loop does not give it.
    """

    loss: NDArray[np.float64]
    gradient_norm: NDArray[np.float64]
    weight: NDArray[np.float64]


def engine(name: str) -> ModuleType:
    """The engine module called `name`; this imports its framework, which takes seconds."""
    return importlib.import_module(f"batchscope.engines.{name}")
