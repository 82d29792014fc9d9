"""What TensorFlow raises where memory ends, read as an `OutOfMemoryError` that says what could not be allocated."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from batchscope.training.engines import OutOfMemoryError
from batchscope.training.engines.tensorflow.framework import tf

# Besides ResourceExhaustedError: a copy to the device that does not fit, libraries of CUDA that get no workspace, and
# sizes so large that their product or they themselves are no 64-bit integers.
_SIGNS = re.compile(
    r"OOM when|out of memory|OUT_OF_MEMORY|ALLOC_FAILED|failed to allocate|Dst tensor is not initialized"
    r"|would have more than 2\*\*63 - 1 elements|out-of-range integer to Tensor|MemoryError|bad_alloc",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\{\{.*?\}\} ?| on /job:\S+| \[Op:.*| by allocator \S+")  # in TensorFlow's own graph


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Raise `OutOfMemoryError` for whatever the block raises because memory ended; also decorates a function."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(str(error) or "the host has too little memory for an object of Python's") from error
    except (tf.errors.OpError, ValueError) as error:
        if isinstance(error, tf.errors.ResourceExhaustedError) or _SIGNS.search(str(error)):
            raise OutOfMemoryError(_detail(str(error))) from error
        raise


def _detail(text: str) -> str:
    """The line of a message that says what could not be allocated, without the place in TensorFlow's graph."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)  # without colours
    lines = [line for line in plain.splitlines() if line.strip() and not line.startswith("Graph execution error")]
    line = next((line for line in lines if _SIGNS.search(line)), lines[0] if lines else "")
    return _PLACE.sub("", line).strip(" :") or "the device has too little memory"
