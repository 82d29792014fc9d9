"""A study from its file to its report, killed and resumed, changed and refused."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, snakemake, start_and_kill, write_external_runs, write_study

# Columns that say how long something took or when and where it ran; all others must be equal.
CLOCKS = (
    "seconds",
    "telemetry",
    "cpu",
    "host",
    "gpu",
    "started_at",
    "examples_per_second",
    "utilisation",
    "energy",
    "memory",
)


def tables(folder, name):
    frame = pd.read_parquet(folder / "results" / "tiny" / "tables" / f"{name}.parquet")
    return frame[[column for column in frame if not any(word in column for word in CLOCKS)]]


def test_own_data_and_own_model_give_a_report(finished):
    page = (finished / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "own, {32} {or} {{more}}" in page  # braces are no wildcards of Snakemake
    runs = tables(finished, "runs")
    named = list(zip(runs["recipe"], runs["batch_size"], runs["seed"], strict=True))
    assert named == [("own", 8, 1), ("own", 8, 2), ("own", 60, 1), ("own", 60, 2), ("tuned", 8, 1), ("tuned", 8, 2)]
    assert set(runs["outcome"]) == {"ok"}
    assert runs["updates"].tolist() == [24, 24, 3, 3, 24, 24]
    assert runs["evaluations"].tolist() == [6, 6, 3, 3, 6, 6]  # a full batch has three updates to look after
    assert runs["n_parameters"].unique().tolist() == [4 * 6 + 6 + 6 * 3 + 3]


def test_every_row_leads_to_its_manifest(finished):
    runs = tables(finished, "runs")
    for row in runs.itertuples():
        size = "full" if row.full_batch else row.batch_size
        path = finished / f"results/runs/{row.dataset}/{row.recipe}/bs{size}/seed{row.seed}/manifest.json"
        manifest = json.loads(path.read_text())
        assert manifest["fingerprint"] == row.fingerprint
        assert manifest["versions"]["tensorflow"]
        recipe = manifest["identity"]["recipe"]
        assert recipe["name"] == row.recipe
        assert recipe["optimizer"]["learning_rate"] == row.learning_rate


def test_the_tuned_rate_is_the_best_of_its_trials_and_used_by_the_runs(finished):
    trials, runs = tables(finished, "trials"), tables(finished, "runs")
    means = trials.groupby("learning_rate")["selected_validation_loss"].mean()
    assert set(trials["seed"]) == {11, 12}
    assert set(runs.loc[runs["recipe"] == "tuned", "learning_rate"]) == {means.idxmin()}
    assert set(runs.loc[runs["recipe"] == "own", "learning_rate"]) == {0.1}


def test_targets_are_those_of_the_evaluations_and_missed_ones_stay(finished):
    reached, curves = tables(finished, "to_target"), tables(finished, "evaluations")
    assert len(reached) == 6 * 3
    assert not reached.loc[reached["target"] == 0.000001, "reached"].any()
    for row in reached[reached["reached"]].itertuples():
        same = (
            (curves["recipe"] == row.recipe) & (curves["batch_size"] == row.batch_size) & (curves["seed"] == row.seed)
        )
        curve = curves[same]
        assert curve.loc[curve["updates"] < row.updates, "train_loss"].gt(row.target).all()
        assert curve.loc[curve["updates"] == row.updates, "train_loss"].le(row.target).all()


def test_verdicts_are_given_and_stand_in_the_report(finished):
    judged = tables(finished, "verdicts").set_index(["claim", "recipe"])
    verdicts = judged["verdict"]
    assert verdicts["counted"].tolist() == ["supported", "supported"]
    assert verdicts["perfect"].tolist() == ["contradicted"] * 2 or "undecided" in verdicts["perfect"].tolist()
    assert judged["effect"][("C07", "own")] == pytest.approx(-1, abs=0.1)
    assert (
        verdicts[("C16", "tuned")] == verdicts[("C30", "own")] == "not measured"
    )  # no probe of it; two sizes give no line
    assert "Sixty flowers make eight updates" in (finished / "results/tiny/report.html").read_text(encoding="utf-8")


def test_every_probe_looks_at_the_runs_it_is_asked_for(finished):
    gradients = tables(finished, "gradients")
    looked_at = gradients[["recipe", "batch_size", "seed", "checkpoint_fraction", "drawn_batch_size"]]
    expected = [("own", 8, seed, fraction, drawn) for seed in (1, 2) for fraction in (0, 1) for drawn in (1, 8)]
    assert sorted(looked_at.itertuples(index=False, name=None)) == expected
    assert gradients["reason"].isna().all()
    scales = tables(finished, "noise_scale")
    assert (scales["noise_scale"].notna() | scales["reason"].notna()).all()
    sharpness, runs = tables(finished, "sharpness"), tables(finished, "runs")
    assert set(sharpness["batch_size"]) == {8, 60}
    ends = sharpness[sharpness["checkpoint_fraction"] == 1].merge(runs, on=["recipe", "batch_size", "seed"])
    assert len(ends) == 4
    # Dropout is off in both; the loss is that of 32 of the 60 examples.
    assert ends["subset_loss"].to_numpy() == pytest.approx(ends["last_train_loss"].to_numpy(), rel=0.5)
    assert ends["train_accuracy"].to_numpy() == pytest.approx(ends["last_train_accuracy"].to_numpy())
    assert tables(finished, "rate_curves").groupby("seed").size().to_dict() == {1: 50, 2: 50}
    modes = tables(finished, "modes")
    assert set(modes["evaluated_batch_size"]) == {1, 20}
    assert modes["training_mode_shift"].abs().max() < 1e-6  # no batch normalization; dropout stays off
    accumulated = tables(finished, "accumulation")
    assert accumulated["rounding"].isna().all()  # dropout draws a mask for every place in a batch
    assert (accumulated["relative_difference"] > 0.01).all()
    windows = pd.read_parquet(finished / "results/tiny/probes/overheads/flowers/own/bs8/loop_windows.parquet")
    assert windows.groupby("loop").size().to_dict() == {"data": 3, "fit": 3, "fused": 3}


def test_measurements_made_elsewhere_give_the_same_report_without_training(tmp_path):
    write_external_runs(tmp_path)
    done = snakemake(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    fit = tables(tmp_path, "critical_batch_size").iloc[0]
    assert fit["accepted"]
    assert fit["b_crit"] == pytest.approx(40, rel=1e-3)
    assert fit["ci_low"] < 40 < fit["ci_high"]
    assert not (tmp_path / "results/runs").exists()
    page = (tmp_path / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "Runs made elsewhere" in page
    assert ">Critical batch size</h2>" in page
    assert ">Learning curves</h2>" not in page
    (tmp_path / "sweep.csv").write_text("B,run,epochs\n8,1,fast\n")
    refused = snakemake(tmp_path)
    assert refused.returncode != 0
    assert "sweep.csv: column `epochs`" in refused.stdout + refused.stderr


def planned(folder, *arguments):
    """How many jobs of each rule a dry run would start."""
    done = snakemake(folder, "--dry-run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)}


def test_nothing_is_left_to_do_whatever_the_time_stamps_say(finished, tmp_path):
    assert planned(finished) == {}
    folder = tmp_path / "touched"
    shutil.copytree(finished, folder)
    with np.load(folder / "results/datasets/flowers/fixed.npz") as arrays:  # too large for Snakemake's own digests
        padded = {**arrays, "padding": np.random.default_rng(0).random(200_000)}
    np.savez(folder / "results/datasets/flowers/fixed.npz", **padded)
    for file in [*folder.glob("*.*"), *folder.glob("results/**/*.npz"), *folder.glob("results/runs/**/*.parquet")]:
        os.utime(file, (4e9, 4e9))
    assert planned(folder) == {}


@pytest.mark.parametrize("when", [0, 4e9])
def test_other_content_is_trained_whatever_the_time_stamps_say(finished, tmp_path, when):
    folder = tmp_path / "edited"
    shutil.copytree(finished, folder)
    model = folder / "model.py"
    model.write_text(model.read_text().replace("0.2", "0.3"))
    os.utime(model, (when, when))
    jobs = planned(folder)
    assert (jobs["train"], jobs["time_cell"], jobs["tune_cell"]) == (6, 2, 1)
    assert "make_dataset" not in jobs
    model.write_text(model.read_text().replace("0.3", "0.2"))
    assert planned(folder) == {}
    with np.load(folder / "flowers.npz") as arrays:
        np.savez(folder / "flowers.npz", x=arrays["x"] + 1, y=arrays["y"])
    os.utime(folder / "flowers.npz", (when, when))
    jobs = planned(folder)
    assert (jobs["make_dataset"], jobs["train"], jobs["probe_rates"]) == (1, 6, 2)


def test_no_job_reads_a_file_of_the_future(finished, tmp_path):
    folder = tmp_path / "ahead"
    shutil.copytree(finished, folder)
    for file in [folder / "flowers.npz", *folder.glob("results/runs/**/*.*")]:
        os.utime(file, (4e9, 4e9))
    (folder / "results/tiny/tables/summary.parquet").unlink()
    done = snakemake(folder, "tables")
    assert done.returncode == 0, done.stdout + done.stderr
    assert tables(folder, "summary").equals(tables(finished, "summary"))
    (folder / "results/datasets/flowers/fixed.npz").unlink()
    kept = {path: path.stat().st_mtime for path in folder.glob("results/**/*.*")}
    refused = snakemake(folder, "results/datasets/flowers/fixed.npz")
    assert refused.returncode != 0
    assert "flowers.npz: its time stamp, 2096-10-02" in refused.stdout + refused.stderr
    assert {path: path.stat().st_mtime for path in folder.glob("results/**/*.*")} == kept


def test_what_was_trained_with_another_rate_never_enters_a_table(finished, tmp_path):
    folder = tmp_path / "stale"
    shutil.copytree(finished, folder)
    study = folder / "tiny.yaml"
    study.write_text(study.read_text().replace("learning_rate: 0.1}", "learning_rate: 0.2}"))
    before = {path: path.read_bytes() for path in folder.glob("results/runs/**/*.parquet")}
    for blind in (["--rerun-triggers", "mtime"], ["--rerun-triggers", "mtime", "--forcerun", "tabulate"], []):
        if not blind:  # neither is anything known of results that came without this folder
            shutil.rmtree(folder / ".snakemake")
        done = snakemake(folder, *blind)
        output = done.stdout + done.stderr
        assert done.returncode != 0
        assert "results/runs/flowers/own were made with another recipe" in output
        assert "results/runs/flowers/own/bs8/seed1/manifest.json (and" in output
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("without", ["metadata", "params"])
def test_tables_and_report_of_another_question_are_never_taken_for_this_ones(finished, tmp_path, without):
    folder = tmp_path / "asked"
    shutil.copytree(finished, folder)
    if without == "metadata":
        shutil.rmtree(folder / ".snakemake")
    blind = ["--rerun-triggers", "mtime"] if without == "params" else []
    assert planned(folder, *blind) == {}
    study = folder / "tiny.yaml"
    study.write_text(study.read_text().replace("title: ", "title: Another "))
    refused = snakemake(folder, "--dry-run", *blind)
    assert refused.returncode != 0
    assert "made_from.json (and 1 more) was made from another definition" in refused.stdout + refused.stderr
    assert planned(folder, *blind, "--forcerun", "tabulate", "describe")["render_report"] == 1


def test_touching_and_forcing_the_report_do_not_make_old_runs_pass_for_new_ones(finished, tmp_path):
    folder = tmp_path / "touched"
    shutil.copytree(finished, folder)
    study = folder / "tiny.yaml"
    study.write_text(study.read_text().replace("learning_rate: 0.1}", "learning_rate: 0.2}"))
    for options in (["--touch"], ["--rerun-triggers", "mtime", "--forcerun", "describe", "render_report"]):
        refused = snakemake(folder, *options)
        assert refused.returncode != 0
        assert "was made from another definition" in refused.stdout + refused.stderr
    assert planned(folder)["train"] == 6


def test_a_damaged_report_is_made_again(finished, tmp_path):
    folder = tmp_path / "cut"
    shutil.copytree(finished, folder)
    page = folder / "results/tiny/report.html"
    page.write_bytes(page.read_bytes()[:1000])
    assert planned(folder) == {"all": 1, "render_report": 1, "total": 2}
    assert page.with_name("report.html.damaged").stat().st_size == 1000


def test_other_data_are_refused_or_announced_before_any_job(finished, tmp_path):
    folder = tmp_path / "replaced"
    shutil.copytree(finished, folder)
    with np.load(folder / "flowers.npz") as arrays:
        x, y = arrays["x"].copy(), arrays["y"]
    made = (folder / "results/datasets/flowers/fixed.npz").read_bytes()
    x[3] = np.nan
    np.savez(folder / "flowers.npz", x=x, y=y)
    refused = snakemake(folder)
    assert refused.returncode != 0
    assert "data set flowers: flowers.npz: array `x` holds a value that is no finite number" in refused.stderr
    assert (folder / "results/datasets/flowers/fixed.npz").read_bytes() == made
    np.savez(folder / "flowers.npz", x=np.nan_to_num(x), y=y)
    announced = snakemake(folder, "--dry-run")
    assert "results/runs/flowers/own were made with another data set" in announced.stdout + announced.stderr


def test_snakemake_report_lists_figures_tables_and_the_report(finished, tmp_path):
    page = tmp_path / "snakemake-report.html"
    done = snakemake(finished, "--report", str(page))
    assert done.returncode == 0, done.stderr
    content = page.read_text(encoding="utf-8")
    items = (
        "summary.csv",
        "flowers/own/curves_loss.svg",
        "flowers/own/steps_to_target.svg",
        "flowers/tuned/tuning.svg",
    )
    for item in (*items, "report.html"):
        assert item in content


@pytest.mark.parametrize(
    "appears", ["results/datasets/*/*.npz", "results/runs/*/*/*/*/run.parquet", "results/tiny/tables/*"]
)
def test_a_killed_study_resumes_and_ends_with_the_same_tables(finished, tmp_path, appears):
    write_study(tmp_path)
    start_and_kill(tmp_path, appears)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/**/*.parquet")}
    unlocked = subprocess.run(
        [sys.executable, ROOT / "tools/clear_stale_lock.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert unlocked.returncode == 0, unlocked.stderr
    resumed = snakemake(tmp_path)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    trained = ("runs", "evaluations", "steps", "trials", "to_target", "verdicts")
    for name in (*trained, "gradients", "noise_scale", "sharpness", "modes", "rate_curves", "accumulation"):
        pd.testing.assert_frame_equal(tables(tmp_path, name), tables(finished, name))
    complete = [path for path in kept if path.name == "run.parquet"]
    again = [path for path in complete if path.stat().st_mtime_ns != kept[path]]
    assert len(again) <= 2  # at most the jobs that Snakemake had not yet marked as finished


def test_a_damaged_figure_is_refused_and_drawn_again_and_a_damaged_table_is_made_again(finished, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(finished, folder)
    report, figure = folder / "results/tiny/report.html", folder / "results/tiny/figures/flowers/own/memory.svg"
    drawn = figure.read_bytes()
    report.unlink()
    figure.write_bytes(drawn.replace(b"</svg>", b"</svg >"))
    refused = snakemake(folder)
    assert refused.returncode != 0
    assert "memory.svg is not as its job wrote it" in refused.stdout + refused.stderr
    assert not report.exists()
    again = snakemake(folder)
    assert again.returncode == 0, again.stdout + again.stderr
    assert figure.read_bytes() == drawn
    assert report.exists()
    table = folder / "results/tiny/tables/runs.parquet"
    stamps, cut = table.stat(), table.read_bytes()[:-1]
    table.write_bytes(cut)
    os.utime(table, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    again = snakemake(folder, "tables")
    assert again.returncode == 0, again.stdout + again.stderr
    pd.testing.assert_frame_equal(tables(folder, "runs"), tables(finished, "runs"))


def test_a_wrong_study_stops_before_any_job_with_one_sentence(tmp_path):
    write_study(tmp_path)
    study = tmp_path / "tiny.yaml"
    study.write_text(study.read_text().replace("[8, full]", "[8, 61]"))
    done = snakemake(tmp_path)
    assert done.returncode != 0
    sentences = [line for line in (done.stdout + done.stderr).splitlines() if "tiny.yaml" in line and "61" in line]
    assert len(sentences) == 1
    assert "60" in sentences[0]
    assert not (tmp_path / "results").exists()


def test_a_failing_model_names_the_function_and_keeps_what_is_done(finished, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(finished, folder)
    (folder / "model.py").write_text("def build(input_shape, classes, width):\n    return 'no model'\n")
    done = snakemake(folder)
    assert done.returncode != 0
    assert "it must return a keras.Model" in done.stdout + done.stderr
    assert (folder / "results/datasets/flowers/fixed.npz").exists()
