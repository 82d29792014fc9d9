"""What a study trains: its comparisons, checked and expanded into runs and cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchscope.config.validation import ConfigError, Locate, choice
from batchscope.study import definition_files, definitions
from batchscope.study.definitions import Definition, Kind


@dataclass(frozen=True)
class Cell:
    """A data set, a recipe and a batch size (as text: digits, or `full`): what is timed."""

    dataset: str
    recipe: str
    batch_size: str


@dataclass(frozen=True)
class Run:
    """A cell and a seed: what is trained, one job each."""

    dataset: str
    recipe: str
    batch_size: str
    seed: int

    @property
    def cell(self) -> Cell:
        """The run without its seed."""
        return Cell(self.dataset, self.recipe, self.batch_size)


def expand(
    content: Mapping[str, Any], datasets: Mapping[str, Definition], recipes: Mapping[str, Definition], locate: Locate
) -> tuple[Run, ...]:
    """Every run of the comparisons, in their order, once its names and sizes are checked."""
    cells: dict[Cell, int] = {}  # and the comparison each came from
    sizes: dict[str, int | None] = {}
    for index, comparison in enumerate(content["comparisons"]):
        kinds: tuple[tuple[Kind, Mapping[str, Definition]], ...] = (("datasets", datasets), ("recipes", recipes))
        for kind, known in kinds:
            for position, name in enumerate(comparison[kind]):
                if name not in known:
                    place = locate(["comparisons", index, kind, position])
                    raise ConfigError(f"{place}: `{name}` is not defined{choice(name, known)}")
                definition_files.check(known[name])
        for dataset in (datasets[name] for name in comparison["datasets"]):
            name = dataset.content["name"]
            sizes[name] = sizes[name] if name in sizes else definitions.known_size(dataset)
            for recipe in (recipes[each] for each in comparison["recipes"]):
                definitions.check_pair(recipe, dataset)
                for position, size in enumerate(comparison["batch_sizes"]):
                    place = locate(["comparisons", index, "batch_sizes", position])
                    _check_size(size, sizes[name], dataset, recipe, place)
                    definitions.check_cell(recipe, sizes[name] if isinstance(size, str) else size, place)
                    cell = Cell(name, recipe.content["name"], str(size))
                    _check_new(cell, cells, sizes[name], place)
                    cells[cell] = index
    return tuple(Run(cell.dataset, cell.recipe, cell.batch_size, seed) for cell in cells for seed in content["seeds"])


def timed(content: Mapping[str, Any]) -> tuple[Cell, ...]:
    """The cells of the comparisons that are timed themselves, in the order of the study file."""
    items = content.get("comparisons", ())
    return tuple(cell for item in items for cell in _cells(item) if _own_timing(content, item))


def borrowed_timings(
    content: Mapping[str, Any], recipes: Mapping[str, Definition], locate: Locate
) -> dict[tuple[str, str], str]:
    """By data set and recipe, the recipe whose timings stand in for its own, once it is known that they can.

    Raises:
        ConfigError: where a comparison names timings of something else, or that are not made.
    """
    own, borrowed = set(timed(content)), {}
    for index, item in enumerate(content.get("comparisons", ())):
        if not isinstance(item["timing"], str):
            continue
        name, place = item["timing"], locate(["comparisons", index, "timing"])
        if name not in recipes:
            raise ConfigError(f"{place}: no run of the study uses the recipe `{name}`{choice(name, recipes)}")
        for cell in _cells(item):
            if Cell(cell.dataset, name, cell.batch_size) not in own:
                raise ConfigError(
                    f"{place}: {name} is not timed on {cell.dataset} at batch size {cell.batch_size}; valid is a "
                    "recipe that this study times at every size of this comparison, or true"
                )
            differing = _differences(recipes[cell.recipe].content, recipes[name].content)
            if differing:
                raise ConfigError(
                    f"{place}: {cell.recipe} and {name} differ in {', '.join(differing)}, so an update may take "
                    "another time; valid is a recipe that differs only in budget, learning rate or its tuning, or true"
                )
            borrowed[cell.dataset, cell.recipe] = name
    return borrowed


def _cells(item: Mapping[str, Any]) -> Iterator[Cell]:
    """The cells of a comparison, in the order of `expand`."""
    for dataset in item["datasets"]:
        for recipe in item["recipes"]:
            for size in item["batch_sizes"]:
                yield Cell(dataset, recipe, str(size))


def _own_timing(content: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Whether the cells of a comparison have timings of their own."""
    wanted = content["timing"] if item["timing"] is None else item["timing"]
    return wanted is True


