"""Runs made elsewhere as people have them: crashed runs, filters, workloads in columns, grids of rates, lengths."""

from __future__ import annotations

import io
import itertools
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from batchscope.analysis import rates as tuned
from batchscope.analysis.external_runs import rates, rows
from batchscope.analysis.external_runs.given import Measurements, RunsFile, length_of, paired
from batchscope.analysis.external_runs.rows import Rows
from batchscope.analysis.external_runs.tables import Imported, read
from batchscope.analysis.scaling import critical_batch_sizes, with_residuals
from batchscope.analysis.targets import summarise
from batchscope.config.errors import ConfigError, DataError
from batchscope.identity import imports
from batchscope.jobs import saved
from batchscope.study import external_runs, model
from batchscope.tables.cells import folder

SCRIPTS = Path(imports.__file__).resolve().parents[2]


def runs_file(folder: Path, text: str, **keys: Any) -> RunsFile:
    path = folder / "sweep.csv"
    path.write_text(text, encoding="utf-8")
    named: dict[str, Any] = {"path": str(path), "dataset": "elsewhere", "recipe": "theirs", "n_train": None}
    named |= {"where": {}, "shared_seeds": False, "metric": None, "target": None, "better": "lower"}
    return named | keys  # type: ignore[return-value]


def found(folder: Path, text: str, **keys: Any) -> Rows:
    return rows.read(runs_file(folder, text, **keys))


def tables(folder: Path, text: str, **keys: Any) -> Imported:
    measurements: Measurements = {"runs": runs_file(folder, text, **keys), "timings": None, "baseline": None}
    return read(measurements)


ACCURACY = {"batch_size": "bs", "last_test_accuracy": "acc"}
STATES = {**ACCURACY, "state": "State"}
LOSS = {"batch_size": "bs", "learning_rate": "lr", "selected_validation_loss": "loss"}
TO_ERROR = {"metric": "error", "target": 0.1}


def left_out(read_in: Rows) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in read_in.left_out:
        counts[each.reason] = counts.get(each.reason, 0) + each.rows
    return counts


@pytest.mark.parametrize("finished", ["finished", "FINISHED", "COMPLETE", " Finished ", "success"])
def test_only_finished_runs_are_results(tmp_path: Path, finished: str) -> None:
    states = ["crashed", "running", "killed", "failed", "FAIL", "PRUNED", "preempting", ""]
    text = "bs,acc,State\n" + f"8,0.9,{finished}\n" + "".join(f"8,0.5,{state}\n" for state in states)
    read_in = found(tmp_path, text, columns=STATES)
    assert [row.values["last_test_accuracy"] for row in read_in.rows] == [0.9]
    assert left_out(read_in) == {"no state": 1} | {f"state {state}": 1 for state in states if state}
    assert read_in.in_file == 9


def test_what_is_wrong_with_a_crashed_run_is_no_error(tmp_path: Path) -> None:
    text = "bs,acc,State\n8,0.9,finished\n,,crashed\nmany,97 %,failed\n16,,killed\n"
    read_in = found(tmp_path, text, columns=STATES)
    assert [(each.batch_size, each.reason) for each in read_in.left_out] == [
        (None, "state crashed"),
        (None, "state failed"),
        (16, "state killed"),
    ]


@pytest.mark.parametrize("cell", ["NaN", "nan", "Infinity", "-inf"])
def test_a_result_that_is_not_finite_is_none(tmp_path: Path, cell: str) -> None:
    columns = {**ACCURACY, "last_train_loss": "loss"}
    made = tables(tmp_path, f"bs,acc,loss\n8,0.9,1\n8,0.1,{cell}\n16,0.8,2\n16,,\n", columns=columns)
    assert made.runs[["batch_size", "last_test_accuracy"]].to_numpy().tolist() == [[8, 0.9], [16, 0.8]]
    assert made.left_out[["batch_size", "reason", "rows"]].to_numpy().tolist() == [
        [8, "a result is NaN or infinite", 1],
        [16, "no result", 1],
    ]
    assert (made.runs["outcome"] == "ok").all()


