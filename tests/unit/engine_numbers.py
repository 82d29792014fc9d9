"""What an engine on Keras computes. `python engine_numbers.py OUT.npz` writes that of the engine on JAX to a file.

That is a process of its own, since Keras has one backend in a process.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from small import blobs, configured, recipe

from batchscope.training import plans, recipes
from batchscope.training.plans import Plan

FLAT, IMAGES = blobs(), blobs(features=36, shape=(6, 6, 1))
CNN = {
    "name": "cnn",
    "filters": [4],
    "kernel_size": 3,
    "dense": 32,
    "activation": "relu",
    "dropout": 0.0,
    "normalization": "none",
}


OPTIMIZERS = {
    "none": {"name": "adam", "learning_rate": 0.01, "amsgrad": True, "global_clipnorm": 0.2},
    "batch": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "clipnorm": 0.5},
    "layer": {"name": "sgd", "learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3},
    "group": {"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.1, "clipvalue": 0.01},
}


def cases() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Recipes without random layers, each with its data; together they have all normalizations and optimizers."""
    for normalization, optimizer in OPTIMIZERS.items():
        mlp = {"hidden": [32], "normalization": normalization, "activation": "tanh"}
        yield f"mlp {normalization}", recipe(model=mlp) | {"optimizer": optimizer}, FLAT
    yield "cnn batch, dropped", recipe(last_batch="drop") | {"model": {**CNN, "normalization": "batch"}}, IMAGES
    yield "accumulated", recipe(micro_batch_size=5, model={"normalization": "batch"}), FLAT


def numbers(engine: str) -> dict[str, Any]:
    """By name: first weights, losses and norms of two epochs, evaluation, weights, derivatives at them."""
    loaded, found = configured(engine), {}
    for name, made, data in cases():
        plan = Plan(made, 16, 3, "fused")
        trainer = loaded.build(plan, data)
        found[f"{name}/first"] = trainer.trainable_weights()
        per_epoch = recipes.updates_per_epoch(60, 16, made["last_batch"])
        rate = np.full(per_epoch, made["optimizer"]["learning_rate"], np.float32)
        seen = [trainer.train(plans.epoch_order(60, plan, epoch), rate) for epoch in (1, 2)]
        for key in ("loss", "gradient_norm", "weight"):
            found[f"{name}/{key}"] = np.concatenate([getattr(each, key) for each in seen])
        found[f"{name}/evaluation"] = np.array([trainer.evaluate(part) for part in ("train", "validation", "test")])
        found[f"{name}/last"] = trainer.trainable_weights()
        if "batch" not in name and "layer" not in name:
            continue
        found[f"{name}/batches"] = trainer.batch_losses(
            "train", np.arange(60, dtype=np.int32).reshape(4, 15), batch_statistics=True
        )
        arrays = (data.x_train, data.y_train)
        frozen = loaded.freeze(made, arrays, 3, trainer.get_weights(), "float64", 16)
        found[f"{name}/gradient"] = frozen.loss_and_gradient(frozen.weights)[1]
        found[f"{name}/examples"] = frozen.example_gradients(np.arange(5))
        found[f"{name}/hessian"] = frozen.hessian_vector(np.random.default_rng(0).normal(size=len(frozen.weights)))
    return found


if __name__ == "__main__":
    np.savez(Path(sys.argv[1]), allow_pickle=False, **numbers("jax"))
