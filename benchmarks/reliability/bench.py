"""The smallest study that has every kind of record, folders that hold part of it, and what becomes of a run there."""

from __future__ import annotations

import functools
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
STUDY = """\
title: The smallest study that has every kind of record
question: Does it end with the same tables, whatever happens to it?
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
    budget: {epochs: 2, evaluations: 4}
    snapshots: {at: [0, 1], train_losses: [1.0]}
  tuned:
    extends: own
    tuning: {learning_rates: [0.01, 0.1, 1.0], seeds: [11, 12], widen: 0}
comparisons:
  - {datasets: [flowers], recipes: [own], batch_sizes: [8]}
  - {datasets: [flowers], recipes: [tuned], batch_sizes: [8], timing: own}
seeds: [1]
targets:
  - {metric: train_loss, values: [1.2, 1.0, 0.5], evaluations_in_a_row: 1}
probes:
  gradients: {recipes: [own], trained_with: [8], batch_sizes: [1, 8], batches: 20, examples: 32}
  sharpness: {recipes: [own], examples: 32}
  rates: {recipes: [own], updates: 50}
  modes: {recipes: [own], trained_with: [8], batch_sizes: [1, 20]}
  accumulation: {recipes: [own], batch_size: 8, micro_batch_size: 4, updates: 3}
  overheads: {recipes: [own]}
verdicts: [C07, C16, C30]
"""
MODEL = """\
import keras


def build(input_shape, classes, width):
    layers = [keras.layers.Input(input_shape), keras.layers.Dense(width, activation="relu"), keras.layers.Dropout(0.2)]
    return keras.Sequential([*layers, keras.layers.Dense(classes, activation="softmax")])
"""
CONFIG = "timing:\n  warmup_seconds: 0.05\n  windows: 3\n  window_seconds: 0.05\n"
# Columns and quantities that say how long something took, or when, where and with what memory it ran.
CLOCKS = r"second|telemetry|cpu|host|gpu|started_at|utilisation|energy|memory|joules|time_|throughput"
QUANTITY = ["metric", "goal", "budget"]  # columns that say what a row of a long table is about
# Tables of nothing but clocks, and of what follows from them.
OF_CLOCKS = {"timings", "windows", "update_costs", "overheads", "pareto", "tree"}
# What the stages of a run leave in results/, in their order: each of them needs those before it.
STAGES = {
    "data": ["datasets"],
    "runs": ["tunings", "runs", "timings", "tiny/probes/rates", "tiny/probes/accumulation", "tiny/probes/overheads"],
    "probes": ["tiny/probes/gradients", "tiny/probes/sharpness", "tiny/probes/modes"],
    "tables": ["tiny/tables", "tiny/study.json", "tiny/manifest.json"],
    "figures": ["tiny/figures"],
    "report": ["tiny/report.html"],
}


@dataclass(frozen=True)
class Ending:
    """How a run of the workflow ended: its exit status, its last clear sentence, whether it printed a traceback."""

    status: int
    words: str
    traceback: bool

    @property
    def clear(self) -> bool:
        """Whether it did its work or said why not."""
        return self.status == 0 or bool(self.words)


@dataclass(frozen=True)
class Case:
    """What happened in one case of a fault.

    Attributes:
        fault: which fault, the row of the table.
        what: this case of it.
        first: how the disturbed run ended; None where it was killed itself.
        last: how the one more run ended.
        differing: tables that are not those of the undisturbed study afterwards.
        left: processes that did not end with the disturbed run, None where that was not looked at.
    """

    fault: str
    what: str
    first: Ending | None
    last: Ending
    differing: tuple[str, ...]
    left: tuple[str, ...] | None = None

    @property
    def passed(self) -> bool:
        """Whether the fault was told clearly, or did nothing, left no process, and one more run mended all."""
        mended = self.last.status == 0 and not self.differing
        return mended and not self.left and (self.first is None or self.first.clear)


Cases = Iterator[Case]


class NotHereError(Exception):
    """A fault that cannot be made on this machine; the message says what it lacks."""


