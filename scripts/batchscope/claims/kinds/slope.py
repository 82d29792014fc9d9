"""The power of the batch size that the metric follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Fault, Kind, SizesOrAll
from batchscope.claims.parts import Goal, Part, judge
from batchscope.tables.metrics import Metric

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.samples import Samples


class Slope(Kind):
    """The slope of the logarithm of the metric on that of the batch size is near to a number."""

    kind: Literal["slope"] = Field(description="Kind of test.")
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
        if self.batch_sizes != "all" and len(self.batch_sizes) < 2:
            yield ("batch_sizes",), "slope needs more than one size; valid are two or more, or all"

    def parts(self, claim: Claim, found: Samples) -> list[Part]:
        """One slope."""
        estimate = found.power(found.several(self.batch_sizes))
        return [judge("log-log slope", estimate, Goal("within", self.equals, self.margin_of(claim)))]
