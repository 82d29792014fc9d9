"""The three loops that are timed in turns: with a pretended engine on a clock of its own, and as they are."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from small import blobs, recipe

from batchscope.probes.overheads import measure as overheads
from batchscope.training import timing
from batchscope.training.engines import OutOfMemoryError
from batchscope.training.engines.keras import fit
from batchscope.training.plans import Plan

SETTINGS = {"warmup_seconds": 2.0, "windows": 4, "window_seconds": 1.0}
COSTS = {"fused": (1e-3, 1e-5), "fit": (4e-3, 2e-5), "data": (1e-4, 1e-6)}  # seconds per update, per example


class Clockwork:
    """An engine whose loops take known times, and 3 s for the first updates; a call of `fit` takes 5 s to begin."""

    def __init__(self, monkeypatch, out_of_memory=False):
        self.now, self.made, self.out_of_memory = 0.0, [], out_of_memory
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def build(self, plan, data):
        self.batch_size = plan.batch_size
        return SimpleNamespace(
            train=partial(self.train, plan.loop),
            fit_seconds=partial(self.fit_seconds, plan.loop),
            read_batches=partial(self.read_batches, plan.loop),
        )

    def make(self, loop, updates):
        fixed, marginal = COSTS[loop]
        seconds = updates * (fixed + marginal * self.batch_size)
        self.now += seconds + (0.0 if loop in {made for made, _ in self.made} else 3.0)
        self.made.append((loop, updates))
        return seconds

    def train(self, loop, order, rates):
        assert len(order) == self.batch_size * len(rates)  # full batches only
        assert not rates.any()  # the weights stay where they are
        if len(rates):
            assert loop == "fused"
            self.make(loop, len(rates))

    def fit_seconds(self, loop, updates):
        assert loop == "fit"
        if self.out_of_memory:
            raise OutOfMemoryError("no room for the batch")
        self.now += 5.0
        return self.make(loop, updates)

    def read_batches(self, loop, order):
        assert loop == "fused"
        self.make("data", len(order) // self.batch_size)


@pytest.mark.parametrize("batch_size", [1, 8, 60])
def test_windows_give_the_time_of_an_update_in_each_loop(monkeypatch, batch_size):
    rows = overheads.loop_windows(Clockwork(monkeypatch), blobs(), Plan(recipe(), batch_size, 0, "fused"), SETTINGS)
    assert len(rows) == 3 * 4
    for row in rows:
        fixed, marginal = COSTS[row["loop"]]
        assert row["seconds_per_update"] == pytest.approx(fixed + marginal * batch_size)
        assert row["seconds"] == pytest.approx(1.0, rel=0.01)
        assert row["seconds"] == pytest.approx(row["updates"] * row["seconds_per_update"])


def test_loops_take_turns_after_all_are_warm(monkeypatch):
    engine = Clockwork(monkeypatch)
    rows = overheads.loop_windows(engine, blobs(), Plan(recipe(), 8, 0, "fit"), SETTINGS)
    assert [(row["loop"], row["window"]) for row in rows] == [
        (loop, window) for window in (1, 2, 3, 4) for loop in ("fused", "fit", "data")
    ]
    assert engine.made[-12:] == [(row["loop"], row["updates"]) for row in rows]  # nothing lies between the windows
    for loop, (fixed, marginal) in COSTS.items():
        before = sum(updates for made, updates in engine.made[:-12] if made == loop)
        assert before * (fixed + marginal * 8) >= SETTINGS["warmup_seconds"]


def test_without_a_number_of_windows_each_loop_has_seven(monkeypatch):
    settings = {**SETTINGS, "windows": None}
    rows = overheads.loop_windows(Clockwork(monkeypatch), blobs(), Plan(recipe(), 8, 0, "fused"), settings)
    assert [row["window"] for row in rows if row["loop"] == "fit"] == [1, 2, 3, 4, 5, 6, 7]


def test_accumulation_is_refused_and_too_little_memory_is_told(monkeypatch):
    engine = Clockwork(monkeypatch, out_of_memory=True)
    with pytest.raises(ValueError, match="recipe small accumulates micro batches"):
        overheads.loop_windows(engine, blobs(), Plan(recipe(micro_batch_size=2), 8, 0, "fused"), SETTINGS)
    with pytest.raises(OutOfMemoryError, match="no room"):
        overheads.loop_windows(engine, blobs(), Plan(recipe(), 8, 0, "fused"), SETTINGS)


def test_a_real_engine_has_the_three_loops(engine):
    settings = {"warmup_seconds": 0.01, "windows": 2, "window_seconds": 0.01}
    rows = overheads.loop_windows(engine, blobs(), Plan(recipe(), 8, 0, "fused"), settings)
    assert [row["loop"] for row in rows] == ["fused", "fit", "data"] * 2
    for row in rows:
        assert set(row) == {"loop", "window", "updates", "seconds", "seconds_per_update"}
        assert row["updates"] >= 1
        assert row["seconds"] > 0


@pytest.mark.parametrize(("batch_size", "batches"), [(1, 60), (7, 8), (60, 1)])
def test_the_loop_that_reads_looks_at_every_batch(engine, batch_size, batches):
    data = blobs()
    trainer = engine.build(Plan(recipe(), batch_size, 0, "fused"), data)
    order = np.random.default_rng(3).permutation(60).astype(np.int32)
    last = order[batch_size - 1 : batches * batch_size : batch_size]
    assert len(last) == batches
    assert trainer.read_batches(order) == pytest.approx(
        float((data.x_train[last, -1] + data.y_train[last]).sum()), rel=1e-5
    )


@pytest.mark.parametrize(("batch_size", "updates"), [(8, 1), (8, 20), (60, 3)])
def test_keras_own_loop_is_timed_from_the_second_update_and_moves_no_weight(engine, monkeypatch, batch_size, updates):
    adamw = recipe(optimizer={"name": "adamw", "weight_decay": 0.1})
    trainer = engine.build(Plan(adamw, batch_size, 0, "fit"), blobs())
    before = trainer.get_weights()
    iterations = trainer.model.optimizer.iterations
    monkeypatch.setattr(fit.time, "perf_counter", lambda: float(iterations.numpy()))
    assert trainer.fit_seconds(updates) == updates
    assert int(iterations.numpy()) == updates + 1
    for old, new in zip(before, trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
