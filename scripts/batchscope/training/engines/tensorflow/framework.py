"""TensorFlow, imported by Keras, whose backend it is."""

from __future__ import annotations

from batchscope.training.engines.keras.framework import keras

# isort: split
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework.config import is_op_determinism_enabled

__all__ = ["context", "is_op_determinism_enabled", "keras", "tf"]
