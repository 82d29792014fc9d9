"""A study on TensorFlow from its file to its report: data of one's own, a model of one's own, all probes."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import edit, lasting, planned, refused, table, warnings


def test_own_data_and_own_model_give_runs(finished):
    runs = table(finished, "runs")
    named = list(zip(runs["recipe"], runs["batch_size"], runs["seed"], strict=True))
    assert named == [("own", 8, 1), ("tuned", 8, 1)]
    assert set(runs["outcome"]) == {"ok"}
    assert runs["updates"].tolist() == [24] * 2
    assert runs["evaluations"].tolist() == [6] * 2
    assert runs["n_parameters"].unique().tolist() == [4 * 6 + 6 + 6 * 3 + 3]


def test_no_job_warned(finished):
    assert warnings(finished) == []


def test_every_row_leads_to_its_manifest(finished):
    for row in table(finished, "runs").itertuples():
        path = finished / f"results/runs/{row.dataset}/{row.recipe}/bs{row.batch_size}/seed{row.seed}/manifest.json"
        manifest = json.loads(path.read_text())
        assert manifest["fingerprint"] == row.fingerprint
        assert manifest["versions"]["tensorflow"]
        recipe = manifest["identity"]["recipe"]
        assert recipe["name"] == row.recipe
        assert recipe["optimizer"]["learning_rate"] == row.learning_rate


def test_every_probe_looks_at_the_runs_it_is_asked_for(finished):
    gradients = lasting(finished, "gradients")
    looked_at = gradients[["recipe", "batch_size", "seed", "checkpoint_fraction", "drawn_batch_size"]]
    expected = [("own", 8, 1, fraction, drawn) for fraction in (0, 1) for drawn in (1, 8)]
    assert sorted(looked_at.itertuples(index=False, name=None)) == expected
    assert gradients["reason"].isna().all()
    scales = table(finished, "noise_scale")
    assert (scales["noise_scale"].notna() | scales["reason"].notna()).all()
    sharpness, runs = table(finished, "sharpness"), table(finished, "runs")
    ends = sharpness[sharpness["checkpoint_fraction"] == 1].merge(runs, on=["recipe", "batch_size", "seed"])
    assert ends["seed"].tolist() == [1]
    # Dropout is off in both; the loss is that of 32 of the 60 examples.
    assert ends["subset_loss"].to_numpy() == pytest.approx(ends["last_train_loss"].to_numpy(), rel=0.5)
    assert ends["train_accuracy"].to_numpy() == pytest.approx(ends["last_train_accuracy"].to_numpy())
    assert table(finished, "rate_curves").groupby("seed").size().to_dict() == {1: 50}
    modes = table(finished, "modes")
    assert set(modes["evaluated_batch_size"]) == {1, 20}
    assert modes["training_mode_shift"].abs().max() < 1e-6  # no batch normalization; dropout stays off
    accumulated = table(finished, "accumulation")
    assert accumulated["rounding"].isna().all()  # dropout draws a mask for every place in a batch
    assert (accumulated["relative_difference"] > 0.01).all()
    windows = pd.read_parquet(finished / "results/tiny/probes/overheads/flowers/own/bs8/loop_windows.parquet")
    assert windows.groupby("loop").size().to_dict() == {"data": 3, "fit": 3, "fused": 3}


def test_other_content_is_trained_whatever_the_time_stamps_say(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "edited")
    model, data = folder / "model.py", folder / "flowers.npz"
    edit(model, "0.2", "0.3")
    for when in (0, 4e9):
        os.utime(model, (when, when))
        jobs = planned(folder)
        assert (jobs["train"], jobs["time_cell"], jobs["tune_cell"]) == (2, 1, 1)
        assert "make_dataset" not in jobs
    edit(model, "0.3", "0.2")
    assert planned(folder) == {}
    with np.load(data) as arrays:
        np.savez(data, x=arrays["x"] + 1, y=arrays["y"])
    for when in (0, 4e9):
        os.utime(data, (when, when))
        jobs = planned(folder)
        assert (jobs["make_dataset"], jobs["train"], jobs["probe_rates"]) == (1, 2, 1)


def test_a_failing_model_names_the_function_and_keeps_what_is_done(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "broken")
    (folder / "model.py").write_text("def build(input_shape, classes, width):\n    return 'no model'\n")
    assert "model.py:build" in refused(folder)
    assert (folder / "results/datasets/flowers/fixed.npz").exists()
