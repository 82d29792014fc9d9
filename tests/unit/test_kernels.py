"""Fused kernels of TensorFlow: the weights that Keras' own optimizers leave, to the bit, and a graph that has them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

RATES = np.geomspace(1e-4, 0.3, 40, dtype=np.float32)
SHAPES = ((37, 5), (5,), (), (8, 8))  # with and without a remainder after whole vectors of the processor
OPTIONS: tuple[dict[str, Any], ...] = ({}, {"clipnorm": 0.5}, {"global_clipnorm": 0.7}, {"clipvalue": 0.1})
AVERAGED = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3}
KERNELS = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.7, "nesterov": True}, AVERAGED, {"weight_decay": 0.1}],
    "Adam": [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}, AVERAGED, {"weight_decay": 0.1}],
    "AdamW": [{}, {"weight_decay": 0.3, "beta_1": 0.0}],
}
REPLACED = [(name, {**own, **more}) for name, kinds in KERNELS.items() for own in kinds for more in OPTIONS]


def run(name: str, options: dict[str, Any], *, kernels: bool, dtype: str = "float32") -> tuple[list[Any], set[str]]:
    """Weights and the optimizer's own variables after 40 updates, and the kinds of operations that made them."""
    import tensorflow as tf

    from batchscope.training.engines.keras.framework import keras
    from batchscope.training.engines.tensorflow.kernels import use

    rng = np.random.default_rng(1)
    variables = [keras.Variable(rng.normal(size=shape), dtype=dtype) for shape in SHAPES]
    kind = getattr(keras.optimizers, name)
    defaults = {option: value.default for option, value in inspect.signature(kind).parameters.items()}
    betas = {beta: options.get(beta, defaults[beta]) for beta in ("beta_1", "beta_2") if beta in defaults}
    optimizer = kind(**options | {beta: float(np.float32(value)) for beta, value in betas.items()})
    optimizer.build(variables)
    if kernels:
        use(optimizer)

    @tf.function(
        input_signature=[[tf.TensorSpec(shape, dtype) for shape in SHAPES], tf.TensorSpec([])], autograph=False
    )
    def update(gradients: Any, rate: Any) -> None:
        optimizer.learning_rate.assign(rate)
        optimizer.apply(gradients, variables)

    for rate in RATES:
        # Gradients of all sizes, some of them zero as behind a dead unit.
        gradients = [rng.normal(size=shape) * 10 ** rng.uniform(-6, 2, shape) for shape in SHAPES]
        update([tf.constant(g * (rng.random(g.shape) < 0.8), dtype) for g in gradients], rate)
    kinds = {operation.type for operation in update.get_concrete_function().graph.get_operations()}
    return [np.asarray(variable) for variable in (*variables, *optimizer.variables)], kinds


@pytest.mark.parametrize(("name", "options"), REPLACED)
def test_updates_are_those_of_keras_to_the_bit(engine: Any, name: str, options: dict[str, Any]) -> None:
    ours, kinds = run(name, options, kernels=True)
    expected, keras_kinds = run(name, options, kernels=False)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(kind.startswith("ResourceApply") for kind in kinds)
    assert not any(kind.startswith("ResourceApply") for kind in keras_kinds)


@pytest.mark.parametrize(
    ("name", "options", "dtype"),
    [
        ("Adam", {"amsgrad": True}, "float32"),
        ("Adam", {}, "float64"),
        ("SGD", {"momentum": 0.9}, "bfloat16"),
        ("RMSprop", {}, "float32"),
        ("Lamb", {}, "float32"),
    ],
)
def test_what_no_kernel_computes_is_left_to_keras(engine: Any, name: str, options: dict[str, Any], dtype: str) -> None:
    ours, kinds = run(name, options, kernels=True, dtype=dtype)
    for one, other in zip(ours, run(name, options, kernels=False, dtype=dtype)[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert not any(kind.startswith("ResourceApply") for kind in kinds)


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e2, 1e30])
def test_losses_of_logits_and_their_gradients_are_those_of_keras_to_the_bit(
    engine: Any, classes: int, scale: float
) -> None:
    import tensorflow as tf

    from batchscope.training.engines.keras.losses import Network
    from batchscope.training.engines.tensorflow.fused import losses

    rng = np.random.default_rng(classes)
    logits = (rng.normal(size=(37, classes)) * scale).astype(np.float32)
    logits[:5, 0] = -np.inf  # as a user's model rules out a class
    labels = rng.integers(1, classes, 37).astype(np.int32)
    network = Network(None, None, from_logits=True)  # type: ignore[arg-type]  # the loss looks at neither

    def both(of: Any) -> list[Any]:
        @tf.function(autograph=False)
        def found(x: Any, y: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                tape.watch(x)
                values = of(x, y)
                mean = tf.reduce_mean(values)
            return values, tape.gradient(mean, x)

        return [np.asarray(array) for array in found(tf.constant(logits), tf.constant(labels))]

    ours, expected = both(lambda x, y: losses(network, x, y)), both(network.losses)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isfinite(ours[0]).all()
