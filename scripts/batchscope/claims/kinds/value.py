"""The metric at one batch size beside a number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Fault, Kind, Named
from batchscope.claims.parts import Effect, Goal
from batchscope.config.written import List, valid
from batchscope.stats import FITTED_SIZES
from batchscope.tables.metrics import METRICS, Metric

if TYPE_CHECKING:
    from batchscope.claims.readers import Evidence
    from batchscope.claims.samples import Samples


class Value(Kind):
    """The metric is at least, at most or between."""

    kind: Literal["value"]
    batch_size: Named = Field(description="A batch size.")
    at_least: Annotated[float | None, valid("a number, or null")] = Field(
        None,
        description="The metric is said to be at least this. Exactly one of `at_least`, `at_most` and `between` is "
        "given.",
    )
    at_most: Annotated[float | None, valid("a number, or null")] = Field(
        None, description="The metric is said to be at most this."
    )
    between: Annotated[
        Annotated[List[float], Field(min_length=2, max_length=2)] | None, valid("a lower and an upper number, or null")
    ] = Field(None, description="The metric is said to lie between these two numbers.")

    needs_margin: ClassVar[bool] = False

    def n_sizes(self, metric: Metric) -> int:
        """One, unless it takes several to fit the value."""
        return FITTED_SIZES if metric.table == "overheads" else 1

    def faults(self, metric: str) -> Iterator[Fault]:
        """One of the bounds is given, and can be met."""
        bounds = {"at_least": self.at_least, "at_most": self.at_most, "between": self.between}
        given = {key: bound for key, bound in bounds.items() if bound is not None}
        if len(given) != 1:
            count = f"{len(given)} are" if given else "none is"
            yield (), f"of at_least, at_most and between {count} given; valid is one of the three"
        for key, bound in given.items():
            for value in bound if isinstance(bound, tuple) else (bound,):
                if beyond := METRICS[metric].beyond(value):
                    yield (key,), beyond
        if self.between and self.between[0] >= self.between[1]:
            low, high = self.between
            yield ("between",), f"{low:g} is not below {high:g}; valid are a lower and an upper end"

    def goal(self, margin: float) -> Goal:
        """Within the bounds."""
        if self.between:
            low, high = self.between
            return Goal("within", (low + high) / 2, (high - low) / 2)
        return Goal("below", self.at_most or 0.0) if self.at_least is None else Goal("above", self.at_least)

    def effects(self, found: Samples, evidence: Evidence) -> list[Effect]:
        """The value of one size."""
        size = found.size(self.batch_size)
        return [(f"at {size.label}", found.fitted[size] if size in found.fitted else found.contrast({size: 1.0}))]
