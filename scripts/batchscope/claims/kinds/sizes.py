"""The metric at some batch sizes beside that at others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Direction, Fault, Kind, NamedSizes, Scale, SizesOrAll, with_itself
from batchscope.claims.parts import NotMeasuredError, Part, difference, goal_of
from batchscope.config.written import valid

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.samples import Samples


class Sizes(Kind):
    """Each size is lower, higher, not lower or similar beside each of others."""

    kind: Literal["sizes"] = Field(description="Kind of test.")
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
            if self.batch_sizes != "all" and len(self.batch_sizes) < 2:
                yield ("batch_sizes",), "similar needs more than one size; valid are two or more, or all"
        elif self.than != "others":
            for index, size in enumerate(self.than):
                if size in self.batch_sizes:
                    yield with_itself(size, ["than", index])

    def parts(self, claim: Claim, found: Samples) -> list[Part]:
        """Differences, or ratios, of two sizes each."""
        goal = goal_of(self.direction, self.margin_of(claim))
        if self.than is None:
            pairs = list(combinations(found.several(self.batch_sizes), 2))
        else:
            ours = found.chosen(self.batch_sizes)
            others = [size for size in found.sizes if size not in ours]
            theirs = others if self.than == "others" else found.chosen(self.than)
            if not theirs:
                raise NotMeasuredError("the study has no second batch size to compare with")
            pairs = [(one, other) for one in ours for other in theirs]
        return [difference(found, *pair, goal, log=self.log) for pair in pairs]
