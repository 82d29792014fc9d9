"""The reference engine: small enough to be checked by hand, and what the tests of everything else train with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training import plans, recipes
from batchscope.training.engines import Engine, EngineError, Part, Precision, Steps, Vector, Weights
from batchscope.training.engines.numpy import softmax
from batchscope.training.engines.numpy.about import ABOUT, NO_FIT
from batchscope.training.plans import Plan
from batchscope.training.recipes import Recipe

EXAMPLES_TRIED = 32  # whose gradient tells which weight moves most


class SoftmaxTrainer:
    """See `engines.Trainer`."""

    def __init__(self, plan: Plan, data: Data) -> None:
        self.plan, self.classes = plan, data.meta["classes"]
        self.parts: dict[Part, tuple[Vector, NDArray[np.int32]]] = {
            "train": (_flat(data.x_train), data.y_train),
            "validation": (_flat(data.x_validation), data.y_validation),
            "test": (_flat(data.x_test), data.y_test),
        }
        x, y = self.parts["train"]
        self.weights = _glorot(x.shape[1], self.classes, plans.derive_seed(plan.seed, "weights"))
        self.velocity = [np.zeros_like(array) for array in self.weights]
        self.momentum = float(recipes.scaled_optimizer(plan.recipe, plan.batch_size).get("momentum", 0.0))
        first = softmax.loss_and_gradient(self.weights, x[:EXAMPLES_TRIED], y[:EXAMPLES_TRIED])[1][0]
        self.tracked_weight = plans.tracked_index(plan.recipe, first)
        self.n_parameters = sum(array.size for array in self.weights)

    def train(self, order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
        seen = []
        for i, rate in enumerate(rates.tolist()):
            seen.append(self._update(order[i * self.plan.batch_size :][: self.plan.batch_size], rate))
            if not np.isfinite(seen[-1][0]):
                break
        return Steps(*np.array(seen).reshape(-1, 3).T)

    def _update(self, batch: NDArray[np.int32], rate: float) -> tuple[float, float, float]:
        """Loss and norm of the gradient before the update, and the tracked weight after it."""
        x, y = self.parts["train"][0][batch], self.parts["train"][1][batch]
        loss, gradient = 0.0, [np.zeros_like(array) for array in self.weights]
        micro = self.plan.recipe["micro_batch_size"] or len(y)
        for part in _slices(len(y), micro):
            share = len(y[part]) / len(y)
            part_loss, part_gradient = softmax.loss_and_gradient(self.weights, x[part], y[part])
            loss += share * part_loss
            gradient = [a + share * b for a, b in zip(gradient, part_gradient, strict=True)]
        self.velocity = [self.momentum * v - rate * g for v, g in zip(self.velocity, gradient, strict=True)]
        self.weights = [w + v for w, v in zip(self.weights, self.velocity, strict=True)]
        return loss, float(np.linalg.norm(_join(gradient))), float(self.weights[0][self.tracked_weight])

    def evaluate(self, part: Part) -> tuple[float, float]:
        """As `Trainer.evaluate`, in passes of the recipe's `evaluation_batch_size`."""
        (x, y), loss, correct = self.parts[part], 0.0, 0
        for some in _slices(len(y), self.plan.recipe["evaluation_batch_size"]):
            logs = softmax.log_probabilities(self.weights, x[some])
            loss -= float(logs[np.arange(len(logs)), y[some]].sum())
            correct += int((logs.argmax(axis=1) == y[some]).sum())
        return loss / len(y), correct / len(y)

    def batch_losses(self, part: Part, batches: NDArray[np.int32], *, batch_statistics: bool) -> Vector:
        """As `Trainer.batch_losses`; there is no normalization, so `batch_statistics` changes nothing."""
        x, y = self.parts[part]
        return np.array([softmax.losses(self.weights, x[batch], y[batch]).mean() for batch in batches])

    def get_weights(self) -> Weights:
        """As `Trainer.get_weights`: kernel and bias."""
        return [array.copy() for array in self.weights]

    def set_weights(self, weights: Weights) -> None:
        self.weights = [array.copy() for array in weights]

    def trainable_weights(self) -> Vector:
        return _join(self.weights)

    def read_batches(self, order: NDArray[np.int32]) -> float:
        x, y = self.parts["train"]
        batches = order[: len(order) // self.plan.batch_size * self.plan.batch_size].reshape(-1, self.plan.batch_size)
        return sum(float(x[batch][-1, -1]) + int(y[batch][-1]) for batch in batches)

    def fit_seconds(self, updates: int) -> float:
        """Refused, as a plan with the loop `fit` is: NumPy has no loop of its own."""
        raise EngineError(f"engine numpy {NO_FIT}")


class FrozenSoftmax:
    """See `engines.Frozen`."""

    def __init__(self, examples: tuple[NDArray[Any], NDArray[Any]], weights: Sequence[NDArray[Any]]) -> None:
        self.x, self.y = _flat(examples[0]), examples[1]
        self.n_examples = len(self.y)
        self.shapes = tuple(array.shape for array in weights)
        self.weights = _join(weights)

    def loss(self, weights: Vector) -> float:
        return self.loss_and_gradient(weights)[0]

    def loss_and_gradient(self, weights: Vector) -> tuple[float, Vector]:
        loss, gradient = softmax.loss_and_gradient(self._arrays(weights), self.x, self.y)
        return loss, _join(gradient)

    def hessian_vector(self, direction: Vector) -> Vector:
        return _join(softmax.hessian_vector(self._arrays(self.weights), self.x, self._arrays(direction)))

    def batch_gradient(self, indices: NDArray[np.int64]) -> Vector:
        weights = self._arrays(self.weights)
        return _join(softmax.loss_and_gradient(weights, self.x[indices], self.y[indices])[1])

    def example_gradients(self, indices: NDArray[np.int64]) -> Vector:
        return softmax.example_gradients(self._arrays(self.weights), self.x[indices], self.y[indices])

    def _arrays(self, vector: Vector) -> list[Vector]:
        kernel, bias = self.shapes
        return [vector[: -bias[0]].reshape(kernel), vector[-bias[0] :]]


class NumPy:
    """See `engines.Engine`."""

    def configure(self, device: str, threads: int) -> dict[str, Any]:
        """As `Engine.configure`; a job limits NumPy's threads itself, whatever trains."""
        if device == "gpu":
            raise EngineError("device is gpu, and engine numpy computes on the CPU alone; valid is auto or cpu")
        known = {"device": "cpu", "device_name": "CPU", "unused_gpus": []}
        return {**known, "precision": "float64", "backend": "numpy"}

    def prepare(self, plan: Plan, data: Data) -> None:
        """Nothing to do."""

    def build(self, plan: Plan, data: Data) -> SoftmaxTrainer:
        refused = ABOUT.refuse(plan.recipe, plan.loop)
        if refused is not None:
            raise EngineError(f"engine numpy {refused}")
        return SoftmaxTrainer(plan, data)

    def freeze(
        self,
        recipe: Recipe,
        examples: tuple[NDArray[Any], NDArray[Any]],
        classes: int,
        weights: Sequence[NDArray[Any]],
        precision: Precision,
        chunk: int,
    ) -> FrozenSoftmax:
        """As `Engine.freeze`, but always in double precision and in one pass."""
        return FrozenSoftmax(examples, weights)

    def allocator_peak_bytes(self, device: str) -> tuple[int | None, str]:
        return None, "NumPy's allocator keeps no statistics; see host_memory_peak_bytes"


def _glorot(features: int, classes: int, seed: int) -> list[Vector]:
    """A kernel drawn as Glorot and Bengio 2010 do, and a bias of zeros."""
    half = np.sqrt(6 / (features + classes))
    return [np.random.default_rng(seed).uniform(-half, half, (features, classes)), np.zeros(classes)]


def _flat(x: NDArray[Any]) -> Vector:
    return x.reshape(len(x), -1).astype(np.float64)


def _join(arrays: Sequence[NDArray[Any]]) -> Vector:
    return np.concatenate([array.ravel() for array in arrays])


def _slices(n: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, n, size))


ENGINE: Engine = NumPy()
