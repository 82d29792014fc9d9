"""Timing with a pretended engine whose updates take known times, so that the answers are exact."""

import contextlib

import numpy as np
import pytest
from small import blobs, recipe

from batchscope.training import timing
from batchscope.training.engines import OutOfMemoryError
from batchscope.training.plans import Plan

SETTINGS = {"warmup_seconds": 2.0, "windows": 5, "window_seconds": 1.0}


class Clockwork:
    """An engine on a clock of its own: 3 s to start, 1 ms of fixed cost and 0.01 ms per example for an update."""

    def __init__(self, monkeypatch, out_of_memory_at=None):
        self.now, self.calls, self.limit = 0.0, [], out_of_memory_at
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def prepare(self, plan, data):
        self.now += 100.0  # which no time of the answers contains

    def build(self, plan, data):
        self.batch_size = plan.batch_size
        return self

    def train(self, order, rates):
        if self.limit and self.batch_size >= self.limit:
            raise OutOfMemoryError("no room for the batch")
        assert len(order) == self.batch_size * len(rates)  # full batches only
        assert not rates.any()  # the weights stay where they are
        self.now += len(rates) * (1e-3 + 1e-5 * self.batch_size) + (3.0 if len(rates) and not self.calls else 0.0)
        self.calls += [len(rates)] if len(rates) else []


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 1.01e-3), (8, 1.08e-3), (60, 1.6e-3)])
def test_windows_give_the_time_of_an_update_and_last_as_long_as_asked(monkeypatch, batch_size, expected):
    engine = Clockwork(monkeypatch)
    measured = timing.measure(
        engine, blobs(), Plan(recipe(), batch_size, 0, "fused"), contextlib.nullcontext(), **SETTINGS
    )
    assert len(measured.windows) == 5
    for window in measured.windows:
        assert window["seconds_per_update"] == pytest.approx(expected)
        assert window["seconds"] == pytest.approx(1.0, rel=0.01)
    assert sum(engine.calls[1:-5]) * expected >= SETTINGS["warmup_seconds"]


def test_the_observer_sees_the_windows_only(monkeypatch):
    engine = Clockwork(monkeypatch)
    seen = []

    @contextlib.contextmanager
    def observer():
        seen.append(engine.now)
        yield
        seen.append(engine.now)

    measured = timing.measure(engine, blobs(), Plan(recipe(), 8, 0, "fused"), observer(), **SETTINGS)
    assert seen[1] - seen[0] == pytest.approx(sum(window["seconds"] for window in measured.windows))


def test_too_little_memory_is_an_outcome_without_windows(monkeypatch):
    engine = Clockwork(monkeypatch, out_of_memory_at=16)
    measured = timing.measure(engine, blobs(), Plan(recipe(), 16, 0, "fused"), contextlib.nullcontext(), **SETTINGS)
    assert (measured.outcome, measured.outcome_detail) == ("out_of_memory", "no room for the batch")
    assert measured.windows == []


def test_timing_leaves_the_weights_of_a_real_model_alone(engine):
    trainer = engine.build(Plan(recipe(optimizer={"name": "adamw", "weight_decay": 0.1}), 8, 0, "fused"), blobs())
    before = trainer.get_weights()
    trainer.train(np.arange(60, dtype=np.int32), np.zeros(8, np.float32))
    for old, new in zip(before, trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
