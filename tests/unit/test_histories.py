"""The course of runs made elsewhere: three layouts give the same evaluations, and targets by a rule blind to sizes."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batchscope.analysis.external_runs import evaluations, histories
from batchscope.analysis.external_runs.given import HistoriesFile, Measurements
from batchscope.analysis.external_runs.rows import Row, Rows
from batchscope.analysis.external_runs.selecting import LeftOut
from batchscope.analysis.external_runs.tables import Imported, read
from batchscope.analysis.scaling import critical_batch_sizes
from batchscope.analysis.targets import Target, to_target
from batchscope.config.errors import DataError
from batchscope.tables import codebook, records
from batchscope.tables.cells import RUN

WIDE = "epoch,a - val_loss,a - val_loss__MIN,b - val_loss\n1,0.9,0.9,0.8\n2,0.5,0.5,\n3,0.4,0.4,NaN\n"
ROWS = "run,epoch,val_loss\na,1,0.9\nb,1,0.8\na,3,0.4\na,2,0.5\nb,2,\n"
LONG = "Run,metric,step,value\na,val_loss,1,0.9\na,lr,1,x\na,val_loss,2,0.5\nb,val_loss,1,0.8\na,val_loss,3,0.4\n"
BY_EPOCH = {"epochs": "epoch"}
LOSS = {"validation_loss": "val_loss"}


def history(
    folder: Path, text: str = WIDE, columns: dict[str, str] = BY_EPOCH, metrics: dict[str, str] = LOSS, **keys: Any
) -> HistoriesFile:
    path = folder / "history.csv"
    path.write_text(text, encoding="utf-8")
    file = {"path": str(path), "columns": columns, "metrics": metrics, "offset": 0.0, "percent": []}
    return {**file, **keys}  # type: ignore[typeddict-item,return-value]


def row(name: str, size: int = 8, **values: float) -> Row:
    return Row(0, "d", "r", size, 0, 0.1, name=name, values=values)


def rows(*each: Row) -> Rows:
    return Rows(tuple(replace(one, row=number) for number, one in enumerate(each)), (), len(each))


def points(course: histories.Course, metric: str = "validation_loss") -> list[tuple[float, float]]:
    return list(zip(course.steps, course.values[metric], strict=True))


@pytest.mark.parametrize(
    ("text", "columns", "metrics"),
    [
        (WIDE, BY_EPOCH, LOSS),
        (ROWS, {"run": "run", "epochs": "epoch", "validation_loss": "val_loss"}, {}),
        (LONG, {"run": "Run", "epochs": "step", "metric": "metric", "value": "value"}, LOSS),
    ],
)
def test_three_layouts_hold_the_same(
    tmp_path: Path, text: str, columns: dict[str, str], metrics: dict[str, str]
) -> None:
    found = histories.read(history(tmp_path, text, columns, metrics))
    assert {name: points(course) for name, course in found.items()} == {
        **{"a": [(1, 0.9), (2, 0.5), (3, 0.4)]},
        "b": [(1, 0.8)],
    }


def test_a_name_may_hold_what_joins_names_and_metrics(tmp_path: Path) -> None:
    assert list(histories.read(history(tmp_path, "epoch,lr=0.1 - <b> - val_loss\n1,0.5\n"))) == ["lr=0.1 - <b>"]


def test_percentages_and_steps_from_zero(tmp_path: Path) -> None:
    file = history(
        *(tmp_path, "epoch,a - val_acc\n0,50\n1,75\n", BY_EPOCH, {"validation_accuracy": "val_acc"}),
        percent=["validation_accuracy"],
        offset=1.0,
    )
    assert points(histories.read(file)["a"], "validation_accuracy") == [(1, 0.5), (2, 0.75)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epoch,a - val_loss\n1,0.5\n1,0.4\n", r"run `a` has two values of validation_loss at epochs 1; valid is one"),
        ("epoch,a - val_loss\n1,fast\n", r"column `a - val_loss`, row 1 after the header: `fast` is not a number"),
        ("epoch,a - val_loss\n-1,0.5\n", r"measurements.histories.columns.epochs.*`-1` is not allowed"),
        ("epoch,a - loss\n1,0.5\n", r"holds no value of any run"),
        ("epoch,a - val_loss,a - val_loss\n1,0.5,0.6\n", r"more than one column `a - val_loss`"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        histories.read(history(tmp_path, text))


@pytest.mark.parametrize(
    ("metrics", "best"),
    [
        ({"validation_f1": "rising", "train_loss": "falling"}, 2),
        ({"validation_wer": "falling"}, 3),
        ({"validation_bleu": "rising", "validation_rmse": "falling"}, 2),
        ({"validation_error": "falling", "validation_f1": "rising"}, 3),
        ({"validation_loss": "falling", "validation_f1": "rising"}, 3),
    ],
)
def test_the_best_evaluation_is_that_of_the_first_metric_whichever_end_is_better(
    tmp_path: Path, metrics: dict[str, str], best: int
) -> None:
    text = "epoch,a - rising,a - falling\n1,0.1,9\n2,0.8,3\n3,0.7,2\n4,0.75,4\n"
    courses = histories.read(history(tmp_path, text, metrics=metrics))
    (found,) = histories.joined(rows(row("a")), courses, "").rows
    columns = {"rising": [0.1, 0.8, 0.7, 0.75], "falling": [9, 3, 2, 4]}
    assert found.values == {
        f"{when}_{ours}": columns[theirs][place]
        for when, place in (("last", 3), ("selected", best - 1))
        for ours, theirs in metrics.items()
    }


def test_courses_say_what_the_file_of_runs_leaves_out_and_no_more(tmp_path: Path) -> None:
    courses = histories.read(history(tmp_path, "epoch,a - val_loss\n1,0.5\n2,0.3\n3,0.4\n"))
    own = histories.joined(rows(row("a", last_validation_loss=0.41), row("b", last_validation_loss=0.5)), courses, "")
    assert [each.values["last_validation_loss"] for each in own.rows] == [0.41, 0.5]
    assert own.rows[0].values["selected_validation_loss"] == 0.3
    assert np.isnan(own.rows[1].values["selected_validation_loss"])
    alone = histories.joined(rows(row("a"), row("b", 16), row("c", 16)), courses, "")
    assert [each.name for each in alone.rows] == ["a"]
    assert alone.left_out == (LeftOut("d", "r", 16, "no history", 2),)
    with pytest.raises(DataError, match="two finished runs are called `a`"):
        histories.joined(rows(row("a"), row("a", 16)), courses, "runs.csv")
    with pytest.raises(DataError, match=r"no finished run .* is called as one of the histories \(a\)"):
        histories.joined(rows(row("b")), courses, "runs.csv")


@pytest.mark.parametrize(
    ("axis", "n_train", "expected"),
    [
        ("epochs", 100, [[0, 0, 0], [1, 13, 100], [2, 26, 200]]),
        ("updates", 100, [[0, 0, 0], [1 / 13, 1, 100 / 13], [2 / 13, 2, 200 / 13]]),
        ("examples", 100, [[0, 0, 0], [0.01, 1 / 8, 1], [0.02, 2 / 8, 2]]),
        ("epochs", None, [[0, 0, 0], [1, np.nan, np.nan], [2, np.nan, np.nan]]),
        ("updates", None, [[0, 0, 0], [np.nan, 1, 8], [np.nan, 2, 16]]),
        ("examples", None, [[0, 0, 0], [np.nan, 1 / 8, 1], [np.nan, 2 / 8, 2]]),
    ],
)
def test_epochs_updates_and_examples_follow_from_each_other(
    tmp_path: Path, axis: str, n_train: int | None, expected: list[list[float]]
) -> None:
    courses = histories.read(history(tmp_path, "x,a - val_loss\n1,0.5\n2,0.4\n", {axis: "x"}))
    table = evaluations.evaluations([row("a")], courses, axis, n_train)
    assert table["evaluation"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(table[["epoch", "updates", "examples"]].to_numpy(dtype=float), expected)
    assert np.isnan(table["validation_loss"].iloc[0])


def test_a_first_look_at_the_start_stays_the_first(tmp_path: Path) -> None:
    courses = histories.read(history(tmp_path, "epoch,a - val_loss\n0,2.3\n1,0.5\n"))
    assert evaluations.evaluations([row("a")], courses, "epochs", 100)["validation_loss"].tolist() == [2.3, 0.5]


def imported(folder: Path, runs: str, course: HistoriesFile, targets: list[Target], **keys: Any) -> Imported:
    path = folder / "runs.csv"
    path.write_text(runs, encoding="utf-8")
    file = {"path": str(path), "dataset": "d", "recipe": "r", "n_train": 64, "metric": None, "target": None}
    file |= {"better": "lower", "where": {}, "shared_seeds": False, "percent": []}
    file |= {"columns": {"batch_size": "bs", "name": "name", "learning_rate": "lr"}} | keys
    measurements = {"runs": file, "histories": course, "timings": None, "baseline": None, "notes": []}
    return read(Measurements(**measurements), targets)  # type: ignore[typeddict-item]


WANTED: list[Target] = [
    {"datasets": None, "metric": "validation_loss", "values": [0.6, 0.35, 0.1], "evaluations_in_a_row": 2}
]


def test_a_target_is_crossed_between_two_looks_as_in_own_runs(tmp_path: Path) -> None:
    text = "epoch,a - val_loss,b - val_loss\n1,0.5,0.9\n2,0.4,0.9\n4,0.3,0.9\n6,0.2,0.9\n"
    runs = "name,bs,lr\na,8,0.1\nb,8,0.2\nwithout a history,16,0.1\n"
    found = imported(tmp_path, runs, history(tmp_path, text), WANTED)
    reached = found.to_target
    assert reached["reached"].tolist() == [True, True, False]  # of the run at the better rate
    assert reached["epochs"].tolist() == pytest.approx([0.5, 3, np.nan], nan_ok=True)
    assert reached["updates"].tolist() == pytest.approx([4, 24, np.nan], nan_ok=True)
    assert reached["resolution_epochs"].tolist() == pytest.approx([1, 2, np.nan], nan_ok=True)
    assert reached["budget_epochs"].tolist() == [6, 6, 6]
    assert found.runs["selected_validation_loss"].tolist() == [0.2]
    assert found.left_out[["batch_size", "reason", "rows"]].to_numpy().tolist() == [[16, "no history", 1]]
    assert {name: str(kind) for name, kind in found.evaluations.dtypes.items()} == codebook.dtypes("evaluations")
    assert found.trials["learning_rate"].tolist() == [0.1, 0.2]


def test_a_study_that_names_no_targets_gets_three(tmp_path: Path) -> None:
    steps = range(1, 12)
    text = "epoch," + ",".join(f"r{i} - val_loss" for i in range(8)) + "\n"
    text += "".join(f"{step},{','.join(f'{0.1 + i / 50 + 1 / step:.4f}' for i in range(8))}\n" for step in steps)
    runs = "name,bs,lr\n" + "".join(f"r{i},{8 * 2 ** (i // 2)},0.1\n" for i in range(8))
    found = imported(tmp_path, runs, history(tmp_path, text), [])
    assert sorted(found.to_target["target"].unique(), reverse=True) == found.to_target["target"].unique().tolist()
    assert found.to_target["target"].nunique() == 3
    assert found.to_target.groupby("target", sort=False)["reached"].mean().tolist() == [1, 7 / 8, 4 / 8]


def some_evaluations(rng: np.random.Generator, n: int = 40) -> pd.DataFrame:
    rows = []
    for seed in range(n):
        floor, size = rng.uniform(0.1, 0.4), int(rng.choice([8, 64]))
        for number in range(20):
            key = dict(zip(RUN, ["d", "r", size, False, seed], strict=True))
            rows.append({**key, "evaluation": number, "validation_loss": floor + np.exp(-number / 4)})
    return pd.DataFrame(rows)


def test_targets_by_the_rule_are_reached_by_their_shares_of_all_runs() -> None:
    table = some_evaluations(np.random.default_rng(3))
    (target,) = evaluations.targets(table)
    assert (target["metric"], target["datasets"], target["evaluations_in_a_row"]) == ("validation_loss", ["d"], 2)
    lowest_of_two = table.groupby("seed")["validation_loss"].agg(lambda curve: curve.nsmallest(2).max())
    reached = [(lowest_of_two <= value).mean() for value in target["values"]]
    assert reached == pytest.approx([1, 0.9, 0.5], abs=0.03)


@pytest.mark.parametrize("metric", ["validation_f1", "validation_bleu"])
def test_where_more_is_better_as_many_runs_rise_to_the_levels(metric: str) -> None:
    table = some_evaluations(np.random.default_rng(3))
    table[metric] = 0.99 - table.pop("validation_loss") / 2
    (target,) = evaluations.targets(table)
    assert target["metric"] == metric
    assert target["values"] == sorted(target["values"])
    highest_of_two = table.groupby("seed")[metric].agg(lambda curve: curve.nlargest(2).min())
    reached = [(highest_of_two >= value).mean() for value in target["values"]]
    assert reached == pytest.approx([1, 0.9, 0.5], abs=0.03)
    assert target["values"][0] == pytest.approx(highest_of_two.min(), abs=1e-4)


@pytest.mark.parametrize(
    ("metrics", "wanted"),
    [
        (["validation_loss", "validation_f1"], "validation_loss"),
        (["validation_f1", "train_loss"], "validation_f1"),
        (["validation_wer", "validation_accuracy"], "validation_error"),
        (["validation_error"], "validation_error"),
        (["validation_cost", "validation_perplexity"], "validation_perplexity"),
    ],
)
def test_levels_are_those_of_the_first_metric_that_was_recorded(metrics: list[str], wanted: str) -> None:
    table = some_evaluations(np.random.default_rng(6))
    measured = dict.fromkeys(metrics, 0.9 - table.pop("validation_loss") / 2)
    (target,) = evaluations.targets(table.assign(**measured))
    assert target["metric"] == wanted


def test_the_rule_does_not_see_batch_sizes() -> None:
    table = some_evaluations(np.random.default_rng(4))
    sizes = table.groupby("seed")["batch_size"].first().tolist()
    shuffled = dict(enumerate(random.Random(1).sample(sizes, len(sizes))))
    other = table.assign(batch_size=table["seed"].map(shuffled))
    assert other["batch_size"].tolist() != table["batch_size"].tolist()
    assert evaluations.targets(other) == evaluations.targets(table)


def test_without_losses_the_rule_takes_errors() -> None:
    table = some_evaluations(np.random.default_rng(5)).rename(columns={"validation_loss": "validation_accuracy"})
    table["validation_accuracy"] = 1 - table["validation_accuracy"] / 2
    (target,) = evaluations.targets(table)
    assert (target["metric"], len(target["values"])) == ("validation_error", 3)


def test_targets_by_the_rule_give_the_critical_size_that_fixed_ones_give() -> None:
    """Progress at epoch e and size B is e / (1 + B / 200), up to noise of runs and looks: the critical size is 200."""
    timings = codebook.to_pandas(records.schema(records.TABLES["timing"]).empty_table())
    fitted = []
    for study in range(5):
        rng, runs, looks = np.random.default_rng(study), [], []
        for size, seed in itertools.product((32, 64, 128, 256, 512), range(5)):
            key = dict(zip(RUN, ["d", "r", size, False, seed], strict=True))
            runs.append({**key, "outcome": "ok", "stopped_early": pd.NA})
            progress = np.arange(21) / (1 + size / 200) * np.exp(0.05 * rng.normal())
            losses = 0.25 + 0.6 / (progress + 0.5) + 0.005 * rng.normal() + 0.003 * rng.normal(size=21)
            looks += [
                {
                    **key,
                    "evaluation": epoch,
                    "epoch": float(epoch),
                    "updates": 0,
                    "examples": 0,
                    "validation_loss": loss,
                }
                for epoch, loss in enumerate([np.nan, *losses[1:]])
            ]
        table = pd.DataFrame(looks)
        reached = to_target(pd.DataFrame(runs), table, timings, evaluations.targets(table))
        fits = critical_batch_sizes(reached, {"d": None}, resamples=20)
        fitted.append(fits["b_crit"].iloc[0])
    assert np.median(fitted) == pytest.approx(200, rel=0.07)
