"""TensorFlow, imported by Keras, whose backend it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from batchscope.training.engines.keras.framework import keras

# isort: split
import tensorflow as tf
from keras.src.backend.tensorflow import nn
from tensorflow.python.eager import context
from tensorflow.python.framework.config import is_op_determinism_enabled

__all__ = ["context", "is_op_determinism_enabled", "keras", "tf", "twice_derivable"]


@contextlib.contextmanager
def twice_derivable() -> Iterator[None]:
    """A block in which Keras' layers take a variance whose second derivative is right.

    `tf.nn.moments` stops the gradient at the mean, round which the squares are taken. That changes no first derivative,
    but Hessians of layer, group and batch normalization lack what the mean adds.
    """
    before = nn._compute_moments

    def moments(x: Any, axes: Sequence[int], keepdims: bool) -> tuple[Any, Any]:
        mean = tf.reduce_mean(x, axes, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axes, keepdims=True)
        return (mean, variance) if keepdims else (tf.squeeze(mean, axes), tf.squeeze(variance, axes))

    nn._compute_moments = moments
    try:
        yield
    finally:
        nn._compute_moments = before
