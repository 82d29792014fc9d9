"""Mini-batch gradients at fixed weights against the full gradient, and the gradient noise scale. Knows no framework.

The full gradient G is the mean of the gradients g_i of the n examples of a `Frozen`; p is the number of weights. A
batch is a random sample of these n examples, without replacement; batches are independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.probes.subject import Row, Subject, Tables
from batchscope.stats.intervals import fieller, t_quantile
from batchscope.training import checkpoints
from batchscope.training.engines import Frozen, Vector

MEMORY_BYTES = 2**26
# Batches of a size hold together at least this many times the n examples. With fewer, weights that only few examples
# move are mostly seen at rest: 100 single examples of Fashion-MNIST gave twice the true median signal-to-noise ratio.
PASSES = 4
BIAS_EXAMPLES = 1_000_000  # examples, over all batches of a size, whose projections on G are averaged
# Up to this size, and this many numbers in its single gradients, their mean, taken for many batches at a time, is
# faster than one batch after the other: 0.65 of the time at size 2 and 100,000 weights, but 2.1 times at size 8.
SINGLY, SINGLY_NUMBERS = 8, 300_000
NOT_FINITE = "the gradient is not finite at these weights"
DRAWN, PROJECTED, GROUPED = 1, 2, 3  # what random numbers are for
NOISE_SCALE = ("gradient_norm_squared", "covariance_trace", "noise_scale", "noise_scale_ci_low", "noise_scale_ci_high")


@dataclass(frozen=True)
class _Sample:
    """What is kept of K batch gradients g_B: per batch |g_B|, g_B·G, |g_B - G|² and one coordinate, each of shape (K,);
    per coordinate the mean of (g_B - G)², shape (p,).
    """

    norms: Vector
    products: Vector
    distances: Vector
    followed: Vector
    mean_squares: Vector


def measure(subject: Subject) -> Tables:
    """Gradients of drawn batches and the noise scale, at every fraction of the budget whose weights the run kept."""
    sizes, batches = subject.settings["batch_sizes"], subject.settings["batches"]
    tables: Tables = {"gradients": [], "noise_scale": []}
    for taken in subject.taken(checkpoints.kept(subject.recipe["snapshots"]["at"])):
        frozen = subject.frozen(taken, "float32")
        identity = subject.at(taken, frozen.n_examples)
        found = batch_statistics(frozen, sizes, batches, subject.seed)
        tables["gradients"] += [identity | row for row in found]
        tables["noise_scale"].append(identity | noise_scale(frozen, subject.seed))
    return tables


def batch_statistics(
    frozen: Frozen, batch_sizes: Sequence[int], batches: int, seed: int, memory_bytes: int = MEMORY_BYTES
) -> list[Row]:
    """Bias, variance, signal-to-noise ratio and direction of the gradients of batches of several sizes, a row per size.

    The columns are those of the table `gradients` from `drawn_batch_size` on. Of each size `batches` are drawn, or more
    (`PASSES`).

    - Bias: mean of <g_B - G, G>/|G|², signed. It needs only the projections of the n single gradients on G, so it is
      taken over many more batches.
    - Variance: mean of |g_B - G|². Expected of draws without replacement is V/B · (n - B)/(n - 1), V = mean of
      |g_i - G|² (Cochran 1977, Sampling Techniques, theorem 2.2; the same as tr(S)/B · (n - B)/n where S has the
      divisor n - 1).
    - Signal-to-noise ratio: of each coordinate |G_c| over the root of the mean of (g_Bc - G_c)². The signal is the full
      gradient because it is known: the mean of K batches would have noise of its own, and no coordinate a signal near
      zero. The ratio grows as √B, but for the factor (n - B)/(n - 1) above and for sampling. Left out are coordinates
      that are the same in every batch: weights of dead units and of inputs that are always zero.

    Memory: sums over batches, never all of them. Gradients are held in chunks of k, k · p · 8 <= `memory_bytes` (k = 1
    where one is larger). With copies and the engine's own room this came to four or five times `memory_bytes` in all
    (TensorFlow, a million weights). Besides, a few vectors of length p and some 50 MB of random draws, or 24 bytes for
    each example of `batches` batches. Rows depend on `memory_bytes` only by rounding, and not on the other sizes.

    Raises:
        ValueError: a size is below 1 or not below n, or `batches` is below 2.
    """
    n = frozen.n_examples
    if not all(1 <= size < n for size in batch_sizes):
        raise ValueError(
            f"batch sizes lie between 1 and {n - 1}, below the number of examples, not {list(batch_sizes)}"
        )
    if batches < 2:
        raise ValueError(f"the scatter of batch gradients needs at least 2 batches, not {batches}")
    gradient = frozen.batch_gradient(np.arange(n))
    variance, projections = _single_examples(frozen, gradient, memory_bytes)
    rows = []
    for size in batch_sizes:
        count = max(batches, math.ceil(PASSES * n / size))
        sample = _draw(frozen, gradient, size, count, np.random.default_rng([seed, DRAWN, size]), memory_bytes)
        row: Row = {"drawn_batch_size": size, "examples": n, "batches": count}
        row |= _bias(projections, size, batches, np.random.default_rng([seed, PROJECTED, size]))
        row["gradient_variance"] = float(sample.distances.mean())
        row["gradient_variance_expected"] = variance / size * (n - size) / (n - 1)
        row |= _signal_to_noise(gradient, sample) | _cosines(gradient, sample) | _coordinate(gradient, sample)
        rows.append(_explained(row, gradient))
    return rows


def noise_scale(frozen: Frozen, seed: int, groups: int = 20, memory_bytes: int = MEMORY_BYTES) -> Row:
    """Estimate the gradient noise scale tr(S)/|G|² with its 95 % interval, as columns of the table `noise_scale`.

    The n examples are taken for a random sample of many more, to whose mean gradient and covariance the result belongs.
    Numerator and denominator are the unbiased pair of McCandlish et al. 2018 (arXiv 1812.06162, appendix A.1) with the
    batch sizes 1, averaged over all examples, and n; their ratio is not unbiased. The interval is Fieller's (1954,
    Journal of the Royal Statistical Society B 16, 175-185): all ratios r for which numerator - r · denominator is
    within t(groups - 1) standard errors of zero, the covariance of the pair being a jackknife's that leaves out one
    of `groups` random groups at a time (Busing et al. 1999, Statistics and Computing 9, 3-8, for groups that differ in
    size by one). Where the denominator cannot be told apart from zero the interval has no upper end; where it is not
    above zero there is no estimate. Where the noise scale comes near n the intervals are too wide rather than too
    narrow, for there the jackknife overstates the variance (Efron and Stein 1981, Annals of Statistics 9, 586-596).

    Memory as in `batch_statistics`. Raises ValueError for fewer than 4 examples or where `groups` is not from 2 to n.
    """
    n = frozen.n_examples
    if n < 4 or not 2 <= groups <= n:
        raise ValueError(f"a noise scale needs at least 4 examples and from 2 groups to one per example, not {groups}")
    gradient = frozen.batch_gradient(np.arange(n))
    if not np.isfinite(gradient).all():
        return {"examples": n, **dict.fromkeys(NOISE_SCALE), "reason": NOT_FINITE}
    parts = np.array_split(np.random.default_rng([seed, GROUPED]).permutation(n), groups)
    sums = np.array([_group_sums(frozen, gradient, part, memory_bytes) for part in parts]).T
    size, squares, along, length = np.array([len(part) for part in parts]), *sums
    norm, left = float(gradient @ gradient), n - size
    pair = _pair(n, squares.sum(), norm)
    rest = _pair(left, squares.sum() - squares - length / left, norm - 2 * along / left + length / left**2)
    covariance = _jackknife(pair, rest, n / size)
    return {"examples": n, **dict.fromkeys(NOISE_SCALE), **_estimate(n, pair, covariance, t_quantile(groups))}


def _single_examples(frozen: Frozen, gradient: Vector, memory_bytes: int) -> tuple[float, Vector]:
    """Mean of |g_i - G|², and <g_i - G, G>/|G|² of every example, shape (n,)."""
    n = frozen.n_examples
    total, along, norm = 0.0, [], float(gradient @ gradient)
    for deviations in _deviations(frozen, gradient, np.arange(n), memory_bytes):
        total += float(np.vdot(deviations, deviations))
        along.append(deviations @ gradient)
    projections = np.concatenate(along)
    return total / n, projections / norm if norm > 0 else np.full(n, math.nan)


def _deviations(
    frozen: Frozen, gradient: Vector, indices: NDArray[np.int64], memory_bytes: int
) -> Iterator[NDArray[np.float64]]:
    """g_i - G of the examples at `indices`, in chunks of shape (k, p)."""
    k = max(1, memory_bytes // (8 * len(gradient)))
    for start in range(0, len(indices), k):
        yield frozen.example_gradients(indices[start : start + k]) - gradient


def _draw(
    frozen: Frozen, gradient: Vector, size: int, count: int, rng: np.random.Generator, memory_bytes: int
) -> _Sample:
    found: list[NDArray[np.float64]] = []
    squares, largest = np.zeros(len(gradient)), int(np.argmax(np.abs(gradient)))
    for drawn, times in _batch_gradients(frozen, size, count, rng, len(gradient), memory_bytes):
        norms, products = np.sqrt(np.einsum("ij,ij->i", drawn, drawn)), drawn @ gradient
        deviations = drawn - gradient
        deviations *= deviations
        squares += times @ deviations
        found.append(np.repeat([norms, products, deviations.sum(axis=1), drawn[:, largest]], times, axis=1))
    norms, products, distances, followed = np.concatenate(found, axis=1)
    return _Sample(norms, products, distances, followed, squares / count)


def _batch_gradients(
    frozen: Frozen, size: int, count: int, rng: np.random.Generator, p: int, memory_bytes: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Gradients of `count` random batches, some at a time, shape (k, p), and how often each was drawn, shape (k,)."""
    n, held = frozen.n_examples, memory_bytes // (8 * p)
    if size == 1:  # the same example is drawn several times
        examples, times = np.unique(rng.integers(n, size=count), return_counts=True)
        for start in range(0, len(examples), max(1, held)):
            here = slice(start, start + max(1, held))
            yield frozen.example_gradients(examples[here]).astype(np.float64), times[here]
        return
    together = held // size if size <= SINGLY and size * p <= SINGLY_NUMBERS else 0
    for start in range(0, count, max(1, together)):
        k = min(max(1, together), count - start)
        batches = [rng.choice(n, size, replace=False, shuffle=False) for _ in range(k)]
        if together:
            gradients = frozen.example_gradients(np.concatenate(batches))
            yield gradients.reshape(k, size, -1).mean(axis=1, dtype=np.float64), np.ones(k, np.int64)
        else:
            yield frozen.batch_gradient(batches[0])[None], np.ones(1, np.int64)


