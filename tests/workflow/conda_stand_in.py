"""A stand-in for conda where none is installed: it answers the calls that Snakemake 9 makes, and no other.

Each environment is a virtual environment that holds the pins of the file's pip section and nothing else, made with uv
where it is on the path, else with pip. It is kept under the hash of its pins, and the prefix that Snakemake asks for
becomes a link to it, so that a second test, in another folder, has it at once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(os.environ.get("BATCHSCOPE_CONDA_CACHE", ROOT / ".cache" / "conda"))
UV = shutil.which("uv") or next(iter(sorted(ROOT.glob(".tools/uv-*/bin/uv"))), None)  # the set-up's own
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def install(folder: Path) -> Path:
    """Make `folder` the prefix of a conda; the returned folder of its commands belongs first on the path."""
    commands = folder / "bin"
    commands.mkdir(parents=True)
    (commands / "activate").write_text(ACTIVATE)
    command = commands / "conda"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "{folder}" "$@"\n')
    command.chmod(0o755)
    return commands


def pinned(pins: list[str], python: str) -> Path:
    """A virtual environment that holds exactly `pins`, whose interpreter is Python `python` where one is there."""
    version = _version(python)
    known = json.dumps([sorted(pins), version, platform.platform()])
    environment = KEPT / hashlib.sha256(known.encode()).hexdigest()[:16]
    done = environment / "is-complete"
    if not (done.exists() and (environment / "bin" / "python").exists()):  # whose interpreter is still there
        shutil.rmtree(environment, ignore_errors=True)
        _make(environment, version, pins)
        done.touch()
    return environment


def _version(wanted: str) -> str:
    """The interpreter that `wanted` stands for: itself where uv finds one on this machine, else the one that runs."""
    found = UV and subprocess.run(
        [UV, "python", "find", "--no-project", "--no-python-downloads", wanted], capture_output=True, check=False
    )
    return wanted if found and found.returncode == 0 else sys.executable


def _make(environment: Path, version: str, pins: list[str]) -> None:
    if UV:
        subprocess.run([UV, "venv", "--quiet", "--no-project", "--python", version, environment], check=True)
        command = [UV, "pip", "install", "--quiet", "--python", environment, "--compile-bytecode"]
    else:
        subprocess.run([version, "-m", "venv", environment], check=True)
        command = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*command, "--no-deps", *pins], check=True)


def _create(file: Path, prefix: Path) -> None:
    listed = yaml.safe_load(file.read_text())["dependencies"]
    pins = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    python = next(entry for entry in listed if isinstance(entry, str) and entry.startswith("python "))
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.symlink_to(pinned(pins, python.partition("=")[2]), target_is_directory=True)


def main(prefix: str, *call: str) -> None:
    """Answer one call of the conda whose prefix is given."""
    if call == ("--version",):
        print("conda 24.7.1 (stand-in)")
    elif call == ("info", "--json"):
        print(json.dumps({"conda_prefix": prefix, "platform": f"linux-{platform.machine()}"}))
    elif call == ("config", "--get", "channel_priority", "--json"):
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif call[:2] == ("env", "create"):
        parser = argparse.ArgumentParser(prog="conda env create")
        parser.add_argument("--quiet", action="store_true")
        parser.add_argument("--no-default-packages", action="store_true")
        parser.add_argument("--file", type=Path, required=True)
        parser.add_argument("--prefix", type=Path, required=True)
        asked = parser.parse_args(call[2:])
        _create(asked.file, asked.prefix)
    elif call[:1] != ("clean",):  # which has nothing to remove
        sys.exit(f"the stand-in for conda does not know: conda {' '.join(call)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
