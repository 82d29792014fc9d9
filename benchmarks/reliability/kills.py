"""SIGKILL at random moments: to the workflow with all its jobs, to Snakemake alone, to single processes of its jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
from bench import Bench, Cases, Ending, command, ending, goal

# How often each stage is killed, which is what its jobs have of the study's, roughly.
TIMES = {"data": 4, "runs": 14, "probes": 10, "tables": 8, "figures": 9, "report": 5}
VICTIMS = ("all", "Snakemake", "a job")


def kills(bench: Bench) -> Cases:
    """Fifty kills; each is followed by one more run."""
    for stage, times in TIMES.items():
        for number in range(times):
            victim = VICTIMS[number % len(VICTIMS)]
            folder = bench.copy(stage)
            after, what, first = killed(folder, victim, bench)
            fault = {"all": "SIGKILL to Snakemake and all its jobs", "Snakemake": "SIGKILL to Snakemake alone"}
            targets = goal(stage) if number else ()
            yield bench.ended(
                fault.get(victim, "SIGKILL to one process of a job"),
                f"while {stage} were due, {after:.1f} s after {what}",
                folder,
                first,
                *targets,
            )


def killed(folder: Path, victim: str, bench: Bench) -> tuple[float, str, Ending | None]:
    """Start the study, kill after a random time from the start of a random job on; how Snakemake ended if it lived."""
    output = folder.with_name(f"{folder.name}.txt")
    with output.open("w") as stream:
        process = subprocess.Popen(
            command(), cwd=folder, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    job, after = bench.random.randint(1, 3), bench.random.uniform(0, 6)
    started = 0
    while started < job and process.poll() is None:  # jobs that have begun
        started = output.read_text(errors="replace").count("\nJob ")
        time.sleep(0.05)
    time.sleep(after)
    what = f"job {started} of this run began"
    if process.poll() is not None:
        return after, f"{what} (it had ended)", ending(process.returncode, output.read_text())
    if victim == "all":
        os.killpg(process.pid, signal.SIGKILL)
    elif victim == "Snakemake":
        process.kill()
    else:
        name = _kill_one(process.pid, bench)
        return after, f"{what} ({name})", ending(process.wait(), output.read_text())
    process.wait()
    return after, what, None


def _kill_one(parent: int, bench: Bench) -> str:
    """Kill a random process below Snakemake, as soon as there is one; its name."""
    children: list[psutil.Process] = []
    while not children and psutil.pid_exists(parent):
        try:
            children = psutil.Process(parent).children(recursive=True)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    if not children:
        return "nothing left to kill"
    chosen = bench.random.choice(sorted(children, key=lambda child: child.pid))
    try:
        words = [Path(word).name for word in chosen.cmdline()]
        script = next((word.split(".", 1)[-1] for word in words[1:2] if word.endswith(".py")), " ".join(words[:3]))
        role = "worker" if chosen.ppid() != parent else "script"
        chosen.kill()
    except psutil.NoSuchProcess:
        return "a process that had just ended"
    return f"{role} {script}"
