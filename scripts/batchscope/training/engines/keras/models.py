"""Keras models: the two built-in families, and those of the user's own functions.

Built-in models return logits; their loss is the softmax cross-entropy, which is what a softmax layer followed by the
cross-entropy computes, without the loss of precision.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from batchscope.data import splits
from batchscope.data.dataset import Data
from batchscope.data.functions import FunctionError
from batchscope.training.engines import Precision
from batchscope.training.engines.keras import settings, user_models
from batchscope.training.engines.keras.framework import keras
from batchscope.training.engines.keras.settings import Backend
from batchscope.training.plans import Plan, derive_seed
from batchscope.training.recipes import Model, Recipe

GROUPS = 8  # groups of the group normalization, fewer where the width has no such divisor


def build(
    backend: Backend,
    recipe: Recipe,
    input_shape: Sequence[int],
    classes: int,
    seed: int,
    precision: Precision = "float32",
) -> keras.Model:
    """The recipe's model with freshly drawn weights.

    Args:
        backend: what the framework brings.
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
        return user_models.build(user_models.of(backend, model, input_shape, classes), seed, precision)
    with settings.precision(precision):
        keras.utils.set_random_seed(seed)
        layers = _cnn(model, input_shape) if model["name"] == "cnn" else _mlp(model)
        return keras.Sequential([keras.layers.Input(tuple(input_shape)), *layers, keras.layers.Dense(classes)])


def untrained(backend: Backend, plan: Plan, data: Data) -> keras.Model:
    """The plan's model with its first weights, and with random layers that draw from streams of their own.

    Raises:
        FunctionError: as `build`, or a user's function takes the seeds away.
    """
    recipe, shape, classes = plan.recipe, data.x_train.shape[1:], data.meta["classes"]
    model = build(backend, recipe, shape, classes, derive_seed(plan.seed, "weights"))
    if "function" in recipe["model"]:
        user_models.check_seeds(user_models.of(backend, recipe["model"], shape, classes), model)
    _seed_layers(model, derive_seed(plan.seed, "dropout"))
    return model


@contextlib.contextmanager
def batch_statistics(model: keras.Model) -> Iterator[None]:
    """Within the block the batch normalizations of `model` are in training mode, whatever mode the model is in."""
    found = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]

    def in_training_mode(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **options: call(*args, **(options | {"training": True}))

    for layer in found:
        layer.call = in_training_mode(layer.call)
    try:
        yield
    finally:
        for layer in found:
            del layer.call  # the method of the class shows again


def _seed_layers(model: keras.Model, seed: int) -> None:
    """Give every random layer its own stream, apart from the one that drew the weights, whatever seed it was given."""
    keras.utils.set_random_seed(seed)  # for layers that draw from Keras' global generator
    streams = (stream for layer in model._flatten_layers() for stream in layer._seed_generators)
    for number, stream in enumerate(streams):
        stream.state.assign(np.array([seed, number], dtype="uint32"))


def _mlp(model: Model) -> list[keras.layers.Layer]:
    layers: list[keras.layers.Layer] = [keras.layers.Flatten()]
    for width in model["hidden"]:
        layers += _normalized(keras.layers.Dense, model, width)
        layers += _dropout(model)
    return layers


def _cnn(model: Model, input_shape: Sequence[int]) -> list[keras.layers.Layer]:
    if len(input_shape) != 3:
        raise FunctionError(f"model cnn needs images of shape (height, width, channels); an example has {input_shape}")
    if splits.channels_first(input_shape):
        raise FunctionError(
            f"model cnn needs images of shape (height, width, channels); an example has {tuple(input_shape)}, with its "
            "channels first; valid is an array that was turned with np.moveaxis(x, 1, -1)"
        )
    layers: list[keras.layers.Layer] = []
    for filters in model["filters"]:
        layers += _normalized(keras.layers.Conv2D, model, filters, model["kernel_size"], padding="same")
        layers.append(keras.layers.MaxPooling2D(padding="same"))
    layers.append(keras.layers.Flatten())
    return layers + _normalized(keras.layers.Dense, model, model["dense"]) + _dropout(model)


def _normalized(kind: Callable[..., Any], model: Model, width: int, *args: Any, **kwargs: Any) -> list[Any]:
    """A layer, its normalization if any, and its activation."""
    normalization = model["normalization"]
    layers = [kind(width, *args, use_bias=normalization == "none", **kwargs)]
    if normalization == "batch":
        layers.append(keras.layers.BatchNormalization())
    elif normalization == "layer":  # over channels and places, which a group normalization with one group is
        layers.append(keras.layers.GroupNormalization(groups=1))
    elif normalization == "group":
        layers.append(keras.layers.GroupNormalization(groups=_groups(width, of_places=kind is keras.layers.Conv2D)))
    return [*layers, keras.layers.Activation(model["activation"])]


def _groups(width: int, *, of_places: bool) -> int:
    """The number of groups that a width is cut into; without places to a channel, no group may be one number alone."""
    groups = math.gcd(GROUPS, width)
    return groups if of_places or groups < width else max(1, groups // 2)


def _dropout(model: Model) -> list[keras.layers.Layer]:
    return [keras.layers.Dropout(model["dropout"])] if model["dropout"] else []
