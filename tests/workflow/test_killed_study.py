"""A study that is killed resumes where it was, and ends with the tables of one that nobody killed."""

import shutil
import subprocess
import sys

import pandas as pd
import pytest
from conftest import ROOT, lasting, lasting_of, snakemake, start_and_kill, write_smaller_study

TRAINED = ("runs", "evaluations", "steps", "trials", "to_target")
PROBED = ("gradients", "noise_scale", "sharpness", "modes", "rate_curves", "accumulation")


def kill_and_resume(folder, appears):
    """Kill the study once a file appears, and make its tables; what was complete is trained no second time."""
    start_and_kill(folder, appears)
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("results/**/*.parquet")}
    unlocked = subprocess.run(
        [sys.executable, ROOT / "tools/clear_stale_lock.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert unlocked.returncode == 0, unlocked.stderr
    resumed = snakemake(folder, "tables")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    complete = [path for path in kept if path.name == "run.parquet"]
    again = [path for path in complete if path.stat().st_mtime_ns != kept[path]]
    assert len(again) <= 2  # at most the jobs that Snakemake had not yet marked as finished


@pytest.mark.parametrize(
    ("missing", "appears"),
    [
        (("runs", "tiny"), "results/runs/*/*/*/*/run.parquet"),
        (("tiny/tables", "tiny/figures"), "results/tiny/tables/*"),
    ],
    ids=["runs", "tables"],
)
def test_a_study_killed_at_its_runs_or_tables_ends_with_the_same_tables(edited, small, missing, appears):
    (edited / "results/tiny/report.html").unlink()
    for made in missing:
        shutil.rmtree(edited / "results" / made)
    kill_and_resume(edited, appears)
    for name in (*TRAINED, "verdicts", *PROBED):
        pd.testing.assert_frame_equal(lasting(edited, name), lasting(small, name))


def test_a_study_killed_at_its_data_set_ends_with_the_same_tables(small, tmp_path):
    write_smaller_study(tmp_path)
    kill_and_resume(tmp_path, "results/datasets/*/*.npz")
    for name in TRAINED:
        pd.testing.assert_frame_equal(lasting(tmp_path, name), lasting_of(tmp_path, small, name))
