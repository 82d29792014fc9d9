"""A study: read, validated, and expanded into the runs and timings that answer its question.

Nothing here imports a machine-learning framework or pandas, so that a dry run is instant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchscope.claims import definitions as claims
from batchscope.config.validation import ConfigError, Locate, check, choice, fill, locate_in, read_yaml, shown
from batchscope.study import comparisons, definitions, external_runs, own_claims, probing, published
from batchscope.study.comparisons import Cell, Run
from batchscope.study.definition_files import dataset_files, recipe_files
from batchscope.study.definitions import Definition, Kind
from batchscope.training import engines

__all__ = ["Cell", "ConfigError", "Run", "Study", "dataset_files", "load", "recipe_files"]

_CONFIG = "config (config/config.yaml or --config)"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_RESERVED = ("datasets", "runs", "timings", "tunings")  # folders in results/ beside those of the studies


@dataclass(frozen=True)
class Study:
    """A validated study.

    Attributes:
        name: stem of the study's file; its results are in `results/{name}/`.
        title: title of the report.
        question: what the study wants to know.
        timing: whether every cell is timed.
        datasets: resolved definitions of the data sets that the study uses, by name; built-in scalars, lists and
            dicts only, every key present, in a fixed order.
        recipes: the same for recipes.
        runs: every run once, in the order of the study file.
        cells: every cell to be timed once; none where `timing` is false.
        borrowed_timings: by data set and recipe, the recipe of the study whose timings stand in for its own.
        seeds: seeds of the runs.
        probes: what is probed, by kind of probe; None for a kind that is not.
        targets: what the runs have to reach, each with datasets (or None), metric, values and evaluations_in_a_row.
        claims: the claims that get a verdict, resolved, by name.
        published: what others measured, each with metric, value, plus_minus, source, batch_size, at and target.
        measurements: results made elsewhere that stand in for runs, with the paths of their files; None where runs are
            trained.
        path: the study file.
        settings: `config.yaml` with its defaults.
    """

    name: str
    title: str
    question: str
    timing: bool
    datasets: dict[str, dict[str, Any]]
    recipes: dict[str, dict[str, Any]]
    runs: tuple[Run, ...]
    cells: tuple[Cell, ...]
    borrowed_timings: dict[tuple[str, str], str]
    seeds: tuple[int, ...]
    probes: dict[str, dict[str, Any] | None]
    targets: tuple[dict[str, Any], ...]
    claims: dict[str, dict[str, Any]]
    published: tuple[dict[str, Any], ...]
    measurements: dict[str, Any] | None
    path: Path
    settings: dict[str, Any]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every data set and recipe that meet, once, in the order of the study file."""
        if self.measurements is not None:
            return ((self.measurements["runs"]["dataset"], self.measurements["runs"]["recipe"]),)
        return tuple(dict.fromkeys((run.dataset, run.recipe) for run in self.runs))

    def batch_sizes(self, pair: tuple[str, str]) -> set[str]:
        """The batch sizes, as text, at which a recipe is trained on a data set."""
        return {run.batch_size for run in self.runs if (run.dataset, run.recipe) == pair}

    @property
    def tunings(self) -> tuple[Cell, ...]:
        """Every cell whose learning rate is tuned."""
        return tuple(dict.fromkeys(run.cell for run in self.runs if self.recipes[run.recipe]["tuning"] is not None))

    def has_targets(self, dataset: str) -> bool:
        """Whether there is something to reach for the runs on a data set."""
        if self.measurements is not None:
            return external_runs.reach_targets(self.measurements["runs"])
        return any(target["datasets"] is None or dataset in target["datasets"] for target in self.targets)

    def probed_runs(self, probe: str) -> tuple[Run, ...]:
        """The runs that a probe looks at."""
        return probing.probed_runs(self.probes, probe, self.runs)

    def probed_cells(self, probe: str) -> tuple[Cell, ...]:
        """The cells that a probe without seeds looks at."""
        return probing.probed_cells(self.probes, probe, self.runs)

    def describe(self) -> dict[str, Any]:
        """The study as JSON-like content, for the report."""
        return {
            "name": self.name,
            "title": self.title,
            "question": self.question,
            "file": str(self.path),
            "timing": self.timing,
            "datasets": self.datasets,
            "recipes": self.recipes,
            "cells": [vars(run.cell) for run in self.runs if run.seed == self.seeds[0]],
            "borrowed_timings": [
                {"dataset": dataset, "recipe": recipe, "timed_recipe": timed}
                for (dataset, recipe), timed in self.borrowed_timings.items()
            ],
            "seeds": list(self.seeds),
            "probes": self.probes,
            "targets": list(self.targets),
            "claims": self.claims,
            "published": list(self.published),
            "measurements": self.measurements,
            "settings": self.settings,
        }


