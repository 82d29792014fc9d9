"""What runs have to reach: the key `targets` of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from batchscope.claims.published import TargetMetric
from batchscope.config.errors import ConfigError, Locate, below, refuse_unknown
from batchscope.config.written import DIFFERENT, List, Names, Positive, Written, valid
from batchscope.tables.metrics import OWN_TARGETS, TARGETS

if TYPE_CHECKING:
    from batchscope.study.model import Study


class Target(Written):
    """Values that a metric of the runs has to reach."""

    datasets: Names | None = None
    """Data sets that the targets are for; null for all."""
    metric: TargetMetric
    """What has to fall to the value, or, where more of it is better, to rise to it. An error is one minus the accuracy.
    """
    values: Annotated[
        List[Annotated[float, Field(gt=0)]],
        Field(min_length=3),
        DIFFERENT,
        valid("a list of at least three different numbers above 0"),
    ]
    """The targets; three or more, since what holds at one may not hold at a tighter one."""
    evaluations_in_a_row: Positive = 2
    """A target is reached at the first of so many successive evaluations that meet it, so that one lucky evaluation
    does not count.
    """

    def applies(self, dataset: str) -> bool:
        """Whether the runs on a data set have to reach it."""
        return self.datasets is None or dataset in self.datasets

    def on(self, replaced: Mapping[str, str]) -> Target:
        """The target for other data sets."""
        names = self.datasets and tuple(replaced.get(name, name) for name in self.datasets)
        return self.model_copy(update={"datasets": names})


def check(study: Study, locate: Locate) -> None:
    """Refuse targets of data sets without runs, metrics that they lack, no shares, and a target that is given twice.

    Raises:
        ConfigError: one sentence on what to change.
    """
    seen: set[tuple[str, str, float]] = set()
    known = tuple(dict.fromkeys(dataset for dataset, _ in study.pairs)) if study.file.targets else ()
    for index, target in enumerate(study.file.targets):
        here = below(locate, "targets", index)
        names = target.datasets or known
        refuse_unknown(names, known, below(here, "datasets"), "no run of the study is about `{}`")
        if study.file.measurements is None and target.metric not in OWN_TARGETS:
            raise ConfigError(
                f"{here(['metric'])}: only runs made elsewhere have a {target.metric}; valid is one of "
                f"{', '.join(OWN_TARGETS)}"
            )
        for position, value in enumerate(target.values):
            place, metric = here(["values", position]), TARGETS[target.metric]
            if metric.share and metric.better == "lower" and value >= 1:
                raise ConfigError(
                    f"{place}: {value:g} is no share of wrong answers to reach; valid is a number below 1"
                )
            if beyond := metric.beyond(value):
                raise ConfigError(f"{place}: {beyond}")
            for name in names:
                if (name, target.metric, value) in seen:
                    raise ConfigError(
                        f"{place}: {target.metric} {value:g} is a target of {name} already; valid is to give it once"
                    )
                seen.add((name, target.metric, value))
