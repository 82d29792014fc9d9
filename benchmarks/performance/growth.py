"""How time and memory grow with the number of runs."""

from __future__ import annotations

import contextlib
import math
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import synthetic
from matplotlib.axes import Axes
from part import Row

TITLE = "Growth with the number of runs"
METHOD = """\
A study of softmax regression on two data sets, 50 batch sizes and up to 100 seeds. Two runs and two timings are made in
earnest; the others are copies with the updates of their size and with other losses and seconds (81 evaluations and up
to 2,000 recorded updates each), so that Snakemake and Batchscope take all of them for finished. CPU seconds (user and
system) and peak resident memory are those of the process that works: of Snakemake for a dry run, of the jobs of a rule,
the largest of them, for tables, figures and report, all started cold. The exponent is the slope of CPU seconds against
runs on logarithmic axes between the two largest studies: 1 is linear. Another study trained meanwhile, at the lowest
priority. Dry runs without results were measured again without it, since tests had run beside them. The machine was
slower than that of 2026-11-28, on which a dry run of 10,000 runs took 27 s.
"""
SIZES, SEEDS, EMPTY_SEEDS = 50, (10, 30, 100), (1, 10, 100)
EMPTY, FULL = "Dry run, no results", "Dry run, all runs finished"
SCRIPTS = {"tabulate": "Tables", "draw_figures": "Figures", "render_report": "Report"}
STEPS = (EMPTY, FULL, *SCRIPTS.values())
WANTED = {EMPTY: (30.0, None), FULL: (30.0, None), "Tables": (60.0, 2000.0)}  # seconds, MB
_LOOK_SECONDS = 0.05
Found = dict[str, Any]


def measure(quick: bool) -> dict[str, Any]:
    """CPU seconds, wall seconds and peak memory of each step, by number of runs."""
    sizes = list(range(1, (3 if quick else SIZES) + 1))
    empty_seeds, seeds = ((1, 2), (1, 2)) if quick else (EMPTY_SEEDS, SEEDS)
    found: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        folder = Path(name)
        for number in empty_seeds:
            runs = synthetic.write_study(folder, sizes, range(1, number + 1))
            found.append({"step": EMPTY, "runs": runs, **_run(folder, "--dry-run")["workflow"]})
        synthetic.make_records(folder, sizes, range(1, max(seeds) + 1))
        for number in seeds:
            runs = synthetic.write_study(folder, sizes, range(1, number + 1))
            jobs = _run(folder)
            found += [{"step": step, "runs": runs, **jobs[step]} for step in SCRIPTS.values()]
            found.append({"step": FULL, "runs": runs, **_run(folder, "--dry-run")["workflow"]})
    return {"steps": found}


def _run(folder: Path, *options: str) -> dict[str, Found]:
    """Run the workflow; what it took in all, and what each of `SCRIPTS` took, by its step."""
    looks: dict[int, _Look] = {}
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(synthetic.snakemake(*options), cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    own = psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in (own, *own.children(recursive=True)):
                looks[each.pid] = _look(each)
        time.sleep(_LOOK_SECONDS)
    if process.returncode:
        raise RuntimeError((folder / "output.txt").read_text()[-3000:])
    steps = {look.step for look in looks.values()} - {None}
    return {"workflow": _sum([looks[own.pid]])} | {
        step: _sum([look for look in looks.values() if look.step == step]) for step in steps if step
    }


@dataclass(frozen=True)
class _Look:
    """The last that was seen of a process: its step, CPU seconds, peak memory, and when it began and was seen."""

    step: str | None
    cpu: float
    peak_mb: float
    began: float
    seen: float


def _look(process: psutil.Process) -> _Look:
    with process.oneshot():
        # Snakemake copies the script of a job to `tmp….SCRIPT.py`; its child works.
        script = re.search(r"/scripts/tmp\w+\.(\w+)\.py", " ".join(process.cmdline()))
        times = process.cpu_times()
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        return _Look(
            step=SCRIPTS.get(script[1]) if script else None,
            cpu=times.user + times.system,
            peak_mb=int(peak[1]) * 1024 / 1e6 if peak else 0.0,
            began=process.create_time(),
            seen=time.time(),
        )


def _sum(looks: Sequence[_Look]) -> Found:
    return {
        "cpu": round(sum(look.cpu for look in looks), 2),
        "wall": round(max(look.seen for look in looks) - min(look.began for look in looks), 2),
        "peak_mb": round(max(look.peak_mb for look in looks)),
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """For each step of the largest study seconds, memory and the exponent."""
    lines: list[Row] = []
    for step in STEPS:
        *_, before, last = (found for found in result["steps"] if found["step"] == step)
        what, (seconds, megabytes) = f"{step}, {last['runs']:,} runs", WANTED.get(step, (None, None))
        exponent = math.log(last["cpu"] / before["cpu"]) / math.log(last["runs"] / before["runs"])
        lines += [
            Row(f"{what}: wall time", last["wall"], "s", at_most=seconds),
            Row(f"{what}: CPU time", last["cpu"], "s"),
            Row(f"{what}: peak memory", last["peak_mb"], "MB", at_most=megabytes),
            Row(f"{step}: exponent of CPU time", exponent, "(1 is linear)"),
        ]
    return lines


def draw(result: dict[str, Any], axes: Axes) -> None:
    """CPU seconds against runs, a line for each step."""
    for step in STEPS:
        found = [each for each in result["steps"] if each["step"] == step]
        axes.plot([each["runs"] for each in found], [each["cpu"] for each in found], marker="o", label=step)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.10g}")
    axes.set_xlabel("Runs")
    axes.set_ylabel("CPU seconds")
    axes.legend(loc="upper left")
