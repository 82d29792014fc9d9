"""What the kinds of test have in common: the keys that several take, and what the others ask of a kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from batchscope.config.errors import Key
from batchscope.config.written import DIFFERENT, List, Positive, Written, valid
from batchscope.tables.metrics import METRICS, Metric, Sampled

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.findings import Evidence, Finding
    from batchscope.claims.parts import Part
    from batchscope.claims.samples import Samples, Size
    from batchscope.claims.scope import Pair

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


class Kind(Written):
    """A kind of test.

    A subclass has the keys that a user writes, one of them `kind`, and says with `parts` which effects it estimates;
    where values by batch size are not what it is about, it has its own `find`.
    """

    kind: str

    takes: ClassVar[frozenset[Sampled]] = frozenset({"seeds", "tuning seeds", "windows"})
    """What the values of its metric may be repeated over."""
    about: ClassVar[str] = ""
    """The only metric that it is about; empty for any."""
    needs_margin: ClassVar[bool] = True
    """Whether a claim has a margin, the smallest effect that counts."""
    n_seeds: ClassVar[int] = 2
    """Seeds that it takes to know the spread of a metric that is repeated over them."""

    @property
    def is_near(self) -> bool:
        """Whether it says that something is near to something else, so that its margin must leave room."""
        return False

    @property
    def margin_is_factor(self) -> bool:
        """Whether the margin is a factor and not a difference."""
        return bool(getattr(self, "scale", "") == "factor")

    @property
    def log(self) -> bool:
        """Whether effects are logarithms of what is shown."""
        return self.margin_is_factor

    def margin_of(self, claim: Claim) -> float:
        """The margin of a claim of this kind, on the scale of its effects."""
        margin = claim.margin or 0.0
        return math.log(margin) if self.log and margin else margin

    def unit(self, metric: Metric) -> str:
        """The unit of the effects as they are shown."""
        return "×" if self.log else metric.unit

    def stated(self) -> str:
        """The number that the statement names, in words; empty where it names none."""
        return ""

    def faults(self, metric: str) -> Iterator[Fault]:
        """What is wrong with the keys that their types do not say."""
        yield from ()

    def lacks(
        self, pairs: Sequence[Pair], sizes: Mapping[Pair, set[int | str]], study: Mapping[str, Any]
    ) -> Iterator[Fault]:
        """Why a study cannot decide it on any of `pairs`, though it has the metric.

        Args:
            pairs: the data sets and recipes that the claim is about.
            sizes: of every data set and recipe of the study, the batch sizes that it has.
            study: `Study.describe()`.
        """
        yield from ()

    def n_sizes(self, metric: Metric) -> int:
        """How many batch sizes it takes to decide."""
        return 2

    def n_available(self, most: int) -> int:
        """How many batch sizes it uses of a study that has `most` where it applies."""
        return most

    def condition(self) -> tuple[str, str | bool] | None:
        """A key of the recipe and the value it must have, beside the claim's scope."""
        return None

    def named(self) -> Iterator[tuple[list[Key], int | str]]:
        """Every batch size that it names (not those that a study tells), and its place."""
        for key in _NAMING:
            for keys, size in _leaves(getattr(self, key, None), [key]):
                if size not in ("all", "others", "smallest", "largest", None):
                    yield keys, size

    def of_sizes(self, found: Samples) -> list[Size]:
        """The sizes of the study that it is about, smallest first."""
        sizes: set[Size] = set()
        for key in ("batch_sizes", "than"):
            wanted = getattr(self, key, None)
            sizes |= set() if wanted is None else set(found.chosen(wanted))
        return sorted(sizes | ({found.size(self.batch_size)} if hasattr(self, "batch_size") else set()))

    def parts(self, claim: Claim, found: Samples) -> list[Part]:
        """The comparisons of a claim on the values of one data set and recipe.

        Raises:
            NotMeasuredError: the study lacks a size that the claim names, or has too few.
        """
        raise NotImplementedError(type(self).__name__)

    def remark(self, found: Samples, sizes: Sequence[Size]) -> str:
        """What a reader must know of the values beside the effects; empty for nothing."""
        return ""

    def find(self, claim: Claim, evidence: Evidence) -> Finding:
        """What a study says about a claim on one data set and recipe.

        Raises:
            NotMeasuredError: the study lacks the metric, a size that the claim names, or a recipe to compare with.
        """
        from batchscope.claims.findings import over_sizes

        found = evidence.samples(METRICS[claim.metric])
        return over_sizes(claim, evidence, found, self.parts(claim, found))

    def plain(self) -> dict[str, Any]:
        """The keys that are given."""
        return {key: value for key, value in super().plain().items() if value is not None}


def with_itself(size: int | str | bool, keys: Sequence[Key], other: str = "batch size") -> Fault:
    """The fault of comparing something with itself."""
    written = str(size).lower() if isinstance(size, bool) else size
    return keys, f"{written} is compared with itself; valid is another {other}"


def _leaves(value: Any, keys: list[Key]) -> Iterator[tuple[list[Key], Any]]:
    if isinstance(value, tuple):
        for position, each in enumerate(value):
            yield from _leaves(each, [*keys, position])
    else:
        yield keys, value
