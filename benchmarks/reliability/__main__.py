"""The fault campaign: disturb the smallest study in every way at hand, run it once more, compare its tables.

    make reliability          or: python benchmarks/reliability [GROUP ...], of kills, warm, records, full, …

Writes docs/reliability.md and docs/reliability.json, where the cases of groups that were not run stay. Takes more than
an hour on two idle cores. What needs root (small disks, a memory cgroup) is left out where it is not to be had.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cache
import clocks
import damage
import disk
import kills
import memory
import warm
from bench import ROOT, Bench, Case, Group, NotHereError

SEED = 20261128
GROUPS: dict[str, Group] = {
    "kills": kills.kills,
    "warm": warm.warm,
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
probes, tables, figures, report), runs it once more, with no file removed by hand, and compares its tables
with those of an undisturbed run to the bit; columns and rows of clocks are left out. Faults of hosts
([warm-starts.md](warm-starts.md)) disturb a smaller study on JAX, and after each every process of the workflow must be
gone, also where Snakemake was killed. {cases} cases, seed {seed} of all random moments, places and bits.
[Every case](reliability.json) with what was printed.

| Fault | Cases | The disturbed run | Equal tables after one more run | Processes left | Jobs start | Date |
| --- | --- | --- | --- | --- | --- | --- |
"""
COLD = "\nThe cases of cold starts are of an earlier version, and their tables were compared to five digits.\n"
Told = Mapping[str, Any]  # a case as in the JSON file


def main(names: Sequence[str]) -> int:
    """Run the groups, print each case as it ends, write the document; 1 where a case failed."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="reliability-", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder), SEED)
        for name in names or GROUPS:
            cases: list[Case] = []
            try:
                for case in GROUPS[name](bench):
                    cases.append(case)
                    tell(case)
                    keep(name, cases, folder)
            except NotHereError as error:
                print(f"left out, {name}: {error}", flush=True)
            failed += sum(not case.passed for case in cases)
    print(f"{failed} cases failed")
    return 1 if failed else 0


def tell(case: Case) -> None:
    """A line about a case, and all that is known of one that failed."""
    print("ok  " if case.passed else "FAIL", f"{case.fault}: {case.what}", flush=True)
    if not case.passed:
        print(f"     {case.first}\n     {case.last}\n     {case.differing}\n     {case.left}", flush=True)


def keep(group: str, cases: Sequence[Case], folder: str) -> None:
    """Put the cases of a group in the place of those before, without the folder where they ran, and write the page."""
    of_all = {"group": group, "date": f"{datetime.date.today()}", "starts": "warm"}
    new = [{**of_all, **dataclasses.asdict(case), "passed": case.passed} for case in cases]
    before = [told for told in json.loads(JSON.read_text(encoding="utf-8")) if told["group"] != group]
    every = sorted([*before, *new], key=lambda told: list(GROUPS).index(told["group"]))
    said = json.dumps(every, indent=1, ensure_ascii=False).replace(folder, "FOLDER")
    JSON.write_text(f"{said}\n", encoding="utf-8")
    MARKDOWN.write_text(page(every), encoding="utf-8")


def page(every: Sequence[Told]) -> str:
    """The table of faults."""
    faults = dict.fromkeys(told["fault"] for told in every)
    rows = [row(fault, [told for told in every if told["fault"] == fault]) for fault in faults]
    cold = [COLD] * any(told["starts"] == "cold" for told in every)
    return "".join([HEAD.format(cases=len(every), seed=SEED), *rows, *cold])


def row(fault: str, cases: Sequence[Told]) -> str:
    """The line of a fault in the table."""
    equal = sum(told["last"]["status"] == 0 and not told["differing"] for told in cases)
    left = "not counted" if cases[0]["left"] is None else sum(len(told["left"]) for told in cases)
    cells = (fault, len(cases), seen(cases), f"{equal} of {len(cases)}", left, cases[0]["starts"], cases[0]["date"])
    return f"| {' | '.join(map(str, cells))} |\n"


def seen(cases: Iterable[Told]) -> str:
    """How the disturbed runs ended, counted."""
    counted = Counter(map(_how, cases))
    return "; ".join(f"{times} {how}" for how, times in counted.most_common())


def _how(told: Told) -> str:
    first = told["first"]
    if first is None:
        return "time stamps moved, no run" if told["fault"].startswith("clock") else "ended by it"
    if first["status"] == 0:
        return "ended well"
    said = "a sentence" if first["words"] else "no clear sentence"
    return f"{said}, and a traceback of Snakemake's" if first["traceback"] else said


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
