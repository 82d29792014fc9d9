"""What the jobs of the probe `modes` write, at weights that do not move."""

from __future__ import annotations

from batchscope.probes.columns import AT_CHECKPOINT, Record
from batchscope.tables.columns import CHECKPOINT, integer, number, string

RECORDS: dict[str, Record] = {
    "modes": Record(
        {
            **AT_CHECKPOINT,
            "evaluated_batch_size": integer("examples", "examples that are evaluated together"),
            "inference_loss": number("nat", "validation loss with the stored statistics"),
            "training_loss": number("nat", "validation loss with those of the batch, dropout off"),
            "training_mode_shift": number("nat", "size of the difference"),
            "reason": string("why a quantity is null", nullable=True),
        },
        ("updates", *CHECKPOINT, "evaluated_batch_size"),
    ),
}
