"""A normal distribution for each class, drawn as in the article."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from batchscope.data.sources.keys import Drawn, Values


class Blobs(Drawn):
    """A normal distribution for each class."""

    source: Literal["blobs"]
    cluster_std: float = Field(gt=0)
    """Standard deviation of each blob, in the units of the features (centres lie between -10 and 10)."""

    @classmethod
    def words(cls, dataset: Values) -> str:
        """How many, in how many dimensions."""
        return (
            f"{dataset['classes']} Gaussian blobs in {dataset['features']} dimensions with standard deviation "
            f"{dataset['cluster_std']:g}, drawn at random"
        )


SOURCE = Blobs
