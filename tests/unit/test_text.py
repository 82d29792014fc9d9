"""Numbers as a reader wants to see them."""

from __future__ import annotations

import pytest

from batchscope import text as numbers


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0622, "0.0622"),
        (17.24, "17.2"),
        (1234.5, "1,234"),
        (-0.5, "−0.500"),
        (0, "0"),
        (1.25e-7, "1.25 × 10⁻⁷"),
        (None, "—"),
        (float("nan"), "—"),
        (float("inf"), "∞"),
    ],
)
def test_numbers_keep_the_digits_that_they_deserve(value: float | None, shown: str) -> None:
    assert numbers.number(value) == shown


def test_an_interval_has_as_many_decimals_as_its_width_supports() -> None:
    assert numbers.interval(0.95312, 0.94911, 0.95713) == "0.953 [0.949, 0.957]"
    assert numbers.interval(0.95312, 0.95192, 0.95432) == "0.9531 [0.9519, 0.9543]"
    assert numbers.interval(212.4, 180.2, 244.6) == "212 [180, 245]"


def test_a_single_run_has_no_interval() -> None:
    assert numbers.interval(0.95312, None, None) == "0.953"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.231, "0.231 s"),
        (0.00251, "2.51 ms"),
        (3e-6, "3.00 µs"),
        (61.2, "61.2 s"),
        (599, "599 s"),
        (690, "11.5 min"),
        (42_638, "11.8 h"),
    ],
)
def test_lengths_of_time_have_a_unit_in_which_they_read_well(value: float, shown: str) -> None:
    assert numbers.seconds(value) == shown


def test_a_mean_time_and_its_interval_have_one_unit() -> None:
    assert numbers.measured(0.032, 0.0271, 0.0365, "s") == "32.0 [27.1, 36.5] ms"
    assert numbers.measured(81_260, 77_990, 84_530, "s") == "22.6 [21.7, 23.5] h"
    assert numbers.measured(45.5, None, None, "MB") == "45.5 MB"
    assert numbers.measured(0.5, 0.4, 0.6, "") == "0.50 [0.40, 0.60]"


def test_ratios_promise_no_more_than_two_digits() -> None:
    assert [numbers.ratio(value) for value in (1.04, 17.64, 4123.0)] == ["1.0", "18", "4,100"]
