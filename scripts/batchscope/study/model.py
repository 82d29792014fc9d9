"""A study: read, validated, and expanded into the runs and timings that answer its question.

Nothing here imports a machine-learning framework or pandas, so that a dry run is instant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter

from batchscope.claims import definitions as claims
from batchscope.config import written
from batchscope.config.errors import ConfigError, Locate, choice, shown
from batchscope.config.sentences import valid as valid_in_words
from batchscope.config.settings import SETTINGS, Settings
from batchscope.config.written import DIFFERENT, List, Seed, Text, Written, defaults, plain, valid
from batchscope.config.yaml_files import locate_in, read_yaml
from batchscope.data.sources.keys import Dataset
from batchscope.study import comparisons, definitions, external_runs, own_claims, probing, published, targets
from batchscope.study.comparisons import Cell, Comparison, Run
from batchscope.study.definition_files import dataset_files, recipe_files
from batchscope.study.definitions import DATASETS, RECIPES, Definition, Kind, V
from batchscope.study.external_runs import Measurements
from batchscope.study.published import Published
from batchscope.study.recipes import Recipe
from batchscope.study.targets import Target
from batchscope.training import engines

__all__ = ["Cell", "ConfigError", "Run", "Study", "dataset_files", "load", "recipe_files"]

_CONFIG = "config (config/config.yaml or --config)"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_RESERVED = ("datasets", "runs", "timings", "tunings")  # folders in results/ beside those of the studies
_TRAINED = ("comparisons", "seeds", "targets", "datasets", "recipes", "published")  # keys of a study that trains


if TYPE_CHECKING:
    _Probes = Written
else:
    _Probes = probing.written()  # made of what is registered


class StudyFile(Written):
    """One question, and the data sets, recipes, batch sizes and seeds that answer it, or results made elsewhere."""

    title: Text
    """Title of the report."""
    question: Text
    """What the study wants to know, in a sentence or two; the report opens with it."""
    datasets: dict[str, object] = Field(default_factory=dict)
    """Data sets of this study only, by name, written as in datasets.yaml. A name of datasets.yaml is refused."""
    recipes: dict[str, object] = Field(default_factory=dict)
    """Recipes of this study only, by name, written as in recipes.yaml. A name of recipes.yaml is refused."""
    comparisons: Annotated[List[Comparison], Field(min_length=1), valid("a list of at least one comparison")] = Field(
        default_factory=tuple
    )
    """What is trained. Within an item every data set meets every recipe, batch size and seed; items are added up, and
    the same run may appear only once.
    """
    seeds: Annotated[
        List[Seed], Field(min_length=1), DIFFERENT, valid("a list of different integers from 0 to 2147483647")
    ] = Field(default_factory=tuple)
    """Seeds of the runs: initial weights, order of the examples, dropout, and the data where a data set is drawn per
    seed. Five or more give intervals worth printing.
    """
    timing: bool = True
    """Whether each (data set, recipe, batch size) is also timed, alone on the machine."""
    targets: Annotated[List[Target], valid("a list of targets")] = ()
    """What runs have to reach, fixed here before they are made."""
    probes: _Probes = defaults(_Probes)
    claims: dict[str, object] = Field(default_factory=dict)
    """Claims of this study only, by name, written as in claims.yaml. A name of claims.yaml is refused."""
    published: Annotated[List[Published], valid("a list of published numbers")] = ()
    """Numbers that others published, printed beside the study's own; they decide nothing."""
    verdicts: (
        Annotated[List[Annotated[str, valid("the name of a claim")]], DIFFERENT, valid("a list of names of claims")]
        | None
    ) = None
    """Names of the claims that get a verdict; null for all of claims.yaml and of this study."""
    measurements: Measurements | None = None


