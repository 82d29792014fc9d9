"""Which groups of figures a study has something to draw for: no other is an item of Snakemake's own report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from batchscope.study import drawn, model

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ("answer", "runs", "losses", "targets", "times", "tuning", "sharpness")
WAY = {"epochs": "epochs"}


def groups(folder: Path, content: dict[str, Any]) -> set[str]:
    (folder / "mine.yaml").write_text(yaml.safe_dump({"title": "T", "question": "Q?", **content}), encoding="utf-8")
    study = model.load({"study": str(folder / "mine.yaml")}, ROOT)
    found = {group: drawn.pairs(study, group) for group in GROUPS}
    assert all(pairs in ([], [*study.pairs]) for pairs in found.values())
    return {group for group, pairs in found.items() if pairs}


@pytest.mark.parametrize(
    ("timing", "targets", "more"),
    [(True, False, set()), (False, True, {"targets"}), (True, True, {"targets", "times"})],
)
def test_own_runs_have_times_to_targets_where_they_have_targets_and_timings(
    tmp_path: Path, timing: bool, targets: bool, more: set[str]
) -> None:
    content: dict[str, Any] = {"seeds": [1], "timing": timing}
    content["comparisons"] = [{"datasets": ["digits"], "recipes": ["task08-mlp"], "batch_sizes": [8]}]
    if targets:
        content["targets"] = [{"metric": "validation_loss", "values": [0.5, 0.4, 0.3]}]
    assert groups(tmp_path, content) == {"answer", "runs", "losses", *more}


@pytest.mark.parametrize(
    ("columns", "timed", "found"),
    [
        ({"selected_test_accuracy": "accuracy"}, False, {"answer"}),
        ({"selected_test_accuracy": "accuracy", "learning_rate": "rate"}, False, {"answer", "tuning"}),
        (WAY, False, {"targets"}),
        ({**WAY, "seconds": "seconds"}, False, {"targets", "times"}),
        ({**WAY, "selected_test_accuracy": "accuracy"}, True, {"answer", "targets", "times"}),
    ],
)
def test_runs_made_elsewhere_have_what_their_columns_hold(
    tmp_path: Path, columns: dict[str, str], timed: bool, found: set[str]
) -> None:
    (tmp_path / "runs.csv").write_text("size,accuracy,rate,epochs,seconds\n8,0.5,0.1,4,9\n8,0.6,0.2,5,8\n")
    (tmp_path / "times.csv").write_text("size,s\n8,1\n")
    runs = {"path": "runs.csv", "dataset": "flowers", "recipe": "deep", "columns": {"batch_size": "size", **columns}}
    if "epochs" in columns:
        runs |= {"metric": "validation error", "target": 0.1}
    given: dict[str, Any] = {"runs": runs}
    if timed:
        given["timings"] = {"path": "times.csv", "columns": {"batch_size": "size", "seconds_per_epoch": "s"}}
    assert groups(tmp_path, {"measurements": given}) == found
