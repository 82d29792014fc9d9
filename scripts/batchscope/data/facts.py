"""What is known of the data sets on disk, and whether they are what the study asks for. Needs no NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchscope.identity.asked import Ask
from batchscope.identity.digests import fingerprint, unsealed


def known(facts: Path) -> Mapping[str, Any]:
    """What a data set file says of itself (`making.make`); empty where there is none that is whole."""
    try:
        return unsealed(facts.read_bytes()) or {}
    except OSError:
        return {}


def is_made(facts: Path, ask: Ask) -> bool:
    """Whether a data set was made from what the study asks."""
    return known(facts).get("asked") == fingerprint(ask)


def gives_other_data(facts: Path, ask: Ask) -> bool:
    """Whether a data set is there and came from another definition, or from other content of the user's files."""
    there = known(facts)
    before, now = set(there.get("files", {}).values()), set(ask["files"].values())
    return bool(there) and (there.get("definition") != ask["definition"] or not now <= before)