def load(config: Mapping[str, Any], base: Path) -> Study:
    """Read and validate the study that `config` selects.

    Args:
        config: what Snakemake read from `config/config.yaml`, `--configfile` and `--config`; keys may be missing.
        base: folder of the workflow, which holds `config/`.

    Raises:
        ConfigError: one sentence on what the user must change, and in which file.
    """
    settings = _settings(config, base)
    path = _study_file(settings["study"], base)
    content = read_yaml(path)
    if content.get("measurements", True) is None:  # as good as no key, which is what the schema asks about
        del content["measurements"]
    locate = locate_in(shown(path))
    check(content, "study", locate)
    inline = {kind: content.get(kind, {}) for kind in ("datasets", "recipes", "claims")}
    content = {**fill(content, "study"), **inline}
    datasets = _resolve_all("datasets", content["datasets"], path, base)
    recipes = _resolve_all("recipes", content["recipes"], path, base)
    measurements = _measurements(content, settings, path, locate)
    content = comparisons.with_other_datasets(
        content, settings["replace_datasets"], datasets, f"{_CONFIG}: replace_datasets"
    )
    runs = () if measurements else comparisons.expand(content, datasets, recipes, locate)
    used_datasets = {name: datasets[name] for name in dict.fromkeys(run.dataset for run in runs)}
    used_recipes = {name: recipes[name] for name in dict.fromkeys(run.recipe for run in runs)}
    _check_loop(settings, used_recipes)
    _check_tuning_seeds(content, used_recipes)
    sizes = {name: definitions.known_size(dataset) for name, dataset in used_datasets.items()}
    probing.check(content["probes"], runs, used_recipes, used_datasets, sizes, locate)
    _check_targets(content["targets"], used_datasets, locate)
    known_claims = claims.load(base / "config" / "claims.yaml", content["claims"], path)
    for name in content["claims"]:
        _rename_datasets(known_claims[name]["scope"]["dataset"], settings["replace_datasets"])
    study = Study(
        name=path.stem,
        title=content["title"].strip(),
        question=content["question"].strip(),
        timing=content["timing"],
        datasets={name: definition.content for name, definition in used_datasets.items()},
        recipes={name: definition.content for name, definition in used_recipes.items()},
        runs=runs,
        cells=comparisons.timed(content),
        borrowed_timings=comparisons.borrowed_timings(content, used_recipes, locate),
        seeds=tuple(content.get("seeds", ())),
        probes=content["probes"],
        targets=tuple(content["targets"]),
        claims=_selected_claims(content, known_claims, locate),
        published=tuple(content["published"]),
        measurements=measurements,
        path=Path(shown(path)),
        settings=settings,
    )
    if measurements is None:
        own_claims.check(
            {name: study.claims[name] for name in content["claims"] if name in study.claims}, study, sizes, locate
        )
    published.check(study, locate)
    return study


def check_sizes(study: Study, dataset: str, n_train: int) -> None:
    """Refuse batch sizes that data have not whose number only the made data set tells.

    Raises:
        ConfigError: a batch size is larger than the training part.
    """
    for run in study.runs:
        if run.dataset == dataset and run.batch_size != "full" and int(run.batch_size) > n_train:
            raise ConfigError(
                f"{study.path}: batch size {run.batch_size} is larger than the {n_train} training examples of "
                f"{dataset}; valid is an integer from 1 to {n_train}, or full"
            )


def _settings(config: Mapping[str, Any], base: Path) -> dict[str, Any]:
    locate, file = locate_in(_CONFIG), base / "config" / "config.yaml"
    if file.is_file():  # Snakemake has read it, but of a key given twice it keeps the last in silence
        read_yaml(file)
    check(dict(config), "config", locate)
    settings: dict[str, Any] = fill(dict(config), "config")
    for index, folder in enumerate(settings["data_folders"]):
        settings["data_folders"][index] = shown(Path(folder))
        if not Path(folder).expanduser().is_dir():
            place = locate(["data_folders", index])
            raise ConfigError(f"{place}: there is no folder {folder}; valid is the path of a folder")
    return settings


def _study_file(study: str, base: Path) -> Path:
    """The file of a study that is given by its name or by its path."""
    place = f"{_CONFIG}: study"
    if "/" in study or study.endswith((".yaml", ".yml")):
        path = Path(study).expanduser()
        if not path.is_file():
            raise ConfigError(
                f"{place}: there is no file {study}; valid is the path of a study file, or a study's name"
            )
    else:
        path = base / "config" / "studies" / f"{study}.yaml"
        if not path.is_file():
            names = sorted(file.stem for file in path.parent.glob("*.yaml"))
            raise ConfigError(
                f"{place}: there is no study `{study}`{choice(study, [*names, 'the path of a .yaml file'])}"
            )
    if not _NAME.fullmatch(path.stem):
        raise ConfigError(
            f"{shown(path)}: a study is named like its file, and `{path.stem}` is no name; valid are lower-case "
            "letters, digits, - and _, starting with a letter or digit"
        )
    if path.stem in _RESERVED:
        raise ConfigError(f"{shown(path)}: results/{path.stem}/ is not free for a study; valid is another file name")
    own = base / "config" / "studies" / path.name
    if own.is_file() and not own.samefile(path):
        raise ConfigError(
            f"{shown(path)}: a study of this name comes with Batchscope, and both would write to results/{path.stem}/; "
            "valid is another file name"
        )
    return path


