"""Whether the runs, timings and probes of a study can decide the claims that it makes itself.

A claim of `config/claims.yaml` that fits nothing in a study is reported as not measured; in one that the study's author
wrote for it, that is a mistake. Nothing here imports pandas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from batchscope.claims import scope
from batchscope.claims.definitions import Claim
from batchscope.config.errors import ConfigError, Locate, below, choice
from batchscope.study.definitions import known_size
from batchscope.tables.cells import Pair
from batchscope.tables.metrics import METRICS
from batchscope.text import count

if TYPE_CHECKING:
    from batchscope.study.model import Study

_DRAWN = ("gradients", "modes")  # probes whose batch sizes are their own
Sizes = set[int | str]


def check(study: Study, locate: Locate) -> None:
    """Refuse a claim that no result of the study can decide; of measurements made elsewhere that is not known yet.

    Raises:
        ConfigError: one sentence on what to change.
    """
    for name in study.file.claims if study.file.measurements is None else ():
        if name in study.claims:
            _check(study.claims[name], study, below(locate, "claims", name))


def _check(claim: Claim, study: Study, locate: Locate) -> None:
    described = study.describe()
    design = scope.Design.of(described["datasets"], described["recipes"])
    fitting = [pair for pair in study.pairs if design.fits(claim, pair)]
    if not fitting:
        where = "scope" if claim.scope.words() else "test"
        raise ConfigError(
            f"{locate([where])}: no data set and recipe of the study meet {scope.wanted(claim)}; valid are conditions "
            "that some do"
        )
    sizes = {name: known_size(dataset) for name, dataset in study.datasets.items()}
    available = {pair: _available(claim, pair, study, sizes[pair[0]]) for pair in study.pairs}
    for keys, sentence in claim.test.lacks(fitting, available, design):
        raise ConfigError(f"{locate(['test', *keys])}: {sentence}")
    for key, metric in (("metric", claim.metric), ("test.along", getattr(claim.test, "along", None))):
        if metric is not None:
            _check_source(metric, locate(key.split(".")), fitting, study)
    _check_sizes(claim, [available[pair] for pair in fitting], locate)
    _check_seeds(claim, len(study.file.seeds), locate)
    # A full batch whose number of examples is known is there twice, by its name and its number.
    twice = {pair: "full" in available[pair] and sizes[pair[0]] is not None for pair in fitting}
    _check_number(claim, max(len(available[pair]) - twice[pair] for pair in fitting), locate)


def _check_source(metric: str, place: str, fitting: Sequence[Pair], study: Study) -> None:
    """The study measures what the claim is about."""
    known, recipes = METRICS[metric], sorted({recipe for _, recipe in fitting})
    probe = study.probes.get(known.probe)
    lacks: tuple[str, str] | None = None
    if known.probe and not (probe and set(recipes) & set(probe.recipes)):
        lacks = f"the probe of {known.probe}", f"to ask for it under probes.{known.probe}"
    elif known.table in ("to_target", "critical_batch_size") and not any(
        study.has_targets(data) for data, _ in fitting
    ):
        lacks = "targets", "to set some under targets"
    elif known.table == "windows" and not any((cell.dataset, cell.recipe) in fitting for cell in study.cells):
        lacks = "timings of its own", "timing: true"
    elif known.table == "trials" and not any(study.recipes[recipe].value.tuning for recipe in recipes):
        lacks = "a tuned learning rate", "to ask for tuning in the recipe"
    if lacks:
        what, valid = lacks
        raise ConfigError(
            f"{place}: {metric} needs {what}, which the study does not have for {' or '.join(recipes)}; valid is "
            f"another metric, or {valid}"
        )


def _available(claim: Claim, pair: Pair, study: Study, n_train: int | None) -> Sizes:
    """The sizes that a claim may name: those of a data set and recipe, or those that its probe draws."""
    probe = study.probes.get(METRICS[claim.metric].probe)
    if probe and METRICS[claim.metric].probe in _DRAWN:
        return set(probe.plain()["batch_sizes"])
    trained = study.batch_sizes(pair)
    known: Sizes = {size.written for size in trained}
    if "full" in known:  # of unknown size, it may be any that is named
        named = {size for _, size in claim.test.named() if isinstance(size, int)}
        known |= named if n_train is None else {n_train}
    return known


def _check_sizes(claim: Claim, available: Sequence[Sizes], locate: Locate) -> None:
    """One data set and recipe at least has every size that the claim names."""
    named = list(claim.test.named())
    if any({size for _, size in named} <= known for known in available):
        return
    most = max(available, key=lambda known: len(known & {size for _, size in named}))
    for keys, size in named:
        if size not in most:
            valid = [str(each) for each in sorted(most - {"full"}, key=int)] + ["full"] * ("full" in most)
            raise ConfigError(
                f"{locate(['test', *keys])}: the study does not have the batch size {size} where this claim applies"
                f"{choice(str(size), valid)}"
            )


def _check_seeds(claim: Claim, n_seeds: int, locate: Locate) -> None:
    """As many seeds as the test needs to know a spread."""
    needed = claim.test.n_seeds if METRICS[claim.metric].of in ("seeds", "targets") else 1
    if n_seeds < needed:
        raise ConfigError(
            f"{locate(['test'])}: {claim.test.kind} of {claim.metric} takes its spread from the seeds and needs at "
            f"least {needed}, and the study has {n_seeds}; valid is a study with more seeds"
        )


def _check_number(claim: Claim, most: int, locate: Locate) -> None:
    """It takes no more sizes to decide the claim than the `most` that a data set and recipe have."""
    needed, used = claim.test.n_sizes(METRICS[claim.metric]), claim.test.n_available(most)
    if used < needed:
        raise ConfigError(
            f"{locate(['test'])}: {claim.metric} needs at least {count(needed, 'batch size')} here and has {used}; "
            "valid is a study with more of them where this claim applies"
        )
