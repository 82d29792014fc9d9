"""What a result needs to be traced: the machine and its load, versions, commit and date."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from batchscope.jobs import machine

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tensorflow", "keras", "jax", "numpy", "snakemake")


def about() -> dict[str, Any]:
    """The machine and its `load`, the versions and the commit."""
    return {
        "cpu": _cpu(),
        "cores": machine.usable_cores(),
        "memory_gb": round(machine.memory_bytes() / 1e9, 1),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": _commit(),
        "date": datetime.date.today().isoformat(),
        "load": load(),
    }


def load() -> float:
    """The mean number of busy or waiting processes of the last minute."""
    return round(os.getloadavg()[0], 2)


def _commit() -> str:
    """The commit, and whether files changed since; those of docs/ do while parts end one after another."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return _git("rev-parse", "--short=10", "HEAD") + ("-changed" if changed else "")


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
