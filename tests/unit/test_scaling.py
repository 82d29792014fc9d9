"""The critical batch size: recovered where the law holds, refused where it does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike, NDArray
from reading import numbers, tells

from batchscope.analysis.scaling import critical_batch_sizes, fit, with_residuals
from batchscope.stats.intervals import t_interval, t_quantile
from batchscope.tables.codebook import dtypes

SIZES = [8, 16, 32, 64, 128, 256, 512, 1024]
NAN = float("nan")


def to_target(
    epochs: Mapping[int, ArrayLike],
    *,
    resolution: float = NAN,
    target: float = 0.1,
    full: int | None = None,
    budget: float = NAN,
) -> pd.DataFrame:
    """Runs by batch size; NaN for a run that missed the target, which was followed for `budget` epochs."""
    rows = []
    for size, values in epochs.items():
        for seed, value in enumerate(np.asarray(values, dtype=np.float64)):
            head = {"dataset": "d", "recipe": "r", "batch_size": size, "full_batch": size == full, "seed": seed}
            found = {"metric": "validation_loss", "target": target, "reached": bool(np.isfinite(value))}
            followed = value if np.isfinite(value) else budget
            spent = {"epochs": value, "examples": NAN, "budget_epochs": followed, "resolution_epochs": resolution}
            rows.append({**head, **found, **spent, "evaluations_in_a_row": None})
    return pd.DataFrame(rows)


def law(e_min: float, b_crit: float, sizes: Sequence[int] = SIZES) -> dict[int, NDArray[np.float64]]:
    return {size: np.array([e_min * (1 + size / b_crit)]) for size in sizes}


def noisy(seed: int, *, b_crit: float = 200, n: int = 5, spread: float = 0.08) -> dict[int, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return {size: mean * np.exp(rng.normal(0, spread, n)) for size, mean in law(5.0, b_crit).items()}


def by_seed(seed: int, *, shared: float = 0.25, own: float = 0.03, n: int = 5) -> dict[int, NDArray[np.float64]]:
    """Runs of five sizes; what a seed does to all sizes alike says nothing about the critical batch size."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, shared, n)
    sizes = [16, 64, 256, 1024, 4096]
    return {size: mean * np.exp(common + rng.normal(0, own, n)) for size, mean in law(5.0, 300, sizes).items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two rows are equal, null in the same places."""
    return pd.DataFrame([one]).equals(pd.DataFrame([other]))


def only(frame: pd.DataFrame) -> dict[str, Any]:
    (row,) = frame.to_dict("records")
    return {str(name): value for name, value in row.items()}


def fitted(table: pd.DataFrame, **keys: Any) -> dict[str, Any]:
    return only(critical_batch_sizes(table, {"d": 1000}, **{"resamples": 500, **keys}))


def repeated(n: int, simulate: Callable[[int], Mapping[int, ArrayLike]], resamples: int, **keys: Any) -> pd.DataFrame:
    """The fits of `n` simulations, each as a data set of its own."""
    made = [to_target(simulate(seed)).assign(dataset=f"d{seed}") for seed in range(n)]
    return critical_batch_sizes(pd.concat(made), {}, resamples=resamples, **keys)


def width(row: Mapping[str, Any] | pd.DataFrame) -> Any:
    """Of the interval, as a logarithm."""
    return np.log(row["ci_high"] / row["ci_low"])


def test_the_law_without_noise_is_found_exactly() -> None:
    row = fitted(to_target(law(5.0, 200)))
    assert row["e_min"] == pytest.approx(5.0)
    assert row["b_crit"] == pytest.approx(200)
    assert row["s_min"] == pytest.approx(5.0 * 1000 / 200)
    assert row["rmse_log"] == pytest.approx(0, abs=1e-8)
    assert (row["accepted"], row["reason"]) == (True, "")
    assert (row["min_batch_size"], row["max_batch_size"], row["n_sizes"], row["n_runs"]) == (8, 1024, 8, 8)


def test_s_min_is_null_where_the_number_of_examples_is_not_known() -> None:
    table = to_target(law(5.0, 200))
    for n_train in ({"d": None}, {}):
        assert np.isnan(only(critical_batch_sizes(table, n_train, resamples=10))["s_min"])


def test_sizes_that_miss_the_target_are_left_out_not_averaged_over_the_lucky() -> None:
    epochs = noisy(1)
    epochs[1024] = np.array([6.0, NAN, NAN, NAN, NAN])
    row = fitted(to_target(epochs))
    assert row["accepted"]
    assert (row["max_batch_size"], row["n_sizes"], row["n_runs"]) == (512, 7, 35)
    assert row["b_crit"] == pytest.approx(200, rel=0.25)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rows = repeated(100, noisy, resamples=500)
    assert rows["accepted"].all()
    assert 89 <= ((rows["ci_low"] <= 200) & (rows["ci_high"] >= 200)).sum() <= 99
    assert rows["b_crit"].median() == pytest.approx(200, rel=0.05)


def test_equal_seeds_give_equal_intervals() -> None:
    table = to_target(noisy(1))
    assert same(fitted(table, seed=3), fitted(table, seed=3))
    assert fitted(table, seed=3)["ci_low"] != fitted(table, seed=4)["ci_low"]


def test_one_run_per_size_gives_a_fit_without_interval() -> None:
    row = fitted(to_target(noisy(2, n=1)))
    assert row["accepted"]
    assert np.isnan(row["ci_low"])
    assert np.isnan(row["ci_high"])


def test_runs_of_one_seed_drawn_together_leave_out_what_the_sizes_share() -> None:
    together = repeated(100, by_seed, 300, paired=True)
    assert together["accepted"].all()
    assert 90 <= ((together["ci_low"] <= 300) & (together["ci_high"] >= 300)).sum() <= 99
    apart = repeated(20, by_seed, 300)
    assert (width(together.iloc[:20]) < width(apart) / 2).all()
    assert together["b_crit"].iloc[:20].tolist() == apart["b_crit"].tolist()


@pytest.mark.parametrize("n", [3, 5, 8])
def test_where_noise_is_small_the_paired_interval_is_the_t_interval_of_the_seeds(n: int) -> None:
    """The law is then linear in the noise, and the bootstrap has the spread of the fits of the single seeds."""
    epochs = by_seed(4, shared=2e-3, own=1e-3, n=n)
    row = fitted(to_target(epochs), paired=True, resamples=5000)
    single = [fit(list(epochs), [float(values[seed]) for values in epochs.values()]) for seed in range(n)]
    expected = t_interval(np.log([found.b_crit for found in single if found]))
    assert expected.low is not None
    assert expected.high is not None
    assert row["b_crit"] == pytest.approx(np.exp(expected.mean), rel=1e-3)
    assert width(row) == pytest.approx(expected.high - expected.low, rel=0.12)


@pytest.mark.parametrize("n", [2, 3])
def test_where_noise_is_small_the_interval_adds_the_spread_of_the_sizes(n: int) -> None:
    """By the delta method, with Student's t of the n - 1 degrees of freedom that each size has."""
    epochs = by_seed(4, shared=0.0, own=1e-3, n=n)
    sizes, means = list(epochs), np.array([values.mean() for values in epochs.values()])
    errors = [np.log(values).std(ddof=1) / np.sqrt(n) for values in epochs.values()]
    middle = fit(sizes, list(means))
    moved = [fit(sizes, list(means * np.exp(np.eye(len(sizes))[i] * error))) for i, error in enumerate(errors)]
    assert middle is not None
    shifts = [np.log(found.b_crit / middle.b_crit) for found in moved if found]
    expected = 2 * t_quantile(len(sizes) * (n - 1) + 1) * np.sqrt(np.sum(np.square(shifts)))
    assert width(fitted(to_target(epochs), resamples=5000)) == pytest.approx(expected, rel=0.12)


def test_sizes_with_other_seeds_cannot_be_drawn_together() -> None:
    table = to_target(by_seed(5))
    table.loc[table["batch_size"] == 64, "seed"] += 10
    assert same(fitted(table, paired=True), fitted(table, paired=False))


@pytest.mark.parametrize("paired", [True, False])
def test_the_order_of_the_rows_changes_nothing(paired: bool) -> None:
    table = to_target(by_seed(6))
    moved = table.sample(frac=1, random_state=1)
    assert moved["seed"].tolist() != table["seed"].tolist()
    assert same(fitted(moved, paired=paired), fitted(table, paired=paired))


@pytest.mark.parametrize("paired", [True, False])
def test_runs_without_any_spread_give_a_fit_without_interval(paired: bool) -> None:
    same = {size: np.repeat(values, 3) for size, values in law(5.0, 200).items()}
    row = fitted(to_target(same), paired=paired)
    assert (row["accepted"], row["n_runs"]) == (True, 24)
    assert row["b_crit"] == pytest.approx(200)
    assert np.isnan([row["ci_low"], row["ci_high"]]).all()
    same[8] = same[8] * [0.9, 1.0, 1.1]
    assert width(fitted(to_target(same), paired=paired)) > 0


def test_a_curve_that_falls_before_it_rises_is_refused() -> None:
    epochs = {size: mean * np.array([0.97, 1.0, 1.03]) for size, mean in law(5.0, 200).items()}
    epochs[8], epochs[16] = epochs[8] * 1.6, epochs[16] * 1.3
    row = fitted(to_target(epochs))
    assert not row["accepted"]
    assert tells(row["reason"], 8, 8.32)
    assert row["rmse_log"] < 0.15  # the misfit alone would have let it pass
    assert np.isfinite(row["b_crit"])


@pytest.mark.parametrize("missed", [{1: 5}, {1: 1}, {2: 2}])
def test_a_small_size_that_missed_what_larger_ones_reach_soon_is_a_fall_too(missed: Mapping[int, int]) -> None:
    epochs = noisy(1) | {size: np.array([40.0] * (5 - n) + [NAN] * n) for size, n in missed.items()}
    row = fitted(to_target(epochs, budget=40.0))
    assert not row["accepted"]
    (size,) = missed
    assert numbers(row["reason"]) == [size, 40, 8, pytest.approx(epochs[8].mean(), rel=0.005)]
    assert (row["n_sizes"], row["min_batch_size"]) == (8, 8)
    assert row["b_crit"] == pytest.approx(200, rel=0.25)


@pytest.mark.parametrize(
    ("size", "budget", "accepted"),
    [
        (1, 5.2 * np.exp(0.14), True),  # batch size 8 needs 5.2 epochs: a fall that may be misfit
        (1, 5.2 * np.exp(0.16), False),
        (1, NAN, True),  # nobody knows how long it was followed
        (1, 0.0, True),  # out of memory
        (2048, 1000.0, True),  # larger sizes may need longer
        (600, 30.0, True),  # more than the 17.8 that 512 needs, but the only larger size needs 30.6
        (600, 40.0, False),
    ],
)
def test_a_size_that_missed_is_held_only_against_larger_ones_that_needed_less(
    size: int, budget: float, accepted: bool
) -> None:
    row = fitted(to_target(law(5.0, 200) | {size: np.array([NAN, NAN])}, budget=budget))
    assert row["accepted"] is accepted
    assert bool(row["reason"]) is not accepted


def test_a_size_of_which_one_run_was_followed_for_an_unknown_time_is_not_held_against_the_law() -> None:
    epochs = law(5.0, 200) | {1: np.array([40.0, NAN])}
    assert fitted(to_target(epochs))["accepted"]
    assert not fitted(to_target(epochs, budget=40.0))["accepted"]


def test_a_fall_that_chance_explains_is_not_a_u_shape() -> None:
    rows = repeated(60, lambda seed: noisy(seed, n=3, spread=0.2), resamples=10)
    assert rows["reason"].str.contains("monotone").sum() <= 6


def test_epochs_that_do_not_depend_on_the_batch_size_are_refused() -> None:
    row = fitted(to_target({size: [5.0, 5.0] for size in SIZES}))
    assert not row["accepted"]
    assert row["reason"]
    assert np.isnan(row["b_crit"])
    rows = repeated(40, lambda seed: noisy(seed, b_crit=1e9, spread=0.1), resamples=500)
    assert not rows["accepted"].any()


@pytest.mark.parametrize(
    ("b_crit", "accepted", "told"),
    [
        (1900, True, []),
        (2200, False, [2]),
        (4.5, True, []),
        (3.5, False, [8]),
    ],
)
def test_the_bend_must_be_seen(b_crit: float, accepted: bool, told: list[float]) -> None:
    row = fitted(to_target(law(5.0, b_crit)))
    assert row["accepted"] is accepted
    assert set(told) <= set(numbers(row["reason"]))
    assert bool(row["reason"]) is not accepted
    assert row["b_crit"] == pytest.approx(b_crit)


def test_runs_that_scatter_too_much_to_show_a_bend_are_refused() -> None:
    scattered = {size: mean * np.array([0.35, 1.65]) for size, mean in law(5.0, 1500).items()}
    row = fitted(to_target(scattered))
    assert not row["accepted"]
    assert "unbounded" in row["reason"]
    assert np.isnan(row["ci_high"])


def test_a_law_that_misfits_is_refused() -> None:
    kinked = {size: [5.0 if size < 256 else 5.0 * (size / 128) ** 2] for size in SIZES}
    row = fitted(to_target(kinked))
    assert not row["accepted"]
    assert "misfits" in row["reason"]
    assert row["rmse_log"] > 0.15


@pytest.mark.parametrize("n_sizes", [3, 1])
def test_too_few_sizes_are_refused(n_sizes: int) -> None:
    row = fitted(to_target(law(5.0, 20, SIZES[:n_sizes])))
    assert not row["accepted"]
    assert numbers(row["reason"])[0] == n_sizes
    assert np.isfinite(row["b_crit"]) == (n_sizes == 3)


def test_a_target_that_no_run_reaches_has_a_row_without_numbers() -> None:
    row = fitted(to_target({size: [NAN, NAN] for size in SIZES}))
    assert not row["accepted"]
    assert row["reason"]
    assert (row["n_sizes"], row["n_runs"]) == (0, 0)
    assert pd.isna(row["min_batch_size"])
    assert np.isnan(row["e_min"])


def test_the_full_batch_beside_its_own_number_is_one_size() -> None:
    table = pd.concat([to_target(law(5.0, 20, [8, 16, 32])), to_target(law(5.0, 20, [32]), full=32)])
    assert fitted(table)["n_sizes"] == 3


def test_targets_met_before_training_or_between_few_evaluations_are_refused() -> None:
    assert not fitted(to_target({**law(5.0, 200), 8: [0.0]}))["accepted"]
    assert not fitted(to_target(law(1.0, 200), resolution=1.0))["accepted"]
    assert fitted(to_target(law(5.0, 200), resolution=1.0))["accepted"]
    assert fitted(to_target(law(5.0, 200), resolution=0.24 * 5.2))["accepted"]  # batch size 8 needs 5.2 epochs
    row = fitted(to_target(law(5.0, 200), resolution=0.26 * 5.2))
    assert not row["accepted"]
    assert numbers(row["reason"])[:3] == [8, 5.2, 1.35]  # size, epochs, resolution


def test_unknown_epochs_are_refused() -> None:
    table = to_target(law(5.0, 200)).assign(epochs=NAN)
    assert not fitted(table)["accepted"]
    assert fitted(table)["reason"]


def test_every_target_has_its_row_also_one_without_a_value() -> None:
    table = pd.concat([to_target(law(5.0, 100)), to_target(law(8.0, 300), target=0.05), to_target({}, target=1)])
    found = critical_batch_sizes(table, {}, resamples=10)
    assert found["b_crit"].to_numpy() == pytest.approx([100, 300])
    assert len(critical_batch_sizes(to_target(law(5.0, 100), target=NAN), {}, resamples=10)) == 1


def test_without_rows_the_tables_have_their_columns() -> None:
    empty = to_target(law(5.0, 200)).iloc[:0]
    table = critical_batch_sizes(empty, {})
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == dtypes("critical_batch_size")


def test_fit_needs_three_sizes() -> None:
    assert fit([8, 16], [1.0, 2.0]) is None
    assert fit([8, 16, 16], [1.0, 2.0, 3.0]) is None


def measured(name: str) -> pd.DataFrame:
    folder = os.environ.get("BATCHSCOPE_MEASUREMENTS")
    if folder is None:
        pytest.skip("BATCHSCOPE_MEASUREMENTS does not name a folder with published measurements")
    path = Path(folder) / name
    if not path.is_file():
        pytest.skip(f"the folder BATCHSCOPE_MEASUREMENTS has no {name}")
    return pd.read_csv(path)


@pytest.mark.parametrize(
    ("name", "e_min", "b_crit", "low", "high", "rmse_log"),
    [
        ("mlperf_resnet.csv", 34.688, 47_066, 46_383, 47_790, 0.037),
        ("mlperf_rnnt.csv", 35.743, 3_702, 3_437, 3_998, 0.023),
    ],
)
def test_reference_convergence_points_of_mlperf(
    name: str, e_min: float, b_crit: float, low: float, high: float, rmse_log: float
) -> None:
    runs = measured(name)
    row = only(critical_batch_sizes(to_target(dict(runs.groupby("global_batch")["epochs_to_converge"].agg(list))), {}))
    assert row["accepted"]
    assert [row["e_min"], row["b_crit"]] == pytest.approx([e_min, b_crit], rel=1e-3)
    assert [row["ci_low"], row["ci_high"]] == pytest.approx([low, high], rel=5e-3)
    assert row["rmse_log"] == pytest.approx(rmse_log, abs=5e-4)


@pytest.mark.parametrize(("target", "b_crit"), [(55, 91), (50, 165), (45, 264), (40, 308)])
def test_speech_recognition_of_the_zeus_trace(target: int, b_crit: float) -> None:
    runs = measured("zeus_librispeech_train.csv")
    runs = runs[runs["target_metric"] == target]
    row = fitted(to_target(dict(runs.groupby("batch_size")["target_epoch"].agg(list))))
    assert row["accepted"]
    assert row["b_crit"] == pytest.approx(b_crit, rel=5e-3)
    if target == 40:
        assert row["e_min"] == pytest.approx(6.43, rel=5e-3)
        assert row["rmse_log"] == pytest.approx(0.043, abs=5e-4)


def test_residuals_are_those_of_the_law_also_where_it_is_refused() -> None:
    table = to_target(law(5.0, 200))
    fits = critical_batch_sizes(table, {}, resamples=10).assign(e_min=4.0, b_crit=100.0, accepted=False)
    cells = {"dataset": table["dataset"].iloc[0], "recipe": table["recipe"].iloc[0], "metric": table["metric"].iloc[0]}
    rows = [{**cells, "batch_size": size, "epochs_mean": mean} for size, mean in ((100, 16.0), (300, 16.0), (400, NAN))]
    targets = pd.DataFrame(rows).assign(target=[table["target"].iloc[0]] * 2 + [99.0], examples_mean=NAN)
    found = with_residuals(targets, fits)["law_residual"]
    assert found.tolist() == pytest.approx([float(np.log(2)), 0, NAN], nan_ok=True)
