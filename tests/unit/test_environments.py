"""The two ways to install the software give the same versions."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
JOBS = ("train", "analyse", "report")


def pins(lines):
    """{(package, marker): version} of requirement lines without hashes."""
    found = [re.match(r"([A-Za-z0-9_.-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+))?", line.strip()) for line in lines]
    return {(m[1], (m[3] or "").strip()): m[2] for m in found if m}


def lock(name):
    return pins((ROOT / "requirements" / name).read_text().splitlines())


def conda_pins(job):
    content = yaml.safe_load((ROOT / "envs" / f"{job}.yaml").read_text())
    (pip,) = [entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict)]
    return pins(pip), pip


@pytest.mark.parametrize("job", JOBS)
def test_conda_environments_have_the_versions_of_the_lock(job):
    versions, lines = conda_pins(job)
    assert len(versions) == len(lines)  # every line is an exact pin
    locked = {package: version for (package, _), version in lock("run.txt").items()}
    assert {package: locked[package] for package, _ in versions} == {p: v for (p, _), v in versions.items()}


@pytest.mark.parametrize("job", JOBS)
def test_conda_environments_hold_everything_their_jobs_ask_for(job):
    asked = re.findall(r"^([A-Za-z0-9_.-]+)", (ROOT / "requirements" / f"{job}.in").read_text(), re.MULTILINE)
    present = {package.lower() for package, _ in conda_pins(job)[0]}
    assert {name.lower() for name in asked} <= present


def test_the_development_lock_contains_the_one_for_running():
    run, develop = ({name: version for (name, _), version in lock(f).items()} for f in ("run.txt", "develop.txt"))
    assert {name: develop.get(name) for name in run} == run


@pytest.mark.parametrize("name", ["run.txt", "develop.txt"])
def test_locks_are_hashed_and_name_no_address(name):
    text = (ROOT / "requirements" / name).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if "==" in entry]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
