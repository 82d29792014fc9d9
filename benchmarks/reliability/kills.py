"""SIGKILL at random moments: to the workflow with all its jobs, to Snakemake alone, to single processes of its jobs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
from bench import STAGES, Bench, Cases, Ending, command, ending, goal, remove

# How often each stage is killed, which is what its jobs have of the study's, roughly.
TIMES = {"data": 2, "runs": 16, "probes": 10, "tables": 8, "figures": 9, "report": 5}
JOBS = 2  # of a stage that are due, so that fifty of these can be afforded
# Stages of which only a few jobs are due, and from which stage on all is: Snakemake makes nothing that nobody needs.
IN_PART = {"runs": "tables", "probes": "tables", "figures": "report"}
VICTIMS = {
    "all": "SIGKILL to Snakemake and all its jobs",
    "Snakemake": "SIGKILL to Snakemake alone",
    "a job": "SIGKILL to one process of a job",
}


def kills(bench: Bench) -> Cases:
    """Fifty kills; each is followed by one more run."""
    for stage, times in TIMES.items():
        for number in range(times):
            victim = list(VICTIMS)[number % len(VICTIMS)]
            folder, due, moment, first = killed(bench, stage, victim)
            what = f"{', '.join(due)} due, {moment}"
            yield bench.ended(VICTIMS[victim], what, folder, first, *goal(stage))


def killed(bench: Bench, stage: str, victim: str) -> tuple[Path, list[str], str, Ending | None]:
    """A folder in which a run was killed: what was due, when it was, and how Snakemake ended if it lived."""
    while True:
        folder = bench.copy(IN_PART.get(stage, stage))
        due = _make_due(folder, stage, bench)
        moment, first = _kill(folder, victim, bench)
        if moment:
            return folder, due, moment, first
        shutil.rmtree(folder)  # the run was over before


def _make_due(folder: Path, stage: str, bench: Bench) -> list[str]:
    """Remove what a few jobs of the stage left; what depends on it is missing already, or becomes due as well."""
    if stage not in IN_PART:
        return [stage]
    results = folder / "results"
    names = STAGES[stage]
    if stage == "figures":
        names = sorted(str(file.relative_to(results)) for file in results.rglob("*.svg"))
    due = bench.random.sample(names, JOBS)
    for name in due:
        remove(results / name)
    return due


def _kill(folder: Path, victim: str, bench: Bench) -> tuple[str, Ending | None]:
    """Start the study and kill it a random time after a random one of its first jobs began; no moment if it ended."""
    output = folder.with_name(f"{folder.name}.txt")
    with output.open("w") as stream:
        process = subprocess.Popen(
            command(), cwd=folder, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    job, after = bench.random.randint(1, 2), bench.random.uniform(0, 4)
    while output.read_text(errors="replace").count("\nJob ") < job and process.poll() is None:
        time.sleep(0.02)
    time.sleep(after)
    moment, first = f"{after:.1f} s after job {job} began", None
    if process.poll() is not None:
        return "", None
    if victim == "all":
        os.killpg(process.pid, signal.SIGKILL)
    elif victim == "Snakemake":
        process.kill()
    else:
        name = _kill_one(process, bench)
        first = ending(process.wait(), output.read_text())
        moment = f"{moment} ({name})" if name else ""
    process.wait()
    return moment, first


def _kill_one(snakemake: subprocess.Popen[bytes], bench: Bench) -> str:
    """Kill a random process below Snakemake, as soon as there is one; its name, none where Snakemake has ended."""
    children: list[psutil.Process] = []
    while not children and snakemake.poll() is None:
        children = psutil.Process(snakemake.pid).children(recursive=True)
        time.sleep(0.02)
    if not children:
        return ""
    chosen = bench.random.choice(sorted(children, key=lambda child: child.pid))
    try:
        words = [Path(word).name for word in chosen.cmdline()]
        script = next((word.split(".", 1)[-1] for word in words[1:2] if word.endswith(".py")), " ".join(words[:3]))
        role = "worker" if chosen.ppid() != snakemake.pid else "script"
        chosen.kill()
    except psutil.NoSuchProcess:
        return ""
    return f"{role} {script}"
