"""Times of one job each: their interval, and how often equal times are told apart, with the stopping rule at work."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

from batchscope.analysis.choosing import choose
from batchscope.analysis.times import ERROR, epoch_seconds, times, with_errors
from batchscope.claims.samples import Samples
from batchscope.stats.intervals import paired_test
from batchscope.stats.quantiles import median_error
from batchscope.stats.times import JOB_SPREAD, LEAST_DIFFERENCE, Time, ratio, told_apart
from batchscope.tables.cells import Size
from batchscope.training.timing import Until

MOST = 35  # windows of 0.2 s in seven seconds
UNTIL = Until(None, 0.02, 7.0)
Values = NDArray[np.float64]


def independent(rng: Generator) -> Values:
    return np.exp(0.02 * rng.standard_normal(MOST))


def resembling(rng: Generator) -> Values:
    """Each window keeps half of the deviation of the one before."""
    noise = rng.standard_normal(MOST)
    for i in range(1, MOST):
        noise[i] = 0.5 * noise[i - 1] + math.sqrt(0.75) * noise[i]
    return np.exp(0.02 * noise)


def disturbed(rng: Generator) -> Values:
    return independent(rng) * np.where(rng.random(MOST) < 0.1, 1.2, 1.0)


def timed(windows: Values) -> Time:
    """What a timing makes of windows that it looks at after each."""
    rows = [{"seconds": 0.2, "seconds_per_update": value} for value in windows]
    n = next((n for n in range(3, MOST) if UNTIL.ended_by(rows[:n])), MOST)
    error = median_error(np.log(windows[:n]))
    assert error is not None
    return Time(float(np.median(windows[:n])), error, n)


@pytest.mark.parametrize("noise", [independent, resembling, disturbed])
def test_equal_times_are_told_apart_in_at_most_one_study_in_twenty_where_jobs_are_one_per_cent_apart(
    noise: Callable[[Generator], Values],
) -> None:
    repeats, rng = 200, np.random.default_rng(4)
    found = [timed(noise(rng) * math.exp(0.01 * rng.standard_normal())) for _ in range(2 * repeats)]
    wrong = sum(bool(told_apart({8: one, 32: other})) for one, other in zip(found[::2], found[1::2], strict=True))
    assert wrong <= stats.binom.ppf(0.999, repeats, 0.05)


def test_advice_tells_equal_times_to_a_target_apart_in_at_most_one_study_in_twenty() -> None:
    repeats, rng = 200, np.random.default_rng(5)
    wrong = 0
    for _ in range(repeats):
        found = {Size(size, False): timed(resembling(rng) * math.exp(0.01 * rng.standard_normal())) for size in (8, 32)}
        updates = {size: pd.Series(1000 * np.exp(0.02 * rng.standard_normal(5))) for size in found}
        seconds = {size: updates[size] * time.seconds for size, time in found.items()}
        choice = choose(seconds, slack={size: time.factors for size, time in found.items()})
        assert choice is not None
        wrong += bool(choice.apart)
    assert wrong <= stats.binom.ppf(0.999, repeats, 0.05)


def test_interval_of_a_choice_holds_what_all_its_values_may_be_off_by() -> None:
    seconds, size = pd.Series([10.0, 11.0, 12.0, 10.5]), Size(8, False)
    alone = choose({size: seconds})
    choice = choose({size: seconds}, slack={size: (0.9, 1.2)})
    assert alone is not None
    assert choice is not None
    assert alone.interval.low is not None
    assert alone.interval.high is not None
    assert choice.interval.mean == alone.interval.mean
    assert (choice.interval.low, choice.interval.high) == (0.9 * alone.interval.low, 1.2 * alone.interval.high)


def test_an_error_that_two_recipes_share_cancels_in_their_ratio() -> None:
    shared, own = Time(1.0, 0.01, 9, ("lender",)), Time(1.0, 0.01, 9, ("own",))
    size, updates = Size(8, False), np.array([10.0, 11.0, 10.5])

    def half(other: Time) -> float:
        first, second = (
            Samples({size: values}, {}, True, "seeds", (1, 2, 3), times={size: time})
            for values, time in ((updates * 1.2, shared), (updates[::-1], other))
        )
        found = first.apart(second, size, "other", log=True)
        assert not isinstance(found, str)
        assert found.low is not None
        return found.value - found.low

    alone = paired_test(np.log(updates * 1.2), np.log(updates[::-1]))
    assert alone.mean is not None
    assert alone.low is not None
    assert half(shared) == pytest.approx(alone.mean - alone.low)
    variance = ((alone.mean - alone.low) / stats.t.ppf(0.975, 2)) ** 2
    errors = 2 * (0.01**2 + JOB_SPREAD**2)
    assert stats.norm.ppf(0.975) * math.sqrt(variance + errors) < half(own)
    assert half(own) < stats.t.ppf(0.975, 2) * math.sqrt(variance + errors)


def test_error_of_a_median_is_that_of_samples() -> None:
    rng = np.random.default_rng(3)
    samples = rng.standard_normal((400, 25))
    errors = [error for sample in samples if (error := median_error(sample)) is not None]
    # Of 25 normal values, 1.2533 / 5; the interval by order and the allowance for resemblance make it larger.
    assert 0.2507 * 0.95 < np.mean(errors) < 0.2507 * 1.35
    assert median_error([1.0]) is None
    assert median_error([2.0, 2.0, 2.0]) == 0


def test_a_time_that_its_windows_know_exactly_is_known_as_well_as_jobs_agree() -> None:
    one, other = Time(1.0, 0.0, 9), Time(1.0 + LEAST_DIFFERENCE, 0.0, 9)
    assert one.factors == pytest.approx([math.exp(side * stats.norm.ppf(0.975) * JOB_SPREAD) for side in (-1, 1)])
    _, p = ratio(one, other).test(0.0)
    assert p == pytest.approx(0.025, rel=1e-4)
    assert told_apart({8: one, 16: Time(other.seconds * 1.001, 0.0, 9)}) == {frozenset((8, 16))}
    assert told_apart({8: one, 16: Time(other.seconds * 0.999, 0.0, 9)}) == set()


def test_few_windows_of_a_wide_spread_count_by_student() -> None:
    one, other = Time(1.0, 0.2, 5), Time(2.0, 0.0, 5)
    found = ratio(one, other)
    assert found.low is not None
    half = (found.value - found.low) / math.sqrt(0.04 + 2 * JOB_SPREAD**2)
    assert stats.norm.ppf(0.975) < half < stats.t.ppf(0.975, 4) * 1.0001
    assert half == pytest.approx(stats.t.ppf(0.975, 4), rel=0.02)


def test_tables_say_how_well_each_time_is_known() -> None:
    cell = {"dataset": "d", "recipe": "r", "batch_size": 8, "full_batch": False}
    seconds = [1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 1.02]
    windows = pd.DataFrame([{**cell, "window": i, "seconds_per_update": each} for i, each in enumerate(seconds)])
    lost = {**cell, "batch_size": 512, "seconds_per_update": None, "seconds_per_epoch": None, "windows": 0}
    timings = pd.DataFrame([{**cell, "seconds_per_update": 1.0, "seconds_per_epoch": 50.0, "windows": 7}, lost])
    found = with_errors(timings, windows.sample(frac=1, random_state=1))
    error = median_error(np.log(seconds))
    assert found[ERROR].tolist() == pytest.approx([error, math.nan], nan_ok=True)
    assert times(found) == {Size(8, False): Time(1.0, error, 7, ("d", "r", 8, False))}
    low, high = Time(1.0, error or 0.0, 7).factors
    ends = epoch_seconds(found)[["seconds_per_epoch_ci_low", "seconds_per_epoch_ci_high"]].to_numpy()
    assert ends.tolist() == pytest.approx(np.array([[50 * low, 50 * high], [math.nan, math.nan]]), nan_ok=True)
    assert times(timings) == {}
