"""Tests, intervals, trends, spreads, ranks and survival against closed forms, other implementations and simulation."""

from __future__ import annotations

import itertools
import math
import runpy
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from batchscope.analysis.best import ranks
from batchscope.claims.parts import Goal, judge
from batchscope.stats.estimates import over_seeds
from batchscope.stats.intervals import one_sample, t_interval
from batchscope.stats.power import detectable_effect, seeds_to_detect
from batchscope.stats.spread import spread_test
from batchscope.stats.survival import restricted_mean, survival_median
from batchscope.stats.trends import page_trend, rank_probabilities, slopes

VALUES = [0.3, -0.1, 0.25, 0.4, 0.05]
samples = st.lists(st.integers(-1000, 1000).map(lambda value: value / 100), min_size=3, max_size=10)


# One sample


@pytest.mark.parametrize("threshold", [0.0, 0.18, -2.0])
def test_one_sided_tests_are_those_of_scipy(threshold: float) -> None:
    found, interval = one_sample(VALUES, threshold), t_interval(VALUES)
    assert found.p_greater == pytest.approx(stats.ttest_1samp(VALUES, threshold, alternative="greater").pvalue)
    assert found.p_less == pytest.approx(stats.ttest_1samp(VALUES, threshold, alternative="less").pvalue)
    assert (found.n, found.mean, found.low, found.high) == (5, interval.mean, interval.low, interval.high)


@given(samples, st.floats(-5, 5))
def test_one_sided_p_values_add_up_to_one_and_swap_with_the_sign(values: list[float], threshold: float) -> None:
    assume(np.ptp(values) > 0)
    found = one_sample(values, threshold)
    turned = one_sample([-value for value in values], -threshold)
    assert found.p_greater is not None
    assert found.p_less is not None
    assert found.p_greater + found.p_less == pytest.approx(1)
    assert found.p_greater == pytest.approx(turned.p_less)


def test_without_spread_or_a_second_value_there_is_no_test() -> None:
    assert (one_sample([]).mean, one_sample([]).p_less) == (None, None)
    assert (one_sample([0.2]).mean, one_sample([0.2]).p_greater) == (0.2, None)
    # 0.3 - 0.2 and 0.2 - 0.1 differ in the last digit only.
    constant = one_sample([0.3 - 0.2, 0.2 - 0.1, 0.1])
    assert (constant.p_greater, constant.p_less, constant.low) == (None, None, None)


def test_values_that_all_equal_the_threshold_are_evidence_for_neither_side() -> None:
    found = one_sample([0.3 - 0.2, 0.2 - 0.1, 0.1], 0.1)
    assert (found.p_greater, found.p_less, found.low) == (1.0, 1.0, None)


def test_the_scale_tells_a_spread_from_rounding() -> None:
    differences = [value + 1e-7 - value for value in (1.1, 1.7, 2.3)]
    assert np.ptp(differences) > 0
    assert one_sample(differences, scale=2.3).p_greater is None
    assert one_sample([1e-7, 2e-7, 3e-7], scale=2.3).p_greater is not None


# Equivalence


def equivalence(values: list[float], margin: float) -> float | None:
    """p of "the mean of `values` lies within the margin of 0", as the claims test it."""
    return judge("", over_seeds(np.array(values), 0.0), Goal("within", 0.0, margin)).support


@pytest.mark.parametrize("margin", [0.1, 0.3, 1.0])
def test_equivalence_is_two_one_sided_tests(margin: float) -> None:
    above = stats.ttest_1samp(VALUES, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(VALUES, margin, alternative="less").pvalue
    assert equivalence(VALUES, margin) == pytest.approx(max(above, below))
    assert equivalence(VALUES, margin) == pytest.approx(DescrStatsW(VALUES).ttost_mean(-margin, margin)[0])


@given(samples, st.floats(0.01, 20))
def test_equal_at_5_percent_exactly_where_the_90_percent_interval_lies_within(
    values: list[float], margin: float
) -> None:
    assume(np.ptp(values) > 0)
    p, interval = equivalence(values, margin), t_interval(values, 0.9)
    assert p is not None
    assert interval.low is not None
    assert interval.high is not None
    assume(abs(p - 0.05) > 1e-9)
    assert (p < 0.05) == (-margin < interval.low and interval.high < margin)


def test_equal_values_are_no_proof_of_equivalence() -> None:
    assert equivalence([0.0, 0.0, 0.0], 0.1) is None
    assert equivalence([0.0], 0.1) is None


# Detectable effects


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30])
@pytest.mark.parametrize(("alpha", "power"), [(0.05, 0.8), (0.005, 0.9), (0.05 / 300, 0.8)])
def test_the_detectable_effect_has_its_power_by_the_noncentral_t(n: int, alpha: float, power: float) -> None:
    effect = detectable_effect(1.0, n, alpha, power)
    assert effect is not None
    critical = stats.t.isf(alpha / 2, n - 1)
    assert stats.nct.sf(critical, n - 1, effect * math.sqrt(n)) == pytest.approx(power, abs=1e-6)


