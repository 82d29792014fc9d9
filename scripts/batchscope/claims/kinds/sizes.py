"""The metric at some batch sizes beside that at others: its difference, its ratio, and how much seeds differ there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Direction, Fault, Kind, Named, NamedSizes, Scale, SizesOrAll, with_itself
from batchscope.claims.parts import Effect, Goal, NotMeasuredError, difference, refuse_twins
from batchscope.config.written import List, valid
from batchscope.tables.metrics import Sampled

if TYPE_CHECKING:
    from batchscope.claims.readers import Evidence
    from batchscope.claims.samples import Samples

_Pair = Annotated[List[Named], Field(min_length=2, max_length=2), valid("two sizes")]


class Sizes(Kind):
    """Each size is lower, higher, not lower or similar beside each of others."""

    kind: Literal["sizes"]
    direction: Direction = Field(
        description="What the metric at each of `batch_sizes` is said to be beside that at each of `than`; `not_lower` "
        "is not lower by more than the margin."
    )
    batch_sizes: SizesOrAll = "all"
    than: Annotated[
        NamedSizes | Literal["others"] | None,
        valid("a list of batch sizes (integers, full, smallest or largest), `others`, or null"),
    ] = Field(
        None,
        description="The sizes to compare with; `others` are all others of the study. Left out, those of `batch_sizes` "
        "are said to be `similar` to each other.",
    )
    scale: Scale = "difference"

    def faults(self, metric: str) -> Iterator[Fault]:
        """Sizes are compared with others, and none with itself."""
        if self.than is None:
            if self.direction != "similar":
                valid = "valid is a list of batch sizes, or others"
                yield ("than",), f"{self.direction} needs the sizes to compare with; {valid}"
            yield from self.needs_several("similar", self.batch_sizes)
        elif self.than != "others":
            for index, size in enumerate(self.than):
                if size in self.batch_sizes:
                    yield with_itself(size, ["than", index])

    def effects(self, found: Samples, evidence: Evidence) -> list[Effect]:
        """Differences, or ratios, of two sizes each."""
        if self.than is None:
            pairs = list(combinations(found.several(self.batch_sizes), 2))
        else:
            ours = found.chosen(self.batch_sizes)
            others = [size for size in found.sizes if size not in ours]
            theirs = others if self.than == "others" else found.chosen(self.than)
            if not theirs:
                raise NotMeasuredError("the study has no second batch size to compare with")
            pairs = [(one, other) for one in ours for other in theirs]
        return [difference(found, *pair, log=self.log) for pair in pairs]


class Ratio(Kind):
    """The ratio of each pair of sizes is at least a number."""

    kind: Literal["ratio"]
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

    def goal(self, margin: float) -> Goal:
        """At least the number."""
        return Goal("above", math.log(self.at_least))

    def effects(self, found: Samples, evidence: Evidence) -> list[Effect]:
        """One ratio per pair."""
        pairs = [(found.size(first), found.size(second)) for first, second in self.pairs]
        return [difference(found, *pair, log=True) for pair in pairs]


class Spread(Kind):
    """The standard deviation over seeds is larger at one size than at others."""

    kind: Literal["spread"]
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

    def goal(self, margin: float) -> Goal:
        """Larger, by a factor that counts."""
        return Goal("above", 0.0, margin)

    def effects(self, found: Samples, evidence: Evidence) -> list[Effect]:
        """One ratio of standard deviations per other size."""
        if not found.paired:
            raise NotMeasuredError("the runs of the sizes are not paired, which the test of their spread needs")
        one, others = found.size(self.batch_size), found.chosen(self.than)
        for other in others:
            refuse_twins(one, other)
        return [(f"sd {one.label} / {other.label}", found.spread(one, other)) for other in others]