def _differences(recipe: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Keys in which two recipes differ and that can change the time of an update."""
    return [key for key in recipe if _timing_part(recipe, key) != _timing_part(other, key)]


def _timing_part(recipe: Mapping[str, Any], key: str) -> Any:
    """What a key of a recipe contributes to the work of one update."""
    if key in (
        "name",
        "budget",
        "learning_rate_scaling",
        "tuning",
        "tracked_weight",
        "evaluation_batch_size",
        "snapshots",
    ):
        return None
    if key == "optimiser":
        return {name: value for name, value in recipe[key].items() if name != "learning_rate"}
    return recipe[key]


def with_other_datasets(
    content: Mapping[str, Any], replaced: Mapping[str, str], datasets: Mapping[str, Definition], setting: str
) -> dict[str, Any]:
    """The study with other data sets in the place of some."""
    named = {name for item in content.get("comparisons", ()) for name in item["datasets"]}
    for old, new in replaced.items():
        place = f"{setting}.{old}"
        if old not in named:
            raise ConfigError(f"{place}: the study does not name `{old}`{choice(old, sorted(named))}")
        if new not in datasets:
            raise ConfigError(f"{place}: `{new}` is not defined{choice(new, datasets)}")

    def swap(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**item, "datasets": [replaced.get(name, name) for name in item["datasets"]] if item["datasets"] else None}
            for item in items
        ]

    changed = {key: swap(content[key]) for key in ("comparisons", "targets") if content.get(key)}
    return {**content, **changed}


def _check_size(size: int | str, n_train: int | None, dataset: Definition, recipe: Definition, place: str) -> None:
    """A batch size must fit the training part, where its size is known, and hold a whole micro batch."""
    name, micro = dataset.content["name"], recipe.content["micro_batch_size"]
    if isinstance(size, int) and n_train is not None and size > n_train:
        raise ConfigError(
            f"{place}: {size} is larger than the {n_train:,} training examples of {name}; "
            f"valid are 1 to {n_train}, or full"
        )
    examples = n_train if size == "full" else size
    if micro is not None and isinstance(examples, int) and micro > examples:
        shown_size = f"full ({examples} examples)" if size == "full" else str(size)
        raise ConfigError(
            f"{place}: {shown_size} is smaller than the micro batch of {micro} "
            f"({recipe.locate(['micro_batch_size'])}); valid is a batch size of at least {micro}, "
            "or a smaller micro_batch_size"
        )


def _check_new(cell: Cell, cells: Mapping[Cell, int], n_train: int | None, place: str) -> None:
    """The same run may not be asked for twice, nor the same batch size as a number and as `full`."""
    what = f"{cell.dataset} with {cell.recipe} at batch size {cell.batch_size}"
    if cell in cells:
        raise ConfigError(f"{place}: {what} is in comparisons[{cells[cell]}] already; valid is to ask for it once")
    twin = {"full": str(n_train), str(n_train): "full"}.get(cell.batch_size)
    if twin is not None and Cell(cell.dataset, cell.recipe, twin) in cells:
        raise ConfigError(
            f"{place}: {what} repeats {twin}, since {cell.dataset} has {n_train} training examples; "
            "valid is one of the two"
        )
