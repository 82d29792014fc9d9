"""The studies of published measurements, from their files to the published numbers; skipped where the files are not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

FOLDER = os.environ.get("BATCHSCOPE_MEASUREMENTS")
# Study, target, B_crit, E_min in epochs: fits to the plain means of the same files, made independently.
FITS = [
    ("mlperf-resnet", 0.759, 47_066, 34.688),
    ("mlperf-rnnt", 0.058, 3_702, 35.743),
    ("zeus-librispeech", 40, 308, 6.43),
]


@pytest.mark.skipif(FOLDER is None, reason="BATCHSCOPE_MEASUREMENTS does not name the folder of the measurements")
@pytest.mark.parametrize(("study", "target", "b_crit", "e_min"), FITS, ids=str)
def test_the_published_measurements_give_their_critical_batch_size(tmp_path, study, target, b_crit, e_min):
    folder = tmp_path / "measurements"
    shutil.copytree(str(FOLDER), folder)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    done = subprocess.run(
        [*command, "--config", f"study={study}", f"data_folders=[{folder}]"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tables = tmp_path / "results" / study / "tables"
    fits = pd.read_csv(tables / "critical_batch_size.csv")
    fit = fits[fits["target"] == target].iloc[0]
    assert fit["accepted"]
    assert fit["b_crit"] == pytest.approx(b_crit, rel=0.005)
    assert fit["e_min"] == pytest.approx(e_min, rel=0.005)
    if study == "zeus-librispeech":
        savings = pd.read_csv(tables / "savings.csv").query("target == 40").set_index("choice")["saving_percent"]
        for choice, percent in {"batch_size": 18.00, "power_limit": 16.19, "both": 42.79}.items():
            assert savings[choice] == pytest.approx(percent, abs=0.01)
    assert (Path(tmp_path) / "results" / study / "report.html").is_file()
