"""Remove the lock that a killed Snakemake left in this folder; leave it where a Snakemake of this folder is running."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

LOCKS = Path(".snakemake/locks")


def is_snakemake_here(process: psutil.Process) -> bool:
    """Whether the process is Snakemake's main program with this folder as its working directory."""
    try:
        names = [Path(argument).name for argument in process.cmdline()[:3]]
        return "snakemake" in names and Path(process.cwd()) == Path.cwd()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def is_job_here(process: psutil.Process) -> bool:
    """Whether the process is a job's script that Snakemake started in this folder."""
    try:
        scripts = [argument for argument in process.cmdline()[1:2] if ".snakemake/scripts/" in argument]
        return bool(scripts) and Path(process.cwd()) == Path.cwd()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def main() -> int:
    """Exit status 1, with a sentence, where the folder is in use."""
    locks = list(LOCKS.glob("*"))
    if not locks:
        return 0
    running = [process.pid for process in psutil.process_iter() if is_snakemake_here(process)]
    if running:
        print(
            f"Snakemake is running in this folder already (process {running[0]}): wait for it to end.", file=sys.stderr
        )
        return 1
    orphans = [process for process in psutil.process_iter() if is_job_here(process)]
    if orphans:
        print(f"Waiting for {len(orphans)} jobs that a killed run left behind.", file=sys.stderr)
        psutil.wait_procs(orphans)
    for lock in locks:
        lock.unlink(missing_ok=True)
    print("Removed the lock of a run that was killed; going on where it stopped.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
