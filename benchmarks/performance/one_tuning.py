"""Trials of one batch size on JAX: in turn with one compiled program or their own, and at once, as a tuning makes them.

    PYTHONPATH=scripts python benchmarks/performance/one_tuning.py NETWORK SIZE EPOCHS TRIALS ROUNDS

Prints a line of JSON: CPU seconds per trial by way and round, compilation included and nothing taken from a cache on
disk, and the largest relative difference of a lowest validation loss between trials at once and in turn. Two trials
alone compile their own, and have to end equal to the bit.
"""

from __future__ import annotations

import json
import sys
import time

import jax
import networks
import numpy as np

from batchscope.data.dataset import Data
from batchscope.training import engines, recipes
from batchscope.training.plans import Plan
from batchscope.training.trials import Trials


def trial_plans(network: networks.Network, size: int, epochs: int, trials: int) -> list[Plan]:
    """Half as many rates as trials, each with two seeds."""
    rates = np.geomspace(0.1, 3, (trials + 1) // 2) * network.optimizer["learning_rate"]
    cases = [(float(rate), seed) for rate in rates for seed in (101, 102)][:trials]
    recipe = network.recipe(epochs)
    return [Plan(recipes.with_learning_rate(recipe, rate), size, seed, "fused") for rate, seed in cases]


def lowest(trials: Trials, data: Data, made: list[Plan]) -> list[float]:
    """The lowest validation loss of each trial."""
    done = list(trials.train([(plan, data) for plan in made]))
    return [each.metrics["selected_validation_loss"] or np.inf for each in done]


def in_turn(engine: engines.Engine, data: Data, made: list[Plan]) -> list[float]:
    """Of trials that share what is compiled."""
    return lowest(Trials(engine, sys.maxsize, most=1), data, made)


def with_own(engine: engines.Engine, data: Data, made: list[Plan]) -> list[float]:
    """The same where each trial compiles its own programs."""
    from batchscope.training.engines.jax import programs

    losses = []
    for plan in made:
        programs.forget()
        losses += in_turn(engine, data, [plan])
    return losses


def at_once(engine: engines.Engine, data: Data, made: list[Plan]) -> list[float]:
    """The same by one program of all trials."""
    return lowest(Trials(engine, sys.maxsize), data, made)


def main(name: str, size: int, epochs: int, trials: int, rounds: int) -> None:
    """Measure and print."""
    network, engine = networks.NETWORKS[name], engines.load("jax")
    engine.configure("cpu", 1)
    jax.config.update("jax_enable_compilation_cache", False)
    from batchscope.training.engines.jax import programs, together

    together.FEWEST_UPDATES = 0  # so that the ratio also tells where it would not pay
    data, made = network.data(), trial_plans(network, size, epochs, trials)
    at_once(engine, data, trial_plans(network, size, 1, 2))  # what a process does once
    ways = {"in turn": (in_turn, made), "at once": (at_once, made), "with their own programs": (with_own, made[:2])}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    found = {}
    for _ in range(rounds):
        for way, (run, some) in ways.items():
            programs.forget()
            jax.clear_caches()
            start = time.process_time()
            found[way] = np.array(run(engine, data, some))
            seconds[way].append((time.process_time() - start) / len(some))
    if not np.array_equal(found["with their own programs"], found["in turn"][:2]):
        raise SystemExit(f"{name}, batch size {size}: trials that share programs end with other losses")
    apart = float(np.max(np.abs(found["at once"] / found["in turn"] - 1)))
    print(json.dumps({"network": name, "size": size, "seconds": seconds, "apart": apart}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
