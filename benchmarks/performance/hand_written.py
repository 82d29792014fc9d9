"""An epoch as one writes it in JAX by hand, with `lax.scan`: what the engine on JAX is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import networks
import numpy as np
from jax import lax
from jax import numpy as jnp
from numpy.typing import NDArray

RATE = 0.001


def epoch(network: networks.Network, size: int, order: NDArray[np.int32]) -> Callable[[], None]:
    """Function that makes the updates of an epoch and waits for them; see `engines.Steps` for what each records."""
    data = network.data()
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = [(network.features, network.hidden), (network.hidden, network.classes)]
    first, second = (0.1 * jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=False))
    weights = [first, jnp.zeros(network.hidden), second, jnp.zeros(network.classes)]
    adam = network.optimizer is networks.ADAM

    def loss(weights: Any, x: Any, y: Any, key: Any) -> Any:
        hidden = jax.nn.relu(x @ weights[0] + weights[1])
        if network.dropout:
            keep = 1 - network.dropout
            hidden = jnp.where(jax.random.bernoulli(key, keep, hidden.shape), hidden / keep, 0)
        chances = jax.nn.log_softmax(hidden @ weights[2] + weights[3])
        return -jnp.mean(jnp.take_along_axis(chances, y[:, None], 1))

    def update(state: Any, batch: Any, x: Any, y: Any) -> Any:
        weights, means, squares, made, key = state
        own = key
        if network.dropout:
            key, own = jax.random.split(key)
        value, gradient = jax.value_and_grad(loss)(weights, x[batch], y[batch], own)
        made += 1
        if adam:
            means = [0.9 * a + 0.1 * b for a, b in zip(means, gradient, strict=True)]
            squares = [0.999 * a + 0.001 * b * b for a, b in zip(squares, gradient, strict=True)]
            rate = RATE * jnp.sqrt(1 - 0.999**made) / (1 - 0.9**made)
            moves = [rate * a / (jnp.sqrt(b) + 1e-7) for a, b in zip(means, squares, strict=True)]
        else:
            means = [0.9 * a + RATE * b for a, b in zip(means, gradient, strict=True)]
            moves = means
        weights = [a - b for a, b in zip(weights, moves, strict=True)]
        norm = jnp.sqrt(sum(jnp.sum(array * array) for array in gradient))
        return (weights, means, squares, made, key), jnp.stack([value, norm, weights[0][0, 0]])

    @jax.jit
    def run(state: Any, x: Any, y: Any, order: Any) -> Any:
        return lax.scan(lambda state, batch: update(state, batch, x, y), state, order.reshape(-1, size))

    nothing = [jnp.zeros_like(array) for array in weights]
    state = weights, nothing, nothing, jnp.float32(0), keys[2]
    x, y = jnp.asarray(data.x_train), jnp.asarray(data.y_train)
    return lambda: jax.block_until_ready(run(state, x, y, order)[1])
