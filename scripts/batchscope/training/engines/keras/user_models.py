"""Keras models that the user's own functions return, and what they must be so that their numbers mean what they say."""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.functions import FunctionError, load_function
from batchscope.training.engines import OutOfMemoryError, Precision
from batchscope.training.engines.keras import settings
from batchscope.training.engines.keras.framework import keras
from batchscope.training.engines.keras.settings import Backend

Digests = tuple[tuple[tuple[int, ...], str], ...]

_OTHER_SEED = 1  # for a second look at a model; the seeds of runs are digests


def build(
    backend: Backend,
    model: Mapping[str, Any],
    input_shape: tuple[int, ...],
    classes: int,
    seed: int,
    precision: Precision,
) -> keras.Model:
    """What the function of a recipe's `model` returns, built; the other arguments are those of `models.build`.

    Raises:
        FunctionError: see `models.build`.
        OutOfMemoryError: it does not fit.
    """
    name = model["function"]
    with contextlib.chdir(os.curdir), np.errstate():  # what the user's code does to either ends here
        keras.utils.set_random_seed(seed)  # for a file that draws when it is imported
        with backend.kept(name):
            function = load_function(name)
        with settings.precision(precision), backend.kept(name):
            keras.utils.set_random_seed(seed)  # again, for the file may have set its own
            built = _called(backend, name, function, input_shape, classes, model["arguments"])
        with settings.precision(precision), backend.kept(name):
            _check_call(backend, name, built, input_shape, classes, precision)
    _check_dtypes(name, built, precision)
    if not built.trainable_variables:
        raise FunctionError(f"{name} returned a model with nothing to train; valid is one with trainable weights")
    return built


def check_seeds(
    backend: Backend, model: Mapping[str, Any], input_shape: tuple[int, ...], classes: int, built: keras.Model
) -> None:
    """Raise `FunctionError` where a function takes the seeds away: every run would start from the same weights.

    `built` is what it gave for a run's seed. It is compared with what it gives for another one, see `other_digests`.
    Weights that are the same are right where they are constant, as zeros are, or where some others differ, as in a
    pre-trained network with a new head.
    """
    name, first = model["function"], _digests(built.trainable_variables)
    other = other_digests(backend, model, input_shape, classes)
    if [shape for shape, _ in first] != [shape for shape, _ in other]:
        raise FunctionError(
            f"{name} builds another network for another seed of the study; valid is a function whose layers do not "
            "depend on random numbers"
        )
    if any(digest for _, digest in first) and first == other:
        raise FunctionError(
            f"{name} gives the same first weights for every seed of the study; valid is a function that leaves the "
            "seeds alone: remove set_random_seed, random.seed, default_rng(…) and the seeds of initializers from it"
        )


def other_digests(backend: Backend, model: Mapping[str, Any], input_shape: tuple[int, ...], classes: int) -> Digests:
    """Digests of the trainable weights that a user's function gives for a seed that no run has, once per process.

    Raises:
        FunctionError: it gives other weights when it is called again with this seed.
        OutOfMemoryError: the model does not fit.
    """
    arguments = json.dumps(model["arguments"], sort_keys=True)
    return _other_digests(backend, model["function"], arguments, input_shape, classes)


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


def _called(
    backend: Backend,
    name: str,
    function: Any,
    input_shape: tuple[int, ...],
    classes: int,
    arguments: Mapping[str, Any],
) -> keras.Model:
    try:
        with backend.memory_errors():
            built = function(input_shape, classes, **arguments)
    except OutOfMemoryError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises; the traceback stays attached
        raise FunctionError(f"{name} failed with {_reason(error)}") from error
    if not isinstance(built, keras.Model):
        raise FunctionError(f"{name} returned {type(built).__name__}; it must return a keras.Model")
    return built


def _check_call(
    backend: Backend,
    name: str,
    model: keras.Model,
    input_shape: tuple[int, ...],
    classes: int,
    precision: Precision,
) -> None:
    """Call the model on two examples of zeros, which also makes the weights that a model of one's own makes late."""
    examples = f"examples of shape {input_shape}"
    try:
        with backend.memory_errors():
            if isinstance(model, keras.Sequential) and not model.built:
                model.build((None, *input_shape))
            outputs = model(np.zeros((2, *input_shape), precision), training=False)
    except OutOfMemoryError:
        raise
    except Exception as error:  # of a layer that the examples do not fit, or of the user's own code
        raise FunctionError(
            f"{name} returned a model that cannot be called on {examples}: {_reason(error)}; valid is a model with one "
            "input, which takes them as they are"
        ) from error
    if not keras.ops.is_tensor(outputs):
        raise FunctionError(
            f"{name} returned a model whose output is a {type(outputs).__name__}; valid is one array with a number per "
            "class"
        )
    if tuple(outputs.shape) != (2, classes):
        raise FunctionError(
            f"{name} returned a model that gives outputs of shape {tuple(outputs.shape)} for two {examples}; it must "
            f"give one number per class: {(2, classes)}"
        )
    if outputs.dtype != precision:
        raise FunctionError(f"{name} returned a model whose outputs are {outputs.dtype.name}; valid is {precision}")


def _reason(error: BaseException) -> str:
    """The line of an error of Keras that says what is wrong, without the colours and the list of arguments round it."""
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).splitlines()
    said = (line.strip() for line in lines if line.strip() and not line.startswith("Exception encountered"))
    return f"{type(error).__name__}: {next(said, '')}".rstrip(".: ")


def _check_dtypes(name: str, model: keras.Model, precision: Precision) -> None:
    """Every layer must compute, and every weight be, in one precision."""
    for layer in model._flatten_layers():
        found = {str(dtype) for dtype in (layer.compute_dtype, layer.variable_dtype) if "float" in str(dtype)}
        if found - {precision}:
            raise FunctionError(
                f"{name} gives the layer {layer.name} the dtype {layer.dtype_policy.name}; valid is a layer without a "
                f"dtype of its own, which computes in {precision}"
            )
    for variable in model.trainable_variables:
        if variable.dtype != precision:
            raise FunctionError(
                f"{name} gives the weight {variable.path} the dtype {variable.dtype}; valid is {precision}"
            )


@functools.cache
def _other_digests(backend: Backend, name: str, arguments: str, input_shape: tuple[int, ...], classes: int) -> Digests:
    first, again = (_built_digests(backend, name, arguments, input_shape, classes) for _ in range(2))
    if first != again:
        raise FunctionError(
            f"{name} gives other weights each time it is called with the same seed of the study; valid is a function "
            "that draws from the seeded generators of Keras, NumPy and Python alone: remove default_rng(), and seeds "
            "that come from the clock, from it"
        )
    return first[0]


def _built_digests(
    backend: Backend, name: str, arguments: str, input_shape: tuple[int, ...], classes: int
) -> tuple[Digests, Digests]:
    """`_digests` of the trainable weights and of all weights, as they are built for the seed that no run has."""
    model = {"function": name, "arguments": json.loads(arguments)}
    built = build(backend, model, input_shape, classes, _OTHER_SEED, "float32")
    found = _digests(built.trainable_variables), _digests(built.weights)
    del built
    gc.collect()  # a model refers to itself: its memory would not be free before that of the run is measured
    return found


def _digests(variables: Iterable[keras.Variable]) -> Digests:
    """The shape of each array and its digest, empty for one that is constant."""
    arrays = [np.asarray(variable) for variable in variables]
    return tuple((a.shape, hashlib.sha256(a.tobytes()).hexdigest() if a.size and np.ptp(a) else "") for a in arrays)