def test_a_crashed_run_does_not_take_its_size_out_of_the_fit(tmp_path: Path) -> None:
    text = "bs,epochs,State\n" + "".join(
        f"{size},{4 * (1 + size / 40)},finished\n" * 3 for size in (8, 16, 32, 64, 128)
    )
    columns = {"batch_size": "bs", "epochs": "epochs", "state": "State"}
    made = tables(tmp_path, text + "32,,crashed\n64,1,running\n", columns=columns, **TO_ERROR)
    fit = critical_batch_sizes(made.to_target, {}).iloc[0]
    assert (fit["n_sizes"], fit["n_runs"]) == (5, 15)
    assert fit["b_crit"] == pytest.approx(40, rel=1e-3)


def test_a_file_without_a_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no row is a finished run \(state crashed: 2, no state: 1\); valid is complete"
    ):
        found(tmp_path, "bs,acc,State\n8,0.9,crashed\n8,0.9,crashed\n8,0.9,\n", columns=STATES)


def test_rows_are_filtered_by_the_text_that_they_have(tmp_path: Path) -> None:
    text = "bs,acc,data,seed\n8,0.9,cifar10,1\n8,0.8,cifar100,1\n8,0.7,cifar100,01\n8,0.6,CIFAR100,1\n"
    read_in = found(tmp_path, text, columns=ACCURACY, where={"data": ["cifar100"], "seed": ["1", "01"]})
    assert [row.values["last_test_accuracy"] for row in read_in.rows] == [0.8, 0.7]
    assert left_out(read_in) == {"not among the rows of `where`": 2}
    with pytest.raises(
        DataError, match=r"where.data: no row has `cifar1000` in the column `data` \(did you mean `cifar100`"
    ):
        found(tmp_path, text, columns=ACCURACY, where={"data": ["cifar1000"]})


NAMES = ["CIFAR 10", "../../etc", "<script>alert(1)</script>", "a\nb", "=1+1", ".*", "{wildcard}", "ä" * 300]


def test_data_sets_and_recipes_are_named_by_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        [(8, 0.5, name, arch, "sgd") for name in NAMES for arch in ("net", "Net ", "NA")],
        columns=["bs", "acc", "data", "arch", "opt"],
    )
    keys = {"dataset": {"column": "data"}, "recipe": {"columns": ["arch", "opt"]}, "columns": ACCURACY}
    read_in = found(tmp_path, frame.to_csv(index=False), **keys)
    recipes = ["net · sgd", "Net  · sgd", "NA · sgd"]
    assert read_in.pairs == tuple(itertools.product(NAMES, recipes))
    places = {folder(name) for name in (*NAMES, *recipes)}
    assert len(places) == len(NAMES) + len(recipes)
    assert all(place.isascii() and place.replace("_", "").isalnum() for place in places)


def test_two_combinations_of_one_name_are_refused(tmp_path: Path) -> None:
    keys = {"recipe": {"columns": ["a", "b"]}, "columns": ACCURACY}
    with pytest.raises(DataError, match="two combinations of values would both be called `x · y · z`"):
        found(tmp_path, "bs,acc,a,b\n8,0.5,x · y,z\n8,0.5,x,y · z\n", **keys)
    with pytest.raises(
        DataError, match=r"column `a` \(measurements.runs.recipe.columns\), row 2 .*: the cell has no value"
    ):
        found(tmp_path, "bs,acc,a,b\n8,0.5,x,y\n8,0.5,,\n", **keys)


def test_a_thousand_workloads_are_read(tmp_path: Path) -> None:
    text = "bs,lr,loss,data\n" + "".join(
        f"{size},{lr},{size * lr},set {number}\n" for number in range(1000) for size in (8, 16) for lr in (0.1, 0.2)
    )
    made = tables(tmp_path, text, columns=LOSS, dataset={"column": "data"})
    assert made.runs["dataset"].nunique() == 1000
    assert set(made.runs["learning_rate"]) == {0.1}


