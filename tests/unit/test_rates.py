"""The best learning rate of each batch size and how it grows with the batch size."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchscope.analysis.rates import LOSS, Optimum, curves, optimum, rates, slopes
from batchscope.tables.codebook import dtypes

GRID = [2.0**k for k in range(-8, 9)]


def trials_of(
    best: Callable[[int, int], float],
    *,
    sizes: tuple[int, ...] = (8, 32, 128),
    seeds: tuple[int, ...] = (101, 102),
    diverges_above: float = math.inf,
) -> pd.DataFrame:
    """Trials on `GRID` whose loss is a parabola in log(rate) with its vertex at `best(batch size, seed)`."""
    rows: list[dict[str, Any]] = []
    for size in sizes:
        for seed in seeds:
            for rate in GRID:
                diverged = rate > diverges_above
                loss = math.nan if diverged else 1 + math.log(rate / best(size, seed)) ** 2
                head = {"dataset": "d", "recipe": "r", "batch_size": size, "full_batch": False, "seed": seed}
                outcome = "diverged" if diverged else "ok"
                rows.append({**head, "learning_rate": rate, "outcome": outcome, "selected_validation_loss": loss})
    return pd.DataFrame(rows)


def runs_of(*sizes: int, rate: float = 0.5) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "dataset": "d",
                "recipe": "r",
                "batch_size": size,
                "full_batch": False,
                "seed": seed,
                "learning_rate": rate,
            }
            for size in sizes
            for seed in (1, 2, 3)
        ]
    )


def test_the_optimum_is_the_geometric_mean_of_the_vertices() -> None:
    table = rates(runs_of(8, rate=0.25), trials_of(lambda _, seed: 0.3 if seed == 101 else 0.6, sizes=(8,)))
    row = table.iloc[0]
    middle, error = math.sqrt(0.3 * 0.6), math.log(0.6 / 0.3) / 2
    assert row["optimum"] == pytest.approx(middle)
    assert row["optimum_ci_low"] == pytest.approx(middle * math.exp(-12.706204736 * error))
    assert row["optimum_ci_high"] == pytest.approx(middle * math.exp(12.706204736 * error))
    assert (row["learning_rate"], row["tuned"], row["at_edge"]) == (0.25, True, False)
    assert (row["n_trials"], row["n_seeds"]) == (2 * len(GRID), 2)


@given(st.floats(0.01, 100), st.floats(0.1, 10), st.floats(1.2, 5))
def test_the_vertex_of_a_parabola_is_found_on_any_grid(best: float, curvature: float, ratio: float) -> None:
    grid = best * np.array([ratio**-2.5, ratio**-0.7, ratio**0.4, ratio**3])
    found = optimum(grid, 2 + curvature * np.log(grid / best) ** 2)
    assert found is not None
    assert found.rate == pytest.approx(best, rel=1e-6)
    assert found.located


def test_divergence_is_infinitely_bad_and_bounds_the_optimum() -> None:
    row = rates(runs_of(8), trials_of(lambda *_: 0.7, sizes=(8,), diverges_above=0.5)).iloc[0]
    assert row["optimum"] == pytest.approx(0.5)  # the best rate that trains; no parabola through a diverged trial
    assert row["at_edge"]  # of what could be trained: the best lies anywhere up to the rate that diverged


def test_a_rate_that_diverges_for_one_seed_is_not_the_best_mean() -> None:
    trials = trials_of(lambda *_: 1.0, sizes=(8,))
    lost = (trials["seed"] == 101) & (trials["learning_rate"] >= 1.0)
    trials.loc[lost, ["outcome", "selected_validation_loss"]] = ["diverged", math.nan]
    row = rates(runs_of(8), trials).iloc[0]
    assert row["optimum"] == pytest.approx(math.sqrt(0.5 * 1.0))


@pytest.mark.parametrize("best", [1e-4, 1e4])
def test_a_best_rate_at_the_edge_is_flagged_and_taken_as_it_is(best: float) -> None:
    row = rates(runs_of(8), trials_of(lambda *_: best, sizes=(8,))).iloc[0]
    assert row["at_edge"]
    assert row["optimum"] == pytest.approx(min(max(best, GRID[0]), GRID[-1]))


def test_one_seed_at_the_edge_is_flagged() -> None:
    row = rates(runs_of(8), trials_of(lambda _, seed: 1.0 if seed == 101 else 1e4, sizes=(8,))).iloc[0]
    assert row["at_edge"]


def test_where_a_seed_always_diverged_there_is_no_optimum() -> None:
    row = rates(runs_of(8), trials_of(lambda *_: 1.0, sizes=(8,), diverges_above=0.0)).iloc[0]
    assert math.isnan(row["optimum"])
    assert not row["at_edge"]
    assert row["n_seeds"] == 2


def test_untuned_cells_keep_their_rate_and_have_no_optimum() -> None:
    table = rates(runs_of(8, 32), trials_of(lambda *_: 1.0, sizes=(8,))).set_index("batch_size")
    assert table["tuned"].to_dict() == {8: True, 32: False}
    assert table.loc[32, "learning_rate"] == 0.5
    assert table.loc[32, "n_trials"] == 0
    assert table.loc[32, ["at_edge", "optimum", "optimum_ci_low"]].isna().all()


def test_a_square_root_law_has_slope_one_half() -> None:
    row = slopes(trials_of(lambda size, seed: 0.1 * (seed - 100) * size**0.5)).iloc[0]
    assert row["slope"] == pytest.approx(0.5)
    assert (row["n"], row["fitted"], row["left_out"]) == (2, "8; 32; 128", "")


def test_the_interval_of_the_slope_is_over_seeds() -> None:
    exponents = {101: 0.4, 102: 0.5, 103: 0.9}
    row = slopes(trials_of(lambda size, seed: 0.1 * size ** exponents[seed], seeds=(101, 102, 103))).iloc[0]
    half = 4.302652730 * np.std([0.4, 0.5, 0.9], ddof=1) / math.sqrt(3)
    assert row["slope"] == pytest.approx(0.6)
    assert row["ci_low"] == pytest.approx(0.6 - half)
    assert row["ci_high"] == pytest.approx(0.6 + half)


def test_sizes_whose_optimum_lies_beyond_the_rates_do_not_bend_the_slope() -> None:
    trials = trials_of(lambda size, _: 1e4 if size == 128 else 0.1 * size**0.5)
    row = slopes(trials).iloc[0]
    assert row["slope"] == pytest.approx(0.5)
    assert (row["fitted"], row["left_out"]) == ("8; 32", "128")


def test_one_size_gives_no_slope_and_one_seed_none_with_an_interval() -> None:
    one_size = slopes(trials_of(lambda size, _: 0.1 * size**0.5, sizes=(8,))).iloc[0]
    assert one_size[["slope", "ci_low", "ci_high"]].isna().all()
    one_seed = slopes(trials_of(lambda size, _: 0.1 * size**0.5, seeds=(101,))).iloc[0]
    assert one_seed["slope"] == pytest.approx(0.5)
    assert one_seed[["ci_low", "ci_high"]].isna().all()


def test_trials_of_independent_runs_give_the_optimum_of_their_means_whatever_their_numbers() -> None:
    trials = trials_of(lambda size, seed: 0.1 * (seed - 100) * size**0.5, seeds=(101, 102, 103))
    rng = np.random.default_rng(0)
    cells = [
        part.assign(seed=rng.permutation(part["seed"])) for _, part in trials.groupby(["batch_size", "learning_rate"])
    ]
    for some in (trials, pd.concat(cells).sample(frac=1, random_state=1)):
        table, law = rates(runs_of(8, 32, 128), some, paired=False), slopes(some, paired=False).iloc[0]
        means = trials.groupby(["batch_size", "learning_rate"])[LOSS].mean()
        assert table["optimum"].tolist() == pytest.approx(
            [optimum(means[size].index, means[size]).rate for size in (8, 32, 128)]
        )
        assert table["optimum_ci_low"].isna().all()
        assert (table["n_seeds"] == 1).all()
        assert (table["n_trials"] == len(trials) / 3).all()
        assert law["n"] == 1
        assert np.isnan(law["ci_low"])


def test_without_trials_the_tables_have_their_columns() -> None:
    trials = trials_of(lambda *_: 1.0).iloc[:0]
    table, law = rates(runs_of(8), trials), slopes(trials)
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == dtypes("rates")
    assert {name: str(dtype) for name, dtype in law.dtypes.items()} == dtypes("rate_slopes")
    assert not table["tuned"].any()
    assert law.empty


def test_at_a_cliff_no_parabola_is_trusted() -> None:
    # The loss hardly changes up to 1.0 and is lost beyond: a parabola would say 0.57, half-way back to 0.32.
    flat = optimum([0.1, 0.32, 1.0, 3.2], [0.14, 0.122, 0.113, 2.28])
    assert flat == Optimum(pytest.approx(1.0), pytest.approx(0.32), pytest.approx(3.2))
    steep = optimum([0.1, 0.32, 1.0, 3.2], [1.8, 0.92, 0.514, 2.15])  # on both sides
    assert steep is not None
    assert 0.32 < steep.rate < 1.0
    assert steep.located


def test_a_cliff_between_the_rates_tried_is_no_edge_of_them() -> None:
    # The loss falls slowly up to GRID[8] and is lost beyond, by the same at every further rate.
    trials = trials_of(lambda *_: 1.0, sizes=(8,))
    trials["selected_validation_loss"] = [
        2.0 if rate > GRID[8] else 0.1 - 0.001 * math.log2(rate) for rate in trials["learning_rate"]
    ]
    row = rates(runs_of(8), trials).iloc[0]
    assert not row["at_edge"]
    assert row["optimum"] == pytest.approx(GRID[8])
    assert row[["optimum_ci_low", "optimum_ci_high"]].isna().all()


@pytest.mark.parametrize(("losses", "low", "high"), [([0.1, 0.2, 0.3], 0.0, 0.2), ([0.3, 0.2, 0.1], 0.2, math.inf)])
def test_beyond_the_rates_tried_nothing_bounds_the_optimum(losses: list[float], low: float, high: float) -> None:
    found = optimum([0.1, 0.2, 0.4], losses)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def capped(size: int, seed: int) -> float:
    """A best rate that grows with the square root of the size, from a different start for every seed."""
    return 0.1 * (1 + 0.05 * (seed - 102)) * size**0.5


def test_optima_beside_rates_that_diverge_widen_the_interval_of_the_slope() -> None:
    # At 32 and 128 the best rates, 0.57 and 1.13, lie beyond 0.5, above which every run diverges: from 0.25 to 1.0.
    seeds = (101, 102, 103)
    row = slopes(trials_of(capped, seeds=seeds, diverges_above=0.5)).iloc[0]
    assert tuple(row[["fitted", "bounded", "left_out"]]) == ("8; 32; 128", "32; 128", "")
    x = np.log([8, 32, 128])
    ends = [
        [float(np.polyfit(x, np.log([capped(8, seed), *others]), 1)[0]) for seed in seeds]
        for others in ((0.25, 0.25), (0.25, 1.0), (1.0, 1.0), (1.0, 0.25))
    ]
    lowest, highest = np.min(ends, axis=0), np.max(ends, axis=0)
    error = 4.302652730 / math.sqrt(3)
    assert math.isnan(row["slope"])
    assert row["slope_lowest"] == pytest.approx(lowest.mean())
    assert row["slope_highest"] == pytest.approx(highest.mean())
    assert row["ci_low"] == pytest.approx(lowest.mean() - error * lowest.std(ddof=1))
    assert row["ci_high"] == pytest.approx(highest.mean() + error * highest.std(ddof=1))


def test_the_curve_of_a_tuning_is_the_mean_of_the_trials_that_ended_ok() -> None:
    head = {"dataset": "d", "recipe": "r", "batch_size": 8, "full_batch": False}
    trials = [(0.1, 1, "ok", 0.5), (0.1 * (1 + 1e-15), 2, "ok", 0.7), (1.0, 1, "ok", 0.9), (1.0, 2, "diverged", None)]
    rows = [
        {**head, "learning_rate": rate, "seed": seed, "outcome": outcome, LOSS: loss, "chosen": rate < 0.5}
        for rate, seed, outcome, loss in trials
    ]
    found = curves(pd.DataFrame(rows).astype({LOSS: "float64"}))
    assert found[["learning_rate", "n", "n_ok", "chosen"]].to_numpy().tolist() == [
        [0.1, 2, 2, True],
        [1.0, 2, 1, False],
    ]
    assert found["loss_mean"].tolist() == pytest.approx([0.6, 0.9])
