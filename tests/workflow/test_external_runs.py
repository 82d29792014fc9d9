"""A study that trains nothing: a table of results made elsewhere gives the same report."""

import csv
import itertools

import pytest
from conftest import CONFIG, planned, refused, snakemake, table, write_external_runs


def test_measurements_made_elsewhere_give_the_same_report_without_training(tmp_path):
    write_external_runs(tmp_path)
    done = snakemake(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    fit = table(tmp_path, "critical_batch_size").iloc[0]
    assert fit["accepted"]
    assert fit["b_crit"] == pytest.approx(40, rel=1e-3)
    assert fit["ci_low"] < 40 < fit["ci_high"]
    assert not (tmp_path / "results/runs").exists()
    page = (tmp_path / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "Runs made elsewhere" in page
    assert "<summary>Critical batch size</summary>" in page
    assert "<summary>Learning curves</summary>" not in page
    (tmp_path / "sweep.csv").write_text("B,run,epochs\n8,1,fast\n")
    assert "sweep.csv: column `epochs`" in refused(tmp_path)


SWEEP = """\
title: A sweep from a tracker
question: Does an export with crashed runs and a grid of rates give a report?
measurements:
  runs:
    path: sweep.csv
    dataset: {column: data}
    recipe: {columns: [arch, optimizer]}
    where: {sweep: a}
    columns: {batch_size: B, learning_rate: lr, state: State, selected_test_accuracy: acc}
verdicts: [C18]
"""
HOSTILE = "<img src=x onerror=alert(1)>\n../{B} .* =1+1"


def write_sweep(folder):
    """Final accuracies of two data sets at three rates, one run each, of which one crashed and one is NaN."""
    names = ["cifar10", HOSTILE]
    with (folder / "sweep.csv").open("w", newline="") as stream:
        write = csv.writer(stream).writerow
        write(["Name", "State", "data", "arch", "optimizer", "sweep", "B", "lr", "acc", "log"])
        for name, size, rate in itertools.product(names, (16, 64, 256), (0.01, 0.1, 1.0)):
            state = "crashed" if (size, rate) == (16, 1.0) else "finished"
            accuracy = "NaN" if (size, rate) == (64, 1.0) else 0.9 - abs(rate - 0.1) / 10 - size / 10_000
            write(["run", state, name, "net", "sgd", "a", size, rate, accuracy, "x" * 200_000])
        write(["other", "finished", "cifar10", "net", "sgd", "b", 16, 0.1, 0.1, ""])
    (folder / "tiny.yaml").write_text(SWEEP)
    (folder / "quick.yaml").write_text(CONFIG)


def test_an_export_with_crashed_runs_a_grid_and_hostile_names_gives_a_report(tmp_path):
    write_sweep(tmp_path)
    done = snakemake(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = next(line for line in done.stderr.splitlines() if line.startswith("sweep.csv: "))
    assert told.startswith("sweep.csv: 5 of 19 rows are left out: 2 (")
    runs = table(tmp_path, "runs")
    assert set(zip(runs["dataset"], runs["recipe"], strict=True)) == {
        (name, "net · sgd") for name in ("cifar10", HOSTILE)
    }
    assert (runs["learning_rate"] == 0.1).all()
    assert runs["batch_size"].value_counts().to_dict() == {16: 2, 64: 2, 256: 2}
    assert table(tmp_path, "left_out")["rows"].sum() == 5
    page = (tmp_path / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    drawn = {file.parent.parent.name for file in (tmp_path / "results/tiny/figures").rglob("*.svg")}
    assert len(drawn) == 2
    assert "cifar10" in drawn
    again = snakemake(tmp_path, "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr
    (tmp_path / "sweep.csv").write_text("State,data,arch,optimizer,sweep,B,lr,acc\nfinished,d,n,s,a,16,0.1,93 %\n")
    assert "sweep.csv: column `acc`" in refused(tmp_path, "--dry-run")


LARGE = """\
title: A table of many workloads
question: Does the page stay one that opens?
measurements:
  runs:
    path: sweep.csv
    dataset: {column: data}
    recipe: net
    columns: {batch_size: B, selected_validation_f1: f1}
verdicts: []
"""


def test_many_workloads_are_listed_and_the_first_are_drawn_by_one_job(tmp_path):
    with (tmp_path / "sweep.csv").open("w", newline="") as stream:
        write = csv.writer(stream).writerow
        write(["data", "B", "f1"])
        for name, size, run in itertools.product(range(60), (16, 64, 256), range(2)):
            write([f"set-{name}", size, 0.9 - size / 1000 - run / 100 - name / 1000])
    (tmp_path / "tiny.yaml").write_text(LARGE)
    (tmp_path / "quick.yaml").write_text(CONFIG)
    drawing = {rule: jobs for rule, jobs in planned(tmp_path).items() if rule.startswith("draw_")}
    assert drawing == {"draw_answer": 1}
    done = snakemake(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results/tiny"
    assert {file.parent.parent.name for file in results.rglob("*.svg")} == {f"set-{name}" for name in range(20)}
    assert table(tmp_path, "recommendation")["dataset"].nunique() == 60
    page = results / "report.html"
    assert "the first 20 of 60 workloads" in page.read_text(encoding="utf-8")
    assert page.stat().st_size < 1_500_000
