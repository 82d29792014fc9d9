"""The first screen: the card of a data set and recipe says what the tables say, and no more."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from batchscope import text as numbers
from batchscope.report import chapters, content, describe, findings
from batchscope.report.sections import answer, opening, overview, stability
from unit import fake_report

PAIR = ("digits", "task08-mlp")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> content.Content:
    return fake_report.load(tmp_path_factory.mktemp("report"))


def words(html: str) -> str:
    return BeautifulSoup(html, "html.parser").get_text(" ", strip=True)


def facts(html: str) -> dict[str, tuple[str, str]]:
    """The facts of a card: value and remark by name."""
    found = {}
    for row in BeautifulSoup(html, "html.parser").select(".facts > div"):
        value, small = row.select_one("dd"), row.select_one("small")
        assert value is not None
        remark = small.extract().get_text() if small else ""
        found[row.select_one("dt").get_text()] = (value.get_text(), remark)  # type: ignore[union-attr]
    return found


def with_answer(made: content.Content, **columns: Any) -> content.Content:
    """The same report with other values in the row of the recommendation."""
    table = made.tables["recommendation"].astype(object)
    for name, value in columns.items():
        table[name] = value
    return replace(made, tables={**made.tables, "recommendation": table})


RECOMMENDED: dict[str, Any] = {
    **{"basis": "quality", "reason": "", "batch_size": 32, "full_batch": False},
    **{"best_batch_size": 1, "best_full_batch": False, "not_worse": "1", "worse": "1,168 (full)"},
    **{"n": 3, "value_mean": 0.31, "value_ci_low": 0.30, "value_ci_high": 0.32, "difference": 0.011},
    **{"difference_ci_low": -0.004, "difference_ci_high": 0.026, "best_seconds": 1.0, "not_compared": ""},
    **{"seeds_to_tell": 11, "seconds": 0.5, "seconds_kind": "to the selected evaluation", "slowest_seconds": 2.0},
    **{"slowest_batch_size": 1, "slowest_full_batch": False, "still_improving": "", "edge": None, "as_fast": ""},
}


def test_the_card_names_the_size_its_equals_and_what_would_decide_it(report: content.Content) -> None:
    html = answer.card(with_answer(report, **RECOMMENDED), PAIR)
    page = BeautifulSoup(html, "html.parser")
    assert page.select_one(".headline strong").get_text() == "32"  # type: ignore[union-attr]
    said = words(html)
    assert "Batch size 1 is not significantly different; 1,168 (full) is significantly worse" in said
    assert "It takes the least time of the sizes that are not significantly worse than the best mean." in said
    higher = "0.011 [−0.004, 0.026] nat higher than that of batch size 1 (95 % interval, not adjusted)."
    more = "about 8 more seeds per size would show a difference of that size in 4 of 5 such studies."
    assert f"The mean of batch size 32 is {higher} Undecided: {more}" in said
    found = facts(html)
    assert found["Best validation loss"] == ("0.310 [0.300, 0.320] nat", "best mean: batch size 1")
    assert found["Time to the selected evaluation"] == ("0.500 s", "2.0 times as fast as batch size 1, the best mean")
    assert page.select_one("figure img") is not None


def test_a_difference_that_no_number_of_seeds_would_show_is_said_to_be_so_small(report: content.Content) -> None:
    said = words(answer.card(with_answer(report, **RECOMMENDED | {"seeds_to_tell": None}), PAIR))
    assert "1,000 seeds would probably not show it" in said


def test_the_best_size_itself_leaves_nothing_undecided(report: content.Content) -> None:
    own = {"best_batch_size": 32, "difference": None, "not_worse": "", "worse": "1; 1,168 (full)"}
    html = answer.card(with_answer(report, **RECOMMENDED | own), PAIR)
    assert "Undecided" not in words(html)
    assert "It has the best mean. Batch sizes 1" in words(html)
    assert "Batch sizes 1 and 1,168 (full) are significantly worse" in words(html)
    assert facts(html)["Best validation loss"][1] == "the best mean of all sizes"


def test_the_best_size_with_equals_takes_the_least_time_of_them(report: content.Content) -> None:
    own = {"best_batch_size": 32, "difference": None, "best_seconds": 0.5}
    html = answer.card(with_answer(report, **RECOMMENDED | own), PAIR)
    said = "It has the best mean, and takes the least time of the sizes that are not significantly worse."
    assert said in words(html)
    assert facts(html)["Time to the selected evaluation"][1] == "4.0 times as fast as batch size 1, the slowest"


def test_a_distance_is_given_as_so_much_lower_where_higher_is_better(report: content.Content) -> None:
    ends = {"difference": -0.0127, "difference_ci_low": -0.0206, "difference_ci_high": -0.0048}
    of_accuracy = {"metric": "selected_validation_accuracy", **ends}
    said = words(answer.card(with_answer(report, **RECOMMENDED | of_accuracy), PAIR))
    assert "The mean of batch size 32 is 0.013 [0.005, 0.021] lower than that of batch size 1" in said


@pytest.mark.parametrize(("missing", "which"), [("", "."), ("1,168 (full)", " of the sizes that could be compared.")])
def test_where_a_size_lost_runs_the_best_mean_is_that_of_the_others(
    report: content.Content, missing: str, which: str
) -> None:
    own = {"best_batch_size": 32, "difference": None, "not_worse": "", "worse": "1", "not_compared": missing}
    said = words(answer.card(with_answer(report, **RECOMMENDED | own), PAIR))
    assert f"It has the best mean{which} Batch size 1 is significantly worse" in said


def test_what_may_change_the_answer_stands_below_it(report: content.Content) -> None:
    more = {"still_improving": "1; 32", "edge": "largest"}
    said = words(answer.card(with_answer(report, **RECOMMENDED | more), PAIR))
    assert "Most runs were still improving when the budget ended: 1, 32." in said
    assert "It is the largest size tried; larger ones may be better: add 64." in said


def test_one_seed_gives_no_recommendation(tmp_path: Path) -> None:
    alone = fake_report.load(tmp_path, seeds=(7,))
    html = answer.card(alone, PAIR)
    assert "One run per batch size cannot tell a difference from chance" in words(html)
    assert "Recommended" not in words(html)
    assert "significantly" not in words(html)
    assert describe.seeds([7]).startswith("One seed (7)")


def test_nothing_is_said_about_time_without_timings(tmp_path: Path) -> None:
    untimed = fake_report.load(tmp_path, timings=False)
    html = answer.card(untimed, PAIR)
    assert not [name for name in facts(html) if name.startswith("Time")]
    assert findings.speed(untimed, PAIR) == ""
    assert "`timing: true` in the study file" in chapters.speed_and_memory(untimed)


def test_memory_is_said_of_timed_updates_where_there_are_any(report: content.Content, tmp_path: Path) -> None:
    untimed = fake_report.load(tmp_path, timings=False)
    named = [[name for name in facts(answer.card(made, PAIR)) if "memory" in name] for made in (report, untimed)]
    assert named == [["Peak memory of updates"], ["Peak memory of runs"]]


def test_what_was_lost_is_listed_and_left_out(tmp_path: Path) -> None:
    lost = fake_report.load(tmp_path, outcomes={(1, 2): "diverged", (32, 1): "out_of_memory", (32, 3): "out_of_memory"})
    said = words(answer.card(lost, PAIR))
    assert "1 (1 diverged, 0 out of memory, of 3 runs) and 32 (0 diverged, 2 out of memory, of 3 runs)" in said
    assert "1 and 1,168 (full) fitted into memory; 32 did not. At batch size 32: " in said
    rows = BeautifulSoup(stability.outcomes(lost), "html.parser").select("tbody tr")
    assert sorted(row.select("td")[4].get_text() for row in rows) == ["diverged", "out of memory", "out of memory"]
    assert "What diverged" in stability.lost(lost)


def test_the_recipe_that_tunes_the_rate_comes_first(report: content.Content) -> None:
    tables = {name: twice(table) for name, table in report.tables.items()}
    recipes = {**report.study["recipes"], "tuned": report.study["recipes"][PAIR[1]]}
    both = replace(report, tables=tables, study={**report.study, "recipes": recipes})  # type: ignore[arg-type]
    table = with_answer(both, **RECOMMENDED).tables["recommendation"]
    table["superseded_by"] = ["tuned", None]
    made = replace(both, tables={**tables, "recommendation": table})
    page = BeautifulSoup(answer.answers(made), "html.parser")
    assert [head.get_text() for head in page.select("h2")] == ["digits with tuned", "digits with task08-mlp"]
    assert "tuned tunes it for every size. There batch size 32 is recommended." in page.get_text(" ", strip=True)
    rows = BeautifulSoup(overview.table(made), "html.parser").select("tbody th")
    assert [row.get_text(" ", strip=True) for row in rows] == [
        "digits with tuned",
        "digits with task08-mlp one learning rate for all sizes; tuned tunes it",
    ]


def twice(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its rows again under another recipe."""
    return pd.concat([table, table.assign(recipe="tuned")], ignore_index=True) if "recipe" in table else table