STUDY: TypeAdapter[StudyFile] = TypeAdapter(StudyFile)


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
        targets: what the runs have to reach.
        claims: the claims that get a verdict, by name.
        published: what others measured.
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
    targets: tuple[Target, ...]
    claims: dict[str, claims.Claim]
    published: tuple[Published, ...]
    measurements: Measurements | None
    path: Path
    settings: dict[str, Any]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every data set and recipe that meet, once, in the order of the study file."""
        if self.measurements is not None:
            return ((self.measurements.runs.dataset, self.measurements.runs.recipe),)
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
            return bool(self.measurements.runs.to_target)
        return any(target.applies(dataset) for target in self.targets)

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
            "targets": plain(self.targets),
            "claims": plain(self.claims),
            "published": plain(self.published),
            "measurements": plain(self.measurements),
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
    path = _study_file(settings.study, base)
    locate = locate_in(shown(path))
    file = _read(path, locate)
    datasets = _resolve_all(DATASETS, file.datasets, path, base)
    recipes = _resolve_all(RECIPES, file.recipes, path, base)
    measurements = file.measurements and external_runs.resolve(file.measurements, path, settings.data_folders, locate)
    replaced = settings.replace_datasets
    comparisons.check_replaced(replaced, file.comparisons, datasets, locate_in(_CONFIG, ["replace_datasets"]))
    compared = [item.on(replaced) for item in file.comparisons]
    cells = comparisons.expand(compared, datasets, recipes, locate)
    runs = tuple(Run(cell.dataset, cell.recipe, cell.batch_size, seed) for cell in cells for seed in file.seeds)
    used_datasets = {name: datasets[name] for name in dict.fromkeys(cell.dataset for cell in cells)}
    used_recipes = {name: recipes[name] for name in dict.fromkeys(cell.recipe for cell in cells)}
    timed = comparisons.timed(compared, file.timing)
    study = Study(
        name=path.stem,
        title=file.title.strip(),
        question=file.question.strip(),
        timing=file.timing,
        datasets={name: definition.content for name, definition in used_datasets.items()},
        recipes={name: definition.content for name, definition in used_recipes.items()},
        runs=runs,
        cells=timed,
        borrowed_timings=comparisons.borrowed_timings(compared, timed, used_recipes, locate),
        seeds=file.seeds,
        probes=file.probes.plain(),
        targets=tuple(target.on(replaced) for target in file.targets),
        claims=_claims(file, path, base, replaced, locate),
        published=file.published,
        measurements=measurements,
        path=Path(shown(path)),
        settings=settings.plain(),
    )
    _check(study, file, used_datasets, used_recipes, locate)
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


def _settings(config: Mapping[str, Any], base: Path) -> Settings:
    locate, file = locate_in(_CONFIG), base / "config" / "config.yaml"
    if file.is_file():  # Snakemake has read it, but of a key given twice it keeps the last in silence
        read_yaml(file)
    settings = written.read(SETTINGS, dict(config), locate)
    for index, folder in enumerate(settings.data_folders):
        if not Path(folder).expanduser().is_dir():
            place = locate(["data_folders", index])
            raise ConfigError(f"{place}: there is no folder {folder}; valid is the path of a folder")
    return settings.model_copy(update={"data_folders": tuple(shown(Path(each)) for each in settings.data_folders)})


def _read(path: Path, locate: Locate) -> StudyFile:
    """What a study file says, which trains something or names measurements, and not both."""
    file = written.read(STUDY, read_yaml(path), locate)
    if file.measurements is not None:
        for key in _TRAINED:
            if getattr(file, key):
                raise ConfigError(
                    f"{locate([key])}: a study with measurements trains nothing; valid is {key} or measurements, not "
                    "both"
                )
        return file
    for key in ("comparisons", "seeds"):
        if not getattr(file, key):
            rule = written.json_schema(STUDY)["properties"][key]
            raise ConfigError(f"{locate([key])}: the key is missing; valid is {valid_in_words(rule, {})}")
    return file


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


def _resolve_all(kind: Kind[V], inline: definitions.Content, path: Path, base: Path) -> dict[str, Definition[V]]:
    """Every definition of the registry and of the study, selected or not: a typo is found before it is needed."""
    registry_path = base / "config" / f"{kind.key}.yaml"
    registry = definitions.layers(kind, read_yaml(registry_path), registry_path)
    own = definitions.layers(kind, inline, path, [kind.key])
    for name, layer in own.items():
        if name in registry:
            raise ConfigError(
                f"{layer.locate([])}: {shown(registry_path)} has this name already; valid is another name"
            )
    known = {**registry, **own}
    resolved = {name: definitions.resolve(kind, name, registry) for name in registry}
    return resolved | {name: definitions.resolve(kind, name, known) for name in own}


def _claims(
    file: StudyFile, path: Path, base: Path, replaced: Mapping[str, str], locate: Locate
) -> dict[str, claims.Claim]:
    """The claims that the study selects, in its order; its own follow the data sets that are put in place of others."""
    known = claims.load(base / "config" / "claims.yaml", file.claims, path, replaced)
    selected = list(known) if file.verdicts is None else file.verdicts
    for position, name in enumerate(selected):
        if name not in known:
            raise ConfigError(f"{locate(['verdicts', position])}: there is no claim `{name}`{choice(name, known)}")
    return {name: known[name] for name in selected}


def _check(
    study: Study,
    file: StudyFile,
    datasets: Mapping[str, Definition[Dataset]],
    recipes: Mapping[str, Definition[Recipe]],
    locate: Locate,
) -> None:
    """Refuse what does not fit together, once everything is known."""
    for recipe in recipes.values():
        _check_engine(study.settings["engine"], study.settings["loop"], recipe)
        if study.settings["loop"] == "fit":
            _check_fit(recipe)
    _check_tuning_seeds(study.seeds, recipes)
    sizes = {name: definitions.known_size(dataset) for name, dataset in datasets.items()}
    probing.check(study.probes, study.runs, recipes, datasets, sizes, locate)
    targets.check(study.targets, datasets, locate)
    if study.measurements is None:
        own = {name: study.claims[name] for name in file.claims if name in study.claims}
        own_claims.check(own, study, sizes, locate)
    published.check(study, locate)


def _check_tuning_seeds(seeds: tuple[int, ...], recipes: Mapping[str, Definition[Recipe]]) -> None:
    """A rate chosen and reported on the same seeds looks better than it is."""
    for recipe in recipes.values():
        for position, seed in enumerate(recipe.value.tuning.seeds if recipe.value.tuning else ()):
            if seed in seeds:
                raise ConfigError(
                    f"{recipe.locate(['tuning', 'seeds', position])}: {seed} is also a seed of the study's runs, whose "
                    "results would then look better than they are; valid are seeds that the study does not use"
                )


def _check_engine(engine: str, loop: str, recipe: Definition[Recipe]) -> None:
    """What the engine cannot do is refused before any job starts."""
    refused = engines.about(engine).refuse(recipe.content, loop)
    if refused is not None:
        raise ConfigError(f"{_CONFIG}: engine: {engine} cannot train recipe {recipe.content['name']}: it {refused}")


def _check_fit(recipe: Definition[Recipe]) -> None:
    """`model.fit` cannot do all that the fused loop does, and would train something else in silence."""
    micro = recipe.value.micro_batch_size
    if micro is not None:
        raise ConfigError(
            f"{_CONFIG}: loop: fit cannot accumulate the micro batches of {micro} that "
            f"{recipe.locate(['micro_batch_size'])} asks for; valid is loop: fused, or micro_batch_size: null"
        )
    if recipe.value.optimizer.use_ema:
        raise ConfigError(
            f"{_CONFIG}: loop: fit replaces the weights by their moving average after every epoch, not when "
            f"{recipe.locate(['optimizer', 'use_ema'])} asks for it; valid is loop: fused, or use_ema: false"
        )
