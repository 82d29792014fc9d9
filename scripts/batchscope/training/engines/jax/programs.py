"""The compiled functions of a network: of its state and of data, so that networks of one recipe share them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from batchscope.training.engines.jax import fused
from batchscope.training.engines.jax.framework import Array, jax, jnp, lax
from batchscope.training.engines.jax.fused import Arrays, State
from batchscope.training.engines.keras.losses import Network, added_losses
from batchscope.training.plans import Plan


@dataclass(frozen=True)
class Programs:
    """What is compiled, once for each shape of the arguments.

    Attributes:
        steps: see `fused.program`.
        evaluation: function of weights, statistics, examples and labels, which it goes through in passes. Gives the
            loss of each example, how many were classified rightly, the examples of each pass and what the model adds to
            its loss because of them, and what it adds because of its weights.
        first_gradient: function of state, examples and labels that gives the gradient of their mean loss, in inference
            mode, in the first trainable array.
    """

    steps: Callable[..., tuple[State, Array]]
    evaluation: Callable[..., tuple[Array, ...]]
    first_gradient: Callable[[State, Array, Array], Array]


_kept: dict[str, Programs] = {}


def of(network: Network, plan: Plan) -> Programs:
    """The functions of a plan's network: those made last where plans differ in seed and rate alone, as trials do.

    Tracing and compiling take longer than most trials. A user's function may draw constants from the seed, and its
    network has functions of its own.
    """
    if "function" in plan.recipe["model"]:
        return _made(network, plan)
    optimizer = {**plan.recipe["optimizer"], "learning_rate": None}  # an argument, see `fused.update`
    shapes = [variable.shape for variable in network.model.variables]
    key = json.dumps([{**plan.recipe, "optimizer": optimizer}, plan.batch_size, network.model.input_shape, shapes])
    if key not in _kept:
        forget()
        _kept[key] = _made(network, plan)
    return _kept[key]


def forget() -> None:
    """Keep no functions, nor the network that they were made from."""
    _kept.clear()


def _made(network: Network, plan: Plan) -> Programs:
    def first_gradient(state: State, x: Array, y: Array) -> Array:
        first, *others = state.weights

        def loss(array: Array) -> Array:
            outputs, _ = network.model.stateless_call([array, *others], state.statistics, x, training=False)
            return jnp.mean(network.losses(outputs, y))

        return jax.grad(loss)(first)

    return Programs(
        fused.program(network, plan),
        _evaluation(network, plan.recipe["evaluation_batch_size"]),
        jax.jit(first_gradient),
    )


def inference(network: Network, weights: Arrays, statistics: Arrays, x: Array) -> tuple[Array, Arrays]:
    """What the model returns for examples, and the losses that it adds."""
    outputs, _, found = network.model.stateless_call(weights, statistics, x, return_losses=True, training=False)
    return outputs, found


def _evaluation(network: Network, size: int) -> Callable[..., tuple[Array, ...]]:
    """`Programs.evaluation` in passes of `size` examples."""

    @jax.jit
    def run(weights: Arrays, statistics: Arrays, x: Array, y: Array) -> tuple[Array, ...]:
        def look(start: Array, count: int) -> tuple[Array, Array, Array, Array]:
            some, labels = (lax.dynamic_slice_in_dim(array, start, count) for array in (x, y))
            outputs, found = inference(network, weights, statistics, some)
            hits = jnp.sum(jnp.argmax(outputs, axis=-1) == labels)
            of = (added_losses(network.model, of, found) for of in ("examples", "weights"))
            return network.losses(outputs, labels), hits, *(sum(each, jnp.float32(0)) for each in of)

        whole, rest = divmod(len(y), size)
        passes = []
        if whole:
            losses, *others = lax.map(lambda i: look(i * size, size), jnp.arange(whole))
            passes.append((losses.reshape(-1), *others))
        if rest:
            passes.append(tuple(jnp.atleast_1d(each) for each in look(jnp.int32(whole * size), rest)))
        losses, hits, added, penalties = (jnp.concatenate(each) for each in zip(*passes, strict=True))
        counts = jnp.array([size] * whole + [rest] * bool(rest))
        return losses, hits.sum(), counts, added, penalties[0]

    return run
