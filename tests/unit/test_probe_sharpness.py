"""Sharpness of quadratics in closed form, of rescaled networks, and of networks against their whole Hessian."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
from small import recipe

from batchscope.probes.sharpness import measure as sharpness
from batchscope.training import engines

pytestmark = pytest.mark.usefixtures("engine")

RNG = np.random.default_rng(7)
DIAGONAL = np.diag(RNG.uniform(0.5, 2.0, 40))
_WIDE, _SQUARE = RNG.normal(size=(40, 60)), RNG.normal(size=(40, 40))
DENSE = _WIDE @ _WIDE.T / 40
INDEFINITE = (_SQUARE + _SQUARE.T) / 2


class Quadratic:
    """f(w) = w'Hw/2 + b'w + c at the weights x, times `unit`; it counts what it is asked for and where."""

    n_examples = 12

    def __init__(self, hessian, weights=None, slope=None, constant=0.0, unit=1.0):
        p = len(hessian)
        self.hessian, self.constant, self.unit = hessian, constant, unit
        self.weights = np.zeros(p) if weights is None else weights
        self.slope = np.zeros(p) if slope is None else slope
        self.shapes = ((p,),)
        self.products, self.seen = 0, []

    def loss(self, weights):
        return self.unit * float(weights @ self.hessian @ weights / 2 + self.slope @ weights + self.constant)

    def loss_and_gradient(self, weights):
        self.seen.append(weights)
        return self.loss(weights), self.unit * (self.hessian @ weights + self.slope)

    def hessian_vector(self, direction):
        self.products += 1
        return self.unit * (self.hessian @ direction)


class Overflowing(Quadratic):
    """A quadratic whose loss is infinite where any weight is above `wall`."""

    def __init__(self, *args, wall, **kwargs):
        super().__init__(*args, **kwargs)
        self.wall = wall

    def loss(self, weights):
        return math.inf if (weights > self.wall).any() else super().loss(weights)


@pytest.mark.parametrize("hessian", [DIAGONAL, DENSE, INDEFINITE, -DIAGONAL, np.diag([1.0, 3.0])])
def test_the_largest_eigenvalue_is_the_algebraically_largest(hessian):
    frozen, expected = Quadratic(hessian), np.linalg.eigvalsh(hessian)[-1]
    found = sharpness.largest_eigenvalue(frozen, seed=1, tolerance=1e-9)
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.residual < 1e-8
    assert found.products == frozen.products
    assert found.reason is None


@pytest.mark.parametrize("seed", range(5))
def test_the_residual_bounds_the_distance_to_an_eigenvalue(seed):
    eigenvalues = np.linspace(0, 1, 500)
    found = sharpness.largest_eigenvalue(Quadratic(np.diag(eigenvalues)), seed, tolerance=0.05)
    assert 1e-6 < found.residual < 0.1  # it stopped early, so that there is an error to bound
    assert np.abs(eigenvalues - found.value).min() <= found.residual * found.value
    assert 0 < 1 - found.value < 0.01


def test_lanczos_that_does_not_converge_says_so():
    hessian = np.diag(np.linspace(1, 1.001, 500))
    found = sharpness.sharpness(Quadratic(hessian), 1, tolerance=1e-12, restarts=1, trace_vectors=2)
    assert (found["lambda_max"], found["lambda_residual"]) == (None, None)
    assert found["reason"] == "lambda_max: Lanczos did not reach a residual of 1e-12 of the eigenvalue in 1 restarts"
    assert found["lambda_products"] >= 20
    assert found["trace"] == pytest.approx(500.25)
    assert found["keskar_0_001"] > 0


def test_a_hessian_of_zeros_has_no_eigenvector_to_find():
    found = sharpness.sharpness(Quadratic(np.zeros((5, 5)), np.ones(5), slope=np.full(5, 0.1), constant=0.5), 1)
    assert found["lambda_max"] is None
    assert found["reason"].startswith("lambda_max: ARPACK")
    assert found["trace"] == 0
    rise = 5 * 0.1 * 0.002  # linear: the sum of |b_i| times the box
    assert found["keskar_0_001"] == pytest.approx(100 * rise / (1 + 1.0))


def test_the_trace_of_a_diagonal_hessian_is_exact():
    found = sharpness.trace(Quadratic(DIAGONAL), seed=3, vectors=4)
    assert [found.mean, found.low, found.high] == pytest.approx([np.trace(DIAGONAL)] * 3, rel=1e-12)
    assert found.n == 4


def test_one_vector_gives_a_trace_without_interval():
    found = sharpness.sharpness(Quadratic(DIAGONAL), 3, trace_vectors=1)
    assert found["trace"] == pytest.approx(np.trace(DIAGONAL))
    assert (found["trace_ci_low"], found["trace_ci_high"], found["reason"]) == (None, None, None)


def test_the_interval_of_the_trace_covers_it_19_times_in_20():
    frozen, expected = Quadratic(INDEFINITE), np.trace(INDEFINITE)
    found = [sharpness.trace(frozen, seed, vectors=10) for seed in range(400)]
    assert 0.92 < np.mean([each.low < expected < each.high for each in found]) < 0.98
    # Unbiased, and with the variance of signs: 2 (|H|_F^2 - sum of the squared diagonal) per vector.
    spread = math.sqrt(2 * (np.sum(INDEFINITE**2) - np.sum(np.diag(INDEFINITE) ** 2)) / 10)
    means = np.array([each.mean for each in found])
    assert abs(means.mean() - expected) < 3 * spread / math.sqrt(400)
    assert means.std() == pytest.approx(spread, rel=0.15)


def highest_in_box(frozen, half_widths):
    """The rise of a diagonal quadratic: each weight goes to an end of its interval or to the vertex within it."""
    x, h, b = frozen.weights, np.diag(frozen.hessian), frozen.slope
    ends = np.stack([x - half_widths, x + half_widths, np.clip(-b / h, x - half_widths, x + half_widths)])
    highest = (h * ends**2 / 2 + b * ends).max(axis=0).sum() + frozen.constant
    loss = frozen.loss(x)
    return 100 * (frozen.unit * highest - loss) / (1 + loss)


CURVATURES = {
    "alike": np.diag(DIAGONAL),
    "over three decades": np.logspace(-2, 1, 40),
    "indefinite": np.where(np.arange(40) % 2, 1.0, -1.0) * np.diag(DIAGONAL),
}


@pytest.mark.parametrize("curvatures", CURVATURES.values(), ids=CURVATURES)
@pytest.mark.parametrize("unit", [1.0, 1e-9])
def test_the_rise_of_a_diagonal_quadratic_is_its_closed_form(curvatures, unit):
    rng = np.random.default_rng(5)
    frozen = Quadratic(np.diag(curvatures), rng.normal(size=40), rng.normal(size=40), constant=50.0, unit=unit)
    found = sharpness.sharpness(frozen, 1)
    size = np.abs(frozen.weights)
    assert found["subset_loss"] == frozen.loss(frozen.weights)
    assert found["keskar_0_001"] == pytest.approx(highest_in_box(frozen, 1e-3 * (size + 1)), rel=1e-4)
    assert found["keskar_0_0005"] == pytest.approx(highest_in_box(frozen, 5e-4 * (size + 1)), rel=1e-4)
    assert found["adaptive_sharpness"] == pytest.approx(highest_in_box(frozen, sharpness.RHO * size), rel=1e-4)
    assert found["reason"] is None


def test_all_but_one_in_a_hundred_slopes_go_to_the_corner_exactly():
    rng = np.random.default_rng(6)
    frozen, box = Quadratic(DIAGONAL, rng.choice([-1.0, 1.0], 40) * rng.uniform(0.5, 2, 40)), np.full(40, 1e-2)
    assert sharpness.loss_rise(frozen, 1, box) == pytest.approx(highest_in_box(frozen, box), rel=1e-12)
    assert np.abs(np.array(frozen.seen) - frozen.weights).max() <= 1e-2 * (1 + 1e-12)  # never outside the box


def test_a_weight_whose_loss_peaks_within_the_box_stops_at_the_peak():
    frozen = Quadratic(np.diag([-1.0, -2.0, 1.0]), np.array([0.3, -0.2, 0.5]), constant=1.0)
    box = np.array([0.5, 0.5, 0.5])
    expected = 100 * ((1.0 - 0 - 0 + 1 / 2) - frozen.loss(frozen.weights)) / (1 + frozen.loss(frozen.weights))
    assert sharpness.loss_rise(frozen, 1, box) == pytest.approx(expected, rel=1e-6)


def test_the_rise_of_a_dense_quadratic_is_that_of_its_best_corner():
    hessian = DENSE[:8, :8]
    frozen = Quadratic(hessian, np.random.default_rng(2).normal(size=8), constant=1.0)
    box = 1e-3 * (np.abs(frozen.weights) + 1)
    corners = [frozen.loss(frozen.weights + box * np.array(s)) for s in itertools.product([-1, 1], repeat=8)]
    loss = frozen.loss(frozen.weights)
    assert sharpness.loss_rise(frozen, 1, box) == pytest.approx(100 * (max(corners) - loss) / (1 + loss), rel=1e-9)


def test_at_an_exact_minimum_the_rise_is_not_zero():
    frozen = Quadratic(DIAGONAL, constant=2.0)
    expected = 100 * (np.trace(DIAGONAL) * 1e-6 / 2) / 3
    assert sharpness.sharpness(frozen, 1)["keskar_0_001"] == pytest.approx(expected, rel=1e-9)
    assert sharpness.sharpness(frozen, 1)["adaptive_sharpness"] == 0  # no weight but zeros, so the box is a point


def test_at_an_exact_maximum_the_rise_is_zero():
    assert sharpness.loss_rise(Quadratic(-DIAGONAL, constant=2.0), 1, np.full(40, 0.1)) == 0


def test_a_loss_that_overflows_in_a_box_leaves_the_rest():
    frozen = Overflowing(DIAGONAL, np.ones(40), wall=1.0015)  # beyond the box of 0.0005, within those of 0.001 and RHO
    found = sharpness.sharpness(frozen, 1)
    assert (found["keskar_0_001"], found["adaptive_sharpness"]) == (None, None)
    assert found["keskar_0_0005"] == pytest.approx(highest_in_box(frozen, np.full(40, 1e-3)))
    assert found["lambda_max"] == pytest.approx(DIAGONAL.max())
    why = "the loss or its gradient is not finite in the box"
    assert found["reason"] == f"keskar_0_001: {why}; adaptive_sharpness: {why}"


def test_weights_that_diverged_have_no_sharpness():
    found = sharpness.sharpness(Quadratic(np.full((3, 3), math.nan), np.ones(3)), 1)
    assert {name for name, value in found.items() if value is not None} == {"examples", "lambda_products", "reason"}
    assert found["reason"].startswith(
        "subset_loss: it is not finite; lambda_max: a product with the Hessian is not finite; trace: a product"
    )


def test_the_same_seed_gives_the_same_numbers_and_another_seed_other_vectors():
    first, again, other = (sharpness.sharpness(Quadratic(INDEFINITE), seed) for seed in (1, 1, 2))
    assert first == again
    assert first["trace"] != other["trace"]
    assert first["keskar_0_001"] != other["keskar_0_001"]  # a saddle: the start is random, so is its corner


def net(activation="relu", *, scale=1.0, normalization="none", n=30):
    """A network 4-6-3 with drawn weights, its first layer times `scale` and its second divided by it."""
    rng = np.random.default_rng(11)
    examples = rng.normal(size=(n, 4)), rng.integers(0, 3, n)
    weights = [scale * rng.normal(size=(4, 6)), scale * rng.normal(size=6), rng.normal(size=(6, 3)) / scale]
    model = recipe(model={"hidden": [6], "activation": activation, "normalization": normalization})
    return engines.load("tensorflow").freeze(
        model, examples, 3, [*weights, rng.normal(size=3)], precision="float64", chunk=16
    )


def image_net():
    """A small convolutional network with pooling and group normalization."""
    rng = np.random.default_rng(12)
    model = recipe()
    model["model"] = {"name": "cnn", "filters": [2], "kernel_size": 3, "dense": 4, "dropout": 0.0}
    model["model"] |= {"activation": "relu", "normalization": "group"}
    shapes = [(3, 3, 1, 2), (2,), (2,), (8, 4), (4,), (4,), (4, 3), (3,)]
    weights = [rng.normal(size=shape) for shape in shapes]
    examples = rng.normal(size=(20, 4, 4, 1)), rng.integers(0, 3, 20)
    return engines.load("tensorflow").freeze(model, examples, 3, weights, precision="float64", chunk=16)


def whole_hessian(frozen):
    return np.array([frozen.hessian_vector(unit) for unit in np.eye(len(frozen.weights))])


def test_rescaling_a_relu_network_changes_all_but_its_adaptive_sharpness():
    plain, rescaled = (sharpness.sharpness(net(scale=scale), 1, tolerance=1e-6) for scale in (1.0, 3.0))
    assert rescaled["subset_loss"] == pytest.approx(plain["subset_loss"], rel=1e-12)
    for name in ("lambda_max", "trace", "keskar_0_001", "keskar_0_0005"):
        assert abs(rescaled[name] / plain[name] - 1) > 0.05, name
    assert plain["adaptive_sharpness"] > 0.1
    assert rescaled["adaptive_sharpness"] == pytest.approx(plain["adaptive_sharpness"], rel=1e-6)


@pytest.mark.parametrize(
    ("frozen", "step"),
    [(partial(net, "tanh"), 1e-5), (net, 1e-7), (image_net, 1e-7)],  # short of the kinks of ReLU and pooling
    ids=["tanh", "relu", "convolution"],
)
def test_products_are_the_differences_of_gradients(frozen, step):
    frozen = frozen()
    one, other = np.random.default_rng(3).normal(size=(2, len(frozen.weights)))
    ahead, behind = (frozen.loss_and_gradient(frozen.weights + side * one)[1] for side in (step, -step))
    product = frozen.hessian_vector(one)
    np.testing.assert_allclose(product, (ahead - behind) / (2 * step), rtol=0, atol=1e-6 * np.abs(product).max())
    assert other @ product == pytest.approx(one @ frozen.hessian_vector(other), rel=1e-10)


def test_curvature_of_a_network_is_that_of_its_whole_hessian():
    frozen = net("tanh")
    hessian = whole_hessian(frozen)
    found = sharpness.sharpness(frozen, 1, tolerance=1e-9, trace_vectors=200)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    assert found["lambda_max"] == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-8)
    assert found["trace_ci_low"] < np.trace(hessian) < found["trace_ci_high"]
    assert found["trace_ci_high"] - found["trace_ci_low"] < 0.5 * np.trace(hessian)


def test_every_filter_of_the_direction_has_the_norm_of_its_weights():
    frozen = image_net()
    direction, start = sharpness.filter_normalized(frozen, 5), 0
    assert [len(shape) for shape in frozen.shapes] == [4, 1, 1, 2, 1, 1, 2, 1]
    for shape in frozen.shapes:
        stop = start + math.prod(shape)
        one, weights = (vector[start:stop].reshape(shape) for vector in (direction, frozen.weights))
        if len(shape) == 1:
            assert not one.any()
        else:
            axes = tuple(range(len(shape) - 1))
            norms = np.sqrt((weights**2).sum(axis=axes))
            np.testing.assert_allclose(np.sqrt((one**2).sum(axis=axes)), norms, rtol=1e-12)
            assert np.abs(one / weights).std() > 0.1  # random, not the weights themselves
        start = stop
    assert not np.array_equal(direction, sharpness.filter_normalized(frozen, 6))


def test_the_slice_passes_through_the_loss_and_along_the_direction():
    frozen = Quadratic(DENSE, RNG.normal(size=40), constant=1.0)
    frozen.shapes = ((5, 6), (4, 2), (2,))
    direction = sharpness.filter_normalized(frozen, 5)
    rows = sharpness.loss_slice(frozen, 5, [-1, 0, 0.5, 1])
    assert [row["position"] for row in rows] == [-1, 0, 0.5, 1]
    assert rows[1]["loss"] == frozen.loss(frozen.weights)
    low, middle, half, high = (row["loss"] for row in rows)
    assert low - 2 * middle + high == pytest.approx(direction @ DENSE @ direction)  # the slice of a quadratic is one
    assert half == pytest.approx(middle + (high - low) / 4 + (low - 2 * middle + high) / 8)


def test_a_slice_has_no_loss_where_it_overflows():
    frozen = Overflowing(DIAGONAL, np.ones(40), wall=1.2)
    frozen.shapes = ((20, 2),)
    rows = sharpness.loss_slice(frozen, 5, [-1, 0, 1])
    assert [row["loss"] is None for row in rows] == [True, False, True]
