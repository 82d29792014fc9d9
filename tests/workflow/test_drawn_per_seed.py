"""Data that every seed draws anew: a trial of the learning rate trains on the draw of its own tuning seed."""

import numpy as np
import pandas as pd
from conftest import CONFIG, edit, snakemake

SEEDS = [11, 12, 13]
STUDY = f"""\
title: Which learning rate for data drawn anew?
question: Does a tuning look at the data of all its seeds?
datasets:
  clouds: {{source: blobs, split: {{train: 40, validation: 20, test: 20}}, classes: 3, features: 2, cluster_std: 2.0,
    draw: per-seed}}
recipes:
  fixed:
    model: {{name: mlp, hidden: []}}
    optimizer: {{name: sgd, learning_rate: 0.01}}
    budget: {{epochs: 2}}
  tuned:
    extends: fixed
    tuning: {{learning_rates: [0.001, 0.01, 0.1], seeds: {SEEDS}}}
comparisons:
  - {{datasets: [clouds], recipes: [tuned], batch_sizes: [8]}}
seeds: [1]
"""


def made(folder, *files):
    done = snakemake(folder, *files)
    assert done.returncode == 0, done.stdout + done.stderr
    return pd.concat([pd.read_parquet(folder / file) for file in files], ignore_index=True)


def test_a_trial_ends_as_a_run_of_its_seed_and_rate(tmp_path):
    study = tmp_path / "tiny.yaml"
    study.write_text(STUDY)
    (tmp_path / "quick.yaml").write_text(f"engine: numpy\n{CONFIG}")
    trials = made(tmp_path, "results/tunings/clouds/tuned/bs8/trials.parquet")
    edit(study, "recipes: [tuned]", "recipes: [fixed]")
    edit(study, "seeds: [1]", f"seeds: {SEEDS}")
    runs = made(tmp_path, *(f"results/runs/clouds/fixed/bs8/seed{seed}/run.parquet" for seed in SEEDS))
    losses = trials[trials["learning_rate"] == 0.01].set_index("seed")["selected_validation_loss"]
    np.testing.assert_array_equal(losses[SEEDS], runs.set_index("seed").loc[SEEDS, "selected_validation_loss"])
