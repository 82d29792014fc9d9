"""Features scaled by numbers that are fitted on the training part, in the precision of the source."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.prepare import Floats, Indices, blocks
from batchscope.data.sources.reading import Examples
from batchscope.data.splits import DataError
from batchscope.tables.foreign import short

SAMPLED = 1024
MAX_MERGED = 0.01
# Fractions that were computed in two ways, such as 0.3 and 3 * 0.1, differ by some units in the last of 52 places.
_ROUNDING = 2.0**-44

Relative = Callable[[NDArray[Any]], NDArray[Any]]


def differences(x: NDArray[Any], origin: Any) -> NDArray[np.float64]:
    """`x - origin`, rounded once: whole numbers beyond 2**53 that differ keep their distance."""
    origin = np.asarray(origin)
    if x.dtype.kind in "iu" and origin.dtype.kind in "iu":
        (high, low), (origin_high, origin_low) = _halves(x), _halves(origin)
        return np.asarray((high - origin_high) * 2.0**32 + (low - origin_low), np.float64)
    return np.asarray(x.astype(np.result_type(x, np.float64)) - origin, np.float64)


def scale_parts(
    kind: str, parts: Sequence[NDArray[Any]], origin: NDArray[np.float64] | float = 0.0
) -> tuple[list[Floats], dict[str, Any]]:
    """All parts scaled by numbers fitted on the first, the training part, and these numbers.

    `unit` divides by the largest absolute value (255 for images of bytes). `standardise` subtracts the mean of each
    feature and divides by its standard deviation (that of the population); a constant feature is only centred. Features
    become numbers of 32 bits afterwards: a large mean takes no digits from what is left.

    Args:
        kind: none, unit or standardise.
        parts: features (n, ...) in the type of the source; they may be overwritten.
        origin: what is to be added to them.

    Raises:
        DataError: every training value is zero, or a scaled value leaves the range of 32-bit numbers.
    """
    if kind == "none":
        return [_rescaled(part, -np.asarray(origin), 1.0) for part in parts], {"kind": kind}
    if kind == "unit":
        divisor = max(float(np.abs(block.astype(np.float64) + origin).max()) for _, block in blocks(parts[0]))
        if divisor == 0:
            raise DataError("scale: unit divides by the largest training value, but all of them are zero")
        return [_rescaled(part, -np.asarray(origin), divisor) for part in parts], {"kind": kind, "divisor": divisor}
    return _standardised(parts, origin)


def check_distinct(examples: Examples, rows: Indices, scaled: Floats) -> None:
    """Raise `DataError` where 32 bits are too few for a feature that is not standardised.

    That is a feature which varies among the examples `rows`, but not among their 32-bit numbers `scaled`, in the same
    order; or one of which more than `MAX_MERGED` of the distinct values of a random sample are equal to others there.
    Fractions that differ by rounding of 64 bits count as one value.
    """
    if np.can_cast(examples.x.dtype, np.float32):
        return
    lowest, highest = _limits(examples.x[block] for _, block in blocks(rows))
    lost = ~_constant(lowest, highest, examples.origin) & (scaled.min(axis=0) == scaled.max(axis=0))
    sample = np.sort(np.random.default_rng(0).permutation(len(rows))[:SAMPLED])
    given, kept = _distinct(examples.x[rows[sample]]), _distinct(scaled[sample])
    for index in np.argwhere(lost | (kept < (1 - MAX_MERGED) * given))[:1]:
        place = f"feature {', '.join(str(number + 1) for number in index)} of {examples.x_name}"
        if examples.columns:
            place = f"{examples.x_name.partition(': ')[0]}: column `{short(examples.columns[index[0]])}`"
        of_it = "takes several values that are one and the same number of 32 bits"
        if not lost[tuple(index)]:
            n, left = given[tuple(index)], kept[tuple(index)]
            of_it = f"is too fine for numbers of 32 bits ({n} different values would become {left})"
        raise DataError(f"scale: {place} {of_it}; use standardise, which subtracts the mean first")


def _distinct(x: NDArray[Any]) -> NDArray[np.intp]:
    """How many values each feature of `x` (n, ...) takes."""
    ordered = np.sort(x, axis=0)
    rounding: Any = 0
    if x.dtype.kind == "f" and x.dtype != np.float32:
        rounding = _ROUNDING * np.abs(ordered[[0, -1]]).max(axis=0) * (np.mod(x, 1) != 0).any(axis=0)
    return np.asarray(1 + (np.diff(ordered, axis=0) > rounding).sum(axis=0))


def _standardised(parts: Sequence[NDArray[Any]], origin: Any) -> tuple[list[Floats], dict[str, Any]]:
    train, first = parts[0], parts[0][0].copy()
    if _is_32_bit(train):
        train, relative = train.astype(np.float32, order="C", copy=False), _unchanged
        mean = train.mean(axis=0, dtype=np.float64)
    else:
        relative, origin = functools.partial(differences, origin=first), origin + first.astype(np.float64)
        mean = sum(relative(block).sum(axis=0) for _, block in blocks(train)) / len(train)
    lowest, highest = _limits(relative(block) for _, block in blocks(train))
    constant = _constant(lowest, highest, origin)
    # Rounding would give a constant feature a tiny deviation other than zero, and dividing by it would be nonsense.
    mean = np.where(constant, lowest, mean)
    # A power of two, which rounds nothing, keeps the squares of tiny numbers above zero.
    unit = np.ldexp(1.0, np.frexp(np.subtract(highest, lowest, dtype=np.float64))[1])
    squares = sum(np.square((relative(block) - mean) / unit).sum(axis=0) for _, block in blocks(train))
    deviation = np.where(constant, 1.0, unit * np.sqrt(squares / len(train)))
    scaled = [_rescaled(part, mean, deviation, relative) for part in (train, *parts[1:])]
    numbers = {"mean": (mean + origin).ravel().tolist(), "deviation": deviation.ravel().tolist()}
    return scaled, {"kind": "standardise", **numbers}


def _unchanged(x: NDArray[Any]) -> NDArray[Any]:
    return x


def _limits(blocks: Iterable[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The lowest and the highest value of each feature."""
    limits = [(block.min(axis=0), block.max(axis=0)) for block in blocks]
    return np.min([low for low, _ in limits], axis=0), np.max([high for _, high in limits], axis=0)


