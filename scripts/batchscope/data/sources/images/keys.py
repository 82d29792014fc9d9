"""Published images, found on this machine or downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from batchscope.config.written import Written, defaults
from batchscope.data.sources.keys import Existing, PartSize, Values


@dataclass(frozen=True)
class Published:
    """What is known of a data set: words, training images, shape of one."""

    words: str
    n: int
    shape: tuple[int, ...]


PUBLISHED = {
    "mnist": Published("MNIST, 28×28 images of handwritten digits", 60_000, (28, 28, 1)),
    "fashion-mnist": Published("Fashion-MNIST, 28×28 images of clothes", 60_000, (28, 28, 1)),
    "cifar10": Published("CIFAR-10, 32×32 colour images of ten kinds", 50_000, (32, 32, 3)),
}


class SplitImages(Written):
    """Size of the validation part, taken from the source's training images; its test images stay as they are."""

    validation: PartSize = 5000


class Images(Existing):
    """Images that are downloaded."""

    source: Literal["mnist", "fashion-mnist", "cifar10"]
    split: SplitImages = defaults(SplitImages)

    def shape(self) -> tuple[int, ...]:
        """That of all its images."""
        return PUBLISHED[self.source].shape

    @classmethod
    def words(cls, dataset: Values) -> str:
        """What they show."""
        return PUBLISHED[dataset["source"]].words

    @classmethod
    def size(cls, dataset: Values) -> int:
        """The training images; those for testing are apart."""
        return PUBLISHED[dataset["source"]].n


SOURCE = Images
