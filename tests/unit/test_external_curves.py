"""The course of runs made elsewhere is drawn as that of own runs: against what is known, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from batchscope.figures.frames import select
from batchscope.jobs.tables import study_tables
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.report import chapters
from batchscope.report.content import Content
from batchscope.study import external_runs
from unit.fake_external import followed

PAIR = ("d", "r")
ACCURACY = {"columns": {"run": "run", "epochs": "at", "validation_accuracy": "acc"}}


def curves(folder: Path, **keys: Any) -> pd.DataFrame:
    return study_tables(followed(folder, **keys))["learning_curves"]


@pytest.mark.parametrize(
    ("axis", "every", "n_train", "spent"),
    [
        ("epochs", 1, 64, {"epoch": [1, 2, 3], "updates": [8, 16, 24], "examples": [64, 128, 192]}),
        ("epochs", 1, None, {"epoch": [1, 2, 3], "updates": [np.nan] * 3, "examples": [np.nan] * 3}),
        ("updates", 10, None, {"epoch": [np.nan] * 3, "updates": [10, 20, 30], "examples": [80, 160, 240]}),
        ("examples", 100, None, {"epoch": [np.nan] * 3, "updates": [12, 25, 38], "examples": [100, 200, 300]}),
    ],
)
def test_means_stand_at_what_was_spent(
    tmp_path: Path, axis: str, every: int, n_train: int | None, spent: dict[str, list[float]]
) -> None:
    found = curves(tmp_path, axis=axis, every=every, n_train=n_train)
    assert set(found["metric"]) == {"validation_loss"}
    rows = found[found["batch_size"] == 8]
    for name, values in spent.items():
        np.testing.assert_array_equal(rows[name].to_numpy(float, na_value=np.nan), values)
    middle = (1 * 1.1 * 1.2) ** (1 / 3)
    assert rows["mean"].tolist() == pytest.approx([middle, middle / 2, middle / 3])
    assert (rows["n"] == 3).all()


@pytest.mark.parametrize(
    ("axis", "n_train", "axes"),
    [
        ("epochs", 64, ["epochs", "updates", "examples"]),
        ("epochs", None, ["epochs"]),
        ("updates", None, ["updates", "examples"]),
    ],
)
def test_the_axes_are_those_that_are_known_and_the_panels_those_that_were_recorded(
    tmp_path: Path, axis: str, n_train: int | None, axes: list[str]
) -> None:
    frames = select(study_tables(followed(tmp_path, axis=axis, n_train=n_train)), *PAIR)
    spec = STUDY_FIGURES["curves_loss"]
    made = spec.draw(frames)
    views = [str(part.get_gid()).removeprefix("view: ") for part in made.subfigs]
    assert views == [f"{cost}-{scale}" for scale in ("log", "linear") for cost in axes]
    assert {panel.get_title(loc="left") for panel in made.axes} == {"Validation loss"}
    drawn = [np.asarray(line.get_xdata()).tolist() for line in made.axes[0].lines]
    assert [1, 2, 3] in drawn
    assert "second" not in spec.caption(frames).lower()
    assert "n = 3 runs per size" in spec.caption(frames)
    assert not STUDY_FIGURES["curves_accuracy"].has_rows(frames)


def test_accuracies_alone_stand_open_on_the_page(tmp_path: Path) -> None:
    described = followed(tmp_path, **ACCURACY)
    tables = study_tables(described)
    content = Content({**described, "question": "?"}, {}, tables, tmp_path)
    assert "Learning curves" not in chapters.quality(content)
    file = tmp_path / "d" / "r" / "curves_accuracy.svg"
    file.parent.mkdir(parents=True)
    STUDY_FIGURES["curves_accuracy"].render(content.frames(PAIR), file)
    page = BeautifulSoup(chapters.quality(content), "html.parser")
    assert [figure["id"] for figure in page.select("figure.plot[data-views]")] == ["figure-curves_accuracy:d:r"]
    assert not page.select("details figure.plot")


def test_a_run_without_a_course_is_in_no_curve(tmp_path: Path) -> None:
    described = followed(tmp_path)
    with (tmp_path / "runs.csv").open("a") as stream:
        stream.write("more,8\n")
    rows = pd.read_csv(tmp_path / "runs.csv").assign(acc=0.5)
    rows.to_csv(tmp_path / "runs.csv", index=False)
    described["measurements"]["runs"]["columns"]["selected_test_accuracy"] = "acc"
    tables = study_tables(described)
    assert tables["runs"].groupby("batch_size").size().to_dict() == {8: 4, 32: 3}
    assert set(tables["learning_curves"]["n"]) == {3}
    assert "n = 3 runs per size" in STUDY_FIGURES["curves_loss"].caption(select(tables, *PAIR))


def test_figures_are_asked_for_where_there_is_something_to_draw(tmp_path: Path) -> None:
    given = followed(tmp_path)["measurements"]
    for key in ("better", "metric", "target", "where"):
        del given["runs"][key]
    given = {name: part for name, part in given.items() if part is not None}
    found = external_runs.find(external_runs.Measurements.model_validate(given))
    assert found.followed == {("d", "r", "validation_loss")}
