"""The titles of folded sections name what the study measured, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from batchscope.jobs.tables import study_tables
from batchscope.report import chapters
from batchscope.report.content import Content
from batchscope.report.sections import answer
from unit import fake_report
from unit.fake_external import measured, sweep

WAY = {"batch_size": "B", "seed": "run", "target": "goal", "epochs": "epochs"}


def folds(html: str) -> list[str]:
    """The titles of the sections that are folded, but for what is folded within them."""
    return [found.get_text() for found in BeautifulSoup(html, "html.parser").select(".folds > details > summary")]


def goals(content: Content) -> str:
    return next(
        summary.get_text()
        for summary in BeautifulSoup(answer.answers(content), "html.parser").select("summary")
        if summary.get_text().startswith("By goal")
    )


def without(content: Content, *stems: str) -> Content:
    """The content without the means of some columns of the summary."""
    frame = content.tables["summary"].copy()
    frame[[name for name in frame if name.startswith(stems)]] = None
    return replace(content, tables={**content.tables, "summary": frame})


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return fake_report.load(tmp_path_factory.mktemp("own"))


def elsewhere(folder: Path, *results: str, timed: bool = False) -> Content:
    """Runs made elsewhere with some results."""
    columns = {**WAY, **{name: "accuracy" if "accuracy" in name else "loss" for name in results}}
    study = measured(folder, sweep(seed=2, rates=(0.1,)), columns=columns)
    if not timed:
        study["measurements"] |= {"timings": None, "baseline": None}
    return Content({**study, "question": "?"}, {}, study_tables(study), folder)


def test_the_gap_is_in_a_title_where_it_is_known(own: Content) -> None:
    assert "Accuracy and the gap between training and test" in folds(chapters.quality(own))
    assert "Accuracy" in folds(chapters.quality(without(own, "gap")))


@pytest.mark.parametrize(
    ("results", "title"),
    [
        (("selected_test_accuracy",), "Test accuracy"),
        (("selected_test_accuracy", "last_validation_loss"), "Test accuracy and final results"),
    ],
)
def test_runs_made_elsewhere_have_a_title_of_what_their_table_holds(
    tmp_path: Path, results: tuple[str, ...], title: str
) -> None:
    assert title in folds(chapters.quality(elsewhere(tmp_path, *results)))


def test_energy_is_in_a_title_where_it_was_measured(own: Content, tmp_path: Path) -> None:
    assert "Memory and utilisation" in folds(chapters.speed_and_memory(own))
    assert goals(own) == "By goal: time to a target, test accuracy and memory"
    with_gpu = fake_report.load(tmp_path, gpu=True)
    assert "Memory, utilisation and energy" in folds(chapters.speed_and_memory(with_gpu))
    nothing = without(own, "memory", "utilisation", "seconds")
    assert folds(chapters.speed_and_memory(nothing))[:2] == [
        "Time: not measured",
        "Memory, utilisation and energy: not measured",
    ]


@pytest.mark.parametrize(
    ("results", "timed", "title"),
    [
        (("selected_test_accuracy",), False, "By goal: test accuracy"),
        ((), True, "By goal: time to a target and energy"),
    ],
)
def test_goals_of_runs_made_elsewhere_are_those_that_a_size_is_named_for(
    tmp_path: Path, results: tuple[str, ...], timed: bool, title: str
) -> None:
    assert goals(elsewhere(tmp_path, *results, timed=timed)) == title


@pytest.mark.parametrize(("timings", "spent"), [(True, "epochs, updates and seconds"), (False, "epochs and updates")])
def test_budgets_are_those_that_could_be_spent(tmp_path: Path, timings: bool, spent: str) -> None:
    made = fake_report.load(tmp_path, timings=timings)
    assert f"The same runs after equal {spent}" in folds(chapters.time_to_target(made))


def test_a_chapter_without_targets_is_not_called_so(own: Content) -> None:
    def title(content: Content) -> str:
        return BeautifulSoup(chapters.time_to_target(content), "html.parser").select_one("h2").get_text()  # type: ignore[union-attr]

    untargeted = {name: own.tables[name].iloc[:0] for name in ("to_target", "targets", "critical_batch_size")}
    assert title(own) == "Targets"
    assert title(replace(own, tables={**own.tables, **untargeted})) == "Equal budgets"


def test_one_size_differs_from_no_other(own: Content, tmp_path: Path) -> None:
    section = "Which sizes are significantly different"
    assert section in folds(chapters.quality(own))
    assert section not in folds(chapters.quality(fake_report.load(tmp_path, sizes=(32,))))
