"""Of a table with many workloads the page shows the first in full, lists all, and its files hold all."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from batchscope.analysis.external_runs.given import SHOWN
from batchscope.jobs.tables import study_tables
from batchscope.report import chapters
from batchscope.report.content import Content
from batchscope.report.sections import answer

WORKLOADS = SHOWN + 5
CLAIM = {
    "statement": "8 has a lower loss than 512.",
    "source": "a test",
    "metric": "selected_validation_loss",
    "test": {"kind": "sizes", "direction": "lower", "batch_sizes": [8], "than": [512]},
    "margin": 0.01,
}


def content(folder: Path, workloads: int) -> Content:
    cells = itertools.product(range(workloads), (8, 64, 512), (1, 2))
    lines = "".join(
        f"w{n},{size},{0.5 + size / 1000 + run / 100 + n / 1000},{size * 3 + run}\n" for n, size, run in cells
    )
    (folder / "sweep.csv").write_text("data,bs,loss,epochs\n" + lines, encoding="utf-8")
    runs: dict[str, Any] = {"path": str(folder / "sweep.csv"), "dataset": {"column": "data"}, "recipe": "r"}
    runs |= {"where": {}, "shared_seeds": False, "n_train": 5000, "metric": "error", "target": 0.1, "better": "lower"}
    runs["columns"] = {"batch_size": "bs", "selected_validation_loss": "loss", "epochs": "epochs"}
    described: Any = {
        "measurements": {"runs": runs, "timings": None, "baseline": None},
        "claims": {"small": CLAIM},
        **{"targets": [], "datasets": {}, "recipes": {}, "published": [], "borrowed_timings": []},
    }
    return Content({**described, "question": "?"}, {}, study_tables(described), folder)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return content(tmp_path_factory.mktemp("large"), WORKLOADS)


def test_all_are_listed_and_the_first_have_cards(large: Content) -> None:
    page = BeautifulSoup(answer.answers(large), "html.parser")
    assert len(page.select("#answer table tbody tr")) == WORKLOADS
    cards = [card.get_text() for card in page.select(".card h2")]
    assert cards == [f"w{n} with r" for n in range(SHOWN)]
    assert f"the first {SHOWN} of {WORKLOADS} workloads" in page.get_text()


def test_no_section_is_about_the_others_and_the_tables_hold_them(large: Content) -> None:
    last = f"w{WORKLOADS - 1}"
    for chapter in (chapters.quality, chapters.time_to_target, chapters.statements):
        said = chapter(large)
        assert "w0" in said
        assert last not in said
    for name in ("runs", "best", "recommendation", "critical_batch_size"):
        assert large.tables[name]["dataset"].nunique() == WORKLOADS
    judged = large.tables["verdicts"].query("verdict != 'not measured'")
    assert f"with {len(judged)} verdicts" in chapters.statements(large)


def test_a_table_that_the_page_shows_whole_says_nothing_of_it(tmp_path: Path) -> None:
    few = content(tmp_path, 4)
    page = BeautifulSoup(answer.answers(few), "html.parser")
    assert len(page.select(".card")) == 4
    assert "of 4 workloads" not in page.get_text()
    assert "" not in [paragraph.get_text() for paragraph in page.select("p")]
