"""A clock that is set back and forth between jobs, and two workflows at once in one folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bench import STAGES, Bench, Case, Cases, Ending, NotHereError, command, ending, goal, run, write_study

YEAR = 365 * 24 * 3600
# Only the time of day is another one: what waits for a second still waits for a second.
NO_MONOTONIC = {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def clocks(bench: Bench) -> Cases:
    """The clock is years off while a stage is made; then the stamps of each stage's files are."""
    for stage in ("data", "runs", "tables"):
        for years in (-5, 5):
            folder = bench.copy()
            for name in STAGES[stage]:
                _shift(folder / "results" / name, years * YEAR)
            what = f"the files of {stage} are {abs(years)} years {'older' if years < 0 else 'newer'}"
            yield bench.ended("time stamps set back and forth", what, folder, None, "tables")
    if not shutil.which("faketime"):
        raise NotHereError("another time of day needs faketime")
    yield _set_between_stages(bench, ("-400d", "+400d", "-800d"))
    yield _set_between_stages(bench, ("+400d", "-400d", "+0d"))


def _set_between_stages(bench: Bench, offsets: tuple[str, str, str]) -> Case:
    """Data sets, then runs and probes, then tables, each by another clock; the one more run has the right one."""
    folder = bench.folder / f"clock{offsets[0]}"
    folder.mkdir()
    write_study(folder)
    targets = ("results/datasets/flowers/fixed.npz", "results/runs/flowers/own/bs8/seed1/run.parquet", "tables")
    first = Ending(0, "", False)
    for offset, target in zip(offsets, targets, strict=True):
        if first.status == 0:
            first = run(folder, target, prefix=("faketime", "-f", offset), env=NO_MONOTONIC)
    return bench.ended("clock set back and forth", f"by {', '.join(offsets)} between stages", folder, first, "tables")


def _shift(place: Path, seconds: int) -> None:
    for file in [place, *place.rglob("*")] if place.is_dir() else [place]:
        if file.is_file():
            stamp = file.stat().st_mtime + seconds
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
