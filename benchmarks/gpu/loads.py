"""Telemetry against known loads: nothing, and matrix products that keep the card busy.

Run as `python loads.py ROWS DEVICE`.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import energy
from checks import Check, Rows, between

from batchscope import telemetry
from batchscope.jobs import manifest
from batchscope.stats.quantiles import median
from batchscope.training import engines

FAST = 0.05  # seconds between two samples, five times as often as in a study
USUAL = 0.25
KEPT = (
    "elapsed_seconds",
    "gpu_utilisation_percent",
    "gpu_power_watts",
    "gpu_energy_joules",
    "gpu_sm_clock_mhz",
    "gpu_memory_device_bytes",
)
PACKAGES = ("jax", "jaxlib", "keras", "numpy", "snakemake", "papermill", "pandas", "pyarrow", "nvidia-ml-py")


@dataclass(frozen=True)
class Sizes:
    """The rows of a matrix, and seconds.

    Attributes:
        matrix: rows and columns.
        idle: seconds of nothing.
        quiet: seconds before a load, in the same series.
        busy: seconds of a load.
        settled: seconds after its begin from which on every mean that NVML gives sees the load alone.
        tail: seconds after it.
        fastest: seconds of sampling as fast as can be.
    """

    matrix: int
    idle: float
    quiet: float
    busy: float
    settled: float
    tail: float
    fastest: float


SIZES = {
    "gpu": Sizes(8192, idle=3.0, quiet=1.5, busy=7.0, settled=2.0, tail=2.5, fastest=1.0),
    "cpu": Sizes(128, idle=0.3, quiet=0.2, busy=0.4, settled=0.1, tail=0.2, fastest=0.2),
}

Series = Sequence[dict[str, Any]]


def main(file: str, device: str) -> None:
    """The rows of this part."""
    rows = Rows(file, "telemetry")
    sizes = SIZES[device]
    rows.add("machine", {"host": manifest.host(), "code": manifest.code(), "versions": manifest.versions(PACKAGES)})
    gpus = telemetry.first(telemetry.available_gpus())
    idle(rows, gpus, sizes.idle)
    rate(rows, gpus, sizes.fastest)
    engines.load("jax").configure(device, 1)
    for dtype in ("float32", "bfloat16"):
        busy(rows, gpus, sizes, dtype, *product(sizes.matrix, dtype))


def idle(rows: Rows, gpus: telemetry.Selection, seconds: float) -> None:
    """The card before this process touches it, and what NVML says of it."""
    with telemetry.Sampler(FAST, gpus) as sampler:
        time.sleep(seconds)
    result = sampler.result
    facts = {"gpus": result.devices, "visible": [gpu.uuid for gpu in gpus.gpus], "reason": gpus.reason}
    used = result.summary["gpu_memory_device_peak_bytes"]
    total = result.devices[0]["memory_total_bytes"] if result.devices else None
    checks = [
        between("utilisation of the idle card, per cent", result.summary["gpu_utilisation_mean_percent"], high=5),
        between("share of the idle card's memory in use", None if None in (used, total) else used / total, high=0.05),
    ]
    rows.add("idle", {**result.summary, **facts, "series": kept(result.series)}, checks, result.not_measured)


def rate(rows: Rows, gpus: telemetry.Selection, seconds: float) -> None:
    """How fast the sampler can read, while nothing else runs."""
    with telemetry.Sampler(0.001, gpus) as sampler:
        time.sleep(seconds)
    taken = sampler.result.summary["telemetry_samples"] or 0
    spent = sampler.result.summary["telemetry_seconds"] or 1.0
    steps = [row["elapsed_seconds"] for row in sampler.result.series]
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    found = {"samples_per_second": taken / spent, "longest_gap_seconds": max(gaps), "usual_gap_seconds": median(gaps)}
    rows.add("fastest sampling", found, [between("fastest sampling, samples per second", taken / spent, low=1 / USUAL)])


def product(size: int, dtype: str) -> tuple[Callable[[int], None], float]:
    """Function that makes so many products of square matrices, and the operations of one of them."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    left, right = (jax.random.normal(jax.random.key(seed), (size, size)).astype(dtype) for seed in (0, 1))
    right = (right / size**0.5).astype(dtype)  # keeps the numbers of a long chain of products in range

    @jax.jit
    def run(x: Any, times: Any) -> Any:
        return lax.fori_loop(0, times, lambda _, each: jnp.matmul(each, right), x)

    return lambda times: run(left, times).block_until_ready(), 2.0 * size**3


