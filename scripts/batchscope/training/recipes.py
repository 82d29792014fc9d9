"""A resolved recipe, and what it means at one batch size: updates per epoch, the options of the optimizer.

A recipe reaches a job as the plain mapping that its fingerprint is made of, so its type is that of a mapping; what
users write is in `study.recipes`. Nothing here knows a framework, or needs NumPy: the Snakefile reads it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict


class Model(TypedDict):
    """A built-in model (`name`), or a function of the user's with its `arguments`."""

    name: NotRequired[str]
    hidden: NotRequired[Sequence[int]]
    filters: NotRequired[Sequence[int]]
    kernel_size: NotRequired[int]
    dense: NotRequired[int]
    activation: NotRequired[str]
    dropout: NotRequired[float]
    normalization: NotRequired[str]
    function: NotRequired[str]
    arguments: NotRequired[dict[str, Any]]
    outputs: NotRequired[str]


class Scaling(TypedDict):
    """How the options of the optimizer follow from the batch size, and the warm-up."""

    rule: str
    reference_batch_size: int | None
    warmup_epochs: float


class Stopping(TypedDict):
    """How many evaluations without an improvement end a run."""

    patience: int


class Budget(TypedDict):
    """How long a run trains, in epochs or updates (the other is None), and when it is evaluated."""

    epochs: int | None
    updates: int | None
    evaluations: int | None
    first_evaluation_at: float | None
    early_stopping: Stopping | None


class Tuning(TypedDict):
    """The learning rates that are tried, with which seeds."""

    learning_rates: Sequence[float]
    seeds: Sequence[int]
    widen: int
    refine: int


class Kept(TypedDict):
    """When weights are kept: at shares of the budget, and where the training loss first crosses a value."""

    at: Sequence[float]
    train_losses: Sequence[float]


class Recipe(TypedDict):
    """What a run is trained with, every key present."""

    name: str
    model: Model
    optimizer: dict[str, Any]  # its name, and options that the framework knows
    learning_rate_scaling: Scaling
    micro_batch_size: int | None
    last_batch: str
    shuffle: bool
    evaluation_batch_size: int
    tuning: Tuning | None
    snapshots: Kept
    budget: Budget
    tracked_weight: Sequence[int] | None


def resolve_batch_size(name: str, n_train: int) -> int:
    """Examples per update for a batch size as the study writes it: digits, or `full` for all `n_train` examples."""
    return n_train if name == "full" else int(name)


def updates_per_epoch(n_train: int, batch_size: int, last_batch: str) -> int:
    """ceil(N/B) where the last, smaller batch is kept, floor(N/B) where it is dropped."""
    return n_train // batch_size if last_batch == "drop" else math.ceil(n_train / batch_size)


def scaled_optimizer(recipe: Recipe, batch_size: int) -> dict[str, Any]:
    """The recipe's optimizer with its options for a batch size B = κ B0, B0 being the reference batch size.

    `none`: as they are. `linear`: rate times κ (Goyal et al. 2017). `sqrt`: rate times √κ (Hoffer et al. 2017).
    `adam-sde`: rate times √κ, 1 - β times κ for both β, ε over √κ (Malladi et al. 2022, arXiv 2205.10287); a weight
    decay, which Keras applies apart from the gradient and times the rate, times √κ, so that it takes as much per
    example.

    Raises:
        ValueError: a β of Adam would not be positive, or 1 in single precision, in which it is computed.
    """
    options, scaling = dict(recipe["optimizer"]), recipe["learning_rate_scaling"]
    if scaling["rule"] == "none" or scaling["reference_batch_size"] is None:
        return options
    kappa = batch_size / scaling["reference_batch_size"]
    options["learning_rate"] *= kappa if scaling["rule"] == "linear" else math.sqrt(kappa)
    if scaling["rule"] == "adam-sde":
        options |= {name: 1 - kappa * (1 - options[name]) for name in ("beta_1", "beta_2")}
        options["epsilon"] /= math.sqrt(kappa)
        if options.get("weight_decay") is not None:
            options["weight_decay"] *= math.sqrt(kappa)
        betas = [options["beta_1"], options["beta_2"]]
        made = f"the rule adam-sde makes beta_1 {betas[0]:.9g} and beta_2 {betas[1]:.9g} at batch size {batch_size}"
        if min(betas) < 1e-12:  # zero but for rounding
            raise ValueError(
                f"{made}, and they must be above 0; valid is a larger reference_batch_size, or a smaller batch size"
            )
        if max(betas) >= 1 - 2**-25:
            raise ValueError(
                f"{made}, which is 1 in single precision; valid is a smaller reference_batch_size, or a larger batch "
                "size"
            )
    return options


def scaled_learning_rate(recipe: Recipe, batch_size: int) -> float:
    """Learning rate for a batch size, at the end of the warm-up; see `scaled_optimizer`."""
    return float(scaled_optimizer(recipe, batch_size)["learning_rate"])


def with_learning_rate(recipe: Recipe, rate: float) -> Recipe:
    """The recipe with a rate that tuning chose, or tries."""
    return {**recipe, "optimizer": {**recipe["optimizer"], "learning_rate": rate}}


def random_rank(name: str) -> float:
    """A number in [0, 1) that orders names at random, the same on every machine: the order in which cells are timed."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
