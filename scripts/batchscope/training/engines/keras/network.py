"""A Keras model with its optimizer, and the losses of what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchscope.training.engines.keras.framework import keras

Tensor = Any  # Keras has no usable types


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
