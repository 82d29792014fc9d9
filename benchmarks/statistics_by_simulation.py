"""How often the intervals cover and the tests err, on made-up studies in which the truth is known.

    PYTHONPATH=scripts python benchmarks/statistics_by_simulation.py [--studies 10000] [--seed 1]

Every number comes from the functions that make a study's tables, called as they are. Prints one Markdown table: the
share of studies in per cent, with its Monte-Carlo standard error, for 5 and for 10 seeds. Takes about six
minutes of one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from batchscope.analysis.best import best
from batchscope.claims.parts import Goal, judge
from batchscope.stats import ALPHA
from batchscope.stats.estimates import over_seeds
from batchscope.stats.families import holm
from batchscope.stats.intervals import one_sample, paired_test, t_interval
from batchscope.stats.power import detectable_effect
from batchscope.stats.spread import spread_test
from batchscope.stats.trends import page_trend, rank_probabilities, slopes
from batchscope.tables import records

Floats = NDArray[np.float64]
Noise = Callable[[Generator, tuple[int, ...]], Floats]
Counter = Callable[[int, int, Generator], int]  # studies, seeds, generator -> studies in which it happened

SIZES = (8, 16, 32, 64, 128)
NO_TIMINGS = pd.DataFrame(columns=list(records.TABLES["timing"]))


@dataclass(frozen=True)
class Check:
    """What is counted, what the share of studies ought to be, and in how many studies (a fraction of all)."""

    what: str
    ought: str
    count: Counter
    fraction: float = 1.0


def normal(rng: Generator, shape: tuple[int, ...]) -> Floats:
    return rng.standard_normal(shape)


def skewed(rng: Generator, shape: tuple[int, ...]) -> Floats:
    """Mean 0, standard deviation 1, skewness 1."""
    return (rng.gamma(4.0, size=shape) - 4) / 2


def very_skewed(rng: Generator, shape: tuple[int, ...]) -> Floats:
    """Mean 0, standard deviation 1, skewness 2."""
    return rng.exponential(size=shape) - 1


def difference_of_skewed(rng: Generator, shape: tuple[int, ...]) -> Floats:
    """Differences of two values of skewness 2: symmetric, but heavy-tailed."""
    return (very_skewed(rng, shape) - very_skewed(rng, shape)) / np.sqrt(2)


def seed_effect(rng: Generator, studies: int, seeds: int) -> Floats:
    """What a seed adds to all sizes alike: twice the spread of the rest. Shape (studies, 1, seeds)."""
    return 2 * rng.standard_normal((studies, 1, seeds))


def null_studies(noise: Noise, studies: int, seeds: int, rng: Generator, *, spread: float = 1.0) -> Floats:
    """Losses (studies, sizes, seeds) that no size changes; the first size scatters `spread` times as much."""
    scatter = noise(rng, (studies, len(SIZES), seeds))
    scatter[:, 0] *= spread
    return seed_effect(rng, studies, seeds) + scatter


def covered(noise: Noise, studies: int, seeds: int, rng: Generator) -> int:
    intervals = [t_interval(values) for values in noise(rng, (studies, seeds))]
    return sum(found.low is not None and found.high is not None and found.low <= 0 <= found.high for found in intervals)


def difference_covered(noise: Noise, spread: float, studies: int, seeds: int, rng: Generator) -> int:
    values = null_studies(noise, studies, seeds, rng, spread=spread)[:, :2]
    tests = [paired_test(first + 0.5, second) for first, second in values]
    return sum(found.low is not None and found.high is not None and found.low <= 0.5 <= found.high for found in tests)


def told_apart(noise: Noise, spread: float, studies: int, seeds: int, rng: Generator) -> int:
    cells = pd.MultiIndex.from_product([SIZES, range(seeds)], names=["batch_size", "seed"]).to_frame(index=False)
    runs = cells.assign(dataset="d", recipe="r", full_batch=False, outcome="ok", selected_test_accuracy=0.5)
    losses = null_studies(noise, studies, seeds, rng, spread=spread)
    return sum(
        bool(best(runs.assign(selected_validation_loss=values.ravel()), NO_TIMINGS)["told_apart"].any())
        for values in losses
    )


def verdicts(noise: Noise, shared: float, studies: int, seeds: int, rng: Generator) -> int:
    """Studies with a verdict among ten claims without effect: Holm's method over twice the smaller one-sided p.

    The claims share the part `shared` of their variance, as claims on the same runs do.
    """
    own, common = noise(rng, (studies, 10, seeds)), noise(rng, (studies, 1, seeds))
    wrong = 0
    for study in np.sqrt(1 - shared) * own + np.sqrt(shared) * common:
        tests = [one_sample(values) for values in study]
        sides = [(test.p_greater, test.p_less) for test in tests]
        wrong += min(holm([min(1.0, 2 * min(p for p in both if p is not None)) for both in sides])) <= ALPHA
    return wrong


def called_equal(margin: float, studies: int, seeds: int, rng: Generator) -> int:
    """The true difference is the margin (in standard deviations of one difference), so that "equal" is wrong."""
    goal = Goal("within", 0.0, margin)
    drawn = margin + rng.standard_normal((studies, seeds))
    found = [judge("", over_seeds(values, 0.0), goal).support for values in drawn]
    return sum(p is not None and p <= ALPHA for p in found)


def page_rises(noise: Noise, spread: float, studies: int, seeds: int, rng: Generator) -> int:
    found = [page_trend(values) for values in null_studies(noise, studies, seeds, rng, spread=spread)]
    return sum(p is not None and p <= ALPHA for p in found)


def slope_rises(noise: Noise, spread: float, studies: int, seeds: int, rng: Generator) -> int:
    x = np.log2(SIZES)
    losses = null_studies(noise, studies, seeds, rng, spread=spread)
    found = [one_sample(slopes(values, x)).p_greater for values in losses]
    return sum(p is not None and p <= ALPHA for p in found)


def scatters_more(noise: Noise, studies: int, seeds: int, rng: Generator) -> int:
    """Half of the variance is shared by the seeds of the two sizes; sums of two parts are less skewed than these."""
    shared, own = noise(rng, (studies, 1, seeds)), noise(rng, (studies, 2, seeds))
    found = [spread_test(first, second).p_greater for first, second in (shared + own) / np.sqrt(2)]
    return sum(p is not None and p <= ALPHA for p in found)


def ratio_covered(noise: Noise, studies: int, seeds: int, rng: Generator) -> int:
    shared, own = noise(rng, (studies, 1, seeds)), noise(rng, (studies, 2, seeds))
    found = [spread_test(3 * first, second) for first, second in shared + own]
    truth = np.log(3)
    return sum(test.low is not None and test.high is not None and test.low <= truth <= test.high for test in found)


def found_effect(family: int, studies: int, seeds: int, rng: Generator) -> int:
    """The true difference is the detectable one, compared with alpha over the size of the family."""
    alpha = ALPHA / family
    effect = detectable_effect(1.0, seeds, alpha)
    assert effect is not None
    tests = [one_sample(effect + values) for values in rng.standard_normal((studies, seeds))]
    return sum(test.p_greater is not None and test.p_greater <= alpha / 2 for test in tests)


def surely_best(sizes: int, studies: int, seeds: int, rng: Generator) -> int:
    losses = null_studies(normal, studies, seeds, rng)[:, :sizes]
    found = [rank_probabilities(values, lower_is_better=True, resamples=2000)[0] for values in losses]
    return sum(float(probability.max()) >= 0.95 for probability in found)


TOLD, EQUAL, TRIPLE = "told apart from the best (`best`)", "called equal, true difference = margin =", "one size × 3"
CHECKS = {
    "interval, normal": Check("t-interval covers: normal", "95 %", partial(covered, normal)),
    "interval, skewed": Check("t-interval covers: skewness 1", "95 %", partial(covered, skewed)),
    "interval, very skewed": Check("t-interval covers: skewness 2", "95 %", partial(covered, very_skewed)),
    "difference, normal": Check("paired difference covers: normal", "95 %", partial(difference_covered, normal, 1.0)),
    "difference, very skewed": Check(
        "paired difference covers: skewness 2", "95 %", partial(difference_covered, very_skewed, 1.0)
    ),
    "difference, unequal": Check(
        f"paired difference covers: skewness 2, {TRIPLE}", "95 %", partial(difference_covered, very_skewed, 3.0)
    ),
    "best, normal": Check(f"{TOLD}: normal", "≤ 5 %", partial(told_apart, normal, 1.0), 0.2),
    "best, unequal": Check(f"{TOLD}: skewness 2, {TRIPLE}", "≤ 5 %", partial(told_apart, very_skewed, 3.0), 0.1),
    "claims, apart": Check("verdict on 10 claims: normal, runs of their own", "≤ 5 %", partial(verdicts, normal, 0.0)),
    "claims, shared": Check("verdict on 10 claims: normal, half shared", "≤ 5 %", partial(verdicts, normal, 0.5)),
    "claims, differences": Check(
        "verdict on 10 claims: differences of skewness 2", "≤ 5 %", partial(verdicts, difference_of_skewed, 0.0)
    ),
    "claims, values": Check(
        "verdict on 10 claims: single values of skewness 2", "≤ 5 %", partial(verdicts, very_skewed, 0.0)
    ),
    "equal, 1": Check(f"{EQUAL} 1 sd", "≤ 5 %", partial(called_equal, 1.0)),
    "equal, 3": Check(f"{EQUAL} 3 sd", "≤ 5 %", partial(called_equal, 3.0)),
    "page, normal": Check("Page's test finds a rise: normal", "≤ 5 %", partial(page_rises, normal, 1.0)),
    "page, unequal": Check(f"Page's test finds a rise: normal, {TRIPLE}", "≤ 5 %", partial(page_rises, normal, 3.0)),
    "page, unequal skewed": Check(
        f"Page's test finds a rise: skewness 2, {TRIPLE}", "≤ 5 %", partial(page_rises, very_skewed, 3.0)
    ),
    "slope, normal": Check("slopes rise: normal", "≤ 5 %", partial(slope_rises, normal, 1.0)),
    "slope, unequal": Check(f"slopes rise: normal, {TRIPLE}", "≤ 5 %", partial(slope_rises, normal, 3.0)),
    "slope, unequal skewed": Check(
        f"slopes rise: skewness 2, {TRIPLE}", "≤ 5 %", partial(slope_rises, very_skewed, 3.0)
    ),
    "spread, normal": Check("more spread found: normal", "≤ 5 %", partial(scatters_more, normal)),
    "spread, skewed": Check("more spread found: skewness 0.7", "≤ 5 %", partial(scatters_more, skewed)),
    "spread, very skewed": Check("more spread found: skewness 1.4", "≤ 5 %", partial(scatters_more, very_skewed)),
    "ratio, normal": Check("ratio of spreads covers: normal", "95 %", partial(ratio_covered, normal)),
    "ratio, very skewed": Check("ratio of spreads covers: skewness 1.4", "95 %", partial(ratio_covered, very_skewed)),
    "power": Check("the detectable effect is found", "80 %", partial(found_effect, 1)),
    "power of ten": Check("the detectable effect is found, alpha / 10", "80 %", partial(found_effect, 10)),
    "ranks, five": Check("`probability_best` ≥ 0.95 of one of 5 sizes", "no promise", partial(surely_best, 5), 0.2),
    "ranks, two": Check("`probability_best` ≥ 0.95 of one of 2 sizes", "no promise", partial(surely_best, 2), 0.2),
}


def share(check: Check, studies: int, seeds: int, seed: int = 1) -> tuple[float, int]:
    """Share of studies in which it happened, and how many there were."""
    number = max(1, round(studies * check.fraction))
    rng = np.random.default_rng([seed, seeds, list(CHECKS.values()).index(check)])
    return check.count(number, seeds, rng) / number, number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("| Share of studies in which | Ought to be | 5 seeds | 10 seeds | Studies |\n| --- | --- | --- | --- | --- |")
    for check in CHECKS.values():
        cells, number = [], 0
        for seeds in (5, 10):
            found, number = share(check, options.studies, seeds, options.seed)
            cells.append(f"{100 * found:.1f} ± {100 * np.sqrt(found * (1 - found) / number):.1f} %")
        print(f"| {check.what} | {check.ought} | {' | '.join(cells)} | {number:,} |", flush=True)


if __name__ == "__main__":
    main()
