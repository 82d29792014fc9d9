"""What a study probes: its key `probes`, checked and expanded into the runs and cells that are looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchscope.config.validation import ConfigError, Locate, choice
from batchscope.study.comparisons import Cell, Run
from batchscope.study.definitions import Definition, known_size

_OF_WEIGHTS = ("gradients", "sharpness", "modes")  # of those that a run keeps; the others train for themselves


def check(
    probes: Mapping[str, Any],
    runs: Sequence[Run],
    recipes: Mapping[str, Definition],
    datasets: Mapping[str, Definition],
    sizes: Mapping[str, int | None],
    locate: Locate,
) -> None:
    """Refuse probes of runs that the study does not have, or that keep no weights.

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
    for name, probe in probes.items():
        if probe is None:
            continue
        for position, recipe in enumerate(probe["recipes"]):
            if recipe not in recipes:
                place = locate(["probes", name, "recipes", position])
                raise ConfigError(f"{place}: no run of the study uses the recipe `{recipe}`{choice(recipe, recipes)}")
            if name in _OF_WEIGHTS:
                _check_snapshots(name, recipes[recipe])
            if name in ("accumulation", "overheads") and recipes[recipe].content["micro_batch_size"] is not None:
                raise ConfigError(
                    f"{locate(['probes', name, 'recipes', position])}: {recipe} accumulates micro batches itself; "
                    "valid is a recipe with micro_batch_size: null"
                )
        _check_trained_with(probe, name, runs, locate)
    if probes["modes"] is not None:
        _check_evaluated(probes["modes"], runs, datasets, locate)
    if probes["gradients"] is not None:
        _check_drawn(probes["gradients"], runs, sizes, locate)
    if probes["rates"] is not None and probes["rates"]["lowest"] >= probes["rates"]["highest"]:
        raise ConfigError(
            f"{locate(['probes', 'rates', 'highest'])}: {probes['rates']['highest']:g} is not above lowest, "
            f"{probes['rates']['lowest']:g}; valid is a larger number"
        )
    if probes["accumulation"] is not None:
        _check_accumulation(probes["accumulation"], runs, recipes, sizes, locate)


def probed_runs(probes: Mapping[str, Any], name: str, runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs that the probe `name` looks at, or that it trains; accumulation has a batch size of its own."""
    probe = probes[name]
    if probe is None:
        return ()
    of_recipe = [run for run in runs if run.recipe in probe["recipes"]]
    if name == "accumulation":
        size = str(probe["batch_size"])
        return tuple(dict.fromkeys(Run(run.dataset, run.recipe, size, run.seed) for run in of_recipe))
    wanted = probe.get("trained_with")
    return tuple(run for run in of_recipe if wanted is None or run.batch_size in map(str, wanted))


def probed_cells(probes: Mapping[str, Any], name: str, runs: Sequence[Run]) -> tuple[Cell, ...]:
    """The cells that the probe `name`, which has no seeds, looks at."""
    return tuple(dict.fromkeys(run.cell for run in probed_runs(probes, name, runs)))


def _check_snapshots(name: str, recipe: Definition) -> None:
    kept, place = recipe.content["snapshots"], recipe.locate(["snapshots"])
    if name == "gradients" and not kept["at"]:
        raise ConfigError(f"{place}: the probe of gradients needs weights kept by `at`; valid is at: [0, 0.5, 1], say")
    if name == "modes" and 1 not in kept["at"]:
        raise ConfigError(f"{place}: the probe of modes needs the last weights; valid is at: [1], also with others")
    if name == "sharpness" and 1 not in kept["at"] and not kept["train_losses"]:
        raise ConfigError(
            f"{place}: the probe of sharpness needs the last weights or those at training losses; valid is at: [1], "
            "or train_losses"
        )


def _check_trained_with(probe: Mapping[str, Any], name: str, runs: Sequence[Run], locate: Locate) -> None:
    for recipe in probe["recipes"]:
        known = sorted({run.batch_size for run in runs if run.recipe == recipe and run.batch_size != "full"}, key=int)
        for position, size in enumerate(probe.get("trained_with", ())):
            if str(size) not in known:
                place = locate(["probes", name, "trained_with", position])
                raise ConfigError(f"{place}: no run of {recipe} has the batch size {size}{choice(str(size), known)}")


def _check_drawn(
    probe: Mapping[str, Any], runs: Sequence[Run], sizes: Mapping[str, int | None], locate: Locate
) -> None:
    """Batches are drawn from fewer examples than there are, or their gradients would not differ."""
    for dataset in sorted({run.dataset for run in probed_runs({"gradients": probe}, "gradients", runs)}):
        limit = min(probe["examples"], sizes[dataset] or probe["examples"])
        for position, size in enumerate(probe["batch_sizes"]):
            if size >= limit:
                raise ConfigError(
                    f"{locate(['probes', 'gradients', 'batch_sizes', position])}: batches of {size} cannot be drawn "
                    f"from the {limit:,} examples of {dataset} that are looked at; valid is an integer below {limit}"
                )


def _check_evaluated(
    probe: Mapping[str, Any], runs: Sequence[Run], datasets: Mapping[str, Definition], locate: Locate
) -> None:
    """The validation part, as far as its size is known, holds a batch of every size."""
    for dataset in sorted({run.dataset for run in probed_runs({"modes": probe}, "modes", runs)}):
        limit = known_size(datasets[dataset], "validation")
        for position, size in enumerate(probe["batch_sizes"]):
            if limit is not None and size > limit:
                raise ConfigError(
                    f"{locate(['probes', 'modes', 'batch_sizes', position])}: {size} is larger than the {limit:,} "
                    f"validation examples of {dataset}; valid is an integer from 1 to {limit}"
                )


def _check_accumulation(
    probe: Mapping[str, Any],
    runs: Sequence[Run],
    recipes: Mapping[str, Definition],
    sizes: Mapping[str, int | None],
    locate: Locate,
) -> None:
    if probe["micro_batch_size"] >= probe["batch_size"]:
        raise ConfigError(
            f"{locate(['probes', 'accumulation', 'micro_batch_size'])}: {probe['micro_batch_size']} is not below the "
            f"batch size of {probe['batch_size']}; valid is an integer from 1 to {probe['batch_size'] - 1}"
        )
    for position, recipe in enumerate(probe["recipes"]):
        if recipes[recipe].content["tuning"] is not None:
            raise ConfigError(
                f"{locate(['probes', 'accumulation', 'recipes', position])}: {recipe} has no rate of its own before "
                "its tuning; valid is a recipe with tuning: null"
            )
    for dataset in sorted({run.dataset for run in runs if run.recipe in probe["recipes"]}):
        n_train = sizes[dataset]
        if n_train is not None and probe["batch_size"] > n_train:
            raise ConfigError(
                f"{locate(['probes', 'accumulation', 'batch_size'])}: {probe['batch_size']} is larger than the "
                f"{n_train:,} training examples of {dataset}; valid is an integer from 2 to {n_train}"
            )
