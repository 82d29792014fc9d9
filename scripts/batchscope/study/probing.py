"""What a study probes: its key `probes`, checked and expanded into the runs and cells that are looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import pydantic

from batchscope.config.errors import ConfigError, Locate, choice
from batchscope.config.written import Written
from batchscope.data.splits import Part
from batchscope.probes.registry import PROBES
from batchscope.probes.settings import Request
from batchscope.study.comparisons import Cell, Run
from batchscope.study.definitions import Definition, known_size

Probes = Mapping[str, Mapping[str, Any] | None]


def check(
    probes: Probes,
    runs: Sequence[Run],
    recipes: Mapping[str, Definition],
    datasets: Mapping[str, Definition],
    sizes: Mapping[str, int | None],
    locate: Locate,
) -> None:
    """Refuse probes of runs that the study does not have, or that cannot be measured.

    Args:
        probes: key `probes` of the study, with its defaults.
        runs: every run of the study.
        recipes: the recipes that the runs use.
        datasets: the data sets that the runs use.
        sizes: by data set, the number of training examples, None where it is not known before the data are read.
        locate: where the user wrote a key of the study.

    Raises:
        ConfigError: one sentence on what to change.
    """
    for name, settings in probes.items():
        if settings is None:
            continue
        for position, recipe in enumerate(settings["recipes"]):
            if recipe not in recipes:
                place = locate(["probes", name, "recipes", position])
                raise ConfigError(f"{place}: no run of the study uses the recipe `{recipe}`{choice(recipe, recipes)}")
        _check_trained_with(settings, name, runs, locate)
        looked_at = sorted({run.dataset for run in probed_runs(probes, name, runs)})

        def examples(part: Part, looked_at: Sequence[str] = looked_at) -> dict[str, int | None]:
            if part == "train":
                return {dataset: sizes[dataset] for dataset in looked_at}
            return {dataset: known_size(datasets[dataset], part) for dataset in looked_at}

        def place_of(keys: Sequence[str | int], name: str = name) -> str:
            return locate(["probes", name, *keys])

        wanted = {recipe: recipes[recipe] for recipe in settings["recipes"]}
        settings_of(name).Settings.model_validate(settings).check(Request(place_of, wanted, examples))


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


def probed_runs(probes: Probes, name: str, runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs that the probe `name` looks at, or that it trains; see `probes.settings.Settings`."""
    settings = probes[name]
    if settings is None:
        return ()
    of_recipe = [run for run in runs if run.recipe in settings["recipes"]]
    if "batch_size" in settings:
        own = str(settings["batch_size"])
        return tuple(dict.fromkeys(dataclasses.replace(run, batch_size=own) for run in of_recipe))
    wanted = settings.get("trained_with")
    return tuple(run for run in of_recipe if wanted is None or run.batch_size in map(str, wanted))


def probed_cells(probes: Probes, name: str, runs: Sequence[Run]) -> tuple[Cell, ...]:
    """The cells that the probe `name`, which has no seeds, looks at."""
    return tuple(dict.fromkeys(run.cell for run in probed_runs(probes, name, runs)))


def _check_trained_with(probe: Mapping[str, Any], name: str, runs: Sequence[Run], locate: Locate) -> None:
    for recipe in probe["recipes"]:
        known = sorted({run.batch_size for run in runs if run.recipe == recipe and run.batch_size != "full"}, key=int)
        for position, size in enumerate(probe.get("trained_with", ())):
            if str(size) not in known:
                place = locate(["probes", name, "trained_with", position])
                raise ConfigError(f"{place}: no run of {recipe} has the batch size {size}{choice(str(size), known)}")
