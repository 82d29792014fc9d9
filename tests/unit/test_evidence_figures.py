"""Figures of targets, budgets and rates show the numbers of the tables and keep what was not reached in sight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_evidence import IMPORT, USUAL, make
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from reading import tells

from batchscope.figures import FIGURES, theme
from batchscope.figures.frames import Frames

NAMES = [name for name, spec in FIGURES.items() if spec.needs and spec.group != "answer"]
OF_TARGETS = ["steps_to_target", "examples_to_target", "critical_vs_target", "time_to_target"]


def drawn(name: str, frames: Frames) -> list[Axes]:
    return FIGURES[name].draw(frames).axes


def words(axes: Axes) -> str:
    return " ".join(text.get_text() for text in axes.texts)


def lines(axes: Axes, marker: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() == marker and len(np.atleast_1d(line.get_xdata()))]


def y_of(found: list[Line2D]) -> list[float]:
    return [float(y) for line in found for y in np.atleast_1d(np.asarray(line.get_ydata(), dtype=np.float64))]


def filled(axes: Axes, marker: str) -> Line2D:
    """The line through the means of a target."""
    return next(
        line for line in lines(axes, marker) if line.get_markersize() == 5 and line.get_markerfacecolor() != "none"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_without_rows_gets_a_panel_that_says_so(name: str) -> None:
    frames, spec = make(USUAL), FIGURES[name]
    empty = {table: frames.of(table).iloc[:0] for table in (need.partition(".")[0] for need in spec.needs)}
    own = {table: rows for table, rows in empty.items() if hasattr(frames, table)}
    bare = replace(frames, **own, further={**frames.further, **empty})
    assert not spec.has_rows(bare)
    assert [words(axes) for axes in spec.draw(bare).axes] == ["not measured"]
    assert spec.caption(bare) == spec.alt(bare) == f"{spec.title}: not measured."


@pytest.mark.parametrize("metric", ["loss ($ and $_x$)", "$a^2$", "US$"])
def test_dollar_signs_in_the_name_of_a_metric_are_dollar_signs(tmp_path: Path, metric: str) -> None:
    frames = make(replace(IMPORT, laws={metric: IMPORT.laws["WER"]}))
    for name in OF_TARGETS[:3]:  # the last has no timings
        FIGURES[name].render(frames, tmp_path / f"{name}.svg")
        drawing = (tmp_path / f"{name}.svg").read_text(encoding="utf-8").partition("</desc>")[2]
        assert f">{metric}".lower() in drawing.lower(), name


def test_means_and_intervals_are_those_of_the_table() -> None:
    frames = make(replace(USUAL, laws={"validation_loss": {0.5: (2.0, 60.0)}}, batch_sizes=(1, 4, 16)))
    for name, column in (
        ("steps_to_target", "updates"),
        ("examples_to_target", "epochs"),
        ("time_to_target", "seconds"),
    ):
        axes = drawn(name, frames)[0]
        means = filled(axes, "o")
        assert list(np.asarray(means.get_xdata())) == [1, 4, 16]
        assert y_of([means]) == pytest.approx(list(frames.targets[f"{column}_mean"]))
        bars = [segment for found in axes.collections for segment in found.get_segments()]  # type: ignore[attr-defined]
        ends = sorted((float(x), float(low), float(high)) for (x, low), (_, high) in bars)
        expected = frames.targets[["batch_size", f"{column}_ci_low", f"{column}_ci_high"]]
        assert ends == [pytest.approx(row) for row in expected.itertuples(index=False, name=None)]


def test_single_runs_are_all_drawn() -> None:
    frames = make(USUAL)
    axes = drawn("examples_to_target", frames)[0]
    singles = y_of([line for line in lines(axes, "o") if line.get_markersize() == 3])
    assert sorted(singles) == pytest.approx(sorted(frames.to_target["epochs"].dropna()))


def test_runs_that_missed_a_target_stay_in_sight_and_are_counted() -> None:
    frames = make(replace(USUAL, budget_epochs=14.0, noise=0.2))
    missed = frames.to_target[~frames.to_target["reached"]]
    partly = frames.targets[(frames.targets["n_reached"] > 0) & (frames.targets["n_reached"] < 5)]
    assert len(missed) > len(partly) > 0
    triangles = lines(drawn("examples_to_target", frames)[0], "^")
    assert y_of(triangles) == [14.0] * len(missed)
    assert {line.get_markerfacecolor() for line in triangles} == {"none"}
    updates = y_of(lines(drawn("steps_to_target", frames)[0], "^"))
    per_epoch = np.ceil(1168 / missed["batch_size"])
    assert sorted(updates) == pytest.approx(sorted(14.0 * per_epoch))
    assert "triangles" in FIGURES["steps_to_target"].caption(frames)
    assert "triangles" not in FIGURES["time_to_target"].caption(make(replace(USUAL, budget_epochs=1e3)))


def test_a_size_that_missed_a_target_has_no_mean_but_its_median() -> None:
    frames = make(replace(USUAL, budget_epochs=14.0, noise=0.2))
    axes = drawn("examples_to_target", frames)[0]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    partly = frames.targets[frames.targets["n_reached"] < 5]
    assert sorted(y_of(hollow)) == pytest.approx(sorted(partly["epochs_median"].dropna()))
    assert "Kaplan-Meier" in FIGURES["examples_to_target"].caption(frames)


def test_runs_followed_for_no_epoch_stand_at_the_upper_edge() -> None:
    frames = make(replace(USUAL, batch_sizes=(4, 16)))
    lost = frames.to_target["batch_size"] == 16
    numbers = ["epochs", "updates", "examples", "seconds", "resolution_epochs"]
    to_target = frames.to_target.assign(reached=~lost, **{n: frames.to_target[n].mask(lost) for n in numbers})
    to_target["budget_epochs"] = to_target["budget_epochs"].mask(lost, 0.0)
    targets = frames.targets.assign(
        **{c: frames.targets[c].mask(frames.targets["batch_size"] == 16) for c in frames.targets if "mean" in c}
    )
    axes = drawn("examples_to_target", replace(frames, to_target=to_target, targets=targets))[0]
    edge = [line for line in lines(axes, "^") if line.get_transform() == axes.get_xaxis_transform()]
    assert len(edge) == 3


def test_the_law_is_drawn_where_it_was_accepted_with_bend_and_plateau() -> None:
    frames = make(replace(USUAL, refused={0.3: "the residuals turn with the batch size"}))
    axes = drawn("steps_to_target", frames)[0]
    bends = lines(axes, "|")
    assert [float(np.asarray(line.get_xdata())[0]) for line in bends] == [60.0, 400.0]
    assert y_of(bends) == pytest.approx([2 * 1168 / 60, 9 * 1168 / 400])
    curves = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 100]
    assert len(curves) == 2
    x, y = np.asarray(curves[0].get_xdata()), np.asarray(curves[0].get_ydata())
    assert y == pytest.approx(2 * 1168 / 60 * (1 + 60 / x))
    words = FIGURES["steps_to_target"].alt(frames)
    assert tells(words, 60, 48, 78, 0.5)
    assert "the residuals turn with the batch size" in words  # as the table of fits says


def test_perfect_scaling_halves_the_updates_where_the_size_doubles() -> None:
    frames = make(USUAL)
    axes = drawn("steps_to_target", frames)[0]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--" and line.get_color() == theme.GREY]
    first = frames.targets[frames.targets["batch_size"] == 1]["updates_mean"]
    assert [y_of([line])[0] for line in dashed] == pytest.approx(list(first))
    assert all(y_of([line])[0] / y_of([line])[1] == pytest.approx(1168) for line in dashed)


def test_residuals_are_logarithms_of_mean_over_law() -> None:
    frames = make(replace(USUAL, laws={"validation_loss": {0.5: (2.0, 60.0)}}, batch_sizes=(1, 4, 16)))
    lower = drawn("examples_to_target", frames)[1]
    law = 2.0 * (1 + np.array([1, 4, 16]) / 60)
    assert y_of(lines(lower, "o")) == pytest.approx(list(np.log(frames.targets["epochs_mean"] / law)))


def test_examples_stand_beside_epochs_where_n_train_is_known() -> None:
    made = FIGURES["examples_to_target"].draw(make(USUAL))
    made.draw_without_rendering()
    upper = made.axes[0]
    (beside,) = upper.child_axes
    assert beside.get_ylabel() == "Examples"
    assert np.array(beside.get_ylim()) == pytest.approx(np.array(upper.get_ylim()) * 1168)
    assert drawn("examples_to_target", make(IMPORT))[0].child_axes == []


def test_updates_of_an_import_without_n_train_are_given_over_it() -> None:
    frames = make(replace(IMPORT, laws={"WER": {50.0: (4.0, 165.0)}}, batch_sizes=(8, 32)))
    axes = drawn("steps_to_target", frames)[0]
    assert axes.get_ylabel() == "Updates ÷ training examples"
    assert y_of([filled(axes, "o")]) == pytest.approx(list(frames.targets["epochs_mean"] / [8, 32]))
    assert y_of(lines(axes, "|")) == pytest.approx([4 / 165])


def test_an_import_need_not_name_metric_or_target() -> None:
    frames = make(replace(IMPORT, laws={"WER": {50.0: (4.0, 165.0)}}))
    tables = ("to_target", "targets", "critical_batch_size")
    unnamed = {name: getattr(frames, name).assign(metric=None, target=np.nan) for name in tables}
    bare = replace(frames, **{name: frame.astype({"metric": "str"}) for name, frame in unnamed.items()})
    for name in OF_TARGETS:
        assert "nan" not in FIGURES[name].caption(bare) + FIGURES[name].alt(bare)
    assert tells(FIGURES["steps_to_target"].alt(bare), 165, 132, 214)
    assert y_of([filled(drawn("steps_to_target", bare)[0], "o")]) == y_of(
        [filled(drawn("steps_to_target", frames)[0], "o")]
    )


def test_harder_targets_are_to_the_right_whichever_way_the_metric_grows() -> None:
    axes = drawn("critical_vs_target", make(USUAL))[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "0.3", "0.2"]
    assert axes.xaxis_inverted()
    accuracy = replace(IMPORT, laws={"accuracy": {0.7: (2.0, 60.0), 0.8: (5.0, 150.0), 0.9: (9.0, 400.0)}})
    axes = drawn("critical_vs_target", make(accuracy))[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.7", "0.8", "0.9"]
    assert not axes.xaxis_inverted()


def test_refused_fits_are_crosses_also_without_a_number() -> None:
    frames = make(replace(USUAL, refused={0.3: "not monotone.", 0.2: "fewer than three sizes"}))
    table = frames.critical_batch_size
    numbers = ["e_min", "e_min_examples", "b_crit", "ci_low", "ci_high", "s_min"]
    nothing = table.assign(**{name: table[name].mask(table["target"] == 0.2) for name in numbers})
    frames = replace(frames, critical_batch_size=nothing)
    axes = drawn("critical_vs_target", frames)[0]
    assert y_of(lines(axes, "o")) == [60.0]
    assert y_of(lines(axes, "x")) == [150.0, 0.03]
    words = FIGURES["critical_vs_target"].alt(frames)
    assert tells(words, 0.3, 0.2)
    assert all(reason in words for reason in ("not monotone", "fewer than three sizes"))  # as the table says
    drawn("examples_to_target", frames)


def test_energy_has_a_panel_of_its_own_where_it_was_measured() -> None:
    with_energy, without = make(replace(USUAL, energy=True)), make(USUAL)
    assert [axes.get_ylabel() for axes in drawn("time_to_target", with_energy)] == [
        "Time to the target",
        "Energy to the target",
    ]
    assert [axes.get_ylabel() for axes in drawn("time_to_target", without)] == ["Time to the target"]
    assert ["energy" in FIGURES["time_to_target"].heading(each) for each in (with_energy, without)] == [True, False]


def test_equal_budgets_are_named_with_their_amounts_and_who_had_no_value() -> None:
    frames = make(USUAL)
    panels = drawn("equal_budget", frames)
    assert [axes.get_title(loc="left") for axes in panels] == [
        "Equal epochs: 40",
        "Equal updates: 40",
        "Equal seconds: 101 ms",
    ]
    rows = frames.equal_budget[frames.equal_budget["budget"] == "epochs"]
    through = next(line for line in panels[0].lines if len(np.asarray(line.get_xdata())) == 6)
    assert y_of([through]) == pytest.approx(list(rows["validation_loss_mean"]))
    assert [len(lines(axes, "^")) for axes in panels] == [0, 1, 0]
    assert "Triangles" in FIGURES["equal_budget"].caption(frames)


def test_a_budget_that_was_not_measured_has_no_panel_and_no_name() -> None:
    timed = make(USUAL)
    table = timed.equal_budget
    untimed = replace(timed, equal_budget=table.mask(table["budget"] == "seconds").assign(budget=table["budget"]))
    assert [axes.get_title(loc="left") for axes in drawn("equal_budget", untimed)] == [
        "Equal epochs: 40",
        "Equal updates: 40",
    ]
    assert ["seconds" in FIGURES["equal_budget"].heading(each) for each in (timed, untimed)] == [True, False]


def test_errors_are_compared_at_equal_budgets_where_there_is_no_loss() -> None:
    frames = make(USUAL)
    table = frames.equal_budget
    bare = table.assign(**{name: np.nan for name in table if name.startswith("validation_loss")})
    assert drawn("equal_budget", replace(frames, equal_budget=bare))[0].get_ylabel() == "Validation error"


def test_tuning_marks_the_chosen_rate_and_trials_that_failed() -> None:
    frames = make(USUAL)
    (axes,) = drawn("tuning", frames)
    assert axes.get_xscale() == "log"
    rings = [line for line in lines(axes, "o") if line.get_markersize() == 9]
    chosen = frames.trials[frames.trials["chosen"]].groupby("batch_size", sort=False)["learning_rate"].first()
    assert [float(np.asarray(line.get_xdata())[0]) for line in rings] == list(chosen)
    crosses = {float(np.asarray(line.get_xdata())[0]) for line in lines(axes, "x")}
    assert crosses == {0.32, 1.0}
    first = next(
        line
        for line in axes.lines
        if line.get_color() == theme.colours(frames)[frames.sizes[0]] and line.get_marker() == "None"
    )
    means = frames.trials[frames.trials["batch_size"] == 1].groupby("learning_rate")["selected_validation_loss"].mean()
    assert y_of([first]) == pytest.approx(list(means), nan_ok=True)
    caption = FIGURES["tuning"].caption(frames)
    assert tells(caption, 9)  # trials that did not end ok
    assert "n = 3" in caption
    shared = replace(frames, trials=frames.trials.assign(seed=frames.runs["seed"].min()))
    assert FIGURES["tuning"].caption(shared) != caption


def test_a_trial_with_a_wild_loss_does_not_stretch_the_axis() -> None:
    frames = make(replace(USUAL, failed=()))
    losses = frames.trials["selected_validation_loss"].copy()
    losses.iloc[4] = 1e7
    (axes,) = drawn("tuning", replace(frames, trials=frames.trials.assign(selected_validation_loss=losses)))
    assert axes.get_ylim()[1] < 10
    assert len(lines(axes, "^")) == 1


def test_rates_show_optimum_rate_used_slope_and_references() -> None:
    frames = make(replace(USUAL, edge=(256,)))
    (axes,) = drawn("rate_vs_batch", frames)
    (dots,) = (found for found in axes.collections if isinstance(found, PathCollection))
    assert np.asarray(dots.get_offsets()) == pytest.approx(frames.rates[["batch_size", "optimum"]].to_numpy("float64"))
    assert y_of(lines(axes, "s")) == pytest.approx(list(frames.rates["learning_rate"]))
    assert y_of(lines(axes, "x")) == [frames.rates.loc[frames.rates["batch_size"] == 256, "learning_rate"].iloc[0]]
    solid = next(line for line in axes.lines if line.get_color() == theme.INK and line.get_linestyle() == "-")
    x, y = np.log(np.asarray(solid.get_xdata())), np.log(np.asarray(solid.get_ydata()))
    assert np.polyfit(x, y, 1)[0] == pytest.approx(0.52)
    caption = FIGURES["rate_vs_batch"].caption(frames)
    assert tells(caption, 0.52, 95, 0.4, 0.64, 3, 6)  # slope, its interval over seeds, sizes
    one_seed = frames.rate_slopes.assign(n=1, ci_low=np.nan, ci_high=np.nan)
    assert "n = 1" in FIGURES["rate_vs_batch"].caption(replace(frames, rate_slopes=one_seed))


def test_the_front_joins_sizes_that_no_other_beats_and_labels_all() -> None:
    frames = make(USUAL)
    (axes,) = drawn("pareto", frames)
    front = frames.pareto[frames.pareto["on_front"]].sort_values("seconds_mean")
    joined = next(line for line in axes.lines if line.get_color() == theme.GREY)
    assert y_of([joined]) == pytest.approx(list(front["test_error_mean"]))
    labels = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert set(labels) == {size.label for size in frames.sizes}
    boxes = list(labels.values())
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert tells(FIGURES["pareto"].alt(frames), 1168, 149, 0.0951)


def test_runs_that_met_a_target_before_training_have_no_place_on_a_log_axis() -> None:
    frames = make(USUAL)
    numbers = ["epochs", "updates", "examples", "seconds"]
    first = pd.Series(range(len(frames.to_target)), index=frames.to_target.index) < 2
    early = frames.to_target.assign(**{name: frames.to_target[name].mask(first, 0.0) for name in numbers})
    frames = replace(frames, to_target=early)
    assert all(y > 0 or np.isnan(y) for y in y_of(drawn("steps_to_target", frames)[0].lines[:50]))
