"""Where a result comes from: machine, versions, code, configuration."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import logging
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from batchscope.identity.digests import file_sha256
from batchscope.jobs import machine, provenance

ANALYSIS_PACKAGES = ("numpy", "scipy", "statsmodels", "pandas", "pyarrow", "matplotlib", "snakemake")
_LIBRARY = Path(__file__).parent

log = logging.getLogger(__name__)


def host() -> dict[str, Any]:
    """Facts about this machine; null where unknown, also where the system has no way to ask."""
    return {
        "name": socket.gethostname(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "cpu": _known(_cpu_model),
        "cores_physical": _known(lambda: psutil.cpu_count(logical=False)),
        "cores_logical": _known(psutil.cpu_count),
        "cores_usable": machine.usable_cores(),
        "cpu_max_mhz": _known(lambda: psutil.cpu_freq().max) or None,
        "memory_bytes": _known(lambda: psutil.virtual_memory().total),
    }


def _known(ask: Callable[[], Any]) -> Any:
    """What the system answers; None where it cannot be asked, which each system says with another error."""
    try:
        return ask()
    except Exception as error:
        log.info("a fact about this machine is unknown: %s: %s", type(error).__name__, error)
        return None


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Version per package, installed or, as Snakemake in a job with its own environment, loaded; else null."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = getattr(sys.modules.get(package), "__version__", None)
    return found


def code() -> dict[str, Any]:
    """Git commit of the library and whether its folder differs from it; null outside a git checkout."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--", str(_LIBRARY)) if commit else None
    return {"commit": commit, "modified": None if changes is None else bool(changes)}


def now() -> str:
    """Current time, UTC, ISO 8601 to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def job(packages: Iterable[str]) -> dict[str, Any]:
    """What the manifest of every job starts with; to be asked for when the job starts, before it can lose any work."""
    return {
        "host": host(),
        "versions": {"python": platform.python_version(), **versions(packages)},
        "code": code(),
        "command": [Path(sys.executable).name, *sys.argv],
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", _LIBRARY, *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_model() -> str | None:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or None


def summarise(jobs: Mapping[str, Sequence[str | Path]], measurements: Sequence[str | Path] = ()) -> dict[str, Any]:
    """The manifest of a study from those of its jobs: each distinct host, set of versions, commit and setting once.

    Args:
        jobs: manifest files per kind of job; none where the study trains nothing.
        measurements: files with results made elsewhere; the manifest has their digests.

    Returns:
        a mapping whose lists hold more than one entry only where jobs differ, as on a cluster with several hosts.
    """
    contents = {kind: [provenance.read(Path(file)) for file in files] for kind, files in jobs.items()}
    files = [{"file": Path(file).name, "sha256": file_sha256(file)} for file in measurements]
    if files:
        return {"measurements": files, **_analysis(), "code": [code()]}
    every = [content for group in contents.values() for content in group]
    digests = sorted(content["fingerprint"] for content in every)
    return {
        "hosts": _distinct(content["host"] for content in every),
        "gpus": _distinct(gpu for content in every for gpu in content.get("gpus", ())),
        "versions_training": _distinct(content["versions"] for content in every),
        **_analysis(),
        "code": _distinct(content["code"] for content in every),
        "settings": {kind: _distinct(c["identity"]["settings"] for c in group) for kind, group in contents.items()},
        "numerics": _distinct(
            content["numerics"] for content in every if content["numerics"]
        ),  # none of a job that died
        "jobs": {kind: len(group) for kind, group in contents.items()},
        "first_job_started_at": min(content["started_at"] for content in every),
        "last_job_ended_at": max(content["ended_at"] for content in every),
        "results_digest": hashlib.sha256("\n".join(digests).encode()).hexdigest(),
    }


def _analysis() -> dict[str, Any]:
    """What made the tables and the report."""
    return {
        "versions_analysis": {"python": platform.python_version(), **versions(ANALYSIS_PACKAGES)},
        "command": os.environ.get("BATCHSCOPE_COMMAND"),
    }


def _distinct(values: Iterable[Any]) -> list[Any]:
    seen: list[Any] = []
    for value in values:
        if value not in seen:
            seen.append(value)
    return seen
