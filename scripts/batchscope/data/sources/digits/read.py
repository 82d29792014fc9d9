"""Handwritten digits of scikit-learn."""

from __future__ import annotations

import sklearn.datasets

from batchscope.data.sources.reading import Examples, Place, Source, Values


def read(dataset: Values, seed: int, place: Place) -> Source:
    """The images, in their order."""
    images = sklearn.datasets.load_digits()
    names = [str(name) for name in images.target_names]
    examples = Examples(images.images[..., None], images.target, "digits", "digits")
    return Source(examples, classes=10, class_names=names)
