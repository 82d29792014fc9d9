"""The best of several sizes, and which others are told apart from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fake_advice import SEEDS
from hypothesis import given
from hypothesis import strategies as st
from reading import tells
from scipy import stats

from batchscope.analysis import choosing
from batchscope.stats.intervals import welch_test
from batchscope.tables.cells import Size


@given(st.permutations([0, 1, 2, 3]), st.floats(0.1, 100))
def test_the_choice_depends_on_neither_the_order_nor_the_unit(order: list[int], scale: float) -> None:
    rng = np.random.default_rng(1)
    values = {(2**place, False): pd.Series(10.0 + place + rng.normal(0, 0.5, 5), index=SEEDS) for place in range(4)}
    sizes = list(values)
    plain = choosing.choose(values)
    moved = choosing.choose({sizes[place]: values[sizes[place]] * scale for place in order})
    assert plain is not None
    assert moved is not None
    assert (plain.best, plain.apart, plain.together) == (moved.best, moved.apart, moved.together)


def test_where_nothing_differs_a_question_is_seldom_called_decided() -> None:
    rng = np.random.default_rng(7)
    told = 0
    for _ in range(400):
        values = {(size, False): pd.Series(rng.normal(0, 1, 5), index=SEEDS) for size in (8, 16, 32, 64)}
        choice = choosing.choose(values)
        assert choice is not None
        told += bool(choice.apart)
    assert told / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_unpaired_runs_may_differ_in_number_and_pairing_adds_no_power() -> None:
    shared = pd.Series([1.0, 5.0, 9.0, 13.0], index=[1, 2, 3, 4])
    values = {Size(8, False): shared, Size(16, False): shared + pd.Series([0.9, 1.0, 1.1, 1.0], index=shared.index)}
    paired, alone = choosing.choose(values), choosing.choose(values, paired=False)
    assert paired is not None
    assert alone is not None
    assert paired.decided
    assert alone.together == (Size(16, False),)
    uneven = choosing.choose({Size(8, False): shared, Size(16, False): shared.iloc[:3] + 100}, paired=False)
    assert uneven is not None
    assert uneven.apart == (Size(16, False),)
    missing = choosing.choose({Size(8, False): shared, Size(16, False): shared.iloc[:3] + 100})
    assert missing is not None
    assert missing.missing == (Size(16, False),)


def test_welch_agrees_with_scipy_and_needs_a_spread() -> None:
    one, other = np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 5.5, 9.0])
    found, expected = welch_test(one, other), stats.ttest_ind(one, other, equal_var=False)
    assert (found.n, found.mean) == (3, pytest.approx(7 / 3 - 22.5 / 4))
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))
    less = stats.ttest_ind(one, other, equal_var=False, alternative="less").pvalue
    assert (found.p, found.p_less, found.p_greater) == pytest.approx((expected.pvalue, less, 1 - less))
    assert welch_test(np.full(3, 0.1 + 0.2), np.array([0.3, 0.3])).p is None
    assert welch_test(np.array([1.0]), other).p is None
    assert welch_test([], other).mean is None


def test_neighbours_are_written_as_a_range() -> None:
    among = [Size(size, False) for size in (8, 16, 32, 64)] + [Size(1168, True)]
    assert choosing.span([among[1], among[2], among[3]], among) == "16 to 64"
    assert choosing.span([among[0], among[2]], among) == "8 and 32"
    assert choosing.span([among[0], among[2], among[3], among[4]], among) == "8 and 32 to 1,168 (full)"


def test_a_size_that_lost_a_run_is_missing_and_leaves_the_choice_open() -> None:
    rows = [
        {"batch_size": size, "full_batch": False, "seed": seed, "outcome": "ok", "loss": size + 0.01 * seed * size}
        for size in (8, 16, 32)
        for seed in SEEDS
    ]
    runs = pd.DataFrame(rows)
    whole = choosing.choose(choosing.per_seed(runs, "loss"))
    assert whole is not None
    assert (whole.best, whole.decided, whole.rivals) == (Size(8, False), True, ())
    runs.loc[(runs["batch_size"] == 8) & (runs["seed"] == 2), "outcome"] = (
        "diverged"  # its last loss stays in the table
    )
    values = choosing.per_seed(runs, "loss")
    assert list(values) == [Size(8, False), Size(16, False), Size(32, False)]
    assert values[8, False].isna().to_dict() == {1: False, 2: True, 3: False, 4: False, 5: False}
    lost = choosing.choose(values)
    assert lost is not None
    assert (lost.best, lost.decided) == (Size(16, False), False)
    assert lost.missing == lost.rivals == (Size(8, False),)
    assert lost.apart == (Size(32, False),)
    assert choosing.in_words(lost, "", "the lowest mean loss", "").words


def test_where_no_run_has_a_value_there_is_nothing_to_choose_from() -> None:
    runs = pd.DataFrame({"batch_size": [8, 16], "full_batch": False, "seed": 1, "outcome": "ok", "loss": [1.0, 2.0]})
    assert choosing.per_seed(runs.assign(loss=np.nan), "loss") == {}
    assert choosing.per_seed(runs.assign(outcome="diverged"), "loss") == {}
    assert choosing.choose({}) is None


@pytest.mark.parametrize("paired", [True, False])
def test_sizes_without_a_value_are_named(paired: bool) -> None:
    full = pd.Series([1.0, 2.0, 3.5], index=[1, 2, 3])
    holed = full.where(full < 3)
    one = choosing.choose({Size(8, False): full, Size(16, False): holed}, paired=paired)
    two = choosing.choose({Size(8, False): full, Size(16, False): holed, Size(1024, True): holed}, paired=paired)
    assert one is not None
    assert two is not None
    assert tells(choosing.in_words(one, "s", "the lowest", "times").words, 16)
    assert tells(choosing.in_words(two, "s", "the lowest", "times").words, 16, 1024)
