"""A job works in a child process, so that somebody is left to write down that it died of memory.

The child is a fork of the job's own process or, where another process has imported already what it needs, of that one
(`warm`).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import psutil

from batchscope.jobs import logs, machine, memory, warm
from batchscope.jobs.warm import Child, Host, HostDiedError, Task

Note = Callable[[str, Any], None]

_DONE = "done"  # noted by a child whose work is done
OUT_OF_MEMORY = 75  # exit status of a child that saw for itself that memory had run out
COMPILED = "compiled"  # noted by a child before it looks at its memory; another one then does the job, once
_AGAIN = 76  # exit status of a child that had compiled
_COMPILED_BEFORE = "BATCHSCOPE_COMPILED_BEFORE"  # set for the child that starts after it
_BEGIN = b"!"
_WRITTEN = frozenset((io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom))
_LOOK_SECONDS = 0.05  # between two looks at the memory of the child
_CLUSTER_RESERVE = 300 * 2**20  # of the memory of a cluster's job, for Snakemake itself, which runs in it twice
_SHARE = 0.95  # of the machine's memory that one job may take before it is ended, and the machine with it


class _StartAgainError(Exception):
    """A child has compiled, and another one does the job."""


@dataclass(frozen=True)
class Limit:
    """The memory that a job may hold, and who says so."""

    bytes: int
    source: str


@dataclass(frozen=True)
class Death:
    """How a job died of memory, in a sentence, and what it had noted before."""

    how: str
    notes: dict[str, Any]


def limit(mem_mb: int) -> Limit:
    """The limit of this job: what the cluster was asked for, or what the machine or the container has."""
    if "BATCHSCOPE_ON_CLUSTER" in os.environ:
        asked = mem_mb * 2**20
        return Limit(max(asked - _CLUSTER_RESERVE, asked // 2), f"mem_mb {mem_mb} of the cluster's job")
    whole = machine.memory_bytes()
    return Limit(int(_SHARE * whole), f"{whole / 1e9:.3g} GB of this machine or container")


def run(
    work: Callable[[Note], None],
    lost: Callable[[Death], None] | None,
    resources: Any,
    log: str,
    host: Host | None = None,
) -> NoReturn:
    """Do `work` in a child process and exit as it does; where it dies of memory, call `lost` and exit with success.

    `work` is given a function that notes a fact for `Death.notes`. Where the study tries a job again with more memory
    (on a cluster), `lost` is called at the last attempt only.

    Args:
        work: the job; a `Task` where it has a host.
        lost: writes the outputs of a job that died; None where its death is no outcome, and the job fails.
        resources: the job's `mem_mb` and `attempt`.
        log: the job's log file, to which this process already writes.
        host: what imports for it and for others what they need.
    """
    kills, allowed, parent = memory.kills(), limit(resources.mem_mb), os.getppid()
    if warm.workflow_ended():  # while this process started, whose parent is another one now
        os._exit(128 + signal.SIGTERM)
    (status, peak, ended), notes = _do_in_child(work, log, host, allowed, parent)
    if not notes.pop(_DONE, False) and status == 0:
        sys.stderr.write("Error: code of the study ended the process, as os._exit does, before the job was done\n")
        status = 1
    how = _of_memory(status, peak, ended, allowed, kills, Path(log))
    if how is None:
        _exit(status, log)
    if lost is None:
        sys.stderr.write(f"Error: {how}\n")
        _exit(1, log)
    if resources.attempt <= int(os.environ.get("BATCHSCOPE_RETRIES", "0")):
        sys.stderr.write(f"Error: {how}; this was attempt {resources.attempt}, and the next has more memory\n")
        _exit(1, log)
    sys.stderr.write(f"{how}\n")
    lost(Death(how, notes))
    sys.exit(0)


def _do_in_child(
    work: Callable[[Note], None], log: str, host: Host | None, allowed: Limit, parent: int
) -> tuple[tuple[int, int, bool], dict[str, Any]]:
    """How a child ended that did the job, as of `_watch`, and its notes.

    Another child does it where the first one's host died, then without a host, and once where it has compiled.
    """
    while True:
        child, reading, held = _start(work, log, host)
        try:
            end = _watch(child, allowed, parent)
        except HostDiedError as error:
            if os.getppid() != parent or warm.workflow_ended():
                _stop(child)
            host, why = None, str(error)
        else:
            if end[0] != _AGAIN or _COMPILED_BEFORE in os.environ:
                return end, _notes(reading)
            os.environ[_COMPILED_BEFORE] = "1"
            why = "this one has compiled, and the next measures memory as jobs do that find it compiled"
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as before there was a child, for this process and
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # for the next child, which gets them by its fork
        sys.stderr.write(f"The job starts again in another process: {why}\n")
        os.close(reading)
        os.close(held)


class Fork:
    """A child of the job's own process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self, seconds: float) -> int | None:
        """The exit code of the child (negative: a signal); None where it still works after so many seconds."""
        done, status = os.waitpid(self.pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(seconds)
        return None

    def kill(self) -> None:
        """End the child."""
        os.kill(self.pid, signal.SIGKILL)


def _start(work: Callable[[Note], None], log: str, host: Host | None) -> tuple[Fork | Child, int, int]:
    """A child at work, the pipe with its notes, and the end of the one that tells it that this process has ended."""
    child: Fork | Child | None = None
    pipes = reading, writing, alive, held = *os.pipe(), *os.pipe()
    if host is not None and isinstance(work, Task):
        child = warm.start(work, log, host, (writing, alive))
        if child is None:  # a host that is late has the pipes, and its child must find them closed
            for pipe in pipes:
                os.close(pipe)
            reading, writing, alive, held = *os.pipe(), *os.pipe()
    if child is None:
        child = Fork(os.fork())
        if child.pid == 0:
            os.close(reading)
            os.close(held)
            do(work, log, writing, alive)
    os.close(writing)
    os.close(alive)
    os.write(held, _BEGIN)
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C reaches the child, too, which ends this process with it
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else lambda *_: _stop(child))
    return child, reading, held


