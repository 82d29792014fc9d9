"""How often the interval of a timing's median covers, and what a timing takes now and with seven windows of a second.

    PYTHONPATH=scripts python benchmarks/precision_of_timings.py [--timings 2000]
    PYTHONPATH=scripts python benchmarks/precision_of_timings.py --engine jax [--rounds 5] [--processor-time]

Without an engine: made-up windows whose long-run median is 1, looked at after each as in a timing, and pairs of times
from jobs that differ by 1 %, in one Markdown table. With an engine: the multilayer perceptron of `fused_against_fit.py`
on made-up digits, the two ways in turns.
Where others use the machine, `--processor-time` takes the time of the process in place of that on the wall.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
from fused_against_fit import RECIPE
from numpy.random import Generator
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.stats.quantiles import median_error, median_interval
from batchscope.stats.times import Time, told_apart
from batchscope.study.settings import Timing
from batchscope.training import engines, timing
from batchscope.training.plans import Plan

Values = NDArray[np.float64]
NOW = Timing()
UNTIL = timing.Until(NOW.windows, NOW.precision, NOW.max_seconds)
JOBS = 0.01  # how far jobs are apart in the simulation, as a standard deviation
SECONDS_BEFORE = 7  # windows, of one second each
MOST = round(NOW.max_seconds / NOW.window_seconds)


def independent(rng: Generator, spread: float) -> Values:
    """Lognormal windows."""
    return np.exp(spread * rng.standard_normal(MOST))


def disturbed(rng: Generator, spread: float) -> Values:
    """Lognormal windows; one in ten is longer by at least 5 %, by a Pareto law without a variance."""
    factors = independent(rng, spread) * (1 + (rng.random(MOST) < 0.1) * 0.05 * (1 + rng.pareto(1.5, MOST)))
    return factors / np.exp(0.139 * spread)  # whose median is that of the 5/9 quantile of a normal law


def resembling(share: float) -> Callable[[Generator, float], Values]:
    """Lognormal windows of which each keeps a share of the deviation of the one before."""

    def windows(rng: Generator, spread: float) -> Values:
        noise, values = rng.standard_normal(MOST), np.empty(MOST)
        values[0] = noise[0]
        for i in range(1, MOST):
            values[i] = share * values[i - 1] + np.sqrt(1 - share**2) * noise[i]
        return np.exp(spread * values)

    return windows


def drifting(rng: Generator, spread: float) -> Values:
    """Lognormal windows on a slow wave, as high as their spread, of eight seconds."""
    wave = np.sin(2 * np.pi * (np.arange(MOST) * NOW.window_seconds / 8 + rng.random()))
    return independent(rng, spread) * np.exp(spread * wave)


NOISES: dict[str, Callable[[Generator, float], Values]] = {
    "independent": independent,
    "one in ten disturbed": disturbed,
    **{f"keeps {share:g} of its neighbour's deviation": resembling(share) for share in (0.3, 0.5, 0.7, 0.9)},
    "slow wave": drifting,
}


def simulate(timings: int) -> None:
    """Print, by noise and spread, what timings say of one time, by jobs that differ by 1 %."""
    print(
        "| Windows | Spread | Interval of the windows covers | Windows taken | End as precise | Of these further off "
        "than 2 % | Interval of the time covers | Two times told apart |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, noise in NOISES.items():
        for spread in (0.005, 0.01, 0.02, 0.04):
            rng = np.random.default_rng(1)
            taken, covered, precise, wrong = [], 0, 0, 0
            times: list[Time] = []
            for _ in range(timings):
                values = noise(rng, spread)
                rows = [{"seconds": NOW.window_seconds, "seconds_per_update": value} for value in values]
                n = next((n for n in range(1, MOST) if UNTIL.ended_by(rows[:n])), MOST)
                low, high = median_interval(values[:n]) or (0.0, np.inf)
                ended = UNTIL.ended_by(rows[:n]) == "precision"
                taken.append(n)
                covered += low <= 1 <= high
                precise += ended
                wrong += ended and abs(np.median(values[:n]) - 1) > NOW.precision
                error = median_error(np.log(values[:n]))
                assert error is not None
                times.append(Time(float(np.median(values[:n]) * np.exp(JOBS * rng.standard_normal())), error, n))
            held = np.mean([time.factors[0] <= 1 / time.seconds <= time.factors[1] for time in times])
            apart = np.mean(
                [bool(told_apart(dict(enumerate(two)))) for two in zip(times[::2], times[1::2], strict=True)]
            )
            shares = [100 * covered / timings, np.mean(taken), 100 * precise / timings, 100 * wrong / max(precise, 1)]
            cells = "{:.1f} % | {:.1f} | {:.0f} % | {:.1f} % | {:.1f} % | {:.1f} %"
            print(f"| {name} | {100 * spread:g} % | {cells.format(*shares, 100 * held, 100 * apart)} |", flush=True)


def digits() -> Data:
    """As many examples as the training part of the digits has: time does not depend on what they show."""
    rng = np.random.default_rng(0)
    x, y = rng.random((1168, 64), dtype=np.float32), rng.integers(0, 10, 1168).astype(np.int32)
    return Data(x, y, x[:100], y[:100], x[:100], y[:100], {"classes": 10})


def compare(name: str, rounds: int, sizes: list[int]) -> None:
    """Print what a timing takes after its first compilation, and the ratio of its median to that of seven seconds."""
    engine, data = engines.load(name), digits()
    engine.configure("cpu", 1)
    before = timing.Until(SECONDS_BEFORE, NOW.precision, NOW.max_seconds)
    for size in sizes:
        took, windows, ratios, again, ends = [], [], [], [], []
        for _ in range(rounds):
            medians = []
            for until, seconds in ((UNTIL, NOW.window_seconds), (before, 1.0), (before, 1.0)):
                start = timing.time.perf_counter()
                found = timing.measure(
                    engine,
                    data,
                    Plan(RECIPE, size, 0, "fused"),
                    nullcontext(),
                    until=until,
                    window_seconds=seconds,
                    warmup_seconds=NOW.warmup_seconds if until is UNTIL else 1.0,
                )
                medians.append(float(np.median([window["seconds_per_update"] for window in found.windows])))
                if until is UNTIL:
                    took.append(timing.time.perf_counter() - start - (found.compile_seconds or 0.0))
                    windows.append(len(found.windows))
                    ends.append(found.ended_by)
            ratios.append(medians[0] / medians[1])
            again.append(medians[2] / medians[1])
        print(
            f"batch size {size}: {np.median(took):.1f} s, {np.median(windows):.0f} windows, "
            f"{ends.count('precision')} of {rounds} precise; median over that of seven seconds "
            f"{min(ratios):.3f} to {max(ratios):.3f}; seven seconds again {min(again):.3f} to {max(again):.3f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timings", type=int, default=2000)
    parser.add_argument("--engine")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 32, 128, 1024])
    parser.add_argument("--processor-time", action="store_true")
    options = parser.parse_args()
    if options.processor_time:
        time.perf_counter = time.process_time
    if options.engine:
        compare(options.engine, options.rounds, options.batch_sizes)
    else:
        simulate(options.timings)


if __name__ == "__main__":
    main()
