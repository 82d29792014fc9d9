"""Engines: the modules that train. Each offers the same functions; only they name a framework.

configure(device, threads)                  set up the framework, once per process, and tell what it uses
prepare(plan, data)                         do once per process what `build` needs and no clock may contain
build(plan, data)                           compile a trainer for one run
train(trainer, order, rates)                make len(rates) updates over the examples in `order`
evaluate(trainer, part)                     loss and accuracy of a part of the data, in inference mode
batch_losses(trainer, part, batches, ...)   loss of single batches, with stored statistics or those of the batch
fit_seconds(trainer, data, ...)             time of updates in Keras' own loop, of a trainer built for the loop `fit`
batch_reader(trainer, batch_size)           function that reads the batches of an order and does nothing with them
get_weights / set_weights(trainer)          all variables of the model, statistics of normalisation included
allocator_peak_bytes(device)                peak of the device's allocator, or None and the reason

The probes look at a model whose weights do not move: `frozen(name)` is the engine's class for that, see `Frozen`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:  # only then: the Snakefile reads `environment` and has no NumPy
    import numpy as np
    from numpy.typing import NDArray

PACKAGES = {"tensorflow": ("tensorflow", "keras", "numpy")}  # of each engine, whose versions a manifest has

Part = Literal["train", "validation", "test"]
Precision = Literal["float32", "float64"]
Vector: TypeAlias = "NDArray[np.float64]"


class OutOfMemoryError(MemoryError):
    """The device or the host has too little memory; the message says what could not be allocated."""


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


class Frozen(Protocol):
    """The mean loss over `n_examples` examples (nat, penalties of the model included) near fixed weights.

    In inference mode: without dropout, and with the stored statistics of batch normalisation. p is the number of
    trainable weights.
    """

    @property
    def n_examples(self) -> int:
        """Number of examples."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the trainable arrays, in the order in which `weights` holds them."""

    @property
    def weights(self) -> Vector:
        """The trainable weights, shape (p,)."""

    def loss(self, weights: Vector) -> float:
        """Mean loss at other `weights`, shape (p,)."""

    def loss_and_gradient(self, weights: Vector) -> tuple[float, Vector]:
        """Mean loss and its gradient, shape (p,), at other `weights`."""

    def hessian_vector(self, direction: Vector) -> Vector:
        """Product of the Hessian of the mean loss, at the fixed weights, with `direction`; both of shape (p,)."""

    def batch_gradient(self, indices: NDArray[np.int64]) -> Vector:
        """Gradient of the mean loss of the examples at `indices`, shape (p,), at the fixed weights."""

    def example_gradients(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Gradients of the single examples at `indices`, shape (len(indices), p), at the fixed weights."""


def frozen(name: str) -> Any:
    """The class with which the engine called `name` makes a `Frozen`; its arguments are those of `FrozenModel`."""
    return importlib.import_module(f"batchscope.training.engines.{name}.frozen").FrozenModel


def engine(name: str) -> ModuleType:
    """The engine module called `name`; this imports its framework, which takes seconds."""
    return importlib.import_module(f"batchscope.training.engines.{name}.engine")
