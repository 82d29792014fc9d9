"""Whether gradients accumulated over micro batches make the updates of the whole batch. Knows no framework."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.probes.subject import Subject, Tables, orders
from batchscope.training import plans
from batchscope.training.engines import Engine, Vector
from batchscope.training.plans import Plan

SHUFFLE = 23  # the stream of random numbers that reorders the examples within a batch
# Relative change of the first loss with the order of its examples that rounding does not explain: the mean of 50,000
# losses in single precision is off by about 1e-6.
ORDER_MATTERS = 1e-5


@dataclass(frozen=True)
class Trained:
    """Trainable weights before and after the updates, each of shape (p,), and the first and the last step loss."""

    start: Vector
    end: Vector
    first_loss: float
    last_loss: float


def measure(subject: Subject) -> Tables:
    """Weights after some updates of accumulated micro batches against those of the whole batch."""
    micro, updates = subject.settings["micro_batch_size"], subject.settings["updates"]
    found = accumulation(subject.engine, subject.data, subject.plan, micro, updates)
    return {"accumulation": [{**subject.identity, **found}]}


def accumulation(
    engine: Engine, data: Data, plan: Plan, micro_batch_size: int, updates: int
) -> dict[str, float | int | str | None]:
    """Train the plan's model for `updates` updates in whole batches and in micro batches, and compare the weights.

    Both start from the same weights and see the same batches and rates. How close equal runs come is told by
    `rounding`: the same relative difference between the run in whole batches and one whose batches hold their examples
    in another order, drawn from the plan's seed, which changes sums by rounding only. Where the model treats the places
    in a batch differently (dropout draws a mask for each) that order matters in earnest, so `rounding` is None.

    Returns:
        a row: batch_size; micro_batch_size; updates; largest_difference, the largest |w_a - w_b| of a trainable weight;
        relative_difference, |w_a - w_b| / |w_a - w_0|, w_a from whole and w_b from micro batches, w_0 before training;
        rounding; reason, why some are None, or None.

    Raises:
        ValueError: the micro batch is not smaller than the batch, or there is no update to make.
    """
    if not (0 < micro_batch_size < plan.batch_size and updates > 0):
        raise ValueError(
            f"accumulation compares at least one update of a batch with micro batches smaller than it, not {updates} "
            f"updates of {plan.batch_size} in micro batches of {micro_batch_size}"
        )
    size = {"batch_size": plan.batch_size, "micro_batch_size": micro_batch_size, "updates": updates}
    empty = {**size, "largest_difference": None, "relative_difference": None, "rounding": None}
    at_once, in_parts = (_with_micro_batch(plan, micro) for micro in (None, micro_batch_size))
    try:
        whole = _train(engine, data, at_once, updates)
        parts = _train(engine, data, in_parts, updates)
        reordered = _train(engine, data, at_once, updates, reorder=True)
    except MemoryError as error:
        return {**empty, "reason": f"memory ran out: {error}"}
    if not np.isfinite([run.last_loss for run in (whole, parts, reordered)]).all():
        return {**empty, "reason": "the loss is not finite, so there are no weights to compare; use a lower rate"}
    if np.array_equal(whole.start, whole.end):
        return {**empty, "reason": "the updates changed no weight"}
    matters = abs(whole.first_loss - reordered.first_loss) > ORDER_MATTERS * abs(whole.first_loss)
    return {
        **size,
        "largest_difference": float(np.abs(whole.end - parts.end).max()),
        "relative_difference": _relative_difference(whole, parts),
        "rounding": None if matters else _relative_difference(whole, reordered),
        "reason": "the loss depends on the places of the examples in a batch, as with dropout" if matters else None,
    }


def _with_micro_batch(plan: Plan, size: int | None) -> Plan:
    """The plan with micro batches, which only the fused loop knows."""
    return replace(plan, recipe={**plan.recipe, "micro_batch_size": size}, loop="fused")


def _train(engine: Engine, data: Data, plan: Plan, updates: int, *, reorder: bool = False) -> Trained:
    n_train, losses = len(data.y_train), []
    rates = plans.learning_rates(n_train, plan, 0, updates)
    rng = np.random.default_rng([plan.seed, SHUFFLE])
    trainer = engine.build(plan, data)
    start = trainer.trainable_weights()
    for made, order in orders(n_train, plan, updates):
        examples = _reordered(order, plan.batch_size, rng) if reorder else order
        losses += trainer.train(examples, rates[made]).loss.tolist()
        if not np.isfinite(losses[-1]):
            break
    return Trained(start, trainer.trainable_weights(), losses[0], losses[-1])


def _reordered(order: NDArray[np.int32], batch_size: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """The same batches with their examples in another order."""
    return np.concatenate(
        [rng.permutation(batch) for batch in np.split(order, range(batch_size, len(order), batch_size))]
    )


def _relative_difference(first: Trained, second: Trained) -> float:
    return float(np.linalg.norm(first.end - second.end) / np.linalg.norm(first.end - first.start))
