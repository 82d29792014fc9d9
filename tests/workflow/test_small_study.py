"""A whole study on the reference engine: its jobs wrote what the formulas give for the weights that runs kept."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import snakemake, write_small_study

EXAMPLES = 60


def table(folder, name):
    return pd.read_parquet(folder / "results/tiny/tables" / f"{name}.parquet")


def run_folder(folder, seed):
    return folder / f"results/runs/flowers/own/bs8/seed{seed}"


def data(folder):
    with np.load(folder / "results/datasets/flowers/fixed.npz") as arrays:
        return arrays["x_train"].astype(np.float64), arrays["y_train"]


def kept(folder, seed, fraction):
    """Kernel and bias at a fraction of the budget of a run."""
    with np.load(run_folder(folder, seed) / "weights.npz") as file:
        number = [entry["checkpoint_fraction"] for entry in json.loads(str(file["meta"]))].index(fraction)
        return file[f"{number}/0"], file[f"{number}/1"]


def by_definition(folder, seed, fraction):
    """Loss, gradient of each example and whole Hessian there, from the definition of softmax regression."""
    (x, y), (kernel, bias) = data(folder), kept(folder, seed, fraction)
    odds = np.exp(x @ kernel + bias)
    p = odds / odds.sum(axis=1, keepdims=True)
    inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1)  # the bias is the kernel's last row
    gradients = np.einsum("if,ic->ifc", inputs, p - np.eye(p.shape[1])[y]).reshape(len(x), -1)
    curvature = np.einsum("ic,cd->icd", p, np.eye(p.shape[1])) - np.einsum("ic,id->icd", p, p)
    hessian = np.einsum("if,ig,icd->fcgd", inputs, inputs, curvature) / len(x)
    return -np.log(p[np.arange(len(y)), y]).mean(), gradients, hessian.reshape(gradients.shape[1], -1)


def test_no_framework_trained_it(tabulated):
    manifests = [json.loads(path.read_text()) for path in tabulated.glob("results/**/manifest.json")]
    jobs = [manifest for manifest in manifests if "numerics" in manifest and "versions" in manifest]
    assert len(jobs) == 1 + 4 + 1 + 5 * 2  # tuning, runs, timing, probes
    for manifest in jobs:
        assert manifest["numerics"]["backend"] == "numpy"
        assert set(manifest["versions"]) == {"python", "numpy"}


def test_the_tuned_rate_is_the_best_of_its_trials_and_used_by_the_runs(tabulated):
    trials, runs = table(tabulated, "trials"), table(tabulated, "runs")
    means = trials.groupby("learning_rate")["selected_validation_loss"].mean()
    assert set(runs.loc[runs["recipe"] == "tuned", "learning_rate"]) == {means.idxmin()}
    assert runs["updates"].tolist() == [32] * 4
    assert runs["n_parameters"].tolist() == [15] * 4
    assert (table(tabulated, "timings")["seconds_per_update"] > 0).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_losses_of_a_run_are_those_of_the_weights_that_it_kept(tabulated, seed):
    curve = table(tabulated, "evaluations").query("recipe == 'own' and seed == @seed")["train_loss"]
    for fraction, loss in ((0, curve.iloc[0]), (1, curve.iloc[-1])):
        assert by_definition(tabulated, seed, fraction)[0] == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("seed", [1, 2])
def test_sharpness_is_that_of_the_whole_hessian(tabulated, seed):
    loss, _, hessian = by_definition(tabulated, seed, 1)
    (found,) = table(tabulated, "sharpness").query("seed == @seed").to_dict("records")
    assert found["subset_loss"] == pytest.approx(loss, rel=1e-12)
    assert found["lambda_max"] == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-6)
    assert found["trace_ci_low"] < np.trace(hessian) < found["trace_ci_high"]


@pytest.mark.parametrize("fraction", [0, 1])
def test_the_noise_scale_is_the_trace_of_the_covariance_over_the_squared_gradient(tabulated, fraction):
    for found in table(tabulated, "noise_scale").query("checkpoint_fraction == @fraction").to_dict("records"):
        _, gradients, _ = by_definition(tabulated, found["seed"], fraction)
        trace = gradients.var(axis=0, ddof=1).sum()
        squared = (gradients.mean(axis=0) ** 2).sum() - trace / EXAMPLES
        assert found["covariance_trace"] == pytest.approx(trace, rel=1e-9)
        assert found["gradient_norm_squared"] == pytest.approx(squared, rel=1e-9)
        if squared > 0:
            assert found["noise_scale"] == pytest.approx(trace / squared, rel=1e-9)


def test_the_variance_of_a_batch_gradient_falls_as_one_over_its_size(tabulated):
    for found in table(tabulated, "gradients").to_dict("records"):
        _, gradients, _ = by_definition(tabulated, found["seed"], found["checkpoint_fraction"])
        size = found["drawn_batch_size"]
        expected = gradients.var(axis=0).sum() / size * (EXAMPLES - size) / (EXAMPLES - 1)
        assert found["gradient_variance_expected"] == pytest.approx(expected, rel=1e-9)
        assert found["gradient_variance"] == pytest.approx(expected, rel=0.2)  # of 400 batches or more


def test_without_normalization_and_dropout_the_mode_and_micro_batches_change_nothing(tabulated):
    assert table(tabulated, "modes")["training_mode_shift"].tolist() == [0.0] * 4
    accumulated = table(tabulated, "accumulation")
    assert (accumulated["relative_difference"] < 1e-12).all()
    assert (accumulated["rounding"] < 1e-12).all()


def test_a_range_of_rates_starts_at_the_loss_of_the_first_batch(tabulated):
    curves = table(tabulated, "rate_curves")
    assert curves.groupby("seed").size().to_dict() == {1: 50, 2: 50}


def test_what_the_reference_engine_cannot_train_is_refused_before_any_job(tmp_path):
    write_small_study(tmp_path)
    study = tmp_path / "tiny.yaml"
    study.write_text(study.read_text().replace("hidden: []", "hidden: [8]"))
    refused = snakemake(tmp_path, "--dry-run")
    assert refused.returncode != 0
    (sentence,) = [line for line in (refused.stdout + refused.stderr).splitlines() if "engine: numpy" in line]
    assert "cannot train recipe own" in sentence
    assert "valid is model: {name: mlp, hidden: []}" in sentence
