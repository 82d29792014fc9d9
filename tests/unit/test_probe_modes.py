"""Evaluation in inference mode and with the batch's own statistics, against the same sums in NumPy."""

import numpy as np
import pytest
from small import blobs, recipe

from batchscope.probes.modes.measure import ORDER, evaluation_modes
from batchscope.training.engines import OutOfMemoryError
from batchscope.training.plans import Plan

EPSILON = 1e-3  # of Keras' batch normalization


def trained(engine, made, data):
    """A trainer after three epochs, so that its stored statistics are neither those of the start nor of a batch."""
    trainer = engine.build(Plan(made, 16, 1, "fused"), data)
    trainer.train(np.tile(np.arange(60, dtype=np.int32), 3)[:176], np.full(11, 0.3, np.float32))
    return trainer


def in_order(seed, n=20):
    return np.random.default_rng([seed, ORDER]).permutation(n)


def batch_normalized_loss(weights, x, y, own):
    """Mean loss of dense, batch normalization, relu, dense; with the statistics of (x, y) where `own`."""
    kernel, gamma, beta, mean, variance, output, bias = (w.astype(np.float64) for w in weights)
    h = x @ kernel
    if own:
        mean, variance = h.mean(axis=0), h.var(axis=0)
    h = np.maximum(gamma * (h - mean) / np.sqrt(variance + EPSILON) + beta, 0.0)
    logits = h @ output + bias
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -logits[np.arange(len(y)), y].mean()


BATCH = recipe(model={"normalization": "batch"})


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_losses_in_both_modes_are_those_computed_by_hand(engine, dropout):
    data = blobs()
    trainer = trained(engine, recipe(model={"normalization": "batch", "dropout": dropout}), data)
    weights = [array for array in trainer.get_weights() if array.dtype == np.float32]  # not dropout's state
    order = in_order(seed=5)[:16]
    rows = evaluation_modes(trainer, data, [1, 2, 4, 8, 16], seed=5)
    assert [row["evaluated_batch_size"] for row in rows] == [1, 2, 4, 8, 16]
    for row in rows:
        batches = [(data.x_validation[i], data.y_validation[i]) for i in order.reshape(-1, row["evaluated_batch_size"])]
        for name, own in (("inference_loss", False), ("training_loss", True)):
            expected = np.mean([batch_normalized_loss(weights, x, y, own) for x, y in batches])
            assert row[name] == pytest.approx(expected, rel=1e-5), (row["evaluated_batch_size"], name)
        assert row["training_mode_shift"] == abs(row["training_loss"] - row["inference_loss"])
        assert row["reason"] is None
    inference = [row["inference_loss"] for row in rows]
    training = [row["training_loss"] for row in rows]
    assert np.ptp(inference) < 1e-6
    assert np.ptp(training) > 0.1


