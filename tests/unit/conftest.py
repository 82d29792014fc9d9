"""What several files of tests share and only one process may set up once."""

from __future__ import annotations

import gc

import pytest
from hypothesis import settings
from small import configured

settings.register_profile("shared machine", deadline=None)  # how long one example takes says nothing here
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def engine():
    """The TensorFlow engine."""
    loaded = configured("tensorflow")
    gc.freeze()
    return loaded


@pytest.fixture(scope="session")
def reference():
    """The NumPy engine, which trains softmax regression in microseconds per update."""
    return configured("numpy")
