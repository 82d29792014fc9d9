"""The metric over batch sizes: its trend, also along another metric, and the power of the size that it follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Fault, Kind, Scale, SizesOrAll
from batchscope.claims.parts import Effect, Goal
from batchscope.claims.words import turn
from batchscope.config.errors import choice
from batchscope.config.written import valid
from batchscope.tables.cells import Size
from batchscope.tables.metrics import METRICS, OWN, Metric, Sampled

if TYPE_CHECKING:
    from batchscope.claims.readers import Evidence
    from batchscope.claims.samples import Samples


class Trend(Kind):
    """The least-squares slope on the logarithm of the batch size, or of another metric, per doubling."""

    kind: Literal["trend"]
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
        yield from self.needs_several(self.direction, self.batch_sizes)
        if self.along is None:
            return
        if self.along not in METRICS:
            yield ("along",), f"there is no metric `{self.along}`{choice(self.along, OWN)}"
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

    def effects(self, found: Samples, evidence: Evidence) -> list[Effect]:
        """The trend along the batch size, or along the other metric."""
        other = evidence.samples(METRICS[self.along]) if self.along else None
        sizes = found.several(self.batch_sizes)
        estimate = found.along(other, sizes, log=self.log) if other else found.trend(sizes, log=self.log)
        return [("factor per doubling" if self.log else "change per doubling", estimate)]

    def remark(self, found: Samples, sizes: Sequence[Size]) -> str:
        """Where the means turn, of a trend along the batch size."""
        return "" if self.along else turn(found, sizes, self.direction == "falls")


class Slope(Kind):
    """The slope of the logarithm of the metric on that of the batch size is near to a number."""

    kind: Literal["slope"]
    equals: float = Field(
        description="Slope of the logarithm of the metric on that of the batch size; -1 is one over the batch size."
    )
    batch_sizes: SizesOrAll = "all"

    near: ClassVar[bool] = True

    def unit(self, metric: Metric) -> str:
        """A power has none."""
        return ""

    def faults(self, metric: str) -> Iterator[Fault]:
        """A slope needs several sizes."""
        return self.needs_several("slope", self.batch_sizes)

    def goal(self, margin: float) -> Goal:
        """Near to the number."""
        return Goal("within", self.equals, margin)

    def effects(self, found: Samples, evidence: Evidence) -> list[Effect]:
        """One slope."""
        return [("log-log slope", found.power(found.several(self.batch_sizes)))]