def test_formulas_are_text_in_the_csv_that_comes_out(tmp_path: Path) -> None:
    names = ["=1+1", "+1", "-1", "@x", "\tx", "a=b"]
    text = pd.DataFrame({"bs": 8, "acc": 0.5, "data": names}).to_csv(index=False)
    runs = tables(tmp_path, text, columns=ACCURACY, dataset={"column": "data"}).runs
    saved.save("runs", runs, tmp_path / "runs.parquet", tmp_path / "runs.csv")
    assert saved.load(tmp_path / "runs.parquet")["dataset"].tolist() == names
    expected = ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "a=b"]
    assert pd.read_csv(tmp_path / "runs.csv")["dataset"].tolist() == expected


def grid(*, noise: float) -> str:
    """A grid of rates and sizes whose best rate is bs / 640 by its loss, three values apart by a factor of ten."""
    rng = random.Random(0)
    lines = [
        f"{size},{lr},{0.3 + math.log10(640 * lr / size) ** 2 + noise * rng.random()}"
        for size in (16, 64, 256)
        for lr in (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
        for _ in range(3)
    ]
    return "bs,lr,loss\n" + "\n".join(lines) + "\n"


def test_the_best_rate_of_a_size_stands_for_it_and_all_runs_are_trials(tmp_path: Path) -> None:
    made = tables(tmp_path, grid(noise=0.001), columns=LOSS)
    best = made.runs.groupby("batch_size")["learning_rate"].unique().to_dict()
    assert {size: each.tolist() for size, each in best.items()} == {16: [0.025], 64: [0.1], 256: [0.4]}
    assert made.runs["selected_validation_loss"].tolist() == pytest.approx([0.3] * 9, abs=0.001)
    assert len(made.trials) == 3 * 7 * 3
    assert made.trials[made.trials["chosen"]]["learning_rate"].unique().tolist() == [0.025, 0.1, 0.4]
    assert made.rate_choices.to_dict("records") == [
        {
            "dataset": "elsewhere",
            "recipe": "theirs",
            "criterion": LOSS_NAME,
            "most_rates": 7,
            "runs": 63,
            "passed_over": "",
        }
    ]
    slope = tuned.slopes(made.trials).iloc[0]
    assert (slope["slope"], slope["n"]) == (pytest.approx(1, abs=0.01), 3)
    assert tuned.rates(made.runs, made.trials)["optimum"].tolist() == pytest.approx([0.025, 0.1, 0.4], rel=0.01)


LOSS_NAME = "selected_validation_loss"


def test_the_order_of_rows_changes_nothing_but_numbers_of_runs(tmp_path: Path) -> None:
    header, *lines = grid(noise=0.01).splitlines()
    expected = tables(tmp_path, "\n".join([header, *lines]), columns=LOSS)
    random.Random(1).shuffle(lines)
    shuffled = tables(tmp_path, "\n".join([header, *lines]), columns=LOSS)
    by = ["batch_size", "learning_rate", LOSS_NAME]
    for name in ("runs", "trials"):
        one, other = (getattr(made, name)[by].sort_values(by, ignore_index=True) for made in (expected, shuffled))
        pd.testing.assert_frame_equal(one, other)


def test_a_rate_at_which_runs_diverged_is_not_the_best(tmp_path: Path) -> None:
    text = "bs,lr,loss\n8,0.1,0.5\n8,0.1,0.5\n8,1,0.1\n8,1,NaN\n"
    made = tables(tmp_path, text, columns=LOSS)
    assert made.runs["learning_rate"].unique().tolist() == [0.1]
    assert made.trials["outcome"].tolist() == ["ok", "ok", "ok", "diverged"]
    assert made.left_out["rows"].tolist() == [1]


def test_a_size_whose_runs_all_diverged_is_only_counted(tmp_path: Path) -> None:
    made = tables(tmp_path, "bs,lr,loss\n8,0.1,0.5\n8,0.2,0.4\n16,0.1,NaN\n16,0.2,inf\n", columns=LOSS)
    assert set(made.runs["batch_size"]) == set(made.trials["batch_size"]) == {8}
    assert made.left_out[["batch_size", "rows"]].to_numpy().tolist() == [[16, 2]]


@pytest.mark.parametrize(
    ("columns", "criterion", "rate"),
    [
        ({"selected_validation_accuracy": "a", "selected_test_accuracy": "b"}, "selected_validation_accuracy", 0.1),
        ({"last_test_accuracy": "b"}, "last_test_accuracy", 0.2),
        ({"last_test_accuracy": "b", "epochs": "e"}, "to_target", 0.3),
        ({"last_train_loss": "a", "last_test_loss": "b"}, "last_test_loss", 0.3),
    ],
)
def test_rates_are_chosen_on_validation_where_there_is_one(
    tmp_path: Path, columns: dict[str, str], criterion: str, rate: float
) -> None:
    text = "bs,lr,a,b,e\n8,0.1,0.9,0.5,3\n8,0.2,0.5,0.9,2\n8,0.3,0.5,0.3,1\n"
    goal = TO_ERROR if "epochs" in columns else {}
    made = tables(tmp_path, text, columns={"batch_size": "bs", "learning_rate": "lr", **columns}, **goal)
    assert made.rate_choices["criterion"].tolist() == [criterion]
    assert made.runs["learning_rate"].tolist() == [rate]


def test_a_rate_per_size_is_no_grid(tmp_path: Path) -> None:
    made = tables(tmp_path, "bs,lr,loss\n8,0.1,0.5\n8,0.10000000000001,0.4\n16,0.2,0.3\n", columns=LOSS)
    assert (len(made.runs), len(made.trials), len(made.rate_choices)) == (3, 0, 0)
    assert made.runs["learning_rate"].tolist() == [0.1, 0.1, 0.2]


def test_a_rate_is_part_of_what_a_run_is(tmp_path: Path) -> None:
    columns = {**LOSS, "seed": "seed"}
    text = "bs,lr,loss,seed\n8,0.1,0.5,1\n8,0.2,0.4,1\n"
    assert len(tables(tmp_path, text, columns=columns).trials) == 2
    with pytest.raises(DataError, match=r"batch size 8, learning rate 0.2 with seed 1 was in a row before"):
        tables(tmp_path, text + "8,0.2,0.3,1\n", columns=columns)


def test_runs_are_numbered_in_the_order_of_the_file_where_no_column_does(tmp_path: Path) -> None:
    text = "bs,target,e\n8,0.2,1\n8,0.2,2\n8,0.1,3\n8,0.1,4\n16,0.2,1\n16,0.1,2\n"
    keys = {"metric": "error", "columns": {"batch_size": "bs", "target": "target", "epochs": "e"}}
    made = tables(tmp_path, text, **keys)
    assert made.runs[["batch_size", "seed"]].to_numpy().tolist() == [[8, 0], [8, 1], [16, 0]]
    assert made.to_target.groupby("seed")["epochs"].sum().to_dict() == {0: 1 + 3 + 1 + 2, 1: 2 + 4}


def test_pairs_are_declared() -> None:
    runs = {"shared_seeds": False}
    assert paired(None)
    assert not paired({"runs": runs})  # type: ignore[typeddict-item]
    assert paired({"runs": runs | {"shared_seeds": True}})  # type: ignore[typeddict-item]


def test_updates_are_examples_over_the_batch_size(tmp_path: Path) -> None:
    columns = {"batch_size": "bs", "examples": "x"}
    made = tables(tmp_path, "bs,x\n64,3360\n", n_train=168, columns=columns, **TO_ERROR)
    row = made.to_target.iloc[0]
    assert (row["epochs"], row["updates"], row["examples"]) == (20, 52.5, 3360)  # and not 20 epochs of 3 updates


@pytest.mark.parametrize("given", ["examples", "updates"])
def test_a_critical_size_needs_no_number_of_training_examples(tmp_path: Path, given: str) -> None:
    sizes = (8, 16, 32, 64, 128)
    lengths = {size: 1000 * (1 + size / 40) / (1 if given == "examples" else size) for size in sizes}
    text = "bs,x\n" + "".join(f"{size},{lengths[size]}\n{size},{1.01 * lengths[size]}\n" for size in sizes)
    made = tables(tmp_path, text, columns={"batch_size": "bs", given: "x"}, **TO_ERROR)
    assert made.to_target["epochs"].isna().all()
    np.testing.assert_allclose(made.to_target["examples"], made.to_target["updates"] * made.to_target["batch_size"])
    fits = critical_batch_sizes(made.to_target, {"elsewhere": None})
    fit = fits.iloc[0]
    assert fit["accepted"]
    assert (fit["b_crit"], fit["e_min_examples"]) == (pytest.approx(40, rel=1e-3), pytest.approx(1005, rel=1e-3))
    assert fit["s_min"] == pytest.approx(1005 / 40, rel=1e-3)
    assert np.isnan(fit["e_min"])
    reached = with_residuals(summarise(made.to_target, made.runs, made.timings), fits)
    assert reached["law_residual"].abs().max() < 1e-6


def test_a_batch_size_above_the_number_of_examples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column `bs` .*row 2 .*512 is above the 168 training examples"):
        found(tmp_path, "bs,acc\n128,0.5\n512,0.5\n", n_train=168, columns=ACCURACY)


BY_TARGET = "bs,goal,e\n" + "".join(f"{size},{goal},{goal * size}\n" for size in (8, 16) for goal in (0.5, 0.7, 0.9))


def test_a_direction_that_the_data_contradict_is_refused(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"metric": "score", "columns": {"batch_size": "bs", "target": "goal", "epochs": "e"}}
    with pytest.raises(DataError, match=r"better is lower, but 4 of 4 times .* sooner; valid is better: higher"):
        found(tmp_path, BY_TARGET, better="lower", **keys)
    assert len(found(tmp_path, BY_TARGET, better="higher", **keys).rows) == 6


@pytest.mark.parametrize(
    ("metric", "better"),
    [
        ("accuracy", "higher"),
        ("val_acc", "higher"),
        ("top-1 accuracy", "higher"),
        ("AUC", "higher"),
        ("F1", "higher"),
        ("BLEU", "higher"),
        ("loss", "lower"),
        ("WER", "lower"),
        ("word error rate", "lower"),
        ("perplexity", "lower"),
        ("loss of the F1", "lower"),
        ("height", "lower"),
    ],
)
def test_the_direction_of_a_metric_is_known_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str, better: str
) -> None:
    assert loaded(tmp_path, monkeypatch, f"metric: {metric}").plain()["runs"]["better"] == better
    assert loaded(tmp_path, monkeypatch, f"metric: {metric}, better: higher").plain()["runs"]["better"] == "higher"


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch, keys: str) -> Any:
    monkeypatch.chdir(folder)
    Path("sweep.csv").write_text(f"bs,goal,e,note\n8,1,1,{'x' * 200_000}\n", encoding="utf-8")
    runs = f"{{path: sweep.csv, dataset: d, recipe: r, {keys}, columns: {{batch_size: bs, target: goal, epochs: e}}}}"
    Path("mine.yaml").write_text(f"title: t\nquestion: q\nmeasurements: {{runs: {runs}}}\n", encoding="utf-8")
    study = model.load({"study": "mine.yaml"}, SCRIPTS.parent)
    assert study.measured.pairs == (("d", "r"),)
    return study.file.measurements


