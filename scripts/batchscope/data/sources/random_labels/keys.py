"""Features that know nothing of the labels."""

from __future__ import annotations

from typing import Literal

from batchscope.data.sources.keys import Drawn, Values


class RandomLabels(Drawn):
    """Features that know nothing of the labels."""

    source: Literal["random-labels"]

    @classmethod
    def words(cls, dataset: Values) -> str:
        """That nothing can be learnt."""
        return "Standard normal features with labels drawn independently of them: nothing can be learnt"


SOURCE = RandomLabels