class Bench:
    """A folder to work in, with the undisturbed study in `finished/`, which is made when it is first needed."""

    def __init__(
        self, folder: Path, seed: int, write: Callable[[Path], None] | None = None, targets: tuple[str, ...] = ()
    ) -> None:
        self.folder, self.seed, self.random = folder, seed, random.Random(seed)
        self._write, self._targets = write or write_study, targets
        self._made = 0

    @functools.cached_property
    def finished(self) -> Path:
        """The study without disturbance, run twice, so that the second run has nothing left to do."""
        folder = self.folder / "finished"
        folder.mkdir(parents=True)
        self._write(folder)
        for _ in range(2):
            done = run(folder, *self._targets)
            if done.status != 0:
                raise RuntimeError(f"the undisturbed study failed: {done.words}; see {folder}.txt")
        return folder

    def copy(self, due: str | None = None, into: Path | None = None) -> Path:
        """A copy of the finished study without what the stage `due` and all later ones leave."""
        self._made += 1
        folder = into or self.folder / f"case{self._made}"
        shutil.copytree(self.finished, folder, dirs_exist_ok=True)
        for stage in [] if due is None else list(STAGES)[list(STAGES).index(due) :]:
            for name in STAGES[stage]:
                remove(folder / "results" / name)
        return folder

    def ended(
        self,
        fault: str,
        what: str,
        folder: Path,
        first: Ending | None,
        *targets: str,
        keep: bool = False,
        left: tuple[str, ...] | None = None,
    ) -> Case:
        """One more run in `folder`, and the case that this makes; the folder of one that passed goes."""
        last = again(folder, *targets)
        case = Case(fault, what, first, last, tuple(differing(self.finished, folder)), left)
        if case.passed and not keep:
            shutil.rmtree(folder)
        return case


def goal(due: str) -> tuple[str, ...]:
    """What one more run makes where the stage `due` was disturbed: tables, or all where those were there already."""
    return () if due in ("figures", "report") else ("tables",)


def write_study(folder: Path) -> None:
    """Study, data, model and quick timings in `folder`."""
    write_data(folder)
    for name, text in (("tiny.yaml", STUDY), ("model.py", MODEL), ("quick.yaml", CONFIG)):
        (folder / name).write_text(text)


def write_data(folder: Path) -> None:
    """A hundred flowers of three kinds in `folder`."""
    rng = np.random.default_rng(0)
    y = np.arange(100) % 3
    np.savez(folder / "flowers.npz", x=rng.normal(size=(100, 4)) + 2 * np.eye(3, 4)[y], y=y)


def command(*arguments: str) -> list[str]:
    """Snakemake on the study of the working directory, as `make report` calls it."""
    return [
        *(sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"),
        *("--quiet", "reason", "--configfile", "quick.yaml", "--config", "study=tiny.yaml"),
    ]


def run(folder: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> Ending:
    """Run the workflow in `folder`; what it prints goes to a file beside that, whose disk may be full."""
    done = subprocess.run(
        [*prefix, *command(*arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=1800,
    )
    folder.with_name(f"{folder.name}.txt").write_text(done.stdout)
    return ending(done.returncode, done.stdout)


def again(folder: Path, *arguments: str) -> Ending:
    """One more run, as `make report` starts it: the lock of a killed run goes, then Snakemake."""
    clear = [sys.executable, str(ROOT / "tools/clear_stale_lock.py")]
    unlocked = subprocess.run(clear, cwd=folder, capture_output=True, text=True, check=False)
    if unlocked.returncode != 0:
        return Ending(unlocked.returncode, unlocked.stderr.strip(), "Traceback" in unlocked.stderr)
    return run(folder, *arguments)


_CLEAR = (
    r"^Error: (?!Directory cannot)(.+)$",  # the last word of a job's log, which Snakemake prints
    r"^((?:Error: )?Directory cannot be locked.*)$",
    r"^.*(died with <Signals\.\w+: \d+>).*$",
    r"^((?:\S*Error: )?\[Errno \d+\] .+)$",
    r"^(.*(?:No space left on device|Read-only file system|Permission denied).*)$",
    r"^(\S+: .*; valid (?:is|are) .+)$",
)


def ending(status: int, output: str) -> Ending:
    """How a run ended, from what it printed."""
    words = ""
    if status != 0:
        found = (re.findall(pattern, output, re.MULTILINE) for pattern in _CLEAR)
        words = next((matches[-1] for matches in found if matches), "")
    shown = re.search(r'^Traceback \(most recent call last\)|^  File ".+", line \d+', output, re.MULTILINE)
    return Ending(status, words, shown is not None)


def differing(left: Path, right: Path) -> list[str]:
    """The tables of the study that differ in anything but clocks."""
    names = {file.stem for folder in (left, right) for file in folder.glob("results/tiny/tables/*.parquet")}
    return sorted(name for name in names - OF_CLOCKS if not _equal(left, right, name))


def _equal(left: Path, right: Path, name: str) -> bool:
    try:
        pd.testing.assert_frame_equal(_table(left, name), _table(right, name), check_exact=True)
    except (AssertionError, OSError, ValueError):
        return False
    return True


def _table(folder: Path, name: str) -> pd.DataFrame:
    """A table without its clocks, be they columns or rows."""
    frame = pd.read_parquet(folder / "results/tiny/tables" / f"{name}.parquet")
    for quantity in frame.columns.intersection(QUANTITY):
        frame = frame[~frame[quantity].astype(str).str.contains(CLOCKS)]
    return frame[[column for column in frame if not re.search(CLOCKS, column)]].reset_index(drop=True)


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


Group = Callable[[Bench], Cases]
