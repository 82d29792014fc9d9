"""Keras models: the two built-in families and the user's own function.

Built-in models return logits; their loss is the softmax cross-entropy, which is what a softmax layer followed by the
cross-entropy computes, without the loss of precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from batchscope.functions import FunctionError, load_function

GROUPS = 8  # groups of the group normalisation, fewer where the width has no such divisor


def build(recipe: Mapping[str, Any], input_shape: Sequence[int], classes: int, seed: int) -> keras.Model:
    """The recipe's model with freshly drawn weights.

    Args:
        recipe: resolved recipe.
        input_shape: shape of one example.
        classes: number of classes, the width of the output.
        seed: drives the initial weights and, through Keras' global generator, the dropout masks.

    Raises:
        FunctionError: the user's function fails or does not return a Keras model with `classes` outputs.
    """
    keras.utils.set_random_seed(seed)
    model = recipe["model"]
    if "function" in model:
        return _user_model(model, tuple(input_shape), classes)
    layers = _cnn(model, input_shape) if model["name"] == "cnn" else _mlp(model)
    return keras.Sequential([keras.layers.Input(tuple(input_shape)), *layers, keras.layers.Dense(classes)])


def check_outputs(model: Mapping[str, Any], outputs: NDArray[np.float32]) -> None:
    """Raise `FunctionError` where a user's model does not return what its recipe says: logits or probabilities.

    `outputs`, shape (examples, classes), is what it returns before training. The wrong cross-entropy would still train,
    to a worse result and without a word.
    """
    are_probabilities = bool((outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1.0, atol=1e-3))
    if are_probabilities == (model["outputs"] == "probabilities"):
        return
    found = "probabilities (each row is positive and sums to 1)" if are_probabilities else "no probabilities"
    other = "probabilities" if are_probabilities else "logits"
    raise FunctionError(
        f"{model['function']} returns {found}, but the recipe says outputs: {model['outputs']}; valid is outputs: "
        f"{other}, or a model that ends {'without' if are_probabilities else 'with'} a softmax"
    )


def _mlp(model: Mapping[str, Any]) -> list[keras.layers.Layer]:
    layers: list[keras.layers.Layer] = [keras.layers.Flatten()]
    for width in model["hidden"]:
        layers += _normalised(keras.layers.Dense, model, width)
        layers += _dropout(model)
    return layers


def _cnn(model: Mapping[str, Any], input_shape: Sequence[int]) -> list[keras.layers.Layer]:
    if len(input_shape) != 3:
        raise FunctionError(f"model cnn needs images of shape (height, width, channels); an example has {input_shape}")
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


def _user_model(model: Mapping[str, Any], input_shape: tuple[int, ...], classes: int) -> keras.Model:
    name = model["function"]
    function = load_function(name)
    try:
        built = function(input_shape, classes, **model["arguments"])
    except Exception as error:  # whatever the user's code raises; the traceback stays attached
        raise FunctionError(f"{name} failed with {type(error).__name__}: {error}") from error
    if not isinstance(built, keras.Model):
        raise FunctionError(f"{name} returned {type(built).__name__}; it must return a keras.Model")
    if not built.built:
        built.build((None, *input_shape))
    if tuple(built.output_shape) != (None, classes):
        raise FunctionError(
            f"{name} returned a model with output shape {built.output_shape}; it must give one number per class: "
            f"(None, {classes})"
        )
    return built