def _resolve_all(kind: Kind, inline: Mapping[str, Any], path: Path, base: Path) -> dict[str, Definition]:
    """Every definition of the registry and of the study, selected or not: a typo is found before it is needed."""
    registry_path = base / "config" / f"{kind}.yaml"
    registry = definitions.layers(kind, read_yaml(registry_path), registry_path)
    own = definitions.layers(kind, inline, path, [kind])
    for name in own:
        if name in registry:
            raise ConfigError(
                f"{shown(path)}: {kind}.{name}: {shown(registry_path)} has this name already; valid is another name"
            )
    known = {**registry, **own}
    resolved = {name: definitions.resolve(kind, name, registry) for name in registry}
    return resolved | {name: definitions.resolve(kind, name, known) for name in own}


def _measurements(
    content: Mapping[str, Any], settings: Mapping[str, Any], path: Path, locate: Locate
) -> dict[str, Any] | None:
    """The measurements of a study that trains nothing; None for one that trains."""
    if content["measurements"] is None:
        return None
    for key in ("comparisons", "seeds", "targets", "datasets", "recipes", "published"):
        if content.get(key):
            raise ConfigError(
                f"{locate([key])}: a study with measurements trains nothing; valid is {key} or measurements, not both"
            )
    return external_runs.resolve(content["measurements"], path, settings["data_folders"], locate)


def _rename_datasets(scope: dict[str, Any], replaced: Mapping[str, str]) -> None:
    """A claim of the study's own follows the data sets that are put in the place of others."""
    if "name" in scope:
        scope["name"] = [replaced.get(name, name) for name in scope["name"]]


def _selected_claims(
    content: Mapping[str, Any], known: Mapping[str, dict[str, Any]], locate: Locate
) -> dict[str, dict[str, Any]]:
    """The claims that the study selects, in its order."""
    selected = content["verdicts"] if content["verdicts"] is not None else list(known)
    for position, name in enumerate(selected):
        if name not in known:
            raise ConfigError(f"{locate(['verdicts', position])}: there is no claim `{name}`{choice(name, known)}")
    return {name: known[name] for name in selected}


def _check_tuning_seeds(content: Mapping[str, Any], recipes: Mapping[str, Definition]) -> None:
    """A rate chosen and reported on the same seeds looks better than it is."""
    for recipe in recipes.values():
        for position, seed in enumerate((recipe.content["tuning"] or {}).get("seeds", ())):
            if seed in content["seeds"]:
                raise ConfigError(
                    f"{recipe.locate(['tuning', 'seeds', position])}: {seed} is also a seed of the study's runs, whose "
                    "results would then look better than they are; valid are seeds that the study does not use"
                )


def _check_targets(targets: Sequence[Mapping[str, Any]], datasets: Mapping[str, Definition], locate: Locate) -> None:
    """Targets are about data sets of the study, errors are below 1, and no target is given twice."""
    seen: set[tuple[str, str, float]] = set()
    for index, target in enumerate(targets):
        for position, name in enumerate(target["datasets"] or ()):
            if name not in datasets:
                place = locate(["targets", index, "datasets", position])
                raise ConfigError(f"{place}: no run of the study is about `{name}`{choice(name, datasets)}")
        for position, value in enumerate(target["values"]):
            place = locate(["targets", index, "values", position])
            if target["metric"].endswith("error") and value >= 1:
                raise ConfigError(
                    f"{place}: {value:g} is no share of wrong answers to reach; valid is a number below 1"
                )
            for name in target["datasets"] or datasets:
                if (name, target["metric"], value) in seen:
                    raise ConfigError(
                        f"{place}: {target['metric']} {value:g} is a target of {name} already; valid is to give it once"
                    )
                seen.add((name, target["metric"], value))


def _check_loop(settings: Mapping[str, Any], recipes: Mapping[str, Definition]) -> None:
    """What the engine cannot do is refused; and `model.fit` would train something else in silence."""
    for recipe in recipes.values():
        refused = engines.about(settings["engine"]).refuse(recipe.content, settings["loop"])
        if refused is not None:
            name = recipe.content["name"]
            raise ConfigError(f"{_CONFIG}: engine: {settings['engine']} cannot train recipe {name}: it {refused}")
    if settings["loop"] != "fit":
        return
    for recipe in recipes.values():
        micro = recipe.content["micro_batch_size"]
        if micro is not None:
            raise ConfigError(
                f"{_CONFIG}: loop: fit cannot accumulate the micro batches of {micro} that "
                f"{recipe.locate(['micro_batch_size'])} asks for; valid is loop: fused, or micro_batch_size: null"
            )
        if recipe.content["optimiser"]["use_ema"]:
            raise ConfigError(
                f"{_CONFIG}: loop: fit replaces the weights by their moving average after every epoch, not when "
                f"{recipe.locate(['optimiser', 'use_ema'])} asks for it; valid is loop: fused, or use_ema: false"
            )
