"""What the kinds of test have in common: the keys that several take, and what the others ask of a kind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from batchscope.claims import words
from batchscope.claims.parts import Effect, Finding, Goal, Part, goal_of, judge
from batchscope.claims.scope import Design, several, shown
from batchscope.config.errors import Key
from batchscope.config.written import DIFFERENT, List, Positive, Written, valid
from batchscope.tables.cells import Pair, Size
from batchscope.tables.metrics import METRICS, Metric, Sampled
from batchscope.text import listing, number

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.readers import Evidence
    from batchscope.claims.samples import Samples

Fault = tuple[Sequence[Key], str]  # where in the test (or claim) something is wrong, and the end of the sentence
Direction = Literal["lower", "higher", "not_lower", "similar"]
Named = Annotated[
    Positive | Literal["full", "smallest", "largest"], valid("an integer of at least 1, full, smallest or largest")
]
_LIST = "a list of batch sizes (integers, full, smallest or largest)"
NamedSizes = Annotated[List[Named], Field(min_length=1), DIFFERENT, valid(_LIST)]
SizesOrAll = Annotated[
    Annotated[List[Named], Field(min_length=1), DIFFERENT] | Literal["all"],
    Field(description="The sizes that the statement is about; `all` are those of the study."),
    valid(f"{_LIST}, or `all`"),
]
Scale = Annotated[
    Literal["difference", "factor"],
    Field(description="Whether values are compared by their difference or by their ratio."),
]
_NAMING = ("batch_size", "batch_sizes", "than", "pairs")  # keys that hold batch sizes
_STATING = {"equals": "equal to", "at_least": "at least", "at_most": "at most", "between": "between"}  # and numbers


class Kind(Written):
    """A kind of test.

    A subclass has the keys that a user writes, one of them `kind`, and says with `effects` what it estimates and with
    `goal` what is stated of that; where values by batch size are not what it is about, it has its own `find`.
    """

    kind: str
    """Kind of test."""

    takes: ClassVar[frozenset[Sampled]] = frozenset({"seeds", "tuning seeds", "windows"})
    """What the values of its metric may be repeated over."""
    about: ClassVar[str] = ""
    """The only metric that it is about; empty for any."""
    needs_margin: ClassVar[bool] = True
    """Whether a claim has a margin, the smallest effect that counts."""
    of_ratios: ClassVar[bool] = False
    """Whether it is about ratios whatever its `scale`."""
    near: ClassVar[bool] = False
    """Whether it says that something is near to something else whatever its `direction`."""
    n_seeds: ClassVar[int] = 2
    """Seeds that it takes to know the spread of a metric that is repeated over them."""
    least_sizes: ClassVar[int] = 2
    """Batch sizes that it takes to decide, of most metrics."""

    @property
    def is_near(self) -> bool:
        """Whether its margin is the room that nearness leaves."""
        return self.near or getattr(self, "direction", "") in ("similar", "not_lower")

    @property
    def log(self) -> bool:
        """Whether the margin is a factor, and effects are logarithms of what is shown."""
        return self.of_ratios or getattr(self, "scale", "") == "factor"

    def margin_of(self, claim: Claim) -> float:
        """The margin of a claim of this kind, on the scale of its effects."""
        margin = claim.margin or 0.0
        return math.log(margin) if self.log and margin else margin

    def unit(self, metric: Metric) -> str:
        """The unit of the effects as they are shown."""
        return "×" if self.log else metric.unit

    def stated(self) -> str:
        """The number that the statement names, in words; empty where it names none."""
        for key, verb in _STATING.items():
            if (found := getattr(self, key, None)) is not None:
                return f"{verb} {listing([number(each) for each in several(found)])}"
        return ""

    def faults(self, metric: str) -> Iterator[Fault]:
        """What is wrong with the keys that their types do not say."""
        yield from ()

    def lacks(self, pairs: Sequence[Pair], sizes: Mapping[Pair, set[int | str]], design: Design) -> Iterator[Fault]:
        """Why a study cannot decide it on any of `pairs`, though it has the metric.

        Args:
            pairs: the data sets and recipes that the claim is about.
            sizes: of every data set and recipe of the study, the batch sizes that it has.
            design: the data sets and recipes of the study.
        """
        yield from ()

    def n_sizes(self, metric: Metric) -> int:
        """How many batch sizes it takes to decide."""
        return self.least_sizes

    def n_available(self, most: int) -> int:
        """How many batch sizes it uses of a study that has `most` where it applies."""
        return most

    def condition(self) -> tuple[str, str | bool] | None:
        """A key of the recipe and the value it must have, beside the claim's scope."""
        return None

    def named(self) -> Iterator[tuple[list[Key], int | str]]:
        """Every batch size that it names (not those that a study tells), and its place."""
        told = ("all", "others", "smallest", "largest")
        return ((keys, size) for keys, size in self._sizes() if size not in told)

    def of_sizes(self, found: Samples) -> list[Size]:
        """The sizes of the study that it is about, smallest first."""
        chosen = (found.sizes if size in ("all", "others") else [found.size(size)] for _, size in self._sizes())
        return sorted({size for sizes in chosen for size in sizes})

    def goal(self, margin: float) -> Goal:
        """What is stated of every effect; the margin is on their scale."""
        return goal_of(self.direction, margin)  # type: ignore[attr-defined]  # a kind without one has its own goal

    def effects(self, found: Samples, evidence: Evidence) -> Sequence[Effect]:
        """What is estimated on the values of one data set and recipe.

        Raises:
            NotMeasuredError: the study lacks a size that the claim names, or has too few.
        """
        raise NotImplementedError(type(self).__name__)

    def judged(self, claim: Claim, effects: Iterable[Effect]) -> list[Part]:
        """Effects with the p-values for and against what is stated of them."""
        goal = self.goal(self.margin_of(claim))
        return [judge(words, estimate, goal) for words, estimate in effects]

    def remark(self, found: Samples, sizes: Sequence[Size]) -> str:
        """What a reader must know of the values beside the effects; empty for nothing."""
        return ""

    def find(self, claim: Claim, evidence: Evidence) -> Finding:
        """What a study says about a claim on one data set and recipe.

        Raises:
            NotMeasuredError: the study lacks the metric, a size that the claim names, or a recipe to compare with.
        """
        metric = METRICS[claim.metric]
        found = evidence.samples(metric)
        effects, sizes = self.effects(found, evidence), self.of_sizes(found)
        means = f"{words.named(metric, found)}: {words.series(metric, found, sizes)}"
        text = "; ".join(filter(None, [means, self.remark(found, sizes), found.warning]))
        return Finding(self.judged(claim, effects), found.of, found.fewest(sizes), sizes, text)

    def needs_several(self, what: str, sizes: Sequence[int | str] | str) -> Iterator[Fault]:
        """The fault of naming a single size."""
        if not isinstance(sizes, str) and len(sizes) < 2:
            yield ("batch_sizes",), f"{what} needs more than one size; valid are two or more, or all"

    def _sizes(self) -> Iterator[tuple[list[Key], int | str]]:
        """Every batch size that its keys hold, also those that a study tells, and its place."""
        for key in _NAMING:
            yield from _leaves(getattr(self, key, None), [key])


def with_itself(size: int | str | bool, keys: Sequence[Key], other: str = "batch size") -> Fault:
    """The fault of comparing something with itself."""
    written = shown(size) if isinstance(size, bool) else size
    return keys, f"{written} is compared with itself; valid is another {other}"


def _leaves(value: object, keys: list[Key]) -> Iterator[tuple[list[Key], int | str]]:
    if isinstance(value, tuple):
        for position, each in enumerate(value):
            yield from _leaves(each, [*keys, position])
    elif isinstance(value, int | str):
        yield keys, value
