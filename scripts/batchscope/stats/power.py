"""How small a difference a number of seeds can find."""

from __future__ import annotations

import math
from bisect import bisect_left

import scipy

from batchscope.stats import ALPHA

POWER = 0.8


MOST_SEEDS = 1000


def detectable_effect(
    sd: float | None, n: int, alpha: float = ALPHA, power: float = POWER, *, paired: bool = True
) -> float | None:
    """Smallest mean difference that a two-sided t-test of `n` paired differences finds, in the unit of `sd`.

    Not `paired`, `n` is the size of each of two independent samples of equal spread, and `sd` the standard deviation of
    a difference between one value of each.

    It finds it if its p-value is at most `alpha` and the sign is right; the share of samples of `n` in which that
    happens is `power`. `sd` is the standard deviation of one difference, and normal differences are assumed. The true
    one lies between 0.6 and 2.9 times the one that five seeds give (95 %), and so does the detectable effect.
    None where `n` < 2 or `sd` is None or zero. In a family of m tests give alpha / m.

    Solved from the power function of statsmodels: its own `solve_power` returns wrong numbers without saying so for
    small `alpha` (version 0.15: 0.56 instead of 0.8 for n = 10, alpha = 0.05 / 300). Good for n up to 1,000 and alpha
    from 5e-5; raises ValueError where the noncentral t-distribution gives no number.

    >>> round(detectable_effect(1.0, 10), 3), round(detectable_effect(1.0, 10, alpha=0.05 / 6), 3)
    (0.996, 1.371)
    """
    if not (0 < alpha < 1 and alpha / 2 < power < 1):
        raise ValueError(f"alpha lies between 0 and 1 and power between alpha / 2 and 1, not {alpha} and {power}")
    if sd is not None and not (math.isfinite(sd) and sd >= 0):
        raise ValueError(f"a standard deviation is a number from zero, not {sd}")
    if n < 2 or not sd:
        return None

    def lacking(effect: float) -> float:
        return _power(effect, n, alpha, paired=paired) - power

    upper = 1.0
    while lacking(upper) < 0:
        upper *= 2
    return sd * float(scipy.optimize.brentq(lacking, 0.0, upper, xtol=1e-12))


def seeds_to_detect(difference: float, sd: float, alpha: float = ALPHA, *, paired: bool = True) -> int | None:
    """Fewest seeds (or values in each of two samples) that find a mean `difference` with 80 % power.

    The counterpart of `detectable_effect`. None where more than `MOST_SEEDS` would be needed.

    >>> seeds_to_detect(1.0, 1.0), seeds_to_detect(-0.5, 1.0), seeds_to_detect(0.01, 1.0)
    (10, 34, None)
    """
    if not sd > 0:
        raise ValueError(f"the standard deviation of differences that vary is above zero, not {sd}")

    def found(n: int) -> bool:
        return _power(abs(difference) / sd, n, alpha, paired=paired) >= POWER

    return bisect_left(range(2, MOST_SEEDS + 1), True, key=found) + 2 if found(MOST_SEEDS) else None


def _power(effect: float, n: int, alpha: float, *, paired: bool) -> float:
    """Share of samples of `n` in which a test finds an `effect` (over the standard deviation), with the right sign."""
    from statsmodels.stats.power import ttest_power  # figures and report read the result only, and it takes a second

    # Far beyond certainty scipy's noncentral t is not a number: with many values, 12 standard errors are enough.
    effect = min(effect, 12 / math.sqrt(n)) if n > 50 else effect
    return float(ttest_power(effect, n, alpha / 2, df=n - 1 if paired else 2 * n - 2, alternative="larger"))
