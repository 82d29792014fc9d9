"""What the jobs of the probe `rates` write: one row per training, and one per update."""

from __future__ import annotations

from batchscope.probes.columns import Record
from batchscope.tables.job_columns import RUN, integer, number, string

RECORDS: dict[str, Record] = {
    "rate_ranges": Record(
        {
            **RUN,
            "suggested_rate": number("", "rate at which the smoothed loss falls fastest"),
            "lowest_loss_rate": number("", "rate at the lowest smoothed loss"),
            "diverged_rate": number("", "first rate beyond it where the loss blew up"),
            "reason": string("why there is no suggestion", nullable=True),
        },
    ),
    "rate_curves": Record(
        {
            **RUN,
            "update": integer("updates", "number of the update, from 1"),
            "learning_rate": number("", "learning rate of this update", nullable=False),
            "loss": number("nat", "loss of the batch, before the update"),
            "smoothed_loss": number("nat", "the same, smoothed"),
        },
        ("update",),
    ),
}
