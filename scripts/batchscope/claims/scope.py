"""Where a claim applies: data sets and recipes that meet its conditions, and recipes that differ in one thing.

Nothing here imports pandas, so that a study can be checked at once.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from batchscope.text import count, integer, listing

Definition = Mapping[str, Any]
Pair = tuple[str, str]  # data set and recipe

_RECORDS = ("name", "snapshots", "tracked_weight")  # keys of a recipe that change nothing in its training
# Keys of a resolved recipe that a key of the scope stands for.
_MEANS: dict[str, tuple[tuple[str, ...], ...]] = {
    "model": (("model",),),
    "optimiser": (("optimiser",),),
    "learning_rate": (("learning_rate_scaling",), ("tuning",), ("optimiser", "learning_rate")),
    "shuffle": (("shuffle",),),
    "last_batch": (("last_batch",),),
    "normalisation": (("model", "normalisation"),),
    "budget": (("budget",),),
    "early_stopping": (("budget", "early_stopping"),),
    "accumulation": (("micro_batch_size",),),
}


def features(recipe: Definition) -> dict[str, Any]:
    """A resolved recipe as scopes describe it; None where it is not known."""
    model = recipe["model"]
    rule = recipe["learning_rate_scaling"]["rule"]
    return {
        "name": recipe["name"],
        "model": model.get("name", "function"),
        "optimiser": recipe["optimiser"]["name"],
        "learning_rate": "tuned" if recipe.get("tuning") else {"none": "fixed"}.get(rule, rule),
        "shuffle": recipe["shuffle"],
        "last_batch": recipe["last_batch"],
        "normalisation": model.get("normalisation"),
        "budget": "updates" if recipe["budget"].get("updates") is not None else "epochs",
        "early_stopping": recipe["budget"].get("early_stopping") is not None,
        "accumulation": recipe["micro_batch_size"] is not None,
    }


def applies(scope: Mapping[str, Mapping[str, Sequence[Any]]], pair: Pair, study: Mapping[str, Any]) -> bool:
    """Whether a data set and recipe of a study meet the conditions; of imported ones only the names are known."""
    dataset, recipe = study["datasets"].get(pair[0]), study["recipes"].get(pair[1])
    known_dataset = {"name": pair[0]} | ({key: dataset[key] for key in ("source", "draw", "order")} if dataset else {})
    known_recipe = features(recipe) if recipe else {"name": pair[1]}
    return _meets(scope["dataset"], known_dataset) and _meets(scope["recipe"], known_recipe)


def fits(claim: Mapping[str, Any], pair: Pair, study: Mapping[str, Any]) -> bool:
    """Whether a claim is about a data set and recipe: by its scope, and for arms as the first of the two compared."""
    if not applies(claim["scope"], pair, study):
        return False
    if claim["test"]["kind"] != "arms":
        return True
    recipe = study["recipes"].get(pair[1])
    return bool(recipe) and same(features(recipe)[claim["test"]["key"]], claim["test"]["first"])


def wanted(claim: Mapping[str, Any]) -> str:
    """What `fits` asks for, in words; empty where it asks for nothing."""
    words = conditions(claim["scope"])
    if claim["test"]["kind"] == "arms":
        first = claim["test"]["first"]
        arm = f"recipe with {claim['test']['key'].replace('_', ' ')} {str(first).lower()}"
        words = f"{words}; {arm}" if words else arm
    return words


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


def conditions(scope: Mapping[str, Mapping[str, Sequence[Any]]]) -> str:
    """The conditions of a scope in words; empty where there are none."""
    words = []
    for what, part in (("data set", scope["dataset"]), ("recipe", scope["recipe"])):
        wanted = [
            f"{key.replace('_', ' ')} "
            + " or ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
            for key, values in part.items()
        ]
        words += [f"{what} with {', '.join(wanted)}"] if wanted else []
    return "; ".join(words)


def described(pair: Pair, study: Mapping[str, Any]) -> str:
    """A data set and recipe in words, as far as the study knows them."""
    dataset, recipe = study["datasets"].get(pair[0]), study["recipes"].get(pair[1])
    if not dataset or not recipe:
        return f"data set {pair[0]}, recipe {pair[1]} (measured elsewhere)"
    known = features(recipe)
    scaling, rate = recipe["learning_rate_scaling"], recipe["optimiser"]["learning_rate"]
    rates = {"fixed": f"learning rate {rate:g} at every size", "tuned": "learning rate tuned for each size"}
    mode = known["learning_rate"]
    rule = rates.get(mode) or f"learning rate {rate:g} scaled by {mode} from {scaling['reference_batch_size']}"
    drawn = ", drawn anew for each seed" if dataset["draw"] == "per-seed" else ""
    ordered = ", in the order of its classes" if dataset["order"] == "by-class" else ""
    return f"data set {pair[0]}{drawn}{ordered}; recipe {pair[1]} ({known['model']}, {known['optimiser']}, {rule})"


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


def _meets(wanted: Mapping[str, Sequence[Any]], known: Mapping[str, Any]) -> bool:
    return all(any(same(known.get(key), value) for value in values) for key, values in wanted.items())


def _without(recipe: Definition, key: str) -> dict[str, Any]:
    """A recipe without its name, what it merely records, and what `key` stands for."""
    content = copy.deepcopy({name: value for name, value in recipe.items() if name not in _RECORDS})
    for *above, last in _MEANS[key]:
        mapping: Any = content
        for step in above:
            mapping = mapping[step]
        mapping.pop(last, None)
    return content
