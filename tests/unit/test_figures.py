"""Figures show the numbers of the tables, say what they are and what is missing, and are the same file every time."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import fake_results
import numpy as np
import pandas as pd
import pytest
from contrast import DARK, LIGHT, contrast, in_the_dark
from fake_results import FakeStudy
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.transforms import Bbox

from batchscope.analysis.curves import learning_curves
from batchscope.figures import FIGURES, svg, theme
from batchscope.figures.curves import mean_curve
from batchscope.figures.frames import Frames, Size, select
from batchscope.figures.targets import Target, looks
from batchscope.figures.words import outcomes_in_words, plain, seeds_in_words, series_in_words
from batchscope.probes import marks
from batchscope.tables.cells import pairs
from batchscope.training.checkpoints import Checkpoint

SMALL = FakeStudy(Path(), datasets={"digits": 96}, batch_sizes=(4, 32, "full"), seeds=(1, 2, 3), epochs=4)
TINY = replace(SMALL, batch_sizes=(4, "full"), seeds=(1, 2))
EVERYTHING = [(size, seed) for size in TINY.batch_sizes for seed in TINY.seeds]
BLANK = ("train_loss", "validation_accuracy", "selected_test_accuracy", "step_loss_noise", "host_memory_peak_bytes")
STUDIES = {
    "usual": SMALL,
    "some failed": replace(SMALL, outcomes={(4, 1): "diverged", (4, 2): "diverged", ("full", 1): "out_of_memory"}),
    "all diverged": replace(TINY, outcomes=dict.fromkeys(EVERYTHING, "diverged")),
    "all out of memory": replace(TINY, outcomes=dict.fromkeys(EVERYTHING, "out_of_memory")),
    "one size, one seed": replace(SMALL, batch_sizes=(32,), seeds=(7,)),
    "one epoch, no timings": replace(TINY, epochs=1, timings=False),
    "nulls": replace(TINY, blank=BLANK),
    "full beside its own size": replace(SMALL, batch_sizes=(32, 96, "full"), gpu=True),
}


@pytest.fixture(scope="module")
def frames_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Frames]:
    made: dict[str, Frames] = {}

    def get(name: str) -> Frames:
        if name not in made:
            files = fake_results.write(replace(STUDIES[name], root=tmp_path_factory.mktemp("study")))
            tables = fake_results.tables(files)
            made[name] = select(tables, "digits", "mlp")
        return made[name]

    return get


def words(axes: Axes) -> str:
    return " ".join(text.get_text() for text in axes.texts)


def test_equal_data_give_equal_bytes_and_no_id_is_used_twice(
    frames_of: Callable[[str], Frames], tmp_path: Path
) -> None:
    frames = frames_of("usual")
    # Two names joined by a hyphen would be one: rings-small with net, and rings with small-net.
    places = [("rings", "small-net"), ("rings-small", "net")]
    for folder in ("a", "b"):
        for pair in places:
            for name in ("noise_vs_batch", "gap_vs_batch"):
                FIGURES[name].render(frames, tmp_path.joinpath(folder, *pair, f"{name}.svg"))
    texts = [
        tmp_path.joinpath("a", *pair, f"{name}.svg").read_text()
        for pair in places
        for name in ("noise_vs_batch", "gap_vs_batch")
    ]
    assert texts[0] == tmp_path.joinpath("b", *places[0], "noise_vs_batch.svg").read_text()
    ids = re.findall(r'\bid="([^"]+)"', "".join(texts))
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:url\(|href=")#([^")]+)', "".join(texts))
    assert used
    assert set(used) <= set(ids)
    left = tmp_path.joinpath("a", *places[0])
    assert [path.name for path in sorted(left.iterdir())] == ["gap_vs_batch.svg", "noise_vs_batch.svg"]


def test_drawing_leaves_the_settings_of_matplotlib_alone(frames_of: Callable[[str], Frames], tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    FIGURES["memory"].render(frames_of("usual"), tmp_path / "memory.svg")
    assert dict(mpl.rcParams) == before


def test_tick_labels_that_would_meet_stand_on_different_lines() -> None:
    sizes = [Size(1, False), Size(512, False), Size(1024, False), Size(1100, True)]
    with theme.applied():
        made, (axes,) = theme.figure(1, 1, 2)
        theme.batch_axis(axes, sizes)
        made.draw_without_rendering()
        labels = axes.get_xticklabels()
        lines = [label.get_text().count("\n") for label in labels]
        boxes = [label.get_window_extent() for label in labels]
    # Without the empty lines above the words.
    boxes = [Bbox.from_bounds(b.x0, b.y0, b.width, b.height / (n + 1)) for b, n in zip(boxes, lines, strict=True)]
    assert lines[:3] == [0, 0, 0]
    assert lines[3] > 0
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_many_seconds_have_ticks_in_whole_minutes_or_hours() -> None:
    assert ticks([7200.0, 360_000.0]) == ["2 h", "5 h", "10 h", "20 h", "50 h", "100 h"]
    assert ticks([60.0, 900.0]) == ["1 min", "2 min", "5 min", "10 min"]
    assert ticks([0.5, 20.0]) == ["500 ms", "1 s", "2 s", "5 s", "10 s", "20 s"]


def ticks(seconds: list[float]) -> list[str]:
    """The labels of a logarithmic axis from the first to the last of `seconds`."""
    with theme.applied():
        made, (axes,) = theme.figure(1, 1, 2.0)
        axes.plot([1, 2], seconds)
        theme.log_axis(axes, "y", seconds, "s")
        made.draw_without_rendering()
        low, high = axes.get_ylim()
        shown = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        return [label.get_text() for at, label in shown if low <= at <= high]


def test_one_tick_where_full_is_also_named_by_its_size(frames_of: Callable[[str], Frames]) -> None:
    axes = FIGURES["memory"].draw(frames_of("full beside its own size")).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["32", "96 and full"]


def coloured(frames: Frames, count: int) -> dict[Size, str]:
    sizes = tuple(Size(2**i, False) for i in range(count))
    return theme.colours(replace(frames, sizes=sizes, all_sizes=sizes))


def test_colours_grow_lighter_with_the_batch_size(frames_of: Callable[[str], Frames]) -> None:
    shades = coloured(frames_of("usual"), 9).values()
    light = [float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722))) for colour in shades]
    assert light == sorted(set(light))


def test_a_batch_size_has_one_colour_in_all_figures_of_a_study(frames_of: Callable[[str], Frames]) -> None:
    """Also where data sets and recipes have other sizes, and another number of examples in their full batch."""
    every = (Size(1, False), Size(8, False), Size(32, False), Size(800, True), Size(1168, True))
    some, others = (
        theme.colours(replace(frames_of("usual"), sizes=sizes, all_sizes=every)) for sizes in (every[:4], every[1::3])
    )
    assert others[Size(8, False)] == some[Size(8, False)]
    assert others[Size(1168, True)] == some[Size(800, True)]
    assert len(set(some.values())) == 4


def test_whatever_is_drawn_stands_out_from_the_page_in_both_themes(frames_of: Callable[[str], Frames]) -> None:
    targets = [Target("", float(i)) for i in range(12)]
    checkpoints = [Checkpoint(fraction=i / 4) for i in range(5)]
    palettes = [coloured(frames_of("usual"), n).values() for n in (1, 2, 12)]
    palettes += [[look.colour for look in looks(targets[:n]).values()] for n in (1, 2, 12)]
    palettes += [[look["color"] for look in marks.looks(checkpoints).values()]]
    single = [theme.INK, theme.GREY, theme.FAINT, theme.TRAIN, theme.VALIDATION, theme.PICK, *theme.OUTCOMES.values()]
    for colour in (to_rgb(each) for palette in (*palettes, single) for each in palette):
        assert contrast(colour, LIGHT) >= 3, to_hex(colour)
        assert contrast(in_the_dark(colour), DARK) >= 3, to_hex(colour)


def test_points_and_bars_are_the_numbers_of_the_table(frames_of: Callable[[str], Frames]) -> None:
    frames = frames_of("usual")
    axes = FIGURES["gap_vs_batch"].draw(frames).axes[0]
    table = frames.metrics[frames.metrics["metric"] == "generalisation_gap"]
    means = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    assert list(means.get_xdata()) == [4, 32, 96]
    assert list(means.get_ydata()) == pytest.approx(list(table["mean"]))
    lines = [found for found in axes.collections if isinstance(found, LineCollection)]
    drawn = sorted((x, low, high) for found in lines for (x, low), (_, high) in found.get_segments())
    assert [row[1:] for row in drawn] == [
        pytest.approx(ends) for ends in table[["ci_low", "ci_high"]].itertuples(index=False, name=None)
    ]


def test_an_interval_below_zero_ends_at_the_edge_of_a_log_axis_and_the_caption_says_so(
    frames_of: Callable[[str], Frames],
) -> None:
    frames = frames_of("usual")
    noise = frames.metrics["metric"] == "step_loss_noise"
    wide = replace(frames, metrics=frames.metrics.assign(ci_low=frames.metrics["ci_low"].mask(noise, -1.0)))
    axes = FIGURES["noise_vs_batch"].draw(wide).axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] > frames.runs["step_loss_noise"].min() / 10
    assert FIGURES["noise_vs_batch"].caption(wide) != FIGURES["noise_vs_batch"].caption(frames)


def test_runs_of_a_seed_are_joined_where_sizes_are_compared(frames_of: Callable[[str], Frames]) -> None:
    frames = frames_of("some failed")
    axes = FIGURES["accuracy_vs_batch"].draw(frames).axes[1]
    chains = [list(line.get_xdata()) for line in axes.lines if line.get_color() == theme.FAINT]
    # Seed 1 ended ok at 32 alone, seed 2 not at 4, seed 3 everywhere.
    assert chains == [[32], [32, 96], [4, 32, 96]]


def test_vanishing_gradients_do_not_stretch_the_axis(frames_of: Callable[[str], Frames]) -> None:
    frames = frames_of("usual")
    norms = frames.steps["gradient_norm"].mask(frames.steps["update"] == 2, 1e-19)
    axes = FIGURES["gradient_norm"].draw(replace(frames, steps=frames.steps.assign(gradient_norm=norms))).axes[0]
    low, high = axes.get_ylim()
    assert high > norms.max()
    assert low > 1e-7


def test_the_path_of_a_thinned_run_is_not_drawn_where_nothing_was_kept(frames_of: Callable[[str], Frames]) -> None:
    frames = frames_of("usual")
    kept = frames.steps[(frames.steps["update"] == 1) | (frames.steps["update"] % 12 == 0)]
    examples, updates = FIGURES["weight_path"].draw(replace(frames, steps=kept)).axes
    assert [line.get_xdata()[0] for line in examples.lines] == [4, 32, 96]  # type: ignore[index]
    assert [line.get_xdata()[0] for line in updates.lines] == [12, 12, 1]  # type: ignore[index]


def test_a_mean_curve_ends_with_the_first_run_and_is_geometric_on_a_log_axis(
    frames_of: Callable[[str], Frames],
) -> None:
    frames = frames_of("usual")
    epochs = frames.evaluations[(frames.evaluations["seed"] != 2) | (frames.evaluations["epoch"] <= 2)]
    curves = learning_curves(epochs, frames.runs)
    curve = mean_curve(replace(frames, learning_curves=curves), Size(4, False), "train_loss")
    assert list(curve["epoch"]) == [0, 1, 2]
    values = epochs[(epochs["batch_size"] == 4) & (epochs["epoch"] == 2)]["train_loss"]
    last = curve.iloc[-1]
    assert last["mean"] == pytest.approx(values.prod() ** (1 / 3))
    assert last["ci_low"] * last["ci_high"] == pytest.approx(last["mean"] ** 2)


def test_a_figure_with_views_says_where_they_lie(frames_of: Callable[[str], Frames], tmp_path: Path) -> None:
    FIGURES["weight_path"].render(frames_of("usual"), tmp_path / "weight_path.svg")
    views = re.findall(r'<view id="f\w+-(\w+)" viewBox="([^"]+)"/>', (tmp_path / "weight_path.svg").read_text())
    assert [name for name, _ in views] == ["examples", "updates"]
    (_, top, width, height), (_, below, _, other) = (tuple(map(float, box.split())) for _, box in views)
    assert top == 0
    assert width == theme.WIDTH * 72
    assert below >= height
    assert below + other == pytest.approx(2 * 2.75 * 72, abs=0.1)


def test_a_path_keeps_the_vertices_that_are_seen(tmp_path: Path) -> None:
    with theme.applied():
        made, (axes,) = theme.figure(1, 1, 2)
        flat = axes.fill_between(range(1000), [0] * 1000, [1] * 500 + [2] * 500)
        flat.set_gid("flat")
        theme.save(made, tmp_path / "path.svg", title="A band", alt="A band.")
    drawn = re.search(r'-flat">.*?<path [^>]*d="([^"]+)"', (tmp_path / "path.svg").read_text(), re.DOTALL)
    assert drawn is not None
    numbers = re.findall(r"-?\d*\.\d+|-?\d+", drawn[1])
    assert len(numbers) // 2 in range(6, 10)
    assert all(len(number.partition(".")[2]) <= 1 for number in numbers)


def test_seconds_are_those_of_the_timing(frames_of: Callable[[str], Frames]) -> None:
    frames = frames_of("usual")
    axes = FIGURES["curves_loss"].draw(frames).axes[6]
    assert axes.get_xlabel() == "Seconds, timed in isolation"
    ends = [float(line.get_xdata()[-1]) for line in axes.lines if line.get_gid() is None]  # type: ignore[index,arg-type]
    seconds = frames.timings["seconds_per_epoch"] * 4
    assert sorted(ends) == pytest.approx(sorted(seconds))
    without = FIGURES["curves_loss"].draw(frames_of("one epoch, no timings")).axes[6]
    assert without.get_xlabel() == "Seconds, beside other runs"


def test_failed_runs_are_in_the_caption_and_in_the_curves_but_in_no_mean(frames_of: Callable[[str], Frames]) -> None:
    frames = frames_of("some failed")
    assert outcomes_in_words(frames) == (
        "3 of 9 runs did not end ok and are in no mean: 2 at batch size 4 (diverged), "
        "1 at batch size 96 (full) (out of memory)."
    )
    assert seeds_in_words(frames) == "n = 1 to 3 seeds"
    for name in ("curves_loss", "accuracy_vs_batch", "outcomes", "gap_vs_batch"):
        assert "3 of 9 runs did not end ok" in FIGURES[name].caption(frames)
    axes = FIGURES["curves_loss"].draw(frames).axes[0]
    crosses = [found for found in axes.collections if found.get_zorder() == theme.CROSS["zorder"]]
    assert sum(len(found.get_offsets()) for found in crosses) == 2
    assert outcomes_in_words(frames_of("usual")) == ""


def test_single_runs_have_a_log_and_a_linear_axis(frames_of: Callable[[str], Frames]) -> None:
    made = FIGURES["curves_article"].draw(frames_of("usual"))
    assert [[axes.get_yscale() for axes in part.axes] for part in made.subfigs] == [["log"] * 3, ["linear"] * 3]
    log, linear = ([line.get_ydata().tolist() for line in part.axes[0].lines] for part in made.subfigs)  # type: ignore[union-attr]
    assert log == linear


def test_losses_beyond_the_axis_are_marked(frames_of: Callable[[str], Frames]) -> None:
    frames = frames_of("some failed")
    steps = frames.steps.copy()
    rows = (steps["batch_size"] == 32) & (steps["seed"] == 3)
    thousand = pd.concat([steps[rows]] * 200).assign(loss=1.0)
    thousand.iloc[[7, 9], thousand.columns.get_loc("loss")] = [1e6, np.inf]
    axes = FIGURES["step_losses"].draw(replace(frames, steps=pd.concat([steps[~rows], thousand]))).axes[1]
    assert axes.get_ylim()[1] < 100
    marks = [line for line in axes.lines if line.get_marker() == "^"]
    assert [len(line.get_xdata()) for line in marks] == [2]


def test_the_description_reads_the_data(frames_of: Callable[[str], Frames]) -> None:
    frames = frames_of("usual")
    doubled = replace(frames, summary=frames.summary.assign(memory_bytes=frames.summary["memory_bytes"] * 2))
    assert "60.1 MB at batch size 4" in FIGURES["memory"].alt(frames)
    assert "120 MB at batch size 4" in FIGURES["memory"].alt(doubled)


def test_series_in_words() -> None:
    sizes = [Size(1, False), Size(8, False), Size(32, False), Size(800, True)]
    assert series_in_words("It", list(zip(sizes, [1.0, 0.5, None, 2.0], strict=True))) == (
        "It is 1 at batch size 1 and 2 at batch size 800 (full); lowest 0.5 at batch size 8."
    )
    assert series_in_words("It", [(sizes[0], 0.0002)], "s") == "It is 200 µs at batch size 1."
    assert series_in_words("It", [(sizes[0], None)]) == "It: not measured."


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (54000, "", "54,000"),
        (0.05, "", "0.05"),
        (0, "B", "0 B"),
        (2.5e-4, "s", "250 µs"),
        (9.999e-4, "s", "1 ms"),
        (1.5e9, "B", "1.5 GB"),
        (12.0, "s", "12 s"),
        (700.0, "s", "11.7 min"),
        (42_638.0, "s", "11.8 h"),
        (2e-7, "", "2×10⁻⁷"),
        (-0.25, "", "−0.25"),
    ],
)
def test_plain_numbers(value: float, unit: str, text: str) -> None:
    assert plain(value, unit) == text


def test_select_refuses_what_was_not_run() -> None:
    tables = {"runs": pd.DataFrame({"dataset": ["digits"], "recipe": ["mlp"]})}
    assert pairs(tables["runs"]) == [("digits", "mlp")]
    with pytest.raises(ValueError, match=r"no runs of data set 'mnist' with recipe 'mlp': there are .*digits"):
        select(tables, "mnist", "mlp")


def test_listing_figures_and_tables_loads_no_library() -> None:
    code = (
        "import sys, batchscope.figures, batchscope.tables.contents, batchscope.tables.derived_columns; "
        "print(sorted({'matplotlib', 'pandas', 'scipy', 'numpy'} & set(sys.modules)))"
    )
    scripts = Path(fake_results.records.__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=scripts)
    assert found.stdout.strip() == "[]"


def test_styles_that_are_said_once_are_those_of_every_element() -> None:
    marker = '<defs>\n<path id="fa-m0123456789" d="M 0 0 L 0 3" style="stroke: #222222"/>\n</defs>\n'
    grid = 'clip-path="url(#fa-p0123456789)" style="fill: none; stroke: #e6e6e6"'
    use = '<use href="#fa-m0123456789" style="fill: #222222"/>'
    drawing = (
        '<svg id="fa" xmlns="http://www.w3.org/2000/svg">\n<defs>\n<style type="text/css">*{stroke-linejoin: round}'
        f'</style>\n</defs>\n<path d="M 1 1 L 2 2" {grid}/>\n{marker}{use}\n{use}\n<path d="M 3 3 L 4 4" {grid}/>\n'
        '<path d="M 5 5 L 6 6" clip-path="url(#fa-p0123456789)" style="fill: #ff0000"/>\n'
        '<path d="M 7 7 L 8 8" style="fill: none"/>\n'
        '<defs>\n<clipPath id="fa-p0123456789">\n<rect x="0" y="0"/>\n</clipPath>\n</defs>\n</svg>\n'
    )
    short = svg.compact(drawing, "fa")
    rules = dict(re.findall(r"#fa \.(\w+)\{([^}]*)\}", short))
    shown = []
    for element in ElementTree.fromstring(short).iter():
        tag = element.tag.partition("}")[2]
        if tag in ("path", "use") and element.get("id") is None:
            looks = [rules[name] for name in element.get("class", "").split()] + [element.get("style", "")]
            shown.append((tag, element.get("d"), "; ".join(filter(None, looks))))
    (clip,) = re.findall(r'<clipPath id="([^"]+)"', short)
    assert shown == [
        ("path", "M1 1L2 2", f"clip-path: url(#{clip}); fill: none; stroke: #e6e6e6"),
        ("use", None, "fill: #222222"),
        ("use", None, "fill: #222222"),
        ("path", "M3 3L4 4", f"clip-path: url(#{clip}); fill: none; stroke: #e6e6e6"),
        ("path", "M5 5L6 6", f"clip-path: url(#{clip}); fill: #ff0000"),
    ]
