"""Tiny studies, run through Snakemake: each is made once and looked at by many tests."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import snakemake_starts

ROOT = Path(__file__).resolve().parents[2]
STARTED = contextlib.ExitStack()  # what ends with the tests

# Columns that say how long something took or when and where it ran.
CLOCKS = (
    *("seconds", "telemetry", "cpu", "host", "gpu", "started_at", "examples_per_second", "utilisation", "energy"),
    "memory",
)

STUDY = """\
title: A tiny study of one's own
question: Does a study with own data and an own model run from a file to a report?
datasets:
  flowers:
    source: npz
    path: flowers.npz
    split: {validation: 20, test: 20}
    scale: standardise
recipes:
  own:
    model: {function: "model.py:build", arguments: {width: 6}, outputs: probabilities}
    optimizer: {name: sgd, learning_rate: 0.1}
    budget: {epochs: 3, evaluations: 6}
    snapshots: {at: [0, 1], train_losses: [1.0]}
  tuned:
    extends: own
    tuning: {learning_rates: [0.01, 0.1, 1.0], seeds: [11, 12], widen: 1}
comparisons:
  - {datasets: [flowers], recipes: [own], batch_sizes: [8]}
  - {datasets: [flowers], recipes: [tuned], batch_sizes: [8], timing: own}
seeds: [1]
probes:
  gradients: {recipes: [own], trained_with: [8], batch_sizes: [1, 8], batches: 20, examples: 32}
  sharpness: {recipes: [own], examples: 32}
  rates: {recipes: [tuned], updates: 50}
  modes: {recipes: [own], trained_with: [8], batch_sizes: [1, 20]}
  accumulation: {recipes: [own], batch_size: 8, micro_batch_size: 4, updates: 3}
  overheads: {recipes: [own]}
"""

# On the reference engine, whose jobs take as long as Python takes to start. Braces are no wildcards of Snakemake.
SMALL_STUDY = """\
title: Softmax regression on flowers, {32} {or} {{more}}
question: Does a study without a framework go from a file to a report?
datasets:
  flowers:
    source: npz
    path: flowers.npz
    split: {validation: 20, test: 20}
    scale: standardise
recipes:
  own:
    model: {name: mlp, hidden: []}
    optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.5}
    budget: {epochs: 4, evaluations: 8}
    snapshots: {at: [0, 1]}
  tuned:
    extends: own
    tuning: {learning_rates: [0.01, 0.1, 1.0], seeds: [11, 12], widen: 1}
comparisons:
  - {datasets: [flowers], recipes: [own], batch_sizes: [8, full]}
  - {datasets: [flowers], recipes: [tuned], batch_sizes: [8], timing: own}
seeds: [1, 2]
targets:
  - {metric: train_loss, values: [1.0, 0.5, 0.000001], evaluations_in_a_row: 1}
probes:
  gradients: {recipes: [own], trained_with: [8], batch_sizes: [1, 4, 16], batches: 400, examples: 60}
  sharpness: {recipes: [own], examples: 60}
  rates: {recipes: [tuned], updates: 50}
  modes: {recipes: [own], trained_with: [8], batch_sizes: [1, 20]}
  accumulation: {recipes: [own], batch_size: 8, micro_batch_size: 3, updates: 5}
claims:
  counted:
    statement: Sixty flowers make eight updates of eight.
    source: arithmetic
    metric: updates_per_epoch
    test: {kind: count, cases: [{examples: 60, batch_size: 8, updates: 8}]}
  perfect:
    statement: A batch of eight makes no mistake at all.
    source: hope
    metric: selected_test_accuracy
    test: {kind: value, batch_size: 8, at_least: 1}
verdicts: [counted, perfect, C07, C16, C30]
"""

MODEL = """\
import keras


def build(input_shape, classes, width):
    layers = [keras.layers.Input(input_shape), keras.layers.Dense(width, activation="relu"), keras.layers.Dropout(0.2)]
    return keras.Sequential([*layers, keras.layers.Dense(classes, activation="softmax")])
"""

EXTERNAL_RUNS = """\
title: Runs made elsewhere
question: Does a table of results give a report?
measurements:
  runs:
    path: sweep.csv
    dataset: elsewhere
    recipe: theirs
    n_train: 1000
    metric: error
    target: 0.1
    columns: {batch_size: B, seed: run, epochs: epochs}
