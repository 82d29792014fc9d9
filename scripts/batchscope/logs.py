"""Logging of jobs: everything a job prints, C libraries included, goes to its log file."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path

from batchscope import search_path

_LINES = 20  # of the log of a job that failed; all of it stays in a file of its own
_ERROR = "Error: "


def redirect(path: str) -> None:
    """Send standard output, standard error and the library's log messages of this process to the file `path`.

    File descriptors are replaced, not Python's objects, because TensorFlow and the drivers write past them.
    From here on nothing is imported from Snakemake's own environment where the job has another one.
    """
    search_path.keep_to_own_packages()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    sys.excepthook = lambda _kind, error, _trace: _fail(Path(path), error)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True)


def tail(path: Path, size: int = 4096) -> str:
    """The end of a log file."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - size))
        return stream.read().decode("utf-8", errors="replace")


def shorten(path: Path) -> None:
    """Leave in the log of a failed job what its user should read; Snakemake prints it whole.

    That is the sentence that ends it, or else its last lines. All of it moves to a file beside it.
    """
    whole = path.with_name(f"{path.name}.whole")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    last = lines[-1:] if lines and lines[-1].startswith(_ERROR) else lines[-_LINES:]
    if len(lines) > len(last):
        path.rename(whole)
        path.write_text("\n".join([*last, f"(all {len(lines)} lines: {whole})"]) + "\n", encoding="utf-8")


def last_words(error: BaseException) -> None:
    """End the log with the sentence of an error that the user can mend, and with the traceback of any other."""
    if isinstance(error, ValueError) and type(error).__module__.startswith("batchscope"):
        sys.stderr.write(f"{_ERROR}{error}\n")
    elif isinstance(error, OSError) and error.filename:
        sys.stderr.write(f"{_ERROR}{error.filename}: {error.strerror}\n")
    else:
        traceback.print_exception(error)


def _fail(path: Path, error: BaseException) -> None:
    last_words(error)
    sys.stderr.flush()
    shorten(path)
