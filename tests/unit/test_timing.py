"""Timing with a pretended engine whose updates take known times, so that the answers are exact."""

import contextlib
import itertools

import numpy as np
import pytest
from scipy import stats
from small import blobs, recipe

from batchscope.training import timing
from batchscope.training.engines import OutOfMemoryError
from batchscope.training.plans import Plan

FIVE = timing.Until(windows=5, precision=0.02, max_seconds=7.0)
PRECISE = timing.Until(windows=None, precision=0.02, max_seconds=7.0)
MEDIANS = {0.0: 1.0, 0.2: 1.0039}  # by share of disturbed windows
SETTINGS = {"warmup_seconds": 2.0, "until": FIVE, "window_seconds": 1.0}


class Clockwork:
    """An engine on a clock of its own: 3 s to start, 1 ms of fixed cost and 0.01 ms per example for an update.

    Its calls take `factors` times as long, in turns. A call beyond an epoch compiles for 5 s if its length is new.
    """

    def __init__(self, monkeypatch, out_of_memory_at=None, factors=(1.0,), compiles=False):
        self.now, self.calls, self.limit = 0.0, [], out_of_memory_at
        self.factors, self.compiles = itertools.cycle(factors), compiles
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
        if not len(rates):
            return
        self.now += len(rates) * (1e-3 + 1e-5 * self.batch_size) * next(self.factors) + (0.0 if self.calls else 3.0)
        if self.compiles and len(order) > 60 and len(rates) not in self.calls:
            self.now += 5.0
        self.calls.append(len(rates))


def measure(engine, batch_size=8, **settings):
    """A timing of the made-up engine."""
    plan = Plan(recipe(), batch_size, 0, "fused")
    return timing.measure(engine, blobs(), plan, contextlib.nullcontext(), **{**SETTINGS, **settings})


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 1.01e-3), (8, 1.08e-3), (60, 1.6e-3)])
def test_windows_give_the_time_of_an_update_and_last_as_long_as_asked(monkeypatch, batch_size, expected):
    engine = Clockwork(monkeypatch)
    measured = measure(engine, batch_size)
    assert (len(measured.windows), measured.ended_by) == (5, "windows")
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
    measured = measure(engine, 16)
    assert (measured.outcome, measured.outcome_detail) == ("out_of_memory", "no room for the batch")
    assert (measured.windows, measured.ended_by) == ([], None)


@pytest.mark.parametrize("compiles", [True, False])
@pytest.mark.parametrize("batch_size", [1, 8, 60])
def test_what_is_compiled_for_a_new_length_is_in_no_window_and_happens_once(monkeypatch, batch_size, compiles):
    engine = Clockwork(monkeypatch, compiles=compiles)
    measured = measure(engine, batch_size)
    per_update = 1e-3 + 1e-5 * batch_size
    assert [window["seconds_per_update"] for window in measured.windows] == pytest.approx([per_update] * 5)
    assert 0.5 <= measured.windows[0]["seconds"] <= 1.002
    beyond = {calls for calls in engine.calls if calls * batch_size > 60}
    assert beyond - {timing.MEMORY_UPDATES} == {measured.updates_per_window}


@pytest.mark.parametrize(("spread", "ended_by", "seconds"), [(0.009, "precision", 1.2), (0.05, "max_seconds", 7.0)])
def test_windows_end_once_the_median_is_precise_or_the_time_is_spent(monkeypatch, spread, ended_by, seconds):
    engine = Clockwork(monkeypatch, factors=[1 - spread, 1 + spread])
    measured = measure(engine, until=PRECISE, window_seconds=0.2)
    assert measured.ended_by == ended_by
    assert sum(window["seconds"] for window in measured.windows) == pytest.approx(seconds, abs=0.2)


def test_a_slow_update_is_timed_in_five_windows(monkeypatch):
    measured = measure(Clockwork(monkeypatch, factors=[5000.0, 6000.0]), until=PRECISE)
    assert (measured.updates_per_window, len(measured.windows), measured.ended_by) == (1, 5, "max_seconds")


@pytest.mark.parametrize("tail", [0.0, 0.2])
def test_of_timings_that_end_as_precise_nineteen_in_twenty_are(tail):
    repeats, rng = 400, np.random.default_rng(1)
    precise, right = 0, 0
    for _ in range(repeats):
        # Lognormal with a median of 1, of which a share is disturbed: longer by a Pareto law without a variance.
        factors = np.exp(0.02 * rng.standard_normal(35)) * (1 + (rng.random(35) < tail) * 0.05 * rng.pareto(1.5, 35))
        windows = [{"seconds": 0.2, "seconds_per_update": factor} for factor in factors]
        count = next(n for n in range(1, 36) if PRECISE.ended_by(windows[:n]))
        if PRECISE.ended_by(windows[:count]) == "precision":
            precise += 1
            right += abs(np.median(factors[:count]) / MEDIANS[tail] - 1) <= 0.02
    assert precise > repeats / 2
    assert right >= stats.binom.ppf(0.001, precise, 0.95)


def test_timing_leaves_the_weights_of_a_real_model_alone(engine):
    trainer = engine.build(Plan(recipe(optimizer={"name": "adamw", "weight_decay": 0.1}), 8, 0, "fused"), blobs())
    before = trainer.get_weights()
    trainer.train(np.arange(60, dtype=np.int32), np.zeros(8, np.float32))
    for old, new in zip(before, trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
