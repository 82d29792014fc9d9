"""A Keras model with its optimizer, and the losses of what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batchscope.training.engines.tensorflow.framework import keras

Tensor = Any  # TensorFlow has no usable type stubs


@dataclass(frozen=True)
class Network:
    """A model, its optimizer, and whether it returns logits or probabilities."""

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    from_logits: bool

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy per example, shape (n,)."""
        return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=self.from_logits)
