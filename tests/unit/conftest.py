"""What several files of tests share and only one process may set up once."""

from __future__ import annotations

import gc

import pytest
from hypothesis import settings
from small import configured

settings.register_profile("shared machine", deadline=None)  # how long one example takes says nothing here
settings.load_profile("shared machine")


def pytest_collection_finish() -> None:
    """Let no collection go through what lasts as long as the tests do: a search of all of it takes a second."""
    gc.collect()
    gc.freeze()


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
