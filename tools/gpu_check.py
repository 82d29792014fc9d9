"""Check Batchscope on an NVIDIA card, in eight minutes: `python tools/gpu_check.py [--wheels FOLDER] [PART ...]`.

The Python that runs this has JAX, with CUDA. What else is missing comes from a folder of wheels (`tools/gpu_wheels.py`)
into an environment that sees all packages of this Python; without a folder it must have everything. No network is
needed. Each part (benchmarks/gpu) is a process of its own with its own time. What it finds is written at once to
OUT/gpu-rows.jsonl, and in the end to OUT/gpu-check.json with a page, OUT/gpu-check.md, and its figures. `--device cpu`
rehearses it all at small sizes, without a card. docs/gpu.md says what is checked.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.util
import json
import os
import re
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
PARTS_FOLDER = ROOT / "benchmarks" / "gpu"
NEEDED = ("workflow", "train", "analyse", "report")  # requirements/*.in
ALL_SECONDS, SET_UP_SECONDS = 465, 45  # for everything but the page; for the environment
LOOK_SECONDS = 15  # that the part `quickstart` keeps for its records
REHEARSAL = 6  # times as long as on a card's machine a rehearsal may take, on a slow one


@dataclass(frozen=True)
class Part:
    """A part of the check: the seconds that it may take, and its commands.

    A command is a file of benchmarks/gpu with its arguments; `on_cpu` says which ones compute on the CPU in any case.
    """

    seconds: float
    commands: tuple[tuple[str, ...], ...]
    on_cpu: tuple[tuple[str, ...], ...] = ()


_REFERENCE = ("equality.py", "compute", "reference")
PARTS = {
    "telemetry": Part(45, (("loads.py",),)),
    "memory": Part(25, (("allocations.py", "pool"), ("allocations.py", "exact"))),
    "equality": Part(
        65,
        (
            _REFERENCE,
            ("equality.py", "compute", "first"),
            ("equality.py", "compute", "second"),
            ("equality.py", "compare"),
        ),
        on_cpu=(_REFERENCE,),
    ),
    "updates": Part(130, (("updates.py",),)),
    "quickstart": Part(155, (("quickstart.py",),)),
}


def main() -> int:
    """Run the parts and write the results; 0 where all parts ended and no check failed."""
    options = arguments()
    out = Path(options.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("gpu-*"):
        old.unlink()
    began, ended = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder, (out / "gpu-check.log").open("w") as log:
        work = Path(folder)
        python = environment(options.wheels and Path(options.wheels).resolve(), work)
        slower, names = REHEARSAL if options.device == "cpu" else 1, options.parts or [*PARTS]
        deadline = began + slower * SET_UP_SECONDS
        for name in names:  # time that one leaves goes to those that follow, and all to the last one
            deadline += slower * PARTS[name].seconds
            until = deadline if name != names[-1] else began + slower * ALL_SECONDS
            ended[name] = run(name, python, options.device, work, out, until, log)
            print(f"{name}: {ended[name]['status']}, {ended[name]['seconds']:.0f} s", flush=True)
        result = gathered(out, ended, options.device, time.monotonic() - began)
        page = [str(python), str(PARTS_FOLDER / "page.py"), str(out / "gpu-check.json")]
        drawn = subprocess.run(page, env=variables(), stdout=log, stderr=log, check=False).returncode == 0
    failed = [check["what"] for row in result["rows"] for check in row["checks"] if check["passed"] is False]
    for what in failed:
        print(f"failed: {what}")
    cut = [name for name, part in ended.items() if part["status"] != "ended"]
    print(f"{len(failed)} checks failed, {len(cut)} parts did not end; {out / 'gpu-check.md'}")
    return int(bool(failed or cut or not drawn))


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--wheels", help="folder with wheels of what this Python lacks")
    parser.add_argument("--out", default="results/gpu-check", help="folder for the results")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="cpu: a rehearsal at small sizes")
    return parser.parse_args()


def environment(wheels: Path | None, work: Path) -> Path:
    """The Python of the parts: this one, or one of a new environment that has the wheels and all that this one has."""
    if wheels is None:
        return Path(sys.executable)
    if not list(wheels.glob("*.whl")):
        sys.exit(f"--wheels {wheels}: there is no wheel in this folder; valid is one that `make gpu-wheels` has filled")
    if importlib.util.find_spec("snakemake"):  # whose jobs would see their own environment alone
        sys.exit(f"--wheels {wheels}: {sys.executable} has Snakemake already; valid is no --wheels, or another Python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(work / "environment")], check=True)
    python = work / "environment" / "bin" / "python"
    # Not --system-site-packages: where this Python is that of an environment itself, its packages are no system's.
    own = next((work / "environment" / "lib").glob("python*")) / "site-packages"
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in site.getsitepackages()]
    (own / "packages_of_the_machine.pth").write_text("".join(lines), encoding="utf-8")
    options = ["--quiet", "--no-index", "--find-links", str(wheels), "--no-compile", "--no-warn-script-location"]
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", *options, *needed()]
    without_settings = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    if subprocess.run(command, env={**without_settings, "PIP_CONFIG_FILE": os.devnull}, check=False).returncode != 0:
        sys.exit(f"--wheels {wheels}: the folder and this Python together lack a package; pip names it above")
    return python


def needed() -> list[str]:
    """The packages that a study on JAX needs, without versions: those of the machine's own may be others."""
    lines = [
        line for name in NEEDED for line in (ROOT / "requirements" / f"{name}.in").read_text().splitlines() if line
    ]
    return sorted({"jax", *(re.split(r"[^\w.-]", line)[0] for line in lines)})


