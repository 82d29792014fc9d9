"""Keras optimisers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchscope.training import recipes
from batchscope.training.engines.keras.framework import keras

_OPTIMISERS = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}


def build(recipe: Mapping[str, Any], batch_size: int) -> keras.optimizers.Optimizer:
    """The recipe's optimiser, scaled to a batch size."""
    options = recipes.scaled_optimiser(recipe, batch_size)
    return _OPTIMISERS[options.pop("name")](**options)
