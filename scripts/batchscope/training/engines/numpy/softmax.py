"""The softmax cross-entropy of a linear model, with its derivatives.

With examples x_i, labels y_i, a kernel K and a bias b the logits are z_i = x_i K + b, the probabilities
p_i = softmax(z_i) and the loss is the mean of -log p_i[y_i]. With e_i = p_i - onehot(y_i) the gradient is the mean of
(x_i e_i', e_i), and the Hessian times a direction (V, v) the mean of (x_i r_i', r_i) where a_i = x_i V + v and
r_i = p_i * (a_i - p_i·a_i): the second derivative of the loss by the logits is diag(p) - p p' (Bishop 2006, 4.3.4).

Everywhere `weights` is [kernel, bias] of shapes (f, c) and (c,), x has the shape (n, f) and y the shape (n,).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.training.engines import Vector

Weights = Sequence[NDArray[np.float64]]
Labels = NDArray[np.integer[Any]]


def log_probabilities(weights: Weights, x: Vector) -> Vector:
    """The logarithms of p, shape (n, c); not a number where logits are not finite, as in a run that diverges."""
    with np.errstate(over="ignore", invalid="ignore"):
        logits = x @ weights[0] + weights[1]
        logits -= logits.max(axis=1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def losses(weights: Weights, x: Vector, y: Labels) -> Vector:
    """Cross-entropy of each example in nat, shape (n,)."""
    return np.asarray(-log_probabilities(weights, x)[np.arange(len(y)), y])


def loss_and_gradient(weights: Weights, x: Vector, y: Labels) -> tuple[float, list[Vector]]:
    """Mean loss and its gradient, arrays of the shapes of `weights`."""
    logs, at = log_probabilities(weights, x), np.arange(len(y))
    errors = np.exp(logs)
    errors[at, y] -= 1.0
    return float(-logs[at, y].mean()), [x.T @ errors / len(y), errors.mean(axis=0)]


def hessian_vector(weights: Weights, x: Vector, direction: Weights) -> list[Vector]:
    """Hessian of the mean loss times a direction, arrays of the shapes of `weights`. No label plays a part."""
    p, along = np.exp(log_probabilities(weights, x)), x @ direction[0] + direction[1]
    r = p * (along - (p * along).sum(axis=1, keepdims=True))
    return [x.T @ r / len(x), r.mean(axis=0)]


def example_gradients(weights: Weights, x: Vector, y: Labels) -> Vector:
    """Gradients of the single examples, flattened kernel and bias, shape (n, (f + 1) c)."""
    errors = np.exp(log_probabilities(weights, x))
    errors[np.arange(len(y)), y] -= 1.0
    return np.concatenate([(x[:, :, None] * errors[:, None, :]).reshape(len(y), -1), errors], axis=1)
