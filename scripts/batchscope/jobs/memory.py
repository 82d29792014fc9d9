"""Resident memory of this process and its peak."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

_KILLS = (
    (Path("/proc/vmstat"), r"^oom_kill (\d+)"),
    (Path("/sys/fs/cgroup/memory.events"), r"^oom_kill (\d+)"),
    (Path("/sys/fs/cgroup/memory/memory.oom_control"), r"^oom_kill (\d+)"),
)
_NO_ROOM = re.compile("failed to map segment|cannot allocate memory", re.IGNORECASE)  # of the loader of libraries
_PAGES = Path("/proc/self/statm")
_LOOK_SECONDS = 0.01


def resident_bytes() -> int | None:
    """Resident memory of this process now, without pages of files on Linux; None where the system does not tell.

    Pages of libraries become resident when they are first run, leave when others need the room, and are there already
    in a process that was forked from one with the framework: without them memory means the same everywhere.
    """
    try:
        if _PAGES.is_file():
            _, resident, files, *_ = map(int, _PAGES.read_text().split())  # files: shared memory, too
            return (resident - files) * os.sysconf("SC_PAGE_SIZE")
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError, ValueError, NotImplementedError):
        return None


class Peak:
    """The largest `resident_bytes` from now on, looked at a hundred times a second.

    The kernel's own peak counts pages of files, which come and go. What an allocator has got stays resident as a rule,
    so that little is missed between two looks.
    """

    def __init__(self) -> None:
        self._largest = resident_bytes()
        self._ended, self._lock = threading.Event(), threading.Lock()
        if self._largest is not None:
            threading.Thread(target=self._watch, daemon=True).start()

    def restart(self) -> None:
        """Forget what was seen, and give back what the allocator of C holds and nobody uses."""
        with self._lock:
            with contextlib.suppress(AttributeError):  # another C library than GNU's
                ctypes.CDLL(None).malloc_trim(0)
            self._largest = resident_bytes()

    def read(self) -> tuple[int | None, str]:
        """The peak until the first call, which ends the looking, or None and the reason."""
        self._ended.set()
        self._look()
        return self._largest, "" if self._largest is not None else "the system does not tell the resident memory"

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        with self._lock:
            now = resident_bytes()
            if self._largest is not None and now is not None:
                self._largest = max(self._largest, now)


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