def test_names_that_look_alike_stay_different_and_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sweep.csv").write_text("bs,acc,data\n8,0.5,cifar10\n8,0.5,CIFAR10 \n8,0.5,mnist\n", encoding="utf-8")
    runs = "path: sweep.csv, dataset: {column: data}, recipe: r, columns: {batch_size: bs, last_test_accuracy: acc}"
    Path("mine.yaml").write_text(f"title: t\nquestion: q\nmeasurements: {{runs: {{{runs}}}}}\n", encoding="utf-8")
    measured = model.load({"study": "mine.yaml"}, SCRIPTS.parent).measured
    assert [name for name, _ in measured.pairs] == ["cifar10", "CIFAR10 ", "mnist"]
    assert len(measured.alike) == 1
    assert all(f"`{name}`" in measured.alike[0] for name in ("cifar10", "CIFAR10 "))


def test_a_file_is_refused_before_the_first_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(tmp_path, monkeypatch, "metric: WER")
    Path("sweep.csv").write_text("bs,goal,e,note\n8,1,fast,\n", encoding="utf-8")
    study = model.load({"study": "mine.yaml"}, SCRIPTS.parent)
    with pytest.raises(DataError, match=r"sweep.csv: column `e` .*row 1 .*`fast` is not a number"):
        external_runs.find(study.file.measurements)  # type: ignore[arg-type]


