"""A study that trains nothing: a table of results made elsewhere gives the same report."""

import pytest
from conftest import refused, snakemake, table, write_external_runs


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
    assert 'id="critical-batch-size"' in page
    assert 'id="learning-curves"' not in page
    (tmp_path / "sweep.csv").write_text("B,run,epochs\n8,1,fast\n")
    assert "sweep.csv: column `epochs`" in refused(tmp_path)
