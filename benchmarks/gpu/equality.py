"""The engine on JAX on the card against itself on the CPU, and against its own repeat.

Run as `python equality.py ROWS DEVICE compute NAME`, which leaves NAME.npz and compiles in a folder NAME of its own,
and at last as `python equality.py ROWS DEVICE compare`, which reads reference.npz (of the CPU), first.npz and
second.npz.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import networks
import numpy as np
from checks import Check, Rows, between, equal
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training import engines, plans
from batchscope.training.plans import Plan

EXAMPLES, BATCH, CHUNK = 512, 32, 128
DERIVED = ("dense", "convolutional")  # whose derivatives are taken at fixed weights, too
SHOWN = 256  # size of the matrices whose product shows how it is rounded

Arrays = Mapping[str, NDArray[Any]]

# How far float32 results of two devices may lie apart: the largest difference as a share of the largest number.
FLOAT32 = {"loss": 1e-3, "gradient_norm": 2e-3, "evaluation": 2e-3, "last": 2e-3, "gradient32": 1e-3, "hessian32": 1e-3}
FLOAT64 = {"gradient64": 1e-9, "hessian64": 1e-9, "examples64": 1e-9}
PRODUCT = 1e-5  # of a product in float32; with TF32's ten bits it would be about 3e-4


def cases() -> Iterator[tuple[str, dict[str, Any], dict[str, Any], Data]]:
    """Networks, with their optimizers and data."""
    flat, images = networks.examples(EXAMPLES, (64,), 10), networks.examples(EXAMPLES, (8, 8, 1), 10)
    yield "dense", networks.mlp([128]), networks.MOMENTUM, flat
    yield "dense with dropout", networks.mlp([128], dropout=0.1), networks.ADAM, flat
    yield "dense with batch normalization", networks.mlp([128], normalization="batch"), networks.ADAM, flat
    yield "convolutional", networks.cnn([8, 16], 32), networks.ADAM, images


def compute(device: str, name: str) -> None:
    """Write what the engine computes on a device to NAME.npz."""
    target = Path(f"{name}.npz").resolve()
    Path(name).mkdir(exist_ok=True)
    os.chdir(name)
    engine, found = engines.load("jax"), {}
    engine.configure(device, 1)
    for case, model, optimizer, data in cases():
        made = networks.recipe(model, optimizer)
        plan = Plan(made, BATCH, 1, "fused")
        trainer = engine.build(plan, data)
        first = trainer.get_weights()
        found[f"{case}/first"] = trainer.trainable_weights()
        rates = np.full(EXAMPLES // BATCH, optimizer["learning_rate"], np.float32)
        seen = [trainer.train(plans.epoch_order(EXAMPLES, plan, epoch), rates) for epoch in (1, 2)]
        for key in ("loss", "gradient_norm"):
            found[f"{case}/{key}"] = np.concatenate([getattr(each, key) for each in seen])
        found[f"{case}/evaluation"] = np.array(trainer.evaluate("train"))
        found[f"{case}/last"] = trainer.trainable_weights()
        for precision, bits in (("float32", 32), ("float64", 64)) if case in DERIVED else ():
            arrays = (data.x_train, data.y_train)
            frozen = engine.freeze(made, arrays, 10, first, precision, CHUNK)
            along = np.random.default_rng(1).normal(size=len(frozen.weights))
            found[f"{case}/gradient{bits}"] = frozen.loss_and_gradient(frozen.weights)[1]
            found[f"{case}/hessian{bits}"] = frozen.hessian_vector(along)
            if bits == 64:
                found[f"{case}/examples{bits}"] = frozen.example_gradients(np.arange(4))
    np.savez(target, allow_pickle=False, **found, **products())


def products() -> dict[str, Any]:
    """Largest error of a product of float32 matrices as the engine computes it, and with TF32 asked for."""
    import jax
    from jax import numpy as jnp

    left, right = np.random.default_rng(2).normal(size=(2, SHOWN, SHOWN)).astype(np.float32)
    exact = left.astype(np.float64) @ right.astype(np.float64)
    found = {"product/engine": apart(np.asarray(jnp.matmul(left, right)), exact)}
    with jax.default_matmul_precision("tensorfloat32"):
        found["product/tf32"] = apart(np.asarray(jnp.matmul(left, right)), exact)
    return {name: np.array(value) for name, value in found.items()}


def apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference, as a share of the largest number."""
    return float(np.abs(np.asarray(one, np.float64) - other).max() / np.abs(other).max())


def compare(file: str, device: str) -> None:
    """A row for each network, and one for the product that shows how matrices are multiplied."""
    reference, first, second = (dict(np.load(f"{name}.npz")) for name in ("reference", "first", "second"))
    rows = Rows(file, "equality")
    for case in dict.fromkeys(name.rpartition("/")[0] for name in first if not name.startswith("product/")):
        found = {
            name.rpartition("/")[2]: apart(first[name], reference[name])
            for name in first
            if name.startswith(f"{case}/")
        }
        rows.add(case, found, case_checks(case, found, (reference, first, second)))
    errors = {name.removeprefix("product/"): float(first[name]) for name in first if name.startswith("product/")}
    check = between("error of the engine's float32 product: TF32 is off", errors["engine"], high=PRODUCT)
    rows.add("product of matrices", {**errors, "device": device}, [check])


def case_checks(case: str, found: Mapping[str, float], arrays: tuple[Arrays, Arrays, Arrays]) -> list[Check]:
    """What must hold of a network: equal to the bit, or to rounding."""
    reference, first, second = arrays
    weights = f"{case}/first"
    checks = [
        equal(f"{case}: first weights unlike those of the CPU", int((first[weights] != reference[weights]).sum())),
        equal(
            f"{case}: arrays unlike those of a repeat",
            sum(name.startswith(f"{case}/") and not np.array_equal(first[name], second[name]) for name in first),
        ),
    ]
    for name, bound in (FLOAT32 | FLOAT64).items():
        if name in found:
            checks.append(between(f"{case}: {name}, largest difference from the CPU", found[name], high=bound))
    return checks


if __name__ == "__main__":
    file, device, what, *name = sys.argv[1:]
    compute(device, *name) if what == "compute" else compare(file, device)
