"""What a study trains: its comparisons, checked and expanded into runs and cells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from batchscope.config.errors import ConfigError, Locate, below, choice
from batchscope.config.written import DIFFERENT, BatchSize, List, Names, Written, valid
from batchscope.data.sources.keys import Dataset
from batchscope.study import definition_files, definitions
from batchscope.study.definitions import Definition
from batchscope.study.recipes import Recipe

# Keys of a recipe that change nothing in the work of one update.
_WITHOUT_WORK = ("budget", "learning_rate_scaling", "tuning", "tracked_weight", "evaluation_batch_size", "snapshots")
_SIZE = "an integer from 1 to the number of training examples, or `full`"


class Comparison(Written):
    """Every data set meets every recipe, batch size and seed."""

    datasets: Names
    """Names of data sets."""
    recipes: Names
    """Names of recipes."""
    batch_sizes: Annotated[
        List[Annotated[BatchSize, valid(_SIZE)]],
        Field(min_length=1),
        DIFFERENT,
        valid("a list of integers from 1 to the number of training examples, or `full`"),
    ]
    """Examples per update. `full` is all the training examples, one update per epoch."""
    timing: bool | str | None = Field(
        None, json_schema_extra={"x-valid": "true, false, the name of a recipe of this study that is timed, or null"}
    )
    """Whether the cells of this comparison are timed; null for what the study says. Recipes that differ only in
    budget, learning rate or its tuning take the same time per update, so one may name another whose timings it takes.
    """

    def cells(self) -> Iterator[Cell]:
        """What is trained with every seed, in the order of the study file."""
        for dataset in self.datasets:
            for recipe in self.recipes:
                for size in self.batch_sizes:
                    yield Cell(dataset, recipe, str(size))

    def on(self, replaced: Mapping[str, str]) -> Comparison:
        """The comparison on other data sets."""
        return self.model_copy(update={"datasets": tuple(replaced.get(name, name) for name in self.datasets)})


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
    comparisons: Sequence[Comparison],
    datasets: Mapping[str, Definition[Dataset]],
    recipes: Mapping[str, Definition[Recipe]],
    locate: Locate,
) -> tuple[Cell, ...]:
    """Every cell of the comparisons, in their order, once its names and sizes are checked."""
    cells: dict[Cell, int] = {}  # and the comparison each came from
    sizes: dict[str, int | None] = {}
    for index, comparison in enumerate(comparisons):
        here = below(locate, "comparisons", index)
        _check_names(comparison.datasets, datasets, below(here, "datasets"))
        _check_names(comparison.recipes, recipes, below(here, "recipes"))
        for dataset in (datasets[name] for name in comparison.datasets):
            if dataset.name not in sizes:
                sizes[dataset.name] = definitions.known_size(dataset)
            n_train = sizes[dataset.name]
            for recipe in (recipes[each] for each in comparison.recipes):
                definitions.check_pair(recipe, dataset)
                for position, size in enumerate(comparison.batch_sizes):
                    place = here(["batch_sizes", position])
                    _check_size(size, n_train, dataset, recipe, place)
                    definitions.check_cell(recipe, size.of(n_train), place)
                    cell = Cell(dataset.name, recipe.name, str(size))
                    _check_new(cell, cells, n_train, place)
                    cells[cell] = index
    return tuple(cells)


def timed(comparisons: Sequence[Comparison], timing: bool) -> tuple[Cell, ...]:
    """The cells that are timed themselves, in the order of the study file; `timing` is what the study says."""
    own = (item for item in comparisons if (timing if item.timing is None else item.timing) is True)
    return tuple(cell for item in own for cell in item.cells())


def borrowed_timings(
    comparisons: Sequence[Comparison],
    own: Sequence[Cell],
    recipes: Mapping[str, Definition[Recipe]],
    locate: Locate,
) -> dict[tuple[str, str], str]:
    """By data set and recipe, the recipe whose timings stand in for its own, once it is known that they can.

    Raises:
        ConfigError: where a comparison names timings of something else, or that are not made.
    """
    borrowed = {}
    for index, item in enumerate(comparisons):
        if not isinstance(item.timing, str):
            continue
        name, place = item.timing, locate(["comparisons", index, "timing"])
        if name not in recipes:
            raise ConfigError(f"{place}: no run of the study uses the recipe `{name}`{choice(name, recipes)}")
        for cell in item.cells():
            if Cell(cell.dataset, name, cell.batch_size) not in own:
                raise ConfigError(
                    f"{place}: {name} is not timed on {cell.dataset} at batch size {cell.batch_size}; valid is a "
                    "recipe that this study times at every size of this comparison, or true"
                )
            differing = _differences(recipes[cell.recipe].value, recipes[name].value)
            if differing:
                raise ConfigError(
                    f"{place}: {cell.recipe} and {name} differ in {', '.join(differing)}, so an update may take "
                    "another time; valid is a recipe that differs only in budget, learning rate or its tuning, or true"
                )
            borrowed[cell.dataset, cell.recipe] = name
    return borrowed


def check_replaced(
    replaced: Mapping[str, str], comparisons: Sequence[Comparison], datasets: Collection[str], locate: Locate
) -> None:
    """Refuse to put a data set in the place of one that the study does not name, or one that nobody defines."""
    named = sorted({name for item in comparisons for name in item.datasets})
    for old, new in replaced.items():
        if old not in named:
            raise ConfigError(f"{locate([old])}: the study does not name `{old}`{choice(old, named)}")
        if new not in datasets:
            raise ConfigError(f"{locate([old])}: `{new}` is not defined{choice(new, datasets)}")


def _check_names(names: Sequence[str], known: Mapping[str, Definition], locate: Locate) -> None:
    for position, name in enumerate(names):
        if name not in known:
            raise ConfigError(f"{locate([position])}: `{name}` is not defined{choice(name, known)}")
        definition_files.check(known[name])


def _differences(recipe: Recipe, other: Recipe) -> list[str]:
    """Keys in which two recipes differ and that can change the time of an update."""
    rate = {"learning_rate": other.optimizer.learning_rate}
    alike = recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update=rate)})
    keys = (key for key in Recipe.model_fields if key not in _WITHOUT_WORK)
    return [key for key in keys if getattr(alike, key) != getattr(other, key)]


def _check_size(
    size: BatchSize, n_train: int | None, dataset: Definition[Dataset], recipe: Definition[Recipe], place: str
) -> None:
    """A batch size must fit the training part, where its size is known, and hold a whole micro batch."""
    micro, examples = recipe.value.micro_batch_size, size.of(n_train)
    if examples is not None and n_train is not None and examples > n_train:
        raise ConfigError(
            f"{place}: {size} is larger than the {n_train:,} training examples of {dataset.name}; "
            f"valid are 1 to {n_train}, or full"
        )
    if micro is not None and examples is not None and micro > examples:
        shown_size = str(size) if size.examples else f"full ({examples} examples)"
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
