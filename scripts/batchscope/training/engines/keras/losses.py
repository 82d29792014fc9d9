"""The losses of a Keras model: cross-entropies, penalties on its weights, and what it adds for the examples itself.

Keras adds the last two to the mean loss of the batch, as they are. The loss of an `activity_regularizer` is divided by
the size of the batch; what a layer gives to `add_loss` is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from batchscope.data.functions import FunctionError
from batchscope.training.engines.keras.framework import keras

Tensor = Any  # Keras has no usable types

_SAME = 1e-3  # relative difference of a loss of examples once and twice that rounding may explain


Origin = Literal["all", "examples", "weights"]


@dataclass(frozen=True)
class Network:
    """A model, its optimizer, and whether it returns logits or probabilities."""

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    from_logits: bool

    @property
    def training_mode(self) -> Mapping[str, bool]:
        """How the model is called in training: one of a user's own whose `call` takes no `training` is called without
        it, as `model.fit` calls it.
        """
        return {"training": True} if self.model._call_has_training_arg else {}

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy per example, shape (n,)."""
        return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=self.from_logits)


def added_losses(model: keras.Model, of: Origin = "all", found: Sequence[Tensor] | None = None) -> list[Tensor]:
    """The scalars that the model adds to the mean loss of the batch that it was called on last.

    Those that come `of` its examples, of its weights alone, or all: first those of the examples. They are those of the
    model unless they are given, as a call without state `found` them.
    """
    every = model.losses if found is None else found
    # Keras puts the penalties last, one for each weight that has a regularizer.
    weights = len(every) - sum(variable.regularizer is not None for variable in model.trainable_variables)
    chosen = {"all": every, "examples": every[:weights], "weights": every[weights:]}[of]
    return [loss if len(loss.shape) == 0 else keras.ops.sum(loss) for loss in chosen]


def check_added_losses(model: keras.Model, examples: Tensor, name: str) -> None:
    """Raise `FunctionError` where the model of the function `name` adds a loss that grows with the batch.

    A sum over the examples would weigh more, the larger the batch: every batch size would train for another aim.
    """
    once, twice = (_of_examples(model, keras.ops.concatenate([examples] * times)) for times in (1, 2))
    if abs(twice - once) > _SAME * abs(once):
        raise FunctionError(
            f"{name} adds a loss that grows with the batch, {once:.4g} for some examples and {twice:.4g} for the same "
            "examples twice; valid is add_loss with the mean over the examples"
        )


def check_single_losses(model: keras.Model, examples: Tensor, name: str) -> None:
    """Raise `FunctionError` where a loss that the model adds is no mean of what it is for each of the examples."""
    together = _of_examples(model, examples)
    single = sum(_of_examples(model, example[None]) for example in examples) / len(examples)
    if abs(single - together) > _SAME * abs(together):
        raise FunctionError(
            f"{name} adds a loss that belongs to a batch and not to its examples, so this probe cannot look at the "
            "gradient of an example; valid is add_loss with the mean over the examples"
        )


def _of_examples(model: keras.Model, examples: Tensor) -> float:
    model(examples, training=False)
    return float(sum(float(loss) for loss in added_losses(model, of="examples")))
