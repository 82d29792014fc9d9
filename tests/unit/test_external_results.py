"""Results of other names than loss and accuracy: one list says which counts, their words and units are their own."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from batchscope.analysis.best import quality
from batchscope.analysis.external_runs.tables import read
from batchscope.figures.frames import select
from batchscope.jobs import saved
from batchscope.jobs.tables import study_tables
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.report import chapters, findings
from batchscope.report.content import Content
from batchscope.report.sections import answer
from batchscope.tables.metrics import METRICS, QUALITY, RESULTS

PAIR = ("d", "r")


def study(folder: Path, table: pd.DataFrame, columns: dict[str, str], **keys: Any) -> Any:
    path = folder / "sweep.csv"
    table.to_csv(path, index=False)
    runs: dict[str, Any] = {"path": str(path), "dataset": "d", "recipe": "r", "where": {}, "shared_seeds": False}
    runs |= {"n_train": None, "metric": None, "target": None, "better": "lower"}
    runs |= {"columns": {"batch_size": "bs", **columns}} | keys
    return {
        "measurements": {"runs": runs, "timings": None, "baseline": None},
        **{"targets": [], "datasets": {}, "recipes": {}, "published": [], "borrowed_timings": [], "claims": {}},
    }


def tables(folder: Path, table: pd.DataFrame, columns: dict[str, str], **keys: Any) -> dict[str, pd.DataFrame]:
    return study_tables(study(folder, table, columns, **keys))


def scores(means: dict[int, float]) -> pd.DataFrame:
    return pd.DataFrame([{"bs": size, "x": mean + off} for size, mean in means.items() for off in (-0.01, 0.0, 0.01)])


@pytest.mark.parametrize(
    ("name", "best", "words"),
    [
        ("selected_validation_f1", 64, "validation F1"),
        ("selected_test_auc", 64, "test AUC"),
        ("selected_validation_score", 64, "validation score"),
        ("last_test_psnr", 64, "last test PSNR"),
        ("selected_validation_wer", 8, "validation WER"),
        ("last_validation_error", 8, "last validation error"),
        ("selected_test_rmse", 8, "test RMSE"),
        ("selected_validation_cost", 8, "validation cost"),
    ],
)
def test_the_better_end_the_words_and_the_unit_are_those_of_the_name(
    tmp_path: Path, name: str, best: int, words: str
) -> None:
    made = tables(tmp_path, scores({8: 0.3, 64: 0.6}), {name: "x"})
    found = made["best"].set_index("batch_size")
    assert set(found["metric"]) == {name}
    assert found["status"].to_dict() == {best: "best", 72 - best: "compared"}
    assert found["difference"].dropna().tolist() == [pytest.approx(-0.3 if best == 64 else 0.3)]
    assert METRICS[name].words == words
    rows = made["metrics"][made["metrics"]["metric"] == name]
    assert rows["mean"].tolist() == pytest.approx([0.3, 0.6])
    assert set(rows["unit"]) == {"dB" if "psnr" in name else ""}


def test_percentages_become_shares_and_ratios_may_exceed_one(tmp_path: Path) -> None:
    table = pd.DataFrame({"bs": [8, 8, 64, 64], "f1": [81, 83, 85, 87], "wer": [12, 150, 9, 8]})
    columns = {"selected_validation_f1": "f1", "selected_test_wer": "wer"}
    made = tables(tmp_path, table, columns, percent=list(columns))
    assert made["runs"]["selected_validation_f1"].tolist() == [0.81, 0.83, 0.85, 0.87]
    assert made["runs"]["selected_test_wer"].tolist() == [0.12, 1.5, 0.09, 0.08]


def test_the_files_and_the_page_name_them(tmp_path: Path) -> None:
    table = scores({8: 0.3, 64: 0.6}).assign(b=[20.0, 21, 22, 30, 31, 32])
    described = study(tmp_path, table, {"selected_validation_f1": "x", "selected_test_bleu": "b"})
    made = study_tables(described)
    saved.save("runs", made["runs"], tmp_path / "runs.parquet", tmp_path / "runs.csv")
    again = saved.load(tmp_path / "runs.parquet")
    assert again.columns[-2:].tolist() == ["selected_validation_f1", "selected_test_bleu"]
    saved.save_codebook(tmp_path / "codebook.csv", again.columns)
    book = pd.read_csv(tmp_path / "codebook.csv").query("table == 'runs'").set_index("column")
    assert book.loc["selected_test_bleu", "meaning"] == "test BLEU"
    assert "selected_validation_wer" not in book.index

    content = Content({**described, "question": "?"}, {}, made, tmp_path)
    card = BeautifulSoup(answer.card(content, PAIR), "html.parser")
    assert "Validation F1" in [term.get_text() for term in card.select(".facts dt")]
    frames = select(made, *PAIR)
    assert [axes.get_title(loc="left") for axes in STUDY_FIGURES["answer"].draw(frames).axes] == ["Validation F1"]
    page = BeautifulSoup(chapters.quality(content), "html.parser")
    others = page.select_one("figure.table[id^=table-others]")
    assert others is not None
    assert [head.get_text() for head in others.select("th[scope=col]")][1:] == ["Validation F1", "Test BLEU"]
    assert [row.select("td")[1].get_text().split()[0] for row in others.select("tbody tr")] == ["21.00", "31.00"]


def test_single_runs_and_test_accuracy_are_drawn_below_the_answer(tmp_path: Path) -> None:
    table = scores({8: 0.3, 64: 0.6}).assign(a=[0.5, 0.6, 0.7] * 2)
    made = tables(tmp_path, table, {"selected_validation_f1": "x", "selected_test_accuracy": "a"})
    frames, spec = select(made, *PAIR), STUDY_FIGURES["accuracy_vs_batch"]
    panels = spec.draw(frames).axes
    assert [axes.get_ylabel() for axes in panels] == ["Validation F1", "Test accuracy"]
    drawn = {tuple(np.round(np.asarray(line.get_ydata()), 2)) for line in panels[0].lines}
    assert {(0.29, 0.3, 0.31), (0.59, 0.6, 0.61), (0.3, 0.6)} <= drawn  # runs of a size, and what joins the means
    assert spec.caption(frames).startswith("Above: validation F1. Below: test accuracy, not used to compare sizes.")


@pytest.mark.parametrize("runs", [1, 3])
def test_one_run_of_each_size_has_no_second_figure(tmp_path: Path, runs: int) -> None:
    table = scores({8: 0.3, 64: 0.6}).groupby("bs").head(runs)
    described = study(tmp_path, table, {"selected_validation_f1": "x"})
    content = Content({**described, "question": "?"}, {}, study_tables(described), tmp_path)
    spec, frames = STUDY_FIGURES["accuracy_vs_batch"], content.frames(PAIR)
    assert spec.is_shown(frames) == (runs > 1)
    assert ("the figure of the answer shows all sizes" in findings.quality(content, PAIR)) == (runs == 1)
    assert "not measured" not in spec.caption(frames)  # it stands in the report that Snakemake makes
    (axes,) = spec.draw(frames).axes
    assert any(tuple(np.asarray(line.get_xdata())) == (8, 64) for line in axes.lines)


def test_own_runs_have_none_of_them() -> None:
    assert QUALITY[:2] == ("selected_validation_loss", "selected_validation_accuracy")
    assert set(QUALITY) == set(RESULTS)
    assert len(QUALITY) == len(RESULTS)


def test_a_rate_is_chosen_by_what_sizes_are_compared_by(tmp_path: Path) -> None:
    rng = random.Random(5)
    for _ in range(40):
        names = rng.sample(RESULTS, rng.randint(1, 4))
        table = pd.DataFrame({"bs": [8, 8], "lr": [0.1, 0.2], **{name: [0.3, 0.6] for name in names}})
        columns = {"learning_rate": "lr", **{name: name for name in names}}
        made = read(study(tmp_path, table, columns)["measurements"])
        criterion = made.rate_choices["criterion"].iloc[0]
        assert criterion == quality(made.runs) == min(names, key=QUALITY.index)
        best = 0.1 if METRICS[criterion].better == "lower" else 0.2
        assert made.runs["learning_rate"].tolist() == [best]


@pytest.mark.parametrize(
    ("name", "values", "said", "label"),
    [
        ("selected_test_bleu", [20.0, 31, 25], "that of the highest mean test BLEU", "Negated test BLEU"),
        ("selected_validation_f1", [0.5, 0.8, 0.7], "that of the highest mean validation F1", "1 − validation F1"),
        ("selected_validation_wer", [0.5, 0.1, 0.2], "that of the lowest mean validation WER", "Validation WER"),
    ],
)
def test_the_grid_of_rates_is_drawn_and_told_by_its_criterion(
    tmp_path: Path, name: str, values: list[float], said: str, label: str
) -> None:
    rows = [
        {"bs": size, "lr": rate, "x": value * (1 + run / 100)}
        for size in (8, 64)
        for rate, value in zip((0.01, 0.1, 1.0), values, strict=True)
        for run in range(2)
    ]
    described = study(tmp_path, pd.DataFrame(rows), {"learning_rate": "lr", name: "x"})
    made = study_tables(described)
    assert set(made["runs"]["learning_rate"]) == {0.1}
    assert said in answer.card(Content({**described, "question": "?"}, {}, made, tmp_path), PAIR)
    (axes,) = STUDY_FIGURES["tuning"].draw(select(made, *PAIR)).axes
    assert axes.get_ylabel() == label
    drawn = np.concatenate([line.get_ydata() for line in axes.lines if line.get_marker() == "o"])
    low, high = axes.get_ylim()
    assert ((low < drawn) & (drawn < high)).all()
