"""Numbers that others published, which a study prints beside its own: its key `published`, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batchscope.claims.metrics import CRITICAL, PUBLISHED, beyond_share
from batchscope.claims.scope import Pair
from batchscope.config.validation import ConfigError, Locate, choice
from batchscope.stats import FITTED_SIZES

if TYPE_CHECKING:
    from batchscope.study.model import Study


def applies(entry: Mapping[str, Any], pair: Pair, study: Study) -> bool:
    """Whether a study measures, on a data set and recipe, what a published number is about."""
    metric = PUBLISHED[entry["metric"]]
    if metric == CRITICAL:
        wanted = entry["target"]
        return any(
            target["metric"] == wanted["metric"]
            and wanted["value"] in target["values"]
            and (target["datasets"] is None or pair[0] in target["datasets"])
            for target in study.targets
        )
    runs = study.probed_runs(metric.probe) if metric.probe else study.runs
    if metric.probe and entry["at"] not in study.recipes[pair[1]]["snapshots"]["at"]:
        return False
    size = str(entry["batch_size"])
    return any((run.dataset, run.recipe) == pair and run.batch_size == size for run in runs)


def check(study: Study, locate: Locate) -> None:
    """Refuse a published number beside which the study has none to print.

    Raises:
        ConfigError: one sentence on what to change.
    """
    for index, entry in enumerate(study.published):
        name, place = entry["metric"], locate(["published", index])
        if name not in PUBLISHED:
            raise ConfigError(f"{place}.metric: there is no metric `{name}` to print{choice(name, PUBLISHED)}")
        metric = PUBLISHED[name]
        needed = {"target"} if metric == CRITICAL else {"batch_size", "at"} if metric.probe else {"batch_size"}
        for key in ("batch_size", "at", "target"):
            if (entry[key] is None) == (key in needed):
                what = "needs it; valid is a value" if key in needed else "does not have it; valid is to leave it out"
                raise ConfigError(f"{place}.{key}: {name} {what}")
        fitting = [pair for pair in study.pairs if applies(entry, pair, study)]
        if metric == CRITICAL and fitting and not any(_has_law(pair, study) for pair in fitting):
            raise ConfigError(
                f"{place}: a critical batch size is fitted to at least {FITTED_SIZES} batch sizes, and no data set and "
                "recipe that has this target has as many; valid is a study with more of them"
            )
        if beyond := beyond_share(metric, entry["value"]):
            raise ConfigError(f"{place}.value: {beyond}")
        if not fitting:
            where = " and ".join(
                f"{key} {_shown(entry[key])}" for key in ("batch_size", "at", "target") if key in needed
            )
            probe = f" and its probe of {metric.probe}" if metric.probe else ""
            raise ConfigError(
                f"{place}: the study does not measure {name} for {where}; valid is what its runs{probe} measure"
            )


def _has_law(pair: Pair, study: Study) -> bool:
    """Whether there may be enough batch sizes for a law; of measurements made elsewhere that is not known yet."""
    return study.measurements is not None or len(study.batch_sizes(pair)) >= FITTED_SIZES


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value['metric']} {value['value']:g}"
    return f"{value:g}" if isinstance(value, float) else str(value)
