"""Whether the runs, timings and probes of a study can decide the claims that it makes itself.

A claim of `config/claims.yaml` that fits nothing in a study is reported as not measured; in one that the study's author
wrote for it, that is a mistake. Nothing here imports pandas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batchscope.claims import scope
from batchscope.claims.definitions import METRICS
from batchscope.claims.scope import Pair
from batchscope.config.validation import ConfigError, Key, Locate, choice
from batchscope.stats import FITTED_SIZES
from batchscope.text import count, listing

if TYPE_CHECKING:
    from batchscope.study.model import Study

Claim = Mapping[str, Any]
_DRAWN = ("gradients", "modes")  # probes whose batch sizes are their own
_SIZES = ("batch_size", "batch_sizes", "among", "than", "pairs")


def check(own: Mapping[str, Claim], study: Study, sizes: Mapping[str, int | None], locate: Locate) -> None:
    """Refuse a claim that no result of the study can decide.

    Args:
        own: the claims that the study defines, resolved, by name.
        study: a study that trains.
        sizes: by data set, the number of training examples, None where it is not known before the data are read.
        locate: where the user wrote a key of the study.

    Raises:
        ConfigError: one sentence on what to change.
    """
    described = study.describe()
    for name, claim in own.items():
        fitting = [pair for pair in study.pairs if scope.fits(claim, pair, described)]
        if not fitting:
            where = "scope" if any(claim["scope"].values()) else "test"
            raise ConfigError(
                f"{locate(['claims', name, where])}: no data set and recipe of the study meet {scope.wanted(claim)}; "
                "valid are conditions that some do"
            )
        available = {pair: _available(claim, pair, study, sizes[pair[0]]) for pair in study.pairs}
        if claim["test"]["kind"] == "arms":
            _check_arms(claim, fitting, available, described, locate)
        _check_source(claim["metric"], locate(["claims", name, "metric"]), fitting, study)
        if claim["test"].get("along"):
            _check_source(claim["test"]["along"], locate(["claims", name, "test", "along"]), fitting, study)
        _check_sizes(claim, [available[pair] for pair in fitting], locate)
        # A full batch whose number of examples is known is there twice, by its name and its number.
        twice = {pair: "full" in available[pair] and sizes[pair[0]] is not None for pair in fitting}
        _check_seeds(claim, len(study.seeds), locate)
        _check_number(claim, max(len(available[pair]) - twice[pair] for pair in fitting), locate)


def _check_arms(
    claim: Claim,
    fitting: Sequence[Pair],
    available: Mapping[Pair, set[int | str]],
    described: Mapping[str, Any],
    locate: Locate,
) -> None:
    """For every value compared with there is a recipe that differs in it alone, and was trained at the same sizes."""
    key, place = claim["test"]["key"], locate(["claims", claim["name"], "test", "second"])
    named = {size for _, size in _named(claim["test"])}
    for value in claim["test"]["second"]:
        twins = [(pair, twin) for pair in fitting for twin in scope.twins(key, value, pair, list(available), described)]
        if not twins:
            shown = str(value).lower() if isinstance(value, bool) else value
            recipes = " or ".join(dict.fromkeys(recipe for _, recipe in fitting))
            raise ConfigError(
                f"{place}: no recipe of the study has {key} {shown} and is otherwise the same as {recipes}; valid is a "
                "value that such a recipe has"
            )
        shared = [available[pair] & available[twin] for pair, twin in twins]
        if not any(sizes and named <= sizes for sizes in shared):
            sizes_named = f"all of {listing(sorted(map(str, named)))}" if named else "any batch size"
            raise ConfigError(
                f"{place}: {twins[0][0][1]} and {twins[0][1][1]} are not both trained at {sizes_named}; valid are "
                "recipes that the study trains at the same batch sizes"
            )


def _check_source(metric: str, place: str, fitting: Sequence[Pair], study: Study) -> None:
    """The study measures what the claim is about."""
    known, recipes = METRICS[metric], sorted({recipe for _, recipe in fitting})
    probe = study.probes[known.probe] if known.probe else None
    lacks: tuple[str, str] | None = None
    if known.probe and not (probe and set(recipes) & set(probe["recipes"])):
        lacks = f"the probe of {known.probe}", f"to ask for it under probes.{known.probe}"
    elif known.table in ("to_target", "critical_batch_size") and not any(
        study.has_targets(data) for data, _ in fitting
    ):
        lacks = "targets", "to set some under targets"
    elif known.table == "windows" and not any((cell.dataset, cell.recipe) in fitting for cell in study.cells):
        lacks = "timings of its own", "timing: true"
    elif known.table == "trials" and not any(study.recipes[recipe]["tuning"] for recipe in recipes):
        lacks = "a tuned learning rate", "to ask for tuning in the recipe"
    if lacks:
        what, valid = lacks
        raise ConfigError(
            f"{place}: {metric} needs {what}, which the study does not have for {' or '.join(recipes)}; valid is "
            f"another metric, or {valid}"
        )


def _available(claim: Claim, pair: Pair, study: Study, n_train: int | None) -> set[int | str]:
    """The sizes that a claim may name: those of a data set and recipe, or those that its probe draws."""
    probe = study.probes.get(METRICS[claim["metric"]].probe)
    if probe and METRICS[claim["metric"]].probe in _DRAWN:
        return set(probe["batch_sizes"])
    trained = study.batch_sizes(pair)
    known: set[int | str] = {size if size == "full" else int(size) for size in trained}
    if "full" in trained:  # of unknown size, it may be any that is named
        named = {size for _, size in _named(claim["test"]) if isinstance(size, int)}
        known |= named if n_train is None else {n_train}
    return known


def _check_sizes(claim: Claim, available: Sequence[set[int | str]], locate: Locate) -> None:
    """One data set and recipe at least has every size that the claim names."""
    named = list(_named(claim["test"]))
    if any({size for _, size in named} <= known for known in available):
        return
    most = max(available, key=lambda known: len(known & {size for _, size in named}))
    for keys, size in named:
        if size not in most:
            valid = [str(each) for each in sorted(most - {"full"}, key=int)] + ["full"] * ("full" in most)
            raise ConfigError(
                f"{locate(['claims', claim['name'], 'test', *keys])}: the study does not have the batch size {size} "
                f"where this claim applies{choice(str(size), valid)}"
            )


def _check_seeds(claim: Claim, n_seeds: int, locate: Locate) -> None:
    """As many seeds as the test needs to know a spread."""
    kind, of = claim["test"]["kind"], METRICS[claim["metric"]].of
    needed = 3 if kind == "more_spread" else 2 if of in ("seeds", "targets") and kind != "count" else 1
    if n_seeds < needed:
        raise ConfigError(
            f"{locate(['claims', claim['name'], 'test'])}: {kind} of {claim['metric']} takes its spread from the seeds "
            f"and needs at least {needed}, and the study has {n_seeds}; valid is a study with more seeds"
        )


def _check_number(claim: Claim, most: int, locate: Locate) -> None:
    """It takes no more sizes to decide the claim than the `most` that a data set and recipe have."""
    test, metric = claim["test"], METRICS[claim["metric"]]
    chosen, needed = test.get("batch_sizes", "all"), 2
    if test["kind"] == "critical" or metric.table == "overheads":
        needed = FITTED_SIZES
    elif test["kind"] in ("value", "count", "arms"):
        needed = 1
    elif test["kind"] in ("falls", "rises") and metric.of == "sizes":
        needed = 3  # one value each, and two always lie on a line
        most = most if chosen == "all" else len(chosen)
    if most < needed:
        raise ConfigError(
            f"{locate(['claims', claim['name'], 'test'])}: {claim['metric']} needs at least "
            f"{count(needed, 'batch size')} here and has {most}; valid is a study with more of them where this claim "
            "applies"
        )


def _named(test: Mapping[str, Any]) -> Iterator[tuple[list[Key], int | str]]:
    """Every size that a test names, and its place."""
    for key in _SIZES:
        for keys, size in _leaves(test.get(key), [key]):
            if size not in ("all", "smallest", "largest", None):
                yield keys, size


def _leaves(value: Any, keys: list[Key]) -> Iterator[tuple[list[Key], Any]]:
    if isinstance(value, list):
        for position, each in enumerate(value):
            yield from _leaves(each, [*keys, position])
    else:
        yield keys, value
