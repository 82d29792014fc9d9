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
    """Resident memory of this process now, without pages of files on Linux; None where the system does not tell.

    Pages of libraries become resident when they are first run, and not again in a process that was forked from one with
    the framework: memory means the same in both without them.
    """
    try:
        if _STATUS.is_file():
            return _status("RssAnon") + _status("RssShmem")
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError, LookupError, NotImplementedError):
        return None


def reset_peak() -> None:
    """Start a new peak from here, where the kernel allows it (Linux); elsewhere the peak is that of the process."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")


def peak_bytes() -> tuple[int | None, str]:
    """Largest `resident_bytes` since `reset_peak`, or None and the reason.

    The kernel keeps the peak with pages of files; those that are resident now are taken off. Where more of a library
    was read after the peak, it is understated by as much, and at least what is resident now.
    """
    try:
        return max(_status("VmHWM") - _status("RssFile"), _status("RssAnon") + _status("RssShmem")), ""
    except OSError as error:
        return None, f"the kernel's peak of resident memory cannot be read: {error}"
    except LookupError:
        return None, "this kernel keeps no peak of resident memory (VmHWM)"


def _status(name: str) -> int:
    """A size in bytes of what the kernel tells of this process."""
    found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise LookupError(name)
    return int(found[1]) * 1024


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
