"""Intervals, paired tests and Holm's adjustment against closed forms and simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from batchscope.stats.families import holm
from batchscope.stats.intervals import paired_test, t_interval

numbers = st.floats(-1e3, 1e3)
p_values = st.lists(st.floats(0, 1), max_size=12)


def test_interval_of_one_to_five() -> None:
    # sd = √2.5 and t(0.975, 4) = 2.776445, so half the width is 2.776445 · √(2.5 / 5).
    found = t_interval([1, 2, 3, 4, 5])
    assert (found.n, found.mean) == (5, 3)
    assert found.sd == pytest.approx(2.5**0.5)
    assert (found.low, found.high) == pytest.approx((3 - 1.963243, 3 + 1.963243), abs=1e-6)


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    assert t_interval([0.7]) == replace(t_interval([]), n=1, mean=0.7)
    assert t_interval([]).mean is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_interval_refuses_what_is_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        t_interval([1.0, value])


@given(st.lists(numbers, min_size=2, max_size=10), numbers, st.floats(0.1, 10))
def test_interval_moves_and_stretches_with_the_values(values: list[float], shift: float, stretch: float) -> None:
    one, other = t_interval(values), t_interval([shift + stretch * value for value in values])
    for a, b in ((one.mean, other.mean), (one.low, other.low), (one.high, other.high)):
        assert a is not None
        assert b == pytest.approx(shift + stretch * a, abs=1e-6)


def test_interval_covers_the_mean_as_often_as_it_says() -> None:
    repeats = 2000
    samples = np.random.default_rng(1).normal(3.0, 2.0, (repeats, 5))
    intervals = [t_interval(sample) for sample in samples]
    covered = sum(
        found.low <= 3.0 <= found.high for found in intervals if found.low is not None and found.high is not None
    )
    low, high = stats.binom.ppf([0.0005, 0.9995], repeats, 0.95)
    assert low <= covered <= high


def test_holm_worked_example() -> None:
    # Sorted: 4 · 0.005 = 0.02, 3 · 0.01 = 0.03, 2 · 0.03 = 0.06, and 1 · 0.04 = 0.04 may not fall below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(p_values)
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(a <= b <= min(1, len(p) * a) for a, b in zip(p, adjusted, strict=True))
    assert [adjusted[i] for i in np.argsort(p, kind="stable")] == sorted(adjusted)


def test_holm_refuses_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, np.nan])


def test_paired_test_is_that_of_the_differences() -> None:
    first, second = [3.0, 5.0, 4.0, 6.0], [2.0, 3.0, 3.5, 3.0]
    # Differences 1, 2, 0.5, 3: mean 1.625, sd 1.108678, t = 2.931422 on 3 degrees of freedom.
    found, differences = paired_test(first, second), t_interval([1, 2, 0.5, 3])
    assert found.mean == pytest.approx(1.625)
    assert (found.low, found.high) == pytest.approx((differences.low, differences.high))
    assert found.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert found.p == pytest.approx(2 * stats.t.sf(2.931422, 3), abs=1e-6)


def test_paired_test_without_spread() -> None:
    equal = paired_test([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert (equal.p, equal.low, equal.mean) == (1.0, None, 0.0)
    # 0.3 - 0.2 and 0.2 - 0.1 differ in the last digit only.
    shifted = paired_test([0.2, 0.3, 0.4], [0.1, 0.2, 0.3])
    assert (shifted.p, shifted.low) == (None, None)
    assert paired_test([1.0], [2.0]).p is None


def test_paired_test_refuses_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="same seeds"):
        paired_test([1.0, 2.0], [1.0])
