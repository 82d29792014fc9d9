"""What the jobs of the probe `overheads` write."""

from __future__ import annotations

from batchscope.probes.columns import Record
from batchscope.tables.job_columns import CELL, integer, number, string

RECORDS: dict[str, Record] = {
    "loop_windows": Record(
        {
            **CELL,
            "loop": string("fused (one compiled call), fit (Keras model.fit) or data (only reads the examples)"),
            "window": integer("", "number of the window, from 1"),
            "updates": integer("updates", "updates in the window"),
            "seconds": number("s", "length of the window, synchronised at both edges", nullable=False),
            "seconds_per_update": number("s", "`seconds` over `updates`", nullable=False),
        },
        ("loop", "window"),
    ),
}
