"""Features that know nothing of the labels."""

from __future__ import annotations

import numpy as np

from batchscope.data.sources.reading import Examples, Place, Source, Values


def read(dataset: Values, seed: int, place: Place) -> Source:
    """Features from the standard normal distribution and labels drawn uniformly, independent of them."""
    n, generator = sum(dataset["split"].values()), np.random.default_rng(seed)
    x = generator.standard_normal((n, dataset["features"]), dtype=np.float32)
    y = generator.integers(0, dataset["classes"], n)
    return Source(Examples(x, y, "random-labels", "random-labels"), classes=dataset["classes"])
