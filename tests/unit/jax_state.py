"""A program of JAX takes over the arrays of the state that it trains, and no others; its zeros, its memory on a GPU.

Run as `python jax_state.py`; a process of its own, since Keras has one backend in a process.
"""

from pathlib import Path

import numpy as np
from small import blobs, configured, recipe

from batchscope.training.plans import Plan

ORDER, RATES = np.arange(60, dtype=np.int32), np.full(4, 0.1, np.float32)
ADAM = {"name": "adam", "learning_rate": 0.1, "use_ema": True, "ema_overwrite_frequency": 2}
MODEL = """\
import keras

ONE = keras.ops.ones((4, 4))


class Twice(keras.layers.Layer):
    def build(self, shape):
        self.first, self.second = keras.Variable(ONE), keras.Variable(ONE)

    def call(self, x):
        return x @ self.first @ self.second


def build(shape, classes):
    made = keras.Sequential([keras.layers.Input(shape), Twice(), keras.layers.Dense(classes)])
    made.begun_with = ONE
    return made
"""


def built(made):
    return configured("jax").build(Plan(made, 16, 1, "fused"), blobs())


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def check_zeros():
    """Zeros that no program makes are those of JAX."""
    import keras
    from jax import numpy as jnp

    for dtype in (None, "float32", "float16", "bfloat16", "int32", "bool"):
        ours, theirs = keras.initializers.Zeros()((2, 3), dtype), jnp.zeros((2, 3), dtype)
        assert (ours.aval, ours.weak_type, ours.committed) == (theirs.aval, theirs.weak_type, theirs.committed), dtype
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()
    assert keras.initializers.get("zeros")((), "float32") == 0


def check_allocator():
    """The memory of a GPU may be used to its end, and is not taken before, whatever the environment says."""
    from jaxlib import xla_client

    options = xla_client.generate_pjrt_gpu_plugin_options()
    assert (options["memory_fraction"], options["preallocate"]) == (0.95, False), options


def check_arrays():
    trainer = built(recipe(model={"dropout": 0.3, "normalization": "batch"}) | {"optimizer": ADAM})
    views = [np.asarray(variable) for variable in trainer.model.variables]  # of the memory of the arrays
    first = trainer.get_weights()
    kept = [array.copy() for array in first]
    trainer.train(ORDER, RATES)
    assert equal(views, kept)
    assert not equal(trainer.get_weights(), kept)
    trainer.set_weights(first)
    trainer.train(ORDER, RATES)
    assert equal(first, kept)

    Path("twice.py").write_text(MODEL)  # two variables begin with one array
    own = built({**recipe(), "model": {"function": "twice.py:build", "arguments": {}, "outputs": "logits"}})
    own.train(ORDER, RATES)
    assert not np.array_equal(*own.get_weights()[:2])
    assert np.asarray(own.model.begun_with).sum() == 16


if __name__ == "__main__":
    configured("jax")  # chooses Keras' backend
    check_allocator()
    check_zeros()
    check_arrays()
