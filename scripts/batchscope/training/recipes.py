"""What a resolved recipe means at one batch size: updates per epoch, the options of the optimizer.

A recipe is the resolved mapping that `study.load` returns. Nothing here knows a framework, or needs NumPy: the
Snakefile reads it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any


def resolve_batch_size(name: str, n_train: int) -> int:
    """Examples per update for a batch size as the study writes it: digits, or `full` for all `n_train` examples."""
    return n_train if name == "full" else int(name)


def updates_per_epoch(n_train: int, batch_size: int, last_batch: str) -> int:
    """ceil(N/B) where the last, smaller batch is kept, floor(N/B) where it is dropped."""
    return n_train // batch_size if last_batch == "drop" else math.ceil(n_train / batch_size)


def scaled_optimizer(recipe: Mapping[str, Any], batch_size: int) -> dict[str, Any]:
    """The recipe's optimizer with its options for a batch size B = κ B0, B0 being the reference batch size.

    `none`: as they are. `linear`: rate times κ (Goyal et al. 2017). `sqrt`: rate times √κ (Hoffer et al. 2017).
    `adam-sde`: rate times √κ, 1 - β times κ for both β, ε over √κ (Malladi et al. 2022, arXiv 2205.10287); a weight
    decay, which Keras applies apart from the gradient and times the rate, times √κ, so that it takes as much per
    example.

    Raises:
        ValueError: a β of Adam would not be positive.
    """
    options, scaling = dict(recipe["optimizer"]), recipe["learning_rate_scaling"]
    if scaling["rule"] == "none":
        return options
    kappa = batch_size / scaling["reference_batch_size"]
    options["learning_rate"] *= kappa if scaling["rule"] == "linear" else math.sqrt(kappa)
    if scaling["rule"] == "adam-sde":
        options |= {name: 1 - kappa * (1 - options[name]) for name in ("beta_1", "beta_2")}
        options["epsilon"] /= math.sqrt(kappa)
        if options.get("weight_decay") is not None:
            options["weight_decay"] *= math.sqrt(kappa)
        if min(options["beta_1"], options["beta_2"]) < 1e-12:  # zero but for rounding
            raise ValueError(
                f"the rule adam-sde makes beta_1 {options['beta_1']:.4g} and beta_2 {options['beta_2']:.4g} at batch "
                f"size {batch_size}, and they must be above 0; valid is a larger reference_batch_size, or a smaller "
                "batch size"
            )
    return options


def scaled_learning_rate(recipe: Mapping[str, Any], batch_size: int) -> float:
    """Learning rate for a batch size, at the end of the warm-up; see `scaled_optimizer`."""
    return float(scaled_optimizer(recipe, batch_size)["learning_rate"])


def with_learning_rate(recipe: Mapping[str, Any], rate: float) -> dict[str, Any]:
    """The recipe with a rate that tuning chose, or tries."""
    return {**recipe, "optimizer": {**recipe["optimizer"], "learning_rate": rate}}


def random_rank(name: str) -> float:
    """A number in [0, 1) that orders names at random, the same on every machine: the order in which cells are timed."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
