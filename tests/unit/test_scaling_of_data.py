"""Scaling looks at the training part only, and keeps the digits of the source until features are scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from batchscope.data.scaling import check_distinct, differences, scale_parts
from batchscope.data.sources.reading import Examples
from batchscope.data.splits import DataError

finite = st.floats(-1e6, 1e6, width=32)
whole = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(2**60, 2**60 + 5))


@settings(deadline=None)
@given(
    train=hnp.arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=finite),
    held_out=hnp.arrays(np.float32, (4, 3), elements=finite),
    kind=st.sampled_from(["none", "unit", "standardise"]),
)
def test_scaling_looks_at_the_training_part_only(train: np.ndarray, held_out: np.ndarray, kind: str) -> None:
    def fit(other: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        (scaled, _), fitted = scale_parts(kind, (train.copy(), other[:, : train.shape[1]].copy()))
        return scaled, fitted

    assume(np.ptp(train, axis=0).min() > 1e-3)  # so that no scaled value overflows
    (one, one_fitted), (two, two_fitted) = fit(held_out), fit(np.zeros_like(held_out))
    assert one_fitted == two_fitted
    np.testing.assert_array_equal(one, two)


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(2, 30), st.integers(1, 3)), elements=st.floats(-1e3, 1e3, width=16))
)
def test_standardised_features_have_mean_0_and_deviation_1_or_0(train: np.ndarray) -> None:
    constant = (train == train[0]).all(axis=0)
    (scaled,), fitted = scale_parts("standardise", [train.copy()])
    np.testing.assert_allclose(scaled.mean(axis=0, dtype=np.float64), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=0, dtype=np.float64)[~constant], 1, rtol=1e-4)
    assert (scaled[:, constant] == 0).all()
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled * fitted["deviation"] + fitted["mean"], train, rtol=1e-4, atol=1e-3)


def test_a_constant_feature_is_centred_and_never_divided_by_rounding_noise() -> None:
    train, test = np.full((1000, 1), 0.1, np.float32), np.full((2, 1), 0.35, np.float32)
    (train, test), fitted = scale_parts("standardise", (train, test))
    assert fitted["deviation"] == [1.0]
    assert (train == 0).all()
    np.testing.assert_allclose(test, 0.25, rtol=1e-6)


def test_unit_divides_by_the_largest_training_value() -> None:
    train, test = np.array([[0], [51], [255]], np.float32), np.array([[510]], np.float32)
    (train, test), fitted = scale_parts("unit", (train, test))
    assert fitted == {"kind": "unit", "divisor": 255.0}
    np.testing.assert_allclose(train[:, 0], [0, 0.2, 1])
    assert test[0, 0] == 2
    with pytest.raises(DataError, match="scale: unit divides by the largest training value, but all of them are zero"):
        scale_parts("unit", [np.zeros((2, 1), np.float32)])


def test_a_scaled_value_that_overflows_is_refused() -> None:
    train, test = np.array([[0], [1e-30]], np.float32), np.array([[1e30]], np.float32)
    with pytest.raises(DataError, match="a scaled value leaves the range of 32-bit numbers"):
        scale_parts("standardise", (train, test))


@given(hnp.arrays(np.int64, st.integers(1, 20), elements=whole), whole)
def test_differences_of_whole_numbers_are_rounded_once(x: np.ndarray, origin: int) -> None:
    expected = [float(value - origin) for value in x.tolist()]
    assert differences(x, np.int64(origin)).tolist() == expected


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.integers(0, 2**64 - 1))
def test_differences_of_unsigned_numbers_may_be_negative(x: list[int], origin: int) -> None:
    expected = [float(value - origin) for value in x]
    assert differences(np.array(x, np.uint64), np.uint64(origin)).tolist() == expected


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.float64])
@pytest.mark.parametrize(("start", "step"), [(1_700_000_000, 1), (1_700_000_000_000_000_000, 4096), (2**62, 2**10)])
def test_what_is_small_beside_its_mean_is_kept(dtype: Any, start: int, step: int) -> None:
    values = np.array([start + step * (index % 3) for index in range(9_000)]).astype(dtype)[:, None]
    (train, test), fitted = scale_parts("standardise", (values, values[:3]))
    np.testing.assert_array_equal(np.unique(train), np.float32([-1.5, 0, 1.5] / np.sqrt(1.5)))
    np.testing.assert_array_equal(test, train[:3])
    assert fitted["deviation"] == [step * np.sqrt(2 / 3)]
    assert fitted["mean"] == [start + step]


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-30, 1e38])
def test_features_of_any_size_are_standardised(size: float) -> None:
    (scaled,), _ = scale_parts("standardise", [np.array([[0.0], [1.0], [2.0]]) * size])
    np.testing.assert_array_equal(scaled[:, 0], np.float32([-1, 0, 1] / np.sqrt(2 / 3)))


def test_nanoseconds_one_apart_are_kept() -> None:
    train = np.array([[2**63 - 1], [2**63 - 2], [2**63 - 3]])
    (scaled,), _ = scale_parts("standardise", [train])
    np.testing.assert_array_equal(scaled[:, 0], np.float32([1, 0, -1] / np.sqrt(2 / 3)))


def test_the_origin_of_a_table_is_added_where_nothing_is_subtracted() -> None:
    x, origin = np.array([[0.0, 0.5], [2.0, 1.0]]), np.array([100.0, 0.0])
    (plain,), _ = scale_parts("none", [x.copy()], origin)
    np.testing.assert_array_equal(plain, [[100, 0.5], [102, 1]])
    (unit,), fitted = scale_parts("unit", [x.copy()], origin)
    assert fitted["divisor"] == 102
    np.testing.assert_array_equal(unit, (plain / 102).astype(np.float32))
    (scaled,), fitted = scale_parts("standardise", [x.copy()], origin)
    assert fitted["mean"] == [101, 0.75]
    np.testing.assert_array_equal(scaled, [[-1, -1], [1, 1]])


@pytest.mark.parametrize("value", [0.1, 1.0, 1e-20, 1234.5])
def test_a_feature_that_differs_by_rounding_of_64_bits_is_constant(value: float) -> None:
    x = np.array([[value, 0.1], [np.nextafter(value, 0), 0.2], [np.nextafter(value, np.inf), 0.4]])
    _, fitted = scale_parts("standardise", [x.copy()])
    assert fitted["deviation"][0] == 1
    check_distinct(Examples(x, x, "x", "y"), np.arange(3), x.astype(np.float32))


@pytest.mark.parametrize("x", [1_700_000_000 + np.arange(3), 2**60 + np.arange(3), 1 + 1e-12 * np.arange(3)])
def test_a_feature_that_32_bits_make_constant_is_named(x: np.ndarray) -> None:
    examples = Examples(np.stack([x * 0, x], axis=1)[:, :, None], x, "d.npz: array `x`", "y")
    rows = np.arange(3)
    (scaled,), _ = scale_parts("none", [examples.x.copy()])
    with pytest.raises(DataError, match=r"feature 2, 1 of d.npz: array `x` .* use standardise"):
        check_distinct(examples, rows, scaled)
    check_distinct(examples, rows[:1], scaled[:1])
    table = Examples(examples.x[:, :, 0], x, "d.csv: features", "y", columns=["zero", "time"])
    with pytest.raises(DataError, match=r"d.csv: column `time` .* use standardise"):
        check_distinct(table, rows, scaled[:, :, 0])


SECONDS = 1_700_000_000 + 2 * np.arange(200)


@pytest.mark.parametrize("scale", ["none", "unit"])
@pytest.mark.parametrize(
    "x", [SECONDS, SECONDS.astype(float), np.append(0, SECONDS), SECONDS / 1e6, 1.7e9 + 2.0 * np.arange(100_000)]
)
def test_a_feature_of_which_32_bits_keep_a_few_values_is_named(x: np.ndarray, scale: str) -> None:
    examples = Examples(np.stack([x % 7, x], axis=1), x, "d.npz: array `x`", "y")
    (scaled,), _ = scale_parts(scale, [examples.x.copy()])
    with pytest.raises(DataError, match=r"feature 2 of d.npz: array `x` is too fine .* use standardise"):
        check_distinct(examples, np.arange(len(x)), scaled)


@pytest.mark.parametrize("scale", ["none", "unit"])
@pytest.mark.parametrize(
    "x",
    [
        np.random.default_rng(1).normal(100, 1, 100_000),  # a few of so many are equal in 32 bits
        np.exp(5 * np.random.default_rng(1).normal(size=100_000)),
        1.7e9 + 20.0 * np.arange(1_000_000),  # over 231 days, 128 seconds are little
        np.concatenate([0.1 * np.arange(100), np.cumsum([0.1] * 100), np.arange(100) / 10]),
        np.arange(1000) % 256 / 255,
    ],
)
def test_features_that_32_bits_tell_apart_are_accepted(x: np.ndarray, scale: str) -> None:
    (scaled,), _ = scale_parts(scale, [x[:, None].copy()])
    check_distinct(Examples(x[:, None], x, "x", "y"), np.arange(len(x)), scaled)


def test_the_examples_looked_at_are_those_of_the_training_part() -> None:
    x = np.concatenate([np.arange(50.0), SECONDS])[:, None]
    check_distinct(Examples(x, x, "x", "y"), np.arange(50), x[:50].astype(np.float32))
