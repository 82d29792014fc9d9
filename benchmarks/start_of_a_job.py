"""CPU time to import TensorFlow and Keras with and without the packages that Keras imports and no job uses.

Pairs of fresh processes in random order. Run: PYTHONPATH=scripts python benchmarks/start_of_a_job.py [PAIRS]
"""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np

CODE = (
    "import time; from batchscope.training import engines; from batchscope.training.engines.keras import environment; "
    "environment._NOT_NEEDED = environment._NOT_NEEDED if {hidden} else (); "
    "before = time.process_time(); engines.load('tensorflow'); print(time.process_time() - before)"
)


def seconds(*, hidden: bool) -> float:
    """CPU time of one import in a process of its own."""
    command = [sys.executable, "-c", CODE.format(hidden=hidden)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main(pairs: int) -> None:
    """Print the median ratio of the pairs with its quartiles."""
    ratios = []
    for _ in range(pairs):
        found = {hidden: seconds(hidden=hidden) for hidden in random.sample((True, False), 2)}
        ratios.append(found[True] / found[False])
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    print(f"hidden / imported: {middle:.2f}, quartiles {low:.2f} to {high:.2f}, {pairs} pairs")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
