"""A whole study on the reference engine: its jobs wrote what the formulas give for the weights that runs kept."""

import json

import numpy as np
import pytest
from conftest import edit, refused, snakemake, table, warnings, write_small_study

EXAMPLES = 60


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


def test_no_framework_trained_it(small):
    manifests = [json.loads(path.read_text()) for path in small.glob("results/**/manifest.json")]
    jobs = [manifest for manifest in manifests if "numerics" in manifest and "versions" in manifest]
    assert len(jobs) == 1 + 6 + 2 + 4 * 2 + 4  # tuning, runs, timings, probes; sharpness is that of the full batch, too
    for manifest in jobs:
        assert manifest["numerics"]["backend"] == "numpy"
        assert set(manifest["versions"]) == {"python", "numpy"}


def test_no_job_warned(small):
    assert warnings(small) == []


def test_a_study_gives_its_runs_and_its_page(small):
    runs = table(small, "runs")
    named = list(zip(runs["recipe"], runs["batch_size"], runs["seed"], strict=True))
    assert named == [("own", 8, 1), ("own", 8, 2), ("own", 60, 1), ("own", 60, 2), ("tuned", 8, 1), ("tuned", 8, 2)]
    assert runs["full_batch"].tolist() == [False, False, True, True, False, False]
    assert runs["updates"].tolist() == [32, 32, 4, 4, 32, 32]
    assert runs["evaluations"].tolist() == [8, 8, 4, 4, 8, 8]  # a full batch has four updates to look after
    assert runs["n_parameters"].tolist() == [15] * 6
    assert (table(small, "timings")["seconds_per_update"] > 0).all()
    page = (small / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "flowers, {32} {or} {{more}}" in page
    assert "Sixty flowers make eight updates of eight." in page


def test_the_tuned_rate_is_the_best_of_its_trials_and_used_by_the_runs(small):
    trials, runs = table(small, "trials"), table(small, "runs")
    means = trials.groupby("learning_rate")["selected_validation_loss"].mean()
    assert set(trials["seed"]) == {11, 12}
    assert set(runs.loc[runs["recipe"] == "tuned", "learning_rate"]) == {means.idxmin()}
    assert set(runs.loc[runs["recipe"] == "own", "learning_rate"]) == {0.1}


def test_targets_are_those_of_the_evaluations_and_missed_ones_stay(small):
    reached, curves = table(small, "to_target"), table(small, "evaluations")
    assert len(reached) == 6 * 3
    assert not reached.loc[reached["target"] == 0.000001, "reached"].any()
    assert reached["reached"].any()
    for row in reached[reached["reached"]].itertuples():
        same = (
            (curves["recipe"] == row.recipe) & (curves["batch_size"] == row.batch_size) & (curves["seed"] == row.seed)
        )
        curve = curves[same]
        assert curve.loc[curve["updates"] < row.updates, "train_loss"].gt(row.target).all()
        assert curve.loc[curve["updates"] == row.updates, "train_loss"].le(row.target).all()


def test_verdicts_are_given(small):
    judged = table(small, "verdicts").set_index(["claim", "recipe"])
    verdicts = judged["verdict"]
    assert verdicts["counted"].tolist() == ["supported", "supported"]
    assert set(verdicts["perfect"]) <= {"contradicted", "undecided"}
    assert judged["effect"][("C07", "own")] == pytest.approx(-1, abs=0.1)
    # No probe of it; two sizes give no line.
    assert verdicts[("C16", "tuned")] == verdicts[("C30", "own")] == "not measured"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_losses_of_a_run_are_those_of_the_weights_that_it_kept(small, seed):
    curve = table(small, "evaluations").query("recipe == 'own' and batch_size == 8 and seed == @seed")["train_loss"]
    for fraction, loss in ((0, curve.iloc[0]), (1, curve.iloc[-1])):
        assert by_definition(small, seed, fraction)[0] == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("seed", [1, 2])
def test_sharpness_is_that_of_the_whole_hessian(small, seed):
    loss, _, hessian = by_definition(small, seed, 1)
    (found,) = table(small, "sharpness").query("batch_size == 8 and seed == @seed").to_dict("records")
    assert found["subset_loss"] == pytest.approx(loss, rel=1e-12)
    assert found["lambda_max"] == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-6)
    assert found["trace_ci_low"] < np.trace(hessian) < found["trace_ci_high"]


@pytest.mark.parametrize("fraction", [0, 1])
def test_the_noise_scale_is_the_trace_of_the_covariance_over_the_squared_gradient(small, fraction):
    for found in table(small, "noise_scale").query("checkpoint_fraction == @fraction").to_dict("records"):
        _, gradients, _ = by_definition(small, found["seed"], fraction)
        trace = gradients.var(axis=0, ddof=1).sum()
        squared = (gradients.mean(axis=0) ** 2).sum() - trace / EXAMPLES
        assert found["covariance_trace"] == pytest.approx(trace, rel=1e-9)
        assert found["gradient_norm_squared"] == pytest.approx(squared, rel=1e-9)
        if squared > 0:
            assert found["noise_scale"] == pytest.approx(trace / squared, rel=1e-9)


def test_the_variance_of_a_batch_gradient_falls_as_one_over_its_size(small):
    for found in table(small, "gradients").to_dict("records"):
        _, gradients, _ = by_definition(small, found["seed"], found["checkpoint_fraction"])
        size = found["drawn_batch_size"]
        expected = gradients.var(axis=0).sum() / size * (EXAMPLES - size) / (EXAMPLES - 1)
        assert found["gradient_variance_expected"] == pytest.approx(expected, rel=1e-9)
        assert found["gradient_variance"] == pytest.approx(expected, rel=0.2)  # of 400 batches or more


def test_without_normalization_and_dropout_the_mode_and_micro_batches_change_nothing(small):
    assert table(small, "modes")["training_mode_shift"].tolist() == [0.0] * 4
    accumulated = table(small, "accumulation")
    assert (accumulated["relative_difference"] < 1e-12).all()
    assert (accumulated["rounding"] < 1e-12).all()


def test_a_range_of_rates_starts_at_the_loss_of_the_first_batch(small):
    curves = table(small, "rate_curves")
    assert curves.groupby("seed").size().to_dict() == {1: 50, 2: 50}


def test_snakemake_report_lists_figures_tables_and_the_report(small, tmp_path):
    page = tmp_path / "snakemake-report.html"
    done = snakemake(small, "--report", str(page))
    assert done.returncode == 0, done.stderr
    content = page.read_text(encoding="utf-8")
    figures = ("flowers/own/curves_loss.svg", "flowers/own/steps_to_target.svg", "flowers/tuned/tuning.svg")
    for item in (*figures, "summary.csv", "report.html"):
        assert item in content


@pytest.mark.parametrize(
    ("right", "wrong", "named"), [("hidden: []", "hidden: [8]", "engine: numpy"), ("[8, full]", "[8, 61]", "tiny.yaml")]
)
def test_a_wrong_study_stops_before_any_job_with_one_sentence(tmp_path, right, wrong, named):
    write_small_study(tmp_path)
    edit(tmp_path / "tiny.yaml", right, wrong)
    (sentence,) = [line for line in refused(tmp_path).splitlines() if named in line]
    assert "valid " in sentence
    assert not (tmp_path / "results").exists()
