"""Weights that a run keeps: when, and that they are those of that checkpoint."""

import numpy as np
import pandas as pd
import pytest
from small import blobs, softmax

from batchscope.training import loop, snapshots
from batchscope.training.checkpoints import END, START, Checkpoint, at, by_checkpoint
from batchscope.training.plans import Plan
from batchscope.training.snapshots import Snapshot

HALF = Checkpoint(fraction=0.5)


def trained(reference, *, epochs=4, stopping=None, budget=None, **wanted):
    made = softmax(
        snapshots=wanted,
        optimizer={"learning_rate": 0.2},
        budget={"epochs": epochs, "early_stopping": stopping, **(budget or {})},
    )
    return loop.train(reference, blobs(), Plan(made, 16, 1, "fused"), step_records=100)


def test_weights_are_kept_at_shares_of_the_budget(reference):
    progress = trained(reference, at=[0.0, 0.5, 1.0])
    assert [(s.checkpoint, s.epoch, s.updates) for s in progress.snapshots] == [
        (START, 0, 0),
        (HALF, 2, 8),
        (END, 4, 16),
    ]


def test_evaluations_spread_in_the_logarithm_meet_the_shares_at_which_weights_are_kept(reference):
    progress = trained(reference, budget={"evaluations": 3, "first_evaluation_at": 0.0625}, at=[0.5])
    assert [row["updates"] for row in progress.evaluations] == [0, 1, 8, 16]
    assert [(s.checkpoint, s.updates) for s in progress.snapshots] == [(HALF, 8)]


def test_the_kept_weights_give_the_loss_of_their_checkpoint(reference):
    progress = trained(reference, at=[0.5])
    kept, trainer = progress.snapshots[0], reference.build(Plan(softmax(), 16, 9, "fused"), blobs())
    trainer.set_weights(kept.weights)
    assert trainer.evaluate("train")[0] == kept.train_loss == progress.evaluations[2]["train_loss"]


def test_a_run_that_stops_early_has_an_end_and_no_middle(reference):
    stopping = {"patience": 1, "restore_best": True}
    progress = trained(reference, epochs=1000, stopping=stopping, at=[0.5, 1.0])
    assert progress.stopped_early
    assert [s.checkpoint for s in progress.snapshots] == [END]
    assert progress.snapshots[0].updates == progress.updates


def test_weights_are_kept_where_the_training_loss_first_falls_to_a_value(reference):
    progress = trained(reference, epochs=8, train_losses=[0.9, 1e-9])
    losses = [row["train_loss"] for row in progress.evaluations]
    first = next(number for number, loss in enumerate(losses) if loss <= 0.9)
    assert first > 0, "the untrained network is above the value"
    assert [(s.checkpoint, s.train_loss) for s in progress.snapshots] == [(Checkpoint(train_loss=0.9), losses[first])]


def test_snapshots_are_read_as_they_were_written(tmp_path):
    weights = [np.arange(n, dtype=np.float32) for n in range(12)]
    written = [Snapshot(START, 0.0, 0, 2.5, weights), Snapshot(Checkpoint(train_loss=0.3), 3.0, 12, 0.25, weights[:1])]
    snapshots.write(written, tmp_path / "weights.npz")
    found = snapshots.read(tmp_path / "weights.npz")
    assert list(found) == [START, Checkpoint(train_loss=0.3)]
    for one in written:
        other = found[one.checkpoint]
        assert (other.epoch, other.updates, other.train_loss) == (one.epoch, one.updates, one.train_loss)
        assert all(np.array_equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))
    snapshots.write([], tmp_path / "none.npz")
    assert snapshots.read(tmp_path / "none.npz") == {}


def test_a_checkpoint_is_at_a_fraction_or_at_a_training_loss():
    for ends in ({}, {"fraction": 0.5, "train_loss": 0.3}):
        with pytest.raises(ValueError, match="one of the two"):
            Checkpoint(**ends)


def test_checkpoints_are_in_the_order_of_a_run_and_are_what_their_columns_say():
    exact = Checkpoint(train_loss=0.3, interpolated=True)
    order = [START, HALF, Checkpoint(train_loss=2.0), exact, Checkpoint(train_loss=0.3), END]
    frame = pd.DataFrame([{**each.columns, "interpolated": each.interpolated} for each in reversed(order)])
    assert [*by_checkpoint(frame)] == order
    for position, each in enumerate(reversed(order)):
        assert at(frame, each).index.tolist() == [position]
    assert [each.label for each in order[1:4]] == [
        "50 % of the budget",
        "first below training loss 2",
        "training loss 0.3",
    ]