def variables() -> dict[str, str]:
    """The environment of the parts."""
    path = os.pathsep.join(filter(None, (str(ROOT / "scripts"), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "MPLBACKEND": "agg"}


def run(name: str, python: Path, device: str, work: Path, out: Path, deadline: float, log: IO[str]) -> dict[str, Any]:
    """Run the commands of a part, one after the other, until one fails or the time is over."""
    start, part, status = time.monotonic(), PARTS[name], "ended"
    for file, *rest in part.commands:
        left = deadline - time.monotonic()
        on = "cpu" if (file, *rest) in part.on_cpu else device
        more = [str(max(1.0, left - LOOK_SECONDS)), str(out)] if name == "quickstart" else []
        command = [str(python), str(PARTS_FOLDER / file), str(out / "gpu-rows.jsonl"), on, *rest, *more]
        log.write(f"\n--- {name}: {' '.join([file, on, *rest])}\n")
        log.flush()
        code = ended(command, work, log, left)
        if code != 0:
            took = time.monotonic() - start
            status = f"cut after {took:.0f} s" if code is None else f"failed: {last_words(out / 'gpu-check.log')}"
            break
    return {"status": status, "seconds": time.monotonic() - start}


def last_words(log: Path) -> str:
    """The last line that a command has printed: of an error, what was wrong."""
    return (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""])[-1]


def ended(command: Sequence[str], work: Path, log: IO[str], seconds: float) -> int | None:
    """The exit status of a command; None where it took longer than so many seconds, and was killed."""
    process = subprocess.Popen(
        command, cwd=work, env=variables(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):  # what it started and left behind goes, too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def gathered(out: Path, ended: Mapping[str, Any], device: str, seconds: float) -> dict[str, Any]:
    """All results as one mapping, which is written as gpu-check.json."""
    rows = out / "gpu-rows.jsonl"
    lines = rows.read_text(encoding="utf-8").splitlines() if rows.is_file() else []
    result = {
        "date": datetime.date.today().isoformat(),
        "device": device,
        "seconds": seconds,
        "parts": dict(ended),
        "rows": [json.loads(line) for line in lines if line.endswith("}")],  # one may have been cut
    }
    (out / "gpu-check.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    sys.exit(main())
