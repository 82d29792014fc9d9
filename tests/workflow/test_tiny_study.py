"""A study from its file to its report, killed and resumed, changed and refused."""

import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from conftest import ROOT, snakemake, start_and_kill, write_study

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
    assert "A tiny study of one" in page
    runs = tables(finished, "runs")
    assert list(zip(runs["batch_size"], runs["seed"], strict=True)) == [(8, 1), (8, 2), (60, 1), (60, 2)]
    assert set(runs["outcome"]) == {"ok"}
    assert runs["updates"].tolist() == [24, 24, 3, 3]
    assert runs["n_parameters"].unique().tolist() == [4 * 6 + 6 + 6 * 3 + 3]


def test_every_row_leads_to_its_manifest(finished):
    runs = tables(finished, "runs")
    for row in runs.itertuples():
        size = "full" if row.full_batch else row.batch_size
        path = finished / f"results/runs/{row.dataset}/{row.recipe}/bs{size}/seed{row.seed}/manifest.json"
        manifest = json.loads(path.read_text())
        assert manifest["fingerprint"] == row.fingerprint
        assert manifest["versions"]["tensorflow"]
        assert manifest["identity"]["recipe"]["name"] == "own"


def test_nothing_is_left_to_do_and_editing_the_model_trains_again(finished, tmp_path):
    again = snakemake(finished, "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr
    folder = tmp_path / "edited"
    shutil.copytree(finished, folder)
    model = folder / "model.py"
    model.write_text(model.read_text().replace("0.2", "0.3"))
    edited = snakemake(folder, "--dry-run", "--quiet", "rules")
    assert "train" in (edited.stdout + edited.stderr)
    assert "make_dataset" not in (edited.stdout + edited.stderr)


def test_snakemake_report_lists_figures_tables_and_the_report(finished, tmp_path):
    page = tmp_path / "snakemake-report.html"
    done = snakemake(finished, "--report", str(page))
    assert done.returncode == 0, done.stderr
    content = page.read_text(encoding="utf-8")
    for item in ("summary.csv", "curves_loss-flowers-own.svg", "report.html"):
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
    for name in ("runs", "epochs", "steps"):
        pd.testing.assert_frame_equal(tables(tmp_path, name), tables(finished, name))
    complete = [path for path in kept if path.name == "run.parquet"]
    again = [path for path in complete if path.stat().st_mtime_ns != kept[path]]
    assert len(again) <= 2  # at most the jobs that Snakemake had not yet marked as finished


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
