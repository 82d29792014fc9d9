"""Keys that were spelt otherwise once: they are read still, and whoever wrote them is told."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import cast

from batchscope.config.errors import ConfigError, Locate, below

SPELLINGS = {"optimiser": "optimizer", "normalisation": "normalization"}


class SpellingWarning(FutureWarning):
    """A key, or the name of one, is spelt as in earlier versions; one sentence with the place and the new spelling."""


def respelt(content: Mapping[str, object], locate: Locate, within: Sequence[str] = ()) -> dict[str, object]:
    """A copy of a mapping, and of the mappings at its keys `within`, with today's keys.

    Raises:
        ConfigError: a key is given in both spellings.
    """
    found: dict[str, object] = {}
    for key, value in content.items():
        name = SPELLINGS.get(key, key)
        if name != key:
            if name in content:
                raise ConfigError(f"{locate([key])}: the key is given as {name}, too; valid is {name} alone")
            warnings.warn(f"{locate([key])}: the key is {name} now", SpellingWarning, stacklevel=2)
        nested = key in within and isinstance(value, Mapping)
        found[name] = respelt(cast(Mapping[str, object], value), below(locate, key)) if nested else value
    return found
