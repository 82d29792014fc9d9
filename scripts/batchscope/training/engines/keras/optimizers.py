"""Keras optimizers."""

from __future__ import annotations

from typing import cast

from batchscope.training import recipes
from batchscope.training.engines.keras.framework import keras
from batchscope.training.optimizer_signatures import SIGNATURES


def build(recipe: recipes.Recipe, batch_size: int) -> keras.optimizers.Optimizer:
    """The recipe's optimizer, scaled to a batch size."""
    options = recipes.scaled_optimizer(recipe, batch_size)
    kind = getattr(keras.optimizers, SIGNATURES[options.pop("name")].label)
    return cast(keras.optimizers.Optimizer, kind(**options))
