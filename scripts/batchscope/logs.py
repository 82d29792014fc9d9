"""Logging of jobs: everything a job prints, C libraries included, goes to its log file."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from types import TracebackType


def redirect(path: str) -> None:
    """Send standard output, standard error and the library's log messages of this process to the file `path`.

    File descriptors are replaced, not Python's objects, because TensorFlow and the drivers write past them.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    sys.excepthook = _last_words
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True)


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End the log with the sentence of an error that the user can mend, and with the traceback of any other."""
    if issubclass(kind, ValueError) and kind.__module__.startswith("batchscope"):
        sys.stderr.write(f"Error: {error}\n")
    else:
        traceback.print_exception(kind, error, trace)
