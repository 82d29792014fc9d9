"""A study: read, validated, and expanded into the runs and timings that answer its question.

Nothing here imports a machine-learning framework or pandas, so that a dry run is instant.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import Field, StringConstraints, TypeAdapter

from batchscope.analysis.external_runs.given import SHOWN
from batchscope.claims import definitions as claims
from batchscope.claims.published import Published
from batchscope.config import written
from batchscope.config.batch_sizes import BatchSize
from batchscope.config.errors import ConfigError, Fault, Locate, below, choice, refuse_unknown, shown
from batchscope.config.written import (
    DIFFERENT,
    NAME,
    NAME_WORDS,
    List,
    Seed,
    Text,
    Written,
    defaults,
    plain,
    valid,
)
from batchscope.config.yaml_files import locate_in, read_yaml
from batchscope.data.sources.keys import Dataset
from batchscope.probes.settings import Settings as ProbeSettings
from batchscope.study import (
    comparisons,
    definitions,
    exports,
    external_runs,
    own_claims,
    probing,
    published,
    settings,
    targets,
)
from batchscope.study.comparisons import Cell, Comparison, Run
from batchscope.study.definitions import DATASETS, RECIPES, Definition
from batchscope.study.external_runs import Measurements
from batchscope.study.recipes import Recipe
from batchscope.study.report_name import RESERVED
from batchscope.study.settings import Settings
from batchscope.study.targets import Target
from batchscope.tables.metrics import OWN_CURVES
from batchscope.training import engines
from batchscope.training.recipes import Recipe as Resolved

__all__ = ["Cell", "ConfigError", "Run", "Study", "load"]

_TRAINED = ("comparisons", "seeds", "datasets", "recipes", "published")  # keys of a study that trains
_Paragraph = Annotated[Text, StringConstraints(strip_whitespace=True)]
_COMPARISONS = "a list of at least one comparison"
_SEEDS = "a list of different integers from 0 to 2147483647"


if TYPE_CHECKING:
    _Probes = Written
else:
    _Probes = probing.written()  # made of what is registered


class StudyFile(Written):
    """One question, and the data sets, recipes, batch sizes and seeds that answer it, or results made elsewhere."""

    title: _Paragraph
    """Title of the report."""
    question: _Paragraph
    """What the study wants to know, in a sentence or two; the report opens with it."""
    datasets: dict[str, object] = Field(default_factory=dict)
    """Data sets of this study only, by name, written as in datasets.yaml. A name of datasets.yaml is refused."""
    recipes: dict[str, object] = Field(default_factory=dict)
    """Recipes of this study only, by name, written as in recipes.yaml. A name of recipes.yaml is refused."""
    comparisons: Annotated[List[Comparison], Field(min_length=1), valid(_COMPARISONS)] = Field(default_factory=tuple)
    """What is trained. Within an item every data set meets every recipe, batch size and seed; items are added up, and
    the same run may appear only once.
    """
    seeds: Annotated[List[Seed], Field(min_length=1), DIFFERENT, valid(_SEEDS)] = Field(default_factory=tuple)
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

    def conflicts(self) -> Iterator[Fault]:
        """A study trains something or names measurements, and not both."""
        if self.measurements is not None:
            for key in _TRAINED:
                if getattr(self, key):
                    yield [key], f"a study with measurements trains nothing; valid is {key} or measurements, not both"
            if self.targets and self.measurements.histories is None:
                yield (
                    ["targets"],
                    "nothing says when runs reached them; valid are measurements.histories, or columns of "
                    "measurements.runs",
                )
        elif not self.comparisons:
            yield ["comparisons"], f"the key is missing; valid is {_COMPARISONS}"
        elif not self.seeds:
            yield ["seeds"], f"the key is missing; valid is {_SEEDS}"

    def on(self, replaced: Mapping[str, str]) -> StudyFile:
        """The study on other data sets."""
        compared, targets = ([each.on(replaced) for each in items] for items in (self.comparisons, self.targets))
        return self.model_copy(update={"comparisons": tuple(compared), "targets": tuple(targets)})


STUDY: TypeAdapter[StudyFile] = TypeAdapter(StudyFile)


@dataclass(frozen=True)
class Study:
    """A validated study.

    Attributes:
        path: its file, whose stem is its name; its results are in `results/{name}/`.
        settings: `config.yaml` with its defaults.
        file: what the study says, with the data sets that are put in place of others and the paths of measurements.
        datasets: the data sets that it uses, by name.
        recipes: the recipes that it uses, by name.
        claims: the claims that get a verdict, by name.
    """

    path: Path
    settings: Settings
    file: StudyFile
    datasets: dict[str, Definition[Dataset]]
    recipes: dict[str, Definition[Recipe]]
    claims: dict[str, claims.Claim]

    @property
    def name(self) -> str:
        """What the study is called: like its file, or, where that was made from a table, like its folder."""
        return self.path.stem if self.settings.runs is None else self.path.parent.name

    @cached_property
    def trained(self) -> tuple[Cell, ...]:
        """Every cell that is trained with each seed, in the order of the study file."""
        return tuple(cell for item in self.file.comparisons for cell in item.cells())

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every run once, in the order of the study file."""
        return tuple(Run(**vars(cell), seed=seed) for cell in self.trained for seed in self.file.seeds)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell to be timed once, in the order of the study file."""
        timed = (item for item in self.file.comparisons if item.is_timed(self.file.timing))
        return tuple(cell for item in timed for cell in item.cells())

    @property
    def borrowed_timings(self) -> dict[tuple[str, str], str]:
        """By data set and recipe, the recipe of the study whose timings stand in for its own."""
        borrowing = ((item, item.timing) for item in self.file.comparisons if isinstance(item.timing, str))
        return {(cell.dataset, cell.recipe): timed for item, timed in borrowing for cell in item.cells()}

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every data set and recipe that meet, once, in the order of the study file or of the file of measurements."""
        if self.file.measurements is not None:
            named = self.file.measurements.runs.named
            return (named,) if named else self.measured.pairs
        return tuple(dict.fromkeys((cell.dataset, cell.recipe) for cell in self.trained))

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """Those of `pairs` that figures are drawn for and the page shows in full: of a large table the first."""
        return self.pairs if self.file.measurements is None else self.pairs[:SHOWN]

    @cached_property
    def measured(self) -> external_runs.Found:
        """What the files of measurements hold, read in full."""
        if self.file.measurements is None:
            raise ValueError(f"{self.path} names no measurements")
        return external_runs.find(self.file.measurements)

    @property
    def tuned_pairs(self) -> set[tuple[str, str]]:
        """Data sets and recipes with several learning rates of which the best was chosen."""
        if self.file.measurements is not None:
            return set(self.measured.tuned) if "learning_rate" in self.file.measurements.runs.columns else set()
        return {(cell.dataset, cell.recipe) for cell in self.tunings}

    def followed(self, metrics: Collection[str]) -> set[tuple[str, str]]:
        """Data sets and recipes of which one of these metrics (`CURVES`) is known on the way."""
        if self.file.measurements is None:
            return set(self.pairs) if {*metrics} & {*OWN_CURVES} else set()
        return {(dataset, recipe) for dataset, recipe, recorded in self.measured.followed if recorded in metrics}

    def batch_sizes(self, pair: tuple[str, str]) -> set[BatchSize]:
        """The batch sizes at which a recipe is trained on a data set."""
        return {cell.batch_size for cell in self.trained if (cell.dataset, cell.recipe) == pair}

    @property
    def tunings(self) -> tuple[Cell, ...]:
        """Every cell whose learning rate is tuned."""
        return tuple(cell for cell in self.trained if self.recipes[cell.recipe].value.tuning is not None)

    @property
    def measured_files(self) -> list[str]:
        """The files of measurements made elsewhere."""
        return [] if self.file.measurements is None else self.file.measurements.files

    def has_targets(self, dataset: str) -> bool:
        """Whether there is something to reach for the runs on a data set."""
        if self.file.measurements is not None:
            return bool(self.file.measurements.runs.to_target or self.file.measurements.histories)
        return any(target.applies(dataset) for target in self.file.targets)

    @property
    def probes(self) -> dict[str, ProbeSettings]:
        """What the study says about each probe that it has."""
        return {name: settings for name, settings in self.file.probes if settings is not None}

    def probed_runs(self, probe: str) -> tuple[Run, ...]:
        """The runs that a probe looks at, or that it trains; see `probes.settings.Settings`."""
        settings = self.probes.get(probe)
        if settings is None:
            return ()
        keys = settings.plain()
        of_recipe = [run for run in self.runs if run.recipe in settings.recipes]
        if "batch_size" in keys:
            own = BatchSize(keys["batch_size"])
            return tuple(dict.fromkeys(replace(run, batch_size=own) for run in of_recipe))
        wanted = keys.get("trained_with")
        return tuple(run for run in of_recipe if wanted is None or run.batch_size.examples in wanted)

    def probed_cells(self, probe: str) -> tuple[Cell, ...]:
        """The cells that a probe, which has no seeds, looks at."""
        return tuple(dict.fromkeys(run.cell for run in self.probed_runs(probe)))

    def describe(self) -> dict[str, Any]:
        """The study as JSON-like content: what Snakemake hands to jobs, and what the report reads."""
        says = self.file.plain()
        return {
            "name": self.name,
            "title": self.file.title,
            "question": self.file.question,
            "file": str(self.path),
            "timing": self.file.timing,
            "datasets": {name: dataset.content for name, dataset in self.datasets.items()},
            "recipes": {name: recipe.content for name, recipe in self.recipes.items()},
            "cells": [{**vars(cell), "batch_size": str(cell.batch_size)} for cell in self.trained],
            "borrowed_timings": [
                {"dataset": dataset, "recipe": recipe, "timed_recipe": timed}
                for (dataset, recipe), timed in self.borrowed_timings.items()
            ],
            **{key: says[key] for key in ("seeds", "probes", "targets")},
            "claims": plain(self.claims),
            **{key: says[key] for key in ("published", "measurements")},
            "settings": self.settings.plain(),
        }


