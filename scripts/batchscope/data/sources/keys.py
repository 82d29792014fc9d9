"""What a data set is as a user writes it, and what is known of it before it is made. Needs no NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from batchscope.config.errors import ConfigError, Locate
from batchscope.config.written import Positive, Seed, Written, valid

Values = Mapping[str, Any]
Classes = Annotated[int, Field(ge=2)]
PARTS = "a number of examples (an integer of at least 1) or a fraction between 0 and 1"
PART = "Size of this part, as a number of examples or as a fraction of all of them."
PartSize = Annotated[Positive | Annotated[float, Field(gt=0, lt=1)], valid(PARTS), Field(description=PART)]
Count = Annotated[Positive, Field(description="Number of examples drawn for this part.")]


class Split(Written):
    """Sizes of the validation and test parts; training gets the rest."""

    validation: PartSize = 0.15
    test: PartSize = 0.2


class SplitCounts(Written):
    """Numbers of examples drawn for the three parts."""

    train: Count
    validation: Count
    test: Count


class Dataset(Written):
    """A data set as a user writes it, and what its source knows and does. Here is what all of them have in common.

    `plain` gives the resolved data set that jobs are handed, the `dataset` of the class methods.
    """

    own_file: ClassVar[bool] = False
    """Whether it is a file of the user's, `path`, that can be read in full before any job."""

    extends: Annotated[str, valid("the name of another data set")] = Field("", exclude=True)
    """Name of another data set whose keys are taken over; keys given here replace them, mapping by mapping. The source
    stays the same.
    """
    source: str
    """Where the data come from."""
    split: Written
    scale: Literal["none", "unit", "standardise"] = "none"
    """How features are scaled, with numbers fitted on the training part: `none`, `unit` (to 0..1), `standardise` (each
    feature to mean 0, standard deviation 1).
    """
    draw: Literal["fixed", "per-seed"] = "fixed"
    """`fixed`: all seeds share one data set; `per-seed`: each run seed draws its own data and split."""
    split_seed: Seed = 0
    """Seed of the split and of drawn data; not used where `draw` is `per-seed`."""
    order: Literal["source", "by-class"] = "source"
    """Order of the training examples, which a recipe with `shuffle: false` trains in: `source`, as they come;
    `by-class`, all of one class before those of the next, and as they come within a class. The parts hold the same
    examples either way.
    """

    def settled(self, locate: Locate) -> Self:
        """The data set once its keys are known to fit together; raise `ConfigError` where they do not."""
        if self.draw == "per-seed" and self.split_seed != 0:
            raise ConfigError(
                f"{locate(['split_seed'])}: it does nothing where each run seed draws its own data and split; "
                "valid is draw: fixed, or no split_seed"
            )
        sizes = self.split.plain().values()
        if sum(size for size in sizes if isinstance(size, float)) >= 1:
            raise ConfigError(
                f"{locate(['split'])}: the fractions {' and '.join(map(str, sizes))} leave nothing to train on; "
                "valid are fractions with a sum below 1"
            )
        return self

    def check_file(self, locate: Locate) -> None:
        """Raise `ConfigError` unless the file `path` holds what the keys say; only headers are read."""

    def shape(self) -> tuple[int, ...] | None:
        """Shape of one example; None where it is not known before the data are made."""
        return None

    @classmethod
    def words(cls, dataset: Values) -> str:
        """What the data are, as the beginning of a sentence."""
        return f"The file {dataset['path']}" if cls.own_file else f"The data set {dataset['name']}"

    @classmethod
    def size(cls, dataset: Values) -> int | None:
        """Examples to train and validate on, and to test on where `split` says how many; None where not known.

        Raises:
            DataError: the file is missing or unreadable.
        """
        return None


class Existing(Dataset):
    """Data that are there, and not drawn."""

    draw: Annotated[Literal["fixed"], valid("`fixed`, since these data are there and are not drawn")] = "fixed"
    """These data are there, and are not drawn anew for each seed."""


class Drawn(Dataset):
    """Data drawn from normal distributions."""

    split: SplitCounts
    classes: Classes
    """Number of classes."""
    features: Positive
    """Number of features."""

    def shape(self) -> tuple[int, ...]:
        """A row of features."""
        return (self.features,)

    @classmethod
    def size(cls, dataset: Values) -> int:
        """All that are drawn."""
        return int(sum(dataset["split"].values()))
