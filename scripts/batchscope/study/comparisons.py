"""What a study trains: its comparisons, checked and expanded into runs and cells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from batchscope.config.batch_sizes import WORDS, BatchSize
from batchscope.config.errors import ConfigError, Locate, below, refuse_unknown
from batchscope.config.written import DIFFERENT, List, Names, Written, valid
from batchscope.data.sources.keys import Dataset
from batchscope.study import definition_files, definitions
from batchscope.study.definitions import Definition
from batchscope.study.recipes import Recipe

if TYPE_CHECKING:
    from batchscope.study.model import Study

# Keys of a recipe that change nothing in the work of one update.
_WITHOUT_WORK = ("budget", "learning_rate_scaling", "tuning", "tracked_weight", "evaluation_batch_size", "snapshots")


class Comparison(Written):
    """Every data set meets every recipe, batch size and seed."""

    datasets: Names
    """Names of data sets."""
    recipes: Names
    """Names of recipes."""
    batch_sizes: Annotated[
        List[Annotated[BatchSize, valid(WORDS)]],
        Field(min_length=1),
        DIFFERENT,
        valid("a list of integers from 1 to the number of training examples, or `full`"),
    ]
    """Examples per update. `full` is all the training examples, one update per epoch."""
    timing: Annotated[
        bool | str | None, valid("true, false, the name of a recipe of this study that is timed, or null")
    ] = None
    """Whether the cells of this comparison are timed; null for what the study says. Recipes that differ only in
    budget, learning rate or its tuning take the same time per update, so one may name another whose timings it takes.
    """

    def cells(self) -> Iterator[Cell]:
        """What is trained with every seed, in the order of the study file."""
        for dataset in self.datasets:
            for recipe in self.recipes:
                for size in self.batch_sizes:
                    yield Cell(dataset, recipe, size)

    def is_timed(self, otherwise: bool) -> bool:
        """Whether its cells are timed themselves; `otherwise` is what the study says where it says nothing."""
        return (otherwise if self.timing is None else self.timing) is True

    def on(self, replaced: Mapping[str, str]) -> Comparison:
        """The comparison on other data sets."""
        return self.model_copy(update={"datasets": tuple(replaced.get(name, name) for name in self.datasets)})


@dataclass(frozen=True)
class Cell:
    """A data set, a recipe and a batch size: what is timed."""

    dataset: str
    recipe: str
    batch_size: BatchSize


@dataclass(frozen=True)
class Run(Cell):
    """A cell and a seed: what is trained, one job each."""

    seed: int

    @property
    def cell(self) -> Cell:
        """The run without its seed."""
        return Cell(self.dataset, self.recipe, self.batch_size)


def check(
    comparisons: Sequence[Comparison],
    datasets: Mapping[str, Definition[Dataset]],
    recipes: Mapping[str, Definition[Recipe]],
    locate: Locate,
) -> None:
    """Refuse comparisons of what nobody defines, of what does not fit together, and the same run twice.

    Args:
        comparisons: those of the study.
        datasets: every data set that it may name.
        recipes: every recipe that it may name.
        locate: where the user wrote a key of the study.

    Raises:
        ConfigError: one sentence on what to change.
    """
    seen: dict[tuple[str, str, int | None], tuple[BatchSize, int]] = {}  # how a size was written, in which comparison
    for index, comparison in enumerate(comparisons):
        here = below(locate, "comparisons", index)
        refuse_unknown(comparison.datasets, datasets, below(here, "datasets"), "`{}` is not defined")
        refuse_unknown(comparison.recipes, recipes, below(here, "recipes"), "`{}` is not defined")
        for name in comparison.datasets:
            definition_files.check(datasets[name])
        for name in comparison.recipes:
            definition_files.check(recipes[name])
        for cell in comparison.cells():
            dataset, recipe, size = datasets[cell.dataset], recipes[cell.recipe], cell.batch_size
            n_train, place = definitions.known_size(dataset), here(["batch_sizes", comparison.batch_sizes.index(size)])
            definitions.check_pair(recipe, dataset)
            _check_size(size, n_train, dataset, recipe, place)
            definitions.check_cell(recipe, size.of(n_train), place)
            if known := seen.get((cell.dataset, cell.recipe, size.of(n_train))):
                raise ConfigError(f"{place}: {_twice(cell, *known, n_train)}")
            seen[cell.dataset, cell.recipe, size.of(n_train)] = size, index


def check_timings(study: Study, locate: Locate) -> None:
    """Refuse a comparison that takes the timings of something else, or timings that are not made.

    Raises:
        ConfigError: one sentence on what to change.
    """
    for index, item in enumerate(study.file.comparisons):
        if not isinstance(item.timing, str):
            continue
        name, here = item.timing, below(locate, "comparisons", index)
        refuse_unknown({"timing": name}, study.recipes, here, "no run of the study uses the recipe `{}`")
        place = here(["timing"])
        for cell in item.cells():
            if Cell(cell.dataset, name, cell.batch_size) not in study.cells:
                raise ConfigError(
                    f"{place}: {name} is not timed on {cell.dataset} at batch size {cell.batch_size}; valid is a "
                    "recipe that this study times at every size of this comparison, or true"
                )
            differing = _differences(study.recipes[cell.recipe].value, study.recipes[name].value)
            if differing:
                raise ConfigError(
                    f"{place}: {cell.recipe} and {name} differ in {', '.join(differing)}, so an update may take "
                    "another time; valid is a recipe that differs only in budget, learning rate or its tuning, or true"
                )


def check_replaced(
    replaced: Mapping[str, str], comparisons: Sequence[Comparison], datasets: Collection[str], locate: Locate
) -> None:
    """Refuse to put a data set in the place of one that the study does not name, or one that nobody defines."""
    named = sorted({name for item in comparisons for name in item.datasets})
    refuse_unknown({name: name for name in replaced}, named, locate, "the study does not name `{}`")
    refuse_unknown(replaced, datasets, locate, "`{}` is not defined")


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
    if n_train is not None:
        size.refuse_larger(n_train, dataset.name, place)
    if micro is not None and examples is not None and micro > examples:
        shown_size = str(size) if size.examples else f"full ({examples} examples)"
        raise ConfigError(
            f"{place}: {shown_size} is smaller than the micro batch of {micro} "
            f"({recipe.locate(['micro_batch_size'])}); valid is a batch size of at least {micro}, "
            "or a smaller micro_batch_size"
        )


def _twice(cell: Cell, first: BatchSize, index: int, n_train: int | None) -> str:
    """Why the same run may not be asked for twice, nor the same batch size as a number and as `full`."""
    what = f"{cell.dataset} with {cell.recipe} at batch size {cell.batch_size}"
    if first == cell.batch_size:
        return f"{what} is in comparisons[{index}] already; valid is to ask for it once"
    return f"{what} repeats {first}, since {cell.dataset} has {n_train} training examples; valid is one of the two"
