"""Keras models: the two built-in families, and those of the user's own functions.

Built-in models return logits; their loss is the softmax cross-entropy, which is what a softmax layer followed by the
cross-entropy computes, without the loss of precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from batchscope.data import splits
from batchscope.data.functions import FunctionError
from batchscope.training.engines import Precision
from batchscope.training.engines.keras import user_models
from batchscope.training.engines.keras.framework import keras
from batchscope.training.engines.tensorflow import settings

GROUPS = 8  # groups of the group normalisation, fewer where the width has no such divisor


def build(
    recipe: Mapping[str, Any],
    input_shape: Sequence[int],
    classes: int,
    seed: int,
    precision: Precision = "float32",
) -> keras.Model:
    """The recipe's model with freshly drawn weights.

    Args:
        recipe: resolved recipe.
        input_shape: shape of one example.
        classes: number of classes, the width of the output.
        seed: drives the initial weights and all else that draws from the global generators of Keras, NumPy and Python.
        precision: of weights and arithmetic.

    Raises:
        FunctionError: the user's function fails, does not return a Keras model with `classes` outputs that can train,
            or changes how Keras computes.
    """
    model = recipe["model"]
    if "function" in model:
        return user_models.build(model, tuple(input_shape), classes, seed, precision)
    with settings.precision(precision):
        keras.utils.set_random_seed(seed)
        layers = _cnn(model, input_shape) if model["name"] == "cnn" else _mlp(model)
        return keras.Sequential([keras.layers.Input(tuple(input_shape)), *layers, keras.layers.Dense(classes)])


def _mlp(model: Mapping[str, Any]) -> list[keras.layers.Layer]:
    layers: list[keras.layers.Layer] = [keras.layers.Flatten()]
    for width in model["hidden"]:
        layers += _normalised(keras.layers.Dense, model, width)
        layers += _dropout(model)
    return layers


def _cnn(model: Mapping[str, Any], input_shape: Sequence[int]) -> list[keras.layers.Layer]:
    if len(input_shape) != 3:
        raise FunctionError(f"model cnn needs images of shape (height, width, channels); an example has {input_shape}")
    if splits.channels_first(input_shape):
        raise FunctionError(
            f"model cnn needs images of shape (height, width, channels); an example has {tuple(input_shape)}, with its "
            "channels first; valid is an array that was turned with np.moveaxis(x, 1, -1)"
        )
    layers: list[keras.layers.Layer] = []
    for filters in model["filters"]:
        layers += _normalised(keras.layers.Conv2D, model, filters, model["kernel_size"], padding="same")
        layers.append(keras.layers.MaxPooling2D(padding="same"))
    layers.append(keras.layers.Flatten())
    return layers + _normalised(keras.layers.Dense, model, model["dense"]) + _dropout(model)


def _normalised(kind: Callable[..., Any], model: Mapping[str, Any], width: int, *args: Any, **kwargs: Any) -> list[Any]:
    """A layer, its normalisation if any, and its activation."""
    normalisation = model["normalisation"]
    layers = [kind(width, *args, use_bias=normalisation == "none", **kwargs)]
    if normalisation == "batch":
        layers.append(keras.layers.BatchNormalization())
    elif normalisation == "layer":  # over channels and places, which a group normalisation with one group is
        layers.append(keras.layers.GroupNormalization(groups=1))
    elif normalisation == "group":
        layers.append(keras.layers.GroupNormalization(groups=math.gcd(GROUPS, width)))
    return [*layers, keras.layers.Activation(model["activation"])]


def _dropout(model: Mapping[str, Any]) -> list[keras.layers.Layer]:
    return [keras.layers.Dropout(model["dropout"])] if model["dropout"] else []
