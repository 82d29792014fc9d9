"""Core seconds of a tuning's trials on JAX that share what is compiled, against trials that compile each its own.

    PYTHONPATH=scripts python benchmarks/trials_on_jax.py [--rounds 5] [--batch-sizes 8 32 128]

Every trial is a whole training of eight epochs with a rate and a seed of its own. Those of a round come in both ways,
in turns, so that a machine that is busy for a while slows both. JAX's cache of compiled programs on disk is warm in
both. Prints the median ratio and the seconds per trial, and ends with an error where a loss differs in a bit.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from batchscope.data.dataset import Data
from batchscope.training import engines, loop, recipes
from batchscope.training.plans import Plan

RECIPE = {
    "name": "digits",
    "model": {"name": "mlp", "hidden": [128], "activation": "relu", "dropout": 0.2, "normalization": "none"},
    "optimizer": {"name": "adam", "learning_rate": 0.001},
    "learning_rate_scaling": {"rule": "none", "reference_batch_size": None, "warmup_epochs": 0.0},
    "micro_batch_size": None,
    "last_batch": "keep",
    "shuffle": True,
    "evaluation_batch_size": 1000,
    "snapshots": {"at": [], "train_losses": []},
    "budget": {"epochs": 8, "updates": None, "evaluations": None, "first_evaluation_at": None, "early_stopping": None},
    "tracked_weight": None,
}
TRIALS = [(rate, seed) for rate in (0.0003, 0.001, 0.003) for seed in (101, 102)]


def images(n: int = 1168) -> Data:
    """Random images of 8x8 pixels in ten classes: time does not depend on what they show."""
    rng = np.random.default_rng(0)
    x, y = rng.random((n, 64), dtype=np.float32), rng.integers(0, 10, n).astype(np.int32)
    return Data(x, y, x[:300], y[:300], x[:300], y[:300], {"classes": 10})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 32, 128])
    options = parser.parse_args()
    engine, data = engines.load("jax"), images()
    engine.configure("cpu", 1)
    from batchscope.training.engines.jax import programs  # after the engine chose Keras' backend

    def trials(size: int, *, shared: bool) -> tuple[list[float | None], float]:
        programs.forget()
        start, losses = time.process_time(), []
        for rate, seed in TRIALS:
            if not shared:
                programs.forget()
            plan = Plan(recipes.with_learning_rate(RECIPE, rate), size, seed, "fused")
            done = loop.train(engine, data, plan, step_records=1, trial=True)
            losses.append(done.metrics["selected_validation_loss"])
        return losses, (time.process_time() - start) / len(TRIALS)

    for size in options.batch_sizes:
        trials(size, shared=True)  # fills the cache on disk
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(options.rounds):
            found = {shared: trials(size, shared=shared) for shared in (True, False)}
            if found[True][0] != found[False][0]:
                raise SystemExit(f"batch size {size}: losses differ")
            for shared, (_, taken) in found.items():
                seconds[shared].append(taken)
        ratio = statistics.median(own / shared for own, shared in zip(seconds[False], seconds[True], strict=True))
        own, shared = (statistics.median(seconds[kind]) for kind in (False, True))
        print(
            f"batch size {size}: {ratio:.1f} times the core seconds where each trial compiles its own "
            f"({own:.2f} and {shared:.2f} s per trial)"
        )


if __name__ == "__main__":
    main()
