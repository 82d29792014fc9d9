"""Arrays that a function of the user's returns."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.functions import FunctionError, load_function
from batchscope.data.sources.reading import Examples, Place, Source, Values
from batchscope.data.splits import DataError
from batchscope.identity.digests import file_sha256
from batchscope.identity.imports import closure


def read(dataset: Values, seed: int, place: Place) -> Source:
    """What the function returns for `seed`; where each seed draws its own data, another one must give others."""
    name, arguments = dataset["function"], dataset["arguments"]
    x, y = _call(name, arguments, seed)
    if dataset["draw"] == "per-seed" and _is_drawn_again(name, arguments, seed, (x, y)):
        raise DataError(
            f"function {name} returns the same data for the seeds {seed} and {seed ^ 1}; valid is a function that "
            "draws with its argument `seed`, or `draw: fixed`"
        )
    file = Path(name.rpartition(":")[0]).resolve()
    files = {str(path.relative_to(file.parent)): file_sha256(path) for path in closure(file, file.parent)}
    return Source(Examples(x, y, f"function {name}: x", f"function {name}: y"), files=files)


def _call(name: str, arguments: Mapping[str, Any], seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """What the user's function returns, with the global generators seeded, too, and left as they were."""
    try:
        with _own_generators():
            _seed_generators(seed)
            function = load_function(name)  # imports the file again, so that it keeps nothing of a call before
            _seed_generators(seed)  # whatever the import drew or seeded
            result = function(seed=seed, **arguments)
    except FunctionError as error:
        raise DataError(f"function: {error}") from error
    except Exception as error:  # whatever the user's code raises; the traceback stays attached
        raise DataError(f"function {name} failed with {type(error).__name__}: {error}") from error
    if not isinstance(result, tuple) or len(result) != 2:
        raise DataError(f"function {name} returned {type(result).__name__}; it must return two arrays, (x, y)")
    try:
        return np.array(result[0]), np.array(result[1])
    except ValueError as error:
        raise DataError(f"function {name} returned something that is no array: {error}") from error


def _is_drawn_again(name: str, arguments: Mapping[str, Any], seed: int, drawn: Sequence[NDArray[Any]]) -> bool:
    """Whether the function returns the same for another seed."""
    try:
        other = _call(name, arguments, seed ^ 1)
    except DataError:
        return False  # a function that fails for another seed, such as one that reads a file per seed, looks at it
    return all(np.array_equal(_comparable(one), _comparable(two)) for one, two in zip(drawn, other, strict=True))


@contextlib.contextmanager
def _own_generators() -> Iterator[None]:
    """Python's and NumPy's global generators go on afterwards as if nothing had been drawn."""
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


def _seed_generators(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)


def _comparable(x: NDArray[Any]) -> NDArray[Any]:
    return x.astype(str) if x.dtype.hasobject else x
