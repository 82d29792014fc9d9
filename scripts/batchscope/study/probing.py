"""What a study probes: its key `probes`, checked and expanded into the runs and cells that are looked at."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pydantic

from batchscope.config.errors import Locate, below, refuse_unknown
from batchscope.config.written import Written
from batchscope.data.splits import Part
from batchscope.probes.registry import PROBES
from batchscope.probes.settings import Definition, Request
from batchscope.study.definitions import known_size
from batchscope.training import engines
from batchscope.training.recipes import Recipe

if TYPE_CHECKING:
    from batchscope.study.model import Study


def check(study: Study, locate: Locate) -> None:
    """Refuse probes of runs that the study does not have, or that cannot be measured.

    Raises:
        ConfigError: one sentence on what to change.
    """
    engine = study.settings.engine

    def refused(recipe: Recipe, loop: str) -> str | None:
        said = engines.about(engine).refuse(recipe, loop)
        return said and f"engine {engine} {said}"

    for name, settings in study.probes.items():
        here = below(locate, "probes", name)
        unused = "no run of the study uses the recipe `{}`"
        refuse_unknown(settings.recipes, study.recipes, below(here, "recipes"), unused)
        for recipe in settings.recipes:
            sizes = {cell.batch_size.examples or 0 for cell in study.trained if cell.recipe == recipe} - {
                0
            }  # 0 for `full`
            wanted, says = getattr(settings, "trained_with", ()), f"no run of {recipe} has the batch size {{}}"
            refuse_unknown(wanted, sorted(sizes), below(here, "trained_with"), says)
        looked_at = sorted({run.dataset for run in study.probed_runs(name)})

        def examples(part: Part, looked_at: Iterable[str] = looked_at) -> dict[str, int | None]:
            return {dataset: known_size(study.datasets[dataset], part) for dataset in looked_at}

        defined = ((name, study.recipes[name]) for name in settings.recipes)
        recipes = {name: Definition(cast("Recipe", recipe.content), recipe.locate) for name, recipe in defined}
        settings.check(Request(here, recipes, examples, refused))


def written() -> type[Written]:
    """How the key `probes` of a study is read: with the probes that are registered."""
    fields: dict[str, Any] = {name: (settings_of(name).Settings | None, None) for name in PROBES}
    return pydantic.create_model(
        "Probes",
        __base__=Written,
        __doc__="Measurements that explain what batch size does, each a kind of job of its own. A probe of weights "
        "looks at those that the recipe's `snapshots` keep.",
        **fields,
    )


def settings_of(probe: str) -> ModuleType:
    """The module with the keys of a probe (`Settings`)."""
    return import_module(f"batchscope.probes.{probe}.settings")
