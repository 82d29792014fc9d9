"""Run a command and say what it took, with all that it leaves running for a while."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from batchscope.jobs import machine

ROOT = Path(__file__).resolve().parents[2]
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


@dataclass(frozen=True)
class Spent:
    """What a command took: seconds until it ended, CPU seconds of it and its descendants, what it printed."""

    wall: float
    cpu: float
    output: str


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Spent:
    """Run `command` in `folder` and wait for it and for every process that it leaves behind.

    CPU seconds hold those of processes whose parent ended before them, as that of the host of warm starts does: Linux
    makes them children of this process.

    Raises:
        RuntimeError: it failed; the end of its output is in the message.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    cpu, wall = _children(), time.monotonic()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.monotonic() - wall
    with contextlib.suppress(ChildProcessError):  # nobody is left
        while True:
            os.wait()
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {(done.stdout + done.stderr)[-2000:]}")
    return Spent(wall, _children() - cpu, done.stdout)


def workflow(folder: Path, study: Mapping[str, Any], *targets: str, cores: int | None = None, **config: Any) -> Spent:
    """Run the workflow in `folder` as `make report` does, on all cores of this machine or so many.

    Args:
        folder: where its results are, or will be.
        study: the content of the study's file, which is called `study`.
        targets: files or rules; all by default.
        cores: that it may use.
        config: keys of config/config.yaml that differ.
    """
    (folder / "study.yaml").write_text(yaml.safe_dump(dict(study)), encoding="utf-8")
    (folder / "config.yaml").write_text(yaml.safe_dump({"study": "study.yaml", **config}), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "snakemake", *targets, "--snakefile", str(ROOT / "Snakefile")),
        *("--cores", str(cores or machine.usable_cores()), "--configfile", "config.yaml"),
    ]
    return run(command, folder)


def _children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
