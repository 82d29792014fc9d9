"""Keras optimizers."""

from __future__ import annotations

from batchscope.training import recipes
from batchscope.training.engines.keras.framework import keras

_OPTIMIZERS = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}


def build(recipe: recipes.Recipe, batch_size: int) -> keras.optimizers.Optimizer:
    """The recipe's optimizer, scaled to a batch size."""
    options = recipes.scaled_optimizer(recipe, batch_size)
    return _OPTIMIZERS[options.pop("name")](**options)
