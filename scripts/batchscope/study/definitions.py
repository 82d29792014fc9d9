"""Definitions of data sets and recipes: `extends`, paths, and what a schema cannot say about them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from batchscope.config.validation import ConfigError, Key, Locate, check, choice, fill, key_path, locate_in, shown
from batchscope.data import splits
from batchscope.training import recipes

Kind = Literal["datasets", "recipes"]

_NOUN = {"datasets": "data set", "recipes": "recipe"}
_NOT_IMAGES = ("blobs", "random-labels", "table")  # sources whose examples are plain rows of features
_FEATURES = {"digits": 64, "mnist": 784, "fashion-mnist": 784, "cifar10": 3072}
_CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")


@dataclass(frozen=True)
class Layer:
    """One definition as a user wrote it: its file, the keys that lead to it, and its content with paths resolved."""

    file: str
    prefix: tuple[str, ...]
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Definition:
    """A definition with everything filled in, and where the user wrote each of its values."""

    kind: Kind
    content: dict[str, Any]
    locate: Locate


def layers(kind: Kind, content: Mapping[str, Any], path: Path, prefix: Sequence[str] = ()) -> dict[str, Layer]:
    """The definitions of one file, by name; their paths are relative to the file's folder."""
    check(content, kind, locate_in(shown(path), prefix))
    return {
        name: Layer(shown(path), (*prefix, name), _with_paths(definition, path.parent))
        for name, definition in content.items()
    }


def resolve(kind: Kind, name: str, known: Mapping[str, Layer]) -> Definition:
    """Merge a definition over what it extends, check the whole, and fill in the defaults.

    Files are not looked at: a registry may name data that this machine lacks, as long as no study selects them
    (`definition_files.check`).
    """
    chain = _chain(kind, name, known)
    locate = _locate_in_layers(chain)
    merged: dict[str, Any] = {}
    for layer in reversed(chain):
        merged = _merge(merged, {key: value for key, value in layer.content.items() if key != "extends"})
    check(merged, kind, locate, "definition")
    content = {"name": name, **fill(merged, kind, "definition")}
    definition = Definition(kind, content, locate)
    if kind == "datasets":
        _check_dataset(definition)
    else:
        _check_recipe(definition, merged)
    return definition


def known_size(dataset: Definition, part: splits.Part = "train") -> int | None:
    """Number of examples of a part, or None where only the user's function knows."""
    try:
        return splits.known_size(dataset.content, part)
    except splits.DataError as error:
        text = str(error).removeprefix(f"data set {dataset.content['name']}: ")
        if text.startswith("split: "):
            text = f"{text.removeprefix('split: ')}; valid are parts that leave some to train on"
            raise ConfigError(f"{dataset.locate(['split'])}: {text}") from error
        raise ConfigError(f"{dataset.locate([])}: {text}") from error


def check_pair(recipe: Definition, dataset: Definition) -> None:
    """Check that a recipe's model fits the examples of a data set, as far as both are known before any job."""
    model, data, tracked = recipe.content["model"], dataset.content, recipe.content["tracked_weight"]
    if model.get("name") == "cnn" and data["source"] in _NOT_IMAGES:
        raise ConfigError(
            f"{recipe.locate(['model', 'name'])}: cnn needs images, which {data['name']} (source {data['source']}) "
            "does not hold; valid is mlp or a function"
        )
    if model.get("name") == "cnn" and data["source"] == "npz":
        shape = splits.npz_shape(Path(data["path"]), data["x"])[1:]
        if len(shape) != 3:
            raise ConfigError(
                f"{recipe.locate(['model', 'name'])}: cnn needs images of shape (height, width, channels), and an "
                f"example of {data['name']} has {shape}; valid is mlp or a function"
            )
        if splits.channels_first(shape):
            raise ConfigError(
                f"{recipe.locate(['model', 'name'])}: cnn needs images of shape (height, width, channels), and an "
                f"example of {data['name']} has {shape}, channels first; valid is an array that was turned with "
                f"np.moveaxis({data['x']}, 1, -1), mlp or a function"
            )
    features = _FEATURES.get(data["source"]) or data.get("features")
    if model.get("name") == "mlp" and tracked and isinstance(features, int) and tracked[0] >= features:
        raise ConfigError(
            f"{recipe.locate(['tracked_weight', 0])}: {tracked[0]} is not a feature of {data['name']}; valid is an "
            f"integer from 0 to {features - 1}, or null for the whole of tracked_weight"
        )