def test_the_detectable_effect_is_in_the_unit_of_the_spread() -> None:
    one, other = detectable_effect(1.0, 5), detectable_effect(0.02, 5)
    assert (one, other) == pytest.approx((1.682, 0.02 * 1.682), abs=1e-3)


def test_what_cannot_be_said_about_detectable_effects() -> None:
    assert [detectable_effect(sd, n) for sd, n in ((1.0, 1), (0.0, 5), (None, 1))] == [None, None, None]
    with pytest.raises(ValueError, match="standard deviation"):
        detectable_effect(-1.0, 5)
    with pytest.raises(ValueError, match="alpha"):
        detectable_effect(1.0, 5, alpha=0)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 20])
def test_so_many_seeds_find_a_difference_and_one_fewer_does_not(paired: bool, alpha: float) -> None:
    for difference in (0.2, -0.7, 1.16, 3.0, 40.0):  # with 1,000 values some lie far beyond certainty
        seeds = seeds_to_detect(difference, 1.0, alpha, paired=paired)
        assert seeds is not None
        found, fewer = (detectable_effect(1.0, n, alpha, paired=paired) for n in (seeds, seeds - 1))
        assert found is not None
        assert found <= abs(difference)
        assert fewer is None or fewer > abs(difference)


def test_two_samples_need_the_sizes_of_the_tables() -> None:
    # Cohen 1988, table 2.4.1: d = 0.5 of one standard deviation, two-sided 0.05, power 0.8: 64 in each group.
    assert seeds_to_detect(0.5, math.sqrt(2), paired=False) == 64
    assert seeds_to_detect(0.5, 1.0) == 34  # one sample
    with pytest.raises(ValueError, match="above zero"):
        seeds_to_detect(1.0, 0.0)


# Trends


def test_slopes_of_straight_lines_and_of_three_points() -> None:
    x = np.log2([8, 32, 128])
    lines = np.stack([5 + 2 * x, 7 - x], axis=1)
    assert slopes(lines, x) == pytest.approx([2, -1])
    assert slopes([[1], [5], [3]], [0, 1, 2]) == pytest.approx([1])  # (3 - 1) / 2
    assert slopes([[0, 0], [6, 6]], [[0, 0], [2, 3]]) == pytest.approx([3, 2])


def test_slopes_of_constant_values_are_exactly_zero() -> None:
    table = np.array([[0.1, 0.7], [0.3 - 0.2, 0.7], [0.1, 0.8 - 0.1]])
    assert list(slopes(table, [3.0, 5.0, 7.1])) == [0, 0]
    assert one_sample(slopes(table, [3.0, 5.0, 7.1])).p_greater == 1.0


@given(arrays.arrays(np.float64, (4, 3), elements=st.floats(-100, 100)), st.floats(-5, 5))
def test_slopes_are_those_of_least_squares(table: np.ndarray, tilt: float) -> None:
    x = np.array([0.0, 1.0, 2.5, 4.0])
    expected = np.polyfit(x, table + tilt * x[:, None], 1)[0]
    assert slopes(table + tilt * x[:, None], x) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "x"), [([[1], [2]], [3, 3]), ([[1], [2]], [1, 2, 3]), ([[1], [math.nan]], [1, 2]), ([1, 2], [1, 2])]
)
def test_slopes_refuse_what_has_none(values: list[list[float]], x: list[float]) -> None:
    with pytest.raises(ValueError, match=r"finite|places"):
        slopes(values, x)


