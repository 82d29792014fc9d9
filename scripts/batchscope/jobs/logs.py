"""Logging of jobs: everything a job prints, C libraries included, goes to its log file."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import traceback
from pathlib import Path

from batchscope.identity.files import atomic_path
from batchscope.jobs import memory, search_path

_LINES = 20  # of the log of a job that failed; all of it stays in a file of its own
_ERROR = "Error: "
_FULL = (errno.ENOSPC, errno.EDQUOT)


def redirect(path: str) -> None:
    """Send standard output, standard error and the library's log messages of this process to the file `path`.

    File descriptors are replaced, not Python's objects, because TensorFlow and the drivers write past them. The
    terminal stays at hand as `sys.__stderr__`, for the last words of a job whose log cannot be written. What `shorten`
    kept of an earlier failure is removed.
    From here on nothing is imported from Snakemake's own environment where the job has another one.
    """
    search_path.keep_to_own_packages()
    terminal = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
    sys.__stderr__ = terminal  # type: ignore[misc]  # file descriptor 2 is about to be another file
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        _whole(Path(path)).unlink(missing_ok=True)
    except OSError as error:
        sys.exit(_sentence(error))
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    sys.excepthook = lambda _kind, error, _trace: _fail(Path(path), error)
    to_standard_error()


def to_standard_error() -> None:
    """Send the library's log messages to standard error."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True)


def tail(path: Path, size: int = 4096) -> str:
    """The end of a log file."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - size))
        return stream.read().decode("utf-8", errors="replace")


def shorten(path: Path) -> None:
    """Leave in the log of a failed job what its user should read; Snakemake prints it whole.

    That is the sentence that ends it, or else its last lines. All of it moves to a file beside it. Where the disk has
    no room for that, the log stays as it is.
    """
    whole = _whole(path)
    with path.open("rb") as stream:
        # So many bytes and no more: a device, such as /dev/full, has no end to read to.
        lines = stream.read(path.stat().st_size).decode("utf-8", errors="replace").splitlines()
    last = lines[-1:] if lines and lines[-1].startswith(_ERROR) else lines[-_LINES:]
    if len(lines) > len(last):
        with contextlib.suppress(OSError), atomic_path(path) as short:
            short.write_text("\n".join([*last, f"(all {len(lines)} lines: {whole})"]) + "\n", encoding="utf-8")
            path.rename(whole)


def _whole(path: Path) -> Path:
    """Where all of a log lies that was shortened."""
    return path.with_name(f"{path.name}.whole")


def last_words(error: BaseException) -> None:
    """End the log with the sentence of an error that the user can mend, and with the traceback of any other.

    Where the log cannot be written, they go to the terminal.
    """
    words = _sentence(error) or "".join(traceback.format_exception(error)).rstrip()
    try:
        sys.stderr.write(f"{words}\n")
        sys.stderr.flush()
    except OSError:
        print(words, file=sys.__stderr__, flush=True)


def _sentence(error: BaseException) -> str:
    """What the user can mend; empty where it is a fault of the program."""
    if isinstance(error, KeyboardInterrupt):
        return f"{_ERROR}the job was stopped; the same command goes on"
    if isinstance(error, ValueError) and type(error).__module__.startswith("batchscope"):
        return f"{_ERROR}{error}"
    for cause in memory.causes(error):
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return f"{_ERROR}the disk is full ({os.strerror(cause.errno)}); make room on it and run again"
    if isinstance(error, OSError) and error.filename:
        return f"{_ERROR}{error.filename}: {error.strerror}"
    return ""


def _fail(path: Path, error: BaseException) -> None:
    last_words(error)
    shorten(path)
