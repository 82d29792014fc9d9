"""The interval of a median against another implementation, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from batchscope.stats.quantiles import median_interval

VALUES = st.lists(st.integers(-50, 50).map(float), min_size=6, max_size=40)


def in_turns(n: int) -> list[float]:
    """`n` values, one from each end of 0 … n - 1 in turns, so that none resembles its neighbour."""
    return [float(i // 2 if i % 2 else n - 1 - i // 2) for i in range(n)]


@pytest.mark.parametrize("n", range(6, 60))
def test_ends_are_those_of_the_sign_test_where_neighbours_do_not_resemble_each_other(n: int) -> None:
    values = in_turns(n)
    expected = stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    assert median_interval(values) == (expected.low, expected.high)


@pytest.mark.parametrize("n", range(6))
def test_below_six_values_there_is_no_interval(n: int) -> None:
    assert median_interval(in_turns(n)) is None


def test_resemblance_of_neighbours_moves_the_ends_outward_as_an_autoregression_says() -> None:
    values = in_turns(100)
    for start in range(0, 100, 6):
        values[start : start + 6] = sorted(values[start : start + 6])
    ranks = stats.rankdata(values) - 50.5
    seen = (ranks[1:] @ ranks[:-1]) / (ranks @ ranks)
    assert 0.3 < seen < 0.4
    r = seen + (1 + 3 * seen) / 100 + 0.5 / 10
    independent = stats.quantile_test(values, p=0.5).confidence_interval(0.95)  # of 0 … 99: rank less one
    reach = (independent.high - independent.low) / 2 - 0.5
    found = median_interval(values)
    assert found is not None
    assert found[0] == np.floor(50 - reach * np.sqrt((1 + r) / (1 - r))) - 1
    assert found[1] == 99 - found[0]


@given(VALUES)
def test_only_the_order_counts(values: list[float]) -> None:
    found, stretched = median_interval(values), median_interval([value**3 + value for value in values])
    assert (found is None) == (stretched is None)
    if found is not None and stretched is not None:
        assert stretched == (found[0] ** 3 + found[0], found[1] ** 3 + found[1])


@pytest.mark.parametrize(("share", "least"), [(0.0, 0.95), (0.3, 0.94), (0.5, 0.93)])
def test_it_covers_the_median_of_values_that_keep_a_share_of_their_neighbours_deviation(
    share: float, least: float
) -> None:
    repeats, rng = 1000, np.random.default_rng(2)
    values = rng.standard_normal((repeats, 28))
    for i in range(1, 28):
        values[:, i] = share * values[:, i - 1] + np.sqrt(1 - share**2) * values[:, i]
    covered = 0
    for row in np.exp(values):
        low, high = median_interval(row) or (0.0, np.inf)
        covered += low <= 1 <= high
    assert covered >= stats.binom.ppf(0.001, repeats, least)
