"""The user's data, read in full before any job starts."""

from __future__ import annotations

import importlib.util

from batchscope.data.sources.registry import SOURCES
from batchscope.identity.asked import Ask

_READERS = ("numpy", "pyarrow", "sklearn", "pooch")


def check(ask: Ask) -> None:
    """Read the user's data in full, where this environment can: Snakemake's own may hold nothing that reads them.

    Then the job that makes the data set refuses them, before any job that trains.

    Raises:
        DataError: the data cannot be used; the message names data set, file and key and says what would be valid.
    """
    if SOURCES[ask["definition"]["source"]].own_file and all(importlib.util.find_spec(name) for name in _READERS):
        from batchscope.data import making  # with libraries that take a second to import
        from batchscope.data.sources.reading import Place

        making.prepared(ask["definition"], ask["draw"], Place())
