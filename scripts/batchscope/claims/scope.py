"""Where a claim applies: data sets and recipes that meet its conditions, and recipes that differ in one thing.

Nothing here imports pandas, so that a study can be checked at once.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from batchscope.config.written import List, Text, Written, valid
from batchscope.data.sources.registry import SOURCES
from batchscope.tables.cells import Pair, Size
from batchscope.text import count, integer, listing
from batchscope.training.optimizer_signatures import SIGNATURES

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim

T = TypeVar("T")
Value = str | bool
Content = Mapping[str, object]  # a resolved data set or recipe, each of its keys by its path, as `optimizer.name`

_RECORDS = ("name", "snapshots", "tracked_weight")  # keys of a recipe that change nothing in its training
# Paths of a resolved recipe that a key of the scope stands for, where they are not its name.
_MEANS = {
    "learning_rate": ("learning_rate_scaling", "tuning", "optimizer.learning_rate"),
    "normalization": ("model.normalization",),
    "early_stopping": ("budget.early_stopping",),
    "accumulation": ("micro_batch_size",),
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

    def plain(self) -> dict[str, object]:
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


@dataclass(frozen=True)
class Design:
    """The data sets and recipes of a study as claims know them, by name; of measurements made elsewhere there are none.

    Attributes:
        datasets: resolved data sets.
        recipes: resolved recipes.
    """

    datasets: Mapping[str, Content] = field(default_factory=dict)
    recipes: Mapping[str, Content] = field(default_factory=dict)

    @classmethod
    def of(cls, datasets: Mapping[str, object], recipes: Mapping[str, object]) -> Design:
        """From what a study resolved, or its description."""
        return cls(*({name: dict(_flat(content)) for name, content in each.items()} for each in (datasets, recipes)))

    def fits(self, claim: Claim, pair: Pair) -> bool:
        """Whether a data set and recipe meet a claim's conditions; of imported ones only the names are known."""
        dataset, recipe = self.datasets.get(pair[0], {}), features(self.recipes.get(pair[1], {}))
        known = ((claim.scope.dataset, {**dataset, "name": pair[0]}), (claim.scope.recipe, {**recipe, "name": pair[1]}))
        condition = claim.test.condition()
        return all(
            any(same(content.get(key), value) for value in values)
            for wanted, content in known
            for key, values in wanted.given().items()
        ) and (condition is None or same(recipe.get(condition[0]), condition[1]))

    def twins(self, key: str, value: Value, pair: Pair, pairs: Iterable[Pair]) -> list[Pair]:
        """Those of `pairs` on the data set of `pair` whose recipe differs in `key` only, and has `value` there."""
        if pair[1] not in self.recipes:
            return []
        bare = _without(self.recipes[pair[1]], key)
        return [
            other
            for other in pairs
            if other != pair
            and other[0] == pair[0]
            and other[1] in self.recipes
            and same(features(self.recipes[other[1]])[key], value)
            and _without(self.recipes[other[1]], key) == bare
        ]

    def described(self, pair: Pair) -> str:
        """A data set and recipe in words, as far as they are known."""
        dataset, recipe = self.datasets.get(pair[0]), self.recipes.get(pair[1])
        if not dataset or not recipe:
            return f"data set {pair[0]}, recipe {pair[1]} (measured elsewhere)"
        known, rate = features(recipe), f"learning rate {recipe['optimizer.learning_rate']:g}"
        rule = {"fixed": f"{rate} at every size", "tuned": "learning rate tuned for each size"}.get(
            str(known["learning_rate"]),
            f"{rate} scaled by {known['learning_rate']} from {recipe['learning_rate_scaling.reference_batch_size']}",
        )
        drawn = ", drawn anew for each seed" if dataset["draw"] == "per-seed" else ""
        ordered = ", in the order of its classes" if dataset["order"] == "by-class" else ""
        return f"data set {pair[0]}{drawn}{ordered}; recipe {pair[1]} ({known['model']}, {known['optimizer']}, {rule})"

    def budget(self, recipe: str) -> str:
        """The budget of a recipe in words."""
        known = self.recipes[recipe]
        unit = str(features(known)["budget"])
        amount, patience = known[f"budget.{unit}"], known.get("budget.early_stopping.patience")
        words = count(typing.cast(int, amount), unit.removesuffix("s"))
        return words if patience is None else f"up to {words}, early stopping with patience {patience}"


def shown(value: Value) -> str:
    """A value as a user writes it."""
    return str(value).lower() if isinstance(value, bool) else value


def features(recipe: Content) -> dict[str, object]:
    """A recipe as scopes describe it, None where that is not known; nothing of a recipe that is not known."""
    if not recipe:
        return {}
    rule = recipe["learning_rate_scaling.rule"]
    return {
        "name": recipe["name"],
        "model": recipe.get("model.name", "function"),
        "optimizer": recipe["optimizer.name"],
        "learning_rate": "tuned" if _below(recipe, "tuning") else "fixed" if rule == "none" else rule,
        "shuffle": recipe["shuffle"],
        "last_batch": recipe["last_batch"],
        "normalization": recipe.get("model.normalization"),
        "budget": "updates" if recipe.get("budget.updates") is not None else "epochs",
        "early_stopping": _below(recipe, "budget.early_stopping"),
        "accumulation": recipe["micro_batch_size"] is not None,
    }


def wanted(claim: Claim) -> str:
    """What `Design.fits` asks for, in words; empty where it asks for nothing."""
    condition = claim.test.condition()
    of_test = f"recipe with {_words(condition[0])} {shown(condition[1])}" if condition else ""
    return "; ".join(filter(None, [claim.scope.words(), of_test]))


def same(known: object, wanted: object) -> bool:
    """Equality in which true is not 1."""
    return type(known) is type(wanted) and known == wanted


def sizes_in_words(sizes: Sequence[Size]) -> str:
    """`batch sizes 8, 32 and 1,168 (full)`."""
    words = [f"{integer(size)} (full)" if full else integer(size) for size, full in sizes]
    return f"batch size{'s' if len(words) > 1 else ''} {listing(words)}" if words else ""


def _words(key: str) -> str:
    return key.replace("_", " ")


def _flat(content: object, above: str = "") -> Iterable[tuple[str, object]]:
    """The keys of nested mappings by their paths, with their values."""
    if isinstance(content, Mapping) and content:
        for key, value in content.items():
            yield from _flat(value, f"{above}.{key}" if above else key)
    else:
        yield above, content


def _below(recipe: Content, path: str) -> bool:
    """Whether a recipe has a mapping at a path, and not null."""
    return any(each.startswith(f"{path}.") for each in recipe)


def _without(recipe: Content, key: str) -> Content:
    """A recipe without its name, what it merely records, and what `key` stands for."""
    left_out = (*_RECORDS, *_MEANS.get(key, (key,)))
    return {
        path: value
        for path, value in recipe.items()
        if not any(path == each or path.startswith(f"{each}.") for each in left_out)
    }
