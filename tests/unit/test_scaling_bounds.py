"""What a fit that lacks one side of the bend says of the critical batch size all the same."""

from __future__ import annotations

import numpy as np
import pytest

from unit.test_scaling import SIZES, fitted, law, noisy, repeated, to_target


def test_a_bend_beyond_the_sizes_gives_a_bound_that_is_no_further_out_than_a_fit_may_reach() -> None:
    above, below = (fitted(to_target(noisy(3, b_crit=size, spread=0.01))) for size in (20_000, 1))
    assert not above["accepted"]
    assert (above["at_least"], np.isnan(above["at_most"])) == (2 * max(SIZES), True)
    assert not below["accepted"]
    assert (below["at_most"], np.isnan(below["at_least"])) == (min(SIZES) / 2, True)
    flat = fitted(to_target({size: mean * np.array([0.99, 1.0, 1.01]) for size, mean in law(5.0, 1e9).items()}))
    assert (flat["at_least"], np.isnan(flat["b_crit"])) == (2 * max(SIZES), True)


@pytest.mark.parametrize("b_crit", [600.0, 1500.0, 4000.0])
def test_a_bound_hardly_ever_claims_too_much(b_crit: float) -> None:
    rows = repeated(60, lambda seed: noisy(seed, b_crit=b_crit, spread=0.15), resamples=500)
    assert (rows["at_least"] > b_crit).sum() <= 6  # 2.5 % each, and what an interval over five runs is short of
    assert not (rows["at_most"] < b_crit).any()


def test_fits_that_stand_or_fail_for_another_reason_have_no_bound() -> None:
    kinked = {size: [5.0 if size < 256 else 5.0 * (size / 128) ** 2] * 2 for size in SIZES}
    rows = [fitted(to_target(kinked)), fitted(to_target(noisy(1))), fitted(to_target(law(1.0, 9_000), resolution=1.0))]
    assert [row["accepted"] for row in rows] == [False, True, False]
    assert all(np.isnan([row["at_least"], row["at_most"]]).all() for row in rows)
    single = fitted(to_target(law(5.0, 20_000)))  # one run each: its spread is not known
    assert np.isnan(single["at_least"])
