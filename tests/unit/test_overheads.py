"""The cost of an update and of an example, and the shares of an update, from windows whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reading import numbers

from batchscope.probes.overheads.analysis import MAX_RMSE, fit, overheads, update_costs
from batchscope.probes.overheads.spec import LOOPS

SIZES = (1, 8, 32, 128, 512)
COSTS = {"fused": (2e-4, 4e-6), "fit": (8e-4, 5e-6), "data": (1e-5, 1e-6)}  # seconds per update, per example
WINDOWS = 5
COLUMNS = [
    "dataset",
    "recipe",
    "batch_size",
    "full_batch",
    "loop",
    "window",
    "updates",
    "seconds",
    "seconds_per_update",
]

Seconds = Callable[[int, int], float]  # of a batch size and a window


def windows_of(
    laws: Mapping[str, Seconds], *, sizes: tuple[int, ...] = SIZES, full: int | None = None, recipe: str = "r"
) -> pd.DataFrame:
    """Windows of 100 updates each, of the size `full` too, as the full batch."""
    cells = [(size, False) for size in sizes] + ([(full, True)] if full else [])
    rows: list[dict[str, Any]] = []
    for size, is_full in cells:
        for window in range(1, WINDOWS + 1):
            for loop, law in laws.items():
                cell = {"dataset": "d", "recipe": recipe, "batch_size": size, "full_batch": is_full}
                took = law(size, window)
                timed = {"updates": 100, "seconds": 100 * took, "seconds_per_update": took}
                rows.append({**cell, "loop": loop, "window": window, **timed})
    return pd.DataFrame(rows, columns=COLUMNS)


def lines(costs: Mapping[str, tuple[float, float]] = COSTS) -> dict[str, Seconds]:
    return {
        loop: lambda size, _, fixed=fixed, marginal=marginal: fixed + marginal * size
        for loop, (fixed, marginal) in costs.items()
    }


@pytest.mark.parametrize("sizes", [SIZES, (1, 2, 4, 60_000), (256, 512, 1024, 4096)])
@pytest.mark.parametrize("loop", LOOPS)
def test_costs_are_recovered_from_windows_without_noise(sizes: tuple[int, ...], loop: str) -> None:
    row = update_costs(windows_of(lines(), sizes=sizes)).set_index("loop").loc[loop]
    fixed, marginal = COSTS[loop]
    for name, cost in (("fixed_seconds", fixed), ("marginal_seconds", marginal)):
        for end in ("", "_ci_low", "_ci_high"):
            assert row[name + end] == pytest.approx(cost, rel=1e-6)
    assert row["rmse_relative"] == pytest.approx(0, abs=1e-9)
    assert (row["n_sizes"], row["accepted"], row["reason"]) == (len(sizes), True, "")


@pytest.mark.parametrize(("fixed", "marginal"), [(0.0, 4e-6), (2e-4, 0.0)])
def test_a_cost_of_nothing_is_a_line_too(fixed: float, marginal: float) -> None:
    costs = update_costs(windows_of(lines({"fused": (fixed, marginal)}))).iloc[0]
    assert costs["accepted"]
    assert costs["fixed_seconds"] == pytest.approx(fixed, abs=1e-12)
    assert costs["marginal_seconds"] == pytest.approx(marginal, abs=1e-14)


def test_every_size_has_the_same_weight_whatever_its_time() -> None:
    """The largest size is 10 % off. A fit in seconds would move the intercept by more than the intercept."""
    law = {"fused": lambda size, _: (2e-4 + 4e-6 * size) * (1.1 if size == 60_000 else 1.0)}
    row = update_costs(windows_of(law, sizes=(1, 8, 32, 128, 512, 60_000))).iloc[0]
    assert row["fixed_seconds"] == pytest.approx(2e-4, rel=0.02)


def test_the_fit_minimises_the_relative_misfit() -> None:
    rng = np.random.default_rng(5)
    seconds = [(2e-4 + 4e-6 * size) * rng.lognormal(0, 0.1) for size in SIZES]
    line = fit(SIZES, [[took] for took in seconds])
    assert line is not None

    def misfit(fixed: float, marginal: float) -> float:
        return float(
            sum(np.log((fixed + marginal * size) / took) ** 2 for size, took in zip(SIZES, seconds, strict=True))
        )

    least = misfit(line.fixed, line.marginal)
    for by in (0.999, 1.001):
        assert misfit(line.fixed * by, line.marginal) > least
        assert misfit(line.fixed, line.marginal * by) > least


def test_the_median_over_windows_is_what_counts() -> None:
    law = {"fused": lambda size, window: (2e-4 + 4e-6 * size) * (50.0 if window in (2, 5) else 1.0)}
    row = update_costs(windows_of(law)).iloc[0]
    assert row["fixed_seconds"] == pytest.approx(2e-4, rel=1e-6)


@pytest.mark.parametrize("fixed", [2e-4, 2e-6])  # most of an update at the smallest size, and less than can be seen
@pytest.mark.parametrize("between_jobs", [0.0, 0.1])
def test_intervals_cover_the_truth_as_often_as_they_say(fixed: float, between_jobs: float) -> None:
    rng = np.random.default_rng(7)
    marginal, repeats = 4e-6, 400
    covered = np.zeros(4)
    for _ in range(repeats):
        jobs = rng.normal(0, between_jobs, len(SIZES))
        logs = jobs[:, None] + rng.normal(0, 0.05, (len(SIZES), WINDOWS))
        seconds = [(fixed + marginal * size) * np.exp(log) for size, log in zip(SIZES, logs, strict=True)]
        line = fit(SIZES, seconds)
        assert line is not None
        ends = [*zip(line.intervals(), (fixed, marginal), strict=True)]
        for size in (SIZES[0], SIZES[-1]):
            share = line.fixed_share_interval(size)
            assert share is not None
            ends.append((share, fixed / (fixed + marginal * size)))
        covered += [low <= truth <= high for (low, high), truth in ends]
    assert (covered / repeats >= 0.92).all(), covered / repeats  # 0.95 less 2.8 standard errors
    assert (covered / repeats <= 0.98).all(), covered / repeats


def test_too_few_sizes_are_refused() -> None:
    three = update_costs(windows_of(lines(), sizes=(1, 8, 32))).set_index("loop").loc["fused"]
    assert (three["accepted"], numbers(three["reason"])) == (False, [3, 4])
    assert three["fixed_seconds"] == pytest.approx(2e-4)  # given, and not to be relied on
    one = update_costs(windows_of(lines(), sizes=(8,))).iloc[0]
    assert numbers(one["reason"]) == [1, 4]
    assert np.isnan(one["fixed_seconds"])
    twice = update_costs(windows_of(lines(), sizes=(8, 32, 512), full=512)).iloc[0]
    assert (twice["n_sizes"], twice["accepted"]) == (3, False)  # the full batch is not another size


def test_a_misfit_is_refused_beyond_its_limit_only() -> None:
    def bent(
        share: float,
    ) -> pd.Series:  # examples of larger batches are cheaper: the time grows as a power of the size
        return update_costs(windows_of({"fused": lambda size, _: 1e-4 * size**share})).iloc[0]

    refused = bent(0.7)
    assert refused["rmse_relative"] > MAX_RMSE
    assert not refused["accepted"]
    assert numbers(refused["reason"])[0] == pytest.approx(refused["rmse_relative"], rel=0.01)
    kept = bent(0.98)
    assert kept["rmse_relative"] < MAX_RMSE
    assert kept["accepted"]


def test_costs_below_zero_by_more_than_chance_are_refused() -> None:
    dearer = update_costs(windows_of(lines({"fused": (-2e-6, 4e-6)}))).iloc[0]
    assert not dearer["accepted"]
    assert dearer["reason"]
    shrinking = update_costs(windows_of(lines({"fused": (2e-4, -1e-7)}))).iloc[0]
    assert not shrinking["accepted"]
    assert shrinking["reason"] not in ("", dearer["reason"])
    rng = np.random.default_rng(1)
    noise = dict(zip(SIZES, rng.lognormal(0, 0.05, len(SIZES)), strict=True))
    within = update_costs(windows_of({"fused": lambda size, _: 2e-4 * noise[size]})).iloc[0]
    assert within["accepted"]  # flat but for noise: a slope near zero, on either side
    assert within["marginal_seconds_ci_low"] < 0 < within["marginal_seconds_ci_high"]


def test_shares_of_an_update_in_closed_form() -> None:
    table = overheads(windows_of(lines())).set_index("batch_size")
    for size in SIZES:
        row, seconds = table.loc[size], {loop: fixed + marginal * size for loop, (fixed, marginal) in COSTS.items()}
        for loop in LOOPS:
            for part in ("", "_q25", "_q75"):
                assert row[f"{loop}_seconds_per_update{part}"] == pytest.approx(seconds[loop])
            assert row[f"{loop}_residual"] == pytest.approx(0, abs=1e-9)
        for end in ("", "_ci_low", "_ci_high"):
            assert row[f"overhead_share{end}"] == pytest.approx(2e-4 / seconds["fused"])
            assert row[f"fit_overhead_share{end}"] == pytest.approx(8e-4 / seconds["fit"])
            assert row[f"dispatch_share{end}"] == pytest.approx(1 - seconds["fused"] / seconds["fit"])
        assert row["data_share"] == pytest.approx(1e-6 * size / seconds["fused"])
        assert row["compute_share"] == pytest.approx(3e-6 * size / seconds["fused"])
        assert row["overhead_share"] + row["data_share"] + row["compute_share"] == pytest.approx(1)
        assert (row["windows"], row["reason"]) == (WINDOWS, "")


def test_the_share_that_a_fused_loop_saves_compares_windows_of_one_turn() -> None:
    drift = dict(enumerate([1.0, 3.0, 0.5, 2.0, 1.5], start=1))  # the machine slows down for all loops alike
    slowed = {loop: lambda s, w, law=law: drift[w] * law(s, w) for loop, law in lines().items()}
    row = overheads(windows_of(slowed)).set_index("batch_size").loc[8]
    share = 1 - (2e-4 + 8 * 4e-6) / (8e-4 + 8 * 5e-6)
    for end in ("", "_ci_low", "_ci_high"):
        assert row[f"dispatch_share{end}"] == pytest.approx(share)


def test_quartiles_and_residuals_are_those_of_the_windows() -> None:
    late = {1: 1.0, 2: 1.1, 3: 1.2, 4: 1.3, 5: 1.4}
    row = overheads(windows_of({"fused": lambda s, w: (2e-4 + 4e-6 * s) * late[w]})).set_index("batch_size").loc[128]
    took = 2e-4 + 4e-6 * 128
    for part, factor in (("_q25", 1.1), ("", 1.2), ("_q75", 1.3)):
        assert row[f"fused_seconds_per_update{part}"] == pytest.approx(factor * took)
    bent = overheads(windows_of({"fused": lambda s, _: 1e-4 * s**0.7})).set_index("batch_size")
    costs = update_costs(windows_of({"fused": lambda s, _: 1e-4 * s**0.7})).iloc[0]
    for size in SIZES:
        line = costs["fixed_seconds"] + size * costs["marginal_seconds"]
        assert bent["fused_residual"][size] == pytest.approx(1e-4 * size**0.7 / line - 1)


def test_shares_of_a_refused_line_are_null_with_the_reason() -> None:
    laws = lines()
    bent = overheads(windows_of({**laws, "data": lambda size, _: 1e-6 * size**0.6})).iloc[0]
    assert bent["overhead_share"] == pytest.approx(2e-4 / 2.04e-4)
    assert np.isnan(bent["data_share"])
    assert np.isnan(bent["compute_share"])
    assert bent["reason"].startswith("data: ")
    few = overheads(windows_of({"fused": laws["fused"]}, sizes=(1, 8))).iloc[0]
    assert np.isnan(few["overhead_share"])
    assert np.isnan(few["dispatch_share"])
    assert few["fused_seconds_per_update"] == pytest.approx(2.04e-4)
    assert numbers(few["reason"]) == [2, 4]
    assert all(f"{loop}: " in few["reason"] for loop in LOOPS)


def test_recipes_have_lines_of_their_own_and_rows_are_sorted_by_size() -> None:
    slow = {loop: (10 * fixed, 10 * marginal) for loop, (fixed, marginal) in COSTS.items()}
    windows = pd.concat([windows_of(lines(slow), recipe="z", full=1000), windows_of(lines(), recipe="a")])
    costs = update_costs(windows)
    assert list(zip(costs["recipe"], costs["loop"], strict=True)) == [(r, loop) for r in "za" for loop in LOOPS]
    assert costs["fixed_seconds"].to_numpy() == pytest.approx([2e-3, 8e-3, 1e-4, 2e-4, 8e-4, 1e-5])
    table = overheads(windows)
    assert list(table["batch_size"]) == [*SIZES, 1000, *SIZES]
    assert list(table["full_batch"]) == [False] * 5 + [True] + [False] * 5
