"""Engines: the packages that train. Only they name a framework; everything else knows the protocols below.

An engine is a folder beside this file and its name in `NAMES`. The folder has `about.py`, whose `ABOUT` says
what must be known before the framework is imported, and `engine.py`, whose `ENGINE` is an `Engine`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

from batchscope.training.recipes import Recipe

if TYPE_CHECKING:  # only then: the Snakefile reads `about` and has no NumPy
    import numpy as np
    from numpy.typing import NDArray

    from batchscope.data.dataset import Data
    from batchscope.training.plans import Plan

NAMES = ("tensorflow", "jax", "numpy")

Part = Literal["train", "validation", "test"]
Precision = Literal["float32", "float64"]
Vector: TypeAlias = "NDArray[np.float64]"
Weights: TypeAlias = "list[NDArray[Any]]"  # what `Trainer.get_weights` gives


class OutOfMemoryError(MemoryError):
    """The device or the host has too little memory; the message says what could not be allocated."""


class EngineError(ValueError):
    """The engine cannot do what the study asks; the message says what would be valid."""


@dataclass(frozen=True)
class About:
    """What must be known of an engine before its framework is imported.

    Attributes:
        packages: whose versions a manifest has; the first is the framework.
        environment: variables that change how the engine computes and that it leaves as they are. A result depends on
            their values, so they belong to its fingerprint.
        environment_file: of the conda environment of its jobs, in envs/, without `.yaml`, and without `-gpu` for a GPU.
        decided: variables that the engine sets, whatever they were, before it imports its framework.
        refuse: function of a resolved recipe and a loop that says what the engine cannot do of them and what would be
            valid, as the end of a sentence that begins with the engine; None where it can do all.
        gpu: whether it can compute on a GPU.
    """

    packages: tuple[str, ...]
    environment: tuple[str, ...]
    environment_file: str = "train"
    decided: Mapping[str, str] = field(default_factory=dict)
    refuse: Callable[[Recipe, str], str | None] = lambda recipe, loop: None
    gpu: bool = True


@dataclass(frozen=True)
class Steps:
    """What one call of `train` saw, one element per update made.

    Attributes:
        loss: mean loss of the batch before the update; the last one is not finite where training diverged.
        gradient_norm: Euclidean norm of the gradient before clipping; NaN where the loop does not give it.
        weight: the tracked weight after the update; NaN where the loop does not give it.
    """

    loss: Vector
    gradient_norm: Vector
    weight: Vector


Loop: TypeAlias = "Callable[[NDArray[np.int32], NDArray[np.float32]], Steps]"  # see `Trainer.train`


@dataclass(frozen=True)
class Updates:
    """A call of `Trainer.train`."""

    order: NDArray[np.int32]
    rates: NDArray[np.float32]

    def of(self, trainer: Trainer) -> Steps:
        """What the trainer saw."""
        return trainer.train(self.order, self.rates)


@dataclass(frozen=True)
class Evaluation:
    """A call of `Trainer.evaluate`."""

    part: Part

    def of(self, trainer: Trainer) -> tuple[float, float]:
        """Mean loss and accuracy."""
        return trainer.evaluate(self.part)


class Trainer(Protocol):
    """The model of a plan, and the data that it trains on. Losses are in nat, penalties of the model included.

    Whatever needs too much memory raises `MemoryError`. p is the number of trainable weights.
    """

    @property
    def n_parameters(self) -> int:
        """The number of trainable weights."""

    @property
    def tracked_weight(self) -> tuple[int, ...]:
        """Index, in the first trainable array, of the weight that `Steps` follow."""

    def train(self, order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
        """Make len(rates) updates, the i-th with the i-th batch of `order`, the last of which may be short.

        Stops after a loss that is not finite. With empty arguments it compiles without changing a weight.
        """

    def evaluate(self, part: Part) -> tuple[float, float]:
        """Mean loss and accuracy of a part, in inference mode."""

    def batch_losses(self, part: Part, batches: NDArray[np.int32], *, batch_statistics: bool) -> Vector:
        """Mean loss of each batch of a part, shape (K,); no variable changes.

        In inference mode, so without dropout or other noise, except that with `batch_statistics` every trainable batch
        normalization uses the statistics of the batch, as it does in training.

        Args:
            part: of the data.
            batches: indices of the examples of each batch, shape (K, B).
            batch_statistics: normalize with the batch's own statistics, and not with the stored ones.
        """

    def get_weights(self) -> Weights:
        """Copies of all variables of the model, trainable or not."""

    def set_weights(self, weights: Weights) -> None:
        """Put back what `get_weights` gave."""

    def trainable_weights(self) -> Vector:
        """The trainable weights, flattened one array after the other, shape (p,)."""

    def read_batches(self, order: NDArray[np.int32]) -> float:
        """Gather the whole batches of an order, one after the other, as `train` does; nothing else.

        Returns the sum over the batches of the last number of the last example plus its label: one number of each batch
        is looked at, so that no batch is left out, and only one, since reading a batch is part of computing with it.
        """

    def fit_seconds(self, updates: int) -> float:
        """Seconds of `updates` updates with whole batches, at learning rate zero, in the framework's own loop."""


