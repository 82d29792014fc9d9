"""JAX's cache of compiled programs: a kill leaves no entry cut short, and one that is damaged is made anew.

JAX itself writes an entry in place, warns of one that it cannot read, compiles, and leaves it as it is for ever.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from batchscope.identity.files import atomic_path
from batchscope.training.engines.jax.framework import CacheInterface, compilation_cache

_LOGGER = logging.getLogger(__name__)
_DIGEST = hashlib.sha256().digest_size


class Cache(CacheInterface):
    """Entries in a folder, each behind the SHA-256 of its value."""

    def __init__(self, folder: Path) -> None:
        self._path = folder
        self.has_grown = False

    def get(self, key: str) -> bytes | None:
        """The value of a key; None where there is none, or where it was damaged, which removes it."""
        path = self._file(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        value = content[_DIGEST:]
        if content[:_DIGEST] == hashlib.sha256(value).digest():
            return value
        path.unlink(missing_ok=True)
        _LOGGER.warning("%s is damaged; it was removed, and the program is compiled again", path)
        return None

    def put(self, key: str, value: bytes) -> None:
        """Keep the value of a key; another process may have done so meanwhile."""
        self.has_grown = True
        with atomic_path(self._file(key)) as temporary:
            temporary.write_bytes(hashlib.sha256(value).digest() + value)

    def _file(self, key: str) -> Path:
        return self._path / f"{key}-program"


def keep_in(folder: Path) -> None:
    """Let JAX keep what it compiles from now on in a folder."""
    compilation_cache._cache = Cache(folder)
    compilation_cache._cache_initialized = True


def has_grown() -> bool:
    """Whether this process has compiled, to keep it in the folder."""
    return isinstance(kept := compilation_cache._cache, Cache) and kept.has_grown
