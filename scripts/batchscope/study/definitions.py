"""Definitions of data sets and recipes: `extends`, paths, and what fits together."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, cast

from pydantic import TypeAdapter
from typing_extensions import TypeVar

from batchscope.config import written
from batchscope.config.errors import ConfigError, Key, Locate, below, refuse_unknown, shown
from batchscope.config.sentences import refusal
from batchscope.config.spelling import respelt
from batchscope.config.written import OwnName
from batchscope.config.yaml_files import locate_in, read_yaml
from batchscope.data import splits
from batchscope.study import datasets, recipes
from batchscope.study.datasets import Arrays, Dataset, Digits, Images
from batchscope.study.networks import Cnn, Mlp
from batchscope.study.recipes import Recipe
from batchscope.training.recipes import Recipe as Resolved
from batchscope.training.recipes import scaled_optimizer

V = TypeVar("V", bound=written.Written, default=Any)
Content = dict[str, object]  # as YAML gave it

_NOT_IMAGES = ("blobs", "random-labels", "table")  # sources whose examples are plain rows of features
_FEATURES = {"digits": 64, "mnist": 784, "fashion-mnist": 784, "cifar10": 3072}


@dataclass(frozen=True)
class Kind(Generic[V]):
    """What can be defined in a registry and in a study.

    Attributes:
        key: key of a study, and stem of the registry's file.
        noun: one of them, in words.
        type: how a whole definition is read.
        settle: checks a whole definition and fills in what depends on several keys.
    """

    key: str
    noun: str
    type: TypeAdapter[V]
    settle: Callable[[V, Locate], V]


@dataclass(frozen=True)
class Layer:
    """One definition as a user wrote it: its content with paths resolved, and where its values stand."""

    content: Content
    locate: Locate


@dataclass(frozen=True, eq=False)
class Definition(Generic[V]):
    """A definition with everything filled in, and where the user wrote each of its values."""

    name: str
    value: V
    locate: Locate

    @cached_property
    def content(self) -> dict[str, Any]:
        """The definition as jobs are handed it."""
        return {"name": self.name, **self.value.plain()}


DATASETS: Kind[Dataset] = Kind("datasets", "data set", datasets.DATASET, datasets.settle)
_UNRESOLVED = TypeAdapter(dict[OwnName, Content])
RECIPES: Kind[Recipe] = Kind("recipes", "recipe", recipes.RECIPE, recipes.settle)


def load(kind: Kind[V], inline: Content, study: Path, registry: Path) -> dict[str, Definition[V]]:
    """Every definition of the registry and of the study, selected or not: a typo is found before it is needed.

    Files are not looked at: a registry may name data that this machine lacks, as long as no study selects them
    (`definition_files.check`).

    Raises:
        ConfigError: one sentence on what to change.
    """
    shared, own = _layers(kind, read_yaml(registry), registry), _layers(kind, inline, study, [kind.key])
    for name, layer in own.items():
        if name in shared:
            raise ConfigError(f"{layer.locate([])}: {shown(registry)} has this name already; valid is another name")
    return {name: _resolve(kind, name, shared) for name in shared} | {
        name: _resolve(kind, name, {**shared, **own}) for name in own
    }


def _layers(kind: Kind[V], content: Content, path: Path, prefix: Sequence[str] = ()) -> dict[str, Layer]:
    """The definitions of one file, by name; their paths are relative to the file's folder."""
    locate = locate_in(shown(path), prefix)
    found = {}
    for name, definition in written.read(_UNRESOLVED, content, locate).items():
        where = below(locate, name)
        if not isinstance(definition.get("extends", ""), str):
            valid = f"the name of another {kind.noun}"
            raise ConfigError(f"{where(['extends'])}: {refusal(definition['extends'], {'x-valid': valid})}")
        today = respelt(definition, where, ["model"]) if kind.key == "recipes" else definition
        found[name] = Layer(_with_paths(today, path.parent), where)
    return found


def _resolve(kind: Kind[V], name: str, known: Mapping[str, Layer]) -> Definition[V]:
    """Merge a definition over what it extends, check the whole, and fill in the defaults."""
    chain = _chain(kind, name, known)
    locate = _locate_in_layers(chain)
    merged: Content = {}
    for layer in reversed(chain):
        merged = _merge(merged, {key: value for key, value in layer.content.items() if key != "extends"})
    definition = Definition(name, kind.settle(written.read(kind.type, merged, locate), locate), locate)
    if isinstance(definition.value, (Digits, Images)):  # whose sizes are known without a file
        known_size(definition)
    return definition


@functools.cache
def known_size(dataset: Definition[Dataset], part: splits.Part = "train") -> int | None:
    """Number of examples of a part, or None where only the user's function knows."""
    try:
        return splits.known_size(dataset.content, part)
    except splits.DataError as error:
        text = str(error).removeprefix(f"data set {dataset.name}: ")
        if text.startswith("split: "):
            text = f"{text.removeprefix('split: ')}; valid are parts that leave some to train on"
            raise ConfigError(f"{dataset.locate(['split'])}: {text}") from error
        raise ConfigError(f"{dataset.locate([])}: {text}") from error


