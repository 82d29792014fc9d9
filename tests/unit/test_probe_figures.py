"""Figures of gradients, noise scale and sharpness show the numbers of their tables, and say what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fake_probes import FakeProbes, make, one_example
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from batchscope.figures import theme
from batchscope.figures.frames import Frames
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.probes.sharpness.analysis import lowest_common_loss
from batchscope.training.checkpoints import END, START, at


def drawn(name: str, frames: Frames) -> list[Axes]:
    return STUDY_FIGURES[name].draw(frames).axes


def large(axes: Axes, size: float) -> dict[float, float]:
    """Markers of a size in points: value by place."""
    lines = [line for line in axes.lines if line.get_marker() in "oDs" and line.get_markersize() == size]
    points = [(x, y) for line in lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    return {float(x): float(y) for x, y in points}


def thresholds_of(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() == "_" and line.get_color() == theme.VALIDATION]


def test_the_variance_is_drawn_beside_what_is_expected_of_random_draws() -> None:
    study = FakeProbes(gradient_sizes=(16,), seeds=(1,), checkpoints={START: (0.0, 2.3)})
    axes = drawn("gradient_variance", make(study))[0]
    trace, _ = one_example(study.runs[1], START)
    solid, dashed = (
        dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for line in axes.lines
        if len(line.get_xdata()) == len(study.drawn) and line.get_marker() in ("None", "")
    )
    n = study.examples
    assert solid == pytest.approx({b: trace / b * (n - b) / (n - 1) for b in study.drawn})
    assert dashed == pytest.approx({b: trace / b for b in study.drawn})
    measured = large(axes, 5)
    assert [*measured.values()] == pytest.approx([*solid.values()], rel=0.15)


def test_the_noise_scale_of_all_seeds_is_a_ratio_of_means() -> None:
    frames = make(FakeProbes(open_ended=((16, END),), not_estimable=((256, END),)))
    rows = frames.of("noise_scale")
    here = rows[(rows["batch_size"] == 16) & (rows["checkpoint_fraction"] == 0)]
    lines = [line for line in drawn("noise_scale", frames)[0].lines if line.get_marker() == "o"]
    means = [y for line in lines if line.get_markersize() == 6 for y in line.get_ydata()]
    assert here["covariance_trace"].mean() / here["gradient_norm_squared"].mean() == pytest.approx(means[0])
    assert sum(math.isnan(mean) for mean in means) == 1
    assert sum(line.get_marker() == "^" for line in drawn("noise_scale", frames)[0].lines) == 3


def test_critical_batch_sizes_of_the_same_runs_stand_beside_the_noise_scale() -> None:
    frames = make(FakeProbes())
    accepted = frames.critical_batch_size[frames.critical_batch_size["accepted"].astype(bool)]
    assert len(accepted)
    assert sorted(large(drawn("noise_scale", frames)[1], 5).values()) == pytest.approx(sorted(accepted["b_crit"]))
    without = make(FakeProbes(targets=False))
    assert len(drawn("noise_scale", without)) == 1


def test_sharpness_is_compared_at_the_lowest_training_loss_that_all_runs_reached() -> None:
    frames = make(FakeProbes())
    rows = at(frames.of("sharpness"), lowest_common_loss(frames.of("sharpness"), frames.runs))
    expected = rows.groupby("batch_size")["lambda_max"].mean()
    means = [*large(drawn("sharpness_vs_batch", frames)[0], 5.5).values()]
    assert all(any(value == pytest.approx(mean) for mean in means) for value in expected)
    small, big = (np.asarray(cloud.get_offsets()) for cloud in drawn("sharpness_vs_gap", frames)[0].collections)
    assert sorted(big[:, 0]) == pytest.approx(sorted(expected))
    assert sorted(small[:, 0]) == pytest.approx(sorted(rows["lambda_max"]))


def test_without_a_common_loss_the_ends_are_compared() -> None:
    frames = make(FakeProbes(met=()))
    assert lowest_common_loss(frames.of("sharpness"), frames.runs) is None
    ends = at(frames.of("sharpness"), END).groupby("batch_size")["lambda_max"].mean()
    assert sorted(large(drawn("sharpness_vs_batch", frames)[0], 5.5).values()) == pytest.approx(sorted(ends))


def test_the_threshold_of_stability_is_drawn_for_sgd_only() -> None:
    frames = make(FakeProbes())
    marks = thresholds_of(drawn("sharpness_vs_batch", frames)[0])
    thresholds = frames.of("sharpness").groupby("batch_size")["stability_threshold"].first()
    assert sorted(float(line.get_ydata()[0]) for line in marks) == pytest.approx(sorted(thresholds))
    none = make(FakeProbes(momentum=False))
    assert not thresholds_of(drawn("sharpness_vs_batch", none)[0])
