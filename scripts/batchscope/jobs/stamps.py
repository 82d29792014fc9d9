"""Time stamps of the future, from a clock that was wrong or is: Snakemake fails every job that reads such a file.

It takes the file for newer than what the job has just written; of a link it looks at the link's own stamp. Content
decides here, so results get the time of now; a user's file is the user's to touch.
"""

from __future__ import annotations

import datetime
import os
import shlex
import time
from collections.abc import Iterable
from pathlib import Path


class StampError(ValueError):
    """A file has a time stamp of the future, and is the user's, or cannot be given another one."""


def settle(files: Iterable[Path], results: Path) -> None:
    """Give those of `files` that lie below `results` and are of the future the time of now.

    Raises:
        StampError: one that lies elsewhere, or that is another user's, is of the future; one sentence with the file and
            what to do.
    """
    now = time.time()
    for file in files:
        if not file.is_file() or file.lstat().st_mtime <= now + 1:  # no job is done within a second
            continue
        if file.is_relative_to(results) and _touched(file):
            continue
        stamp = datetime.datetime.fromtimestamp(file.lstat().st_mtime)
        command = f"touch {'-h ' if file.is_symlink() else ''}{shlex.quote(str(file))}"
        raise StampError(
            f"{file}: its time stamp, {stamp:%Y-%m-%d %H:%M:%S}, lies in the future, and Snakemake would fail every "
            f"job that reads it; valid is a time stamp of now: {command}"
        )


def _touched(file: Path) -> bool:
    """Whether the file could be given the time of now; another user's cannot."""
    try:
        os.utime(file, follow_symlinks=False)
    except PermissionError:
        return False
    return True