def test_page_by_counting_all_orders() -> None:
    # Two seeds in perfect order of three sizes: one of (3!)² arrangements.
    rising = np.array([[1, 4], [2, 5], [3, 6]])
    assert page_trend(rising) == pytest.approx(1 / 36)
    assert page_trend(rising[::-1]) == pytest.approx(1)
    seeds = [(1, 3, 2), (2, 1, 3), (1, 2, 3)]
    statistic = sum(np.dot(ranks_of, (1, 2, 3)) for ranks_of in seeds)
    orders = list(itertools.permutations((1, 2, 3)))
    as_high = [sum(np.dot(row, (1, 2, 3)) for row in rows) >= statistic for rows in itertools.product(orders, repeat=3)]
    assert page_trend(np.array(seeds).T) == pytest.approx(np.mean(as_high))


def test_page_on_the_published_example_of_three_kinds_of_lesson() -> None:
    # Ten students rate tutorial, lecture and seminar: the example of SciPy's manual, L = 133.5.
    tutorial = [3, 2, 3, 1, 2, 2, 1, 3, 2, 1]
    lecture = [4, 2, 3, 3, 3, 4, 2, 4, 4, 3]
    seminar = [3, 4, 5, 2, 2, 5, 4, 4, 5, 4]
    assert page_trend([tutorial, lecture, seminar]) == pytest.approx(0.00181912, abs=1e-8)


def test_page_needs_two_seeds_and_three_sizes_and_sees_no_order_in_rounding() -> None:
    assert page_trend([[1], [2], [3]]) is None
    assert page_trend([[1, 1], [2, 2]]) is None
    ties = page_trend([[0.3 - 0.2] * 5, [0.1] * 5, [0.2 - 0.1] * 5])
    assert ties is not None
    assert ties > 0.5


# Spread


def test_spread_test_is_the_correlation_of_sums_and_differences() -> None:
    x, y = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0]), np.array([2.0, 2.5, 1.0, 3.0, 2.2, 1.9])
    found = spread_test(x, y)
    assert found.log_ratio == pytest.approx(math.log(x.std() / y.std()))
    for side, p in (("greater", found.p_greater), ("less", found.p_less)):
        assert p == pytest.approx(stats.pearsonr(x + y, x - y, alternative=side).pvalue)


@given(arrays.arrays(np.float64, (2, 6), elements=st.integers(-50, 50).map(float)))
def test_the_interval_of_a_spread_ratio_is_the_inverted_test(table: np.ndarray) -> None:
    assume(min(table.std(axis=1)) > 0)
    x, y = table
    found = spread_test(x, y)
    assume(found.low is not None)
    assert found.low is not None
    assert found.high is not None
    assert spread_test(x, math.exp(found.low) * y).p_greater == pytest.approx(0.025)
    assert spread_test(x, math.exp(found.high) * y).p_less == pytest.approx(0.025)
    turned = spread_test(y, x)
    assert (turned.log_ratio, turned.low) == pytest.approx((-(found.log_ratio or 0), -found.high), abs=1e-9)


def test_spreads_that_cannot_be_compared() -> None:
    constant = spread_test([0.3 - 0.2, 0.1, 0.1], [1, 2, 3])
    assert (constant.n, constant.log_ratio, constant.p_greater) == (3, None, None)
    line = spread_test([2.0, 4.0, 6.6], [1.0, 2.0, 3.3])  # the second side twice as large, up to rounding
    assert line.log_ratio == pytest.approx(math.log(2))
    assert (line.low, line.p_greater, line.p_less) == (None, None, None)
    two = spread_test([1, 2], [1, 3])
    assert (two.log_ratio, two.p_less) == (pytest.approx(-math.log(2)), None)
    same = spread_test([1, 2, 4], [1, 2, 4])
    assert (same.log_ratio, same.low, same.p_greater, same.p_less) == (0.0, None, 1.0, 1.0)
    with pytest.raises(ValueError, match="same seeds"):
        spread_test([1, 2, 3], [1, 2])


# Survival


def test_kaplan_meier_by_hand() -> None:
    # 5 runs: 4/5 left after 1, one lost at 2, 4/5 · 2/3 = 8/15 after 3, one lost at 4, none left after 5.
    times, reached = [1, 2, 3, 4, 5], [True, False, True, False, True]
    assert survival_median(times, reached) == 5
    assert restricted_mean(times, reached, 4) == pytest.approx(1 + 2 * 4 / 5 + 8 / 15)
    assert restricted_mean(times, reached, 5) == pytest.approx(1 + 2 * 4 / 5 + 2 * 8 / 15)
    assert restricted_mean(times, reached, 9) == pytest.approx(1 + 2 * 4 / 5 + 2 * 8 / 15)  # all have reached by then
    assert restricted_mean(times, reached, 0.5) == 0.5


