"""Typed values of what a user writes: strict reading, defaults, and what reading refuses in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast

import pydantic
from pydantic import AfterValidator, ConfigDict, Field, Strict, TypeAdapter, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticCustomError

from batchscope.config import sentences
from batchscope.config.batch_sizes import BatchSize
from batchscope.config.errors import ConfigError, Fault, Locate

T = TypeVar("T")


class Written(pydantic.BaseModel):
    """A mapping that a user writes: every key is known and of its type, and what is left out has its default.

    A whole number becomes a float wherever numbers are meant, since Snakemake compares parameters by their `repr`, and
    Keras refuses an integer as a rate; nothing else is converted.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True
    )

    def conflicts(self) -> Iterator[Fault]:
        """What is wrong with keys that are right one by one."""
        yield from ()

    @model_validator(mode="after")
    def _refuse_conflicts(self) -> Self:
        for keys, sentence in self.conflicts():
            raise PydanticCustomError("conflict", "keys do not fit together", {"keys": keys, "sentence": sentence})
        return self

    def plain(self) -> dict[str, Any]:
        """The mapping with every default, of built-in scalars, lists and dicts; keys in the order of the fields."""
        kept = (name for name, field in type(self).model_fields.items() if not field.exclude)
        return {name: plain(getattr(self, name)) for name in kept}


def plain(value: Any) -> Any:
    """A value made of built-in scalars, lists and dicts only."""
    if isinstance(value, Written):
        return value.plain()
    if isinstance(value, BatchSize):
        return value.written
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def defaults(kind: type[T]) -> T:
    """A mapping that may be left out, since each of its keys has a default."""
    made: T = Field(default_factory=cast(Callable[[], T], kind))
    return made


def valid(words: str) -> Any:
    """What the valid values are called, where the type alone does not say it."""
    return Field(json_schema_extra={"x-valid": words})


def _different(items: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(items)) < len(items):
        raise PydanticCustomError("twice", "an item is listed twice")
    return items


def _sorted(value: Any) -> Any:
    """The order of keys that nobody declared means nothing, and must not make two values differ."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


DIFFERENT = AfterValidator(_different)
SORTED = AfterValidator(_sorted)
List = Annotated[tuple[T, ...], Strict(False)]
Text = Annotated[str, Field(min_length=1), valid("a text")]
Name = Annotated[str, valid("a name")]
Names = Annotated[List[Name], Field(min_length=1), DIFFERENT, valid("a list of names")]
Seed = Annotated[int, Field(ge=0, le=2147483647)]
Positive = Annotated[int, Field(ge=1)]  # a number of things
Share = Annotated[float, Field(ge=0, lt=1)]  # of something, but not all of it
Sizes = Annotated[
    List[Annotated[Positive, valid("an integer of at least 1")]],
    Field(min_length=1),
    DIFFERENT,
    valid("a list of different integers of at least 1"),
]
Function = Annotated[str, Field(pattern=r"\.py:[A-Za-z_][A-Za-z_0-9]*$"), valid("`file.py:name`")]
Arguments = Annotated[dict[str, object], SORTED]
NAME = r"^[a-z0-9][a-z0-9_-]*$"
NAME_WORDS = "lower-case letters, digits, - and _, starting with a letter or digit"
OwnName = Annotated[str, Field(pattern=NAME), valid(NAME_WORDS)]
ColumnName = Annotated[str, Field(min_length=1), valid("the name of a column")]


class Schema(GenerateJsonSchema):
    """JSON Schema without a title for every key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False


def json_schema(kind: TypeAdapter[Any], schema: type[Schema] = Schema) -> JsonSchemaValue:
    """The JSON Schema of what a user writes."""
    return kind.json_schema(schema_generator=schema)


def read(kind: TypeAdapter[T], value: object, locate: Locate) -> T:
    """The typed value of what a user wrote; raise `ConfigError` for the first thing that is refused."""
    try:
        return kind.validate_python(value)
    except pydantic.ValidationError as error:
        root = json_schema(kind)
        problems = [sentences.problem(each, root) for each in error.errors(include_url=False)]
        first = min(problems, key=lambda problem: problem.rank)
        raise ConfigError(f"{locate(first.keys)}: {first.sentence}") from error
