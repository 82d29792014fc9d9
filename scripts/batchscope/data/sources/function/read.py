"""Arrays that a function of the user's returns."""

from __future__ import annotations

from pathlib import Path

from batchscope.data import functions
from batchscope.data.sources.reading import Examples, Place, Source, Values
from batchscope.data.splits import DataError
from batchscope.identity.digests import file_sha256
from batchscope.identity.imports import closure


def read(dataset: Values, seed: int, place: Place) -> Source:
    """What the function returns for `seed`; where each seed draws its own data, another one must give others."""
    name = dataset["function"]
    x, y = functions.draw(name, dataset["arguments"], seed)
    if dataset["draw"] == "per-seed" and functions.is_drawn_again(name, dataset["arguments"], seed, (x, y)):
        raise DataError(
            f"function {name} returns the same data for the seeds {seed} and {seed ^ 1}; valid is a function that "
            "draws with its argument `seed`, or `draw: fixed`"
        )
    file = Path(name.rpartition(":")[0]).resolve()
    files = {str(path.relative_to(file.parent)): file_sha256(path) for path in closure(file, file.parent)}
    return Source(Examples(x, y, f"function {name}: x", f"function {name}: y"), files=files)
