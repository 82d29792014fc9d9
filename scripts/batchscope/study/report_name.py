"""What the folder in results/ is called that holds the report of a table of runs. Imports nothing that takes time."""

from __future__ import annotations

import re
from pathlib import Path

RESERVED = ("datasets", "runs", "timings", "tunings")  # folders in results/ beside those of the studies


def name_of(table: str, studies: Path) -> str:
    """What the report of a table is called: like its file, as far as a folder may be.

    >>> name_of("exports/wandb_export_2025-04-24T14_00.csv", Path("config/studies"))
    'wandb_export_2025-04-24t14_00'
    """
    stem = re.sub(r"[^a-z0-9_-]+", "-", Path(table).stem.lower()).strip("-_") or "table"
    taken = stem in RESERVED or (studies / f"{stem}.yaml").is_file()
    return f"{stem}-table" if taken else stem
