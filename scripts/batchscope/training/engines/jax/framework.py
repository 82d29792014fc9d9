"""JAX, imported by Keras, whose backend it is; first weights are those that TensorFlow draws."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from batchscope.training.engines.keras import draws
from batchscope.training.engines.keras.framework import keras

# isort: split
import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jax._src import compilation_cache
from jax._src.compilation_cache_interface import CacheInterface
from keras.src import backend
from keras.src.backend.common import dtypes
from keras.src.initializers import constant_initializers
from keras.src.utils import module_utils

__all__ = ["Array", "CacheInterface", "arithmetic", "compilation_cache", "jax", "jnp", "keras", "lax"]

Array = jax.Array

logging.getLogger("jax").setLevel(logging.WARNING)  # below: platforms that were looked for, as TPU, and are not here

# `keras.utils.set_random_seed` would import TensorFlow where it is installed, which takes seconds for nothing.
module_utils.tensorflow._available = False


@contextlib.contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """A block in which JAX has numbers of this precision, float32 or float64, and Keras' layers keep it."""
    rounded = dtypes.BIT64_TO_BIT32_DTYPE  # what Keras makes of the results of operations on JAX
    before = rounded["float64"]
    rounded["float64"] = precision
    try:
        with jax.enable_x64(precision == "float64"):
            yield
    finally:
        rounded["float64"] = before


def _as_on_tensorflow(drawn: Callable[..., Any], ours: Callable[..., draws.Floats]) -> Callable[..., Any]:
    """Keras' function `drawn`, which draws with `ours` but in compiled functions, as layers like dropout do."""

    def draw(shape: Sequence[int], low: Any = 0.0, high: Any = 1.0, dtype: Any = None, seed: Any = None) -> Array:
        key = backend.random.draw_seed(seed)
        if isinstance(key, jax.core.Tracer):
            return drawn(shape, low, high, dtype=dtype, seed=key)
        first, second = np.asarray(key).tolist()
        return jnp.asarray(ours(shape, (first, second), float(low), float(high)), dtype or keras.config.floatx())

    def named(shape: Sequence[int], *args: Any, **options: Any) -> Array:
        names = {"minval": "low", "mean": "low", "maxval": "high", "stddev": "high"}
        return draw(shape, *args, **{names.get(name, name): value for name, value in options.items()})

    return named


def _zeros(self: Any, shape: Sequence[int], dtype: Any = None) -> Array:
    """As Keras' initializer, which has JAX compile a program for each shape, or read it from the folder."""
    return jax.device_put(np.zeros(shape, jnp.dtype(dtypes.standardize_dtype(dtype))))


constant_initializers.Zeros.__call__ = _zeros
for _name in ("uniform", "normal", "truncated_normal"):
    setattr(backend.random, _name, _as_on_tensorflow(getattr(backend.random, _name), getattr(draws, _name)))
