"""Keras models that the user's own functions return, and what they must be so that their numbers mean what they say."""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.data.functions import FunctionError, load_function
from batchscope.training.engines import OutOfMemoryError, Precision
from batchscope.training.engines.keras import settings
from batchscope.training.engines.keras.framework import keras
from batchscope.training.engines.keras.settings import Backend
from batchscope.training.plans import Plan
from batchscope.training.recipes import Model

Digests = tuple[tuple[tuple[int, ...], str], ...]

_OTHER_SEED = 1  # for a second look at a model; the seeds of runs are digests


@dataclass(frozen=True)
class UserModel:
    """A user's function that builds a model, and what it is called for; see `of`."""

    backend: Backend
    name: str
    arguments: str  # JSON, so that it can be hashed
    input_shape: tuple[int, ...]
    classes: int


def of(backend: Backend, model: Model, input_shape: Sequence[int], classes: int) -> UserModel:
    """The user's function that a recipe's `model` names; the other arguments are those of `models.build`."""
    return UserModel(backend, model["function"], json.dumps(model["arguments"]), tuple(input_shape), classes)


def build(user: UserModel, seed: int, precision: Precision) -> keras.Model:
    """What the function returns, built; `seed` and `precision` are those of `models.build`.

    Raises:
        FunctionError: see `models.build`.
        OutOfMemoryError: it does not fit.
    """
    name, kept = user.name, user.backend.kept
    with contextlib.chdir(os.curdir), np.errstate():  # what the user's code does to either ends here
        keras.utils.set_random_seed(seed)  # for a file that draws when it is imported
        with kept(name):
            function = load_function(name)
        with settings.precision(precision), kept(name):
            keras.utils.set_random_seed(seed)  # again, for the file may have set its own
            built = _called(user, function)
        with settings.precision(precision), kept(name):
            _check_call(user, built, precision)
    _check_dtypes(name, built, precision)
    if not built.trainable_variables:
        raise FunctionError(f"{name} returned a model with nothing to train; valid is one with trainable weights")
    return built


def prepare(backend: Backend, plan: Plan, data: Data) -> None:
    """Build the model of a user's function for the other seed that it is compared with; see `check_seeds`."""
    model = plan.recipe["model"]
    if "function" in model:
        other_digests(of(backend, model, data.x_train.shape[1:], data.meta["classes"]))


def check_seeds(user: UserModel, built: keras.Model) -> None:
    """Raise `FunctionError` where a function takes the seeds away: every run would start from the same weights.

    `built` is what it gave for a run's seed. It is compared with what it gives for another one, see `other_digests`.
    Weights that are the same are right where they are constant, as zeros are, or where some others differ, as in a
    pre-trained network with a new head.
    """
    first, other = _digests(built.trainable_variables), other_digests(user)
    if [shape for shape, _ in first] != [shape for shape, _ in other]:
        raise FunctionError(
            f"{user.name} builds another network for another seed of the study; valid is a function whose layers do "
            "not depend on random numbers"
        )
    if any(digest for _, digest in first) and first == other:
        raise FunctionError(
            f"{user.name} gives the same first weights for every seed of the study; valid is a function that leaves "
            "the seeds alone: remove set_random_seed, random.seed, default_rng(…) and the seeds of initializers from it"
        )


@functools.cache
def other_digests(user: UserModel) -> Digests:
    """Digests of the trainable weights that a user's function gives for a seed that no run has, once per process.

    Raises:
        FunctionError: it gives other weights when it is called again with this seed.
        OutOfMemoryError: the model does not fit.
    """
    first, again = (_built_digests(user) for _ in range(2))
    if first != again:
        raise FunctionError(
            f"{user.name} gives other weights each time it is called with the same seed of the study; valid is a "
            "function that draws from the seeded generators of Keras, NumPy and Python alone: remove default_rng(), "
            "and seeds that come from the clock, from it"
        )
    return first[0]


def check_outputs(model: Model, outputs: NDArray[np.float32]) -> None:
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


def _called(user: UserModel, function: Any) -> keras.Model:
    name = user.name
    try:
        with user.backend.memory_errors():
            built = function(user.input_shape, user.classes, **json.loads(user.arguments))
    except OutOfMemoryError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises; the traceback stays attached
        raise FunctionError(f"{name} failed with {_reason(error)}") from error
    if not isinstance(built, keras.Model):
        raise FunctionError(f"{name} returned {type(built).__name__}; it must return a keras.Model")
    return built


def _check_call(user: UserModel, model: keras.Model, precision: Precision) -> None:
    """Call the model on two examples of zeros, which also makes the weights that a model of one's own makes late."""
    name, input_shape, classes = user.name, user.input_shape, user.classes
    examples = f"examples of shape {input_shape}"
    try:
        with user.backend.memory_errors():
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


def _built_digests(user: UserModel) -> tuple[Digests, Digests]:
    """`_digests` of the trainable weights and of all weights, as they are built for the seed that no run has."""
    built = build(user, _OTHER_SEED, "float32")
    found = _digests(built.trainable_variables), _digests(built.weights)
    del built
    gc.collect()  # a model refers to itself: its memory would not be free before that of the run is measured
    return found


def _digests(variables: Iterable[keras.Variable]) -> Digests:
    """The shape of each array and its digest, empty for one that is constant."""
    arrays = [np.asarray(variable) for variable in variables]
    return tuple((a.shape, hashlib.sha256(a.tobytes()).hexdigest() if a.size and np.ptp(a) else "") for a in arrays)
