"""Resident memory of this process and its peak."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import psutil

_KILLS = (
    (Path("/proc/vmstat"), r"^oom_kill (\d+)"),
    (Path("/sys/fs/cgroup/memory.events"), r"^oom_kill (\d+)"),
    (Path("/sys/fs/cgroup/memory/memory.oom_control"), r"^oom_kill (\d+)"),
)
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident_bytes() -> int | None:
    """Resident memory of this process now; None where the system does not tell."""
    try:
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError, NotImplementedError):
        return None


def reset_peak() -> None:
    """Start a new peak from here, where the kernel allows it (Linux); elsewhere the peak is that of the process."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")


def peak_bytes() -> tuple[int | None, str]:
    """Largest resident memory since `reset_peak`, kept by the kernel, or None and the reason."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    except OSError as error:
        return None, f"the kernel's peak of resident memory cannot be read: {error}"
    return (int(found[1]) * 1024, "") if found else (None, "this kernel keeps no peak of resident memory (VmHWM)")


def kills() -> int | None:
    """How often the kernel has killed a process here for lack of memory; None where it does not say."""
    counted = [
        int(found[1])
        for file, pattern in _KILLS
        if file.is_file() and (found := re.search(pattern, file.read_text(), re.MULTILINE))
    ]
    return sum(counted) if counted else None
