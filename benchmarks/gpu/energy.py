"""The energy counter of a GPU against the integral of its sampled power, and how far the two may differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

AVERAGED_SECONDS = 1.0  # over which NVML averages power on Ampere (but GA100) and newer; older cards do not average
SENSOR = 0.05  # by which NVIDIA's documentation lets a reading of power differ from the power


@dataclass(frozen=True)
class Energy:
    """Both energies of a stretch of time.

    Attributes:
        counter_joules: by the counter.
        integral_joules: by the trapezoidal rule from the readings of power.
        ratio: the first by the second.
        bound: by how much the ratio may differ from 1: the sum of the next three, and `SENSOR`.
        from_averaging: half the averaging window times the range of power, as a share of the integral.
        from_sampling: what the power may do between two readings, likewise.
        from_counter: the largest power for the longest time in which the counter stood still, likewise.
    """

    counter_joules: float
    integral_joules: float
    ratio: float
    bound: float
    from_averaging: float
    from_sampling: float
    from_counter: float


def compare(series: Sequence[Mapping[str, Any]], start: float, stop: float) -> Energy | None:
    """Both energies from `start` to `stop` (seconds of the series); None where too little was read for it.

    A mean over the last W seconds integrates to the true energy but for the ends: W/2 times the difference between a
    mean just before the start and one just before the end, which the range of power bounds. What the power was at the
    end, the readings of the next W seconds tell. The bound holds for loads that last as long as the window.
    """
    known = [row for row in series if row["gpu_power_watts"] is not None and row["gpu_energy_joules"] is not None]
    seconds, watts, joules = (
        np.array([row[column] for row in known], np.float64)
        for column in ("elapsed_seconds", "gpu_power_watts", "gpu_energy_joules")
    )
    inside = (seconds >= start) & (seconds <= stop)
    if inside.sum() < 3:
        return None
    steps, power, counted = np.diff(seconds[inside]), watts[inside], joules[inside]
    integral, counter = float(steps @ (power[1:] + power[:-1]) / 2), float(counted[-1] - counted[0])
    if integral <= 0:
        return None
    around = watts[(seconds >= start - AVERAGED_SECONDS) & (seconds <= stop + AVERAGED_SECONDS)]
    bounds = (
        AVERAGED_SECONDS / 2 * float(np.ptp(around)),
        float(steps @ np.abs(np.diff(power))) / 2,
        float(around.max()) * _longest_still(seconds[inside], counted),
    )
    averaging, sampling, still = (each / integral for each in bounds)
    total = averaging + sampling + still + SENSOR
    return Energy(counter, integral, counter / integral, total, averaging, sampling, still)


def _longest_still(seconds: Any, counted: Any) -> float:
    """The longest time between two changes of the counter, as far as the readings tell."""
    changes = [seconds[0], *seconds[1:][np.diff(counted) > 0], seconds[-1]]
    return float(np.diff(changes).max())


def rise_seconds(series: Sequence[Mapping[str, Any]], start: float, stop: float) -> float | None:
    """Seconds in which the reading of power goes from a tenth to nine tenths of its rise, after a load has begun.

    0.8 of the averaging window where the power itself rises at once.
    """
    known = [row for row in series if row["gpu_power_watts"] is not None and row["elapsed_seconds"] <= stop]
    before = [row["gpu_power_watts"] for row in known if row["elapsed_seconds"] < start]
    after = [row for row in known if row["elapsed_seconds"] >= start]
    if not before or len(after) < 3:
        return None
    low, high = float(np.median(before)), float(np.median([row["gpu_power_watts"] for row in after[len(after) // 2 :]]))
    if high <= low:
        return None
    ends = []
    for share in (0.1, 0.9):
        reached = (row["elapsed_seconds"] for row in after if row["gpu_power_watts"] >= low + share * (high - low))
        ends.append(next(reached, None))
    return None if None in ends else ends[1] - ends[0]
