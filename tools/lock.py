"""Lock the versions: requirements/*.in -> requirements/*.txt with hashes, and the conda files in envs/.

Versions that are locked already stay, unless a requirement excludes them. run.txt is what a study on TensorFlow needs,
jax.txt one on JAX; gpu.txt and jax-gpu.txt the same and the CUDA libraries; develop.txt all that and the tools of
development; uv.txt what installs them. The conda
files name the same versions as the locks, transitive packages included, so that every way of running a study uses the
same software. A test keeps them equal.
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
CONDA_FILES = {  # of each file in envs/, what it is resolved from and the lock that gives the versions
    "train": (("train", "tensorflow"), "run.txt"),
    "train-gpu": (("train", "tensorflow", "gpu"), "gpu.txt"),
    "train-jax": (("train", "jax"), "jax.txt"),
    "train-jax-gpu": (("train", "jax", "jax-gpu"), "jax-gpu.txt"),
    "analyse": (("analyse",), "run.txt"),
    "report": (("report",), "run.txt"),
}


def main() -> None:
    """Write all locks and conda files."""
    as_run, as_jax = (("--constraint", f"requirements/{lock}") for lock in ("run.txt", "jax.txt"))
    compile_lock((*RUN, "tensorflow"), "run.txt", "--generate-hashes")
    compile_lock((*RUN, "tensorflow", "gpu"), "gpu.txt", "--generate-hashes", *as_run)
    compile_lock((*RUN, "jax"), "jax.txt", "--generate-hashes", *as_run)
    compile_lock((*RUN, "jax", "jax-gpu"), "jax-gpu.txt", "--generate-hashes", *as_run, *as_jax)
    compile_lock((*RUN, "tensorflow", "jax", "develop", "uv"), "develop.txt", "--generate-hashes", *as_run, *as_jax)
    compile_lock(("uv",), "uv.txt", "--generate-hashes", "--constraint", "requirements/develop.txt")
    for name, (groups, lock) in CONDA_FILES.items():
        (ROOT / "envs" / f"{name}.yaml").write_text(conda_file(groups, lock), encoding="utf-8")


def compile_lock(groups: tuple[str, ...], output: str, *options: str) -> str:
    """Resolve requirement files together; returns and writes the pinned list."""
    inputs = [f"requirements/{group}.in" for group in groups]
    path = REQUIREMENTS / output
    command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, "--no-emit-find-links", *options, *inputs]
    subprocess.run([*command, "--output-file", str(path)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return path.read_text(encoding="utf-8")


def conda_file(groups: tuple[str, ...], lock: str) -> str:
    """Conda environment for the jobs that need these groups, with the lock's versions."""
    temporary = ".conda.txt"
    try:
        pins = compile_lock(groups, temporary, "--constraint", f"requirements/{lock}")
    finally:
        (REQUIREMENTS / temporary).unlink(missing_ok=True)
    lines = [re.sub(r" ; ", "; ", line) for line in pins.splitlines() if line and not line.startswith("#")]
    inputs = ", ".join(f"requirements/{group}.in" for group in groups)
    head = f"# Written by tools/lock.py from {inputs} and requirements/{lock}.\n"
    body = "".join(f'      - "{line}"\n' if ";" in line else f"      - {line}\n" for line in lines)
    return f"{head}channels:\n  - conda-forge\ndependencies:\n  - python =3.12\n  - pip\n  - pip:\n{body}"


if __name__ == "__main__":
    main()
