"""The metric over batch sizes, or over another metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Fault, Kind, Scale, SizesOrAll
from batchscope.claims.parts import Finding, Part, goal_of, judge
from batchscope.claims.words import turn
from batchscope.config.errors import choice
from batchscope.config.written import valid
from batchscope.tables.cells import Size
from batchscope.tables.metrics import METRICS, Metric, Sampled

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.readers import Evidence
    from batchscope.claims.samples import Samples
    from batchscope.stats.estimates import Estimate


class Trend(Kind):
    """The least-squares slope on the logarithm of the batch size, or of another metric, per doubling."""

    kind: Literal["trend"] = Field(description="Kind of test.")
    direction: Literal["falls", "rises"] = Field(description="Which way the metric is said to go as the batch grows.")
    batch_sizes: SizesOrAll = "all"
    along: Annotated[str | None, valid("the name of a metric, or null")] = Field(
        None,
        description="Another metric, along whose logarithm the first is said to fall or rise over the sizes; null for "
        "the batch size.",
    )
    scale: Scale = "difference"

    takes: ClassVar[frozenset[Sampled]] = frozenset({"seeds", "tuning seeds", "windows", "sizes"})

    def unit(self, metric: Metric) -> str:
        """Per doubling of what it goes along."""
        of = f" of {METRICS[self.along].words}" if self.along else ""
        return f"{super().unit(metric)} per doubling{of}".strip()

    def faults(self, metric: str) -> Iterator[Fault]:
        """Several sizes, and another metric of runs."""
        if self.batch_sizes != "all" and len(self.batch_sizes) < 2:
            yield ("batch_sizes",), f"{self.direction} needs more than one size; valid are two or more, or all"
        if self.along is None:
            return
        if self.along not in METRICS:
            yield ("along",), f"there is no metric `{self.along}`{choice(self.along, METRICS)}"
        elif METRICS[self.along].of != "seeds" or METRICS[metric].of != "seeds":
            lacking = f"{metric} and {self.along} are not both measured for every run"
            yield ("along",), f"{lacking}; valid are two metrics of runs"
        elif self.along == metric:
            yield ("along",), "it is the metric itself; valid is another metric, or null"

    def n_sizes(self, metric: Metric) -> int:
        """Three with one value each, since two always lie on a line."""
        return 3 if metric.of == "sizes" else 2

    def n_available(self, most: int) -> int:
        """Those that it names, or all."""
        return most if self.batch_sizes == "all" else len(self.batch_sizes)

    def find(self, claim: Claim, evidence: Evidence) -> Finding:
        """The trend along the other metric, where there is one."""
        if self.along is None:
            return super().find(claim, evidence)
        found, other = evidence.samples(METRICS[claim.metric]), evidence.samples(METRICS[self.along])
        estimate = found.along(other, found.several(self.batch_sizes), log=self.log)
        return self.finding(claim, found, [self._part(claim, estimate)])

    def parts(self, claim: Claim, found: Samples) -> list[Part]:
        """The trend along the batch size."""
        return [self._part(claim, found.trend(found.several(self.batch_sizes), log=self.log))]

    def remark(self, found: Samples, sizes: Sequence[Size]) -> str:
        """Where the means turn, of a trend along the batch size."""
        return "" if self.along else turn(found, sizes, self.direction == "falls")

    def _part(self, claim: Claim, estimate: Estimate | str) -> Part:
        words = "factor per doubling" if self.log else "change per doubling"
        return judge(words, estimate, goal_of(self.direction, self.margin_of(claim)))
