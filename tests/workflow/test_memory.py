"""Sizes that do not fit are outcomes: the study goes on and the report says which sizes fitted."""

import json

import pandas as pd
import pytest
from conftest import snakemake, write_study

STUDY = """\
title: How much fits?
question: Does a study with sizes that do not fit end with a report?
datasets:
  flowers: {source: npz, path: flowers.npz, split: {validation: 20, test: 20}, scale: standardise}
recipes:
  greedy:
    model: {function: "model.py:build", outputs: logits}
    optimizer: {name: sgd, learning_rate: 0.1}
    budget: {epochs: 2}
    snapshots: {at: [1]}
    tuning: {learning_rates: [0.01, 0.1, 1.0], seeds: [11, 12], widen: 1}
  huge:
    extends: greedy
    model: {name: mlp, hidden: [2305843009213693952]}
    tuning: null
comparisons:
  - {datasets: [flowers], recipes: [greedy], batch_sizes: [8, full]}
  - {datasets: [flowers], recipes: [huge], batch_sizes: [8]}
seeds: [1]
probes:
  overheads: {recipes: [greedy]}
  sharpness: {recipes: [greedy], examples: 32}
"""

# With a batch of all 60 flowers this model raises what a process without memory meets first. How a job is killed for
# memory is in tests/unit/test_supervise.py.
MODEL = """\
import keras


@keras.saving.register_keras_serializable()
class Greedy(keras.layers.Layer):
    def call(self, x):
        if x.shape[0] == 60:
            raise MemoryError("could not allocate 7 TB")
        return x


def build(input_shape, classes):
    return keras.Sequential([keras.layers.Input(input_shape), Greedy(), keras.layers.Dense(classes)])
"""


@pytest.mark.long
def test_sizes_that_do_not_fit_are_outcomes_and_the_study_goes_on(tmp_path):
    write_study(tmp_path)
    (tmp_path / "tiny.yaml").write_text(STUDY)
    (tmp_path / "model.py").write_text(MODEL)
    done = snakemake(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = pd.read_parquet(tmp_path / "results/tiny/tables/runs.parquet")
    ended = runs.groupby(["recipe", "batch_size"])["outcome"].agg(set).to_dict()
    assert ended == {("greedy", 8): {"ok"}, ("greedy", 60): {"out_of_memory"}, ("huge", 8): {"out_of_memory"}}
    details = runs.set_index("recipe")["outcome_detail"].dropna().to_dict()
    assert "could not allocate 7 TB" in details["greedy"]
    assert "[4,2305843009213693952]" in details["huge"]
    timings = pd.read_parquet(tmp_path / "results/tiny/tables/timings.parquet").set_index(["recipe", "batch_size"])
    assert timings["outcome"].to_dict() == {
        ("greedy", 8): "ok",
        ("greedy", 60): "out_of_memory",
        ("huge", 8): "out_of_memory",
    }
    trials = pd.read_parquet(tmp_path / "results/tiny/tables/trials.parquet")
    assert trials.groupby("batch_size").size()[60] == 1  # the first trial ends the tuning
    assert trials.groupby("batch_size").size()[8] >= 6
    assert (tmp_path / "results/tiny/report.html").is_file()
    manifest = json.loads((tmp_path / "results/runs/flowers/huge/bs8/seed1/manifest.json").read_text())
    assert manifest["not_measured"]["last_test_loss"]
