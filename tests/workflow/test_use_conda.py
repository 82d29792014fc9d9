"""The command of the README: from an environment that holds Snakemake alone, with an environment per rule.

Where conda is installed it makes the environments, elsewhere its stand-in does.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import sys
from pathlib import Path

import conda_stand_in
import pandas as pd
import pytest
from conftest import ROOT, command, lasting, run, write_study
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from batchscope.identity import imports

HEAVY = ("numpy", "pyarrow", "pandas", "scipy", "sklearn", "matplotlib", "tensorflow", "keras", "pooch", "requests")
WITHOUT_HEAVY = f"""\
import sys
from snakemake.cli import main  # with the plugins that are installed, which may import some of them
sys.modules.update(dict.fromkeys({HEAVY}))
main()
"""
# Sourced by the shell of every job, after Snakemake has taken PYTHONPATH away and before the job's Python starts.
SHELL = 'export PYTHONPATH="{folder}"\n'
WITNESS = """\
import atexit, json, os, sys

def tell():
    loaded = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    seen = {"script": sys.argv[0], "prefix": sys.prefix, "path": sys.path, "loaded": loaded}
    with open(f"FOLDER/{os.getpid()}.json", "w") as file:
        json.dump(seen, file)

def tell_and_exit(status, exit=os._exit):
    tell()
    exit(status)

atexit.register(tell)
os._exit = tell_and_exit  # by which jobs end that work in a child process
"""
TRAINED = ("runs", "evaluations", "steps", "trials")
PROBED = ("gradients", "noise_scale", "sharpness", "modes", "rate_curves", "accumulation")


def needed_by(name: str) -> dict[str, str]:
    """Version by name of a distribution and of all that it needs, as installed here."""
    waiting, found = [name], {}
    while waiting:
        each = importlib.metadata.distribution(waiting.pop())
        if canonicalize_name(each.name) not in found:
            found[canonicalize_name(each.name)] = each.version
            needs = [Requirement(text) for text in each.requires or ()]
            waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def test_what_is_imported_to_read_the_workflow_comes_with_snakemake(tmp_path):
    files = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    lines = [line for file in files for line in re.findall(r"^(?:from|import) .*", file.read_text(), re.MULTILINE)]
    entry = tmp_path / "entry.py"
    entry.write_text("\n".join(lines))
    root = ROOT / "scripts"
    imported = imports.packages(imports.closure(entry, root, lazy=False), root, lazy=False)
    distributions = importlib.metadata.packages_distributions()
    assert {canonicalize_name(distributions[name][0]) for name in imported} <= needed_by("snakemake").keys()


def test_a_study_is_planned_without_the_packages_of_its_jobs(tmp_path):
    write_study(tmp_path)
    python, _, _, *arguments = command("--dry-run", "--quiet", "rules")
    planned = run(tmp_path, [python, "-c", WITHOUT_HEAVY, *arguments])
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "render_report" in planned.stdout
    assert not (tmp_path / "results").exists()


@pytest.mark.long
def test_with_conda_every_job_finds_its_packages_in_its_own_environment(finished, tmp_path):
    pins = [f"{name}=={version}" for name, version in needed_by("snakemake").items()]
    alone = conda_stand_in.pinned(pins, sys.executable)
    witness = tmp_path / "witness"
    witness.mkdir()
    (witness / "sitecustomize.py").write_text(WITNESS.replace("FOLDER", str(witness)))
    (witness / "shell").write_text(SHELL.format(folder=witness))
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env["BASH_ENV"] = str(witness / "shell")
    if shutil.which("conda") is None:
        env["PATH"] = f"{conda_stand_in.install(tmp_path / 'conda')}{os.pathsep}{env['PATH']}"
    write_study(tmp_path)
    for arguments in (["--dry-run"], ["--use-conda"]):
        done = run(tmp_path, command(*arguments, python=alone / "bin" / "python"), env)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "results/tiny/report.html").is_file()

    seen = [json.loads(file.read_text()) for file in witness.glob("*.json")]
    jobs = [job for job in seen if Path(job["prefix"]) != alone]
    scripts = {file.name for file in (ROOT / "scripts").glob("*.py")}
    assert {Path(job["script"]).name.partition(".")[2] for job in jobs} >= scripts
    for job in jobs:
        assert not [folder for folder in job["path"] if Path(folder).is_relative_to(alone)], job["script"]
        foreign = {name for name, file in job["loaded"].items() if Path(file).is_relative_to(alone)}
        # Unpacking the job's files and parameters has loaded these before the script's first line.
        assert {name.partition(".")[0].partition("_")[0] for name in foreign} <= {"snakemake"}, job["script"]

    for name in (*TRAINED, *PROBED):
        pd.testing.assert_frame_equal(lasting(tmp_path, name), lasting(finished, name))