def _stop(child: Fork | Child) -> NoReturn:
    child.kill()
    os._exit(128 + signal.SIGTERM)


def do(work: Callable[[Note], None], log: str, writing: int, alive: int) -> NoReturn:
    """Do a job in a child: it ends as a script does, so that what the user's code has started ends with it.

    Args:
        work: the job.
        log: its log file.
        writing: pipe for its notes.
        alive: pipe on which the process that waits for this one says that it does; its other end closes with that.
    """
    if os.read(alive, 1) != _BEGIN:
        os._exit(1)  # nobody waits for this process any more
    threading.Thread(target=_end_with_parent, args=(alive, log), daemon=True).start()
    status = 1

    def note(name: str, value: Any) -> None:
        if name == COMPILED and _COMPILED_BEFORE not in os.environ:
            raise _StartAgainError
        _write(writing, {name: value})

    try:
        work(note)
        note(_DONE, True)
        status = 0
    except _StartAgainError:
        status = _AGAIN
    except BaseException as error:
        logs.last_words(error)
        status = OUT_OF_MEMORY if memory.ended(error) else 1
    _end(status)


def _end(status: int) -> NoReturn:
    """End this process as Python does, less its walk through all objects: a child shares most of them with its host.

    Threads are waited for, what is registered for the exit is called, and files that the user's code left open get what
    was written to them. The walk would copy every page that it touches, in 0.1 to 0.2 s.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for each in gc.get_objects():
        if type(each) in _WRITTEN and not each.closed:
            with contextlib.suppress(OSError):  # of a full disk
                each.flush()
    os._exit(status)


def _write(writing: int, fact: dict[str, Any]) -> None:
    os.write(writing, json.dumps(fact).encode() + b"\n")


def _end_with_parent(alive: int, log: str) -> None:
    """Wait for the end of the parent, however it ends, and end with it."""
    os.read(alive, 1)
    with contextlib.suppress(OSError):
        sys.stderr.write("Error: the job was killed; the same command goes on\n")
        sys.stderr.flush()
        logs.shorten(Path(log))
    os._exit(1)


def _watch(child: Fork | Child, allowed: Limit, parent: int) -> tuple[int, int, bool]:
    """Wait for the child: its status (negative: a signal), its largest resident memory seen, whether it was ended.

    Where the `parent` that started this job is gone, so are both: nobody would take their result.
    """
    peak, ended = 0, False
    while (status := child.wait(_LOOK_SECONDS)) is None:
        with contextlib.suppress(psutil.Error):  # it may just have ended
            peak = max(peak, psutil.Process(child.pid).memory_info().rss)
        if peak > allowed.bytes and not ended:
            ended = True
            child.kill()
        if os.getppid() != parent:
            _stop(child)
    return status, peak, ended


def _notes(reading: int) -> dict[str, Any]:
    os.set_blocking(reading, False)  # a process that the user's code has started may still hold the other end
    with os.fdopen(reading, "rb") as stream:
        lines = (stream.read() or b"").splitlines()
    return {name: value for line in lines for name, value in json.loads(line).items()}


def _of_memory(status: int, peak: int, ended: bool, allowed: Limit, kills: int | None, log: Path) -> str | None:
    """How a child died of memory, in a sentence; None where it did not.

    A job that was killed while it held less than half of what there is was not too large: others took the rest.
    """
    held = f"when it held {peak / 1e9:.3g} GB; there are {allowed.bytes / 1e9:.3g} GB for it ({allowed.source})"
    if ended:
        return f"memory ran out: the job was ended {held}"
    if status == OUT_OF_MEMORY:
        return f"memory ran out: an allocation failed {held}"
    if status == -signal.SIGKILL:
        now = memory.kills()
        counted = kills is None or now is None or now > kills  # by the kernel, which counts for all of the machine
        return f"memory ran out: the system killed the job {held}" if counted and peak > allowed.bytes / 2 else None
    if status == -signal.SIGABRT and (sign := re.search("bad_alloc|LLVM ERROR: out of memory", logs.tail(log))):
        return f"memory ran out: an allocation failed ({sign[0]}) {held}"
    return None


def _exit(status: int, log: str) -> NoReturn:
    if status < 0:
        name = signal.Signals(-status).name
        outside = -status in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        why = "and not because it is too large; run again" if outside else "a fault in code that is not Python's"
        sys.stderr.write(f"Error: the job was ended by {name}, {why}\n")
    if status != 0:
        sys.stderr.flush()
        logs.shorten(Path(log))
    os._exit(status if status >= 0 else 128 - status)
