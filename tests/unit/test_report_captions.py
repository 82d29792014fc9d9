"""Captions on the page are short, whatever the study: how numbers were made stands once, above the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import fake_mechanics as mechanics
import fake_probes
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from batchscope.jobs.tables import study_tables
from batchscope.report import chapters, page, probes
from batchscope.report.content import Content
from batchscope.report.sections import answer, overview
from unit import fake_external, fake_report

WORDS = 60
PARTS: tuple[Callable[[Content], str], ...] = (
    *(answer.answers, overview.table, chapters.quality, chapters.speed_and_memory, chapters.time_to_target),
    *(chapters.stability_and_noise, chapters.learning_rates, chapters.statements, chapters.how, chapters.provenance),
)


def trained(folder: Path) -> Content:
    outcomes = {(32, 1): "diverged", ("full", 2): "out_of_memory"}
    return fake_report.load(folder, recipes=("task08-mlp", "other"), outcomes=outcomes)


def elsewhere(folder: Path) -> Content:
    study = fake_external.measured(folder, fake_external.sweep(seed=2, rates=(0.05, 0.1, 0.2)))
    study["measurements"]["runs"]["columns"]["learning_rate"] = "rate"
    return Content({**study, "question": "?"}, {}, study_tables(study), folder)


@pytest.mark.parametrize("made", [trained, elsewhere])
def test_captions_of_a_study_are_short(made: Callable[[Path], Content], tmp_path: Path) -> None:
    content = made(tmp_path)
    check("".join(part(content) for part in PARTS), least=5)


PROBED: dict[str, Callable[[], dict[str, pd.DataFrame]]] = {
    "gradients": lambda: fake_probes.tables(fake_probes.FakeProbes()),
    "sharpness": lambda: fake_probes.tables(fake_probes.FakeProbes()),
    "rates": lambda: mechanics.tables(**mechanics.rate_tables(), rates=mechanics.tuned_rates()),
    "modes": lambda: mechanics.tables(modes=mechanics.mode_table((8, 32), (1, 64), (1, 2))),
    "accumulation": lambda: mechanics.tables(accumulation=mechanics.accumulated()),
    "overheads": lambda: mechanics.tables(**mechanics.cost_tables(mechanics.loop_windows((8, 32, 128, 512)))),
}


@pytest.mark.parametrize("probe", PROBED)
def test_captions_of_a_probe_are_short(probe: str) -> None:
    content = Content({"measurements": None, "recipes": {}}, {}, PROBED[probe](), Path("figures"))
    sections = probes.sections_of(probe)
    check("".join(page.html(content, pair, each.build(content, pair)) for each in sections for pair in content.pairs))


def check(html: str, least: int = 1) -> None:
    found = [words for caption in BeautifulSoup(html, "html.parser").select("figcaption") if (words := said(caption))]
    assert len(found) >= least
    assert [words for words in found if len(words.split()) > WORDS] == []


def said(caption: BeautifulSoup) -> str:
    """A caption without the title that a figure's begins with."""
    return " ".join(text for text in texts(caption) if text.strip())


def texts(caption: BeautifulSoup) -> Iterable[str]:
    return (str(part) for part in caption.find_all(string=True) if part.parent.name != "strong")
