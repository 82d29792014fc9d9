"""What a resolved recipe means for one batch size and one seed: updates, order of examples, learning rates, seeds.

Nothing here knows a framework. A recipe is the resolved mapping that `study.load` returns.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What a seed is used for. Each purpose has its own stream, so that changing one choice does not move the others.
PURPOSES = ("weights", "dropout", "order")


@dataclass(frozen=True)
class Plan:
    """What one run trains: a resolved recipe, the examples per update, the seed, and the loop (`fused` or `fit`)."""

    recipe: Mapping[str, Any]
    batch_size: int
    seed: int
    loop: str


def derive_seed(seed: int, purpose: str) -> int:
    """An independent 31-bit seed for one purpose of a run, the same on every machine."""
    if purpose not in PURPOSES:
        raise ValueError(f"unknown purpose of a seed: {purpose!r}; known are {', '.join(PURPOSES)}")
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:4], "big") >> 1


def resolve_batch_size(name: str, n_train: int) -> int:
    """Examples per update for a batch size as the study writes it: digits, or `full` for all `n_train` examples."""
    return n_train if name == "full" else int(name)


def updates_per_epoch(n_train: int, batch_size: int, last_batch: str) -> int:
    """ceil(N/B) where the last, smaller batch is kept, floor(N/B) where it is dropped."""
    return n_train // batch_size if last_batch == "drop" else math.ceil(n_train / batch_size)


def epoch_order(n_train: int, plan: Plan, epoch: int) -> NDArray[np.int32]:
    """Indices of the epoch's examples in the order they are trained on, shape (examples trained on,).

    The permutation depends on the seed and the epoch but not on the batch size: runs of one seed with different batch
    sizes see the same examples in the same order, cut differently.
    """
    if plan.recipe["shuffle"]:
        order = np.random.default_rng([derive_seed(plan.seed, "order"), epoch]).permutation(n_train).astype(np.int32)
    else:
        order = np.arange(n_train, dtype=np.int32)
    if plan.recipe["last_batch"] == "drop":
        order = order[: n_train // plan.batch_size * plan.batch_size]
    return order


def scaled_learning_rate(recipe: Mapping[str, Any], batch_size: int) -> float:
    """Learning rate for a batch size: the recipe's rate times 1, B/B0 (Goyal et al. 2017) or sqrt(B/B0) (Hoffer et al.
    2017), with B0 the reference batch size."""
    rate, scaling = float(recipe["optimiser"]["learning_rate"]), recipe["learning_rate_scaling"]
    if scaling["rule"] == "none":
        return rate
    ratio = batch_size / scaling["reference_batch_size"]
    return rate * (ratio if scaling["rule"] == "linear" else math.sqrt(ratio))


def learning_rates(n_train: int, plan: Plan, epoch: int) -> NDArray[np.float32]:
    """Learning rate of each update of an epoch (counted from 1), shape (updates per epoch,).

    During the warm-up the rate rises linearly with the updates, from one step above zero to the scaled rate. Its length
    is given in epochs, so it covers the same number of examples at every batch size.
    """
    per_epoch = updates_per_epoch(n_train, plan.batch_size, plan.recipe["last_batch"])
    rate = scaled_learning_rate(plan.recipe, plan.batch_size)
    warmup = round(plan.recipe["learning_rate_scaling"]["warmup_epochs"] * per_epoch)
    update = np.arange((epoch - 1) * per_epoch, epoch * per_epoch) + 1
    return np.asarray(rate * np.minimum(1.0, update / max(warmup, 1)), dtype=np.float32)


def tracked_index(recipe: Mapping[str, Any], gradient: NDArray[np.float32]) -> tuple[int, ...]:
    """Index of the tracked weight in the first trainable array of the model.

    It is the recipe's, or else the element on which `gradient`, the gradient of the untrained network over the first
    training examples, is the largest in size: the middle of the array may be a pixel that is never lit.
    """
    wanted = recipe["tracked_weight"]
    if wanted is None:
        return tuple(int(i) for i in np.unravel_index(np.abs(gradient).argmax(), gradient.shape))
    if len(wanted) != gradient.ndim or any(i >= size for i, size in zip(wanted, gradient.shape, strict=True)):
        raise ValueError(
            f"recipe {recipe['name']}: tracked_weight {list(wanted)} is not an index of the first kernel, "
            f"whose shape is {list(gradient.shape)}"
        )
    return tuple(wanted)


def random_rank(name: str) -> float:
    """A number in [0, 1) that orders names at random, the same on every machine: the order in which cells are timed."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
