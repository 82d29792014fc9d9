"""A disk that is full or read-only, and a cache that cannot be read. The disks are small file systems in memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench import Bench, Cases, NotHereError, goal, run

SIZE = "64m"
# Bytes that are left on the disk while a stage is due: too few to begin, for one job, or for a few.
FREE = {
    "data": (0, 60_000),
    "runs": (60_000, 150_000),
    "probes": (100_000,),
    "tables": (100_000, 250_000),
    "figures": (400_000,),
    "report": (100_000, 1_000_000),
}


def full(bench: Bench) -> Cases:
    """The disk fills up while a stage is due, and has room again for the next run."""
    for due, sizes in FREE.items():
        for free in sizes:
            with _disk(bench) as folder:
                bench.copy(due, folder)
                filler = folder / "filler"
                _fill(filler, free)
                first = run(folder)
                filler.unlink()
                what = f"{free // 1000} kB left while {due} were due"
                yield bench.ended("disk full", what, folder, first, *goal(due), keep=True)


def read_only(bench: Bench) -> Cases:
    """All of the folder, or its results alone, cannot be written; the next run can."""
    for name, due in ((".", "tables"), ("results", "runs"), ("results", "tables"), ("results", "report")):
        with _disk(bench) as folder:
            bench.copy(due, folder)
            place = folder / name
            if place != folder:
                subprocess.run(["mount", "--bind", place, place], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind" if place != folder else "remount,ro", place], check=True)
            first = run(folder)
            if place != folder:
                subprocess.run(["umount", place], check=True)
            else:
                subprocess.run(["mount", "-o", "remount,rw", place], check=True)
            what = f"{'all of the folder' if place == folder else name} while {due} were due"
            yield bench.ended("read-only results", what, folder, first, *goal(due), keep=True)


@contextlib.contextmanager
def _disk(bench: Bench) -> Iterator[Path]:
    folder = bench.folder / "disk"
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        raise NotHereError("a small disk needs the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _fill(file: Path, free: int) -> None:
    """Write a file that leaves so many bytes free."""
    state = os.statvfs(file.parent)
    left = state.f_bavail * state.f_frsize - free
    with file.open("wb") as stream:
        while left > 0:
            left -= stream.write(bytes(min(left, 1 << 20)))
