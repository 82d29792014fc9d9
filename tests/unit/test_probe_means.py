"""Tables over seeds of the probes hold means with their intervals; expected numbers are worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import pytest

from batchscope.probes.gradients import analysis as gradients
from batchscope.probes.gradients.spec import BETWEEN, WEIGHT
from batchscope.probes.modes.analysis import mode_means
from batchscope.probes.rates.analysis import curve_means, range_means
from batchscope.probes.sharpness.analysis import sharpness_means, slice_means
from batchscope.probes.sharpness.spec import AVERAGED
from batchscope.training.checkpoints import END, START, Checkpoint

CELL = {"dataset": "digits", "recipe": "mlp", "batch_size": 8, "full_batch": False}
T = 12.706204736174694  # of two seeds: standard errors that a 95 % interval reaches to each side


def runs(checkpoint: Checkpoint = END, **columns: Sequence[object]) -> pd.DataFrame:
    """A row per seed with these columns."""
    n = len(next(iter(columns.values())))
    at = {name: [value] * n for name, value in {**CELL, **checkpoint.columns, "examples": 100}.items()}
    return pd.DataFrame({**at, "seed": range(1, n + 1), **columns})


def test_the_shift_of_modes_is_that_of_pairs_and_nulls_are_in_no_mean() -> None:
    made = runs(training_loss=[1.0, 3.0, None], inference_loss=[0.5, 1.5, None])
    row = mode_means(made.assign(evaluated_batch_size=4)).iloc[0]
    assert row[["n", "training_loss_mean", "inference_loss_mean", "shift_mean"]].tolist() == [2, 2.0, 1.0, 1.0]
    assert row["shift_ci_high"] == pytest.approx(1 + T * 0.5)


def test_rates_have_geometric_means_and_the_loss_where_the_curve_is_suggested() -> None:
    rates, losses = [0.001, 0.1, 10.0], [[3.0, 2.0, 1.0], [5.0, 4.0, math.nan]]
    curves = pd.concat(
        [
            runs(learning_rate=rates, update=[1, 2, 3], smoothed_loss=loss).assign(seed=seed)
            for seed, loss in enumerate(losses)
        ]
    )
    found = curve_means(curves)
    assert found[["update", "learning_rate", "n", "smoothed_loss"]].to_numpy().tolist() == [
        [1, 0.001, 2, 4.0],
        [2, 0.1, 2, 3.0],
    ]
    ranges = runs(suggested_rate=[0.005, 0.02], lowest_loss_rate=[None, 0.3], diverged_rate=[None, None])
    row = range_means(ranges, found).iloc[0]
    assert row[["n", "n_suggested", "n_lowest_loss", "n_diverged"]].tolist() == [2, 2, 1, 0]
    assert row["suggested_rate_mean"] == pytest.approx(0.01)
    assert row["suggested_rate_ci_high"] == pytest.approx(0.01 * math.exp(T * math.log(2)))
    assert row["suggested_rate_loss"] == pytest.approx(3.5)
    assert row[["lowest_loss_rate_ci_low", "diverged_rate_min"]].isna().all()


def test_the_bias_of_all_seeds_has_two_standard_errors_on_each_side() -> None:
    numbers = {name: [7, 9] for name in ("batches", *WEIGHT)}
    means = {name: [0.2, 0.4] for name in BETWEEN}
    variance = {"gradient_variance": [1.0, 3.0], "gradient_variance_expected": [2.0, None]}
    bias = {"gradient_bias": [0.1, 0.3], "gradient_bias_se": [0.03, 0.04]}
    row = gradients.gradient_means(runs(**numbers, **means, **variance, **bias, drawn_batch_size=[10, 10])).iloc[0]
    assert row[["gradient_bias", "gradient_bias_ci_low", "gradient_bias_ci_high"]].tolist() == pytest.approx(
        [0.2, 0.15, 0.25]
    )
    assert row[["n", "batches", "coordinate"]].tolist() == [2, 7, 7]
    assert row["gradient_variance_ci_high"] == pytest.approx(2 + T)
    assert row["gradient_variance_with_replacement"] == pytest.approx(2 * 99 / 90)
    assert row["cosine_mean"] == pytest.approx(0.3)


def test_the_noise_scale_grows_since_the_first_checkpoint() -> None:
    at_start = runs(START, covariance_trace=[4.0, 6.0], gradient_norm_squared=[2.0, 3.0], noise_scale=[2.0, 2.0])
    at_end = runs(END, covariance_trace=[4.0, 16.0], gradient_norm_squared=[1.0, 1.0], noise_scale=[4.0, 16.0])
    scales = pd.concat([at_end.assign(epoch=[20.0, 25.0]), at_start.assign(epoch=0.0)])
    first, last = gradients.noise_scale_means(scales).to_dict("records")
    assert (first["noise_scale"], last["noise_scale"]) == (2.0, 10.0)
    assert math.isnan(first["growth"])
    assert last["growth"] == pytest.approx(4.0)
    assert last["growth_ci_high"] == pytest.approx(4 * math.exp(T * math.log(2)))
    assert (last["epoch_min"], last["epoch_max"]) == (20.0, 25.0)
    assert gradients.with_these(at_start)["noise_scale_of_these"].tolist() == pytest.approx([4 / 2.04, 6 / 3.06])


def test_sharpness_says_in_how_many_runs_a_quantity_is_null() -> None:
    numbers: dict[str, list[object]] = {name: [1.0, 2.0] for name in AVERAGED}
    numbers |= {"lambda_max": [5.0, None], "stability_threshold": [40.0, 40.0], "reason": [None, "it did not converge"]}
    row = sharpness_means(runs(**numbers).assign(interpolated=False)).iloc[0]
    assert (row["n"], row["trace_mean"], row["lambda_max_mean"]) == (2, 1.5, 5.0)
    assert (row["stability_threshold"], row["reason"]) == (40.0, "1 of 2: it did not converge")


def test_the_mean_slice_leaves_out_positions_that_a_seed_lacks() -> None:
    slices = pd.concat(
        [
            runs(position=[-1.0, 0.0], loss=[2.0, 1.0]).assign(seed=1),
            runs(position=[0.0, 1.0], loss=[3.0, 4.0]).assign(seed=2),
        ]
    )
    assert slice_means(slices)[["n", "position", "loss"]].to_numpy().tolist() == [[2, 0.0, 2.0]]
