"""What the environment says to Keras: overruled while it is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_WITHOUT = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")

# Keras imports these where they are installed, for wrappers, plots and data frames, which no job uses: a third of the
# processor time of its import (docs/measurements.md).
_NOT_NEEDED = ("sklearn", "matplotlib", "pandas")


def keras_home() -> str:
    """The folder in which Keras keeps what it downloads, as Keras chooses it: `KERAS_HOME` or ~/.keras."""
    # Not Path.expanduser, which raises where there is no home.
    return os.path.expanduser(os.environ.get("KERAS_HOME", "~/.keras"))  # noqa: PTH111


@contextmanager
def overruled() -> Iterator[None]:
    """Import Keras in this block: a user's keras.json then decides nothing, and nothing is written.

    The backend is the one of the engine (`About.decided`). In the block Keras' home is a place where no file can be
    read or made, and packages that Keras can do without are not there, unless they are imported already.
    """
    for name in _WITHOUT:
        os.environ.pop(name, None)
    home = os.environ.get("KERAS_HOME")
    os.environ["KERAS_HOME"] = os.devnull
    absent = [package for package in _NOT_NEEDED if package not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in absent:
            del sys.modules[package]
        del os.environ["KERAS_HOME"]
        if home is not None:
            os.environ["KERAS_HOME"] = home