def load(config: Mapping[str, Any], base: Path, results: Path = Path("results")) -> Study:
    """Read and validate the study that `config` selects, or the one that `exports.prepare` made of a table.

    Args:
        config: what Snakemake read from `config/config.yaml`, `--configfile` and `--config`; keys may be missing.
        base: folder of the workflow, which holds `config/`.
        results: folder that the results go to.

    Raises:
        ConfigError: one sentence on what the user must change, and in which file.
    """
    chosen, folder = settings.load(config, base), base / "config"
    path = exports.study_file(chosen, base, results) if chosen.runs else _study_file(chosen.study, folder / "studies")
    locate = locate_in(shown(path))
    file = written.read(STUDY, read_yaml(path), locate)
    datasets = definitions.load(DATASETS, file.datasets, path, folder / "datasets.yaml")
    recipes = definitions.load(RECIPES, file.recipes, path, folder / "recipes.yaml")
    if file.measurements is not None:
        found = external_runs.resolve(file.measurements, path, chosen.data_folders, locate)
        file = file.model_copy(update={"measurements": found})
    replaced = chosen.replace_datasets
    comparisons.check_replaced(replaced, file.comparisons, datasets, locate_in(settings.PLACE, ["replace_datasets"]))
    file = file.on(replaced)
    comparisons.check(file.comparisons, datasets, recipes, locate)
    study = Study(
        path=Path(shown(path)),
        settings=chosen,
        file=file,
        datasets={name: datasets[name] for item in file.comparisons for name in item.datasets},
        recipes={name: recipes[name] for item in file.comparisons for name in item.recipes},
        claims=_claims(file, path, folder / "claims.yaml", replaced, locate),
    )
    for recipe in study.recipes.values():
        _check_recipe(recipe, study)
    for check in (comparisons.check_timings, probing.check, targets.check, own_claims.check, published.check):
        check(study, locate)
    return study


