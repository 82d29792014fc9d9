"""The process that imports libraries once and forks a child for each job; see `warm`.

Run as `python warm_host.py ADDRESS WORKFLOW READY ENGINE MODULE...`: the path of its socket, the process of Snakemake
with which it ends, the file descriptor of a pipe on which it says that it listens, the engine or an empty text, and the
modules that it imports. It never touches what it imports, which might start threads that no fork keeps.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import os
import pickle
import selectors
import signal
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from batchscope.jobs import logs, supervise, warm
from batchscope.jobs.warm import NUMBER, Message
from batchscope.training import engines

_PATIENCE_SECONDS = 10  # for a job to send what it wants
_FILES = 5  # that a job hands over


Job = tuple[Message, list[int]]  # what a child does, and the files that it gets


@dataclass(frozen=True)
class Started:
    """A child at work and the job that waits for it."""

    pid: int
    handle: int
    connection: socket.socket

    def tell(self) -> None:
        """Tell the job how its child ended."""
        _, status = os.waitpid(self.pid, 0)
        with contextlib.suppress(OSError):  # of a job that is gone
            self.connection.sendall(NUMBER.pack(status))
        self.close()

    def close(self) -> None:
        """Close its files, here or in a child that got them by its fork."""
        self.connection.close()
        os.close(self.handle)


def serve(address: Path, workflow: int, ready: int, engine: str, modules: list[str]) -> Job | None:
    """Import what jobs need, and fork children until the workflow ends: None then, and in a child its job."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them; what they do to the workflow counts here, too
    ends = os.pidfd_open(workflow)
    os.chdir("/")
    listener, selector = socket.socket(socket.AF_UNIX), selectors.DefaultSelector()
    listener.bind(str(address))
    listener.listen(64)
    for each in (listener, ends):
        selector.register(each, selectors.EVENT_READ)
    with contextlib.suppress(BrokenPipeError):  # the job that started this host was killed; there will be others
        os.write(ready, b"!")
    os.close(ready)
    if engine:
        engines.load(engine)
    children: dict[int, Started] = {}
    job = None
    while job is None and ends not in (found := {key.fd for key, _ in selector.select(0 if modules else None)}):
        for handle in found & set(children):
            selector.unregister(handle)
            children.pop(handle).tell()
        if listener.fileno() in found:
            started = _accept(listener, modules)
            if isinstance(started, Started):
                children[started.handle] = started
                selector.register(started.handle, selectors.EVENT_READ)
            else:
                job = started
        elif modules:  # and nobody knocks
            _import_first(modules)
    if job is None:
        _end(list(children.values()), address)
    for child in children.values():
        child.close()
    listener.close()
    selector.close()
    os.close(ends)
    return job


def _end(children: list[Started], address: Path) -> None:
    """End with the workflow."""
    for child in children:
        signal.pidfd_send_signal(child.handle, signal.SIGKILL)
    warm.remove(address)


def _import_first(modules: list[str]) -> None:
    """Import the first of some modules, and take it from the list."""
    with contextlib.suppress(ModuleNotFoundError):  # of another job's environment; a child that needs it says so
        importlib.import_module(modules.pop(0))
    gc.freeze()  # memory that no collection touches stays shared


def _accept(listener: socket.socket, modules: list[str]) -> Started | Job | None:
    """A child for the job that knocks, and in the child its job; None where the job is gone again.

    Of the `modules` that are not imported yet, that of its task is, and those before it.
    """
    own = os.getpid()
    connection, _ = listener.accept()
    connection.settimeout(_PATIENCE_SECONDS)
    files = array.array("i")
    try:
        head, passed, *_ = connection.recvmsg(NUMBER.size, socket.CMSG_SPACE(_FILES * files.itemsize))
        for _level, _kind, data in passed:
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
        with connection.makefile("rb") as stream:
            message: Message = pickle.loads(stream.read(NUMBER.unpack(head)[0]))
    except (OSError, EOFError, struct.error, pickle.UnpicklingError):
        connection.close()
        for file in files:
            os.close(file)
        return None
    while modules and message.task.module not in sys.modules:
        _import_first(modules)
    try:
        child = os.fork()
    except OSError:  # no more processes or memory: the job starts cold, where that can be
        connection.close()
        return None
    finally:
        if os.getpid() == own:
            for file in files:
                os.close(file)
    if child == 0:
        connection.close()
        return message, list(files)
    started = Started(child, os.pidfd_open(child), connection)
    with contextlib.suppress(OSError):  # of a job that is gone, whose child ends by itself
        connection.sendall(NUMBER.pack(child))
    return started


def work(message: Message, files: list[int]) -> NoReturn:
    """The child: the same process as one that the job would have forked, with a framework."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for kind in (signal.SIGHUP, signal.SIGTSTP):
        signal.signal(kind, signal.SIG_DFL)
    *standard, notes, alive = files
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    os.setpgid(0, message.group)
    os.chdir(message.folder)
    os.environ.clear()
    os.environ.update(message.environment)
    sys.path[:] = message.path
    logs.to_standard_error()
    supervise.do(message.task, message.log, notes, alive)


if __name__ == "__main__":
    found = serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:])
    if found is not None:
        work(*found)
