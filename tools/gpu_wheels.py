"""Wheels for a machine that has JAX and no network: `python3.12 tools/gpu_wheels.py FOLDER [NAME ...]`.

They have the locked versions, for Python 3.12 on Linux, x86-64. JAX is left out, and what it needs itself, and the
packages NAME, which that machine has already. This one needs a network, Python 3.12 and pip, which checks every hash.
`tools/gpu_check.py --wheels FOLDER` takes from the folder what it lacks.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements" / "jax.txt"
OF_JAX = {"jax", "jaxlib", "ml-dtypes", "numpy", "opt-einsum", "scipy"}


def main(folder: Path, there: Collection[str]) -> None:
    """Fill the folder and say how large it is; ends with a sentence where that cannot be."""
    if sys.version_info[:2] != (3, 12) or sys.platform != "linux" or platform.machine() != "x86_64":
        sys.exit("The wheels are for Python 3.12 on Linux, x86-64: valid is that Python on such a machine.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as wanted:
        wanted.write(without(LOCK.read_text(encoding="utf-8"), OF_JAX | {normal(name) for name in there}))
        wanted.flush()
        options = ["--quiet", "--no-deps", "--require-hashes", "--wheel-dir", str(folder), "-r", wanted.name]
        if subprocess.run([sys.executable, "-m", "pip", "wheel", *options], check=False).returncode != 0:
            sys.exit("pip could not fetch the packages; its reason stands above.")
    wheels = list(folder.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels) / 2**20
    print(f"{folder}: {len(wheels)} wheels, {size:.0f} MiB")


def without(lock: str, names: Collection[str]) -> str:
    """The text of a lock without some packages, each of which takes a line and those of its hashes."""
    return "\n".join(each for each in re.split(r"\n(?=\w)", lock) if normal(each.partition("==")[0]) not in names)


def normal(name: str) -> str:
    """The name of a package as locks write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("Name the folder for the wheels: `make gpu-wheels WHEELS=folder`.")
    main(Path(sys.argv[1]), sys.argv[2:])
