"""Losses of the same weights in batches of several sizes, in inference mode and with the statistics of the batch.

Batch normalization in training mode takes mean and variance from the batch it is given, so the loss depends on the size
of that batch; with its stored statistics, and in every model without it, it does not. In a batch of one a normalized
dense layer has no variance: it returns its offset whatever the example, so that a network of such layers only gives the
same answer to every example. A normalized convolution still has the variance over the places of one image. Knows no
framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.probes.subject import Subject, Tables
from batchscope.training.checkpoints import END
from batchscope.training.engines import Trainer

ORDER = 29  # the stream of random numbers that orders the examples


def measure(subject: Subject) -> Tables:
    """The validation loss of the last weights in batches of several sizes, in both modes of batch normalization."""
    trainer = subject.engine.build(subject.plan, subject.data)
    rows: list[dict[str, Any]] = []
    for taken in subject.taken([END]):
        identity = subject.at(taken, len(subject.data.y_validation))
        trainer.set_weights(taken.weights)
        sizes = subject.settings["batch_sizes"]
        rows += [{**identity, **row} for row in evaluation_modes(trainer, subject.data, sizes, subject.seed)]
    return {"modes": rows}


def evaluation_modes(trainer: Trainer, data: Data, batch_sizes: Sequence[int], seed: int) -> list[dict[str, Any]]:
    """Evaluate the trainer's present weights on the validation part in batches of each size; they stay as they are.

    One permutation, drawn from `seed`, is cut into batches of every size. Only whole batches are used, and both losses
    of a row come from the same examples: as many as make whole batches of the largest size that fits, cut to whole
    batches of the row's size. So all rows see the same examples where every size divides the largest.

    Returns:
        a row per size: evaluated_batch_size; inference_loss and training_loss, means over the batches in nat, penalties
        of the model included, the second with batch normalization in training mode and dropout off;
        training_mode_shift, the size of their difference; reason, why they are None, or None. A size above the number
        of validation examples,
        one for which memory runs out, and losses that are not finite give None.
    """
    n = len(data.y_validation)
    order = np.random.default_rng([seed, ORDER]).permutation(n).astype(np.int32)
    largest = max((size for size in batch_sizes if size <= n), default=1)
    return [_row(trainer, order[: n // largest * largest], size, n) for size in batch_sizes]


def _row(trainer: Trainer, order: NDArray[np.int32], size: int, n: int) -> dict[str, Any]:
    row = {"evaluated_batch_size": size, "inference_loss": None, "training_loss": None, "training_mode_shift": None}
    if size > n:
        return {**row, "reason": f"the validation part has {n} examples, fewer than a batch of {size}"}
    batches = order[: len(order) // size * size].reshape(-1, size)
    try:
        inference, training = (
            float(trainer.batch_losses("validation", batches, batch_statistics=own).mean()) for own in (False, True)
        )
    except MemoryError as error:
        return {**row, "reason": f"memory ran out: {error}"}
    if not np.isfinite([inference, training]).all():
        return {**row, "reason": f"a loss is not finite: {inference} in inference mode, {training} in training mode"}
    shift = abs(training - inference)
    found = {"inference_loss": inference, "training_loss": training, "training_mode_shift": shift}
    return {**row, **found, "reason": None}
