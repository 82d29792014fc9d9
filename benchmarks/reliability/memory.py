"""A job that dies of memory inside a memory cgroup: it becomes a row, and the study goes on to its report."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
from bench import STUDY, Bench, Case, Cases, NotHereError, again, run, write_study

GROUPS = Path("/sys/fs/cgroup")
LIMIT = 1_600_000_000  # bytes: enough for Snakemake and one job
BIG = """\
  big:
    extends: own
    model: {arguments: {width: 60000000}}
"""


def group() -> Path | None:
    """A memory cgroup that can be made here, of version 1 or 2; None where it cannot."""
    parent = GROUPS / "memory" if (GROUPS / "memory").is_dir() else GROUPS
    made = parent / f"batchscope-{os.getpid()}"
    try:
        made.mkdir()
    except OSError:
        return None
    names = ("memory.limit_in_bytes", "memory.max")
    limit = next((made / name for name in names if (made / name).exists()), None)
    if limit is None:
        made.rmdir()
        return None
    limit.write_text(str(LIMIT))
    return made


def memory(bench: Bench) -> Cases:
    """A recipe whose weights alone take more than the group has."""
    made = group()
    if made is None:
        raise NotHereError("a limit of memory needs a control group that can be made here")
    folder = bench.folder / "memory"
    folder.mkdir()
    write_study(folder)
    text = STUDY.replace("comparisons:\n", f"{BIG}comparisons:\n")
    text = text.replace("recipes: [own], batch_sizes: [8]}", "recipes: [own, big], batch_sizes: [8]}")
    (folder / "tiny.yaml").write_text(text)
    enter = f'echo $$ > {made}/cgroup.procs && exec "$@"'
    try:
        first = run(folder, prefix=("sh", "-c", enter, "sh"))
        runs = pd.read_parquet(folder / "results/tiny/tables/runs.parquet")
        outcomes = dict(zip(runs["recipe"], runs["outcome"], strict=True))
        details = dict(zip(runs["recipe"], runs["outcome_detail"], strict=True))
        expected = {"own": "ok", "big": "out_of_memory", "tuned": "ok"}
        last = again(folder)
        wrong = () if outcomes == expected and (folder / "results/tiny/report.html").exists() else (f"{outcomes}",)
        yield Case("a job dies of memory in a cgroup", str(details["big"]), first, last, wrong)
    finally:
        made.rmdir()
