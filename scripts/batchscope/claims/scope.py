"""Where a claim applies: data sets and recipes that meet its conditions, and recipes that differ in one thing.

Nothing here imports pandas, so that a study can be checked at once.
"""

from __future__ import annotations

import copy
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from batchscope.config.written import List, Text, Written, valid
from batchscope.data.sources.registry import SOURCES
from batchscope.text import count, integer, listing
from batchscope.training.optimizers import SIGNATURES

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim

T = TypeVar("T")
Value = str | bool
Definition = Mapping[str, Any]
Pair = tuple[str, str]  # data set and recipe

_RECORDS = ("name", "snapshots", "tracked_weight")  # keys of a recipe that change nothing in its training
# Keys of a resolved recipe that a key of the scope stands for.
_MEANS: dict[str, tuple[tuple[str, ...], ...]] = {
    "model": (("model",),),
    "optimizer": (("optimizer",),),
    "learning_rate": (("learning_rate_scaling",), ("tuning",), ("optimizer", "learning_rate")),
    "shuffle": (("shuffle",),),
    "last_batch": (("last_batch",),),
    "normalization": (("model", "normalization"),),
    "budget": (("budget",),),
    "early_stopping": (("budget", "early_stopping"),),
    "accumulation": (("micro_batch_size",),),
}


def several(value: T | tuple[T, ...]) -> tuple[T, ...]:
    """A value that stands for a list of one."""
    return value if isinstance(value, tuple) else (value,)


@dataclass(frozen=True)
class _OrList:
    """Says in the JSON Schema what a value, or a list of such values, is called."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        rule = handler(core)
        one = rule["anyOf"][0]
        names = ["true", "false"] if one.get("type") == "boolean" else one.get("enum", ())
        return {**rule, "x-valid": f"one of {', '.join(names)}, or a list of them"} if names else rule


AnyOf = Annotated[T | Annotated[List[T], Field(min_length=1)], _OrList(), AfterValidator(several)]
_Names = Annotated[AnyOf[Text], valid("a name, or a list of names")]


class Conditions(Written):
    """What a data set or a recipe must be: by key, the values of which any will do; none where any value does."""

    def given(self) -> dict[str, tuple[Value, ...]]:
        """The conditions that there are, in the order of the keys."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: values for name, values in found.items() if values}

    def plain(self) -> dict[str, Any]:
        """The conditions that there are."""
        return {name: list(values) for name, values in self.given().items()}


class OfDataset(Conditions):
    """Conditions on a data set."""

    name: _Names = Field(default_factory=tuple, description="Name of the data set.")
    source: AnyOf[Literal[tuple(SOURCES)]] = Field(  # type: ignore[valid-type]
        default_factory=tuple, description="Where its data come from."
    )
    draw: AnyOf[Literal["fixed", "per-seed"]] = Field(
        default_factory=tuple, description="Whether all seeds share one data set or each draws its own."
    )
    order: AnyOf[Literal["source", "by-class"]] = Field(
        default_factory=tuple, description="Order of its training examples."
    )


class OfRecipe(Conditions):
    """Conditions on a recipe."""

    name: _Names = Field(default_factory=tuple, description="Name of the recipe.")
    model: AnyOf[Literal["mlp", "cnn", "function"]] = Field(
        default_factory=tuple, description="Family of networks; `function` is your own."
    )
    optimizer: AnyOf[Literal[tuple(SIGNATURES)]] = Field(  # type: ignore[valid-type]
        default_factory=tuple, description="Optimizer."
    )
    learning_rate: AnyOf[Literal["fixed", "linear", "sqrt", "adam-sde", "tuned"]] = Field(
        default_factory=tuple,
        description="How the rate depends on the batch size: not at all, by a scaling rule, or tuned for each size.",
    )
    shuffle: AnyOf[bool] = Field(default_factory=tuple, description="Whether the examples are shuffled every epoch.")
    last_batch: AnyOf[Literal["keep", "drop"]] = Field(
        default_factory=tuple, description="What happens to the last, smaller batch."
    )
    normalization: AnyOf[Literal["none", "batch", "layer", "group"]] = Field(
        default_factory=tuple,
        description="Normalization in the network; that of your own model is not known, and fits none.",
    )
    budget: AnyOf[Literal["epochs", "updates"]] = Field(default_factory=tuple, description="What the budget counts.")
    early_stopping: AnyOf[bool] = Field(default_factory=tuple, description="Whether runs may stop before their budget.")
    accumulation: AnyOf[bool] = Field(
        default_factory=tuple, description="Whether gradients of micro batches are accumulated."
    )

    @classmethod
    def values(cls, key: str) -> tuple[Value, ...]:
        """Everything that a key may be."""
        one = typing.get_args(cls.model_fields[key].annotation)[0]
        return (True, False) if one is bool else typing.get_args(one)


class Scope(Written):
    """Where a statement is said to hold."""

    dataset: OfDataset = Field(
        default_factory=OfDataset, description="What the data set must be; the keys are those of datasets.yaml."
    )
    recipe: OfRecipe = Field(default_factory=OfRecipe, description="What the recipe must be.")

    def words(self) -> str:
        """The conditions in words; empty where there are none."""
        words = []
        for what, part in (("data set", self.dataset), ("recipe", self.recipe)):
            wanted = [f"{_words(key)} {' or '.join(map(shown, values))}" for key, values in part.given().items()]
            words += [f"{what} with {', '.join(wanted)}"] if wanted else []
        return "; ".join(words)