def check_sizes(study: Study, dataset: str, n_train: int) -> None:
    """Refuse batch sizes that data have not whose number only the made data set tells.

    Raises:
        ConfigError: a batch size is larger than the training part.
    """
    for run in study.runs:
        if run.dataset == dataset:
            run.batch_size.refuse_larger(n_train, dataset, f"{study.path}: batch_sizes")


def _study_file(study: str, folder: Path) -> Path:
    """The file of a study that is given by its name, so that it lies in `folder`, or by its path."""
    place = f"{settings.PLACE}: study"
    if "/" in study or study.endswith((".yaml", ".yml")):
        path = Path(study).expanduser()
        if not path.is_file():
            raise ConfigError(
                f"{place}: there is no file {study}; valid is the path of a study file, or a study's name"
            )
    else:
        path = folder / f"{study}.yaml"
        if not path.is_file():
            names = [*sorted(file.stem for file in folder.glob("*.yaml")), "the path of a .yaml file"]
            raise ConfigError(f"{place}: there is no study `{study}`{choice(study, names)}")
    if not re.fullmatch(NAME, path.stem):
        raise ConfigError(
            f"{shown(path)}: a study is named like its file, and `{path.stem}` is no name; valid are {NAME_WORDS}"
        )
    if path.stem in RESERVED:
        raise ConfigError(f"{shown(path)}: results/{path.stem}/ is not free for a study; valid is another file name")
    own = folder / path.name
    if own.is_file() and not own.samefile(path):
        raise ConfigError(
            f"{shown(path)}: a study of this name comes with Batchscope, and both would write to results/{path.stem}/; "
            "valid is another file name"
        )
    return path