def test_names_in_a_parquet_file_need_pyarrow_before_the_first_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"bs": [8], "acc": [0.5], "data": ["a"]}).to_parquet("sweep.parquet")
    runs = "path: sweep.parquet, dataset: {column: data}, recipe: r, columns: {batch_size: bs, last_test_accuracy: acc}"
    Path("mine.yaml").write_text(f"title: t\nquestion: q\nmeasurements: {{runs: {{{runs}}}}}\n", encoding="utf-8")
    study = model.load({"study": "mine.yaml"}, SCRIPTS.parent)
    assert study.pairs == (("a", "r"),)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"this Python has no pyarrow, which reads .parquet files; valid is a .csv file"
    ):
        external_runs.find(study.file.measurements)  # type: ignore[arg-type]


def test_parquet_gives_the_same_rows_as_csv(tmp_path: Path) -> None:
    frame = pd.read_csv(io.StringIO(grid(noise=0.01)))
    frame["state"] = pd.Categorical(["finished"] * (len(frame) - 2) + ["crashed", None])
    frame["seed"] = pd.array(range(len(frame)), "Int64")
    columns = {**LOSS, "state": "state", "seed": "seed"}
    expected = tables(tmp_path, frame.to_csv(index=False), columns=columns)
    frame.set_index("seed").to_parquet(tmp_path / "sweep.parquet")
    file = runs_file(tmp_path, "", columns=columns)
    file["path"] = str(tmp_path / "sweep.parquet")
    made = read({"runs": file, "timings": None, "baseline": None})
    for name in ("runs", "trials", "left_out", "rate_choices"):
        one, other = (getattr(each, name).drop(columns="fingerprint", errors="ignore") for each in (expected, made))
        pd.testing.assert_frame_equal(one, other)


