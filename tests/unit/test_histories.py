"""The course of runs made elsewhere: three layouts give the same evaluations, and targets by a rule blind to sizes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batchscope.analysis import histories
from batchscope.analysis.targets import to_target
from batchscope.config.errors import DataError
from batchscope.tables import codebook, records
from batchscope.tables.cells import RUN

WIDE = "epoch,a - val_loss,a - val_loss__MIN,b - val_loss\n1,0.9,0.9,0.8\n2,0.5,0.5,\n3,0.4,0.4,NaN\n"
ROWS = "run,epoch,val_loss\na,1,0.9\nb,1,0.8\na,3,0.4\na,2,0.5\nb,2,\n"
LONG = "Run,metric,step,value\na,val_loss,1,0.9\na,lr,1,0.1\na,val_loss,2,0.5\nb,val_loss,1,0.8\na,val_loss,3,0.4\n"


def keys(path: Path, text: str, **given: Any) -> histories.HistoriesFile:
    path.write_text(text, encoding="utf-8")
    file = {"path": str(path), "columns": {}, "metrics": {"validation_loss": "val_loss"}, "offset": 0.0, "percent": []}
    return {**file, **given}  # type: ignore[typeddict-item,return-value]


def wide(path: Path, text: str = WIDE, **given: Any) -> histories.HistoriesFile:
    return keys(path, text, **{"columns": {"epochs": "epoch"}, **given})


def runs(*cells: tuple[int, int]) -> pd.DataFrame:
    rows = [
        {"dataset": "d", "recipe": "r", "batch_size": size, "full_batch": False, "seed": seed} for size, seed in cells
    ]
    return pd.DataFrame(rows)


def test_three_layouts_hold_the_same(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    found = [
        histories.read(wide(path)),
        histories.read(
            keys(path, ROWS, columns={"run": "run", "epochs": "epoch", "validation_loss": "val_loss"}, metrics={})
        ),
        histories.read(
            keys(path, LONG, columns={"run": "Run", "epochs": "step", "metric": "metric", "value": "value"})
        ),
    ]
    for curves in found:
        assert set(curves) == {"a", "b"}
        assert curves["a"][["epochs", "validation_loss"]].to_numpy().tolist() == [[1, 0.9], [2, 0.5], [3, 0.4]]
        assert curves["b"][["epochs", "validation_loss"]].to_numpy().tolist() == [[1, 0.8]]


def test_a_name_may_hold_what_joins_names_and_metrics(tmp_path: Path) -> None:
    found = histories.read(wide(tmp_path / "h.csv", "epoch,lr=0.1 - <b> - val_loss\n1,0.5\n"))
    assert list(found) == ["lr=0.1 - <b>"]


def test_percentages_and_numbers_from_zero(tmp_path: Path) -> None:
    text = "epoch,a - val_acc\n0,50\n1,75\n"
    given = {"metrics": {"validation_accuracy": "val_acc"}, "percent": ["validation_accuracy"], "offset": 1.0}
    found = histories.read(wide(tmp_path / "h.csv", text, **given))
    assert found["a"].to_numpy().tolist() == [[1, 0.5], [2, 0.75]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epoch,a - val_loss\n1,0.5\n1,0.4\n", r"run `a` has two rows at epochs 1; valid is one"),
        ("epoch,a - val_loss\n1,fast\n", r"column `a - val_loss`, row 1 after the header: `fast` is not a number"),
        ("epoch,a - val_loss\n-1,0.5\n", r"measurements.histories.columns.epochs.*`-1` is not allowed"),
        ("epoch,a - loss\n1,0.5\n", r"holds no value of any run"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        histories.read(wide(tmp_path / "h.csv", text))


@pytest.mark.parametrize(
    ("axis", "n_train", "expected"),
    [
        ("epochs", 100, [[0, 0, 0], [1, 13, 100], [2, 26, 200]]),
        ("updates", 100, [[0, 0, 0], [1 / 13, 1, 100 / 13], [2 / 13, 2, 200 / 13]]),
        ("examples", 100, [[0, 0, 0], [0.01, 0.13, 1], [0.02, 0.26, 2]]),
        ("epochs", None, [[0, 0, 0], [1, np.nan, np.nan], [2, np.nan, np.nan]]),
        ("updates", None, [[0, 0, 0], [np.nan, 1, 8], [np.nan, 2, 16]]),
        ("examples", None, [[0, 0, 0], [np.nan, 1 / 8, 1], [np.nan, 2 / 8, 2]]),
    ],
)
def test_epochs_updates_and_examples_follow_from_each_other(
    tmp_path: Path, axis: str, n_train: int | None, expected: list[list[float]]
) -> None:
    curves = histories.read(wide(tmp_path / "h.csv", "x,a - val_loss\n1,0.5\n2,0.4\n", columns={axis: "x"}))
    table = histories.evaluations(curves, runs((8, 0)), ["a"], n_train)
    assert table["evaluation"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(table[["epoch", "updates", "examples"]].to_numpy(dtype=float), expected)
    assert np.isnan(table["validation_loss"].iloc[0])


def test_a_first_look_at_the_start_stays_the_first(tmp_path: Path) -> None:
    curves = histories.read(wide(tmp_path / "h.csv", "epoch,a - val_loss\n0,2.3\n1,0.5\n"))
    table = histories.evaluations(curves, runs((8, 0)), ["a"], 100)
    assert table["validation_loss"].tolist() == [2.3, 0.5]


def test_a_target_is_crossed_between_two_looks_as_in_own_runs(tmp_path: Path) -> None:
    text = "epoch,a - val_loss\n1,0.5\n2,0.4\n4,0.3\n6,0.2\n"
    curves = histories.read(wide(tmp_path / "h.csv", text))
    of_run = runs((8, 0))
    table = histories.evaluations(curves, of_run, ["a"], 100)
    known = of_run.assign(outcome="ok", stopped_early=pd.NA)
    wanted = [{"datasets": None, "metric": "validation_loss", "values": [0.6, 0.35, 0.1], "evaluations_in_a_row": 2}]
    timings = codebook.to_pandas(records.schema(records.TABLES["timing"]).empty_table())
    found = to_target(known, table, timings, wanted)  # type: ignore[arg-type]
    assert found["reached"].tolist() == [True, True, False]
    assert found["epochs"].tolist() == pytest.approx([0.5, 3, np.nan], nan_ok=True)
    assert found["resolution_epochs"].tolist() == pytest.approx([1, 2, np.nan], nan_ok=True)
    assert found["budget_epochs"].tolist() == [6, 6, 6]


def some_evaluations(rng: np.random.Generator, n: int = 40) -> pd.DataFrame:
    rows = []
    for run in range(n):
        floor = rng.uniform(0.1, 0.4)
        for number in range(20):
            size = int(rng.choice([8, 64])) if number == 0 else size  # noqa: F821
            key = dict(zip(RUN, ["d", "r", size, False, run], strict=True))
            rows.append({**key, "evaluation": number, "validation_loss": floor + np.exp(-number / 4)})
    return pd.DataFrame(rows)


def test_targets_by_the_rule_are_reached_by_their_shares_of_all_runs() -> None:
    table = some_evaluations(np.random.default_rng(3))
    (target,) = histories.targets(table)
    assert (target["metric"], target["datasets"], target["evaluations_in_a_row"]) == ("validation_loss", ["d"], 2)
    lowest_of_two = table.groupby("seed")["validation_loss"].agg(lambda curve: curve.nsmallest(2).max())
    reached = [(lowest_of_two <= value).mean() for value in target["values"]]
    assert reached == pytest.approx([0.95, 0.75, 0.5], abs=0.03)


def test_the_rule_does_not_see_batch_sizes() -> None:
    table = some_evaluations(np.random.default_rng(4))
    sizes = table.groupby("seed")["batch_size"].first().tolist()
    shuffled = dict(enumerate(random.Random(1).sample(sizes, len(sizes))))
    other = table.assign(batch_size=table["seed"].map(shuffled))
    assert histories.targets(other) == histories.targets(table)


def test_without_losses_the_rule_takes_errors() -> None:
    table = some_evaluations(np.random.default_rng(5)).rename(columns={"validation_loss": "validation_accuracy"})
    table["validation_accuracy"] = 1 - table["validation_accuracy"] / 2
    (target,) = histories.targets(table)
    assert target["metric"] == "validation_error"
    assert len(target["values"]) == 3