def test_a_median_that_no_one_saw_is_null() -> None:
    assert survival_median([1, 2, 2], [True, False, False]) is None
    assert survival_median([3, 3], [False, False]) is None
    assert survival_median([9, 1, 2, 9], [False, True, True, False]) == 2
    assert survival_median([4, 1, 2, 3], [True] * 4) == 2


def test_a_restricted_mean_beyond_what_was_followed_is_null() -> None:
    assert restricted_mean([1, 2, 2], [True, False, False], 2.5) is None
    assert restricted_mean([1, 2, 2], [True, False, False], 2) == pytest.approx(5 / 3)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=12), st.floats(0.5, 20))
def test_followed_to_the_horizon_it_is_the_mean_of_the_shorter_time(times: list[float], horizon: float) -> None:
    when = np.array(times)
    reached = when <= horizon
    found = restricted_mean(np.minimum(when, horizon), reached, horizon)
    assert found == pytest.approx(np.minimum(when, horizon).mean())


@pytest.mark.parametrize(
    ("times", "reached"), [([], []), ([1.0], [True, True]), ([-1.0], [True]), ([math.nan], [True])]
)
def test_survival_refuses_what_are_no_times(times: list[float], reached: list[bool]) -> None:
    with pytest.raises(ValueError, match=r"time"):
        survival_median(times, reached)
    with pytest.raises(ValueError, match="horizon"):
        restricted_mean([1.0], [True], 0)


# Ranks


def test_rank_probabilities_of_two_seeds_by_hand() -> None:
    # The means of the first size are 0 (one resample in four), 1.5 (two) and 3 (one), the second has always 1.
    probability, rank = rank_probabilities([[0, 3], [1, 1]], lower_is_better=True, resamples=40_000)
    assert probability == pytest.approx([0.25, 0.75], abs=0.01)
    assert rank == pytest.approx([1.75, 1.25], abs=0.01)
    turned, _ = rank_probabilities([[0, 3], [1, 1]], lower_is_better=False, resamples=40_000)
    assert turned == pytest.approx([0.75, 0.25], abs=0.01)


def test_resampled_seeds_are_the_same_for_all_sizes() -> None:
    shared = np.random.default_rng(0).normal(0, 100, 5)
    probability, rank = rank_probabilities([shared, shared + 0.01], lower_is_better=True)
    assert (list(probability), list(rank)) == ([1, 0], [1, 2])


def test_ties_share() -> None:
    probability, rank = rank_probabilities([[0.1, 0.3], [0.3 - 0.2, 0.1 + 0.2], [9, 9]], lower_is_better=True)
    assert list(probability) == [0.5, 0.5, 0]
    assert list(rank) == [1.5, 1.5, 3]


@given(arrays.arrays(np.float64, (4, 3), elements=st.floats(-100, 100)), st.booleans())
def test_probabilities_add_up(table: np.ndarray, lower: bool) -> None:
    probability, rank = rank_probabilities(table, lower_is_better=lower, resamples=50)
    assert probability.sum() == pytest.approx(1)
    assert rank.sum() == pytest.approx(10)


def test_one_seed_has_no_ranks() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        rank_probabilities([[1], [2]], lower_is_better=True)
    with pytest.raises(ValueError, match="equal seeds"):
        rank_probabilities([[1, 2], [2, 3, 4]], lower_is_better=True)


def test_ranks_of_unpaired_runs_are_those_of_independent_draws() -> None:
    # Two sizes with the values 0 and 1 each: the mean of a draw of two is 0, 1/2 or 1 with 1/4, 1/2 and 1/4.
    probability, rank = rank_probabilities([[0, 1], [0, 1]], lower_is_better=True, paired=False, resamples=40_000)
    assert probability.tolist() == pytest.approx([0.5, 0.5], abs=0.01)
    far, _ = rank_probabilities([[0, 1], [0.5, 1.5, 1.0]], lower_is_better=True, paired=False, resamples=40_000)
    # The second is best or equal only where its mean of three is not above that of the first: by hand over all draws.
    first = [np.mean(draw) for draw in product([0, 1], repeat=2)]
    second = [np.mean(draw) for draw in product([0.5, 1.5, 1.0], repeat=3)]
    wins = np.mean([1.0 if a < b else 0.5 if a == b else 0.0 for a in first for b in second])
    assert far[0] == pytest.approx(wins, abs=0.01)
    assert rank.sum() == pytest.approx(3)


