"""The profiles for a cluster and for a GPU: what jobs ask for."""

import json
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

PROFILES = ROOT / "profiles"

PROBES = {f"probe_{name}" for name in ("gradients", "sharpness", "modes", "rates", "accumulation", "overheads")}
ALONE = {"time_cell", "probe_overheads"}

# Snakemake shows a rule's message in place of its resources; here it shows what a job asks for.
SHOW_JOBS = """
import json
from snakemake import cli, logging

def show(self, record):
    asked = {**dict(record["resources"].items()), "threads": record["threads"]}
    return "JOB " + json.dumps([record["rule_name"], asked], default=str)

logging.DefaultFormatter.format_job_info = show
cli.main()
"""


def dry_run(folder, profile, *config):
    """What each job of the study with every kind of job would ask for, as (rule, resources) pairs."""
    arguments = ["--snakefile", ROOT / "Snakefile", "--workflow-profile", PROFILES / profile, "--dry-run"]
    done = subprocess.run(
        [sys.executable, "-c", SHOW_JOBS, *arguments, "--config", "study=probes", *config],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    jobs = [json.loads(line.removeprefix("JOB ")) for line in output.splitlines() if line.startswith("JOB ")]
    return [(rule, asked) for rule, asked in jobs if rule != "all"]  # the target is no job of the cluster


@pytest.fixture(scope="module")
def cluster_jobs(tmp_path_factory):
    return dry_run(tmp_path_factory.mktemp("dry"), "slurm")


def test_every_job_asks_the_cluster_for_memory_minutes_and_cores(cluster_jobs):
    assert {"make_dataset", "train", "time_cell", *PROBES, "tabulate", "render_report"} <= {
        rule for rule, _ in cluster_jobs
    }
    for rule, asked in cluster_jobs:
        assert asked["mem_mb"] >= 500, rule  # Snakemake itself needs 220 of them
        assert 5 <= asked["runtime"] <= 24 * 60, rule
        assert asked["threads"] == 1, rule


def test_only_timings_have_a_node_to_themselves(cluster_jobs):
    assert {rule for rule, asked in cluster_jobs if asked.get("slurm_extra") == "--exclusive"} == ALONE
    assert not any("slurm_extra" in asked for rule, asked in cluster_jobs if rule not in ALONE)


def test_no_cluster_is_assumed(cluster_jobs):
    for _, asked in cluster_jobs:
        assert not {"slurm_partition", "slurm_account", "qos", "constraint", "clusters"} & set(asked)


@pytest.mark.parametrize("profile", ["slurm", "gpu"])
def test_a_profile_repeats_what_the_default_one_says(profile):
    default, own = (yaml.safe_load((PROFILES / name / "profile.yaml").read_text()) for name in ("default", profile))
    assert default == {key: own.get(key) for key in default}


@pytest.mark.parametrize(("profile", "config"), [("gpu", []), ("slurm", ["device=gpu"])])
def test_jobs_that_train_or_probe_ask_for_one_gpu_each(tmp_path, profile, config):
    gpus = {(rule, asked.get("gpu", 0)) for rule, asked in dry_run(tmp_path, profile, *config)}
    assert {rule for rule, gpu in gpus if gpu == 1} == {"train", "tune_cell", "time_cell", *PROBES}
    assert {gpu for _, gpu in gpus} == {0, 1}


def test_without_a_gpu_none_is_asked_for(cluster_jobs):
    assert not any(asked.get("gpu") for _, asked in cluster_jobs)
