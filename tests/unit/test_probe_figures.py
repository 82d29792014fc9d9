"""Figures of gradients, noise scale and sharpness show the numbers of their tables, and say what is missing."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from fake_probes import FakeProbes, make, one_example
from layout import check_layout
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from batchscope.figures import theme
from batchscope.figures.frames import Frames
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.probes.sharpness.analysis import lowest_common_loss
from batchscope.training.checkpoints import END, START, at

NAMES = [name for name, figure in STUDY_FIGURES.items() if figure.group in ("gradients", "sharpness")]
STUDIES: dict[str, FakeProbes] = {
    "usual": FakeProbes(),
    "one seed": FakeProbes(seeds=(1,)),
    "one size": FakeProbes(batch_sizes=(16,), gradient_sizes=(16,)),
    "many sizes": FakeProbes(batch_sizes=(1, 2, 4, 8, 16, 512, 1024, "full"), gradient_sizes=(1, 2, 4, 8, 16)),
    "no targets, no momentum": FakeProbes(targets=False, momentum=False),
    "nothing met": FakeProbes(met=()),
    "a lost run": FakeProbes(lost=((4, 2), (16, 1))),
    "open and not estimable": FakeProbes(open_ended=((16, END),), not_estimable=((256, END),)),
}


def drawn(name: str, frames: Frames) -> list[Axes]:
    return STUDY_FIGURES[name].draw(frames).axes


def words(axes: Axes) -> str:
    return " ".join(text.get_text() for text in axes.texts)


def large(axes: Axes, size: float) -> dict[float, float]:
    """Markers of a size in points: value by place."""
    lines = [line for line in axes.lines if line.get_marker() in "oDs" and line.get_markersize() == size]
    points = [(x, y) for line in lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    return {float(x): float(y) for x, y in points}


def thresholds_of(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() == "_" and line.get_color() == theme.VALIDATION]


def test_names_are_those_of_both_probes() -> None:
    assert {"gradient_variance", "gradient_direction", "noise_scale", "sharpness_vs_batch", "loss_slices"} < set(NAMES)


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("name", NAMES)
def test_every_panel_shows_numbers_or_says_why_not(name: str, study: str) -> None:
    frames = make(STUDIES[study])
    for axes in drawn(name, frames):
        finite = any(np.isfinite(np.asarray(line.get_ydata(), dtype=np.float64)).any() for line in axes.lines)
        assert finite or "not measured" in words(axes)
    for text in (STUDY_FIGURES[name].caption(frames), STUDY_FIGURES[name].alt(frames)):
        assert text.endswith(".")
        for slip in ("nan", "None", "  ", "..", ";.", " ."):
            assert slip not in text, slip


@pytest.mark.parametrize("name", NAMES)
def test_labels_stay_inside_and_ticks_are_apart(name: str) -> None:
    made = STUDY_FIGURES[name].draw(make(STUDIES["many sizes"]))
    check_layout(made)


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
    frames = make(STUDIES["open and not estimable"])
    rows = frames.of("noise_scale")
    here = rows[(rows["batch_size"] == 16) & (rows["checkpoint_fraction"] == 0)]
    lines = [line for line in drawn("noise_scale", frames)[0].lines if line.get_marker() == "o"]
    means = [y for line in lines if line.get_markersize() == 6 for y in line.get_ydata()]
    assert here["covariance_trace"].mean() / here["gradient_norm_squared"].mean() == pytest.approx(means[0])
    assert sum(math.isnan(mean) for mean in means) == 1
    caption = STUDY_FIGURES["noise_scale"].caption(frames)
    assert re.search(r"Not estimable, and so not drawn: 3 of 3 runs with batch size 256 at the end \(", caption)
    assert "3 of 18 intervals have no upper end" in caption
    assert "no equality is claimed" in caption


def test_critical_batch_sizes_of_the_same_runs_stand_beside_the_noise_scale() -> None:
    frames = make(FakeProbes())
    accepted = frames.critical_batch_size[frames.critical_batch_size["accepted"].astype(bool)]
    assert len(accepted)
    assert sorted(large(drawn("noise_scale", frames)[1], 5).values()) == pytest.approx(sorted(accepted["b_crit"]))
    without = make(FakeProbes(targets=False))
    assert len(drawn("noise_scale", without)) == 1
    assert "nothing to compare with" in STUDY_FIGURES["noise_scale"].caption(without)


def test_sharpness_is_compared_at_the_lowest_training_loss_that_all_runs_reached() -> None:
    frames = make(FakeProbes())
    rows = at(frames.of("sharpness"), lowest_common_loss(frames.of("sharpness"), frames.runs))
    expected = rows.groupby("batch_size")["lambda_max"].mean()
    means = [*large(drawn("sharpness_vs_batch", frames)[0], 5.5).values()]
    assert all(any(value == pytest.approx(mean) for mean in means) for value in expected)
    gap = drawn("sharpness_vs_gap", frames)[0]
    assert sorted(large(gap, 7)) == pytest.approx(sorted(expected))


def test_without_a_common_loss_the_ends_are_compared_and_the_caption_says_so() -> None:
    frames = make(STUDIES["nothing met"])
    assert lowest_common_loss(frames.of("sharpness"), frames.runs) is None
    assert "sizes differ in that as well" in STUDY_FIGURES["sharpness_vs_batch"].caption(frames)
    assert "has a smaller gap for that reason alone" in STUDY_FIGURES["sharpness_vs_gap"].caption(frames)


def test_the_threshold_of_stability_is_drawn_for_sgd_only() -> None:
    frames = make(FakeProbes())
    marks = thresholds_of(drawn("sharpness_vs_batch", frames)[0])
    thresholds = frames.of("sharpness").groupby("batch_size")["stability_threshold"].first()
    assert sorted(float(line.get_ydata()[0]) for line in marks) == pytest.approx(sorted(thresholds))
    none = make(STUDIES["no targets, no momentum"])
    none.of("sharpness")["stability_threshold"] = np.nan
    assert not thresholds_of(drawn("sharpness_vs_batch", none)[0])
