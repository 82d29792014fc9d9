"""How much the telemetry sampler slows a training down.

    PYTHONPATH=scripts python benchmarks/telemetry_overhead.py --load dispatch --interval 0.25

A fixed amount of single-threaded work runs with and without the sampler, in pairs of random order, in one process.
`matmul` spends its time outside the interpreter, as large batches do; `dispatch` inside it, as small batches do, where
the sampler's thread competes for the interpreter's lock. Printed as JSON: the median over the pairs of (time with the
sampler) / (time without), with a 95 % bootstrap interval, for wall-clock time and for CPU time of the process. CPU time
is what to look at on a machine that does other work. Where the noise is larger than the effect, sample faster: what one
sample costs is then seen clearly, and divided by the interval that is really used it is the overhead. `--children` adds
sleeping child processes; with `--gpu` the GPUs that the job may use are sampled too.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil

from batchscope import telemetry

Work = Callable[[int], None]


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", choices=sorted(LOADS), default="dispatch")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--block-seconds", type=float, default=0.3)
    parser.add_argument("--interval", type=float, default=0.25, help="seconds between two samples")
    parser.add_argument("--children", type=int, default=0)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    gpus = telemetry.available_gpus() if options.gpu else telemetry.no_gpus()
    # A framework's process always has several threads, which by itself makes malloc take locks: both arms have one.
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    with sleeping_children(options.children):
        report = {**vars(options), "gpus": len(gpus.gpus), "processes_on_machine": len(psutil.pids())}
        report.update(measure(LOADS[options.load](single_threaded_numpy()), options, gpus))
    print(json.dumps(report, indent=2))


def measure(work: Work, options: argparse.Namespace, gpus: telemetry.Selection) -> dict[str, object]:
    """Ratios with intervals, and what one sample and the two edges cost on their own."""
    generator = random.Random(options.seed)
    repeats = calibrated(work, options.block_seconds)
    ratios: dict[str, list[float]] = {"wall": [], "cpu": []}
    for _ in range(options.pairs):
        spent = {}
        for sampled in generator.sample([True, False], k=2):
            with telemetry.Sampler(options.interval, gpus) if sampled else contextlib.nullcontext():
                spent[sampled] = timed(work, repeats)
        for clock, value in ratios.items():
            value.append(spent[True][clock] / spent[False][clock])
    report: dict[str, object] = {}
    for clock, values in ratios.items():
        ratio = interval(values, generator)
        report[f"{clock}_ratio"] = ratio
        report[f"{clock}_microseconds_lost_per_sample"] = {
            name: 1e6 * options.interval * (value - 1) for name, value in ratio.items()
        }
    return {**report, **cost_of_a_sample(gpus)}


def cost_of_a_sample(gpus: telemetry.Selection) -> dict[str, object]:
    """CPU microseconds of one sample, by sampling fast while nothing else runs, and wall microseconds of the edges."""
    with telemetry.Sampler(0.002, gpus) as sampler:
        before = time.process_time()
        time.sleep(1.0)
        spent = time.process_time() - before
    edges = []
    for _ in range(20):
        start = time.perf_counter()
        with telemetry.Sampler(60.0, gpus):
            pass
        edges.append(time.perf_counter() - start)
    samples = sampler.result.summary["telemetry_samples"] or 0
    return {
        "cpu_microseconds_per_sample": 1e6 * spent / max(1, samples - 2),
        "wall_microseconds_of_both_edges": 1e6 * statistics.median(edges),
    }


def timed(work: Work, repeats: int) -> dict[str, float]:
    """Wall-clock and CPU seconds of the work; CPU seconds include the sampler's thread."""
    wall, cpu = time.perf_counter(), time.process_time()
    work(repeats)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def calibrated(work: Work, seconds: float) -> int:
    """Repeats of the work that last about `seconds`."""
    repeats = 1
    while (spent := timed(work, repeats)["wall"]) < 0.2 * seconds:
        repeats *= 2
    return max(1, round(repeats * seconds / spent))


def interval(values: Sequence[float], generator: random.Random, resamples: int = 10_000) -> dict[str, float]:
    """Median with its 95 % percentile bootstrap interval."""
    medians = sorted(statistics.median(generator.choices(values, k=len(values))) for _ in range(resamples))
    return {
        "median": statistics.median(values),
        "low": medians[int(0.025 * resamples)],
        "high": medians[int(0.975 * resamples) - 1],
    }


def matmul(np: Any) -> Work:
    """Large products: the interpreter's lock is free nearly all the time."""
    left = np.ones((512, 512), dtype=np.float32)

    def work(repeats: int) -> None:
        for _ in range(repeats):
            left @ left

    return work


def dispatch(np: Any) -> Work:
    """Many small operations: the interpreter's lock is held nearly all the time."""
    start, batch = np.ones((64, 10), dtype=np.float32), np.ones((8, 64), dtype=np.float32)

    def work(repeats: int) -> None:
        weights = start
        for _ in range(repeats):
            weights = weights - 1e-6 * (batch.T @ (batch @ weights - 1.0))

    return work


LOADS: dict[str, Callable[[Any], Work]] = {"matmul": matmul, "dispatch": dispatch}


def single_threaded_numpy() -> Any:
    """NumPy with one thread for its matrix products; it reads these variables when it is first imported."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    return importlib.import_module("numpy")


@contextlib.contextmanager
def sleeping_children(count: int) -> Iterator[None]:
    """`count` child processes that do nothing until the block ends."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(count)]
    try:
        yield
    finally:
        for child in children:
            child.communicate()


if __name__ == "__main__":
    main()
