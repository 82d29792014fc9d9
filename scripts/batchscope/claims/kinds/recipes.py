"""The metric with one recipe beside that with recipes that differ in one thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from batchscope.claims import scope, words
from batchscope.claims.kinds.kind import Direction, Fault, Kind, Scale, SizesOrAll, with_itself
from batchscope.claims.parts import Effect, Finding, NotMeasuredError
from batchscope.config.errors import choice
from batchscope.config.written import List, valid
from batchscope.tables.cells import Pair, Size
from batchscope.tables.metrics import METRICS, Sampled
from batchscope.text import listing

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.readers import Evidence

_Value = Annotated[str | bool, valid("a value of the key")]


class Recipes(Kind):
    """A recipe is lower, higher, not lower or similar beside others that differ from it in one key, seed by seed."""

    kind: Literal["recipes"]
    key: Literal[
        "model",
        "optimizer",
        "learning_rate",
        "shuffle",
        "last_batch",
        "normalization",
        "budget",
        "early_stopping",
        "accumulation",
    ] = Field(description="The one key of `scope.recipe` in which two recipes of the study differ.")
    first: _Value = Field(description="Value of the key in the recipe that the statement is about.")
    second: Annotated[
        _Value | Annotated[List[_Value], Field(min_length=1)],
        AfterValidator(scope.several),
        valid("a value of the key, or a list of values"),
    ] = Field(description="Its value in the recipe to compare with; each of a list.")
    direction: Direction = Field(
        description="What the metric of the first is said to be, at each size, beside that of the second; `not_lower` "
        "is not lower by more than the margin."
    )
    batch_sizes: SizesOrAll = "all"
    scale: Scale = "difference"

    takes: ClassVar[frozenset[Sampled]] = frozenset({"seeds", "tuning seeds"})
    least_sizes: ClassVar[int] = 1

    @property
    def _others(self) -> tuple[str | bool, ...]:
        return scope.several(self.second)

    def condition(self) -> tuple[str, str | bool]:
        """The claim is about the first of the recipes."""
        return self.key, self.first

    def faults(self, metric: str) -> Iterator[Fault]:
        """The values are those of the key, and differ."""
        known = scope.OfRecipe.values(self.key)
        for side, values in (("first", (self.first,)), ("second", self._others)):
            for value in values:
                if not any(scope.same(each, value) for each in known):
                    end = choice(value, map(scope.shown, known))
                    yield (side,), f"{scope.shown(value)} is no value of {self.key}{end}"
        if self.first in self._others:
            yield with_itself(self.first, ["second"], "value")

    def lacks(
        self, pairs: Sequence[Pair], sizes: Mapping[Pair, set[int | str]], design: scope.Design
    ) -> Iterator[Fault]:
        """For every value compared with there is a recipe that differs in it alone, trained at the same sizes."""
        named = {size for _, size in self.named()}
        for value in self._others:
            twins = [(pair, twin) for pair in pairs for twin in design.twins(self.key, value, pair, sizes)]
            if not twins:
                recipes = " or ".join(dict.fromkeys(recipe for _, recipe in pairs))
                lacking = f"no recipe of the study has {self.key} {scope.shown(value)} and is otherwise the same as"
                yield ("second",), f"{lacking} {recipes}; valid is a value that such a recipe has"
            elif not any(found and named <= found for found in (sizes[pair] & sizes[twin] for pair, twin in twins)):
                wanted = f"all of {listing(sorted(map(str, named)))}" if named else "any batch size"
                yield (
                    ("second",),
                    f"{twins[0][0][1]} and {twins[0][1][1]} are not both trained at {wanted}; valid are recipes that "
                    "the study trains at the same batch sizes",
                )

    def find(self, claim: Claim, evidence: Evidence) -> Finding:
        """Differences seed by seed, at each size, from every recipe to compare with."""
        metric, mine = METRICS[claim.metric], evidence.pair[1]
        found = evidence.samples(metric)
        effects: list[Effect] = []
        texts: list[str] = []
        sizes: set[Size] = set()
        for twin in self._twins(evidence):
            other = evidence.of(twin).samples(metric)
            chosen = [size for size in found.chosen(self.batch_sizes) if size in other.sizes]
            if not chosen or (self.batch_sizes != "all" and len(chosen) < len(self.batch_sizes)):
                raise NotMeasuredError(f"{mine} and {twin[1]} do not share the batch sizes")
            name = f"{'divided by' if self.log else 'minus'} {twin[1]} at"
            effects += [(f"{name} {size.label}", found.apart(other, size, twin[1], log=self.log)) for size in chosen]
            texts.append(f"with {twin[1]} {words.series(metric, other, chosen)}")
            sizes |= set(chosen)
        ordered = sorted(sizes)
        head = f"{words.named(metric, found)}: with {mine} {words.series(metric, found, ordered)}"
        text = "; ".join(filter(None, [head, *texts, found.warning]))
        return Finding(self.judged(claim, effects), found.of, found.fewest(ordered), ordered, text)

    def _twins(self, evidence: Evidence) -> Iterator[Pair]:
        """The recipes to compare with; raise `NotMeasuredError` where there is none with some value."""
        for value in self._others:
            twins = evidence.design.twins(self.key, value, evidence.pair, evidence.pairs)
            if not twins:
                what = f"{self.key} ({scope.shown(value)})"
                raise NotMeasuredError(f"no recipe of the study differs from {evidence.pair[1]} in {what} alone")
            yield from twins
