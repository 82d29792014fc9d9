"""The metric at some batch sizes beside that at others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Direction, Fault, Kind, NamedSizes, Scale, SizesOrAll, with_itself
from batchscope.config.written import valid

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.parts import Part
    from batchscope.claims.samples import Samples, Size


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

    @property
    def is_near(self) -> bool:
        """Whether the margin is the room that nearness leaves."""
        return self.direction in ("similar", "not_lower")

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

    def of_sizes(self, found: Samples) -> list[Size]:
        """Those that are compared."""
        ours, theirs = self._both(found)
        return sorted({*ours, *theirs})

    def parts(self, claim: Claim, found: Samples) -> list[Part]:
        """Differences, or ratios, of two sizes each."""
        from batchscope.claims.parts import difference, goal_of, refuse_twins, several
        from batchscope.claims.samples import NotMeasuredError

        goal = goal_of(self.direction, self.margin_of(claim))
        if self.than is None:
            pairs = list(combinations(several(found, self.batch_sizes), 2))
        else:
            ours, theirs = self._both(found)
            if not theirs:
                raise NotMeasuredError("the study has no second batch size to compare with")
            pairs = [(one, other) for one in ours for other in theirs]
            refuse_twins(pairs)
        return [difference(found, *pair, goal, log=self.log) for pair in pairs]

    def _both(self, found: Samples) -> tuple[list[Size], list[Size]]:
        ours = found.chosen(self.batch_sizes)
        if self.than == "others":
            return ours, found.others(ours)
        return ours, [] if self.than is None else found.chosen(self.than)
