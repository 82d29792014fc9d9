"""Figures of range tests, evaluation modes and update costs show the numbers of their tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_mechanics import (
    SCATTER,
    UPDATES,
    analysed,
    cost_tables,
    frames_of,
    geometric_means,
    loop_windows,
    mode_table,
    rate_tables,
    suggested,
    tuned_rates,
    without,
)
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from batchscope.figures import theme
from batchscope.figures.frames import Frames
from batchscope.probes.registry import STUDY_FIGURES


def usual() -> Frames:
    probed = {**rate_tables(), "rates": tuned_rates(), "modes": mode_table(), **cost_tables(loop_windows())}
    return frames_of(**probed)


def with_table(frames: Frames, **probed: pd.DataFrame) -> Frames:
    """The frames with other tables of probes, and what follows from these."""
    return replace(frames, further=analysed({**frames.further, **probed}))


def drawn(name: str, frames: Frames) -> list[Axes]:
    return STUDY_FIGURES[name].draw(frames).axes


def words(axes: Axes) -> str:
    return " ".join(text.get_text() for text in axes.texts)


def lines(axes: Axes, marker: str, size: float) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() == marker and line.get_markersize() == size]


def y_of(found: Sequence[Line2D]) -> list[float]:
    return [float(y) for line in found for y in np.atleast_1d(np.asarray(line.get_ydata(), dtype=np.float64))]


def x_of(found: Sequence[Line2D]) -> list[float]:
    return [float(x) for line in found for x in np.atleast_1d(np.asarray(line.get_xdata(), dtype=np.float64))]


def bars(axes: Axes) -> list[tuple[float, float]]:
    """The ends of all error bars, in the order drawn."""
    segments = [segment for found in axes.collections for segment in getattr(found, "get_segments", list)()]
    return [(float(low), float(high)) for (_, low), (_, high) in segments]


def test_curves_are_means_over_seeds_and_end_where_the_first_seed_diverges() -> None:
    frames = usual()
    upper = drawn("rate_range", frames)[0]
    of_32 = frames.of("rate_curves")[frames.of("rate_curves")["batch_size"] == 32]
    by_update = of_32.pivot_table(index="update", columns="seed", values="smoothed_loss", dropna=False)
    common = by_update[by_update.notna().all(axis="columns")]
    assert common.index[-1] == of_32.dropna(subset=["smoothed_loss"]).groupby("seed")["update"].max().min()
    shades = theme.colours(frames)
    curve = next(
        line for line in upper.lines if line.get_color() == shades[frames.sizes[2]] and len(line.get_xdata()) > 1
    )
    assert y_of([curve]) == pytest.approx(list(common.mean(axis="columns")))
    assert x_of([curve])[0] == pytest.approx(float(np.geomspace(1e-5, 10, UPDATES)[5]))


def test_suggested_rates_are_geometric_means_with_intervals_of_the_logarithm() -> None:
    frames = usual()
    upper, lower = drawn("rate_range", frames)
    expected = geometric_means("suggested_rate", frames.of("rate_ranges"))
    assert x_of(lines(upper, "o", 7)) == pytest.approx(expected), "marked on the curves too"
    assert y_of(lines(lower, "o", 5)) == pytest.approx(expected)
    assert y_of(lines(lower, "v", 6)) == pytest.approx(geometric_means("lowest_loss_rate", frames.of("rate_ranges")))
    assert sorted(y_of(lines(lower, "o", 3))) == pytest.approx(sorted(frames.of("rate_ranges")["suggested_rate"]))
    first = np.log(frames.of("rate_ranges").loc[frames.of("rate_ranges")["batch_size"] == 1, "suggested_rate"])
    half = 2.7764451051977987 * float(first.std(ddof=1)) / math.sqrt(5)
    ends = (math.exp(float(first.mean()) - half), math.exp(float(first.mean()) + half))
    assert any(bar == pytest.approx(ends) for bar in bars(lower))


def test_tuned_and_used_rates_stand_beside_the_suggestion() -> None:
    frames = usual()
    lower = drawn("rate_range", frames)[1]
    assert y_of(lines(lower, "D", 4)) == pytest.approx(list(frames.rates["optimum"]))
    assert y_of(lines(lower, "s", 9)) == [0.1] * 5
    for _, row in frames.rates.iterrows():
        assert any(bar == pytest.approx((row["optimum_ci_low"], row["optimum_ci_high"])) for bar in bars(lower))
    fixed = replace(frames, rates=tuned_rates(tuned=False))
    assert not lines(drawn("rate_range", fixed)[1], "D", 4)


def test_references_have_slopes_one_and_one_half_from_the_first_suggestion() -> None:
    frames = usual()
    lower = drawn("rate_range", frames)[1]
    first = geometric_means("suggested_rate", frames.of("rate_ranges"))[0]
    slopes = []
    for line in (line for line in lower.lines if line.get_color() == theme.GREY and len(line.get_xdata()) > 1):
        assert y_of([line])[0] == pytest.approx(first)
        slopes.append(float(np.polyfit(np.log(x_of([line])), np.log(y_of([line])), 1)[0]))
    assert slopes == pytest.approx([1.0, 0.5])


def test_seeds_without_a_suggestion_are_in_no_mean() -> None:
    frames = usual()
    ranges = frames.of("rate_ranges")
    lost = (ranges["batch_size"] == 1) & (ranges["seed"] <= 3)
    frames = with_table(frames, rate_ranges=without(ranges, lost, SCATTER, "suggested_rate"))
    kept = [suggested(1, seed) for seed in (4, 5)]
    assert y_of(lines(drawn("rate_range", frames)[1], "o", 5))[0] == pytest.approx(math.sqrt(math.prod(kept)))
    all_lost = without(ranges, ranges["seed"] > 0, SCATTER, "suggested_rate", "lowest_loss_rate")
    nothing = replace(with_table(frames, rate_ranges=all_lost), rates=tuned_rates(tuned=False).iloc[:0])
    assert "not measured" in words(drawn("rate_range", nothing)[1])


def test_a_run_that_diverges_does_not_stretch_the_axis_of_losses() -> None:
    frames = usual()
    curves = frames.of("rate_curves")
    wild = curves.assign(smoothed_loss=curves["smoothed_loss"].where(curves["learning_rate"] < 0.5, 1e9))
    upper = drawn("rate_range", with_table(frames, rate_curves=wild))[0]
    assert upper.get_ylim()[1] < 4


def test_modes_show_the_means_of_both_losses() -> None:
    frames = usual()
    (axes,) = drawn("evaluation_modes", frames)
    by_size = frames.of("modes").groupby("evaluated_batch_size")
    assert y_of(lines(axes, "o", 5)) == pytest.approx(list(by_size["training_loss"].mean()))
    assert x_of(lines(axes, "o", 5)) == [1, 2, 8, 32, 128]
    line = next(line for line in axes.lines if line.get_color() == theme.VALIDATION)
    assert y_of([line]) == pytest.approx(list(by_size["inference_loss"].mean()))
    assert sorted(y_of(lines(axes, "o", 3))) == pytest.approx(sorted(frames.of("modes")["training_loss"]))


def test_each_size_of_the_runs_has_a_panel_with_the_same_axis() -> None:
    frames = frames_of(modes=mode_table((8, 32, "full")))
    panels = drawn("evaluation_modes", frames)
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == [f"Runs with batch size {size}" for size in ("8", "32", "1,168 (full)")]
    assert len({axes.get_ylim() for axes in panels}) == 1
    means = (
        frames.of("modes")[frames.of("modes")["batch_size"] == 1168]
        .groupby("evaluated_batch_size")["training_loss"]
        .mean()
    )
    assert y_of(lines(panels[2], "o", 5)) == pytest.approx(list(means))


def test_sizes_that_could_not_be_evaluated_keep_their_place() -> None:
    modes, reason = mode_table(), "the validation part has 100 examples, fewer than a batch of 128"
    lost = modes["evaluated_batch_size"] == 128
    frames = frames_of(modes=without(modes, lost, reason, "training_loss", "inference_loss", "training_mode_shift"))
    (axes,) = drawn("evaluation_modes", frames)
    assert x_of(lines(axes, "o", 5)) == [1, 2, 8, 32]
    assert list(axes.get_xticks()) == [1, 2, 8, 32, 128]
    every = without(modes, modes["seed"] > 0, reason, "training_loss", "inference_loss", "training_mode_shift")
    assert "not measured" in words(drawn("evaluation_modes", frames_of(modes=every))[0])


def test_times_of_the_loops_are_medians_with_quartiles_and_their_line() -> None:
    frames = usual()
    upper = drawn("update_costs", frames)[0]
    for loop, marker, size in (("fused", "o", 5), ("fit", "s", 6), ("data", "^", 6)):
        name = f"{loop}_seconds_per_update"
        assert y_of(lines(upper, marker, size)) == pytest.approx(list(frames.of("overheads")[name]))
        quartiles = frames.of("overheads")[[f"{name}_q25", f"{name}_q75"]].itertuples(index=False, name=None)
        assert all(any(bar == pytest.approx(pair) for bar in bars(upper)) for pair in quartiles)
        costs = frames.of("update_costs").set_index("loop").loc[loop]
        fitted = [
            line
            for line in upper.lines
            if len(line.get_xdata()) == 100
            and y_of([line])
            == pytest.approx(list(costs["fixed_seconds"] + costs["marginal_seconds"] * np.array(x_of([line]))))
        ]
        assert len(fitted) == 1, loop


def test_shares_are_stacked_to_one_and_what_compiling_saves_has_its_interval() -> None:
    frames = usual()
    _, middle, lower = drawn("update_costs", frames)
    heights = np.array([bar.get_height() for bar in middle.patches]).reshape(3, 5).T  # type: ignore[attr-defined]
    names = ["overhead_share", "data_share", "compute_share"]
    assert heights == pytest.approx(frames.of("overheads")[names].to_numpy())
    tops = [bar.get_y() + bar.get_height() for bar in middle.patches[10:]]  # type: ignore[attr-defined]
    assert tops == pytest.approx([1.0] * 5)
    assert y_of(lines(lower, "o", 5)) == pytest.approx(list(frames.of("overheads")["dispatch_share"]))
    first = frames.of("overheads").iloc[0]
    assert bars(lower)[0] == pytest.approx((first["dispatch_share_ci_low"], first["dispatch_share_ci_high"]))


def test_shares_below_zero_go_down_from_zero() -> None:
    frames = usual()
    table = frames.of("overheads").assign(
        data_share=1.5, compute_share=-0.5 - frames.of("overheads")["overhead_share"] + 0.0
    )
    middle = drawn("update_costs", with_table(frames, overheads=table))[1]
    down = [bar for bar in middle.patches if bar.get_height() < 0]  # type: ignore[attr-defined]
    assert len(down) == 5
    assert {bar.get_y() for bar in down} == {0.0}  # type: ignore[attr-defined]
    assert middle.get_ylim()[0] < -0.5


def test_a_refused_line_is_not_drawn() -> None:
    curved = loop_windows(cost=lambda loop, size: 1e-5 * size**1.5 if loop == "fused" else 1e-3 + 1e-6 * size)
    frames = frames_of(**cost_tables(curved))
    assert not frames.of("update_costs").set_index("loop").loc["fused", "accepted"]
    upper, middle, _ = drawn("update_costs", frames)
    assert sum(len(line.get_xdata()) == 100 for line in upper.lines) == 2
    assert y_of(lines(upper, "o", 5)) == pytest.approx(list(frames.of("overheads")["fused_seconds_per_update"]))
    assert "not estimated" in words(middle)


def test_a_loop_that_was_not_timed_leaves_its_place_empty() -> None:
    frames = frames_of(**cost_tables(loop_windows(loops=("fused",))))
    _, middle, lower = drawn("update_costs", frames)
    assert len(middle.patches) == 5
    assert "not measured" in words(lower)