def test_many_workloads_have_a_table_of_answers_first(report: content.Content) -> None:
    names = [f"recipe {i}" for i in range(5)]
    tables = {
        name: pd.concat([table.assign(recipe=each) for each in names], ignore_index=True)
        if "recipe" in table
        else table
        for name, table in with_answer(report, **RECOMMENDED).tables.items()
    }
    many = replace(report, tables=tables, study={**report.study, "recipes": {}})  # type: ignore[arg-type]
    mean = numbers.interval(*many.tables["best"].iloc[0][["value_mean", "value_ci_low", "value_ci_high"]])
    untimed = {"batch_size": None, "value_mean": None, "seconds": None, "reason": "not timed"}
    first = words(overview.table(with_answer(many, **untimed)).partition("</tr>")[2].partition("</tr>")[0])
    assert first == f"digits with recipe 0 1 best mean, not timed 1 {mean} nat — none"
    lost = with_answer(many, **untimed | {"not_worse": math.nan, "worse": ""})  # as where nothing could be compared
    cells = BeautifulSoup(overview.table(lost), "html.parser").select("tbody tr td:nth-of-type(2)")
    assert {cell["data-value"] for cell in cells} == {""}
    page = BeautifulSoup(answer.answers(many), "html.parser")
    assert [row.select("td")[0].get_text() for row in page.select("#table-answers tbody tr")] == ["32"] * 5
    assert len(page.select("details .card")) == 5


def test_the_scope_counts_sizes_seeds_and_runs(report: content.Content) -> None:
    assert opening.scope(report).startswith("3 batch sizes · 3 seeds · 9 runs")


def test_findings_hold_the_numbers_of_the_tables(report: content.Content) -> None:
    timings = report.tables["timings"].set_index("batch_size")["seconds_per_epoch"]
    sentence = findings.speed(report, PAIR)
    assert (timings.idxmin(), timings.idxmax()) == (1168, 1)
    assert f"{numbers.ratio(timings[1] / timings[1168])} times as long at batch size 1 " in sentence
    assert numbers.seconds(timings[1168]) in sentence
    means = report.of("best", PAIR).set_index("batch_size")["value_mean"]
    assert f"lowest at batch size {means.idxmin():,}" in findings.quality(report, PAIR)
