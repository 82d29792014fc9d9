"""What the jobs of the probe `modes` write, at weights that do not move."""

from __future__ import annotations

from batchscope.probes.columns import Record, at_checkpoint
from batchscope.tables.job_columns import integer, number, string

RECORDS: dict[str, Record] = {
    "modes": at_checkpoint(
        {
            "evaluated_batch_size": integer("examples", "examples that are evaluated together"),
            "inference_loss": number("nat", "validation loss with the stored statistics"),
            "training_loss": number("nat", "validation loss with those of the batch, dropout off"),
            "training_mode_shift": number("nat", "size of the difference"),
            "reason": string("why a quantity is null", nullable=True),
        },
        "evaluated_batch_size",
    ),
}
