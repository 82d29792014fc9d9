"""Warm starts: jobs forked from a process that has imported what they need, which takes longer than many a job.

The first job that needs a framework, or the libraries of the analysis, starts the *host* (`warm_host.py`), one for each
workflow, interpreter, set of imports and environment. A job sends it what to do, with its log and its pipes; the host
forks, and tells how its child ended. Where there is no host, or it dies, a job starts cold: a fork of its own imports
what it needs. docs/warm-starts.md says more.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import hashlib
import importlib
import json
import os
import pickle
import select
import signal
import socket
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKFLOW = "BATCHSCOPE_WARM_STARTS_OF"  # the process of Snakemake, where its jobs may start warm
NUMBER = struct.Struct("!q")  # what host and job tell each other: the length of a message, a process, a status

_PATIENCE_SECONDS = 60  # for a host to start, and to import what a job needs and say what it should
_LOOK_SECONDS = 0.02  # between two looks at the lock of another job
_PEER = struct.Struct("iII")  # process, user and group at the other end of a socket
_LONGEST_ADDRESS = 107  # bytes that Linux takes for the path of a socket


@dataclass(frozen=True)
class Task:
    """A call that can be sent to another process: of a function of a module, with plain values as arguments."""

    module: str
    function: str
    arguments: tuple[Any, ...]

    def __call__(self, *more: Any) -> None:
        """Make the call, with more arguments at its end."""
        getattr(importlib.import_module(self.module), self.function)(*self.arguments, *more)


@dataclass(frozen=True)
class Host:
    """What a host imports for the jobs that it forks.

    Attributes:
        modules: in their order, and between jobs; a job waits for that of its task and for those before it.
        environment: variables that are read while they are imported.
        engine: whose framework it loads before all of them; empty for none.
    """

    modules: tuple[str, ...]
    environment: Mapping[str, str]
    engine: str = ""


ANALYSIS = Host(
    (
        *("scipy.stats", "statsmodels.stats.power", "batchscope.jobs.tabulate"),
        *("seaborn", "matplotlib.backends.backend_svg", "batchscope.jobs.draw"),
        *("batchscope.report.displayed", "batchscope.report.job"),
    ),
    # As Snakemake sets them for a job of one thread: a library that counts cores when it is imported counts one.
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
)
"""The host of the jobs that make tables, figures and report: these jobs, each after what it would import late."""


def training(settings: Mapping[str, Any]) -> Host:
    """The host of the jobs that train, time, tune and probe; of their `settings` counts `engine` and `environment`."""
    jobs = tuple(f"batchscope.jobs.{name}" for name in ("train", "time", "tune", "probe"))
    return Host(jobs, settings["environment"], settings["engine"])


@dataclass(frozen=True)
class Message:
    """A task with its log, and what makes the child of a host the same process as a child of the job's own."""

    task: Task
    log: str
    folder: str
    environment: dict[str, str]
    path: list[str]
    group: int


class HostDiedError(Exception):
    """The host is gone, and nobody knows how its child ends."""


class Child:
    """A child of the host, as `supervise.Fork` is one of the job's own."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.pid, self._connection = pid, connection
        self._handle: int | None = None
        self._untold: float | None = None  # since when the child has ended, and the host has not told how
        with contextlib.suppress(ProcessLookupError):  # it may have ended already
            self._handle = os.pidfd_open(pid)

    def wait(self, seconds: float) -> int | None:
        """The exit code of the child (negative: a signal); None where it still works after so many seconds.

        Raises:
            HostDiedError: the child was ended, too, or has ended, and the host, which is stopped, was ended.
        """
        if _is_readable(seconds, self._connection.fileno()):
            try:
                return os.waitstatus_to_exitcode(_received(self._connection))
            except ConnectionError as error:
                self.kill()
                raise HostDiedError(str(error)) from error
        if self._handle is None or _is_readable(0, self._handle):
            self._untold = self._untold or time.monotonic()
            if time.monotonic() - self._untold > _PATIENCE_SECONDS:
                raise HostDiedError(_end_host(self._connection))
        return None

    def kill(self) -> None:
        """End the child, where it still works."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)


def prepare(host: Host) -> None:
    """Start a host before the first job needs it; where it cannot be started, that job says why."""
    workflow = os.environ.get(WORKFLOW)
    if workflow and _is_supported():
        with contextlib.suppress(OSError):
            _connect(int(workflow), host).close()


