"""Keras optimizers."""

from __future__ import annotations

from typing import cast

import numpy as np

from batchscope.training import recipes
from batchscope.training.engines.keras.framework import keras
from batchscope.training.optimizer_signatures import SIGNATURES


def build(recipe: recipes.Recipe, batch_size: int) -> keras.optimizers.Optimizer:
    """The recipe's optimizer, scaled to a batch size.

    Each β is rounded to single precision (0.999 to 0.99900001), in which Adam and its kin compute its powers. Keras
    alone would take 1 - β from the number before rounding; so corrections for the first steps and moving means share
    one β, and the fused kernels of TensorFlow compute the same.
    """
    options = recipes.scaled_optimizer(recipe, batch_size)
    optimizer = getattr(keras.optimizers, SIGNATURES[options.pop("name")].label)(**options)
    for name in ("beta_1", "beta_2"):
        if hasattr(optimizer, name):
            setattr(optimizer, name, float(np.float32(getattr(optimizer, name))))
    return cast(keras.optimizers.Optimizer, optimizer)
