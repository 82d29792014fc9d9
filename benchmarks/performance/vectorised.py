"""Trials of one batch size on JAX: in turn with one compiled program or their own, and as one program (a prototype).

    PYTHONPATH=scripts python benchmarks/performance/vectorised.py NETWORK SIZE EPOCHS TRIALS ROUNDS

Prints a line of JSON: CPU seconds per trial by way and round, compilation included and nothing taken from a cache on
disk, and the largest relative difference of a lowest validation loss between trials at once and in turn. Two trials
alone compile their own, and have to end equal to the bit. The prototype stops no trial that diverged.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import jax
import networks
import numpy as np
from jax import lax
from jax import numpy as jnp

from batchscope.data.dataset import Data
from batchscope.training import engines, loop, plans, recipes
from batchscope.training.plans import Plan


def trial_plans(network: networks.Network, size: int, epochs: int, trials: int) -> list[Plan]:
    """Half as many rates as trials, each with two seeds."""
    rates = np.geomspace(0.1, 3, (trials + 1) // 2) * network.optimizer["learning_rate"]
    cases = [(float(rate), seed) for rate in rates for seed in (101, 102)][:trials]
    recipe = network.recipe(epochs)
    return [Plan(recipes.with_learning_rate(recipe, rate), size, seed, "fused") for rate, seed in cases]


def in_turn(engine: engines.Engine, data: Data, made: list[Plan]) -> list[float]:
    """The lowest validation loss of each trial, as a tuning takes it."""
    done = [loop.train(engine, data, plan, step_records=1, trial=True) for plan in made]
    return [each.metrics["selected_validation_loss"] or np.inf for each in done]


def with_own(engine: engines.Engine, data: Data, made: list[Plan]) -> list[float]:
    """The same where each trial compiles its own programs."""
    from batchscope.training.engines.jax import programs

    losses = []
    for plan in made:
        programs.forget()
        losses += in_turn(engine, data, [plan])
    return losses


def at_once(engine: engines.Engine, data: Data, made: list[Plan]) -> list[float]:
    """The same by `jax.vmap` over the trials: an epoch is one scan over updates of all of them."""
    from batchscope.training.engines.jax import fused, programs

    trainers: list[Any] = [engine.build(plan, data) for plan in made]
    network, size, (x, y) = trainers[0].network, made[0].batch_size, trainers[0].parts["train"]
    one = jax.vmap(fused.update(network, None), in_axes=(0, 0, 0, 0, None))

    @jax.jit
    def epoch(state: Any, x: Any, y: Any, orders: Any, rates: Any) -> Any:
        def body(state: Any, at: Any) -> Any:
            batches, rate = at
            return one(state, x[batches], y[batches], rate, jnp.array([0, 0]))

        return lax.scan(body, state, (orders, rates))

    @jax.jit
    def losses(state: Any, x: Any, y: Any) -> Any:
        def mean(weights: Any, statistics: Any) -> Any:
            return jnp.mean(network.losses(programs.inference(network, weights, statistics, x)[0], y))

        return jax.vmap(mean)(state.weights, state.statistics)

    states = [fused.state_of(trainer.network) for trainer in trainers]
    state = jax.tree.map(lambda *arrays: jnp.asarray(np.stack(arrays)), *states)
    lowest, n = np.full(len(made), np.inf), len(y)
    for number in range(1, made[0].recipe["budget"]["epochs"] + 1):
        orders = np.stack([plans.epoch_order(n, plan, number).reshape(-1, size) for plan in made], axis=1)
        updates = len(orders)
        rates = np.stack([plans.learning_rates(n, plan, 0, updates) for plan in made], axis=1)
        state, seen = epoch(state, x, y, orders, rates)
        np.asarray(seen)
        lowest = np.fmin(lowest, np.asarray(losses(state, *trainers[0].parts["validation"])))
    return [float(loss) for loss in lowest]


def main(name: str, size: int, epochs: int, trials: int, rounds: int) -> None:
    """Measure and print."""
    network, engine = networks.NETWORKS[name], engines.load("jax")
    engine.configure("cpu", 1)
    jax.config.update("jax_enable_compilation_cache", False)
    from batchscope.training.engines.jax import programs

    data, made = network.data(), trial_plans(network, size, epochs, trials)
    at_once(engine, data, trial_plans(network, size, 1, 1))  # what a process does once
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
