"""Accumulated micro batches against whole batches: equal to rounding without, unequal with batch normalization."""

from types import SimpleNamespace

import numpy as np
import pytest
from small import blobs, recipe

from batchscope.probes.accumulation.measure import accumulation
from batchscope.training.engines import OutOfMemoryError, Steps
from batchscope.training.plans import Plan


def compare(engine, made=None, *, batch_size=16, micro=4, updates=10, loop="fused"):
    return accumulation(engine, blobs(), Plan(made or recipe(), batch_size, 1, loop), micro, updates)


EQUAL = {
    "plain": recipe(),
    "momentum": recipe(optimizer={"momentum": 0.9}),
    "adam": recipe(optimizer={"name": "adam", "learning_rate": 0.01}),
    "layer normalization": recipe(model={"normalization": "layer"}),
    "group normalization": recipe(model={"normalization": "group"}),
    "warm-up": recipe(learning_rate_scaling={"rule": "linear", "reference_batch_size": 8, "warmup_epochs": 1.5}),
}


@pytest.mark.parametrize(("made", "micro"), [(made, 4 + i % 2) for i, made in enumerate(EQUAL.values())], ids=EQUAL)
def test_accumulation_equals_the_whole_batch_to_rounding(engine, made, micro):
    row = compare(engine, made, micro=micro)  # the fourth batch of an epoch has 12 examples, and 5 divides neither
    assert 0 < row["rounding"] < 1e-5
    assert row["relative_difference"] < 10 * row["rounding"]
    assert row["largest_difference"] < 1e-5
    assert row["reason"] is None


def test_it_does_not_with_batch_normalization_whose_statistics_are_those_of_the_micro_batch(engine):
    row = compare(engine, recipe(model={"normalization": "batch"}))
    assert row["rounding"] < 1e-5
    assert row["relative_difference"] > 1000 * row["rounding"]
    assert row["relative_difference"] > 0.01


def test_it_does_not_with_dropout_where_no_reordering_shows_the_rounding(engine):
    row = compare(engine, recipe(model={"dropout": 0.5}))
    assert row["relative_difference"] > 0.01
    assert row["rounding"] is None
    assert "dropout" in row["reason"]


def test_the_plan_says_neither_the_loop_nor_the_micro_batch(engine):
    made = recipe(model={"normalization": "batch"})
    assert compare(engine, {**made, "micro_batch_size": 8}, loop="fit") == compare(engine, made)


class Jumps:
    """An engine and trainer whose two weights jump by known amounts: more in micro batches, and with the order."""

    def __init__(self, jump=1.0, loss=1.0, order_in_loss=0.0):
        self.jump, self.loss, self.order_in_loss, self.orders = jump, loss, order_in_loss, []

    def build(self, plan, data):
        self.orders.append([])
        self.plan, self.weights = plan, np.full(2, 3.0)
        return self

    def trainable_weights(self):
        return self.weights.copy()

    def train(self, order, rates):
        self.orders[-1].append(order)
        for i in range(len(rates)):
            batch = order[i * self.plan.batch_size :]
            self.weights += self.jump * np.array([0.3, 0.4])
            if self.plan.recipe["micro_batch_size"] is not None:
                self.weights[0] += 0.05
            self.weights[1] += 1e-9 * batch[0]
        losses = np.full(len(rates), self.loss + self.order_in_loss * order[0])
        return Steps(losses, losses, losses)


def test_columns_have_their_definitions():
    engine = Jumps()
    row = compare(engine, updates=6)
    assert (row["batch_size"], row["micro_batch_size"], row["updates"]) == (16, 4, 6)
    assert row["largest_difference"] == pytest.approx(6 * 0.05, rel=1e-6)
    assert row["relative_difference"] == pytest.approx(0.05 / 0.5, rel=1e-6)
    whole, reordered = (np.concatenate([o[::16] for o in engine.orders[run]]) for run in (0, 2))
    difference = 1e-9 * abs((whole - reordered).sum())
    assert row["rounding"] == pytest.approx(difference / 3.0, rel=1e-5)


def test_the_reordered_run_has_the_same_examples_in_every_batch():
    engine = Jumps()
    compare(engine, updates=6)
    whole, parts, reordered = engine.orders
    assert [len(order) for order in whole] == [60, 32]
    for one, same, other in zip(whole, parts, reordered, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)
        for start in range(0, len(one), 16):
            assert set(one[start : start + 16]) == set(other[start : start + 16])


def test_a_loss_that_is_not_finite_leaves_nothing_to_compare():
    row = compare(Jumps(loss=np.inf))
    assert "not finite" in row["reason"]
    assert (row["largest_difference"], row["relative_difference"], row["rounding"]) == (None, None, None)


def test_weights_that_stay_have_no_relative_difference(engine):
    row = compare(engine, recipe(optimizer={"learning_rate": 0.0}))
    assert row["relative_difference"] is None
    assert row["reason"]


def test_a_first_loss_that_changes_with_the_order_is_no_rounding():
    assert compare(Jumps(order_in_loss=1e-3))["rounding"] is None
    assert compare(Jumps(order_in_loss=1e-9))["rounding"] is not None


@pytest.mark.parametrize(("micro", "updates"), [(0, 5), (16, 5), (4, 0)])
def test_what_is_no_accumulation_is_refused(micro, updates):
    with pytest.raises(ValueError, match="micro batches"):
        compare(Jumps(), micro=micro, updates=updates)


def test_too_little_memory_is_a_reason():
    def no_room(plan, data):
        raise OutOfMemoryError("no room for the batch")

    row = compare(SimpleNamespace(build=no_room))
    assert row["relative_difference"] is None
    assert row["reason"].endswith("no room for the batch")