def start(task: Task, log: str, host: Host, pipes: tuple[int, int]) -> Child | None:
    """A child of the host that works; None where there is no host, so that the job has to start cold.

    Args:
        task: what the child does.
        log: the job's log file.
        host: what has imported what the task needs.
        pipes: file descriptors that the child gets beside the standard ones: for notes, and to hear of the job's end.
    """
    workflow = os.environ.get(WORKFLOW)
    if not workflow or not _is_supported():
        return None
    message = pickle.dumps(Message(task, log, os.getcwd(), dict(os.environ), sys.path, os.getpgrp()))  # noqa: PTH109
    files = array.array("i", [0, 1, 2, *pipes])
    connection = None
    try:
        connection = _connect(int(workflow), host)
        connection.sendmsg([NUMBER.pack(len(message))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        connection.sendall(message)
        return Child(connection, _first_answer(connection, int(workflow)))
    except OSError as error:  # whatever keeps the host from starting shows itself in a cold start
        sys.stderr.write(f"This job starts cold: {error}\n")
        if connection is not None:
            connection.close()
        return None


def _is_supported() -> bool:
    """Whether Python and the kernel have handles on processes; systems other than Linux have none."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def workflow_ended() -> bool:
    """Whether the workflow of this job is gone, with which its host ends; where no job starts warm, nobody knows."""
    workflow = os.environ.get(WORKFLOW)
    if not workflow or not _is_supported():
        return False
    with _handle_of(int(workflow)) as handle:
        return handle is None or _is_readable(0, handle)


@contextlib.contextmanager
def _handle_of(pid: int) -> Iterator[int | None]:
    """A handle on a process, which can be read once that has ended; None where there is none any more."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def _is_readable(seconds: float, *files: int) -> bool:
    """Whether one of some file descriptors can be read within so many seconds."""
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _first_answer(connection: socket.socket, workflow: int) -> int:
    """The child that the host has forked; a host that is stopped is ended, or each job would wait for it."""
    with _handle_of(workflow) as handle:
        if handle is not None:
            _is_readable(_PATIENCE_SECONDS, connection.fileno(), handle)
    if _is_readable(0, connection.fileno()):
        return _received(connection)
    said = _end_host(connection)
    if workflow_ended():  # while the host imported, which it would have seen afterwards
        remove(Path(connection.getpeername()))
        said = "the workflow has ended"
    raise TimeoutError(said)


def _end_host(connection: socket.socket) -> str:
    """End the host, which says nothing where it should; what to say of it."""
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    with contextlib.suppress(ProcessLookupError):
        os.kill(_PEER.unpack(peer)[0], signal.SIGKILL)
    return f"the process that imports libraries for all jobs said nothing for {_PATIENCE_SECONDS} s and was ended"


def remove(address: Path) -> None:
    """Remove the socket of a host that ends with its workflow, and the lock under which it was started."""
    for file in (address, address.with_suffix(".lock")):
        file.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove the sockets of hosts that were killed, and whose workflow has ended meanwhile."""
    for file in folder.iterdir():
        workflow = file.name.partition("-")[0]
        if workflow.isdecimal() and not Path("/proc", workflow).exists():
            remove(file.with_suffix(""))


def _received(connection: socket.socket) -> int:
    answer = connection.recv(NUMBER.size)
    if len(answer) < NUMBER.size:
        raise ConnectionResetError("the process that imports libraries for all jobs is gone")
    return int(NUMBER.unpack(answer)[0])


def _connect(workflow: int, host: Host) -> socket.socket:
    """A connection to the host, which is started where there is none."""
    path = os.environ.get("PYTHONPATH", "")
    key = json.dumps([workflow, sys.executable, path, vars(host)], sort_keys=True)
    address = _folder() / f"{workflow}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    if len(os.fsencode(address)) > _LONGEST_ADDRESS:
        raise OSError(f"the path {address} is too long for a socket; valid is a shorter TMPDIR")
    with _locked(address.with_suffix(".lock")):
        try:
            return _opened(address)
        except (FileNotFoundError, ConnectionRefusedError):  # none yet, or one that was killed
            address.unlink(missing_ok=True)
        try:
            _start_host(address, workflow, host)
            return _opened(address)
        except OSError:
            if workflow_ended():
                remove(address)
            raise


def _start_host(address: Path, workflow: int, host: Host) -> None:
    """Start a host in a process group of its own, so that Ctrl-C does not reach it, and wait until it listens."""
    _sweep(address.parent)
    program = Path(__file__).with_name("warm_host.py")
    path = os.pathsep.join(filter(None, (str(program.parents[2]), os.environ.get("PYTHONPATH"))))
    given = {**os.environ, **host.environment, "PYTHONPATH": path}
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    files = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    arguments = [str(address), str(workflow), str(writing), host.engine, *host.modules]
    command = [sys.executable, "-P", str(program), *arguments]  # -P: its folder hides no package
    started = os.posix_spawn(sys.executable, command, given, file_actions=files, setpgroup=0)
    os.close(writing)
    with os.fdopen(reading, "rb") as ready:
        in_time = select.select([ready], [], [], _PATIENCE_SECONDS)[0]
        if not in_time:
            os.kill(started, signal.SIGKILL)
        if not in_time or not ready.read():
            raise ConnectionRefusedError("the process that imports libraries for all jobs could not be started")


def _folder() -> Path:
    """The folder of the sockets, which belongs to this user alone."""
    folder = Path(tempfile.gettempdir()) / f"batchscope-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(f"{folder} is no folder that this user alone may enter")
    return folder


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock in this block; another job has it while it starts the host, and for ever where it is stopped."""
    end = time.monotonic() + 2 * _PATIENCE_SECONDS
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(_LOOK_SECONDS)
        yield


def _opened(address: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_PATIENCE_SECONDS)
    try:
        connection.connect(str(address))
    except OSError:
        connection.close()
        raise
    return connection
