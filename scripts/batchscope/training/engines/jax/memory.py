"""What JAX raises where memory ends, read as an `OutOfMemoryError` that says what could not be allocated."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from batchscope.training.engines import OutOfMemoryError
from batchscope.training.engines.jax.framework import jax

_SIGNS = re.compile(r"RESOURCE_EXHAUSTED|out of memory|failed to allocate|ALLOC_FAILED|bad_alloc", re.IGNORECASE)


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Raise `OutOfMemoryError` for whatever the block raises because memory ended; also decorates a function."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(str(error) or "the host has too little memory for an object of Python's") from error
    except (jax.errors.JaxRuntimeError, ValueError, OverflowError) as error:
        if _SIGNS.search(str(error)):
            line = next(line for line in str(error).splitlines() if _SIGNS.search(line))
            raise OutOfMemoryError(line.removeprefix("RESOURCE_EXHAUSTED: ").strip()) from error
        raise
