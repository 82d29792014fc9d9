"""The fault campaign: disturb the smallest study in every way at hand, run it once more, compare its tables.

    make reliability          or: python benchmarks/reliability [GROUP ...], of kills, records, full, …

Writes docs/reliability.md and docs/reliability.json. Takes about half an hour on two idle cores. What needs root (small
disks, a memory cgroup) is left out where it is not to be had, and the document says so.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import cache
import clocks
import damage
import disk
import kills
import memory
import psutil
from bench import ROOT, Bench, Case, Group, NotHereError

SEED = 20261128
GROUPS: dict[str, Group] = {
    "kills": kills.kills,
    "records": damage.records,
    "full": disk.full,
    "read_only": disk.read_only,
    "cache": cache.cache,
    "clocks": clocks.clocks,
    "together": clocks.together,
    "memory": memory.memory,
}
MARKDOWN, JSON = ROOT / "docs/reliability.md", ROOT / "docs/reliability.json"
HEAD = """\
# What faults do to a study

`make reliability` disturbs the smallest study that has every kind of record (two recipes, a tuning, a timing, six
probes, tables, figures, report: {jobs} jobs), runs it once more, with no file removed by hand, and compares its tables
with those of an undisturbed run; columns and rows of clocks are left out. {cases} cases, {minutes:.0f} minutes on
{cores} cores, {date}, seed {seed} of all random moments, places and bits.
[Every case](reliability.json) with what was printed.

| Fault | Cases | The disturbed run | Equal tables after one more run |
| --- | --- | --- | --- |
"""


def main(names: Sequence[str]) -> int:
    """Run the groups, print each case as it ends, write the document; 1 where a case failed."""
    began = time.monotonic()
    cases: list[Case] = []
    lacks: list[str] = []
    with tempfile.TemporaryDirectory(prefix="reliability-", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder), SEED)
        bench.prepare()
        for name in names or GROUPS:
            try:
                for case in GROUPS[name](bench):
                    cases.append(case)
                    tell(case)
            except NotHereError as error:
                lacks.append(f"{name}: {error}")
                print(f"left out, {lacks[-1]}", flush=True)
        jobs = len(list((bench.finished / "logs").rglob("*.log")))
    if not names:
        write(cases, lacks, (time.monotonic() - began) / 60, jobs, folder)
    failed = [case for case in cases if not case.passed]
    print(f"{len(cases)} cases, {len(failed)} failed")
    return 1 if failed else 0


def tell(case: Case) -> None:
    """A line about a case, and all that is known of one that failed."""
    print("ok  " if case.passed else "FAIL", f"{case.fault}: {case.what}", flush=True)
    if not case.passed:
        print(f"     {case.first}\n     {case.last}\n     {case.differing}", flush=True)


def write(cases: Sequence[Case], lacks: Sequence[str], minutes: float, jobs: int, folder: str) -> None:
    """The table of faults, and every case as JSON; the folder where they ran is left out."""
    cores, date = len(psutil.Process().cpu_affinity()), datetime.date.today()
    head = HEAD.format(cases=len(cases), minutes=minutes, cores=cores, date=date, seed=SEED, jobs=jobs)
    faults = dict.fromkeys(case.fault for case in cases)
    rows = [row(fault, [case for case in cases if case.fault == fault]) for fault in faults]
    left_out = [f"\nLeft out here: {'; '.join(lacks)}.\n"] if lacks else []
    MARKDOWN.write_text("".join([head, *rows, *left_out]), encoding="utf-8")
    content = [{**dataclasses.asdict(case), "passed": case.passed} for case in cases]
    said = json.dumps(content, indent=1, ensure_ascii=False).replace(folder, "FOLDER")
    JSON.write_text(f"{said}\n", encoding="utf-8")


def row(fault: str, cases: Sequence[Case]) -> str:
    equal = sum(case.last.status == 0 and not case.differing for case in cases)
    return f"| {fault} | {len(cases)} | {seen(cases)} | {equal} of {len(cases)} |\n"


def seen(cases: Iterable[Case]) -> str:
    """How the disturbed runs ended, counted."""
    counted = Counter(_how(case) for case in cases)
    return "; ".join(f"{times} {how}" for how, times in counted.most_common())


def _how(case: Case) -> str:
    if case.first is None:
        return "killed" if case.fault.startswith("SIGKILL") else "time stamps moved, no run"
    if case.first.status == 0:
        return "ended well"
    said = "a sentence" if case.first.words else "no clear sentence"
    return f"{said}, and a traceback of Snakemake's" if case.first.traceback else said


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
