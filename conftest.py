"""How all tests run: side by side, as many as this process may have cores and memory for."""

from __future__ import annotations

import gc

from batchscope.jobs import machine

MOST = 8  # each imports for ten seconds before its first test
BYTES = 3_000_000_000  # for a worker, and what its test starts


def pytest_xdist_auto_num_workers() -> int:
    """The workers of `-n auto`, quotas of a container included."""
    return max(1, min(machine.usable_cores(), machine.memory_bytes() // BYTES, MOST))


def pytest_collection_finish() -> None:
    """Let no collection go through what lasts as long as the tests do: a search of all of it takes a second."""
    gc.collect()
    gc.freeze()
