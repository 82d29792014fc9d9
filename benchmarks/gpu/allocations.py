"""Memory that is allocated in steps, as NVML and the allocator see it, against the bytes asked for.

Run as `python allocations.py ROWS DEVICE pool|exact`: with the pool of a job, which grows and keeps what it has, or
with an allocator that asks the driver for each array.
"""

from __future__ import annotations

import itertools
import os
import sys
from typing import Any

from checks import Check, Rows, between

from batchscope import telemetry
from batchscope.training import engines

MIB = 2**20
STEPS = 8
BYTES = {"gpu": 256 * MIB, "cpu": 4 * MIB}  # of a step
GRANULE = 2 * MIB  # the driver hands out memory in pieces of this size
SLACK = 64 * MIB  # for kernels that are loaded meanwhile

Reading = dict[str, Any]


def main(file: str, device: str, allocator: str) -> None:
    """One row: readings before, after each step, and after all was freed."""
    os.environ["XLA_PYTHON_CLIENT_ALLOCATOR"] = {"pool": "default", "exact": "platform"}[allocator]
    gpus = telemetry.first(telemetry.available_gpus())
    before, _ = read(gpus, None)
    engine = engines.load("jax")
    engine.configure(device, 1)
    import jax
    from jax import numpy as jnp

    place = jax.local_devices(backend=device)[0]
    jnp.zeros(8).block_until_ready()
    readings, arrays = [read(gpus, place)[0]], []
    for _ in range(STEPS):
        arrays.append(jnp.zeros(BYTES[device] // 4, jnp.float32).block_until_ready())
        readings.append(read(gpus, place)[0])
    arrays.clear()
    freed, missing = read(gpus, place)
    peak, reason = engine.allocator_peak_bytes(device)
    found = {
        "step_bytes": BYTES[device],
        "before_the_framework": before,
        "steps": readings,
        "freed": freed,
        "allocator_peak_bytes": peak,
    }
    if peak is None:
        missing["allocator_peak_bytes"] = reason
    checks = step_checks(allocator, BYTES[device], before, readings, peak)
    Rows(file, "memory").add(allocator, found, checks, missing)


def read(gpus: telemetry.Selection, place: Any) -> tuple[Reading, dict[str, str]]:
    """Memory now: of the device, of this process, and in use and held by the allocator; and what is not known."""
    with telemetry.Sampler(60.0, gpus) as sampler:
        pass
    last = sampler.result.series[-1]
    statistics = (place and place.memory_stats()) or {}
    missing = {name: why for name, why in sampler.result.not_measured.items() if "memory" in name}
    return {
        "device_bytes": last["gpu_memory_device_bytes"],
        "process_bytes": last["gpu_memory_process_bytes"],
        "in_use_bytes": statistics.get("bytes_in_use"),
        "pool_bytes": statistics.get("pool_bytes"),
    }, missing


def step_checks(allocator: str, step: int, before: Reading, readings: list[Reading], peak: int | None) -> list[Check]:
    """What must hold of the readings after the context (the first one) and after each step."""
    grown = {name: growth(readings, name) for name in ("device_bytes", "process_bytes")}
    checks, asked = [], step * (len(readings) - 1)
    for name, steps in grown.items():
        of = f"{allocator}: {name.removesuffix('_bytes')}"
        if allocator == "exact":  # the first step may load a kernel, too
            off = max(abs(each - step) for each in steps[1:]) / MIB if steps else None
            checks.append(between(f"{of} memory, largest |step less bytes asked for|, MiB", off, high=GRANULE / MIB))
        else:  # each new piece of the pool is twice as large as the last one
            share = sum(steps) / asked if steps else None
            checks.append(between(f"{of} memory by bytes asked for", share, low=0.99, high=2 + SLACK / asked))
    ends = [readings[-1]["device_bytes"], before["device_bytes"], readings[-1]["process_bytes"]]
    off = None if None in ends else abs(ends[0] - ends[1] - ends[2]) / MIB
    what = f"{allocator}: |growth of the device's memory less that of this process|, MiB"
    checks.append(between(what, off, high=(SLACK + 0.05 * asked) / MIB))
    if peak is not None:
        checks.append(between(f"{allocator}: the allocator's peak by bytes asked for", peak / asked, 1.0, 1.05))
    return checks


def growth(readings: list[Reading], name: str) -> list[float]:
    """The differences from each reading to the next; none where one is missing."""
    values = [reading[name] for reading in readings]
    if None in values:
        return []
    return [after - before for before, after in itertools.pairwise(values)]


if __name__ == "__main__":
    main(*sys.argv[1:4])
