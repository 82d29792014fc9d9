"""A Keras model at fixed weights as functions of NumPy vectors: losses, gradients, Hessian-vector products.

Everything is in inference mode: dropout is off and batch normalization uses its stored statistics, so that the loss of
an example does not depend on the others and its gradient exists by itself.
"""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.training.engines import Precision, Vector
from batchscope.training.engines.jax.framework import Array, arithmetic, jax, jnp
from batchscope.training.engines.jax.memory import memory_errors
from batchscope.training.engines.jax.settings import BACKEND
from batchscope.training.engines.keras import frozen, models
from batchscope.training.engines.keras.frozen import EXAMPLES_TRIED, Batch
from batchscope.training.engines.keras.losses import Network, added_losses, check_single_losses
from batchscope.training.recipes import Recipe


class FrozenModel:
    """A model with given weights and the examples on which its loss is taken; see `engines.Frozen`.

    Whatever needs too much memory raises `OutOfMemoryError`.
    """

    def __init__(
        self,
        recipe: Recipe,
        examples: tuple[NDArray[Any], NDArray[Any]],
        classes: int,
        weights: Sequence[NDArray[Any]],
        precision: Precision,
        chunk: int,
    ) -> None:
        """The arguments are those of `Engine.freeze`."""
        self.n_examples, self.chunk, self._dtype = len(examples[1]), chunk, precision
        with self._computing():
            model = models.build(BACKEND, recipe, examples[0].shape[1:], classes, seed=0, precision=precision)
            for variable, value in zip(model.variables, weights, strict=True):
                variable.assign(value)
            self._network = Network(model, None, recipe["model"].get("outputs", "logits") == "logits")
            self._statistics = [variable.value for variable in model.non_trainable_variables]
            self._shapes = tuple(tuple(variable.shape) for variable in model.trainable_variables)
            self._weights = jnp.concatenate([variable.value.ravel() for variable in model.trainable_variables])
            self._x, self._y = jnp.asarray(examples[0], precision), jnp.asarray(examples[1])
            if "function" in recipe["model"]:
                check_single_losses(model, self._x[:EXAMPLES_TRIED], recipe["model"]["function"])
        gradient = jax.grad(self._sum)
        self._compiled_sum = jax.jit(self._sum)
        self._compiled_gradient = jax.jit(jax.value_and_grad(self._sum))
        self._compiled_product = jax.jit(
            lambda at, along, x, y: jax.jvp(lambda weights: gradient(weights, x, y), (at,), (along,))[1]
        )
        self._compiled_each = jax.jit(
            jax.vmap(lambda weights, x, y: gradient(weights, x[None], y[None]), in_axes=(None, 0, 0))
        )

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the trainable arrays, in the order in which `weights` holds them."""
        return self._shapes

    @property
    def weights(self) -> Vector:
        """The trainable weights, flattened one array after the other."""
        return np.array(self._weights, np.float64)

    def loss(self, weights: Vector) -> float:
        """Mean loss at other `weights`, shape (p,)."""
        with self._computing():
            at = jnp.asarray(weights, self._dtype)
            return sum(float(self._compiled_sum(at, *part)) for part in self._passes()) / self.n_examples

    def loss_and_gradient(self, weights: Vector) -> tuple[float, Vector]:
        """Mean loss and its gradient, shape (p,), at other `weights`."""
        with self._computing():
            gradient = functools.partial(self._compiled_gradient, jnp.asarray(weights, self._dtype))
            return frozen.mean(gradient, self._passes(), self.n_examples)

    def hessian_vector(self, direction: Vector) -> Vector:
        """Product of the Hessian of the mean loss with `direction`; both of shape (p,)."""
        with self._computing():
            along = jnp.asarray(direction, self._dtype)
            parts = (self._compiled_product(self._weights, along, *part) for part in self._passes())
            return sum((np.asarray(part, np.float64) for part in parts), np.zeros(len(direction))) / self.n_examples

    def batch_gradient(self, indices: NDArray[np.int64]) -> Vector:
        """Gradient of the mean loss of the examples at `indices`, shape (p,)."""
        with self._computing():
            gradient = functools.partial(self._compiled_gradient, self._weights)
            return frozen.mean(gradient, self._passes(indices), len(indices))[1]

    def example_gradients(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Gradients of the single examples at `indices`, shape (len(indices), p)."""
        with self._computing():
            return np.asarray(self._compiled_each(self._weights, self._x[indices], self._y[indices]))

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """A block with arrays in the precision of the model."""
        with arithmetic(self._dtype), memory_errors():
            yield

    def _sum(self, weights: Array, x: Array, y: Array) -> Array:
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])[:-1]
        arrays = [part.reshape(shape) for part, shape in zip(jnp.split(weights, ends), self._shapes, strict=True)]
        model = self._network.model
        outputs, _, found = model.stateless_call(arrays, self._statistics, x, return_losses=True, training=False)
        return jnp.sum(self._network.losses(outputs, y)) + len(y) * sum(added_losses(model, found=found))

    def _passes(self, indices: NDArray[np.int64] | None = None) -> Iterator[Batch]:
        return frozen.passes((self._x, self._y), self.chunk, operator.getitem, indices)
