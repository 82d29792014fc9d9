"""Charts of F1, WER and other results: from an export to targets, curves and the answer of the page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batchscope.config.errors import ConfigError
from batchscope.figures import FOLLOWED
from batchscope.jobs.tables import study_tables
from batchscope.report.content import Content
from batchscope.report.sections import answer, method
from batchscope.study import exports, model

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path("results")
SIZES, RUNS, EPOCHS = (16, 64, 256, 1024), 4, 24
PAIR = ("unnamed-data", "unnamed-recipe")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def courses() -> dict[str, list[float]]:
    """What is left to learn, from 1 to 0, by run: large batches take longer, and end at a little more."""
    rng = np.random.default_rng(5)
    found = {}
    for size in SIZES:
        for run in range(RUNS):
            pace = 3 * (1 + size / 200) * math.exp(0.05 * rng.normal())
            floor = 0.1 + size / 8000 + 0.002 * rng.normal()
            found[f"run-{size}-{run}"] = [floor + (1 - floor) * math.exp(-epoch / pace) for epoch in range(EPOCHS + 1)]
    return found


def export(chart: str, metric: str, left: bool, *, percent: float = 1) -> dict[str, str]:
    """A table of runs and a chart of a metric that is what is left to learn, or one minus it."""
    found = courses()
    names = ["Name,State,Notes,Created,batch_size", *(f"{name},finished,-,,{name.split('-')[1]}" for name in found)]
    Path("sweep.csv").write_text("\n".join(names) + "\n", encoding="utf-8")
    shown = {
        name: [f"{percent * (each if left else 1 - each):.9g}" for each in course] for name, course in found.items()
    }
    if chart == "wide":
        lines = [",".join(["epoch", *(f"{name} - {metric}" for name in shown)])]
        lines += [",".join([str(at), *(each[at] for each in shown.values())]) for at in range(EPOCHS + 1)]
    else:
        lines = ["Run,metric,epoch,value"]
        lines += [f"{name},{metric},{at},{value}" for name, each in shown.items() for at, value in enumerate(each)]
    Path("chart.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"study": "quickstart", "runs": "sweep.csv", "histories": "chart.csv"}


def loaded(config: dict[str, str]) -> model.Study:
    exports.prepare(config, ROOT, RESULTS)
    return model.load(config, ROOT, RESULTS)


def tables_of(config: dict[str, str]) -> dict[str, pd.DataFrame]:
    return study_tables(loaded(config).describe())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chart", "metric", "ours", "left", "percent"),
    [
        ("wide", "val/f1", "validation_f1", False, 100),
        ("long", "val_wer", "validation_wer", True, 100),
        ("long", "eval/roc_auc", "validation_auc", False, 1),
        ("wide", "val_rmse", "validation_rmse", True, 1),
    ],
)
def test_a_chart_gives_results_curves_targets_and_an_answer(
    chart: str, metric: str, ours: str, left: bool, percent: float
) -> None:
    config = export(chart, metric, left, percent=percent)
    study = loaded(config)
    assert [study.followed(FOLLOWED[group]) for group in FOLLOWED] == [set(), set(), {PAIR}]
    described: Any = study.describe()
    tables = study_tables(described)
    reached = tables["to_target"]
    assert set(reached["metric"]) == {ours}
    assert reached.groupby("target", sort=False)["reached"].mean().tolist() == pytest.approx([1, 0.9, 0.5], abs=0.05)
    easiest = reached[reached["target"] == reached["target"].iloc[0]]
    assert easiest.groupby("batch_size")["epochs"].mean().is_monotonic_increasing
    best = tables["best"].set_index("batch_size")
    assert set(best["metric"]) == {f"selected_{ours}"}
    assert best.index[best["status"] == "best"].tolist() == [16]
    ends = tables["learning_curves"].groupby("batch_size")["mean"].agg("last")
    assert ends.between(0, 1).all()
    assert ends.is_monotonic_increasing if left else ends.is_monotonic_decreasing
    content = Content({**described, "question": "?"}, {}, tables, Path())
    assert "the values that all, 90 % and 50 % of the runs on a data set reach" in method.done(content)
    assert answer.card(content, PAIR)


def test_a_metric_and_its_mirror_image_give_the_same_times_and_the_same_law() -> None:
    falling = tables_of(export("wide", "val_wer", left=True))
    rising = tables_of(export("wide", "val/f1", left=False))
    assert falling["to_target"]["reached"].tolist() == rising["to_target"]["reached"].tolist()
    for table, columns in {"to_target": ["epochs", "budget_epochs"], "critical_batch_size": ["b_crit"]}.items():
        pd.testing.assert_frame_equal(falling[table][columns], rising[table][columns])
    targets = [found["to_target"]["target"] for found in (falling, rising)]
    assert (targets[0] + targets[1]).to_numpy() == pytest.approx(1, abs=1e-3)  # each is rounded to four digits


def test_a_study_may_name_targets_to_rise_to_and_no_share_above_one() -> None:
    config = export("wide", "val/f1", left=False)
    exports.prepare(config, ROOT, RESULTS)
    file = Path("results/sweep/study.yaml")
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "targets: [{metric: validation_f1, values: [0.5, 0.6, 0.7]}]\n", encoding="utf-8")
    reached = tables_of(config)["to_target"]
    assert reached["target"].unique().tolist() == [0.5, 0.6, 0.7]
    smallest = reached[reached["batch_size"] == 16]
    assert smallest["reached"].all()
    assert smallest.groupby("target")["epochs"].mean().is_monotonic_increasing
    file.write_text(text + "targets: [{metric: validation_f1, values: [0.5, 0.6, 60]}]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"targets\[0\].values\[2\]: 60 is no validation F1; valid is a share"):
        model.load(config, ROOT, RESULTS)