def _claims(
    file: StudyFile, path: Path, registry: Path, replaced: Mapping[str, str], locate: Locate
) -> dict[str, claims.Claim]:
    """The claims that the study selects, in its order; its own follow the data sets that are put in place of others."""
    known = claims.load(registry, file.claims, path, replaced)
    selected = tuple(known) if file.verdicts is None else file.verdicts
    refuse_unknown(selected, known, below(locate, "verdicts"), "there is no claim `{}`")
    return {name: known[name] for name in selected}


def _check_recipe(recipe: Definition[Recipe], study: Study) -> None:
    """Refuse a recipe that the engine or the loop cannot train, or that is tuned on seeds of the study."""
    engine, loop = study.settings.engine, study.settings.loop
    refused = engines.about(engine).refuse(cast(Resolved, recipe.content), loop)
    if refused is not None:
        raise ConfigError(f"{settings.PLACE}: engine: {engine} cannot train recipe {recipe.name}: it {refused}")
    micro = recipe.value.micro_batch_size
    if loop == "fit" and micro is not None:  # it would train something else in silence
        raise ConfigError(
            f"{settings.PLACE}: loop: fit cannot accumulate the micro batches of {micro} that "
            f"{recipe.locate(['micro_batch_size'])} asks for; valid is loop: fused, or micro_batch_size: null"
        )
    if loop == "fit" and recipe.value.optimizer.use_ema:
        raise ConfigError(
            f"{settings.PLACE}: loop: fit replaces the weights by their moving average after every epoch, not when "
            f"{recipe.locate(['optimizer', 'use_ema'])} asks for it; valid is loop: fused, or use_ema: false"
        )
    for position, seed in enumerate(recipe.value.tuning.seeds if recipe.value.tuning else ()):
        if seed in study.file.seeds:  # a rate chosen and reported on the same seeds looks better than it is
            raise ConfigError(
                f"{recipe.locate(['tuning', 'seeds', position])}: {seed} is also a seed of the study's runs, whose "
                "results would then look better than they are; valid are seeds that the study does not use"
            )
