"""Updates per epoch, which are counted and not tested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Kind
from batchscope.claims.parts import Finding
from batchscope.config.written import List, Positive, Written, valid
from batchscope.tables.cells import Size, sizes_of
from batchscope.tables.metrics import Metric
from batchscope.text import count
from batchscope.training.recipes import updates_per_epoch

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.readers import Evidence


class Case(Written):
    """A count of the source."""

    examples: Positive = Field(description="Training examples.")
    batch_size: Positive = Field(description="Examples per update.")
    updates: Positive = Field(description="Updates per epoch that the source names.")


class Count(Kind):
    """The counts of the source, and those of the study's own runs, are N/B rounded up."""

    kind: Literal["count"]
    cases: Annotated[List[Case], Field(min_length=1), valid("a list of at least one case")] = Field(
        description="Updates of an epoch as the source counts them; all must be N/B rounded up. So must be those of "
        "the study's own runs."
    )

    about: ClassVar[str] = "updates_per_epoch"
    needs_margin: ClassVar[bool] = False
    n_seeds: ClassVar[int] = 1
    least_sizes: ClassVar[int] = 1

    def unit(self, metric: Metric) -> str:
        """There is no effect."""
        return ""

    def find(self, claim: Claim, evidence: Evidence) -> Finding:
        """Whether all is as stated; nothing is tested."""
        wrong = []
        for case in self.cases:
            right = updates_per_epoch(case.examples, case.batch_size, "keep")
            if case.updates != right:
                at = f"{case.examples:,} examples at {case.batch_size:,}"
                wrong.append(f"{case.updates:,} is stated for {at}, which make {right:,}")
        runs = evidence.rows("runs")
        whole = (runs["epochs"] >= 1) & (runs["epochs"] % 1 == 0)  # the last batch of a part may be missing
        made = runs[whole.fillna(False)]
        columns = (made[name] for name in ("batch_size", "full_batch", "n_train", "updates", "epochs"))
        for batch_size, full, n_train, updates, epochs in zip(*columns, strict=True):
            if updates / epochs != updates_per_epoch(int(n_train), int(batch_size), "keep"):
                at = Size(int(batch_size), bool(full)).label
                wrong.append(f"a run at {at} made {updates / epochs:,g} per epoch of {n_train:,} examples")
        both = f"{count(len(self.cases), 'count')} of the source and the counts of {count(len(made), 'run')}"
        text = f"Of {both} not all are N/B rounded up: {wrong[0]}" if wrong else f"{both} are all N/B rounded up"
        return Finding((), "runs", len(made), sizes_of(made), text, not wrong)
