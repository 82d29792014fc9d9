"""A normal distribution for each class."""

from __future__ import annotations

import numpy as np
import sklearn.datasets

from batchscope.data.sources.reading import Examples, Place, Source, Values
from batchscope.data.splits import split_sizes


def read(dataset: Values, seed: int, place: Place) -> Source:
    """`train + test` points drawn at once, the last `test` of them for testing.

    The validation points come from the same centres and the same generator afterwards, which leaves the others as
    `make_blobs(n_samples=train + test, centers=classes, random_state=seed)` gives them.
    """
    train, validation, test = split_sizes(sum(dataset["split"].values()), dataset["split"])
    generator = np.random.RandomState(seed)
    options = {"n_features": dataset["features"], "cluster_std": dataset["cluster_std"], "random_state": generator}
    x, y, centres = sklearn.datasets.make_blobs(
        train + test, centers=dataset["classes"], return_centers=True, **options
    )
    x_validation, y_validation = sklearn.datasets.make_blobs(validation, centers=centres, **options)
    x = np.concatenate([x[:train], x_validation, x[train:]])
    y = np.concatenate([y[:train], y_validation, y[train:]])
    return Source(Examples(x, y, "blobs", "blobs"), classes=dataset["classes"])
