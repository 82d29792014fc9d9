"""A Keras model at fixed weights as functions of NumPy vectors: losses, gradients, Hessian-vector products.

Everything is in inference mode: dropout is off and batch normalization uses its stored statistics, so that the loss of
an example does not depend on the others and its gradient exists by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.training.engines import Precision, Vector
from batchscope.training.engines.keras import frozen, models
from batchscope.training.engines.keras.frozen import EXAMPLES_TRIED, Batch
from batchscope.training.engines.keras.losses import added_losses, check_single_losses
from batchscope.training.engines.tensorflow.framework import keras, tf, twice_derivable
from batchscope.training.engines.tensorflow.memory import memory_errors
from batchscope.training.engines.tensorflow.settings import BACKEND
from batchscope.training.recipes import Recipe

Tensor = Any  # TensorFlow has no usable type stubs


class FrozenModel:
    """A model with given weights and the examples on which its loss is taken; see `engines.Frozen`.

    Whatever needs too much memory raises `OutOfMemoryError`.
    """

    @memory_errors()
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
        self.model = models.build(BACKEND, recipe, examples[0].shape[1:], classes, seed=0, precision=precision)
        for variable, value in zip(self.model.variables, weights, strict=True):
            variable.assign(value)
        self.n_examples, self.chunk = len(examples[1]), chunk
        self._x, self._y = tf.constant(examples[0], precision), tf.constant(examples[1])
        self._variables = [variable.value for variable in self.model.trainable_variables]
        self._sizes = [int(np.prod(shape)) for shape in self.shapes]
        self._dtype = precision
        self._from_logits = recipe["model"].get("outputs", "logits") == "logits"
        if "function" in recipe["model"]:
            check_single_losses(self.model, self._x[:EXAMPLES_TRIED], recipe["model"]["function"])
        some = [tf.TensorSpec([None, *self._x.shape[1:]], precision), tf.TensorSpec([None], self._y.dtype)]
        direction = tf.TensorSpec([sum(self._sizes)], precision)
        self._compiled_sum = tf.function(self._sum, some, autograph=False)
        self._compiled_gradient = tf.function(self._gradient, some, autograph=False)
        self._compiled_product = tf.function(self._product, [*some, direction], autograph=False)
        self._compiled_each = tf.function(self._each, some, autograph=False)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(variable.shape) for variable in self._variables)

    @property
    def weights(self) -> Vector:
        return _numpy(_join(self._variables))

    @memory_errors()
    def loss(self, weights: Vector) -> float:
        with self._moved_to(weights):
            return sum(float(self._compiled_sum(*part)) for part in self._passes()) / self.n_examples

    @memory_errors()
    def loss_and_gradient(self, weights: Vector) -> tuple[float, Vector]:
        with self._moved_to(weights):
            return frozen.mean(self._compiled_gradient, self._passes(), self.n_examples)

    @memory_errors()
    def hessian_vector(self, direction: Vector) -> Vector:
        vector = tf.constant(direction, self._dtype)
        total = np.zeros(len(direction))
        for part in self._passes():
            total += _numpy(self._compiled_product(*part, vector))
        return total / self.n_examples

    @memory_errors()
    def batch_gradient(self, indices: NDArray[np.int64]) -> Vector:
        return frozen.mean(self._compiled_gradient, self._passes(indices), len(indices))[1]

    @memory_errors()
    def example_gradients(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        examples = tf.gather(self._x, indices), tf.gather(self._y, indices)
        try:
            return np.asarray(self._compiled_each(*examples))
        except (TypeError, ValueError):  # TensorFlow cannot vectorise all layers, such as recurrent ones with a mask
            self._compiled_each = tf.function(self._one_by_one, self._compiled_each.input_signature, autograph=False)
            return np.asarray(self._compiled_each(*examples))

    def _losses(self, x: Tensor, y: Tensor) -> Tensor:
        outputs = self.model(x, training=False)
        losses = keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=self._from_logits)
        added = added_losses(self.model)
        return losses + tf.add_n(added) if added else losses

    def _sum(self, x: Tensor, y: Tensor) -> Tensor:
        return tf.reduce_sum(self._losses(x, y))

    def _gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with tf.GradientTape() as tape:
            total = self._sum(x, y)
        return total, _join(tape.gradient(total, self._variables, unconnected_gradients="zero"))

    def _product(self, x: Tensor, y: Tensor, direction: Tensor) -> Tensor:
        with twice_derivable(), tf.GradientTape() as tape:
            slope = tf.tensordot(self._gradient(x, y)[1], direction, 1)
        return _join(tape.gradient(slope, self._variables, unconnected_gradients="zero"))

    def _each(self, x: Tensor, y: Tensor) -> Tensor:
        return tf.vectorized_map(self._single, (x, y))

    def _one_by_one(self, x: Tensor, y: Tensor) -> Tensor:
        return tf.map_fn(self._single, (x, y), fn_output_signature=self._dtype, parallel_iterations=1)

    def _single(self, example: Batch) -> Tensor:
        return self._gradient(example[0][None], example[1][None])[1]

    def _passes(self, indices: NDArray[np.int64] | None = None) -> Iterator[Batch]:
        return frozen.passes((self._x, self._y), self.chunk, tf.gather, indices)

    @contextlib.contextmanager
    def _moved_to(self, weights: Vector) -> Iterator[None]:
        """The model at other weights for a while."""
        before = self.weights
        try:
            self._assign(weights)
            yield
        finally:
            self._assign(before)

    def _assign(self, weights: Vector) -> None:
        parts = np.split(weights, np.cumsum(self._sizes)[:-1])
        for variable, part, shape in zip(self._variables, parts, self.shapes, strict=True):
            variable.assign(part.reshape(shape))


def _join(arrays: Sequence[Tensor]) -> Tensor:
    return tf.concat([tf.reshape(tf.convert_to_tensor(array), [-1]) for array in arrays], axis=0)


def _numpy(vector: Tensor) -> Vector:
    return np.asarray(vector, dtype=np.float64)
