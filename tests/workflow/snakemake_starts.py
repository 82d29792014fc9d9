"""Starts of Snakemake, each a process of its own, forked from one that has imported what all of them import.

Imports are more than half of a start that finds little to do. Run as `python snakemake_starts.py`, it reads a start per
line, as JSON, and answers each with its exit code.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SECONDS = 1800  # for one start

Start = Callable[[Path, list[str]], "subprocess.CompletedProcess[str]"]


@contextlib.contextmanager
def host() -> Iterator[Start]:
    """What starts Snakemake with some arguments in a folder, as `python -m snakemake` would there."""
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # no thread is lost by a fork where there is none
    command = [sys.executable, __file__]
    process = subprocess.Popen(command, env=alone, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process, tempfile.TemporaryDirectory() as kept:

        def start(folder: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
            said = [str(Path(kept, name)) for name in ("out", "err")]
            asked = {"folder": str(folder), "arguments": arguments, "said": said, "environment": dict(os.environ)}
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            status = int(process.stdout.readline())
            return subprocess.CompletedProcess(arguments, status, *(Path(file).read_text("utf-8") for file in said))

        yield start


def become(folder: str, arguments: list[str], said: list[str], environment: dict[str, str]) -> None:
    """Make this process one that a shell has started in the folder."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate([os.devnull, *said]):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    sys.path[0], sys.argv[1:] = folder, arguments
    signal.alarm(SECONDS)


def main() -> None:
    from snakemake import cli

    sys.path.insert(1, str(SCRIPTS))
    import batchscope.data.making
    import batchscope.data.own
    import batchscope.jobs.provenance
    import batchscope.jobs.warm
    import batchscope.study.model  # noqa: F401
    from batchscope.identity import imports

    imports.fingerprint(SCRIPTS.rglob("*.py"), SCRIPTS)  # reads every source, and keeps what it has read
    del sys.path[1]
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(**json.loads(line))
            cli.main()  # exits
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