def test_a_batch_of_one_gives_every_example_the_answer_of_the_offsets(engine):
    data = blobs()
    trainer = trained(engine, BATCH, data)
    _, _, beta, _, _, output, bias = trainer.get_weights()
    logits = np.maximum(beta, 0) @ output + bias  # whatever the example
    expected = np.mean(np.log(np.exp(logits).sum()) - logits[data.y_validation])
    (row,) = evaluation_modes(trainer, data, [1], seed=0)
    assert row["training_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("normalization", ["none", "layer", "group"])
def test_without_batch_normalization_the_mode_changes_nothing(engine, normalization):
    data = blobs(shape=(2, 2, 1))
    model = {"name": "cnn", "filters": [4], "kernel_size": 2, "dense": 8, "activation": "relu", "dropout": 0.5}
    trainer = trained(engine, recipe(model={**model, "normalization": normalization}), data)
    for row in evaluation_modes(trainer, data, [1, 5, 20], seed=0):
        assert row["inference_loss"] == pytest.approx(trainer.evaluate("validation")[0], rel=1e-6)
        assert row["training_mode_shift"] < 1e-7


USERS = """
import keras

def build(input_shape, classes):
    inputs = keras.layers.Input(input_shape)
    inner = keras.Sequential([keras.layers.Input((6,)), keras.layers.BatchNormalization(), keras.layers.ReLU()])
    hidden = keras.layers.Dense(6, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.1))(inputs)
    hidden = keras.layers.GaussianNoise(1.0)(inner(hidden))
    return keras.Model(inputs, keras.layers.Dense(classes)(hidden))
"""


def test_nested_normalization_is_found_and_every_noise_is_off_in_a_model_of_the_user(engine, tmp_path):
    (tmp_path / "model.py").write_text(USERS)
    made = recipe()
    made["model"] = {"function": f"{tmp_path / 'model.py'}:build", "arguments": {}, "outputs": "logits"}
    data = blobs()
    trainer = trained(engine, made, data)
    weights = [array for array in trainer.get_weights() if array.dtype == np.float32]  # not the noise's state
    (row,) = evaluation_modes(trainer, data, [20], seed=0)
    penalty = 0.1 * (weights[0] ** 2).sum()
    for name, own in (("inference_loss", False), ("training_loss", True)):
        expected = batch_normalized_loss(weights, data.x_validation, data.y_validation, own) + penalty
        assert row[name] == pytest.approx(expected, rel=1e-5), name
    assert row["training_mode_shift"] > 1e-3


def test_nothing_of_the_model_changes_and_it_trains_on_as_if_not_looked_at(engine):
    made, data = recipe(model={"normalization": "batch", "dropout": 0.5}), blobs()
    looked_at, alone = trained(engine, made, data), trained(engine, made, data)
    before = looked_at.get_weights()
    evaluation_modes(looked_at, data, [1, 4, 20], seed=0)
    for old, new in zip(before, looked_at.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert looked_at.evaluate("validation") == alone.evaluate("validation")
    steps = [
        trainer.train(np.arange(48, dtype=np.int32), np.full(3, 0.1, np.float32)) for trainer in (looked_at, alone)
    ]
    np.testing.assert_array_equal(steps[0].loss, steps[1].loss)


def test_a_size_that_does_not_fit_or_does_not_come_out_finite_is_null_with_the_reason(engine):
    data = blobs()
    trainer = trained(engine, BATCH, data)
    small, large = evaluation_modes(trainer, data, [20, 21], seed=0)
    assert small["training_loss"] is not None
    assert large == {
        "evaluated_batch_size": 21,
        "inference_loss": None,
        "training_loss": None,
        "training_mode_shift": None,
        "reason": "the validation part has 20 examples, fewer than a batch of 21",
    }
    trainer.set_weights([np.full_like(array, np.nan) for array in trainer.get_weights()])
    (row,) = evaluation_modes(trainer, data, [4], seed=0)
    assert (row["inference_loss"], row["training_mode_shift"]) == (None, None)
    assert "not finite" in row["reason"]


class Counting:
    """A trainer that notes which batches it is asked for, and has no room for batches of eight."""

    def __init__(self):
        self.asked = {}

    def batch_losses(self, part, batches, *, batch_statistics):
        if batches.shape[1] == 8:
            raise OutOfMemoryError("no room for the batch")
        self.asked[batches.shape[1], batch_statistics] = batches
        return np.zeros(len(batches))


def test_batches_are_whole_and_cut_from_one_permutation():
    counting, data = Counting(), blobs()
    rows = evaluation_modes(counting, data, [1, 6, 4, 8, 12, 100], seed=3)
    assert rows[3]["reason"].endswith("no room for the batch")
    for size in (1, 4, 6, 12):  # 12 is the largest that fits into 20, and fits once
        for own in (False, True):
            assert counting.asked[size, own].shape == (12 // size, size)
            np.testing.assert_array_equal(counting.asked[size, own].ravel(), in_order(3)[:12])
    assert not np.array_equal(in_order(3), in_order(4))
