"""Sharpness of a model at fixed weights: the curvature there, and how far the loss rises close by. Knows no framework.

Rescaling a ReLU network, one layer times a number and the next one divided by it, leaves its function as it is but
changes the largest eigenvalue, the trace and Keskar's measure (Dinh et al. 2017, arXiv 1703.04933). Adaptive sharpness
does not change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from batchscope.probes.sharpness.columns import looked_at
from batchscope.probes.subject import Row, Subject, Tables
from batchscope.stats.intervals import Interval, t_interval
from batchscope.training import checkpoints
from batchscope.training.engines import Frozen, Vector

KESKAR = {"keskar_0_001": 1e-3, "keskar_0_0005": 5e-4}  # the two values of epsilon of the paper, by column
# Share of itself by which each weight may move. Andriushchenko et al. 2023 (arXiv 2302.07011) take 0.001 to 0.008 for
# residual networks and 0.0005 to 0.004 for transformers in their scripts; this is the largest that both have.
RHO = 0.004
ITERATIONS = 10  # of L-BFGS-B, as in Keskar et al.
# Mean slope that L-BFGS-B is shown, from the middle of the box to its edge. Its first step is as long as the slope, so
# every weight with at least a hundredth of the mean slope goes to the edge at once, however small the loss is.
SLOPE = 100.0
TOLERANCE = 1e-3  # of the residual; the eigenvalue itself is nearer, its error goes with the square of the residual
RESTARTS = 30  # of Lanczos with 20 vectors, about 320 products
TRACE_VECTORS = 30
POSITIONS = [step / 10 for step in range(-10, 11)]  # of a slice of the loss

T = TypeVar("T")

_LANCZOS, _TRACE, _BOX, _SLICE = range(4)  # what random numbers are for: each purpose has its own stream


class NotFiniteError(ArithmeticError):
    """A loss, a gradient or a product with the Hessian is not finite."""


class Eigenvalue(NamedTuple):
    """An eigenvalue with its residual, relative to it, and the products it took; or None and the `reason`."""

    value: float | None
    residual: float | None
    products: int
    reason: str | None


def measure(subject: Subject) -> Tables:
    """Curvature of the training loss, in double precision, at the end of the run and at its training losses."""
    trainer = subject.engine.build(subject.plan, subject.data)
    optimizer, threshold = subject.recipe["optimizer"], None
    if optimizer["name"] == "sgd":
        threshold = stability_threshold(optimizer["momentum"], subject.learning_rate)
    tables: Tables = {"sharpness": [], "slices": []}
    for taken in subject.taken(filter(looked_at, checkpoints.kept(**subject.recipe["snapshots"]))):
        frozen = subject.frozen(taken, "float64")
        identity = subject.at(taken, frozen.n_examples)
        trainer.set_weights(taken.weights)
        accuracies = {f"{part}_accuracy": trainer.evaluate(part)[1] for part in ("train", "test")}
        found = sharpness(frozen, subject.seed)
        tables["sharpness"].append(identity | found | accuracies | {"stability_threshold": threshold})
        tables["slices"] += [identity | point for point in loss_slice(frozen, subject.seed, POSITIONS)]
    return tables


def stability_threshold(momentum: float, learning_rate: float) -> float:
    """Curvature above which gradient descent leaves the minimum of a quadratic (2 without momentum)."""
    return float(2 * (1 + momentum) / learning_rate)


def sharpness(
    frozen: Frozen,
    seed: int,
    *,
    trace_vectors: int = TRACE_VECTORS,
    tolerance: float = TOLERANCE,
    restarts: int = RESTARTS,
) -> Row:
    """All measures of sharpness of `frozen`, which must be in float64, at its weights w: columns of `sharpness`.

    The boxes are those of Keskar et al. 2017 (arXiv 1609.04836, Metric 2.1 with A = I) and, for adaptive sharpness, of
    Kwon et al. 2021 (arXiv 2102.11600) with the maximum norm. Memory: some 30 vectors of p numbers.

    None is what could not be estimated, and `reason` tells what and why. `trace_vectors`: see `trace`; `tolerance` and
    `restarts`: see `largest_eigenvalue`.
    """
    size = np.abs(frozen.weights)
    boxes = {name: epsilon * (size + 1) for name, epsilon in KESKAR.items()} | {"adaptive_sharpness": RHO * size}
    loss = frozen.loss(frozen.weights)
    largest = largest_eigenvalue(frozen, seed, tolerance, restarts)
    spread, why_not = _or_reason(partial(trace, frozen, seed, trace_vectors))
    rises = {name: _or_reason(partial(loss_rise, frozen, seed, box)) for name, box in boxes.items()}
    reasons = {"subset_loss": None if math.isfinite(loss) else "it is not finite", "lambda_max": largest.reason}
    reasons |= {"trace": why_not, **{name: why for name, (_, why) in rises.items()}}
    return {
        "examples": frozen.n_examples,
        "subset_loss": loss if math.isfinite(loss) else None,
        "lambda_max": largest.value,
        "lambda_residual": largest.residual,
        "lambda_products": largest.products,
        "trace": spread.mean if spread else None,
        "trace_ci_low": spread.low if spread else None,
        "trace_ci_high": spread.high if spread else None,
        **{name: rise for name, (rise, _) in rises.items()},
        "reason": "; ".join(f"{name}: {reason}" for name, reason in reasons.items() if reason) or None,
    }


def largest_eigenvalue(frozen: Frozen, seed: int, tolerance: float = TOLERANCE, restarts: int = RESTARTS) -> Eigenvalue:
    """The algebraically largest eigenvalue of the Hessian by Lanczos from a random vector (ARPACK, implicit restarts).

    It is null where the residual |Hv - lambda v| does not fall to `tolerance` times |lambda| within `restarts`, and
    where ARPACK gives up, as it does for a Hessian of zeros. The residual is computed anew from the vector found.
    """
    products = 0

    def product(direction: Vector) -> Vector:
        nonlocal products
        products += 1
        return _product(frozen, direction)

    rng, p = np.random.default_rng([seed, _LANCZOS]), len(frozen.weights)
    hessian = LinearOperator((p, p), matvec=product, dtype=np.float64)
    start = rng.standard_normal(p)
    try:
        values, vectors = eigsh(hessian, k=1, which="LA", v0=start, tol=tolerance, maxiter=restarts, rng=rng)
        value, vector = float(values[0]), vectors[:, 0]
        residual = float(np.linalg.norm(product(vector) - value * vector))
    except ArpackNoConvergence:
        goal = f"a residual of {tolerance:g} of the eigenvalue"
        return Eigenvalue(None, None, products, f"Lanczos did not reach {goal} in {restarts} restarts")
    except (ArpackError, NotFiniteError) as error:
        return Eigenvalue(None, None, products, str(error))
    return Eigenvalue(value, residual / abs(value) if value else None, products, None)


def trace(frozen: Frozen, seed: int, vectors: int = TRACE_VECTORS) -> Interval:
    """Trace of the Hessian: the mean of v'Hv over random vectors v of signs (Hutchinson 1990), and its t-interval.

    Each v'Hv is the trace but for the elements off the diagonal. One vector gives no interval.

    Raises:
        NotFiniteError: a product is not finite.
    """
    rng, p = np.random.default_rng([seed, _TRACE]), len(frozen.weights)
    signs = (rng.choice([-1.0, 1.0], p) for _ in range(vectors))
    return t_interval([float(v @ _product(frozen, v)) for v in signs])


def loss_rise(frozen: Frozen, seed: int, half_widths: Vector) -> float:
    """100 (max f(w + y) - f(w)) / (1 + f(w)), in percent, over the box |y_i| <= half_widths_i around the weights w.

    The maximum is the highest loss f that at most `ITERATIONS` iterations of L-BFGS-B see, y = 0 included: a lower
    bound, never below zero. They start at y = 0, or at a random point of the box where all slopes at y = 0 are zero,
    since L-BFGS-B would stay there. (The paper names its solver and the iterations but not where they start.) They work
    in the coordinates y_i / half_widths_i, in which boxes that grow with the weights are the same for all networks that
    differ by a rescaling; and on the loss times a number, see `SLOPE`.

    Args:
        frozen: gives the loss and its gradient.
        seed: of the random point.
        half_widths: shape (p,), zero where a weight stays as it is.

    Raises:
        NotFiniteError: the loss or its gradient is not finite at the weights or at a point of the box tried.
    """
    weights = frozen.weights
    losses: list[float] = []

    def look(shares: Vector) -> tuple[float, Vector]:
        loss, gradient = _loss_and_gradient(frozen, weights + half_widths * shares)
        losses.append(loss)
        return loss, half_widths * gradient

    start = np.zeros(len(weights))
    loss, slopes = look(start)
    if not slopes.any():
        start = np.random.default_rng([seed, _BOX]).uniform(-1, 1, len(weights))
        slopes = look(start)[1]
    if slopes.any():
        factor = -SLOPE / np.abs(slopes).mean()

        def lowered(shares: Vector) -> tuple[float, Vector]:
            there, slopes = look(shares)
            return factor * (there - loss), factor * slopes

        minimize(
            lowered,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-1.0, 1.0)] * len(start),
            options={"maxiter": ITERATIONS, "ftol": 0.0, "gtol": 0.0},
        )
    return 100 * (max(losses) - loss) / (1 + loss)


def loss_slice(frozen: Frozen, seed: int, positions: Sequence[float]) -> list[Row]:
    """One row per position a: the loss at w + a d, d being `filter_normalized`; null where it is not finite."""
    weights, direction = frozen.weights, filter_normalized(frozen, seed)
    losses = [frozen.loss(weights + position * direction) for position in positions]
    return [
        {"position": float(position), "loss": loss if math.isfinite(loss) else None}
        for position, loss in zip(positions, losses, strict=True)
    ]


def filter_normalized(frozen: Frozen, seed: int) -> Vector:
    """A random direction, shape (p,), in which every filter has the norm that it has in the weights.

    After Li et al. 2018 (arXiv 1712.09913). A filter is what feeds one output unit or channel: all elements of an array
    with the same last index, as Keras stores the kernels of dense and convolutional layers. Arrays of fewer than two
    dimensions (biases, gains and offsets of normalizations) are zero, as with the option `biasbn` of the paper's code.
    """
    rng = np.random.default_rng([seed, _SLICE])
    ends = np.cumsum([math.prod(shape) for shape in frozen.shapes])
    parts = []
    for part, shape in zip(np.split(frozen.weights, ends[:-1]), frozen.shapes, strict=True):
        if len(shape) < 2:
            parts.append(np.zeros_like(part))
            continue
        filters = part.reshape(-1, shape[-1])
        drawn = rng.standard_normal(filters.shape)
        parts.append((drawn * np.linalg.norm(filters, axis=0) / np.linalg.norm(drawn, axis=0)).ravel())
    return np.concatenate(parts)


def _or_reason(estimate: Callable[[], T]) -> tuple[T | None, str | None]:
    """An estimate, or why there is none."""
    try:
        return estimate(), None
    except NotFiniteError as error:
        return None, str(error)


def _product(frozen: Frozen, direction: Vector) -> Vector:
    product = frozen.hessian_vector(direction)
    if not np.isfinite(product).all():
        raise NotFiniteError("a product with the Hessian is not finite")
    return product


def _loss_and_gradient(frozen: Frozen, weights: Vector) -> tuple[float, Vector]:
    loss, gradient = frozen.loss_and_gradient(weights)
    if not (math.isfinite(loss) and np.isfinite(gradient).all()):
        raise NotFiniteError("the loss or its gradient is not finite in the box")
    return loss, gradient
