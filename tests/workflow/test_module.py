"""The workflow as a module of another one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from conftest import ROOT, command, run, start, write_external_runs, write_study

PLAIN = """\
module batchscope:
    snakefile: "{root}/Snakefile"

use rule * from batchscope
"""
RENAMED = """\
configfile: "quick.yaml"
config["study"] = "tiny.yaml"

module batchscope:
    snakefile: "{root}/Snakefile"
    config: config
    prefix: "sweep"

use rule * from batchscope as batchscope_*

rule ours:
    input: rules.batchscope_all.input
    output: "ours.txt"
    default_target: True
    shell: "cp {{input}} {{output}}"
"""
FEW_KEYS = """\
module batchscope:
    snakefile: "{root}/Snakefile"
    config: {{"study": "tiny.yaml"}}
    prefix: "sweep"

use rule * from batchscope
"""
HOSTED = """\
module batchscope:
    snakefile: github("owner/name", path="Snakefile", commit="{commit}")
    config: {{"study": "tiny.yaml"}}

use rule * from batchscope
"""


def outer(folder: Path, text: str, **names: object) -> Path:
    """The Snakefile of the other workflow, in `folder`."""
    file = folder / "Snakefile"
    file.write_text(text.format(root=ROOT, **names))
    return file


def test_a_module_plans_the_jobs_that_the_workflow_itself_ran(small, tmp_path):
    planned = start(small, command("--dry-run", snakefile=outer(tmp_path, PLAIN)))
    assert planned.returncode == 0, planned.stderr
    assert "Nothing to be done" in planned.stdout + planned.stderr


def test_a_module_with_few_keys_of_the_config_makes_a_data_set_from_files_that_no_prefix_moves(tmp_path):
    write_study(tmp_path)
    asked = command("sweep/results/datasets/flowers/fixed.npz", snakefile=outer(tmp_path, FEW_KEYS))
    done = start(tmp_path, asked[: asked.index("--configfile")])
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "sweep/results/datasets/flowers/fixed.npz").is_file()


def test_a_module_with_a_prefix_and_other_names_makes_a_report_for_the_rule_of_another_workflow(tmp_path):
    write_external_runs(tmp_path)
    done = start(tmp_path, command(snakefile=outer(tmp_path, RENAMED)))
    assert done.returncode == 0, done.stdout + done.stderr
    report = (tmp_path / "sweep/results/tiny/report.html").read_text(encoding="utf-8")
    assert "Runs made elsewhere" in report
    assert (tmp_path / "ours.txt").read_text(encoding="utf-8") == report
    assert not (tmp_path / "results").exists()


def test_a_module_without_the_library_beside_it_is_refused_in_one_sentence(tmp_path):
    """Snakemake keeps a bare clone of a hosted repository and takes single files from it."""
    source, cache = tmp_path / "source", tmp_path / "cache"
    clone = cache / "snakemake/snakemake/source-cache/snakemake-git-cache/github.com/owner/name"
    (source / "rules").mkdir(parents=True)
    for name in ("Snakefile", "rules/place.smk"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    git = ["git", "-c", "user.name=someone", "-c", "user.email=someone@example.org", "-C", str(source)]
    for arguments in (["init"], ["add", "."], ["commit", "-m", "first"], ["clone", "--bare", ".", str(clone)]):
        subprocess.run([*git, *arguments], capture_output=True, check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    write_external_runs(tmp_path)
    file = outer(tmp_path, HOSTED, commit=commit)
    refused = run(tmp_path, command("--dry-run", snakefile=file), env={**os.environ, "XDG_CACHE_HOME": str(cache)})
    assert refused.returncode != 0
    assert "valid is a module whose `snakefile` is a path in a clone" in refused.stderr
    assert "Traceback" not in refused.stderr