def _bias(projections: Vector, size: int, batches: int, rng: np.random.Generator) -> Row:
    count = max(batches, BIAS_EXAMPLES // size)
    means = projections[_batches(len(projections), size, count, rng)].mean(axis=1)
    error = float(means.std(ddof=1)) / math.sqrt(count)
    return {"bias_batches": count, "gradient_bias": float(means.mean()), "gradient_bias_se": error}


def _batches(n: int, size: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` batches of `size` different examples out of n, shape (count, size)."""
    if size**2 > n:
        return np.stack([rng.choice(n, size, replace=False, shuffle=False) for _ in range(count)])
    drawn = rng.integers(n, size=(count, size))
    again = np.arange(count)
    while len(again):  # small batches seldom hold an example twice; those that do are drawn anew
        ordered = np.sort(drawn[again], axis=1)
        again = again[(ordered[:, 1:] == ordered[:, :-1]).any(axis=1)]
        drawn[again] = rng.integers(n, size=(len(again), size))
    return drawn


def _signal_to_noise(gradient: Vector, sample: _Sample) -> Row:
    live, name = sample.mean_squares != 0, "gradient_signal_to_noise"
    ratios = np.abs(gradient[live]) / np.sqrt(sample.mean_squares[live])
    quartiles = _quantiles(ratios, {name: 0.5, f"{name}_q25": 0.25, f"{name}_q75": 0.75})
    return {**quartiles, "dead_coordinates": int(len(live) - live.sum())}


def _cosines(gradient: Vector, sample: _Sample) -> Row:
    moving, norm = sample.norms != 0, float(np.linalg.norm(gradient))
    cosines = sample.products[moving] / (sample.norms[moving] * norm) if norm > 0 else np.empty(0)
    mean = float(cosines.mean()) if len(cosines) else None
    quartiles = _quantiles(cosines, {"cosine_q25": 0.25, "cosine_q75": 0.75})
    return {"cosine_mean": mean, **quartiles, "zero_gradients": int((~moving).sum())}


def _coordinate(gradient: Vector, sample: _Sample) -> Row:
    values = sample.followed
    found = {"mean": values.mean(), "std": values.std(ddof=1), "min": values.min(), "max": values.max()}
    row = {f"coordinate_{name}": float(value) for name, value in found.items()}
    return {"coordinate": int(np.argmax(np.abs(gradient))), **row}


def _quantiles(values: Vector, shares: Mapping[str, float]) -> Row:
    """The quantiles at these shares by name; None of no values."""
    found = np.quantile(values, [*shares.values()]).tolist() if len(values) else [None] * len(shares)
    return dict(zip(shares, found, strict=True))


def _explained(row: Row, gradient: Vector) -> Row:
    """The row with None for what is not a number, and the reason."""
    row = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }
    if not np.isfinite(gradient).all():
        return {**row, "reason": NOT_FINITE}
    if not gradient.any():
        return {**row, "reason": "the full gradient is zero, so nothing can be measured relative to it"}
    if row["gradient_signal_to_noise"] is None:
        return {**row, "reason": "every batch has the same gradient, so there is no noise"}
    return {**row, "reason": None}


def _group_sums(
    frozen: Frozen, gradient: Vector, group: NDArray[np.int64], memory_bytes: int
) -> tuple[float, float, float]:
    """Sum of |d_i|² over a group, d_i = g_i - G, and for s, the sum of the d_i, s·G and |s|²."""
    squares, total = 0.0, np.zeros(len(gradient))
    for deviations in _deviations(frozen, gradient, group, memory_bytes):
        squares += float(np.vdot(deviations, deviations))
        total += deviations.sum(axis=0)
    return squares, float(total @ gradient), float(total @ total)


def _pair(n: Any, squares: Any, norm: Any) -> NDArray[np.float64]:
    """Unbiased tr(S) and |G|², from the sum of squared distances to the mean of n gradients and its squared length.

    With the mean of |g_i|², which is squares/n + norm, for the batch size 1, this is what the formulas of McCandlish
    et al. come to. Numbers or arrays of the same shape.
    """
    trace = squares / (n - 1)
    return np.array([trace, norm - trace / n])


def _jackknife(whole: NDArray[np.float64], rest: NDArray[np.float64], h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance, shape (2, 2), of estimates `whole`, shape (2,), from those without one group, shape (2, groups).

    `h` is the number of examples over the size of each group.
    """
    pseudo = h * whole[:, None] - (h - 1) * rest
    centred = pseudo - (len(h) * whole - ((1 - 1 / h) * rest).sum(axis=1))[:, None]
    covariance: NDArray[np.float64] = (centred / (h - 1)) @ centred.T / len(h)
    return covariance


def _estimate(n: int, pair: NDArray[np.float64], covariance: NDArray[np.float64], t: float) -> Row:
    """The estimates that there are, and the reason why there are no others."""
    trace, norm = (float(value) for value in pair)
    row = {"covariance_trace": trace, "gradient_norm_squared": norm}
    if norm <= 0:
        reason = f"with {n} examples the gradient cannot be seen in its noise: the estimate of |G|² is not above zero"
        return {**row, "reason": reason}
    low, high = fieller(pair, covariance, t)
    reason = f"with {n} examples |G|² cannot be told apart from zero, so the interval has no upper end"
    if low is None:
        reason += ", nor tr(S), so it has no lower end either"
    ends = {"noise_scale_ci_low": low, "noise_scale_ci_high": high}
    return {**row, "noise_scale": trace / norm, **ends, "reason": reason if high is None else None}
