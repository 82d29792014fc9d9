"""Every way to install the software gives the same versions, and each environment holds what its jobs import."""

import importlib.metadata
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from batchscope.identity import imports

ROOT = Path(__file__).resolve().parents[2]
TRAIN = {"train": "run.txt", "train-gpu": "gpu.txt", "train-jax": "jax.txt", "train-jax-gpu": "jax-gpu.txt"}
LOCK_OF = {**TRAIN, "analyse": "run.txt", "report": "run.txt"}
LOCKS = (*TRAIN.values(), "develop.txt", "uv.txt")
CONDA_PYTHON = {"python_version": "3.12", "python_full_version": "3.12.1"}
STARTED = {"render_report.py": ROOT / "reports" / "notebook.py"}  # source that a job runs without importing it
BY_NAME = {
    "papermill": "ipykernel",
    "pooch": "tqdm",
}  # what a package starts or imports when asked to, by a name in a text


EITHER = {"{ENVIRONMENT}": tuple(TRAIN)}  # by the study's engine and device


def script_environments():
    """{script of a rule: the conda files of the rules that run it}, read from rules/*.smk."""
    found = {}
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for rule in re.split(r"^(?=(?:use )?rule )", file.read_text(), flags=re.MULTILINE):
            script = re.search(r"scripts/(\w+\.py)", rule)
            if script:
                named = re.findall(r"envs/([\w{}-]+)\.yaml", rule)
                found.setdefault(script[1], set()).update(each for name in named for each in EITHER.get(name, (name,)))
    return found


SCRIPTS = script_environments()


def imported_distributions(script, engine="tensorflow"):
    """The distributions that a script imports, lazily or not, with the source that it starts."""
    root = ROOT / "scripts"
    entries = [root / script, *([STARTED[script]] if script in STARTED else [])]
    files = {file for entry in entries for file in imports.closure(entry, root, engine=engine)}
    distributions = importlib.metadata.packages_distributions()
    return {canonicalize_name(distributions[name][0]) for name in imports.packages(files, root)}


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


def present(job):
    """Names of the packages in a conda environment."""
    return {canonicalize_name(package) for package, _ in conda_pins(job)[0]}


def installed():
    """Names of the packages that this Python has."""
    return {canonicalize_name(each.name) for each in importlib.metadata.distributions()}


@pytest.mark.parametrize("job", LOCK_OF)
def test_conda_environments_have_the_versions_of_the_lock(job):
    versions, lines = conda_pins(job)
    assert len(versions) == len(lines)  # every line is an exact pin
    locked = {package: version for (package, _), version in lock(LOCK_OF[job]).items()}
    assert {package: locked[package] for package, _ in versions} == {p: v for (p, _), v in versions.items()}


def test_every_script_has_a_conda_environment():
    assert set(SCRIPTS) == {file.name for file in (ROOT / "scripts").glob("*.py")}
    assert all(SCRIPTS.values())


@pytest.mark.parametrize("script", SCRIPTS)
def test_conda_environments_hold_what_their_jobs_import(script):
    for job in SCRIPTS[script]:
        imported = imported_distributions(script, "jax" if "jax" in job else "tensorflow")
        assert not (imported | {BY_NAME[name] for name in imported & BY_NAME.keys()}) - present(job), job


@pytest.mark.parametrize("job", LOCK_OF)
def test_conda_environments_hold_what_their_packages_need(job):
    held = present(job)
    missing = {}
    for name in held & installed():
        needs = map(Requirement, importlib.metadata.requires(name) or ())
        wanted = {canonicalize_name(n.name) for n in needs if n.marker is None or n.marker.evaluate(CONDA_PYTHON)}
        missing |= {name: wanted - held} if wanted - held else {}
    assert not missing


def test_an_import_inside_a_function_and_one_of_the_notebook_are_followed():
    assert {"keras", "tensorflow", "nvidia-ml-py"} <= imported_distributions("train.py")
    assert {"keras", "jax"} <= imported_distributions("train.py", "jax")
    assert "tensorflow" not in imported_distributions("train.py", "jax")
    assert {"papermill", "ipython", "statsmodels"} <= imported_distributions("render_report.py")


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("run.txt", "gpu.txt"), ("jax.txt", "jax-gpu.txt"), ("run.txt", "develop.txt"), ("jax.txt", "develop.txt")],
)
def test_a_larger_lock_contains_the_one_for_running(smaller, larger):
    run, more = ({name: version for (name, _), version in lock(file).items()} for file in (smaller, larger))
    assert run.items() <= more.items()


def test_the_gpu_adds_cuda_libraries_for_linux_and_nothing_else():
    added = lock("gpu.txt").keys() - lock("run.txt").keys()
    assert {name.split("-")[0] for name, _ in added} == {"nvidia"}
    assert {"nvidia-cudnn-cu12", "nvidia-cuda-nvcc-cu12", "nvidia-nccl-cu12"} <= {name for name, _ in added}
    assert {marker for _, marker in added} == {"platform_machine == 'x86_64' and sys_platform == 'linux'"}
    assert conda_pins("train-gpu")[0] == conda_pins("train")[0] | {each: lock("gpu.txt")[each] for each in added}


def test_conda_files_are_those_that_the_locks_are_compared_with():
    assert {file.stem for file in (ROOT / "envs").glob("*.yaml")} == set(LOCK_OF)
    assert {file.name for file in (ROOT / "requirements").glob("*.txt")} == set(LOCKS)


@pytest.mark.parametrize("name", LOCKS)
def test_locks_are_hashed_and_name_no_address(name):
    text = (ROOT / "requirements" / name).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if "==" in entry]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
