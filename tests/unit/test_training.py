"""Training through the TensorFlow engine on tiny data: exact results, equal loops, outcomes, records."""

import math

import numpy as np
import pytest
from small import blobs, recipe

from batchscope.data.functions import FunctionError
from batchscope.training import loop as training
from batchscope.training import recipes
from batchscope.training.engines.keras import models
from batchscope.training.engines.tensorflow.settings import BACKEND
from batchscope.training.plans import Plan


def train(engine, made=None, *, batch_size=16, seed=1, loop="fused", data=None, step_records=10_000):
    return training.train(
        engine, data or blobs(), Plan(made or recipe(), batch_size, seed, loop), step_records=step_records
    )


def column(rows, name):
    return np.array([row[name] for row in rows], dtype=float)


LOOPS = {
    "plain": recipe(),
    "dropout": recipe(model={"dropout": 0.5}),
    "batch normalization": recipe(model={"normalization": "batch"}),
    "layer normalization": recipe(model={"normalization": "layer"}),
    "group normalization": recipe(model={"normalization": "group"}),
    "nesterov": recipe(optimizer={"momentum": 0.9, "nesterov": True}),
    "adamw, clipped": recipe(optimizer={"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.1, "clipnorm": 0.5}),
    "warm-up": recipe(learning_rate_scaling={"rule": "linear", "reference_batch_size": 8, "warmup_epochs": 1.5}),
    "dropped last batch": recipe(last_batch="drop"),
}


@pytest.mark.parametrize("made", LOOPS.values(), ids=LOOPS)
def test_the_fused_loop_gives_the_losses_of_model_fit(engine, made):
    fused, fit = train(engine, made), train(engine, made, loop="fit")
    assert len(fused.steps) == 3 * recipes.updates_per_epoch(60, 16, made["last_batch"])
    np.testing.assert_allclose(column(fused.steps, "loss"), column(fit.steps, "loss"), rtol=1e-6)
    np.testing.assert_allclose(
        column(fused.evaluations, "validation_loss"), column(fit.evaluations, "validation_loss"), rtol=1e-6
    )
    assert fit.steps[0]["gradient_norm"] is None
    assert fused.metrics.keys() == fit.metrics.keys()


def test_the_same_seed_is_bit_identical_and_another_seed_is_not(engine):
    made = recipe(model={"dropout": 0.3})
    first, again, other = train(engine, made), train(engine, made), train(engine, made, seed=2)
    assert first.steps == again.steps
    assert first.metrics == again.metrics
    assert first.steps[0]["loss"] != other.steps[0]["loss"]


def softmax_regression(tmp_path):
    file = tmp_path / "model.py"
    file.write_text(
        "import keras\n"
        "def build(input_shape, classes):\n"
        "    return keras.Sequential([keras.layers.Input(input_shape), keras.layers.Dense(classes)])\n"
    )
    made = recipe(optimizer={"learning_rate": 0.5}, shuffle=False, budget={"epochs": 1}, tracked_weight=[2, 1])
    made["model"] = {"function": f"{file}:build", "arguments": {}, "outputs": "logits"}
    return made


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(engine):
    data = blobs()
    data.x_train[:] *= 1e20
    result = train(engine, recipe(optimizer={"learning_rate": 1e20}), data=data)
    assert result.outcome == "diverged"
    assert f"update {result.updates} " in result.outcome_detail
    assert not math.isfinite(result.steps[-1]["loss"])
    assert result.steps[-1]["update"] == result.updates < 12
    assert result.metrics["last_test_accuracy"] is None


def test_evaluating_more_often_changes_no_weight_and_shows_parts_of_epochs(engine):
    made = recipe(model={"dropout": 0.3}, learning_rate_scaling={"warmup_epochs": 1.5})
    often = {**made, "budget": {**made["budget"], "evaluations": 6}}
    rare, dense = train(engine, made), train(engine, often)
    assert rare.steps == dense.steps
    assert rare.metrics["last_test_loss"] == dense.metrics["last_test_loss"]
    assert column(dense.evaluations, "updates").tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert column(dense.evaluations, "epoch").tolist() == pytest.approx([0, 32 / 60, 1, 1 + 32 / 60, 2, 2 + 32 / 60, 3])
    same = {row["epoch"]: row["validation_loss"] for row in dense.evaluations}
    assert all(same[row["epoch"]] == row["validation_loss"] for row in rare.evaluations)
    fit = train(engine, often, loop="fit")
    np.testing.assert_allclose(column(dense.steps, "loss"), column(fit.steps, "loss"), rtol=1e-6)


def test_moving_average_of_the_weights_replaces_them_as_often_as_the_recipe_says(engine):
    ema = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 6}
    averaged, plain = (train(engine, recipe(optimizer={"learning_rate": 0.5, **more})) for more in (ema, {}))
    assert [row["loss"] for row in averaged.steps[:6]] == [row["loss"] for row in plain.steps[:6]]
    assert averaged.steps[6]["loss"] != plain.steps[6]["loss"]


def test_probabilities_and_logits_give_the_same_training(engine, tmp_path):
    made = softmax_regression(tmp_path)
    file = tmp_path / "probabilities.py"
    file.write_text(
        "import keras\n"
        "def build(input_shape, classes):\n"
        "    layers = [keras.layers.Input(input_shape), keras.layers.Dense(classes, activation='softmax')]\n"
        "    return keras.Sequential(layers)\n"
    )
    other = {**made, "model": {"function": f"{file}:build", "arguments": {}, "outputs": "probabilities"}}
    np.testing.assert_allclose(
        column(train(engine, made).steps, "loss"), column(train(engine, other).steps, "loss"), rtol=1e-5
    )


def test_a_model_that_fails_is_named_with_what_it_says(engine, tmp_path):
    (tmp_path / "model.py").write_text("def build(input_shape, classes):\n    raise ValueError('no such width')\n")
    made = {**recipe(), "model": {"function": f"{tmp_path / 'model.py'}:build", "arguments": {}, "outputs": "logits"}}
    with pytest.raises(FunctionError, match=r"model\.py:build failed with ValueError: no such width"):
        train(engine, made)


@pytest.mark.parametrize(
    ("softmax", "says", "valid"), [(True, "logits", "probabilities"), (False, "probabilities", "logits")]
)
def test_a_model_that_does_not_return_what_the_recipe_says_is_refused(engine, tmp_path, softmax, says, valid):
    file = tmp_path / "model.py"
    activation = "softmax" if softmax else "linear"
    file.write_text(
        "import keras\n"
        "def build(input_shape, classes):\n"
        f"    layers = [keras.layers.Input(input_shape), keras.layers.Dense(classes, activation='{activation}')]\n"
        "    return keras.Sequential(layers)\n"
    )
    made = {**recipe(), "model": {"function": f"{file}:build", "arguments": {}, "outputs": says}}
    with pytest.raises(FunctionError, match=f"the recipe says outputs: {says}; valid is outputs: {valid}"):
        train(engine, made)


def test_cnn_trains_on_images_and_at_batch_size_one_with_every_normalization(engine):
    data = blobs(n_train=12, features=36, shape=(6, 6, 1))
    for normalization in ("none", "batch", "layer", "group"):
        model = {"name": "cnn", "filters": [4, 8], "kernel_size": 3, "dense": 16, "activation": "relu", "dropout": 0.2}
        made = {**recipe(budget={"epochs": 1}), "model": {**model, "normalization": normalization}}
        result = train(engine, made, batch_size=1, data=data)
        assert (result.outcome, result.updates) == ("ok", 12)


def test_a_trial_is_the_same_training_and_never_looks_at_the_test_part(engine):
    made = recipe(
        model={"dropout": 0.3},
        snapshots={"at": [0.0, 1.0], "train_losses": [9.0]},
        budget={"epochs": 6, "early_stopping": {"patience": 1, "restore_best": True}},
    )
    plan = Plan(made, 16, 1, "fused")
    whole = training.train(engine, blobs(), plan, step_records=10)
    trial = training.train(engine, blobs(), plan, step_records=10, trial=True)
    for name in ("outcome", "selected_epoch", "updates", "stopped_early"):
        assert getattr(trial, name) == getattr(whole, name)
    assert (
        column(trial.evaluations, "validation_loss").tolist() == column(whole.evaluations, "validation_loss").tolist()
    )
    assert trial.metrics["selected_validation_loss"] == whole.metrics["selected_validation_loss"]
    assert trial.metrics["selected_test_loss"] is None
    assert trial.evaluations[-1]["train_loss"] == whole.evaluations[-1]["train_loss"]
    assert trial.snapshots == []


@pytest.mark.parametrize("normalization", ["batch", "layer", "group"])
def test_normalization_stands_between_layer_and_activation(normalization):
    model = {"name": "mlp", "hidden": [12], "activation": "relu", "dropout": 0.5, "normalization": normalization}
    kinds = [type(layer).__name__ for layer in models.build(BACKEND, {"model": model}, (4,), 3, 0).layers]
    expected = "BatchNormalization" if normalization == "batch" else "GroupNormalization"
    assert kinds == ["Flatten", "Dense", expected, "Activation", "Dropout", "Dense"]
