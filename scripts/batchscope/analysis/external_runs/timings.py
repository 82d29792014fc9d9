"""The rows of a table of timings: what an epoch or an update takes at a batch size and power limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from batchscope.analysis.external_runs.given import Baseline, Measurements
from batchscope.analysis.external_runs.source import Source, opened
from batchscope.config.errors import DataError

_ABOVE_ZERO = math.nextafter(0, 1)


@dataclass(frozen=True)
class Timing:
    """One batch size at one power limit (NaN where power was not limited); what is not known is NaN."""

    batch_size: int
    power_limit_watts: float = math.nan
    seconds_per_epoch: float = math.nan
    seconds_per_update: float = math.nan
    power_watts: float = math.nan


def read(measurements: Measurements) -> list[Timing]:
    """The rows of the file of timings, in its order; none where there is no such file.

    Seconds per epoch and per update follow from each other where the number of training examples is known.

    Raises:
        DataError: in one sentence, which column and row is wrong, and what would be valid.
    """
    if measurements["timings"] is None:
        return []
    source = opened("timings", measurements["timings"])
    columns = {
        name: source.column(name).numbers(low=_ABOVE_ZERO, valid="a number above 0")
        for name in source.columns
        if name != "batch_size"
    }
    found = []
    for row, size in enumerate(source.column("batch_size").wholes(low=1)):
        given = {name: column[row] for name, column in columns.items()}
        found.append(_timing(size or 0, given, measurements["runs"]["n_train"]))
    _require_once(source, found)
    _check_baseline(source, found, measurements["baseline"])
    return found


def at_limit(timings: Sequence[Timing], measurements: Measurements) -> list[Timing]:
    """Those at the baseline's power limit, or, without a limit, those whose power was not limited."""
    baseline = measurements["baseline"]
    return _at(timings, None if baseline is None else baseline["power_limit_watts"])


def _timing(size: int, given: dict[str, float], n_train: int | None) -> Timing:
    if n_train is not None:
        per_epoch = -(-n_train // size)
        if "seconds_per_update" in given:
            given["seconds_per_epoch"] = given["seconds_per_update"] * per_epoch
        else:
            given["seconds_per_update"] = given["seconds_per_epoch"] / per_epoch
    return Timing(size, **given)


def _require_once(source: Source, timings: Sequence[Timing]) -> None:
    seen = set()
    for row, timing in enumerate(timings):
        key = timing.batch_size, None if math.isnan(timing.power_limit_watts) else timing.power_limit_watts
        if key in seen:
            what = f"batch size {timing.batch_size} was in a row before"
            raise source.column("batch_size").refusal(row, what, "one row for each size and power limit")
        seen.add(key)


def _check_baseline(source: Source, timings: Sequence[Timing], baseline: Baseline | None) -> None:
    if baseline is None:
        return
    limit, size = baseline["power_limit_watts"], baseline["batch_size"]
    there = sorted(timing.batch_size for timing in _at(timings, limit))
    if size not in there:
        limits = sorted({timing.power_limit_watts for timing in timings if not math.isnan(timing.power_limit_watts)})
        at = "" if limit is None else f" at {limit:g} W"
        valid = f"one of {', '.join(map(str, there))}" if there else f"a limit of {', '.join(f'{w:g}' for w in limits)}"
        raise DataError(
            f"{source.table.path}: measurements.baseline is batch size {size}{at}, of which there is no row; valid is "
            f"{valid}"
        )


def _at(timings: Sequence[Timing], limit: float | None) -> list[Timing]:
    return [timing for timing in timings if math.isnan(timing.power_limit_watts) or timing.power_limit_watts == limit]