def runs_with(losses: dict[int, list[float | None]]) -> pd.DataFrame:
    rows = [
        {
            "dataset": "d",
            "recipe": "r",
            "batch_size": size,
            "full_batch": False,
            "seed": seed,
            "outcome": "diverged" if loss is None else "ok",
            "selected_validation_loss": loss,
            "selected_test_accuracy": None if loss is None else 1 - loss,
        }
        for size, values in losses.items()
        for seed, loss in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_the_table_ranks_both_metrics_in_their_direction_and_leaves_incomplete_sizes_out() -> None:
    found = ranks(runs_with({8: [0.1, 0.2], 32: [0.05, None], 128: [0.3, 0.4]}))
    assert list(found["metric"]) == ["selected_validation_loss"] * 2 + ["selected_test_accuracy"] * 2
    assert list(found["batch_size"]) == [8, 128] * 2
    assert list(found["probability_best"]) == [1, 0] * 2
    assert list(found["rank_mean"]) == [1, 2] * 2
    assert set(found["n"]) == {2}


def test_nothing_is_said_of_ranks_over_one_seed_or_among_one_size() -> None:
    for losses in ({8: [0.1], 32: [0.2]}, {8: [0.1, 0.2], 32: [0.1, None]}):
        assert ranks(runs_with(losses))[["probability_best", "rank_mean"]].isna().all(axis=None)
    empty = ranks(runs_with({8: [0.1]}).iloc[:0])
    assert len(empty) == 0
    assert empty["probability_best"].dtype == "float64"


# Promises by simulation (the whole of it: benchmarks/statistics_by_simulation.py, docs/statistics.md)


@pytest.fixture(scope="module")
def simulated() -> Callable[[str, int], tuple[float, int]]:
    """Share of 2,000 studies in which what is counted happens, and how many there were."""
    found = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "statistics_by_simulation.py"))
    return lambda check, seeds: found["share"](found["CHECKS"][check], 2000, seeds)


Simulated = Callable[[str, int], tuple[float, int]]


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("check", ["interval, normal", "difference, normal", "ratio, normal"])
def test_intervals_cover_as_often_as_they_say(simulated: Simulated, check: str, seeds: int) -> None:
    share, studies = simulated(check, seeds)
    low, high = stats.binom.ppf([0.0005, 0.9995], studies, 0.95)
    assert low <= share * studies <= high


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize(
    "check",
    ["claims, apart", "claims, shared", "equal, 1", "equal, 3", "page, normal", "slope, normal"],
)
def test_without_an_effect_at_most_5_percent_find_one(simulated: Simulated, check: str, seeds: int) -> None:
    share, studies = simulated(check, seeds)
    assert share * studies <= stats.binom.ppf(0.9995, studies, 0.05)


@pytest.mark.parametrize("seeds", [5, 10])
def test_equal_spreads_are_told_apart_in_5_percent(simulated: Simulated, seeds: int) -> None:
    share, studies = simulated("spread, normal", seeds)
    low, high = stats.binom.ppf([0.0005, 0.9995], studies, 0.05)
    assert low <= share * studies <= high


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("check", ["power", "power of ten"])
def test_the_detectable_effect_is_found_in_80_percent(simulated: Simulated, check: str, seeds: int) -> None:
    share, studies = simulated(check, seeds)
    low, high = stats.binom.ppf([0.0005, 0.9995], studies, 0.8)
    assert low <= share * studies <= high


@pytest.mark.parametrize("seeds", [5, 10])
def test_what_the_documentation_warns_of_is_so(simulated: Simulated, seeds: int) -> None:
    assert simulated("interval, very skewed", seeds)[0] < 0.93
    assert simulated("ratio, very skewed", seeds)[0] < 0.93
    assert simulated("page, unequal skewed", seeds)[0] > 0.08
