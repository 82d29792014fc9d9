"""Faults of warm starts: kills of Snakemake, of hosts and of jobs at random moments, and what else hosts meet.

After each fault every process of the workflow must be gone: those of its session, by id and time of start.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from bench import CONFIG, Bench, Cases, Ending, command, ending, remove, write_data

STUDY = """\
title: A few short jobs of a framework
question: Does it end with the same tables, whatever happens to the processes that start its jobs?
datasets:
  flowers: {source: npz, path: flowers.npz, split: {validation: 20, test: 20}, scale: standardise}
recipes:
  own:
    model: {name: mlp, hidden: [6], dropout: 0.2}
    optimizer: {name: sgd, learning_rate: 0.1}
    budget: {epochs: 2, evaluations: 4}
    snapshots: {at: [0, 1]}
  tuned:
    extends: own
    tuning: {learning_rates: [0.01, 0.1, 1.0], seeds: [11, 12], widen: 0}
comparisons:
  - {datasets: [flowers], recipes: [own], batch_sizes: [8]}
  - {datasets: [flowers], recipes: [tuned], batch_sizes: [8], timing: own}
seeds: [1, 2, 3]
probes:
  gradients: {recipes: [own], trained_with: [8], batch_sizes: [1, 8], batches: 20, examples: 32}
