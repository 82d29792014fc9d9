"""Configure an engine on a machine that shows no GPU, in a log as jobs have it. Run as `python engine_notices.py NAME`.

Prints what the job's log then has after the import.
"""

import os
import sys
from pathlib import Path

from batchscope.jobs import logs
from batchscope.training import engines


def main(name):
    terminal = os.dup(1)
    logs.redirect("job.log")
    engine = engines.load(name)
    sys.stderr.flush()
    imported = Path("job.log").stat().st_size
    engine.configure("auto", 1)
    sys.stderr.write("to be kept\n")
    sys.stderr.flush()
    os.write(terminal, Path("job.log").read_bytes()[imported:])


if __name__ == "__main__":
    main(sys.argv[1])