class Together(Protocol):
    """Trainers of plans that differ in rate and seed alone, as one program; their numbers are equal to rounding.

    Trainers are known by their place among the plans. Whatever needs too much memory raises `MemoryError`.
    """

    def train(self, asked: Mapping[int, Updates]) -> Mapping[int, Steps]:
        """As `Trainer.train`, for the same updates of an epoch; whoever is left out has ended."""

    def evaluate(self, asked: Collection[int], part: Part) -> Mapping[int, tuple[float, float]]:
        """As `Trainer.evaluate`."""


class Frozen(Protocol):
    """The mean loss over `n_examples` examples (nat, penalties of the model included) near fixed weights.

    In inference mode: without dropout, and with the stored statistics of batch normalization. p is the number of
    trainable weights. Whatever needs too much memory raises `MemoryError`.
    """

    @property
    def n_examples(self) -> int:
        """Number of examples."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the trainable arrays, in the order in which `weights` holds them."""

    @property
    def weights(self) -> Vector:
        """The trainable weights, flattened one array after the other, shape (p,)."""

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


class NotTogetherError(Exception):
    """Plans cannot be trained as one program; the message says why, as the end of a sentence about their trials."""


class TogetherEngine(Protocol):
    """What an engine may have beside `Engine`."""

    def together(self, plans: Sequence[Plan], data: Data, memory_bytes: int) -> Together:
        """Trainers of plans that differ in rate and seed alone, at least two, on the same data.

        `memory_bytes` is what this process may hold on the host.

        Raises:
            NotTogetherError: it cannot do that, or it would take no less time.
            EngineError, FunctionError, MemoryError: as `Engine.build`.
        """


class CompilingEngine(Protocol):
    """What an engine may have beside `Engine`."""

    def has_compiled(self) -> bool:
        """Whether this process has compiled what a later one finds in a folder, where that can be written."""


class Engine(Protocol):
    """A framework that trains and looks at models of a recipe."""

    def configure(self, device: str, threads: int) -> dict[str, Any]:
        """Choose the device (auto, cpu, gpu) and make results repeatable; to be called once per process, first of all.

        Returns `device` (cpu or gpu), its `device_name`, `unused_gpus` (names of GPUs that the driver shows and the
        framework cannot use, where the device was to be chosen), and the numerical settings that the manifest records,
        one of them `precision`.

        Raises:
            EngineError: there is no such device.
        """

    def prepare(self, plan: Plan, data: Data) -> None:
        """Do once per process what `build` needs and no clock may contain."""

    def build(self, plan: Plan, data: Data) -> Trainer:
        """The plan's model with its first weights, compiled, with all parts of the data on the device.

        Raises:
            EngineError: the engine has no such model, optimizer or loop.
            FunctionError: the model of the user's own function is none that can train.
            MemoryError: model or data do not fit.
        """

    def freeze(
        self,
        recipe: Recipe,
        examples: tuple[NDArray[Any], NDArray[Any]],
        classes: int,
        weights: Sequence[NDArray[Any]],
        precision: Precision,
        chunk: int,
    ) -> Frozen:
        """The model of `recipe` at fixed weights.

        Args:
            recipe: resolved recipe.
            examples: features, shape (n, ...), and labels, shape (n,).
            classes: width of the output.
            weights: all variables of the model, as `Trainer.get_weights` gives them.
            precision: of weights and arithmetic.
            chunk: examples per pass, which bounds the memory; it changes results by rounding only.

        Raises:
            EngineError, FunctionError, MemoryError: as `build`.
        """

    def allocator_peak_bytes(self, device: str) -> tuple[int | None, str]:
        """Peak of the device's allocator since the process started, or None and the reason."""


def names() -> tuple[str, ...]:
    """The engines that a study may name; the first is the one that trains where it names none."""
    return NAMES


def about(engine: str) -> About:
    """What is known of an engine without its framework; this imports neither it nor NumPy."""
    return cast(About, importlib.import_module(f"batchscope.training.engines.{engine}.about").ABOUT)


def load(engine: str) -> Engine:
    """The engine of this name; this imports its framework, which may take seconds."""
    os.environ.update(about(engine).decided)
    return cast(Engine, importlib.import_module(f"batchscope.training.engines.{engine}.engine").ENGINE)
