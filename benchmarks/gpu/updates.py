"""Seconds of one update for each network and batch size, with what the card does meanwhile.

Run as `python updates.py ROWS DEVICE`. Windows and settings are those of a study's timings, with a fixed number of
windows. The wide network comes first, which asks most of the card.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import loads
import networks
from checks import Rows, between

from batchscope import telemetry
from batchscope.data.dataset import Data
from batchscope.stats.quantiles import median, median_interval
from batchscope.training import engines, timing
from batchscope.training.plans import Plan

CLASSES = 10
SUMMARY = ("gpu_utilisation_mean_percent", "gpu_power_mean_watts", "gpu_energy_joules", "gpu_sm_clock_mean_mhz")


@dataclass(frozen=True)
class Network:
    """A dense network, its data, and the batch sizes that it is timed with."""

    name: str
    examples: int
    features: int
    hidden: Sequence[int]
    dropout: float
    optimizer: dict[str, Any]
    sizes: Sequence[int]

    @property
    def operations(self) -> float:
        """Floating-point operations of an example in one update: products forwards, for weights and for inputs."""
        widths = [self.features, *self.hidden, CLASSES]
        products = [2.0 * one * other for one, other in itertools.pairwise(widths)]
        return 3 * sum(products) - products[0]  # nobody asks for the gradient in the examples


CARD = (
    Network("wide", 65536, 784, (4096, 4096), 0.0, networks.ADAM, (1, 8, 32, 128, 512, 2048, 16384)),
    Network("fashion", 65536, 784, (128,), 0.1, networks.ADAM, (1, 8, 32, 128, 1024, 4096, 16384)),
    Network("digits", 1168, 64, (128,), 0.1, networks.ADAM, (1, 8, 32, 128, 1168)),
    Network("blobs", 800, 2, (32,), 0.0, networks.MOMENTUM, (1, 8, 32, 128, 800)),
)
REHEARSAL = (Network("small", 64, 8, (8,), 0.0, networks.MOMENTUM, (1, 64)),)
SECONDS = {"gpu": (0.25, 0.3, 6), "cpu": (0.02, 0.05, 5)}  # of a window, of the warm-up; number of windows


def main(file: str, device: str) -> None:
    """A row for each network and size."""
    rows, engine = Rows(file, "updates"), engines.load("jax")
    engine.configure(device, 1)
    gpus = telemetry.first(telemetry.available_gpus())
    for network in CARD if device == "gpu" else REHEARSAL:
        data = networks.examples(network.examples, (network.features,), CLASSES)
        for size in network.sizes:
            measured(rows, engine, network, data, size, gpus, SECONDS[device])


def measured(
    rows: Rows,
    engine: engines.Engine,
    network: Network,
    data: Data,
    size: int,
    gpus: telemetry.Selection,
    settings: tuple[float, float, int],
) -> None:
    """Time one network at one size and add its row."""
    window, warmup, windows = settings
    plan = Plan(networks.recipe(networks.mlp(network.hidden, network.dropout), network.optimizer), size, 1, "fused")
    sampler, until = telemetry.Sampler(loads.FAST, gpus), timing.Until(windows, 0.02, 10.0)
    made = timing.measure(engine, data, plan, sampler, until=until, window_seconds=window, warmup_seconds=warmup)
    seconds = [each["seconds_per_update"] for each in made.windows]
    middle, updates = median(seconds), sum(each["updates"] for each in made.windows)
    summary = sampler.result.summary
    joules = summary["gpu_energy_joules"]
    found = {
        "network": network.name,
        "batch_size": size,
        "outcome": made.outcome,
        "compile_seconds": made.compile_seconds,
        "seconds_per_update": middle,
        "interval": median_interval(seconds),
        "examples_per_second": middle and size / middle,
        "operations_per_second": middle and network.operations * size / middle,
        "joules_per_example": None if joules is None or not updates else joules / (updates * size),
        **{name: summary[name] for name in SUMMARY},
    }
    ended = between(f"{network.name}, {size}: windows timed", len(made.windows), low=windows)
    rows.add(f"{network.name}, {size}", found, [ended], sampler.result.not_measured)


if __name__ == "__main__":
    main(*sys.argv[1:3])
