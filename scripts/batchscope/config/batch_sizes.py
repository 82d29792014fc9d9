"""A batch size as a value: what a user may write for it, what it is called, and when data have no such size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError, core_schema

from batchscope.config.errors import ConfigError, larger

WORDS = "an integer from 1 to the number of training examples, or `full`"


@dataclass(frozen=True)
class BatchSize:
    """Examples per update: a number of them, or None for `full`, all the training examples."""

    examples: int | None

    def __str__(self) -> str:
        return "full" if self.examples is None else str(self.examples)

    @property
    def written(self) -> int | str:
        """As a user writes it."""
        return self.examples or "full"

    def of(self, n_train: int | None) -> int | None:
        """Examples per update where there are `n_train` to train on; None where that is not known."""
        return n_train if self.examples is None else self.examples

    @classmethod
    def read(cls, value: object) -> BatchSize:
        """The value that a user wrote; raise pydantic's error where it is none."""
        if value == "full":
            return cls(None)
        if type(value) is int and value >= 1:
            return cls(value)
        raise PydanticCustomError("batch_size", "no batch size")

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> core_schema.CoreSchema:
        kinds = core_schema.union_schema([core_schema.int_schema(ge=1), core_schema.literal_schema(["full"])])
        return core_schema.no_info_plain_validator_function(cls.read, json_schema_input_schema=kinds)

    def refuse_larger(self, n_train: int, dataset: str, place: str) -> None:
        """Refuse a size that a data set has not.

        Raises:
            ConfigError: it is larger than the training part of `n_train` examples.
        """
        if (self.examples or 0) > n_train:
            raise ConfigError(f"{place}: {larger(self, n_train, 'training', dataset, or_full=True)}")
