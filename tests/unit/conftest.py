"""What several files of tests share and only one process may set up once."""

from __future__ import annotations

import pytest
from hypothesis import settings

from batchscope.training import engines

settings.register_profile("shared machine", deadline=None)  # how long one example takes says nothing here
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def engine():
    """The TensorFlow engine on one thread of the CPU: TensorFlow takes its settings before its first operation only."""
    module = engines.load("tensorflow")
    module.configure("cpu", 1)
    return module