def check_pair(recipe: Definition[Recipe], dataset: Definition[Dataset]) -> None:
    """Check that a recipe's model fits the examples of a data set, as far as both are known before any job."""
    model, data, tracked = recipe.value.model, dataset.value, recipe.value.tracked_weight
    if isinstance(model, Cnn):
        place = recipe.locate(["model", "name"])
        if data.source in _NOT_IMAGES:
            raise ConfigError(
                f"{place}: cnn needs images, which {dataset.name} (source {data.source}) does not hold; valid is mlp "
                "or a function"
            )
        if isinstance(data, Arrays):
            _check_images(data, dataset.name, place)
    features = _FEATURES.get(data.source) or getattr(data, "features", None)
    if isinstance(model, Mlp) and tracked and isinstance(features, int) and tracked[0] >= features:
        raise ConfigError(
            f"{recipe.locate(['tracked_weight', 0])}: {tracked[0]} is not a feature of {dataset.name}; valid is an "
            f"integer from 0 to {features - 1}, or null for the whole of tracked_weight"
        )


def check_cell(recipe: Definition[Recipe], batch_size: int | None, place: str) -> None:
    """Check that a recipe's options exist at a batch size; None is a full batch of unknown size."""
    if batch_size is None:
        return
    try:
        scaled_optimizer(cast(Resolved, recipe.content), batch_size)
    except ValueError as error:
        raise ConfigError(f"{place}: {recipe.name}: {error}") from error


def _check_images(data: Arrays, name: str, place: str) -> None:
    shape = splits.npz_shape(Path(data.path), data.x)[1:]
    needs = f"{place}: cnn needs images of shape (height, width, channels), and an example of {name} has {shape}"
    if len(shape) != 3:
        raise ConfigError(f"{needs}; valid is mlp or a function")
    if splits.channels_first(shape):
        raise ConfigError(
            f"{needs}, channels first; valid is an array that was turned with np.moveaxis({data.x}, 1, -1), mlp or a "
            "function"
        )


def _with_paths(definition: Content, folder: Path) -> Content:
    """A copy in which `path` and the file of `function` no longer depend on where the definition stands."""
    content = copy.deepcopy(definition)
    for mapping in (content, content.get("model")):
        if isinstance(mapping, dict):
            if isinstance(mapping.get("path"), str):
                mapping["path"] = shown(folder / Path(mapping["path"]).expanduser())
            if isinstance(mapping.get("function"), str) and ":" in mapping["function"]:
                file, _, function = mapping["function"].rpartition(":")
                mapping["function"] = f"{shown(folder / Path(file).expanduser())}:{function}"
    return content


def _chain(kind: Kind[V], name: str, known: Mapping[str, Layer]) -> list[Layer]:
    """A definition, what it extends, what that extends, and so on."""
    names, chain = [name], [known[name]]
    while "extends" in chain[-1].content:
        parent, place = str(chain[-1].content["extends"]), chain[-1].locate(["extends"])
        if parent in names:
            raise ConfigError(
                f"{place}: {' extends '.join([*names, parent])}; valid is a {kind.noun} outside this circle"
            )
        refuse_unknown({"extends": parent}, known, chain[-1].locate, f"there is no {kind.noun} `{{}}`")
        if "source" in chain[-1].content:
            raise ConfigError(
                f"{chain[-1].locate(['source'])}: the source comes from {parent}; valid is `extends` without `source`, "
                "or `source` without `extends`"
            )
        names.append(parent)
        chain.append(known[parent])
    return chain


def _merge(parent: Content, child: Content) -> Content:
    merged = dict(parent)
    for key, value in child.items():
        inherited = parent.get(key)
        if not isinstance(value, dict) or not isinstance(inherited, dict):
            merged[key] = value
        elif key == "budget":
            merged[key] = _merge(_other_budget(inherited, value), value)
        elif key in ("model", "optimizer") and _other_kind(inherited, value):
            merged[key] = value
        else:
            merged[key] = _merge(inherited, value)
    return merged


def _other_kind(parent: Content, child: Content) -> bool:
    """Whether a model or optimizer is of another kind than its parent, whose options would then make no sense."""
    kind = ("name", "function")
    return any(key in child for key in kind) and any(child.get(key) != parent.get(key) for key in kind)


def _other_budget(parent: Content, child: Content) -> Content:
    """What is left of a budget in epochs where the child gives updates, or the other way round."""
    changed = {"epochs", "updates"} & child.keys()
    if not changed or changed & parent.keys():
        return parent
    dropped = {"epochs", "updates", "evaluations", "first_evaluation_at"}
    return {key: value for key, value in parent.items() if key not in dropped}


def _locate_in_layers(chain: Sequence[Layer]) -> Locate:
    """Say where a value of a merged definition was written: in the first layer, from the child up, that has it."""
    return lambda keys: next((each for each in chain if _has(each.content, keys)), chain[0]).locate(keys)


def _has(content: object, keys: Iterable[Key]) -> bool:
    for key in keys:
        known = content if isinstance(content, dict) else dict(enumerate(content)) if isinstance(content, list) else {}
        if key not in known:
            return False
        content = known[key]
    return True
