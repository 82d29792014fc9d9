"""A process that times updates with one engine, on one core; Keras has one backend in a process.

Reads a line of JSON for each thing to do and answers with one: `{"network": …, "size": …}` builds all loops and gives
their names, `{"loop": …, "seconds": …}` gives the CPU seconds of an update in a window of so many seconds.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Mapping

import networks
import numpy as np

from batchscope.training import engines
from batchscope.training.plans import Plan

PRODUCT = 1024  # rows and columns of the matrices whose product shows the rate of the core
Loops = Mapping[str, tuple[Callable[[], object], float]]  # something to call, and how much it does each time


def main(name: str) -> None:
    """Answer until the input ends."""
    engine = engines.load(name)
    engine.configure("cpu", 1)
    loops: Loops = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "network" in asked:
            loops = built(name, engine, asked["network"], asked["size"])
            answer: object = list(loops)
        else:
            answer = window(*loops[asked["loop"]], asked["seconds"])
        print(json.dumps(answer), flush=True)


def built(name: str, engine: engines.Engine, network: str, size: int) -> Loops:
    """The loops of an engine, compiled; with JAX also the one written by hand and what the core can do."""
    of = networks.NETWORKS[network]
    updates = of.examples // size
    order = np.random.default_rng(1).permutation(of.examples)[: updates * size].astype(np.int32)
    rates = np.full(updates, 0.001, np.float32)
    loops: dict[str, tuple[Callable[[], object], float]] = {}
    for loop in ("fused", "fit"):
        trainer = engine.build(Plan(of.recipe(), size, 1, loop), of.data())
        loops[f"{name} {loop}"] = functools.partial(trainer.train, order, rates), updates
    if name == "jax":
        import hand_written

        square, from_, to = np.ones((PRODUCT, PRODUCT), np.float32), *np.ones((2, of.moved(size) // 8), np.float32)
        loops["hand-written"] = hand_written.epoch(of, size, order), updates
        loops["operation"] = functools.partial(np.matmul, square, square), 2.0 * PRODUCT**3
        loops["byte"] = functools.partial(np.copyto, to, from_), 2.0 * to.nbytes
    for call, _ in loops.values():
        call()
    return loops


def window(call: Callable[[], object], amount: float, seconds: float) -> float:
    """CPU seconds of this process for one of the `amount` that each call does; at least one call."""
    calls, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds or not calls:
        call()
        calls += 1
    return spent / (calls * amount)


if __name__ == "__main__":
    main(sys.argv[1])
