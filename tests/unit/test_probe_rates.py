"""The learning-rate range test: curves whose answers are known, gradient descent on a parabola, and the real engine."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from small import blobs, recipe

from batchscope.probes.rates import measure as rates
from batchscope.training import loop, plans
from batchscope.training.engines import OutOfMemoryError, Steps
from batchscope.training.plans import Plan

UPDATES = 201
GRID = np.geomspace(1e-5, 1e1, UPDATES)  # 0.03 decades from one to the next
FASTEST = 100  # of the fall below


def fall(centre=FASTEST, width=8.0, start=2.3, end=0.4):
    """A logistic fall of the loss, which is steepest at `centre`."""
    return end + (start - end) / (1 + np.exp((np.arange(UPDATES) - centre) / width))


def cliff(losses, at, factor=1000.0):
    return np.where(np.arange(UPDATES) < at, losses, factor * losses)


def test_the_suggested_rate_is_that_of_the_steepest_fall():
    for centre in (60, 100, 130):
        found = rates.read(GRID, cliff(fall(centre), 190))
        assert found.suggested_rate == GRID[centre]
        assert found.reason is None


def test_a_single_high_loss_says_exactly_where_training_diverged():
    found = rates.read(GRID, cliff(fall(), 170))
    assert found.diverged_rate == GRID[170]
    assert found.lowest_loss_rate < GRID[170]
    assert rates.read(GRID, cliff(fall(), 170, factor=1.5)).diverged_rate is None


def test_the_lowest_loss_is_that_of_the_smoothed_curve():
    valley = 0.5 + np.abs(np.arange(UPDATES) - 140) / 100
    assert rates.read(GRID, valley).lowest_loss_rate == GRID[140]
    valley[60] = 0.0  # one lucky batch
    assert rates.read(GRID, valley).lowest_loss_rate == GRID[140]


def test_the_smoothed_loss_is_the_mean_over_a_centred_tenth_of_the_updates():
    losses = np.random.default_rng(0).exponential(size=UPDATES)
    curve = rates.read(GRID, losses).curve
    assert [row["update"] for row in curve] == list(range(1, UPDATES + 1))
    assert [row["loss"] for row in curve] == losses.tolist()
    smoothed = [row["smoothed_loss"] for row in curve]
    assert smoothed[:10] == smoothed[-10:] == [None] * 10  # windows of 21
    for i in range(10, UPDATES - 10):
        assert smoothed[i] == pytest.approx(losses[i - 10 : i + 11].mean())


def test_what_the_fresh_weights_do_is_no_answer():
    losses = fall()
    losses[:4] += [20.0, 10.0, 5.0, 2.0]
    assert rates.read(GRID, losses).suggested_rate == GRID[FASTEST]


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_loss_that_is_not_finite_ends_the_curve_and_is_where_training_diverged(bad):
    found = rates.read(GRID, np.append(fall()[:150], bad))
    assert found.diverged_rate == GRID[150]
    assert found.suggested_rate == GRID[FASTEST]
    assert (len(found.curve), found.curve[-1]["loss"], found.curve[-2]["loss"]) == (151, None, fall()[149])


FLAT = np.full(UPDATES, 2.3)
UNREADABLE = {
    "flat": (FLAT, "never falls", (None, None)),
    "only rising": (FLAT + np.arange(UPDATES) / 100, "never falls", (None, None)),
    "falls by too little": (fall(end=2.25), "never falls", (None, None)),
    "diverges at once": (np.append(FLAT[:20], math.inf), "diverges within 21 updates", (None, None)),
    "falls at the lowest rates": (cliff(fall(10), 190), "fastest at the lowest rates", (None, ...)),
    "falls at the highest rates": (fall(190), "fastest at the highest rates", (None, None)),
    "still falling": (fall(150), "still falls at the highest rates", (..., None)),
}


@pytest.mark.parametrize(("losses", "why", "expected"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_told_is_null_with_the_reason(losses, why, expected):
    found = rates.read(GRID, losses)
    assert why in found.reason
    for value, wanted in zip((found.suggested_rate, found.lowest_loss_rate), expected, strict=True):
        assert (value is None) == (wanted is None)


def test_noise_is_no_fall_and_hides_one_only_where_it_is_large():
    scatter = np.random.default_rng(1).exponential(size=(100, UPDATES))  # as large as the loss: batches of one
    noise_alone = [rates.read(GRID, 2.3 * row).suggested_rate for row in scatter]
    assert sum(rate is not None for rate in noise_alone) <= 1
    noisy = [rates.read(GRID, fall() * (0.9 + 0.1 * row)).suggested_rate for row in scatter]
    assert None not in noisy
    off = np.log10(np.array(noisy) / GRID[FASTEST])
    assert np.sqrt(np.mean(off**2)) < 0.2  # decades, of the six that were searched
    assert abs(off.mean()) < 0.06


class Parabola:
    """Gradient descent on ½ h w² + 1 with a little noise, which is stable up to the rate 2/h."""

    def __init__(self, curvature):
        self.curvature = curvature

    def build(self, plan, data):
        self.weight, self.rng = 2.0 / math.sqrt(self.curvature), np.random.default_rng(plan.seed)
        return self

    def train(self, order, rates):
        losses = []
        for rate in rates.tolist():
            losses.append(0.5 * self.curvature * self.weight * self.weight + 1)
            if not math.isfinite(losses[-1]):
                break
            self.weight -= rate * (self.curvature * self.weight + self.rng.normal(scale=1e-3))
        nothing = np.full(len(losses), np.nan)
        return Steps(np.array(losses), nothing, nothing)


@pytest.mark.parametrize("curvature", [1.0, 30.0])
def test_gradient_descent_on_a_parabola_diverges_a_little_above_two_over_the_curvature(curvature):
    found = rates.range_test(Parabola(curvature), blobs(), Plan(recipe(), 16, 1, "fused"), 1e-5, 1e2, 1500)
    assert 2 / curvature < found.diverged_rate < 1.5 * 2 / curvature
    assert found.suggested_rate < found.lowest_loss_rate < found.diverged_rate
    assert found.reason is None


def test_batches_and_first_weights_are_those_of_a_training(engine):
    plan = Plan(recipe(model={"dropout": 0.2}, budget={"epochs": 6}), 16, 3, "fused")
    trained = loop.train(engine, blobs(), plan, step_records=100)
    found = rates.range_test(engine, blobs(), plan, 0.05, 0.05 * (1 + 1e-9), 22)  # ends within the sixth epoch
    assert [row["loss"] for row in found.curve] == [row["loss"] for row in trained.steps[:22]]


@pytest.mark.parametrize("last_batch", ["keep", "drop"])
def test_orders_are_those_of_successive_epochs(last_batch):
    plan = Plan(recipe(last_batch=last_batch), 16, 3, "fused")
    per_epoch = 4 if last_batch == "keep" else 3
    pieces = list(rates.orders(60, plan, 2 * per_epoch + 1))
    assert [piece for piece, _ in pieces] == [
        slice(0, per_epoch),
        slice(per_epoch, 2 * per_epoch),
        slice(2 * per_epoch, 2 * per_epoch + 1),
    ]
    for epoch, (_, order) in enumerate(pieces, start=1):
        whole = plans.epoch_order(60, plan, epoch)
        np.testing.assert_array_equal(order, whole if epoch < 3 else whole[:16])


def test_a_real_training_falls_and_then_diverges(engine):
    plan = Plan(recipe(model={"hidden": [16]}), 8, 1, "fused")
    found = rates.range_test(engine, blobs(n_train=600, features=20), plan, 1e-4, 100.0, 300)
    assert found.reason is None
    assert found.suggested_rate < found.lowest_loss_rate < found.diverged_rate < 100
    np.testing.assert_allclose(
        [row["learning_rate"] for row in found.curve], np.geomspace(1e-4, 100, 300)[: len(found.curve)], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("low", "high", "updates"), [(0.0, 1.0, 100), (1.0, 1.0, 100), (0.1, math.inf, 100), (0.1, 1.0, 19)]
)
def test_a_range_that_is_none_is_refused(low, high, updates):
    with pytest.raises(ValueError, match="range"):
        rates.range_test(Parabola(1.0), blobs(), Plan(recipe(), 16, 1, "fused"), low, high, updates)


def test_too_little_memory_is_a_reason():
    def no_room(plan, data):
        raise OutOfMemoryError("no room for the batch")

    plan = Plan(recipe(), 16, 1, "fused")
    found = rates.range_test(SimpleNamespace(build=no_room), blobs(), plan, 0.1, 1.0, 100)
    assert (found.suggested_rate, found.curve) == (None, [])
    assert found.reason.endswith("no room for the batch")