def shown(value: Value) -> str:
    """A value as a user writes it."""
    return str(value).lower() if isinstance(value, bool) else value


def features(recipe: Definition) -> dict[str, Any]:
    """A resolved recipe as scopes describe it; None where it is not known."""
    model = recipe["model"]
    rule = recipe["learning_rate_scaling"]["rule"]
    return {
        "name": recipe["name"],
        "model": model.get("name", "function"),
        "optimizer": recipe["optimizer"]["name"],
        "learning_rate": "tuned" if recipe.get("tuning") else {"none": "fixed"}.get(rule, rule),
        "shuffle": recipe["shuffle"],
        "last_batch": recipe["last_batch"],
        "normalization": model.get("normalization"),
        "budget": "updates" if recipe["budget"].get("updates") is not None else "epochs",
        "early_stopping": recipe["budget"].get("early_stopping") is not None,
        "accumulation": recipe["micro_batch_size"] is not None,
    }


def fits(claim: Claim, pair: Pair, study: Mapping[str, Any]) -> bool:
    """Whether a data set and recipe of a study meet a claim's conditions; of imported ones only the names are known."""
    dataset, recipe = study["datasets"].get(pair[0]), study["recipes"].get(pair[1])
    known_dataset = {"name": pair[0]} | ({key: dataset[key] for key in ("source", "draw", "order")} if dataset else {})
    known_recipe = features(recipe) if recipe else {"name": pair[1]}
    if not (_meets(claim.scope.dataset, known_dataset) and _meets(claim.scope.recipe, known_recipe)):
        return False
    condition = claim.test.condition()
    return condition is None or same(known_recipe.get(condition[0]), condition[1])


def wanted(claim: Claim) -> str:
    """What `fits` asks for, in words; empty where it asks for nothing."""
    condition = claim.test.condition()
    of_test = f"recipe with {_words(condition[0])} {shown(condition[1])}" if condition else ""
    return "; ".join(filter(None, [claim.scope.words(), of_test]))


def twins(key: str, value: Any, pair: Pair, pairs: Sequence[Pair], study: Mapping[str, Any]) -> list[Pair]:
    """The pairs of a study on the data set of `pair` whose recipe differs in `key` only, and has `value` there."""
    recipes = study["recipes"]
    if pair[1] not in recipes:
        return []
    bare = _without(recipes[pair[1]], key)
    return [
        other
        for other in pairs
        if other != pair
        and other[0] == pair[0]
        and other[1] in recipes
        and same(features(recipes[other[1]])[key], value)
        and _without(recipes[other[1]], key) == bare
    ]


def same(known: Any, wanted: Any) -> bool:
    """Equality in which true is not 1."""
    return type(known) is type(wanted) and bool(known == wanted)


def described(pair: Pair, study: Mapping[str, Any]) -> str:
    """A data set and recipe in words, as far as the study knows them."""
    dataset, recipe = study["datasets"].get(pair[0]), study["recipes"].get(pair[1])
    if not dataset or not recipe:
        return f"data set {pair[0]}, recipe {pair[1]} (measured elsewhere)"
    known = features(recipe)
    scaling, rate = recipe["learning_rate_scaling"], recipe["optimizer"]["learning_rate"]
    rates = {"fixed": f"learning rate {rate:g} at every size", "tuned": "learning rate tuned for each size"}
    mode = known["learning_rate"]
    rule = rates.get(mode) or f"learning rate {rate:g} scaled by {mode} from {scaling['reference_batch_size']}"
    drawn = ", drawn anew for each seed" if dataset["draw"] == "per-seed" else ""
    ordered = ", in the order of its classes" if dataset["order"] == "by-class" else ""
    return f"data set {pair[0]}{drawn}{ordered}; recipe {pair[1]} ({known['model']}, {known['optimizer']}, {rule})"


def budget(recipe: Definition | None) -> str:
    """The budget of a recipe in words."""
    if not recipe:
        return "not known"
    given = recipe["budget"]
    unit = "updates" if given.get("updates") is not None else "epochs"
    amount = count(given[unit], unit.removesuffix("s"))
    stopping = given.get("early_stopping")
    return f"up to {amount}, early stopping with patience {stopping['patience']}" if stopping else amount


def sizes_in_words(sizes: Sequence[tuple[int, bool]]) -> str:
    """`batch sizes 8, 32 and 1,168 (full)`."""
    words = [f"{integer(size)} (full)" if full else integer(size) for size, full in sizes]
    return f"batch size{'s' if len(words) > 1 else ''} {listing(words)}" if words else ""


def _meets(wanted: Conditions, known: Mapping[str, Any]) -> bool:
    return all(any(same(known.get(key), value) for value in values) for key, values in wanted.given().items())


def _words(key: str) -> str:
    return key.replace("_", " ")


def _without(recipe: Definition, key: str) -> dict[str, Any]:
    """A recipe without its name, what it merely records, and what `key` stands for."""
    content = copy.deepcopy({name: value for name, value in recipe.items() if name not in _RECORDS})
    for *above, last in _MEANS[key]:
        mapping: Any = content
        for step in above:
            mapping = mapping[step]
        mapping.pop(last, None)
    return content
