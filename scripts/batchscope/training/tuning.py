"""The learning rate of one batch size: tried on a grid that widens at its edge and is then refined round the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TypeAlias

Found: TypeAlias = "tuple[str, float | None, float | None]"  # outcome, lowest validation loss and its epoch


@dataclass(frozen=True)
class Trial:
    """One training with one rate and one tuning seed.

    `stage` says where the rate comes from: `grid`, `widened` or `refined`. `loss` is the lowest validation loss, None
    unless the outcome is ok.
    """

    learning_rate: float
    seed: int
    stage: str
    outcome: str
    loss: float | None
    epoch: float | None


def search(
    train: Callable[[Sequence[tuple[float, int]]], Iterable[Found]],
    grid: Sequence[float],
    seeds: Sequence[int],
    widen: int,
    refine: int,
) -> list[Trial]:
    """Try every rate of `grid` with every seed; while the best is at an edge, try one more rate beyond that edge.

    A new rate stands to the edge as the edge stands to its neighbour, so a logarithmic grid stays one. At most `widen`
    rates are added. Then, `refine` times, the rates half-way (in the logarithm) from the best to its neighbours are
    tried: the best rate often lies just below those that fail, where a coarse grid sees no more than an edge. A trial
    that runs out of memory is the last one, since no rate changes how much a batch size needs.

    Args:
        train: called with the rate and the seed of each trial of a stage, which do not depend on each other: the grid,
            one rate beyond it, or a halving. Gives what was found in each, and is asked for no more than is needed.
        grid: rates in ascending order, three or more.
        seeds: tuning seeds, none of which may be a seed of the runs that use the rate: a rate chosen and reported on
            the same seeds looks better than it is.
        widen: largest number of rates that may be added beyond the edges.
        refine: how often the grid is halved round the best rate, with two more rates (one at an edge) each time.
    """
    trials: list[Trial] = []
    for rates, stage in _stages(trials, grid, widen, refine):
        asked = list(product(rates, seeds))
        for (rate, seed), found in zip(asked, train(asked), strict=True):
            trials.append(Trial(rate, seed, stage, *found))
            if trials[-1].outcome == "out_of_memory":
                return trials
    return trials


def _stages(
    trials: Sequence[Trial], grid: Sequence[float], widen: int, refine: int
) -> Iterator[tuple[Sequence[float], str]]:
    """The rates to try next and their stage; `trials` holds what came of those before."""
    rates = list(grid)
    yield grid, "grid"
    for _ in range(widen):
        found = best(trials)
        if found in (None, rates[0]):  # where every rate fails, a smaller one may not
            rates.insert(0, rates[0] ** 2 / rates[1])
            yield rates[:1], "widened"
        elif found == rates[-1]:
            rates.append(rates[-1] ** 2 / rates[-2])
            yield rates[-1:], "widened"
        else:
            break
    for _ in range(refine):
        found = best(trials)
        if found is None:  # nothing to refine round
            break
        middles = [math.sqrt(low * high) for low, high in pairwise(rates) if found in (low, high)]
        rates = sorted([*rates, *middles])
        yield middles, "refined"


def best(trials: Sequence[Trial]) -> float | None:
    """The rate with the lowest mean loss over its seeds; a rate that failed with any seed cannot win.

    None where every rate failed with some seed. Of equal rates the smaller one.
    """
    losses: dict[float, list[float]] = {}
    for trial in trials:
        losses.setdefault(trial.learning_rate, []).append(math.inf if trial.loss is None else trial.loss)
    means = {rate: math.fsum(values) / len(values) for rate, values in sorted(losses.items())}
    rate = min(means, key=lambda each: means[each])
    return rate if math.isfinite(means[rate]) else None
