"""What jobs of `test_warm` do; a host imports this by its name."""

import os
import sys
import time
from pathlib import Path

IMPORTED_BY = os.getpid()


def tell(words, note):
    """Say where this process is, and note it."""
    note("numerics", {"device": "cpu"})
    print(words, Path.cwd(), os.environ.get("OWN"), sys.path[0], flush=True)
    os.write(2, f"group {os.getpgrp()} parent {os.getppid()} imported by {IMPORTED_BY}\n".encode())


def say_whether_imported(module, note):
    """Say whether a module had been imported before this job asked for it."""
    print(f"{module} imported: {module in sys.modules}", flush=True)


def fail(note):
    """End as a fault of the program ends."""
    raise ZeroDivisionError("one over nothing")


def die(number, note):
    """End by a signal."""
    os.kill(os.getpid(), number)


def wait(note):
    """Work until somebody ends it."""
    print(f"waits as {os.getpid()}", flush=True)
    time.sleep(60)


def hold(size, note):
    """Hold so many bytes for a while."""
    held = bytearray(size)
    time.sleep(30)
    del held


def lost(death):
    """What is written for a job that died of memory."""
    print("LOST", death.notes, death.how, flush=True)