def _halves(x: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole numbers as two whole numbers each: `high * 2**32 + low`."""
    x = x if x.dtype.itemsize == 8 else x.astype(np.int64)
    return (x >> 32).astype(np.int64), (x & 0xFFFFFFFF).astype(np.int64)


def _is_32_bit(x: NDArray[Any]) -> bool:
    """Whether every value is a number of 32 bits."""
    if np.can_cast(x.dtype, np.float32):
        return True
    with np.errstate(over="ignore", invalid="ignore"):  # back again, since comparing would round numbers of 64 bits
        return all(bool((block.astype(np.float32).astype(x.dtype) == block).all()) for _, block in blocks(x))


def _constant(lowest: NDArray[Any], highest: NDArray[Any], origin: Any) -> NDArray[np.bool_]:
    """Which features have one value, or fractions that differ by no more than the rounding of numbers of 64 bits."""
    low, high = lowest + np.asarray(origin, np.float64), highest + np.asarray(origin, np.float64)
    fractional = (np.mod(low, 1) != 0) | (np.mod(high, 1) != 0)
    rounding = 4 * np.finfo(np.float64).eps * np.maximum(np.abs(low), np.abs(high))
    constant: NDArray[np.bool_] = (lowest == highest) | fractional & (high - low <= rounding)
    return constant


def _rescaled(part: NDArray[Any], centre: Any, width: Any, relative: Relative = _unchanged) -> Floats:
    """`(relative(part) - centre) / width` as 32-bit numbers, in place where `part` has such."""
    scaled = part if part.dtype == np.float32 and part.flags.c_contiguous else np.empty(part.shape, np.float32)
    for start, block in blocks(part):
        with np.errstate(over="ignore"):
            scaled[start : start + len(block)] = (relative(block) - centre) / width
        if not np.isfinite(scaled[start : start + len(block)]).all():
            raise DataError("scale: a scaled value leaves the range of 32-bit numbers; a feature has an outlier")
    return scaled
