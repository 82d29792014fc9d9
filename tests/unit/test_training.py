"""Training through the TensorFlow engine on tiny data: exact results, equal loops, outcomes, records."""

import math

import numpy as np
import pytest
from small import blobs, recipe

from batchscope.data.functions import FunctionError
from batchscope.training import loop as training
from batchscope.training import recipes
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
    "batch normalisation": recipe(model={"normalisation": "batch"}),
    "layer normalisation": recipe(model={"normalisation": "layer"}),
    "group normalisation": recipe(model={"normalisation": "group"}),
    "nesterov": recipe(optimiser={"momentum": 0.9, "nesterov": True}),
    "adamw, clipped": recipe(optimiser={"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.1, "clipnorm": 0.5}),
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


def test_runs_of_one_seed_start_from_the_same_weights_at_every_batch_size(engine):
    start = {train(engine, batch_size=size).evaluations[0]["validation_loss"] for size in (1, 16, 60)}
    assert len(start) == 1


def softmax_regression(tmp_path):
    file = tmp_path / "model.py"
    file.write_text(
        "import keras\n"
        "def build(input_shape, classes):\n"
        "    return keras.Sequential([keras.layers.Input(input_shape), keras.layers.Dense(classes)])\n"
    )
    made = recipe(optimiser={"learning_rate": 0.5}, shuffle=False, budget={"epochs": 1}, tracked_weight=[2, 1])
    made["model"] = {"function": f"{file}:build", "arguments": {}, "outputs": "logits"}
    return made


def test_softmax_regression_updates_are_those_computed_by_hand(engine, tmp_path):
    made, data = softmax_regression(tmp_path), blobs()
    trainer = engine.build(Plan(made, 16, 1, "fused"), data)
    kernel, bias = (w.astype(np.float64) for w in trainer.get_weights())
    steps = trainer.train(np.arange(60, dtype=np.int32), np.full(4, 0.5, np.float32))
    for i, start in enumerate(range(0, 60, 16)):  # the last batch has 12 examples
        x, y = data.x_train[start : start + 16], data.y_train[start : start + 16]
        logits = x @ kernel + bias
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        error = (p - np.eye(3)[y]) / len(y)
        gradients = x.T @ error, error.sum(0)
        assert steps.loss[i] == pytest.approx(-np.log(p[np.arange(len(y)), y]).mean(), rel=1e-5)
        assert steps.gradient_norm[i] == pytest.approx(math.sqrt(sum((g**2).sum() for g in gradients)), rel=1e-5)
        kernel, bias = kernel - 0.5 * gradients[0], bias - 0.5 * gradients[1]
        assert steps.weight[i] == pytest.approx(kernel[2, 1], abs=1e-6)
    np.testing.assert_allclose(trainer.get_weights()[0], kernel, atol=1e-6)


@pytest.mark.parametrize("micro", [4, 5, 16])
def test_accumulated_micro_batches_make_the_update_of_the_whole_batch(engine, micro):
    whole, parts = train(engine), train(engine, recipe(micro_batch_size=micro))
    for name in ("loss", "gradient_norm", "weight"):
        np.testing.assert_allclose(column(parts.steps, name), column(whole.steps, name), rtol=2e-4, atol=1e-6)


def test_evaluation_does_not_depend_on_its_batch_size(engine):
    results = [train(engine, recipe(evaluation_batch_size=size)) for size in (1, 7, 1000)]
    for result in results[1:]:
        assert result.metrics == pytest.approx(results[0].metrics, rel=1e-6)


def test_the_selected_epoch_is_the_best_on_validation_and_its_metrics_are_those_of_its_weights(engine):
    made = recipe(
        optimiser={"learning_rate": 0.5}, budget={"epochs": 40, "early_stopping": {"patience": 4, "restore_best": True}}
    )
    result = train(engine, made, batch_size=4)
    losses = column(result.evaluations, "validation_loss")[1:]
    assert result.stopped_early
    assert result.selected_epoch == losses.argmin() + 1
    assert len(losses) == result.selected_epoch + 4
    selected = result.evaluations[result.selected]
    assert result.metrics["selected_validation_loss"] == pytest.approx(selected["validation_loss"], rel=1e-9)
    assert result.metrics["selected_train_accuracy"] == selected["train_accuracy"]
    assert result.metrics["last_validation_loss"] == pytest.approx(losses[-1], rel=1e-9)
    until_then = train(
        engine, recipe(optimiser={"learning_rate": 0.5}, budget={"epochs": result.selected_epoch}), batch_size=4
    )
    for part in training.PARTS:
        assert result.metrics[f"selected_{part}_loss"] == until_then.metrics[f"last_{part}_loss"]


def test_epoch_rows_count_updates_and_examples_and_average_the_step_losses(engine):
    result = train(engine)
    assert column(result.evaluations, "updates").tolist() == [0, 4, 8, 12]
    assert column(result.evaluations, "examples").tolist() == [0, 60, 120, 180]
    first = column(result.steps[:4], "loss")
    assert result.evaluations[1]["step_loss_mean"] == pytest.approx(np.average(first, weights=[16, 16, 16, 12]))
    assert result.evaluations[1]["step_loss_noise"] == pytest.approx(
        training.step_loss_noise(first[:3])
    )  # whole batches
    assert result.evaluations[0]["step_loss_mean"] is None


def test_thinned_steps_keep_the_first_and_the_last_and_nothing_else_changes(engine):
    whole, thinned = train(engine, batch_size=1), train(engine, batch_size=1, step_records=50)
    assert [row["update"] for row in thinned.steps] == [*range(1, 181, 4), 180]
    by_update = {row["update"]: row for row in whole.steps}
    assert all(by_update[row["update"]] == row for row in thinned.steps)
    assert whole.metrics == thinned.metrics


def test_a_run_that_stops_early_keeps_its_last_update(engine):
    made = recipe(
        optimiser={"learning_rate": 0.5}, budget={"epochs": 40, "early_stopping": {"patience": 4, "restore_best": True}}
    )
    result = train(engine, made, batch_size=4, step_records=7)
    assert result.stopped_early
    assert result.steps[-1]["update"] == result.updates


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(engine):
    data = blobs()
    data.x_train[:] *= 1e20
    result = train(engine, recipe(optimiser={"learning_rate": 1e20}), data=data)
    assert result.outcome == "diverged"
    assert f"update {result.updates} " in result.outcome_detail
    assert not math.isfinite(result.steps[-1]["loss"])
    assert result.steps[-1]["update"] == result.updates < 12
    assert result.metrics["last_test_accuracy"] is None


def test_a_finite_but_exploded_loss_counts_as_diverged_and_keeps_its_numbers(engine, tmp_path):
    made = softmax_regression(tmp_path)  # linear: its loss grows with the rate and does not overflow
    result = train(engine, {**made, "optimiser": {"name": "sgd", "learning_rate": 1e4}})
    assert result.outcome == "diverged"
    assert result.metrics["last_train_loss"] > 10 * result.evaluations[0]["train_loss"]


def test_a_model_that_does_not_fit_is_an_outcome_not_a_crash(engine):
    made = recipe(model={"hidden": [3_000_000, 3_000_000]})
    result = train(engine, made)
    assert result.outcome == "out_of_memory"
    assert result.outcome_detail
    assert result.evaluations == [] == result.steps
    assert set(result.metrics.values()) == {None}


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


def test_a_budget_in_updates_is_the_same_training_cut_at_an_update(engine):
    whole = train(engine, recipe(), batch_size=16)
    made = recipe(budget={"epochs": None, "updates": 10, "evaluations": 2})
    cut = train(engine, made, batch_size=16)
    assert cut.steps == whole.steps[:10]
    assert (cut.updates, cut.examples, cut.epoch) == (10, 2 * 60 + 32, pytest.approx(2 + 32 / 60))
    assert [row["updates"] for row in cut.evaluations] == [0, 5, 10]
    assert train(engine, made, batch_size=60).epoch == 10  # a full batch needs ten epochs for ten updates


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


@pytest.mark.parametrize("rate", [1e4, 1e30])
def test_a_trial_that_diverges_says_so(engine, rate):
    made = recipe(optimiser={"learning_rate": rate})
    ends = [
        training.train(engine, blobs(), Plan(made, 16, 1, "fused"), step_records=10, trial=trial).outcome
        for trial in (False, True)
    ]
    assert ends == ["diverged", "diverged"]


def test_full_batch_is_one_update_per_epoch_and_its_noise_spans_epochs(engine):
    result = train(engine, batch_size=60)
    assert column(result.evaluations, "updates").tolist() == [0, 1, 2, 3]
    losses = column(result.steps, "loss")
    assert result.evaluations[2]["step_loss_noise"] is None
    assert result.evaluations[3]["step_loss_noise"] == pytest.approx(
        abs(losses[0] - 2 * losses[1] + losses[2]) / math.sqrt(6)
    )


def test_moving_average_of_the_weights_replaces_them_as_often_as_the_recipe_says(engine):
    ema = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 6}
    averaged, plain = (train(engine, recipe(optimiser={"learning_rate": 0.5, **more})) for more in (ema, {}))
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


def test_cnn_trains_on_images_and_at_batch_size_one_with_every_normalisation(engine):
    data = blobs(n_train=12, features=36, shape=(6, 6, 1))
    for normalisation in ("none", "batch", "layer", "group"):
        model = {"name": "cnn", "filters": [4, 8], "kernel_size": 3, "dense": 16, "activation": "relu", "dropout": 0.2}
        made = {**recipe(budget={"epochs": 1}), "model": {**model, "normalisation": normalisation}}
        result = train(engine, made, batch_size=1, data=data)
        assert (result.outcome, result.updates) == ("ok", 12)


def test_step_loss_noise_is_the_standard_deviation_of_noise_around_a_falling_line():
    assert training.step_loss_noise(np.array([1.0, 3.0, 1.0])) == pytest.approx(4 / math.sqrt(6))
    assert training.step_loss_noise(np.array([3.0, 2.0, 1.0])) == pytest.approx(0, abs=1e-12)
    assert training.step_loss_noise(np.array([1.0, 2.0])) is None
    noise = np.random.default_rng(0).normal(scale=0.1, size=20_000)
    assert training.step_loss_noise(noise + np.linspace(500, 0, 20_000)) == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize(
    ("updates", "noises", "expected"),
    [
        ([5], [0.3], 0.3),
        ([5, 10, 15, 20], [9, 9, 1, 3], 2),
        ([5, 10, 15], [9, 1, 3], 2),
        ([1, 2, 4, 8, 9, 16], [9, 9, 9, 9, 1, 3], 2),  # evenly spread in the logarithm
        ([5, 10], [None, None], None),
    ],
)
def test_the_noise_of_a_run_is_the_median_over_the_last_half_of_its_updates(updates, noises, expected):
    trained = ({"updates": at, "step_loss_noise": noise} for at, noise in zip(updates, noises, strict=True))
    assert training.median_noise([{"updates": 0, "step_loss_noise": None}, *trained]) == expected
