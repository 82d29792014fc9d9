"""What a study says about a probe: keys that probes have in common, and what a check of them may look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from batchscope.config.errors import ConfigError, Key, Locate, larger
from batchscope.config.written import Names, Sizes, Written
from batchscope.data.splits import Part
from batchscope.training import checkpoints
from batchscope.training.checkpoints import Checkpoint
from batchscope.training.recipes import Recipe

__all__ = ["Names", "Request", "Settings", "Sizes", "kept", "refuse_snapshots"]


class Settings(Written):
    """The keys of a probe. All have `recipes`, whose runs or cells are looked at; three further keys have a meaning
    that is common to all: `trained_with`, only runs of these batch sizes; `batch_size`, a size of its own in their
    place; and `batch_sizes`, sizes of batches that are drawn or evaluated.
    """

    recipes: Names

    def check(self, request: Request) -> None:
        """Refuse what cannot be measured.

        Raises:
            ConfigError: one sentence on what to change.
        """


@dataclass(frozen=True)
class Definition:
    """A recipe with everything filled in, and where the user wrote each of its values."""

    content: Recipe
    locate: Locate


@dataclass(frozen=True)
class Request:
    """What a study asks of a probe.

    Attributes:
        locate: where the user wrote a key of the probe.
        recipes: those that the probe looks at, by name.
        examples: number of examples of a part (train, validation) of each data set that it looks at, by name; None
            where it is not known before the data are read.
        refused: what the study's engine cannot do of a recipe in a loop, as a sentence; None where it can.
    """

    locate: Locate
    recipes: Mapping[str, Definition]
    examples: Callable[[Part], Mapping[str, int | None]]
    refused: Callable[[Recipe, str], str | None]

    def refuse(self, *key: Key, why: str) -> ConfigError:
        """The error on a key of the probe."""
        return ConfigError(f"{self.locate(key)}: {why}")

    def refuse_larger(self, part: Part, size: int, *key: Key, lowest: int = 1) -> None:
        """Refuse a batch that is larger than the `part` of a data set.

        Raises:
            ConfigError: it is.
        """
        name = {"train": "training"}.get(part, part)
        for dataset, limit in self.examples(part).items():
            if limit is not None and size > limit:
                raise self.refuse(*key, why=larger(size, limit, name, dataset, lowest=lowest))

    def refuse_accumulating(self) -> None:
        """Refuse recipes that accumulate micro batches.

        Raises:
            ConfigError: there is one.
        """
        for position, (name, recipe) in enumerate(self.recipes.items()):
            if recipe.content["micro_batch_size"] is not None:
                why = f"{name} accumulates micro batches itself; valid is a recipe with micro_batch_size: null"
                raise self.refuse("recipes", position, why=why)

    def refuse_loop(self, loop: str) -> None:
        """Refuse recipes that the engine of the study does not train in a loop.

        Raises:
            ConfigError: there is one.
        """
        for position, recipe in enumerate(self.recipes.values()):
            if why := self.refused(recipe.content, loop):
                raise self.refuse("recipes", position, why=why)


def kept(recipe: Definition) -> list[Checkpoint]:
    """Where the runs of a recipe keep their weights."""
    return checkpoints.kept(**recipe.content["snapshots"])


def refuse_snapshots(recipe: Definition, why: str) -> ConfigError:
    """The error on the weights that a recipe keeps."""
    return ConfigError(f"{recipe.locate(['snapshots'])}: {why}")
