"""How much seeds differ at one batch size beside others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Fault, Kind, Named, NamedSizes, with_itself
from batchscope.claims.parts import Goal, NotMeasuredError, Part, judge, refuse_twins
from batchscope.tables.metrics import Sampled

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.samples import Samples


class Spread(Kind):
    """The standard deviation over seeds is larger at one size than at others."""

    kind: Literal["spread"] = Field(description="Kind of test.")
    batch_size: Named = Field(description="A batch size.")
    than: NamedSizes = Field(description="The sizes whose standard deviation over seeds is said to be smaller.")

    takes: ClassVar[frozenset[Sampled]] = frozenset({"seeds", "tuning seeds"})
    of_ratios: ClassVar[bool] = True
    n_seeds: ClassVar[int] = 3

    def faults(self, metric: str) -> Iterator[Fault]:
        """The size is not among those it is compared with."""
        for index, size in enumerate(self.than):
            if size == self.batch_size:
                yield with_itself(size, ["than", index])

    def parts(self, claim: Claim, found: Samples) -> list[Part]:
        """One ratio of standard deviations per other size."""
        if not found.paired:
            raise NotMeasuredError("the runs of the sizes are not paired, which the test of their spread needs")
        one, others = found.size(self.batch_size), found.chosen(self.than)
        for other in others:
            refuse_twins(one, other)
        goal = Goal("above", 0.0, self.margin_of(claim))
        return [judge(f"sd {one.label} / {other.label}", found.spread(one, other), goal) for other in others]
