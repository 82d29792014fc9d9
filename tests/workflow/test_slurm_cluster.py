"""A tiny study on a real Slurm of one node; skipped where its daemons cannot be started."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, SMALL_STUDY, lasting, snakemake, write_small_study, write_study

pytestmark = pytest.mark.long
PROFILE = ROOT / "profiles" / "slurm"
CLUSTER = Path(__file__).with_name("slurm_cluster.sh")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue")

# As docs/cluster.md has it for short jobs, since each starts Snakemake twice: one for all runs, one for all figures.
DRAWING = ("draw_answer", "draw_figures", "draw_tuning_figures")
GROUPS = ("train=runs", *(f"{rule}=figures" for rule in DRAWING))
GROUPED = ("--groups", *GROUPS, "--group-components", "runs=10", "figures=10", "--cores", "1")

TUNED_STUDY = f"""{SMALL_STUDY.partition("comparisons:")[0]}\
comparisons:
  - {{datasets: [flowers], recipes: [tuned], batch_sizes: [8, full]}}
seeds: [1]
"""

# Snakemake looks at the jobs every second, and not after pauses that grow by ten seconds each time that none has ended.
SNAKEMAKE = """
import asyncio
from snakemake import cli
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

RemoteExecutor.sleep = lambda executor: asyncio.sleep(1)
cli.main()
"""


def free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def why_no_cluster():
    """Reason why Slurm's daemons cannot be started here; empty where they can."""
    if os.geteuid() != 0:
        return "Slurm's daemons are started by root only"
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]:
        return f"Slurm is not installed: there is no {', '.join(missing)}"
    if not socket.gethostbyname(socket.gethostname()).startswith("127."):
        return "the name of this host is not a loopback address, so Slurm's daemons would listen to the network"
    return ""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Environment in which `sbatch` reaches a Slurm of one node, started for these tests."""
    folder = tmp_path_factory.mktemp("slurm")
    try:
        subprocess.run([CLUSTER, "start", folder, *free_ports(2)], timeout=60, check=True)
        yield {**os.environ, "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    finally:
        subprocess.run([CLUSTER, "stop", folder], timeout=60, check=True)


def on_slurm(environment, folder, *options):
    """Run the tiny study in `folder` through Slurm."""
    workflow = ["--snakefile", ROOT / "Snakefile", "--workflow-profile", PROFILE]
    quick = ["--slurm-init-seconds-before-status-checks", "1", *options]
    return subprocess.run(
        [
            *(sys.executable, "-c", SNAKEMAKE, *workflow, *quick),
            *("--configfile", "quick.yaml", "--config", "study=tiny.yaml"),
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )


def intervals(folder, kind):
    """Start and end of every job of a kind."""
    manifests = [json.loads(path.read_text()) for path in folder.glob(f"results/{kind}/**/manifest.json")]
    return [(manifest["started_at"], manifest["ended_at"]) for manifest in manifests]


def in_common(rows):
    """Those rows of a table that both studies have."""
    here = (rows["recipe"] == "tuned") & (rows["batch_size"] == 8) & (rows["seed"] != 2)
    return rows[here].reset_index(drop=True)


@pytest.mark.skipif(bool(why_no_cluster()), reason=why_no_cluster())
def test_a_study_runs_on_a_cluster_as_on_one_machine(slurm, small, tmp_path):
    write_small_study(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TUNED_STUDY)
    done = on_slurm(slurm, tmp_path, "--slurm-keep-successful-logs", *GROUPED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "results/tiny/report.html").exists()
    for name in ("runs", "evaluations", "steps", "trials"):
        here, there = (in_common(lasting(folder, name)) for folder in (tmp_path, small))
        assert len(here)
        pd.testing.assert_frame_equal(here, there)
    rules = {path.name for path in tmp_path.glob(".snakemake/slurm_logs/*")}
    assert {"rule_make_dataset", "rule_tune_cell", "rule_time_cell", "rule_tabulate", "rule_render_report"} <= rules
    assert {name.partition("_")[0] for name in rules} == {"rule", "group"}
    timings, runs, tunings = (intervals(tmp_path, kind) for kind in ("timings", "runs", "tunings"))
    assert (len(timings), len(runs), len(tunings)) == (2, 2, 2)
    for start, end in timings:
        others = [other for other in timings + runs + tunings if other != (start, end)]
        assert all(other_end <= start or end <= other_start for other_start, other_end in others)


GREEDY_STUDY = """\
title: How much fits on a cluster?
question: Does a size that does not fit become an outcome?
datasets:
  flowers: {source: npz, path: flowers.npz, split: {validation: 20, test: 20}, scale: standardise}
recipes:
  greedy:
    model: {function: "model.py:build", outputs: logits}
    optimizer: {name: sgd, learning_rate: 0.1}
    budget: {epochs: 2}
comparisons:
  - {datasets: [flowers], recipes: [greedy], batch_sizes: [8, full]}
timing: false
seeds: [1]
"""

# A batch of all 60 flowers takes more than Slurm gives the job, 4 GB at first and 8 GB at the second attempt.
GREEDY_MODEL = """\
import keras

HELD = []


class Greedy(keras.layers.Layer):
    def call(self, x):
        if x.shape[0] == 60:
            HELD.extend(bytearray(100_000_000) for _ in range(90))
        return x


def build(input_shape, classes):
    return keras.Sequential([keras.layers.Input(input_shape), Greedy(), keras.layers.Dense(classes)])
"""


@pytest.mark.skipif(bool(why_no_cluster()), reason=why_no_cluster())
def test_a_job_that_dies_of_memory_gets_more_and_is_then_an_outcome(slurm, tmp_path):
    write_study(tmp_path)
    (tmp_path / "tiny.yaml").write_text(GREEDY_STUDY)
    (tmp_path / "model.py").write_text(GREEDY_MODEL)
    made = snakemake(tmp_path, "results/datasets/flowers/fixed.npz")
    assert made.returncode == 0, made.stdout + made.stderr
    wanted = [f"results/runs/flowers/greedy/bs{size}/seed1/run.parquet" for size in (8, "full")]
    done = on_slurm(slurm, tmp_path, *wanted)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "this was attempt 1, and the next has more memory" in output
    runs = pd.concat([pd.read_parquet(tmp_path / file) for file in wanted]).set_index("batch_size")
    assert runs["outcome"].to_dict() == {8: "ok", 60: "out_of_memory"}
    assert "(mem_mb 8000 of the cluster's job)" in runs["outcome_detail"][60]