verdicts: [C20]
"""
CONFIG = "timing:\n  warmup_seconds: 0.05\n  windows: 3\n  window_seconds: 0.05\n"

# The files of tests that take longest, the longest first.
LONGEST = (
    # The first two need different studies, or one would wait for the other.
    *("test_slurm_cluster.py", "test_use_conda.py", "test_warm_starts.py", "test_second_start.py", "test_jax.py"),
    *("test_killed_study.py", "test_memory.py", "test_tracker_exports.py", "test_external_runs.py"),
    *("test_extending.py", "test_module.py", "test_elsewhere.py", "test_tiny_study.py", "test_small_study.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first: a worker takes one file after another, and a long one at the end keeps the others idle."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def write_study(folder: Path) -> None:
    """Study, data, model and quick timings in `folder`."""
    rng = np.random.default_rng(0)
    y = np.arange(100) % 3
    np.savez(folder / "flowers.npz", x=rng.normal(size=(100, 4)) + 2 * np.eye(3, 4)[y], y=y)
    (folder / "tiny.yaml").write_text(STUDY)
    (folder / "model.py").write_text(MODEL)
    (folder / "quick.yaml").write_text(CONFIG)


def write_small_study(folder: Path) -> None:
    """A study of the reference engine in `folder`."""
    write_study(folder)
    (folder / "tiny.yaml").write_text(SMALL_STUDY)
    (folder / "quick.yaml").write_text(f"engine: numpy\n{CONFIG}")


def write_smaller_study(folder: Path) -> None:
    """The study of the reference engine with one of its seeds, and without probes and verdicts, in `folder`."""
    write_small_study(folder)
    text = SMALL_STUDY.partition("probes:")[0].replace("seeds: [1, 2]", "seeds: [1]")
    (folder / "tiny.yaml").write_text(text)


def write_external_runs(folder: Path) -> None:
    """A study that trains nothing, in `folder`: epochs to a target, whose critical batch size is 40."""
    sizes, runs = (8, 16, 32, 64, 128), range(5)
    rows = [f"{size},{run},{4 * (1 + size / 40) * (1 + 0.01 * (run - 2)):.4f}" for size in sizes for run in runs]
    (folder / "sweep.csv").write_text("B,run,epochs\n" + "\n".join(rows) + "\n")
    (folder / "tiny.yaml").write_text(EXTERNAL_RUNS)
    (folder / "quick.yaml").write_text(CONFIG)


def command(*arguments: str, snakefile: Path = ROOT / "Snakefile", python: Path = Path(sys.executable)) -> list[str]:
    return [
        *(str(python), "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "2"),
        *(*arguments, "--configfile", "quick.yaml", "--config", "study=tiny.yaml"),
    ]


def run(folder: Path, command: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`; output is returned, not printed."""
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=1800, check=False)


@functools.cache
def _start() -> snakemake_starts.Start:
    return STARTED.enter_context(snakemake_starts.host())


@pytest.fixture(scope="session", autouse=True)
def _ended() -> Iterator[None]:
    yield
    STARTED.close()


def start(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """As `run` with a command of this interpreter and environment, which saves the time that imports take."""
    return _start()(folder, command[3:])


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake on the study in `folder`."""
    return start(folder, command(*arguments))


def start_and_kill(folder: Path, appears: str) -> None:
    """Start the study and kill Snakemake and all its jobs with SIGKILL once a file matching `appears` exists."""
    process = subprocess.Popen(
        command(), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while not any(folder.glob(appears)):
            if process.poll() is not None:
                raise AssertionError(f"the study ended before {appears} appeared")
            os.sched_yield()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def made_once(factory: pytest.TempPathFactory, name: str, write: Callable[[Path], None]) -> Path:
    """Folder of a study that was run undisturbed to its report; the first worker that needs it makes it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "results/tiny/report.html").exists():
            folder.mkdir(exist_ok=True)
            write(folder)
            done = run(folder, command())
            assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny study of TensorFlow, with a model of one's own, run to its report."""
    return made_once(tmp_path_factory, "finished", write_study)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small study of the reference engine, run to its report."""
    return made_once(tmp_path_factory, "small", write_small_study)


@pytest.fixture
def edited(small: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to change something in."""
    return shutil.copytree(small, tmp_path / "edited")


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text that stands in a file."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def table(folder: Path, name: str) -> pd.DataFrame:
    """A table of the study in `folder`."""
    return pd.read_parquet(folder / f"results/tiny/tables/{name}.parquet")


def lasting(folder: Path, name: str) -> pd.DataFrame:
    """The columns of a table that are equal whenever and wherever it is made."""
    found = table(folder, name)
    return found[[column for column in found if not any(word in column for word in CLOCKS)]]


def lasting_of(other: Path, folder: Path, name: str) -> pd.DataFrame:
    """The rows of `lasting(folder, name)` whose seeds the table of another study has, too."""
    found, seeds = lasting(folder, name), table(other, name)["seed"]
    return found[found["seed"].isin(seeds)].reset_index(drop=True)


def warnings(folder: Path) -> list[str]:
    """The warnings of Python in the logs of all jobs."""
    logs = list(folder.glob("logs/**/*.log"))
    assert logs
    lines = [line for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if re.search(r"\w+Warning: ", line)]


def planned(folder: Path, *arguments: str) -> dict[str, int]:
    """How many jobs of each rule a dry run would start."""
    done = snakemake(folder, "--dry-run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)}


def refused(folder: Path, *arguments: str) -> str:
    """What a start that is refused says."""
    done = snakemake(folder, *arguments)
    assert done.returncode != 0
    return done.stdout + done.stderr
