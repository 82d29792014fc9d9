"""The process that imports a framework once and forks a child for each job; see `warm`.

Run as `python warm_host.py ADDRESS WORKFLOW ENGINE READY`: the path of its socket, the process of Snakemake with which
it ends, the engine, and the file descriptor of a pipe on which it says that it listens.
It never touches the framework, which would start threads that no fork keeps.
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
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from batchscope.jobs import supervise
from batchscope.jobs.warm import NUMBER, Message
from batchscope.training import engines

_PRELOADED = ("numpy", "psutil", "pyarrow.parquet")
_PATIENCE_SECONDS = 10  # for a job to send what it wants
_FILES = 5  # that a job hands over


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
        self.connection.close()
        os.close(self.handle)


def serve(address: Path, workflow: int, engine: str, ready: int) -> None:
    """Import the framework of an engine, and fork children until the workflow ends."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them; what they do to the workflow counts here, too
    ends = os.pidfd_open(workflow)
    os.chdir("/")
    for name in _PRELOADED:
        importlib.import_module(name)
    engines.preload(engine)
    gc.freeze()  # memory that no collection touches stays shared
    children: dict[int, Started] = {}
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(str(address))
        listener.listen(64)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(ends, selectors.EVENT_READ)
        os.write(ready, b"!")
        os.close(ready)
        try:
            while True:
                for found in {key.fd for key, _ in selector.select()}:
                    if found == ends:
                        return
                    if found == listener.fileno():
                        child = _accept(listener, [found, ends, selector.fileno(), *children])
                        if child is not None:
                            children[child.handle] = child
                            selector.register(child.handle, selectors.EVENT_READ)
                    else:
                        selector.unregister(found)
                        children.pop(found).tell()
        finally:
            for handle in children:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            for file in (address, address.with_suffix(".lock")):
                file.unlink(missing_ok=True)


def _accept(listener: socket.socket, own: Iterable[int]) -> Started | None:
    """A child for the job that knocks; None where that is gone again. The child closes the files of its `own` host."""
    connection, _ = listener.accept()
    connection.settimeout(_PATIENCE_SECONDS)
    files = array.array("i")
    try:
        head, passed, *_ = connection.recvmsg(NUMBER.size, socket.CMSG_SPACE(_FILES * files.itemsize))
        for _level, _kind, data in passed:
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
        with connection.makefile("rb") as stream:
            message = pickle.loads(stream.read(NUMBER.unpack(head)[0]))
    except (OSError, EOFError):
        connection.close()
        for file in files:
            os.close(file)
        return None
    child = os.fork()
    if child == 0:
        for file in own:
            os.close(file)
        connection.detach()
        _work(message, files)
    for file in files:
        os.close(file)
    with contextlib.suppress(OSError):
        connection.sendall(NUMBER.pack(child))
    return Started(child, os.pidfd_open(child), connection)


def _work(message: Message, files: array.array[int]) -> NoReturn:
    """The child: the same process as one that the job would have forked, with a framework."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTSTP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
        os.close(file)
    os.setpgid(0, message.group)
    os.chdir(message.folder)
    os.environ.clear()
    os.environ.update(message.environment)
    sys.path[:] = message.path
    supervise.work(message.task, *files[3:])


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
