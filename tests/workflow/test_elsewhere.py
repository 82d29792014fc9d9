"""The workflow where its folder, its results, its home or its interpreter are not where one expects them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, command, run, snakemake, write_external_runs

SOURCES = ("Snakefile", "rules", "scripts", "config", "envs", "profiles", "reports")
# No mode keeps root from writing, so for root the folders are mounted read-only, in a name space of the run.
MOUNTED = ["unshare", "--mount", "sh", "-c"]
READ_ONLY = (
    'for d in "$0" "$1"; do mount --bind "$d" "$d" && mount -o remount,bind,ro "$d" || exit; done; shift; exec "$@"'
)


def copied_workflow(folder: Path) -> Path:
    """A copy of what the workflow consists of; its Snakefile."""
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        folder.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, folder / name)
    return folder / "Snakefile"


def with_read_only(first: Path, second: Path) -> list[str]:
    """The start of a command that runs the rest of it with two folders read-only; skips where that cannot be had."""
    if os.geteuid() != 0:
        for file in (first, second, *first.rglob("*")):
            file.chmod(file.stat().st_mode & ~0o222)
        return []
    if (
        not shutil.which("unshare")
        or subprocess.run([*MOUNTED, READ_ONLY, first, second, "true"], check=False).returncode
    ):
        pytest.skip("root may not mount here, and no mode keeps root from writing")
    return [*MOUNTED, READ_ONLY, str(first), str(second)]


@pytest.fixture
def other_disk() -> Iterator[Path]:
    """A folder on another file system."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("there is no second file system to write to")
    folder = Path(tempfile.mkdtemp(dir=shared))
    yield folder
    shutil.rmtree(folder)


def test_a_read_only_workflow_and_home_and_results_on_another_disk_give_a_report(tmp_path, other_disk):
    home, work = tmp_path / "home", tmp_path / "my first study"
    home.mkdir()
    work.mkdir()
    write_external_runs(work)
    (work / "results").symlink_to(other_disk)
    snakefile = copied_workflow(tmp_path / "work flow")
    asked = command("--directory", str(work), snakefile=snakefile)
    asked[asked.index("quick.yaml")] = str(work / "quick.yaml")
    done = run(tmp_path, [*with_read_only(snakefile.parent, home), *asked], env={**os.environ, "HOME": str(home)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Runs made elsewhere" in (other_disk / "tiny/report.html").read_text(encoding="utf-8")
    assert not list(home.iterdir())


@pytest.mark.parametrize("home", [None, "nowhere/at/all"])
def test_a_missing_home_is_not_needed(tmp_path, home):
    write_external_runs(tmp_path)
    env = {key: value for key, value in os.environ.items() if key != "HOME"}
    planned = run(tmp_path, command("--dry-run"), env=env | ({"HOME": str(tmp_path / home)} if home else {}))
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert not (tmp_path / "nowhere").exists()


def test_an_interpreter_that_a_shell_takes_apart_is_refused_before_any_job(tmp_path):
    name = "it's my {x} environment"
    write_external_runs(tmp_path)
    (tmp_path / name).symlink_to(sys.prefix, target_is_directory=True)
    python = tmp_path / name / "bin" / "python"
    refused = run(tmp_path, command("--dry-run", python=python))
    assert refused.returncode != 0
    sentences = [line for line in refused.stderr.splitlines() if name in line]
    assert len(sentences) == 1, refused.stderr
    assert "valid is" in sentences[0]


def test_a_folder_with_braces_is_refused_before_any_job(tmp_path):
    write_external_runs(tmp_path)
    refused = run(tmp_path, command("--dry-run", snakefile=copied_workflow(tmp_path / "my {32} folder")))
    assert refused.returncode != 0
    sentences = [line for line in refused.stderr.splitlines() if "valid is" in line]
    assert len(sentences) == 1, refused.stderr
    assert "my {32} folder" in sentences[0]


def test_what_sources_mean_is_kept_by_a_start_and_not_by_a_dry_run_and_no_start_needs_it(tmp_path):
    write_external_runs(tmp_path)
    kept = tmp_path / ".cache"
    for options in (["--dry-run"], []):
        assert not kept.exists()
        done = snakemake(tmp_path, *options, "results/tiny/manifest.json")
        assert done.returncode == 0, done.stdout + done.stderr
    assert [file.name for file in kept.iterdir()] == ["source_code.json"]
    shutil.rmtree(kept)
    kept.write_text("in the way")
    done = snakemake(tmp_path, "--force", "results/tiny/manifest.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ".cache/source_code.json cannot be written" in done.stderr
