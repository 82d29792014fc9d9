"""A table of runs alone gives a report, and a study beside it that can be edited."""

import shutil

import pandas as pd
import pytest
from conftest import ROOT, command, start


def of_table(folder, *targets, runs="fashion-wandb.csv", **keys):
    """Run Snakemake on a table of runs in `folder`, without a study file."""
    given = [f"runs={runs}", *(f"{key}={value}" for key, value in keys.items())]
    return start(folder, [*command()[:-1], *given, "--", *targets] if targets else [*command()[:-1], *given])


def verdicts(folder):
    """By claim, the verdict and the effect."""
    found = pd.read_parquet(folder / "results/fashion-wandb/tables/verdicts.parquet").set_index("claim")
    return found[["verdict", "effect"]].to_dict("index")


CLAIM = """\
claims:
  better-than-large:
    statement: 128 has a better test accuracy than 512 and 1,024.
    source: notes on a W&B sweep (Fashion-MNIST)
    metric: selected_test_accuracy
    test: {kind: sizes, direction: higher, batch_sizes: [128], than: [512, 1024]}
    margin: 0.002
verdicts: [better-than-large, C20]
"""


def test_an_export_alone_gives_a_report_and_a_study_that_can_be_edited(tmp_path):
    for file in (ROOT / "config/studies/data").glob("*.csv"):
        shutil.copy(file, tmp_path)
    (tmp_path / "quick.yaml").write_text("study: quickstart\n")
    done = of_table(tmp_path, histories="fashion-wandb-val-loss.csv")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "The table was read as an export of Weights & Biases." in said
    assert "Left out, the same in every finished run: epochs, epoch." in said
    results = tmp_path / "results/fashion-wandb"
    fits = pd.read_parquet(results / "tables/critical_batch_size.parquet")
    assert fits["accepted"].tolist() == [True, False, False]  # not all runs reach the two tighter ones
    assert fits["b_crit"].iloc[0] == pytest.approx(1650, rel=0.01)
    to_target = pd.read_parquet(results / "tables/to_target.parquet")
    assert to_target.groupby("target", sort=False)["reached"].mean().tolist() == [1, 0.9, 0.5]
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "Left out, since the tracker says it about the run: Notes, Created, Runtime." in page
    assert "The file fashion-wandb-val-loss.csv holds the course of 20 of 20 runs." in page

    study = results / "study.yaml"
    tuned = study.read_text(encoding="utf-8") + CLAIM
    study.write_text(tuned, encoding="utf-8")
    done = of_table(tmp_path, "tables", histories="fashion-wandb-val-loss.csv")
    assert "results/fashion-wandb/study.yaml is used as it was edited." in done.stdout + done.stderr
    of_best_rates = verdicts(tmp_path)["better-than-large"]
    assert (of_best_rates["verdict"], round(of_best_rates["effect"], 4)) == ("undecided", -0.0006)
    one_rate = tuned.replace("    shared_seeds", '    where: {lr: "0.001"}\n    shared_seeds')
    study.write_text(one_rate, encoding="utf-8")
    done = of_table(tmp_path, "tables", histories="fashion-wandb-val-loss.csv")
    assert "60 of 80 rows are left out" in done.stdout + done.stderr
    of_one_rate = verdicts(tmp_path)["better-than-large"]
    assert (of_one_rate["verdict"], round(of_one_rate["effect"], 4)) == ("supported", 0.0071)


def test_a_table_that_leaves_something_open_stops_before_the_first_job(tmp_path):
    shutil.copy(ROOT / "tests/exports/optuna_trials.csv", tmp_path)
    (tmp_path / "quick.yaml").write_text("study: quickstart\n")
    done = of_table(tmp_path, runs="optuna_trials.csv")
    assert done.returncode != 0
    assert "optuna_trials.csv: what `value` measures" in done.stdout + done.stderr
    study = tmp_path / "results/optuna_trials/study.yaml"
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace("# selected_validation_loss,", "selected_validation_loss: value #"), encoding="utf-8")
    done = of_table(tmp_path, "tables", runs="optuna_trials.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    left = pd.read_parquet(tmp_path / "results/optuna_trials/tables/left_out.parquet")
    assert left.groupby("reason")["rows"].sum().to_dict() == {"state FAIL": 1, "state PRUNED": 3, "state RUNNING": 1}
