"""Entries of JAX's cache of compiled programs that are damaged, or whose writing is cut off.

Run as `python jax_cache.py` in an empty folder; a process of its own, since Keras has one backend in a process.
"""

import logging
import os
import warnings
from pathlib import Path

from small import configured


class Told(logging.Handler):
    """What the library says."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def empty(file):
    os.truncate(file, 0)


def turn(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def main():
    configured("jax")  # chooses Keras' backend
    import jax
    from jax import numpy as jnp

    from batchscope.training.engines.jax.cache import Cache

    warnings.simplefilter("error")  # JAX warns of an entry that it cannot use
    told = Told()
    logging.getLogger("batchscope").addHandler(told)
    x = jnp.arange(6.0).reshape(2, 3)
    function = jax.jit(lambda x: jnp.sin(x) @ x.T)

    def computed():
        jax.clear_caches()  # of this process
        return function(x).tolist()

    first = computed()
    (entry,) = Path(".cache/jax/1-threads").glob("jit__lambda*")
    made = entry.stat()
    assert computed() == first
    assert entry.stat().st_mtime_ns == made.st_mtime_ns  # it was read
    for number, damage in enumerate((cut, empty, turn), start=1):
        damage(entry)
        assert computed() == first
        assert [str(entry) in text for text in told.texts] == [True] * number
        assert computed() == first
        assert len(told.texts) == number  # it was whole again

    cache, write = Cache(Path("own")), Path.write_bytes

    def half(path, content):
        write(path, content[: len(content) // 2])
        raise KeyboardInterrupt

    Path.write_bytes = half
    try:
        cache.put("key", b"value")
    except KeyboardInterrupt:
        assert cache.get("key") is None
    else:
        raise AssertionError("nothing was written")
    Path.write_bytes = write
    cache.put("key", b"value")
    assert cache.get("key") == b"value"


if __name__ == "__main__":
    main()