def busy(
    rows: Rows, gpus: telemetry.Selection, sizes: Sizes, dtype: str, run: Callable[[int], None], operations: float
) -> None:
    """A load between two pauses, seen by two samplers."""
    times = calibrated(run, min(0.5, sizes.busy / 4))
    with telemetry.Sampler(USUAL, gpus) as usual, telemetry.Sampler(FAST, gpus) as fast:
        time.sleep(sizes.quiet)
        began, made = time.monotonic(), 0
        while time.monotonic() - began < sizes.busy:
            run(times)
            made += times
        took = time.monotonic() - began
        time.sleep(sizes.tail)
    series, start, stop = fast.result.series, sizes.quiet, sizes.quiet + took
    ends = start + sizes.settled, stop - sizes.settled / 2  # what follows tells of the end, see `energy.compare`
    steady = [row for row in series if ends[0] <= row["elapsed_seconds"] <= ends[1]]
    energies = {"steady": energy.compare(series, *ends), "whole": energy.compare(series, 0.0, stop + sizes.tail)}
    found = {
        "operations_per_second": operations * made / took,
        "products": made,
        "seconds": took,
        **{f"steady_{column}": mean(steady, column) for column in KEPT[1:] if column != "gpu_energy_joules"},
        **{f"energy_{name}": one and dataclasses.asdict(one) for name, one in energies.items()},
        "power_rise_seconds": energy.rise_seconds(series, start, stop),
        "usual": usual.result.summary,
        "fast": fast.result.summary,
        "series": kept(series),
    }
    missing = fast.result.not_measured | fast.result.notes
    rows.add(f"matrix product, {dtype}", found, load_checks(dtype, steady, energies, usual, fast), missing)


def load_checks(
    dtype: str,
    steady: Series,
    energies: dict[str, energy.Energy | None],
    usual: telemetry.Sampler,
    fast: telemetry.Sampler,
) -> list[Check]:
    """What must hold of a card that is kept busy."""
    made = [
        between(f"{dtype}: utilisation of the busy card, per cent", mean(steady, "gpu_utilisation_percent"), low=90)
    ]
    for name, one in energies.items():
        off = None if one is None else abs(one.ratio - 1)
        what = f"{dtype}: energy counter by integral of power less 1, {name}"
        made.append(between(what, off, high=None if one is None else one.bound))
    for sampler, interval in ((usual, USUAL), (fast, FAST)):
        seconds, samples = (sampler.result.summary[f"telemetry_{name}"] for name in ("seconds", "samples"))
        share = None if seconds is None or samples is None else samples / (seconds / interval + 1)
        made.append(between(f"{dtype}: samples taken at {interval} s, as a share of those due", share, low=0.9))
    return made


def calibrated(run: Callable[[int], None], seconds: float) -> int:
    """How often `run` repeats in about so many seconds; it is compiled afterwards."""
    run(1)
    times = 1
    while True:
        start = time.perf_counter()
        run(times)
        took = time.perf_counter() - start
        if took > seconds / 4:
            return max(1, round(times * seconds / took))
        times *= 4


def mean(series: Series, column: str) -> float | None:
    """Mean of a column's readings; None where there is none."""
    read = [row[column] for row in series if row[column] is not None]
    return sum(read) / len(read) if read else None


def kept(series: Series) -> list[dict[str, Any]]:
    """The columns of a series that figures are drawn from."""
    return [{column: row[column] for column in KEPT} for row in series]


if __name__ == "__main__":
    main(*sys.argv[1:3])
