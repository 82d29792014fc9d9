"""Updates per epoch, which are counted and not tested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Kind
from batchscope.config.written import List, Positive, Written, valid
from batchscope.tables.metrics import Metric
from batchscope.text import count
from batchscope.training.recipes import updates_per_epoch

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.findings import Evidence, Finding


class Case(Written):
    """A count of the source."""

    examples: Positive = Field(description="Training examples.")
    batch_size: Positive = Field(description="Examples per update.")
    updates: Positive = Field(description="Updates per epoch that the source names.")


class Count(Kind):
    """The counts of the source, and those of the study's own runs, are N/B rounded up."""

    kind: Literal["count"] = Field(description="Kind of test.")
    cases: Annotated[List[Case], Field(min_length=1), valid("a list of at least one case")] = Field(
        description="Updates of an epoch as the source counts them; all must be N/B rounded up. So must be those of "
        "the study's own runs."
    )

    about: ClassVar[str] = "updates_per_epoch"
    needs_margin: ClassVar[bool] = False
    n_seeds: ClassVar[int] = 1

    def n_sizes(self, metric: Metric) -> int:
        """One is enough to count."""
        return 1

    def find(self, claim: Claim, evidence: Evidence) -> Finding:
        """Whether all is as stated; nothing is tested."""
        from batchscope.analysis.best import label
        from batchscope.claims.findings import Finding

        wrong = []
        for case in self.cases:
            right = updates_per_epoch(case.examples, case.batch_size, "keep")
            if case.updates != right:
                at = f"{case.examples:,} examples at {case.batch_size:,}"
                wrong.append(f"{case.updates:,} is stated for {at}, which make {right:,}")
        runs = evidence.rows("runs")
        whole = (runs["epochs"] >= 1) & (runs["epochs"] % 1 == 0)  # the last batch of a part may be missing
        made: list[dict[str, Any]] = runs[whole.fillna(False)].to_dict("records")  # type: ignore[assignment]
        for run in made:
            counted = run["updates"] / run["epochs"]
            if counted != updates_per_epoch(int(run["n_train"]), int(run["batch_size"]), "keep"):
                size = label(int(run["batch_size"]), bool(run["full_batch"]))
                wrong.append(f"a run at {size} made {counted:,g} per epoch of {run['n_train']:,} examples")
        sizes = tuple(sorted({(int(run["batch_size"]), bool(run["full_batch"])) for run in made}))
        both = f"{len(self.cases)} counts of the source and those of {count(len(made), 'run')}"
        text = f"Of {both} not all are N/B rounded up: {wrong[0]}" if wrong else f"All {both} are N/B rounded up"
        return Finding((), False, "", "runs", len(made), sizes, text, not wrong)
