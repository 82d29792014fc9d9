"""Handwritten digits that come with scikit-learn."""

from __future__ import annotations

from typing import Literal

from batchscope.config.written import defaults
from batchscope.data.sources.keys import Existing, Split, Values


class Digits(Existing):
    """Handwritten digits of scikit-learn."""

    source: Literal["digits"]
    split: Split = defaults(Split)

    def shape(self) -> tuple[int, ...]:
        """Grey images."""
        return 8, 8, 1

    @classmethod
    def words(cls, dataset: Values) -> str:
        """Where they are from."""
        return "Real 8×8 images of handwritten digits (UCI, shipped with scikit-learn)"

    @classmethod
    def size(cls, dataset: Values) -> int:
        """All, to train, validate and test on."""
        return 1797


SOURCE = Digits