verdicts: [C07, C16, C30]
"""
JOBS = [
    *(f"runs/flowers/{recipe}/bs8/seed{seed}" for recipe in ("own", "tuned") for seed in (1, 2, 3)),
    *("tunings/flowers/tuned/bs8", "timings/flowers/own/bs8", "tiny/probes/gradients/flowers/own/bs8/seed1"),
]
DUE = 2  # of these jobs, and what depends on them, so that there are some after a fault, too
LATEST = 3.0  # seconds after the first host began
PATIENCE = 60  # seconds until every process of a workflow that was ended must be gone
TMP = "tmp"  # folder for temporary files, in which the sockets lie


@dataclass(frozen=True)
class Fault:
    """Something that is done to a running workflow, so often; whether it ends Snakemake, too."""

    name: str
    times: int
    does: Callable[[Session, random.Random], str]
    ends: bool = False


class Session:
    """A workflow in a session of its own, with every process that was ever seen in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder, folder.with_name(f"{folder.name}.txt")
        (folder / TMP).mkdir()
        with self.output.open("w") as stream:
            self.snakemake = subprocess.Popen(
                command("tables", "--keep-going"),
                cwd=folder,
                env={**os.environ, "TMPDIR": str(folder / TMP)},
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._seen: set[psutil.Process] = set()

    def processes(self) -> list[psutil.Process]:
        """The processes that are alive, the oldest first; a number that was given again is another process."""
        for each in psutil.process_iter():
            if _session(each.pid) == self.snakemake.pid:
                self._seen.add(each)
        return sorted(filter(_is_alive, self._seen), key=lambda each: (each.create_time(), each.pid))

    def hosts(self) -> list[psutil.Process]:
        """The hosts; their children have the same command, and another process group."""
        return [each for each in self._of("warm_host.py") if os.getpgid(each.pid) == each.pid]

    def of_jobs(self) -> list[psutil.Process]:
        """The processes of jobs that need a framework: those that Snakemake started, and the children of hosts."""
        scripts = (each for name in ("train.py", "tune_cell.py", "time_cell.py", "probe.py") for each in self._of(name))
        return [*scripts, *(each for each in self._of("warm_host.py") if each not in self.hosts())]

    def wait_for(self, found: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
        """Processes, as soon as there are some; none where the workflow ended first."""
        while self.snakemake.poll() is None:
            if some := found():
                return some
            time.sleep(0.02)
        return []

    def left(self) -> tuple[tuple[str, ...], float]:
        """What does not end after Snakemake, and the seconds until all had ended."""
        began = time.monotonic()
        while (some := self.processes()) and time.monotonic() - began < PATIENCE:
            time.sleep(0.05)
        said = tuple(f"{each.pid} {' '.join(each.cmdline()[:3])}" for each in some)
        for each in some:
            each.kill()
        return said, time.monotonic() - began

    def _of(self, name: str) -> list[psutil.Process]:
        found = []
        for each in self.processes():
            try:
                if any(word.endswith(name) for word in each.cmdline()[1:3]):
                    found.append(each)
            except psutil.Error:  # it has ended
                continue
        return found


def warm(bench: Bench) -> Cases:
    """Every fault as often as it says, at random moments; each is followed by one more run."""
    own = Bench(bench.folder / "warm", bench.seed, _write, ("tables",))
    for fault in FAULTS:
        for number in range(fault.times):
            own.random.seed(f"{bench.seed} {fault.name} {number}")  # whatever other groups and faults have drawn
            folder, moment, first, left = _disturbed(own, fault)
            yield own.ended(fault.name, moment, folder, first, "tables", left=left)


def _write(folder: Path) -> None:
    write_data(folder)
    (folder / "tiny.yaml").write_text(STUDY)
    (folder / "quick.yaml").write_text(f"engine: jax\n{CONFIG}")


def _disturbed(bench: Bench, fault: Fault) -> tuple[Path, str, Ending | None, tuple[str, ...]]:
    """A folder in which a run met a fault: when, how Snakemake ended if it was not ended itself, what stays."""
    while True:
        folder = bench.copy("tables")
        due = bench.random.sample(JOBS, DUE)
        for name in due:
            remove(folder / "results" / name)
        after = bench.random.uniform(0, LATEST)
        session = Session(folder)
        if session.wait_for(session.hosts):
            time.sleep(after)
        done = "" if session.snakemake.poll() is not None else fault.does(session, bench.random)
        status = session.snakemake.wait()
        left, seconds = session.left()
        if done:
            first = None if fault.ends else ending(status, session.output.read_text(errors="replace"))
            moment = f"{', '.join(sorted(due))} due, {after:.1f} s after the first host began: {done}"
            return folder, f"{moment}; {seconds:.1f} s later all had ended", first, left
        shutil.rmtree(folder)  # the run was over before


def _kill_all(session: Session, chosen: random.Random) -> str:
    if chosen.random() < 0.5:
        session.processes()
        session.snakemake.kill()
        return "Snakemake alone"
    session.processes()
    os.killpg(session.snakemake.pid, signal.SIGKILL)
    return "Snakemake and its process group"


def _to_one_of(
    group: Callable[[Session], list[psutil.Process]], number: int
) -> Callable[[Session, random.Random], str]:
    """A signal to a process of a group, as soon as there is one."""

    def does(session: Session, chosen: random.Random) -> str:
        some = session.wait_for(lambda: group(session))
        if not some:
            return ""
        one = chosen.choice(some)
        try:
            script = next((Path(word).name for word in one.cmdline()[1:3] if word.endswith(".py")), "")
            one.send_signal(number)
        except psutil.NoSuchProcess:
            return ""
        return f"{signal.Signals(number).name} to {script.split('.', 1)[-1] if 'warm' not in script else script}"

    return does


def _to_snakemake(session: Session, _: random.Random) -> str:
    session.processes()
    session.snakemake.terminate()
    return "SIGTERM"


def _ctrl_c(session: Session, _: random.Random) -> str:
    session.processes()
    os.killpg(session.snakemake.pid, signal.SIGINT)
    return "SIGINT to the process group in front"


def _remove_folder(session: Session, _: random.Random) -> str:
    for folder in (session.folder / TMP).glob("batchscope-*"):
        shutil.rmtree(folder)
    return "gone"


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


FAULTS = (
    Fault("SIGKILL to Snakemake, whose jobs start warm", 7, _kill_all, ends=True),
    Fault("SIGKILL to a host", 7, _to_one_of(Session.hosts, signal.SIGKILL)),
    Fault("SIGKILL to one process of a warm job", 6, _to_one_of(Session.of_jobs, signal.SIGKILL)),
    Fault("SIGTERM to a host", 1, _to_one_of(Session.hosts, signal.SIGTERM)),
    Fault("SIGSTOP to a host", 2, _to_one_of(Session.hosts, signal.SIGSTOP)),
    Fault("SIGTERM to Snakemake, whose jobs start warm", 2, _to_snakemake, ends=True),
    Fault("Ctrl-C, where jobs start warm", 2, _ctrl_c, ends=True),
    Fault("the folder of the hosts' sockets is removed", 2, _remove_folder),
)
