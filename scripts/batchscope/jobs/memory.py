"""Resident memory of this process and its peak."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

import psutil

_KILLS = (
    (Path("/proc/vmstat"), r"^oom_kill (\d+)"),
    (Path("/sys/fs/cgroup/memory.events"), r"^oom_kill (\d+)"),
    (Path("/sys/fs/cgroup/memory/memory.oom_control"), r"^oom_kill (\d+)"),
)
_NO_ROOM = re.compile("failed to map segment|cannot allocate memory", re.IGNORECASE)  # of the loader of libraries
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


def ended(error: BaseException) -> bool:
    """Whether an error, or what it came from, says that memory had run out: for an object, a mapping or a library."""
    return any(
        isinstance(cause, MemoryError)
        or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        or (isinstance(cause, ImportError) and _NO_ROOM.search(str(cause)) is not None)
        for cause in causes(error)
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def kills() -> int | None:
    """How often the kernel has killed a process here for lack of memory; None where it does not say."""
    counted = [
        int(found[1])
        for file, pattern in _KILLS
        if file.is_file() and (found := re.search(pattern, file.read_text(), re.MULTILINE))
    ]
    return sum(counted) if counted else None
