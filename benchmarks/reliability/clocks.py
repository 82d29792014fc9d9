"""A clock that is set back and forth between jobs, and two workflows at once in one folder."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from bench import STAGES, Bench, Cases, command, ending, goal, run

YEAR = 365 * 24 * 3600


def clocks(bench: Bench) -> Cases:
    """Files bear the stamps of a clock that was years off while they were written, and no longer is.

    The stamps are moved; under libfaketime itself Python 3.11 cannot sleep, or does not end.
    """
    for due, years in (("runs", [5]), ("probes", [-5, 5]), ("tables", [5, -5, 5]), ("report", [-5, 5, -5, 5, -5])):
        folder = bench.copy(due)
        for stage, offset in zip(STAGES, years, strict=False):
            _shift(folder, stage, offset)
        what = f"{due} were due; by {', '.join(f'{offset:+d}' for offset in years)} years, stage by stage"
        yield bench.ended("clock set back and forth between jobs", what, folder, None, *goal(due))
    for stage in ("data", "runs", "tables"):
        for offset in (-5, 5):
            folder = bench.copy()
            _shift(folder, stage, offset)
            what = f"all was there; {stage} by {offset:+d} years"
            yield bench.ended("clock set back and forth between jobs", what, folder, None, "tables")
    for name in ("flowers.npz", "model.py"):
        folder = bench.copy("runs")
        os.utime(folder / name, (0, time.time() + YEAR))
        first = run(folder, "tables")
        os.utime(folder / name)
        yield bench.ended("a user's file of the future", name, folder, first, "tables")


def _shift(folder: Path, stage: str, years: int) -> None:
    """Move the stamps of all that a stage left."""
    for name in STAGES[stage]:
        place = folder / "results" / name
        for file in [place, *place.rglob("*")] if place.is_dir() else [place]:
            if file.is_file():
                stamp = file.stat().st_mtime + years * YEAR
                os.utime(file, (stamp, stamp))


def together(bench: Bench) -> Cases:
    """Two runs begin in one folder: the second is refused, or, without the lock, both work."""
    for due, arguments in (("runs", ()), ("figures", ()), ("probes", ("--nolock",)), ("tables", ("--nolock",))):
        folder = bench.copy(due)
        output = [folder.with_name(f"{folder.name}-{number}.txt") for number in (1, 2)]
        running = []
        for file in output:
            with file.open("w") as stream:
                running.append(
                    subprocess.Popen(command(*arguments), cwd=folder, stdout=stream, stderr=subprocess.STDOUT)
                )
        endings = [ending(each.wait(), file.read_text()) for each, file in zip(running, output, strict=True)]
        worse = max(endings, key=lambda each: each.status)
        lock = "without a lock" if arguments else "with Snakemake's lock"
        ended = f"{sum(each.status == 0 for each in endings)} of the two ended well"
        yield bench.ended(f"two workflows at once, {lock}", f"{due} were due; {ended}", folder, worse, *goal(due))
