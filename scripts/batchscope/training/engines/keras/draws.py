"""First weights that do not depend on the framework: TensorFlow's stateless generator, written in NumPy.

Keras draws first weights with the generator of its backend, so that one seed would mean other weights on each. An
engine on another backend than TensorFlow draws them with these functions instead, and starts from the same weights.

The generator is Philox 4x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011);
how TensorFlow makes its key from a seed and numbers from its words follows `tsl/lib/random` of TensorFlow.
Uniform numbers are equal to the bit, normal ones but for the rounding of logarithm, sine and cosine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float32]"
Words: TypeAlias = "NDArray[np.uint32]"
Seed = tuple[int, int]  # as Keras keeps it: a number, and how many draws were made from it before

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], np.uint32)
_FIRST_KEY = np.array([0x3EC8F720, 0x02461E29], np.uint32)
_LARGEST_SEED = 2**31 - 2  # Keras takes the remainder
_TRUNCATED_AT = 2.0  # standard deviations
_RESERVED = 256  # words for one truncated normal number


def uniform(shape: Sequence[int], seed: Seed, low: float = 0.0, high: float = 1.0) -> Floats:
    """Numbers from [low, high), as `tf.random.stateless_uniform` draws them."""
    fractions = _shaped(_fractions(_words(seed, np.arange(-(-math.prod(shape) // 4)))), shape)
    return fractions * (np.float32(high) - np.float32(low)) + np.float32(low)


def normal(shape: Sequence[int], seed: Seed, mean: float = 0.0, deviation: float = 1.0) -> Floats:
    """Numbers as `tf.random.stateless_normal` draws them."""
    drawn = _box_muller(_words(seed, np.arange(-(-math.prod(shape) // 4))))
    return _shaped(drawn, shape) * np.float32(deviation) + np.float32(mean)


def truncated_normal(shape: Sequence[int], seed: Seed, mean: float = 0.0, deviation: float = 1.0) -> Floats:
    """Numbers as `tf.random.stateless_truncated_normal` draws them.

    Each group of four has a stream of its own, of which it takes the first four that lie within two deviations.
    """
    groups = -(-math.prod(shape) // 4)
    found = np.empty((groups, 4), np.float32)
    open_, taken = np.arange(groups), 4
    while len(open_):
        taken *= 2
        streams = open_[:, None] * _RESERVED + np.arange(taken // 4)
        drawn = _box_muller(_words(seed, streams.ravel())).reshape(len(open_), taken)
        within = np.abs(drawn) < _TRUNCATED_AT
        first = np.argsort(~within, axis=1, kind="stable")[:, :4]
        done = within.sum(axis=1) >= 4
        found[open_[done]] = np.take_along_axis(drawn, first, axis=1)[done]
        open_ = open_[~done]
    return _shaped(found, shape) * np.float32(deviation) + np.float32(mean)


def _shaped(numbers: Floats, shape: Sequence[int]) -> Floats:
    return numbers.ravel()[: math.prod(shape)].reshape(shape)


def _words(seed: Seed, index: NDArray[np.int64]) -> Words:
    """The words of the generator of a seed, four for each of its counters `index`; shape (len(index), 4)."""
    mixed = _philox(np.array([[seed[0] % _LARGEST_SEED, 0, seed[1] % _LARGEST_SEED, 0]], np.uint32), _FIRST_KEY)[0]
    counter = np.empty((len(index), 4), np.uint32)
    counter[:, 0], counter[:, 1], counter[:, 2:] = index & 0xFFFFFFFF, index >> 32, mixed[2:]
    return _philox(counter, mixed[:2])


def _philox(counter: Words, key: Words) -> Words:
    """Ten rounds; `counter` of shape (n, 4), `key` of shape (2,)."""
    columns = tuple(counter.T)
    for turn in range(10):
        first, second = (
            factor * column.astype(np.uint64) for factor, column in zip(_MULTIPLIERS, columns[::2], strict=True)
        )
        turned = key + np.uint32(turn) * _WEYL
        columns = (
            _high(second) ^ columns[1] ^ turned[0],
            second.astype(np.uint32),
            _high(first) ^ columns[3] ^ turned[1],
            first.astype(np.uint32),
        )
    return np.stack(columns, axis=1)


def _high(product: NDArray[np.uint64]) -> Words:
    return (product >> np.uint64(32)).astype(np.uint32)


def _fractions(words: Words) -> Floats:
    """Numbers from [0, 1) whose mantissa is the low 23 bits of a word."""
    return ((words & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)


def _box_muller(words: Words) -> Floats:
    """Normal numbers, two from each two words; shape as `words`, (n, 4)."""
    pairs = _fractions(words).reshape(-1, 2)
    radius = np.sqrt(np.float32(-2) * np.log(np.maximum(pairs[:, 0], np.float32(1e-7))))
    angle = np.float32(2 * math.pi) * pairs[:, 1]
    return (np.stack([np.sin(angle), np.cos(angle)], axis=1) * radius[:, None]).reshape(words.shape)
