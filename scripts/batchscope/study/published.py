"""Numbers that others published, which a study prints beside its own: its key `published`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchscope.claims.published import Published
from batchscope.config.errors import ConfigError, Locate, below, refuse_unknown
from batchscope.stats import FITTED_SIZES
from batchscope.tables.cells import Pair
from batchscope.tables.metrics import CRITICAL, PUBLISHED

if TYPE_CHECKING:
    from batchscope.study.model import Study


def applies(entry: Published, pair: Pair, study: Study) -> bool:
    """Whether a study measures, on a data set and recipe, what a published number is about."""
    wanted = entry.target
    if wanted is not None:
        return any(
            target.metric == wanted.metric and wanted.value in target.values and target.applies(pair[0])
            for target in study.file.targets
        )
    probe = PUBLISHED[entry.metric].probe
    runs = study.probed_runs(probe) if probe else study.runs
    if probe and entry.at not in study.recipes[pair[1]].value.snapshots.at:
        return False
    return any((run.dataset, run.recipe) == pair and run.batch_size == entry.batch_size for run in runs)


def check(study: Study, locate: Locate) -> None:
    """Refuse a published number beside which the study has none to print.

    Raises:
        ConfigError: one sentence on what to change.
    """
    for index, entry in enumerate(study.file.published):
        name, here = entry.metric, below(locate, "published", index)
        refuse_unknown({"metric": name}, PUBLISHED, here, "there is no metric `{}` to print")
        metric = PUBLISHED[name]
        needed = {"target"} if metric == CRITICAL else {"batch_size", "at"} if metric.probe else {"batch_size"}
        for key in ("batch_size", "at", "target"):
            if (getattr(entry, key) is None) == (key in needed):
                what = "needs it; valid is a value" if key in needed else "does not have it; valid is to leave it out"
                raise ConfigError(f"{here([key])}: {name} {what}")
        fitting = [pair for pair in study.pairs if applies(entry, pair, study)]
        if metric == CRITICAL and fitting and not any(_has_law(pair, study) for pair in fitting):
            raise ConfigError(
                f"{here([])}: a critical batch size is fitted to at least {FITTED_SIZES} batch sizes, and no data set "
                "and recipe that has this target has as many; valid is a study with more of them"
            )
        if beyond := metric.beyond(entry.value):
            raise ConfigError(f"{here(['value'])}: {beyond}")
        if not fitting:
            probe = f" and its probe of {metric.probe}" if metric.probe else ""
            raise ConfigError(
                f"{here([])}: the study does not measure {name} for {_conditions(entry)}; valid is what its "
                f"runs{probe} measure"
            )


def _has_law(pair: Pair, study: Study) -> bool:
    """Whether there may be enough batch sizes for a law; of measurements made elsewhere that is not known yet."""
    return study.file.measurements is not None or len(study.batch_sizes(pair)) >= FITTED_SIZES


def _conditions(entry: Published) -> str:
    """What a number is for, in words."""
    words = [] if entry.batch_size is None else [f"batch_size {entry.batch_size}"]
    words += [] if entry.at is None else [f"at {entry.at:g}"]
    words += [] if entry.target is None else [f"target {entry.target.metric} {entry.target.value:g}"]
    return " and ".join(words)
