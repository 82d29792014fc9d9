"""The loop of a run, on the reference engine: records, budgets, early stopping, outcomes."""

import math

import numpy as np
import pytest
from small import blobs, softmax

from batchscope.training import loop as training
from batchscope.training.plans import Plan


def train(engine, made=None, *, batch_size=16, step_records=10_000, trial=False):
    plan = Plan(made or softmax(), batch_size, 1, "fused")
    return training.train(engine, blobs(), plan, step_records=step_records, trial=trial)


def column(rows, name):
    return np.array([row[name] for row in rows], dtype=float)


def test_the_selected_epoch_is_the_best_on_validation_and_its_metrics_are_those_of_its_weights(reference):
    made = softmax(
        optimizer={"learning_rate": 0.5}, budget={"epochs": 40, "early_stopping": {"patience": 4, "restore_best": True}}
    )
    result = train(reference, made, batch_size=4)
    losses = column(result.evaluations, "validation_loss")[1:]
    assert result.stopped_early
    assert result.selected_epoch == losses.argmin() + 1
    assert len(losses) == result.selected_epoch + 4
    selected = result.evaluations[result.selected]
    assert result.metrics["selected_validation_loss"] == pytest.approx(selected["validation_loss"], rel=1e-9)
    assert result.metrics["selected_train_accuracy"] == selected["train_accuracy"]
    assert result.metrics["last_validation_loss"] == pytest.approx(losses[-1], rel=1e-9)
    until_then = train(
        reference, softmax(optimizer={"learning_rate": 0.5}, budget={"epochs": result.selected_epoch}), batch_size=4
    )
    for part in training.PARTS:
        assert result.metrics[f"selected_{part}_loss"] == until_then.metrics[f"last_{part}_loss"]


def test_epoch_rows_count_updates_and_examples_and_average_the_step_losses(reference):
    result = train(reference)
    assert column(result.evaluations, "updates").tolist() == [0, 4, 8, 12]
    assert column(result.evaluations, "examples").tolist() == [0, 60, 120, 180]
    first = column(result.steps[:4], "loss")
    assert result.evaluations[1]["step_loss_mean"] == pytest.approx(np.average(first, weights=[16, 16, 16, 12]))
    assert result.evaluations[1]["step_loss_noise"] == pytest.approx(
        training.step_loss_noise(first[:3])
    )  # whole batches
    assert result.evaluations[0]["step_loss_mean"] is None


def test_thinned_steps_keep_the_first_and_the_last_and_nothing_else_changes(reference):
    whole, thinned = train(reference, batch_size=1), train(reference, batch_size=1, step_records=50)
    assert [row["update"] for row in thinned.steps] == [*range(1, 181, 4), 180]
    by_update = {row["update"]: row for row in whole.steps}
    assert all(by_update[row["update"]] == row for row in thinned.steps)
    assert whole.metrics == thinned.metrics


def test_a_run_that_stops_early_keeps_its_last_update(reference):
    made = softmax(
        optimizer={"learning_rate": 0.5}, budget={"epochs": 40, "early_stopping": {"patience": 4, "restore_best": True}}
    )
    result = train(reference, made, batch_size=4, step_records=7)
    assert result.stopped_early
    assert result.steps[-1]["update"] == result.updates


def test_a_finite_but_exploded_loss_counts_as_diverged_and_keeps_its_numbers(reference):
    result = train(reference, softmax(optimizer={"learning_rate": 1e4}))  # linear: the loss grows with the rate
    assert result.outcome == "diverged"
    assert result.metrics["last_train_loss"] > 10 * result.evaluations[0]["train_loss"]


def test_a_budget_in_updates_is_the_same_training_cut_at_an_update(reference):
    whole = train(reference, softmax(), batch_size=16)
    made = softmax(budget={"epochs": None, "updates": 10, "evaluations": 2})
    cut = train(reference, made, batch_size=16)
    assert cut.steps == whole.steps[:10]
    assert (cut.updates, cut.examples, cut.epoch) == (10, 2 * 60 + 32, pytest.approx(2 + 32 / 60))
    assert [row["updates"] for row in cut.evaluations] == [0, 5, 10]
    assert train(reference, made, batch_size=60).epoch == 10  # a full batch needs ten epochs for ten updates


@pytest.mark.parametrize("rate", [1e4, 1e30])
def test_a_trial_that_diverges_says_so(reference, rate):
    made = softmax(optimizer={"learning_rate": rate})
    ends = [train(reference, made, trial=trial).outcome for trial in (False, True)]
    assert ends == ["diverged", "diverged"]


def test_full_batch_is_one_update_per_epoch_and_its_noise_spans_epochs(reference):
    result = train(reference, batch_size=60)
    assert column(result.evaluations, "updates").tolist() == [0, 1, 2, 3]
    losses = column(result.steps, "loss")
    assert result.evaluations[2]["step_loss_noise"] is None
    assert result.evaluations[3]["step_loss_noise"] == pytest.approx(
        abs(losses[0] - 2 * losses[1] + losses[2]) / math.sqrt(6)
    )


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
