"""The trials of a tuning on JAX: in turn with one compiled program or with their own, and at once."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import networks
import processes
from matplotlib.axes import Axes
from part import RATIO, Row

ROOT = Path(__file__).resolve().parents[2]
TITLE = "The trials of a tuning on JAX"
METHOD = """\
CPU time of ten trials of one batch size (five rates, two seeds, as many epochs as their studies train; one on
8,192 examples for Fashion-MNIST's network) on one core: all in turn, with one compiled program that seed and rate are
arguments of; at once, as a tuning makes them, by one program of all; and, two of them, in turn with programs of their
own, which end with losses equal to the bit. Compilation is included, and nothing comes from a cache on disk. Medians of
rounds in which both take turns; brackets hold the lowest and the highest.
"""
EPOCHS = {"blobs": 100, "digits": 20, "Fashion-MNIST": 1}
SIZES = (1, 8, 32, 128)
TRIALS, ROUNDS = 10, 3


def measure(quick: bool) -> dict[str, Any]:
    """CPU seconds of a trial by network, size, way and round."""
    cells = [("blobs", 128)] if quick else [(name, size) for name in EPOCHS for size in SIZES]
    found = []
    with tempfile.TemporaryDirectory(prefix="trials-") as folder:
        for name, size in cells:
            epochs, trials, rounds = (1, 2, 1) if quick else (EPOCHS[name], TRIALS, ROUNDS)
            script = str(Path(__file__).resolve().parent / "one_tuning.py")
            command = [sys.executable, script, name, *map(str, (size, epochs, trials, rounds))]
            spent = processes.run(command, Path(folder), {"PYTHONPATH": str(ROOT / "scripts")})
            found.append(json.loads(spent.output.splitlines()[-1]))
    return {"cells": found}


def rows(result: dict[str, Any]) -> list[Row]:
    """Ratios, seconds, and how far the losses differ."""
    lines = []
    for cell in result["cells"]:
        at, seconds = f"{cell['network']}, batch size {cell['size']}", cell["seconds"]
        for way in ("at once", "with their own programs"):
            ratios = _ratios(cell, way)
            what = f"Trials {way} ÷ in turn, {at}"
            lines.append(Row(what, statistics.median(ratios), RATIO, min(ratios), max(ratios)))
        for way, taken in seconds.items():
            lines.append(Row(f"A trial {way}, {at}", statistics.median(taken), "s", min(taken), max(taken)))
        lines.append(Row(f"Lowest validation loss, at once and in turn, {at}", 100 * cell["apart"], "% apart"))
    return lines


def _ratios(cell: dict[str, Any], way: str) -> list[float]:
    return [a / b for a, b in zip(cell["seconds"][way], cell["seconds"]["in turn"], strict=True)]


def draw(result: dict[str, Any], axes: Axes) -> None:
    """The ratio over the batch sizes, a line for each network."""
    sizes = [str(size) for size in sorted({cell["size"] for cell in result["cells"]})]
    axes.axhline(1, color="#888888", linewidth=0.8)
    for name in networks.NETWORKS:
        cells = [cell for cell in result["cells"] if cell["network"] == name]
        middles = {str(cell["size"]): statistics.median(_ratios(cell, "at once")) for cell in cells}
        axes.plot(sizes, [middles.get(size, float("nan")) for size in sizes], "o-", label=name)
    axes.set_xlabel("batch size")
    axes.set_ylabel("CPU time at once ÷ in turn")
    axes.legend(fontsize="small")
