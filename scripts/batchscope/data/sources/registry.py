"""Every source's keys: what data sets of a study are read with, and what is known of them. Needs no NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, Union

from pydantic import Field, TypeAdapter

from batchscope.data.sources import FOLDERS
from batchscope.data.sources.keys import Dataset
from batchscope.data.splits import DataError, Part, split_sizes

SOURCES: dict[str, type[Dataset]] = {
    source: import_module(f"batchscope.data.sources.{folder}.keys").SOURCE for source, folder in FOLDERS.items()
}
"""The keys of every source, by the name that data sets use."""
_ANY: Any = Annotated[Union[tuple(dict.fromkeys(SOURCES.values()))], Field(discriminator="source")]  # noqa: UP007
DATASET: TypeAdapter[Dataset] = TypeAdapter(_ANY)
_PARTS: tuple[Part, ...] = ("train", "validation", "test")


def known_size(dataset: Mapping[str, Any], part: Part = "train") -> int | None:
    """Number of examples in a part of a resolved data set, without loading it; None where only a function knows.

    The source's own test part counts as none.

    Raises:
        DataError: the file is missing or unreadable, or the split does not fit its size.
    """
    try:
        n = SOURCES[dataset["source"]].size(dataset)
        return None if n is None else split_sizes(n, dataset["split"])[_PARTS.index(part)]
    except DataError as error:
        raise DataError(f"data set {dataset['name']}: {error}") from error