def test_trials_of_shared_seeds_keep_them(tmp_path: Path) -> None:
    text = "bs,lr,loss,seed\n" + "".join(f"8,{lr},{lr},{seed}\n" for lr in (0.1, 0.2) for seed in (7, 9))
    file = runs_file(tmp_path, text, columns={**LOSS, "seed": "seed"}, shared_seeds=True)
    chosen = rates.choose(rows.read(file).rows, length_of(file), shared_seeds=True)
    assert [(trial.seed, trial.chosen) for trial in chosen.trials] == [(7, True), (9, True), (7, False), (9, False)]


def test_a_row_that_is_the_same_as_another_is_one_run_where_runs_have_names(tmp_path: Path) -> None:
    text = ",name,bs,acc,made\n0,a,8,0.5,1\n1,b,8,0.6,2\n2,a,8,0.5,1\n3,a,8,0.5,3\n4,b,8,0.6,2\n"
    read_in = found(tmp_path, text, columns={**ACCURACY, "name": "name"})
    assert [row.row for row in read_in.rows] == [0, 1, 3]
    assert left_out(read_in) == {"the same as an earlier row, row 3 as row 1": 2}
    assert len(found(tmp_path, text, columns=ACCURACY).rows) == 5


def test_a_better_mean_of_fewer_runs_is_named_and_runs_and_rows_left_out_add_up(tmp_path: Path) -> None:
    text = "bs,lr,loss\n" + "8,0.1,0.5\n" * 3 + "8,0.2,0.4\n8,0.2,0.4\n8,0.2,NaN\n8,0.4,0.6\n8,0.4,NaN\n16,0.1,0.3\n"
    made = tables(tmp_path, text, columns=LOSS)
    (choice,) = made.rate_choices.to_dict("records")
    assert choice["passed_over"] == "0.2 (2 of 3 runs) at 8"
    assert choice["runs"] + made.left_out["rows"].sum() == 9
