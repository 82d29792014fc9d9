"""Data sets on disk: whether they are what the study asks for. Asked before any job starts, so without NumPy."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchscope.asked import Ask
from batchscope.identity import fingerprint

SOURCES = ("npz", "table")  # which can be read in full before any job
_READERS = ("numpy", "pyarrow", "sklearn", "pooch")


def known(facts: Path) -> Mapping[str, Any]:
    """What a data set file says of itself (`making.make`); empty where there is none that can be read."""
    try:
        content = json.loads(facts.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_made(facts: Path, ask: Ask) -> bool:
    """Whether a data set was made from what the study asks."""
    return known(facts).get("asked") == fingerprint(ask)


def gives_other_data(facts: Path, ask: Ask) -> bool:
    """Whether a data set is there and came from another definition, or from other content of the user's files."""
    there = known(facts)
    before, now = set(there.get("files", {}).values()), set(ask["files"].values())
    return bool(there) and (there.get("definition") != ask["definition"] or not now <= before)


def check(ask: Ask) -> None:
    """Read the user's data in full, where this environment can: Snakemake's own may hold nothing that reads them.

    Then the job that makes the data set refuses them, before any job that trains.

    Raises:
        DataError: the data cannot be used; the message names data set, file and key and says what would be valid.
    """
    if ask["definition"]["source"] in SOURCES and all(importlib.util.find_spec(name) for name in _READERS):
        from batchscope.datasets import making  # with libraries that take a second to import

        making.prepared(ask["definition"], ask["draw"], data_folders=[], cache=Path())
