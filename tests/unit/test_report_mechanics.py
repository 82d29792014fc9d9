"""Tables of range tests, evaluation modes, accumulation and update costs in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from fake_mechanics import (
    PAIR,
    SCATTER,
    SEEDS,
    accumulated,
    cell,
    cost_tables,
    geometric_means,
    loop_windows,
    mode_table,
    rate_tables,
    tables,
    tuned_rates,
    without,
)

from batchscope.report import page, probes
from batchscope.report.content import Content

MECHANICS = ("rates", "modes", "accumulation", "overheads")
SECTIONS = {each.name: each for probe in MECHANICS for each in probes.sections_of(probe)}
RECIPE = {
    "name": "mlp",
    "model": {"name": "mlp", "normalization": "none"},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "learning_rate_scaling": {"rule": "none", "reference_batch_size": None},
    "tuning": None,
    "shuffle": True,
    "last_batch": "keep",
    "micro_batch_size": None,
    "budget": {"epochs": 20, "updates": None, "early_stopping": None},
}


def content(found: Mapping[str, pd.DataFrame], *twins: Mapping[str, Any]) -> Content:
    """The content of a report on `found`; `twins` are other recipes with runs of their own."""
    recipes = {recipe["name"]: recipe for recipe in (RECIPE, *twins)}
    runs = pd.concat([found["runs"].assign(recipe=name) for name in recipes])
    return Content({"measurements": None, "recipes": recipes}, {}, {**found, "runs": runs}, Path("figures"))


def html_of(made: Content, section: str) -> str:
    """What a section says; the figures are not drawn here."""
    return page.html(made, PAIR, SECTIONS[section].build(made, PAIR))


def soup(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def column(html: str, position: int, which: int = 0) -> list[str]:
    """The sort values of a column of a table."""
    body = soup(html).select("table")[which].select("tbody tr")
    return [str(row.select("th, td")[position]["data-value"]) for row in body]


def floats(html: str, position: int, which: int = 0) -> list[float]:
    return [float(value) for value in column(html, position, which)]


def text_of(html: str) -> str:
    return " ".join(soup(html).get_text(" ").split())


def test_the_table_of_range_tests_puts_the_tuned_rate_beside_the_suggested() -> None:
    found = tables(**rate_tables(), rates=tuned_rates())
    html = html_of(content(found), "ranges")
    ranges = found["rate_ranges"]
    assert floats(html, 1) == pytest.approx(geometric_means("suggested_rate", ranges))
    assert floats(html, 2) == [5.0] * 5
    assert floats(html, 3) == pytest.approx(geometric_means("lowest_loss_rate", ranges))
    diverged = ranges.dropna(subset=["diverged_rate"])
    assert floats(html, 4) == pytest.approx(list(diverged.groupby("batch_size")["diverged_rate"].min()))
    assert floats(html, 5) == list(diverged.groupby("batch_size").size())
    assert floats(html, 6) == pytest.approx(list(found["rates"]["optimum"]))
    assert floats(html, 7) == [0.1] * 5


def test_the_tuned_rate_may_be_that_of_a_recipe_that_differs_in_the_rate_only() -> None:
    twin = {**RECIPE, "name": "mlp-tuned", "tuning": {"seeds": [101]}}
    own, other = tuned_rates(tuned=False), tuned_rates().assign(recipe="mlp-tuned")
    found = tables(**rate_tables(), rates=pd.concat([own, other]))
    html = html_of(content(found, twin), "ranges")
    assert floats(html, 6) == pytest.approx(list(other["optimum"]))
    assert "that of mlp-tuned" in text_of(html)
    alone = html_of(content(found, {**twin, "shuffle": False}), "ranges")
    assert "Tuned rate" not in text_of(alone)
    assert len(soup(alone).select("thead th")) == 7


def test_the_table_of_range_tests_says_who_has_no_suggestion() -> None:
    made = rate_tables()
    ranges = made["rate_ranges"]
    lost = without(ranges, ranges["batch_size"] == 8, SCATTER, "suggested_rate")
    html = html_of(content(tables(**{**made, "rate_ranges": lost})), "ranges")
    assert column(html, 1)[1] == ""
    assert floats(html, 2) == [5.0, 0.0, 5.0, 5.0, 5.0]
    assert f"No suggestion: {SCATTER} (batch size 8: 5 of 5 seeds)." in text_of(html)


def test_the_table_of_modes_has_the_difference_of_the_same_weights() -> None:
    modes = mode_table((8, 32), (1, 64))
    html = html_of(content(tables(modes=modes)), "modes")
    assert floats(html, 0) == [8, 8, 32, 32]
    assert floats(html, 1) == [1, 64, 1, 64]
    keys = ["batch_size", "evaluated_batch_size"]
    assert floats(html, 2) == pytest.approx(list(modes.groupby(keys)["training_loss"].mean()))
    assert floats(html, 3) == pytest.approx(list(modes.groupby(keys)["inference_loss"].mean()))
    shift = (modes["training_loss"] - modes["inference_loss"]).groupby([modes[key] for key in keys]).mean()
    assert floats(html, 4) == pytest.approx(list(shift))
    assert floats(html, 5) == [5] * 4
    blank = without(modes, modes["evaluated_batch_size"] == 64, "memory ran out", "training_loss", "inference_loss")
    html = html_of(content(tables(modes=blank)), "modes")
    assert column(html, 4)[1] == ""
    assert floats(html, 5) == [5, 0, 5, 0]
    assert "Not measured: memory ran out (batch size 64: 10 of 10 runs)." in text_of(html)


def test_the_finding_of_the_modes_says_which_way_they_differ() -> None:
    modes = mode_table((8, 32), (1, 64), SEEDS)
    lower = modes.assign(training_loss=modes["inference_loss"] - 0.5 - 0.01 * modes["seed"])
    lower["training_mode_shift"] = lower["training_loss"] - lower["inference_loss"]
    find = SECTIONS["modes"].finding
    assert find is not None
    assert "by −0.530 [−0.550, −0.510] nat" in find(content(tables(modes=lower)), PAIR)


def memories(sizes: Sequence[int], recipe: str = "mlp", per_example: float = 1e6) -> dict[str, pd.DataFrame]:
    rows = [{**cell(size), "recipe": recipe} for size in sizes]
    kind = "peak of the process on the host, alone on the machine"
    summary = [{**row, "memory_bytes": per_example * row["batch_size"], "memory_kind": kind} for row in rows]
    return {"timings": pd.DataFrame(rows, columns=list(cell(1))), "summary": pd.DataFrame(summary)}


def test_the_table_of_accumulation_has_a_row_per_seed_beside_its_rounding() -> None:
    found = tables(accumulation=accumulated())
    html = html_of(content(found), "accumulation")
    assert [floats(html, i) for i in range(4)] == [[128] * 5, [32] * 5, list(SEEDS), [20] * 5]
    for position, name in ((4, "largest_difference"), (5, "relative_difference"), (6, "rounding")):
        assert floats(html, position) == pytest.approx(list(found["accumulation"][name]))
    assert "batches of 128 against micro batches of 32: not measured" in text_of(html)
    dropout = "the loss depends on the places of the examples in a batch, as with dropout"
    blank = without(found["accumulation"], found["accumulation"]["seed"] > 0, dropout, "rounding")
    html = html_of(content(tables(accumulation=blank)), "accumulation")
    assert column(html, 6) == [""] * 5
    assert column(html, 7) == [dropout] * 5


def test_peak_memory_comes_from_timings_of_both_sizes() -> None:
    both = tables(accumulation=accumulated(), **memories((32, 128)))
    html = text_of(html_of(content(both), "accumulation"))
    assert "128 MB for an update of 128 examples and 32.0 MB for one of 32" in html
    assert "alone on the machine" in html
    one = tables(accumulation=accumulated(), **memories((128,)))
    assert "not measured" in text_of(html_of(content(one), "accumulation"))
    of_runs = {**both, "timings": both["timings"].iloc[:0]}
    assert "not measured" in text_of(html_of(content(of_runs), "accumulation"))


def test_peak_memory_is_that_of_the_accumulating_recipe_where_it_was_timed() -> None:
    own, other = memories((32, 128)), memories((128,), "mlp-by-32", 0.5e6)
    timed = {name: pd.concat([own[name], other[name]]) for name in own}
    found = tables(accumulation=accumulated(), **timed)
    twin = {**RECIPE, "name": "mlp-by-32", "micro_batch_size": 32}
    html = text_of(html_of(content(found, twin), "accumulation"))
    assert "128 MB at once, 64.0 MB over micro batches of 32 (recipe mlp-by-32)" in html
    by_16 = text_of(html_of(content(found, {**twin, "micro_batch_size": 16}), "accumulation"))
    assert "128 MB for an update of 128 examples and 32.0 MB for one of 32" in by_16


def test_the_tables_of_overheads_have_times_shares_and_costs() -> None:
    found = tables(**cost_tables(loop_windows()))
    html = html_of(content(found), "costs")
    frame, costs = found["overheads"], found["update_costs"]
    for position, loop in ((1, "fit"), (2, "fused"), (3, "data")):
        assert floats(html, position) == pytest.approx(list(1e3 * frame[f"{loop}_seconds_per_update"]))
    shares = ["dispatch_share", "overhead_share", "data_share", "compute_share", "fit_overhead_share"]
    for position, name in enumerate(shares, 4):
        assert floats(html, position) == pytest.approx(list(100 * frame[name]))
    assert floats(html, 9) == [40, 50, 60, 70, 80]
    assert "Utilisation, of another job: CPU time." in text_of(html)
    assert floats(html, 10) == [7] * 5
    assert column(html, 0, 1) == ["Compiled loop", "Keras' own loop", "Only reading"]
    assert floats(html, 1, 1) == pytest.approx(list(1e6 * costs["fixed_seconds"]))
    assert floats(html, 2, 1) == pytest.approx(list(1e6 * costs["marginal_seconds"]))
    assert column(html, 5, 1) == ["accepted"] * 3


def test_a_refused_line_has_no_costs_but_its_reason() -> None:
    found = tables((1, 8, 32), **cost_tables(loop_windows((1, 8, 32))))
    html = html_of(content(found), "costs")
    assert column(html, 5) == [""] * 3
    assert column(html, 1, 1) == [""] * 3
    assert column(html, 5, 1) == ["refused: 3 batch sizes were timed; the line needs 4."] * 3
    assert floats(html, 4) == pytest.approx(list(100 * found["overheads"]["dispatch_share"]))
