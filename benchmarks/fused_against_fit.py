"""Time per update of the fused loop against Keras' `model.fit`, on the Task 08 document's network, in one process.

    PYTHONPATH=scripts python benchmarks/fused_against_fit.py [--rounds 9] [--batch-sizes 8 32 128]

Both loops train the same updates on the same data with one thread, in turns and in random order. The ratio of each turn
is taken within it, so that a machine that is busy for a while slows both. Prints the median ratio with the quartiles,
and the largest relative difference of the step losses of the two loops.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from batchscope.data.dataset import Data
from batchscope.training import engines
from batchscope.training.plans import Plan

RECIPE = {
    "name": "task08-mlp",
    "model": {"name": "mlp", "hidden": [128], "activation": "relu", "dropout": 0.1, "normalization": "none"},
    "optimizer": {"name": "adam", "learning_rate": 0.001},
    "learning_rate_scaling": {"rule": "none", "reference_batch_size": None, "warmup_epochs": 0.0},
    "micro_batch_size": None,
    "last_batch": "keep",
    "shuffle": True,
    "evaluation_batch_size": 1000,
    "budget": {"epochs": 1, "early_stopping": None},
    "tracked_weight": None,
}


def images(n: int = 4096) -> Data:
    """Random images of 28x28 pixels in ten classes: time does not depend on what they show."""
    rng = np.random.default_rng(0)
    x, y = rng.random((n, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, n).astype(np.int32)
    return Data(x, y, x[:100], y[:100], x[:100], y[:100], {"classes": 10})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 32, 128])
    options = parser.parse_args()
    engine = engines.load("tensorflow")
    engine.configure("cpu", 1)
    data, rng = images(), np.random.default_rng(1)
    for size in options.batch_sizes:
        order = np.arange(len(data.y_train) // size * size, dtype=np.int32)
        rates = np.full(len(order) // size, 0.001, np.float32)
        trainers = {loop: engine.build(Plan(RECIPE, size, 1, loop), data) for loop in ("fused", "fit")}
        losses = {loop: trainer.train(order, rates).loss for loop, trainer in trainers.items()}
        difference = np.abs(losses["fused"] / losses["fit"] - 1).max()
        ratios = []
        for _ in range(options.rounds):
            seconds = {}
            for loop in rng.permutation(list(trainers)):
                start = time.perf_counter()
                trainers[str(loop)].train(order, rates)
                seconds[str(loop)] = time.perf_counter() - start
            ratios.append(seconds["fit"] / seconds["fused"])
        low, median, high = statistics.quantiles(ratios, n=4)
        print(
            f"batch size {size}: model.fit takes {median:.1f} times as long per update "
            f"(quartiles {low:.1f} to {high:.1f}, {options.rounds} rounds of {len(rates)} updates); "
            f"largest relative difference of a loss {difference:.1e}"
        )


if __name__ == "__main__":
    main()
