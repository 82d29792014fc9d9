"""What frameworks say of accelerators that a machine has not: nothing that belongs in the log of a job."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from batchscope import telemetry


@contextlib.contextmanager
def without_gpu() -> Iterator[None]:
    """A block that looks for GPUs: where there is none, what its libraries write to standard error is dropped.

    They write past Python that CUDA cannot be started, which where there is a GPU is what its user must know.
    """
    if telemetry.gpu_names():
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
