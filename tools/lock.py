"""Lock the versions: requirements/*.in -> requirements/{run,develop}.txt with hashes, and the conda files in envs/.

The conda files name the same versions as the lock, transitive packages included, so that both ways of running a study
use the same software. A test keeps them equal.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
PYTHON = "3.11"  # oldest supported; locks hold for it and every later one that the packages support
OPTIONS = [
    "--universal",
    f"--python-version={PYTHON}",
    "--no-annotate",
    "--no-header",
    "--no-emit-index-url",
    "--quiet",
]
RUN = ("workflow", "train", "analyse", "report")
JOBS = ("train", "analyse", "report")


def main() -> None:
    """Write all locks and conda files."""
    compile_lock(RUN, "run.txt", "--generate-hashes")
    compile_lock((*RUN, "develop"), "develop.txt", "--generate-hashes", "--constraint", "requirements/run.txt")
    for job in JOBS:
        (ROOT / "envs" / f"{job}.yaml").write_text(conda_file(job), encoding="utf-8")


def compile_lock(groups: tuple[str, ...], output: str, *options: str) -> str:
    """Resolve requirement files together; returns and writes the pinned list."""
    inputs = [f"requirements/{group}.in" for group in groups]
    path = REQUIREMENTS / output
    command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, "--no-emit-find-links", *options, *inputs]
    subprocess.run([*command, "--output-file", str(path)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return path.read_text(encoding="utf-8")


def conda_file(job: str) -> str:
    """Conda environment of one kind of job, with the lock's versions."""
    temporary = f".{job}.txt"
    try:
        pins = compile_lock((job,), temporary, "--constraint", "requirements/run.txt")
    finally:
        (REQUIREMENTS / temporary).unlink(missing_ok=True)
    lines = [re.sub(r" ; ", "; ", line) for line in pins.splitlines() if line and not line.startswith("#")]
    head = f"# Written by tools/lock.py from requirements/{job}.in and requirements/run.txt.\n"
    body = "".join(f'      - "{line}"\n' if ";" in line else f"      - {line}\n" for line in lines)
    return f"{head}channels:\n  - conda-forge\ndependencies:\n  - python =3.12\n  - pip\n  - pip:\n{body}"


if __name__ == "__main__":
    main()
