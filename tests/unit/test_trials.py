"""Trials at once and in turn, on the reference engine with a set of its trainers in place of one program."""

import logging

import pytest
from small import blobs, configured, softmax

from batchscope.training import loop, recipes
from batchscope.training.engines import NotTogetherError
from batchscope.training.plans import Plan
from batchscope.training.trials import Trials

STOPPING = {"epochs": 12, "early_stopping": {"patience": 1}}


class Set:
    """Trainers that are asked in turn, and who was asked."""

    def __init__(self, trainers):
        self.trainers, self.asked = trainers, []

    def train(self, asked):
        self.asked.append(set(asked))
        return {place: each.of(self.trainers[place]) for place, each in asked.items()}

    def evaluate(self, asked, part):
        return {place: self.trainers[place].evaluate(part) for place in asked}


class Sets:
    """The reference engine with sets; `error` is raised for those of more than `fit` plans."""

    def __init__(self, fit=99, error=None):
        self._has, self.fit, self.error, self.sizes, self.sets = configured("numpy"), fit, error, [], []

    def __getattr__(self, name):
        return getattr(self._has, name)

    def together(self, plans, data, memory_bytes):
        self.sizes.append(len(plans))
        if len(plans) > self.fit:
            raise self.error
        self.sets.append(Set([self.build(plan, data) for plan in plans]))
        return self.sets[-1]


def asked_of(made, rates=(0.05, 3.0, 100.0), seeds=(1, 2), data=None, how="fused"):
    found = data or dict.fromkeys(seeds, blobs())
    return [
        (Plan(recipes.with_learning_rate(made, rate), 16, seed, how), found[seed]) for rate in rates for seed in seeds
    ]


def seen(progress):
    rows = [{name: value for name, value in row.items() if "seconds" not in name} for row in progress.evaluations]
    return repr((progress.outcome, progress.outcome_detail, progress.steps, rows, progress.metrics, progress.selected))


def alone(asked):
    engine = configured("numpy")
    return [seen(loop.train(engine, data, plan, step_records=1, trial=True)) for plan, data in asked]


@pytest.mark.parametrize("made", [softmax(), softmax(budget=STOPPING, optimizer={"momentum": 0.9})])
def test_each_trial_has_the_records_that_it_has_alone_and_leaves_when_it_has_ended(made):
    engine, asked = Sets(), asked_of(made)
    assert [seen(each) for each in Trials(engine, 0).train(asked)] == alone(asked)
    (found,) = engine.sets
    assert found.asked[0] == set(range(6))
    assert all(later <= before for before, later in zip(found.asked, found.asked[1:], strict=False))
    assert (found.asked[-1] < set(range(6))) == (made["budget"] != softmax()["budget"])


def test_trials_with_data_of_their_own_seed_are_at_once_with_those_of_that_seed():
    engine, asked = Sets(), asked_of(softmax(), data={1: blobs(), 2: blobs(seed=5)})
    assert [seen(each) for each in Trials(engine, 0).train(asked)] == alone(asked)
    assert engine.sizes == [3, 3]


@pytest.mark.parametrize(("fit", "sizes"), [(3, [6, 3, 3]), (2, [6, 3, 2, 2, 2]), (0, [6, 3, 2])])
def test_where_memory_ends_fewer_are_tried_and_then_each_alone(fit, sizes, caplog):
    engine, asked = Sets(fit, MemoryError("they need 9 GB")), asked_of(softmax())
    trials = Trials(engine, 0)
    assert [seen(each) for each in trials.train(asked)] == alone(asked)
    assert engine.sizes == sizes
    assert sum("memory ended" in record.getMessage() for record in caplog.records) == sum(n > fit for n in sizes)


def test_what_cannot_be_at_once_is_said_once(caplog):
    engine, asked = Sets(0, NotTogetherError("no rule")), asked_of(softmax())
    trials = Trials(engine, 0)
    with caplog.at_level(logging.INFO):
        found = [[seen(each) for each in trials.train(asked)] for _ in range(2)]
    assert found == [alone(asked)] * 2
    assert (engine.sizes, [record.getMessage() for record in caplog.records]) == (
        [6],
        ["trials are trained in turn: no rule"],
    )


def test_trials_in_turn_are_trained_one_at_a_time():
    built = []

    class Counting(Sets):
        def build(self, plan, data):
            built.append(plan.seed)
            return self._has.build(plan, data)

    next(Trials(Counting(), 0, most=1).train(asked_of(softmax())))
    assert built == [1]


def test_the_loop_fit_is_in_turn(monkeypatch):
    engine, asked = Sets(), asked_of(softmax(), how="fit")
    monkeypatch.setattr(loop, "train", lambda engine, data, plan, **_: plan)
    assert list(Trials(engine, 0).train(asked)) == [plan for plan, _ in asked]
    assert engine.sizes == []
