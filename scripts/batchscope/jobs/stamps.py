"""Time stamps of the future, from a clock that was wrong or is: Snakemake fails every job that reads such a file.

It takes the file for newer than what the job has just written. Content decides here, so results get the time of now; a
user's file is the user's to touch.
"""

from __future__ import annotations

import datetime
import os
import shlex
import time
from collections.abc import Iterable
from pathlib import Path


class StampError(ValueError):
    """A user's file has a time stamp of the future."""


def settle(files: Iterable[Path], results: Path) -> None:
    """Give those of `files` that lie below `results` and are of the future the time of now.

    Raises:
        StampError: one that lies elsewhere is of the future; one sentence with the file and what to do.
    """
    now = time.time()
    for file in files:
        if not file.is_file() or file.stat().st_mtime <= now + 1:  # no job is done within a second
            continue
        if file.is_relative_to(results):
            os.utime(file)
            continue
        stamp = datetime.datetime.fromtimestamp(file.stat().st_mtime)
        raise StampError(
            f"{file}: its time stamp, {stamp:%Y-%m-%d %H:%M:%S}, lies in the future, and Snakemake would fail every "
            f"job that reads it; valid is a time stamp of now: touch {shlex.quote(str(file))}"
        )
