"""From samples to the columns of `records.TELEMETRY_SUMMARY`: pure functions of what was read.

**Means** weigh each reading by the time since the sample before it. The readings look back: CPU per cent is exactly the
mean since the last sample, and the driver's utilisation and (on current GPUs) power are means over a window just past.
So a reading holds for the interval that it ends, the first reading, which speaks of the time before the block, weighs
nothing, and samples may lie unevenly. The trapezoidal rule would blur each mean into the interval after it.

**Several GPUs** are combined sample by sample before any mean or peak is taken; a sample in which one of them is null
is null. **Energy** is the counter at the end less the counter at the start, and never an integral of sampled power.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

# The counter is brought up to date some ten times a second: over less than this its difference is mostly chance.
SHORTEST_GPU_ENERGY_SECONDS = 1.0


@dataclass(frozen=True)
class Sample:
    """What was read at one moment: seconds since the start, the host's columns, and those of each GPU."""

    elapsed: float
    host: Mapping[str, float | int | None]
    gpus: tuple[Mapping[str, float | int | None], ...]


@dataclass(frozen=True)
class Reasons:
    """Why values are null: by column for the host, by GPU (label) and column, for all GPUs, and for an early end."""

    host: Mapping[str, str]
    gpus: Mapping[str, Mapping[str, str]]
    no_gpu: str | None = None
    ended_early: str | None = None


@dataclass(frozen=True)
class Summary:
    """What telemetry gives of one timed block.

    Attributes:
        values: the columns of `records.TELEMETRY_SUMMARY`.
        not_measured: one sentence for every null among them.
        notes: one sentence for every value that covers only a part of the block.
    """

    values: dict[str, float | int | None]
    not_measured: dict[str, str]
    notes: dict[str, str]


_Series = Sequence[float | int | None]


@dataclass(frozen=True)
class _Rule:
    source: str
    over_gpus: Callable[[list[Any]], float | int]
    over_time: str


# The order is that of records.TELEMETRY_SUMMARY.
_RULES: Mapping[str, _Rule] = {
    "cpu_percent_mean": _Rule("cpu_percent", sum, "mean"),
    "host_rss_peak_bytes": _Rule("host_rss_bytes", sum, "peak"),
    "cpu_package_energy_joules": _Rule("cpu_package_energy_joules", sum, "counter"),
    "gpu_utilisation_mean_percent": _Rule("gpu_utilisation_percent", fmean, "mean"),
    "gpu_utilisation_peak_percent": _Rule("gpu_utilisation_percent", max, "peak"),
    "gpu_memory_controller_mean_percent": _Rule("gpu_memory_controller_percent", fmean, "mean"),
    "gpu_memory_device_peak_bytes": _Rule("gpu_memory_device_bytes", sum, "peak"),
    "gpu_memory_process_peak_bytes": _Rule("gpu_memory_process_bytes", sum, "peak"),
    "gpu_power_mean_watts": _Rule("gpu_power_watts", sum, "mean"),
    "gpu_energy_joules": _Rule("gpu_energy_joules", sum, "counter"),
    "gpu_sm_clock_mean_mhz": _Rule("gpu_sm_clock_mhz", fmean, "mean"),
    "gpu_temperature_peak_celsius": _Rule("gpu_temperature_celsius", max, "peak"),
}


def summarise(samples: Sequence[Sample], reasons: Reasons) -> Summary:
    """Summary of `samples` in the order of time; `reasons` says why readings are null. Units as in `records`.

    Raises nothing for missing readings: each gives a null with its sentence in `not_measured`. A mean or peak that
    covers only a part of the samples keeps its value and has a sentence in `notes`.
    """
    times = [sample.elapsed for sample in samples]
    values: dict[str, float | int | None] = {
        "telemetry_seconds": times[-1] - times[0] if times else None,
        "telemetry_samples": len(times) if times else None,
    }
    not_measured: dict[str, str] = {}
    notes: dict[str, str] = {}
    if not times:
        not_measured.update(dict.fromkeys(values, _sentence(reasons.ended_early or "no sample was taken")))
    for column, rule in _RULES.items():
        series = [_combined(sample, rule) for sample in samples]
        why = _why(rule.source, reasons)
        if rule.over_time == "counter":
            value, fault = _counter(times, series, column.startswith("gpu_"), why, reasons.ended_early)
            note = None
        else:
            value = time_weighted_mean(times, series) if rule.over_time == "mean" else _peak(series)
            fault = why or "no time passed between the samples"
            note = _coverage(times, series, rule.over_time, why, reasons.ended_early)
        values[column] = value
        if value is None:
            not_measured[column] = _sentence(fault)
        elif note is not None:
            notes[column] = _sentence(note)
    return Summary(values, not_measured, notes)


def time_weighted_mean(times: Sequence[float], values: _Series) -> float | None:
    """Mean of `values` (one per time in `times`, s), each held over the interval that it ends; null readings left out.

    None where no interval ends in a reading. `times` must not fall.
    """
    held = [
        (after - before, value)
        for before, after, value in zip(times[:-1], times[1:], values[1:], strict=True)
        if value is not None and after > before
    ]
    if not held:
        return None
    return math.fsum(length * value for length, value in held) / math.fsum(length for length, _ in held)


def _combined(sample: Sample, rule: _Rule) -> float | int | None:
    if rule.source in sample.host:
        return sample.host[rule.source]
    readings = [gpu[rule.source] for gpu in sample.gpus]
    return None if not readings or None in readings else rule.over_gpus(readings)


def _peak(series: _Series) -> float | int | None:
    return max((value for value in series if value is not None), default=None)


def _counter(
    times: Sequence[float], series: _Series, gpu: bool, why: str | None, ended_early: str | None
) -> tuple[float | None, str]:
    """Energy since the first sample as the last one has it, and what is wrong where that is null."""
    if ended_early is not None:
        return None, why or ended_early
    if not series or series[-1] is None:
        measured = any(value is not None for value in series)
        return None, f"the counter has no reading at the end: {why}" if measured else why or "no sample was taken"
    length = times[-1] - times[0]
    if gpu and length < SHORTEST_GPU_ENERGY_SECONDS:
        return (
            None,
            f"sampling lasted {length:.2f} s, and a GPU's energy counter needs {SHORTEST_GPU_ENERGY_SECONDS:g} s",
        )
    if series[-1] == 0:
        return None, f"the energy counter did not move in {length:.2f} s"
    return float(series[-1]), ""


def _coverage(
    times: Sequence[float], series: _Series, over_time: str, why: str | None, ended_early: str | None
) -> str | None:
    length = times[-1] - times[0] if times else 0.0
    if ended_early is not None:
        return f"covers only the first {length:.1f} s: {ended_early}"
    if over_time == "mean":
        held = zip(times[:-1], times[1:], series[1:], strict=True)
        covered = math.fsum(after - before for before, after, value in held if value is not None)
        return None if math.isclose(covered, length) else f"covers {covered:.1f} s of {length:.1f} s: {why}"
    read = sum(value is not None for value in series)
    return None if read == len(series) else f"covers {read} of {len(series)} samples: {why}"


def _why(source: str, reasons: Reasons) -> str | None:
    if not source.startswith("gpu_"):
        return reasons.host.get(source, reasons.ended_early)
    if reasons.no_gpu is not None:
        return reasons.no_gpu
    found = {label: why[source] for label, why in reasons.gpus.items() if source in why}
    if not found:
        return reasons.ended_early
    if len(reasons.gpus) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{label}: {why}" for label, why in found.items())


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
