"""What the jobs of the probe `accumulation` write."""

from __future__ import annotations

from batchscope.probes.columns import Record
from batchscope.tables.job_columns import RUN, integer, number, string

RECORDS: dict[str, Record] = {
    "accumulation": Record(
        {
            **RUN,
            "micro_batch_size": integer("examples", "examples per gradient pass"),
            "updates": integer("updates", "updates after which the weights are compared"),
            "largest_difference": number("", "largest difference of a weight to that of the whole batch"),
            "relative_difference": number(
                "", "length of the difference over the length of the way from the first weights"
            ),
            "rounding": number("", "the same between two orders of the examples within each whole batch"),
            "reason": string("why a quantity is null", nullable=True),
        },
        ("micro_batch_size",),
    ),
}
