"""Numbers that others published, as a study names them to print its own beside them: its key `published`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from batchscope.config.batch_sizes import BatchSize
from batchscope.config.written import Text, Written, valid
from batchscope.tables.metrics import OWN_TARGETS, TARGETS

TargetMetric = Annotated[
    Literal[*TARGETS],  # type: ignore[valid-type]
    valid(f"{', '.join(OWN_TARGETS)}, or, of histories, another result of validation data, such as validation_f1"),
]
"""What targets are about."""


class FittedTarget(Written):
    """Target of the fit, for `critical_batch_size`; null for others."""

    metric: TargetMetric
    """Its metric, as under `targets`."""
    value: float
    """Its value."""


class Published(Written):
    """A number as others published it."""

    metric: Annotated[str, valid("the name of a metric")]
    """What it is a number of: a metric of runs or of sharpness, as in a claim, `noise_scale` or `critical_batch_size`.
    """
    value: float
    """The number as published, in the unit of the metric."""
    plus_minus: Annotated[float, Field(ge=0)] | None = None
    """The spread published with it; null where there is none."""
    source: Text
    """Where it was published, and for which data and network."""
    batch_size: Annotated[BatchSize | None, valid("an integer of at least 1, `full` or null")] = None
    """Batch size of this study's runs that are printed beside it; null for `critical_batch_size`."""
    at: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the budget at which the weights were kept, for the noise scale and sharpness; null for others."""
    target: FittedTarget | None = None