def check_cell(recipe: Definition, batch_size: int | None, place: str) -> None:
    """Check that a recipe's options exist at a batch size; None is a full batch of unknown size."""
    if batch_size is None:
        return
    try:
        recipes.scaled_optimiser(recipe.content, batch_size)
    except ValueError as error:
        raise ConfigError(f"{place}: {recipe.content['name']}: {error}") from error


def _with_paths(definition: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A copy in which `path` and the file of `function` no longer depend on where the definition stands."""
    content = copy.deepcopy(dict(definition))
    for mapping in (content, content.get("model")):
        if isinstance(mapping, dict):
            if isinstance(mapping.get("path"), str):
                mapping["path"] = shown(folder / Path(mapping["path"]).expanduser())
            if isinstance(mapping.get("function"), str) and ":" in mapping["function"]:
                file, _, function = mapping["function"].rpartition(":")
                mapping["function"] = f"{shown(folder / Path(file).expanduser())}:{function}"
    return content


def _chain(kind: Kind, name: str, known: Mapping[str, Layer]) -> list[Layer]:
    """A definition, what it extends, what that extends, and so on."""
    names, chain = [name], [known[name]]
    while "extends" in chain[-1].content:
        parent = chain[-1].content["extends"]
        place = f"{chain[-1].file}: {key_path([*chain[-1].prefix, 'extends'])}"
        if parent in names:
            raise ConfigError(
                f"{place}: {' extends '.join([*names, parent])}; valid is a {_NOUN[kind]} outside this circle"
            )
        if parent not in known:
            raise ConfigError(f"{place}: there is no {_NOUN[kind]} `{parent}`{choice(parent, known)}")
        if "source" in chain[-1].content:
            raise ConfigError(
                f"{chain[-1].file}: {key_path([*chain[-1].prefix, 'source'])}: the source comes from {parent}; "
                "valid is `extends` without `source`, or `source` without `extends`"
            )
        names.append(parent)
        chain.append(known[parent])
    return chain


def _merge(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(parent)
    for key, value in child.items():
        below = parent.get(key)
        replaced = key in ("model", "optimiser") and isinstance(value, dict) and _other_kind(below or {}, value)
        if key == "budget" and isinstance(value, dict) and isinstance(below, dict):
            below = _other_budget(below, value)
        if isinstance(value, dict) and isinstance(below, dict) and not replaced:
            merged[key] = _merge(below, value)
        else:
            merged[key] = value
    return merged


def _other_kind(parent: Mapping[str, Any], child: Mapping[str, Any]) -> bool:
    """Whether a model or optimiser is of another kind than its parent, whose options would then make no sense."""
    kind = ("name", "function")
    return any(key in child for key in kind) and any(child.get(key) != parent.get(key) for key in kind)


def _other_budget(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of a budget in epochs where the child gives updates, or the other way round."""
    changed = {"epochs", "updates"} & child.keys()
    if not changed or changed & parent.keys():
        return dict(parent)
    dropped = {"epochs", "updates", "evaluations", "first_evaluation_at"}
    return {key: value for key, value in parent.items() if key not in dropped}


def _locate_in_layers(chain: Sequence[Layer]) -> Locate:
    """Say where a value of a merged definition was written: in the first layer, from the child up, that has it."""

    def locate(keys: Sequence[Key]) -> str:
        layer = next((each for each in chain if _has(each.content, keys)), chain[0])
        return f"{layer.file}: {key_path([*layer.prefix, *keys])}"

    return locate


def _has(content: Any, keys: Iterable[Key]) -> bool:
    for key in keys:
        if isinstance(content, list) and isinstance(key, int) and key < len(content):
            content = content[key]
        elif isinstance(content, Mapping) and key in content:
            content = content[str(key)]
        else:
            return False
    return True


def _check_dataset(definition: Definition) -> None:
    content, locate = definition.content, definition.locate
    split = content["split"]
    if content["source"] == "npz":
        if (content["x_test"] is None) != (content["y_test"] is None):
            given, other = ("x_test", "y_test") if content["y_test"] is None else ("y_test", "x_test")
            raise ConfigError(f"{locate([given])}: {given} is given without {other}; valid is both or neither")
        if content["x_test"] is None:
            split.setdefault("test", 0.2)
        elif "test" in split:
            raise ConfigError(
                f"{locate(['split', 'test'])}: the test part is the array {content['x_test']} that x_test names; "
                "valid is split.test without x_test, or x_test without split.test"
            )
    if content["source"] == "table" and content["target"] in (content["features"] or ()):
        raise ConfigError(
            f"{locate(['features'])}: the target {content['target']} is among the features; valid are other columns"
        )
    if content["draw"] == "per-seed" and content["split_seed"] != 0:
        raise ConfigError(
            f"{locate(['split_seed'])}: it does nothing where each run seed draws its own data and split; "
            "valid is draw: fixed, or no split_seed"
        )
    if sum(size for size in split.values() if isinstance(size, float)) >= 1:
        raise ConfigError(
            f"{locate(['split'])}: the fractions {' and '.join(map(str, split.values()))} leave nothing to train on; "
            "valid are fractions with a sum below 1"
        )
    if content["source"] in splits.SOURCE_SIZES:
        known_size(definition)


def _check_recipe(definition: Definition, written: Mapping[str, Any]) -> None:
    content, locate = definition.content, definition.locate
    _check_budget(content["budget"], locate)
    _check_scaling(content, written, locate)
    _check_tuning(content, locate)
    _check_optimiser(content["optimiser"], locate)
    _check_tracked_weight(content["model"], content["tracked_weight"], locate)


def _check_budget(budget: Mapping[str, Any], locate: Locate) -> None:
    if (budget["epochs"] is None) == (budget["updates"] is None):
        both = budget["epochs"] is not None
        raise ConfigError(
            f"{locate(['budget', 'updates'] if both else ['budget'])}: a budget has "
            f"{'both epochs and updates' if both else 'neither epochs nor updates'}; valid is one of the two"
        )
    if budget["updates"] is not None and budget["evaluations"] is None:
        raise ConfigError(
            f"{locate(['budget', 'evaluations'])}: a budget in updates needs it, since epochs differ in length; "
            "valid is an integer of at least 1"
        )
    if budget["first_evaluation_at"] is None:
        return
    if budget["evaluations"] is None or budget["evaluations"] < 2:
        raise ConfigError(
            f"{locate(['budget', 'first_evaluation_at'])}: it spreads evaluations from this share of the budget to its "
            "end, so it needs at least two; valid is evaluations of at least 2 beside it, or null here"
        )
    if budget["early_stopping"] is not None:
        raise ConfigError(
            f"{locate(['budget', 'first_evaluation_at'])}: early stopping counts evaluations, which would lie further "
            "and further apart; valid is early_stopping: null beside it, or null here"
        )


def _check_scaling(content: Mapping[str, Any], written: Mapping[str, Any], locate: Locate) -> None:
    scaling, epochs = content["learning_rate_scaling"], content["budget"]["epochs"]
    reference = ["learning_rate_scaling", "reference_batch_size"]
    if scaling["rule"] != "none" and scaling["reference_batch_size"] is None:
        raise ConfigError(
            f"{locate(reference)}: the rule {scaling['rule']} needs the batch size at which the learning rate holds; "
            "valid is an integer of at least 1"
        )
    if scaling["rule"] == "none" and scaling["reference_batch_size"] is not None:
        if "rule" not in written["learning_rate_scaling"]:
            raise ConfigError(f"{locate(reference)}: it is given without a rule; valid is rule: linear or rule: sqrt")
        scaling["reference_batch_size"] = None  # inherited, and without effect under `rule: none`
    if scaling["rule"] == "adam-sde" and content["optimiser"]["name"] == "sgd":
        raise ConfigError(
            f"{locate(['learning_rate_scaling', 'rule'])}: adam-sde is a rule for adam and adamw, and the optimiser is "
            "sgd; valid is one of none, linear, sqrt"
        )
    if epochs is not None and scaling["warmup_epochs"] > epochs:
        raise ConfigError(
            f"{locate(['learning_rate_scaling', 'warmup_epochs'])}: {scaling['warmup_epochs']:g} is more than the "
            f"{epochs} epochs of the budget; valid is a number from 0 to {epochs}"
        )


def _check_tuning(content: Mapping[str, Any], locate: Locate) -> None:
    if content["tuning"] is None:
        return
    rates, place = content["tuning"]["learning_rates"], locate(["tuning", "learning_rates"])
    if rates != sorted(rates):
        raise ConfigError(f"{place}: the rates are not in ascending order; valid is {sorted(rates)}")
    ratios = [high / low for low, high in pairwise(rates)]
    if max(ratios) > 1.2 * min(ratios):
        raise ConfigError(
            f"{place}: the rates are not evenly spaced in the logarithm, their ratios run from {min(ratios):.3g} to "
            f"{max(ratios):.3g}; valid are rates with nearly the same ratio, such as 0.01, 0.03, 0.1"
        )
    if content["learning_rate_scaling"]["rule"] != "none":
        raise ConfigError(
            f"{locate(['learning_rate_scaling', 'rule'])}: the rule {content['learning_rate_scaling']['rule']} and "
            "tuning both set the rate of a batch size; valid is rule: none, or tuning: null"
        )


def _check_optimiser(optimiser: Mapping[str, Any], locate: Locate) -> None:
    clipping = [key for key in _CLIPPING if optimiser[key] is not None]
    if len(clipping) > 1:
        raise ConfigError(
            f"{locate(['optimiser', clipping[1]])}: {' and '.join(clipping)} exclude each other; valid is one of them"
        )
    if optimiser.get("nesterov") and optimiser["momentum"] == 0:
        raise ConfigError(f"{locate(['optimiser', 'nesterov'])}: it needs momentum; valid is a momentum above 0")
    frequency = ["optimiser", "ema_overwrite_frequency"]
    if optimiser["use_ema"] and optimiser["ema_overwrite_frequency"] is None:
        raise ConfigError(
            f"{locate(frequency)}: use_ema needs it, since Keras else uses the average only after the last evaluation; "
            "valid is an integer of at least 1"
        )
    if not optimiser["use_ema"] and optimiser["ema_overwrite_frequency"] is not None:
        raise ConfigError(f"{locate(frequency)}: it does nothing without use_ema; valid is null, or use_ema: true")


def _check_tracked_weight(model: Mapping[str, Any], tracked: Sequence[int] | None, locate: Locate) -> None:
    """The index must lie in the first kernel, as far as the recipe alone tells its shape (None: the data tell)."""
    if tracked is None or "function" in model:
        return
    width = (model["hidden"] or [None])[0] if model["name"] == "mlp" else model["filters"][0]
    side = model.get("kernel_size")
    shape = (None, width) if model["name"] == "mlp" else (side, side, None, width)
    axes = "[feature, unit]" if model["name"] == "mlp" else "[row, column, channel, filter]"
    if len(tracked) != len(shape):
        raise ConfigError(
            f"{locate(['tracked_weight'])}: {len(tracked)} numbers do not index the first kernel; valid is {axes}"
        )
    for axis, (index, size) in enumerate(zip(tracked, shape, strict=True)):
        if size is not None and index >= size:
            raise ConfigError(
                f"{locate(['tracked_weight', axis])}: {index} is outside the first kernel {axes}; valid is an integer "
                f"from 0 to {size - 1}"
            )
