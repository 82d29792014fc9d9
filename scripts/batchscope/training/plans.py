"""What one run does: its order of examples, learning rates, evaluations and seeds. Nothing here knows a framework."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.training import recipes
from batchscope.training.recipes import Recipe

# What a seed is used for. Each purpose has its own stream, so that changing one choice does not move the others.
PURPOSES = ("weights", "dropout", "order")


@dataclass(frozen=True)
class Plan:
    """What one run trains: a resolved recipe, the examples per update, the seed, and the loop (`fused` or `fit`)."""

    recipe: Recipe
    batch_size: int
    seed: int
    loop: str


def derive_seed(seed: int, purpose: str) -> int:
    """An independent 31-bit seed for one purpose of a run, the same on every machine."""
    if purpose not in PURPOSES:
        raise ValueError(f"unknown purpose of a seed: {purpose!r}; known are {', '.join(PURPOSES)}")
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:4], "big") >> 1


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


def total_updates(n_train: int, plan: Plan) -> int:
    """Updates of the whole budget, which is given in epochs or in updates."""
    budget = plan.recipe["budget"]
    if budget["updates"] is not None:
        return budget["updates"]
    assert budget["epochs"] is not None
    return budget["epochs"] * recipes.updates_per_epoch(n_train, plan.batch_size, plan.recipe["last_batch"])


def evaluation_points(n_train: int, plan: Plan) -> NDArray[np.int64]:
    """Updates after which a run is evaluated; the last one ends the budget.

    They are spread evenly over the budget or, with `first_evaluation_at`, evenly in the logarithm from that share of it
    on: epochs to a target are then known to the same share of themselves at fast and at slow batch sizes. Where weights
    are to be kept, the evaluation nearest in the logarithm moves to that share of the budget; one more would stand so
    close to it that two in a row were hardly two looks.
    Every batch size is looked at as often, and at the same shares of the budget, up to one update: the best of many
    looks is lower than the best of few (the exception is a size that makes fewer updates than there are evaluations).
    """
    budget, total = plan.recipe["budget"], total_updates(n_train, plan)
    n = budget["epochs"] if budget["evaluations"] is None else budget["evaluations"]
    assert n is not None
    if budget["first_evaluation_at"] is not None:
        spread = np.maximum(1, np.rint(total * np.geomspace(budget["first_evaluation_at"], 1, n)).astype(np.int64))
        for share in plan.recipe["snapshots"]["at"]:
            if 0 < share < 1:
                nearest = np.abs(np.log(spread[:-1] / (share * total))).argmin()
                spread[nearest] = _first_update(share, total)
        return np.unique(spread)
    return np.unique(-(-total * np.arange(1, n + 1) // n))


def _first_update(share: float, total: int) -> int:
    """The first update, of `total`, at which a share of the budget is spent."""
    update = int(share * total)
    return update if update / total >= share else update + 1


def pieces(start: int, stop: int, per_epoch: int) -> Iterator[tuple[int, int, int]]:
    """The updates from `start` to `stop` cut at the ends of epochs: (epoch from 1, first and end update within it)."""
    while start < stop:
        epoch, first = divmod(start, per_epoch)
        end = min(per_epoch, first + stop - start)
        yield epoch + 1, first, end
        start += end - first


def learning_rates(n_train: int, plan: Plan, start: int, stop: int) -> NDArray[np.float32]:
    """Learning rate of the updates after the first `start`, up to the `stop`-th, shape (stop - start,).

    During the warm-up the rate rises linearly with the updates, from one step above zero to the scaled rate. Its length
    is given in epochs, so it covers the same number of examples at every batch size.
    """
    per_epoch = recipes.updates_per_epoch(n_train, plan.batch_size, plan.recipe["last_batch"])
    rate = recipes.scaled_learning_rate(plan.recipe, plan.batch_size)
    warmup = round(plan.recipe["learning_rate_scaling"]["warmup_epochs"] * per_epoch)
    update = np.arange(start, stop) + 1
    return np.asarray(rate * np.minimum(1.0, update / max(warmup, 1)), dtype=np.float32)


def tracked_index(recipe: Recipe, gradient: NDArray[Any]) -> tuple[int, ...]:
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
