"""Losses that a model adds because of its examples: the mean over the examples, whatever the batches of a pass."""

import numpy as np
import pytest
from small import blobs, recipe

from batchscope.data.functions import FunctionError
from batchscope.probes.modes.measure import evaluation_modes
from batchscope.training import loop
from batchscope.training.plans import Plan

ACTIVITY = "layers.Dense(8, activation='relu', activity_regularizer=keras.regularizers.L2(0.1))"
OWN = "layers.Dense(8, activation='relu'), Added()"


def own(folder, stack, added="ops.mean(ops.sum(x**2, axis=-1))", **changes):
    (folder / "model.py").write_text(
        "import keras\nfrom keras import layers, ops\n"
        "class Added(layers.Layer):\n"
        "    def call(self, x):\n"
        f"        self.add_loss(0.1 * {added})\n        return x\n"
        "def build(shape, classes):\n"
        f"    return keras.Sequential([layers.Input(shape), {stack}, layers.Dense(classes, kernel_regularizer='l2')])\n"
    )
    model = {"function": f"{folder / 'model.py'}:build", "arguments": {}, "outputs": "logits"}
    return {**recipe(**changes), "model": model}


def by_hand(weights, x, y):
    """Cross-entropy of dense, relu, dense, plus 0.1 · Σh² of each example, plus 0.01 · Σw² of the last kernel."""
    kernel, bias, output, last = (w.astype(np.float64) for w in weights)
    hidden = np.maximum(x @ kernel + bias, 0)
    logits = hidden @ output + last
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -logits[np.arange(len(y)), y] + 0.1 * (hidden**2).sum(axis=1) + 0.01 * (output**2).sum()


@pytest.fixture(scope="module", params=[ACTIVITY, OWN], ids=["activity regularizer", "add_loss"])
def made(request, tmp_path_factory):
    return own(tmp_path_factory.mktemp("model"), request.param)


@pytest.fixture(scope="module")
def untrained(engine, made):
    """A trainer that no test trains, which evaluates seven examples at a time."""
    return engine.build(Plan(made, 16, 1, "fused"), blobs())


@pytest.mark.parametrize("size", [1, 7, 60, 1000])
def test_the_evaluated_loss_is_the_mean_over_the_examples_at_every_evaluation_batch_size(engine, made, untrained, size):
    data = blobs()
    plan = Plan({**made, "evaluation_batch_size": size}, 16, 1, "fused")
    trainer = untrained if plan.recipe == made else engine.build(plan, data)
    for part in ("train", "validation"):
        each = by_hand(trainer.get_weights(), *(getattr(data, f"{name}_{part}") for name in "xy"))
        assert trainer.evaluate(part)[0] == pytest.approx(each.mean(), rel=1e-6)
        assert np.ptp(each) > 0.1  # so that the first example does not stand for all


@pytest.mark.parametrize("micro", [None, 5])
def test_the_loss_of_an_update_is_that_of_its_batch_also_in_micro_batches(engine, made, micro):
    data = blobs()
    trainer = engine.build(Plan({**made, "micro_batch_size": micro}, 16, 1, "fused"), data)
    weights = trainer.get_weights()
    found = trainer.train(np.arange(60, dtype=np.int32), np.zeros(4, np.float32)).loss
    each = by_hand(weights, data.x_train, data.y_train)
    assert found == pytest.approx([each[i : i + 16].mean() for i in range(0, 60, 16)], rel=1e-6)


def test_both_loops_and_accumulation_train_alike(engine, made):
    plans = [
        Plan(made, 16, 1, "fused"),
        Plan(made, 16, 1, "fit"),
        Plan({**made, "micro_batch_size": 5}, 16, 1, "fused"),
    ]
    first, *others = (loop.train(engine, blobs(), plan, step_records=100).evaluations[-1] for plan in plans)
    for other in others:
        assert other["train_loss"] == pytest.approx(first["train_loss"], rel=1e-5)


def test_losses_of_batches_have_the_mean_of_the_part(untrained):
    for row in evaluation_modes(untrained, blobs(), [1, 4, 20], seed=0):
        assert row["inference_loss"] == pytest.approx(untrained.evaluate("validation")[0], rel=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, 60])
def test_the_frozen_model_has_the_same_loss_and_its_examples_the_mean_gradient(engine, made, untrained, chunk):
    data, weights = blobs(), untrained.get_weights()
    frozen = engine.freeze(made, (data.x_train, data.y_train), 3, weights, "float64", chunk)
    loss, gradient = frozen.loss_and_gradient(frozen.weights)
    assert loss == pytest.approx(by_hand(weights, data.x_train, data.y_train).mean(), rel=1e-7)
    np.testing.assert_allclose(frozen.example_gradients(np.arange(60)).mean(axis=0), gradient, rtol=1e-9, atol=1e-12)
    step = 1e-6 * gradient
    change = frozen.loss_and_gradient(frozen.weights + step)[1] - frozen.loss_and_gradient(frozen.weights - step)[1]
    np.testing.assert_allclose(frozen.hessian_vector(gradient), change / 2e-6, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("added", ["ops.sum(x**2)", "ops.sum(x**2, axis=-1)"])
def test_a_loss_that_grows_with_the_batch_is_refused(engine, tmp_path, added):
    with pytest.raises(FunctionError, match=r"model\.py:build adds a loss that grows with the batch"):
        engine.build(Plan(own(tmp_path, OWN, added), 16, 1, "fused"), blobs())


def test_a_loss_of_the_whole_batch_trains_and_has_no_gradients_of_single_examples(engine, tmp_path):
    made, data = own(tmp_path, OWN, "ops.sum(ops.mean(x, axis=0)**2)"), blobs()
    trainer = engine.build(Plan(made, 16, 1, "fused"), data)
    with pytest.raises(FunctionError, match="belongs to a batch"):
        engine.freeze(made, (data.x_train, data.y_train), 3, trainer.get_weights(), "float32", 7)
