"""One update on one core: each engine and loop, a loop written by hand in JAX, and what the arithmetic takes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import networks
from matplotlib.axes import Axes
from part import RATIO, Row

from batchscope.stats.quantiles import median_interval

TITLE = "One update"
METHOD = """\
CPU time of an update on one core with networks of the studies (2-32-3 with momentum; 64-128-10 and 784-128-10
with dropout and Adam), in calls of an epoch (of 8,192 examples of Fashion-MNIST's size). Each engine has a process of
its own and numbers drawn at random for data; windows of all loops take turns. `model.fit` starts anew in each call,
which weighs much where a call has few updates. Shown are medians over windows, and of ratios those of the ratios within
a turn, with 95 % intervals; a number without one is less certain, since its windows depend on one another. The
hand-written loop is `lax.scan` in JAX. The floor is the larger of two times: that of the
operations of the matrix products at the rate of a product of 1024 × 1024, and that of the bytes of examples, gradient,
weights and moments at the rate of a copy of as many, most of which is the call itself where they are few; both rates
are measured in the same turns. The engine on NumPy trains no network with a hidden layer.
"""
ENGINES = ("tensorflow", "jax")
NAMES = {"tensorflow fused": "TensorFlow", "jax fused": "JAX", "hand-written": "hand-written JAX"} | {
    f"{engine} fit": f"model.fit on {name}" for engine, name in (("tensorflow", "TensorFlow"), ("jax", "JAX"))
}
TURNS, WINDOW = 11, 0.2  # seconds
OVER_HAND_WRITTEN = 1.15
GAP = 0.6  # between the sizes of two networks in the figure
COLORS = ("#d55e00", "#0072b2", "#111111", "#e69f00", "#56b4e9", "#888888")
OVER_JAX = {8: 1.3, 32: 1.3, 128: 1.1}  # TensorFlow, on Fashion-MNIST


def measure(quick: bool) -> dict[str, Any]:
    """Seconds per update by network, size and loop, one of each turn; and those of one operation and one byte."""
    names = ("blobs",) if quick else tuple(networks.NETWORKS)
    turns, seconds = (3, 0.01) if quick else (TURNS, WINDOW)
    cells = []
    with tempfile.TemporaryDirectory(prefix="updates-") as folder, ExitStack() as stack:
        workers = [stack.enter_context(_worker(engine, folder)) for engine in ENGINES]
        for name in names:
            network = networks.NETWORKS[name]
            for size in network.sizes[-1:] if quick else network.sizes:
                loops = [(each, loop) for each in workers for loop in _ask(each, {"network": name, "size": size})]
                taken: dict[str, list[float]] = {loop: [] for _, loop in loops}
                for turn in range(turns):
                    for worker, loop in loops[:: 1 if turn % 2 else -1]:
                        taken[loop].append(_ask(worker, {"loop": loop, "seconds": seconds}))
                cells.append({"network": name, "size": size, "seconds": taken})
    return {"cells": cells}


@contextmanager
def _worker(engine: str, folder: str) -> Iterator[subprocess.Popen[str]]:
    """A process of `one_update.py`, which ends with the block."""
    here = Path(__file__).resolve().parent
    environment = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1") | {
        "PYTHONPATH": str(here.parents[1] / "scripts"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, str(here / "one_update.py"), engine]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.communicate()


def _ask(worker: subprocess.Popen[str], what: dict[str, Any]) -> Any:
    """The answer of a worker; RuntimeError where it ended, which it has said on standard error."""
    assert worker.stdin
    assert worker.stdout
    print(json.dumps(what), file=worker.stdin, flush=True)
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError(f"no answer to {what}: the process that times updates ended")
    return json.loads(line)


def rows(result: dict[str, Any]) -> list[Row]:
    """Ratios to the hand-written loop, to JAX and to the floor, and microseconds of every loop."""
    lines = []
    for cell in result["cells"]:
        taken, at = cell["seconds"], f"{cell['network']}, batch size {cell['size']}"
        over_jax = OVER_JAX.get(cell["size"]) if cell["network"] == "Fashion-MNIST" else None
        lines += [
            _ratio(f"JAX ÷ hand-written JAX, {at}", taken["jax fused"], taken["hand-written"], OVER_HAND_WRITTEN),
            _ratio(f"TensorFlow ÷ JAX, {at}", taken["tensorflow fused"], taken["jax fused"], over_jax),
            _ratio(f"JAX ÷ floor, {at}", taken["jax fused"], floor(cell)),
            *(_time(f"{name}, {at}", taken[loop]) for loop, name in NAMES.items()),
            _time(f"Floor, {at}", floor(cell)),
        ]
    return lines


def floor(cell: dict[str, Any]) -> list[float]:
    """Seconds that an update takes at least, in each turn."""
    network, taken = networks.NETWORKS[cell["network"]], cell["seconds"]
    operations, moved = network.operations(cell["size"]), network.moved(cell["size"])
    return [max(a * operations, b * moved) for a, b in zip(taken["operation"], taken["byte"], strict=True)]


def _ratio(what: str, of: list[float], to: list[float], at_most: float | None = None) -> Row:
    ratios = [a / b for a, b in zip(of, to, strict=True)]
    return Row(what, statistics.median(ratios), RATIO, *_interval(ratios), at_most=at_most)


def _time(what: str, seconds: list[float]) -> Row:
    micro = [1e6 * each for each in seconds]
    return Row(what, statistics.median(micro), "µs", *_interval(micro))


def _interval(values: list[float]) -> tuple[float | None, float | None]:
    return median_interval(values) or (None, None)


def draw(result: dict[str, Any], axes: Axes) -> None:
    """A line for each loop over the sizes of each network, from the smallest to the largest work."""
    cells = result["cells"]
    names = list(dict.fromkeys(cell["network"] for cell in cells))
    places = [number + GAP * names.index(cell["network"]) for number, cell in enumerate(cells)]
    loops = [(name, "o-", [cell["seconds"][loop] for cell in cells]) for loop, name in NAMES.items()]
    for (label, style, taken), color in zip(
        [*loops, ("floor", "--", [floor(cell) for cell in cells])], COLORS, strict=True
    ):
        for network in names:
            of = [i for i, cell in enumerate(cells) if cell["network"] == network]
            micro = [1e6 * statistics.median(taken[i]) for i in of]
            first = label if network == names[0] else None
            axes.plot([places[i] for i in of], micro, style, color=color, label=first, markersize=3)
    axes.set_xticks(places, [f"{cell['size']:,}" for cell in cells])
    for network in names:
        of_network = [place for place, cell in zip(places, cells, strict=True) if cell["network"] == network]
        middle = statistics.mean(of_network)
        axes.annotate(network, (middle, 0), (0, -26), ("data", "axes fraction"), "offset points", ha="center")
    axes.set_yscale("log")
    axes.set_ylim(top=100 * axes.get_ylim()[1])
    axes.yaxis.set_major_formatter("{x:,.10g}")
    axes.set_ylabel("µs per update")
    axes.tick_params(axis="x", labelsize="small")
    axes.legend(fontsize="small", ncols=3, loc="upper left")
