"""The metric at one batch size divided by that at another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Fault, Kind, Named, with_itself
from batchscope.claims.parts import Goal, Part, difference
from batchscope.config.written import List, valid

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.samples import Samples

_Pair = Annotated[List[Named], Field(min_length=2, max_length=2), valid("two sizes")]


class Ratio(Kind):
    """The ratio of each pair of sizes is at least a number."""

    kind: Literal["ratio"] = Field(description="Kind of test.")
    pairs: Annotated[List[_Pair], Field(min_length=1), valid("a list of pairs of sizes")] = Field(
        description="Pairs of sizes; the metric at the first, divided by that at the second, is said to be at least "
        "`at_least`."
    )
    at_least: Annotated[float, Field(gt=0)] = Field(description="Smallest ratio of each pair.")

    needs_margin: ClassVar[bool] = False
    of_ratios: ClassVar[bool] = True

    def faults(self, metric: str) -> Iterator[Fault]:
        """No size is compared with itself."""
        for index, (first, second) in enumerate(self.pairs):
            if first == second:
                yield with_itself(first, ["pairs", index])

    def parts(self, claim: Claim, found: Samples) -> list[Part]:
        """One ratio per pair."""
        pairs = [(found.size(first), found.size(second)) for first, second in self.pairs]
        return [difference(found, *pair, Goal("above", math.log(self.at_least)), log=True) for pair in pairs]
