"""Exports of trackers, as in tests/exports/: what their columns are taken for, and what is asked instead of guessed."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from batchscope.study.trackers import histories, names
from batchscope.study.trackers.fields import AmbiguousError
from batchscope.study.trackers.recognise import Recognised, recognise
from batchscope.tables import foreign

EXPORTS = Path(__file__).resolve().parents[1] / "exports"


def of_file(name: str) -> Recognised:
    return recognise(foreign.read(EXPORTS / name))


def of_rows(folder: Path, header: str, rows: list[str]) -> Recognised:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return recognise(foreign.read(path))


def taken(found: Recognised) -> dict[str, str]:
    return {ours: theirs for ours, (theirs, _) in found.columns.items()}


def test_the_runs_table_of_wandb() -> None:
    found = of_file("wandb_runs.csv")
    assert found.tracker == "Weights & Biases"
    assert taken(found) == {
        **{"name": "Name", "state": "State", "batch_size": "batch_size", "learning_rate": "lr", "seed": "seed"},
        **{"selected_validation_accuracy": "best_val_acc", "last_validation_accuracy": "val_acc"},
        **{"selected_validation_loss": "val_loss", "selected_train_loss": "train_loss"},
        "selected_test_accuracy": "test_acc",
    }
    assert (found.dataset, found.recipe, found.questions, found.percent) == ("dataset", ("arch", "optimizer"), {}, ())
    left = {column: reason for reason, columns in found.left_out.items() for column in columns}
    assert left["warmup_steps"].startswith("since it follows the batch size")
    assert left["parameters.batch_size"].startswith("empty")
    assert left["eval_batch_size"].startswith("the same")
    assert {*left, *taken(found).values(), found.dataset, *found.recipe} == set(
        foreign.header(EXPORTS / "wandb_runs.csv")
    )


def test_a_data_frame_of_the_public_api_of_wandb() -> None:
    found = of_file("wandb_api.csv")
    assert taken(found) == {
        **{"name": "name", "state": "state", "batch_size": "config.batch_size", "seed": "config.seed"},
        **{"learning_rate": "config.learning_rate", "last_validation_loss": "summary.val_loss"},
        "selected_validation_loss": "summary.val_loss.min",
    }


def test_search_runs_of_mlflow_and_its_page() -> None:
    found = of_file("mlflow_search_runs.csv")
    assert taken(found) == {
        **{"name": "tags.mlflow.runName", "state": "status", "batch_size": "params.batch_size"},
        **{"learning_rate": "params.learning_rate", "seed": "params.random_state"},
        **{"selected_validation_accuracy": "metrics.val_accuracy", "selected_train_loss": "metrics.train_loss"},
        "selected_test_accuracy": "metrics.test_accuracy",
    }
    assert found.recipe == ("params.model",)
    page = of_file("mlflow_page.csv")
    assert (page.columns["state"][0], page.columns["name"][0], page.columns["batch_size"][0]) == (
        *("Status", "Name"),
        "batch_size",
    )


def test_the_trials_of_optuna_do_not_say_what_their_value_measures() -> None:
    found = of_file("optuna_trials.csv")
    assert taken(found) == {
        **{"name": "number", "state": "state", "batch_size": "params_batch_size", "learning_rate": "params_lr"},
        **{"selected_test_accuracy": "user_attrs_test_accuracy", "seed": "user_attrs_seed"},
    }
    ((key, question),) = found.questions.items()
    assert question == "what `value` measures, and whether more of it is better, is not in the table"
    assert {part.strip(" ,").removeprefix("columns.") for part in key.split() if "selected_" in part} == {
        f"selected_validation_{name}" for name in ("loss", "accuracy", "score", "cost", "f1")
    }
    assert "another result that config/README.md names" in key
    assert "value" not in {column for columns in found.left_out.values() for column in columns}
    assert found.recipe == ()  # a number drawn anew in every trial tells no recipes apart


def test_a_plain_table_of_accuracies_in_percent() -> None:
    found = of_file("plain.csv")
    assert taken(found) == {"batch_size": "bs", "seed": "run", "selected_test_accuracy": "acc"}
    assert found.percent == ("selected_test_accuracy",)
    assert any("which data acc" in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        *((name, "plain") for name in ("batch_size", "bs", "batchSize", "train_batch_size", "data.batch-size", "B")),
        *((name, "update") for name in ("total_train_batch_size", "global_batch", "effective_batch_size")),
        *((name, "device") for name in ("per_device_train_batch_size", "batch_size_per_gpu", "micro_batch_size")),
        *((name, "") for name in ("eval_batch_size", "val_bs", "batch_loss", "num_batches", "batch_norm", "b")),
    ],
)
def test_whose_batch_size_a_column_holds(name: str, whose: str) -> None:
    assert names.batch_size(name) == whose


@pytest.mark.parametrize(
    ("name", "part", "metric", "weights"),
    [
        ("val/acc", "validation", "accuracy", ""),
        ("eval_loss", "validation", "loss", ""),
        ("best_valid_accuracy", "validation", "accuracy", "best"),
        ("val_loss.min", "validation", "loss", "best"),
        ("final_test_acc", "test", "accuracy", "last"),
        ("test/top1", "test", "accuracy", ""),
        ("trainLoss", "train", "loss", ""),
        ("val_categorical_crossentropy", "validation", "loss", ""),
        ("accuracy", "", "accuracy", ""),
        ("val/f1", "validation", "f1", ""),
        ("eval_f1_score", "validation", "f1", ""),
        ("test_macroF1", "test", "f1", ""),
        ("best_valid_auc", "validation", "auc", "best"),
        ("test/AUROC", "test", "auc", ""),
        ("val_roc_auc_score", "validation", "auc", ""),
        ("val_pr_auc", "validation", "average_precision", ""),
        ("eval/mAP", "validation", "average_precision", ""),
        ("test_average_precision", "test", "average_precision", ""),
        ("val_precision", "validation", "precision", ""),
        ("val/mIoU", "validation", "iou", ""),
        ("val_dice", "validation", "dice", ""),
        ("test_bleu", "test", "bleu", ""),
        ("eval_wer", "validation", "wer", ""),
        ("test/word_error_rate", "test", "wer", ""),
        ("dev_CER", "validation", "cer", ""),
        ("eval/perplexity", "validation", "perplexity", ""),
        ("final_test_error_rate", "test", "error", "last"),
        ("val_rmse.min", "validation", "rmse", "best"),
        ("test_mean_absolute_error", "test", "mae", ""),
        ("test_mse", "test", "mse", ""),
        ("f1", "", "f1", ""),
    ],
)
def test_which_result_a_column_holds(name: str, part: str, metric: str, weights: str) -> None:
    assert names.result(name) == names.Result(part, metric, weights)


@pytest.mark.parametrize(
    "name",
    [
        *("val_loss_step", "val_acc_std", "aux_loss", "val_top5_acc", "train_val_loss", ""),
        *("val_score", "precision", "dice_loss", "val_f1_std", "val_loss.max", "val_acc.min"),
    ],
)
def test_other_columns_hold_no_result(name: str) -> None:
    assert names.result(name) is None


def test_of_several_batch_sizes_that_of_the_update_and_of_its_equals_the_one_that_varies(tmp_path: Path) -> None:
    rows = [f"8,{8 * 4 * n},{n},0.5" for n in (1, 2, 4)]
    header = "per_device_train_batch_size,total_train_batch_size,n_gpu,val_acc"
    assert taken(of_rows(tmp_path, header, rows))["batch_size"] == "total_train_batch_size"
    rows = [f"32,{size},0.5" for size in (8, 16, 16)]
    assert taken(of_rows(tmp_path, "data.bs,batch_size,val_acc", rows))["batch_size"] == "batch_size"
    equal = of_rows(tmp_path, "train_batch,mini_batch,val_acc", ["8,16,0.5", "16,8,0.5"])
    assert equal.questions == {"columns.batch_size": "`train_batch` and `mini_batch` may both be the batch size"}
    assert "batch_size" not in equal.columns


def test_accumulation_that_varies_is_asked_about_and_one_that_does_not_is_told(tmp_path: Path) -> None:
    header = "batch_size,gradient_accumulation_steps,val_acc"
    varying = of_rows(tmp_path, header, ["8,1,0.5", "8,2,0.6", "16,1,0.6"])
    assert "how many examples an update takes" in varying.questions["columns.batch_size"]
    fixed = of_rows(tmp_path, header, ["8,4,0.5", "16,4,0.6"])
    assert fixed.remarks == (
        "gradient_accumulation_steps is 4 in all runs: an update may take so many times the batch size.",
    )
    assert of_rows(tmp_path, header, ["8,1,0.5", "16,1,0.6"]).remarks == ()


def test_of_several_training_losses_none_is_taken_and_of_several_test_losses_one_is_asked_for(tmp_path: Path) -> None:
    rows = ["8,0.5,0.6,0.7", "16,0.4,0.5,0.8"]
    found = of_rows(tmp_path, "per_device_train_batch_size,train/loss,train_loss,eval/accuracy", rows)
    assert set(taken(found)) == {"batch_size", "selected_validation_accuracy"}
    assert found.remarks == (
        "per_device_train_batch_size counts the examples of one device, of which an update may take several.",
        "train/loss and train_loss may both be the selected train loss, so none is taken.",
    )
    found = of_rows(tmp_path, "bs,test/loss,test_loss,eval/accuracy", rows)
    assert list(found.questions) == ["columns.selected_test_loss"]


def test_results_of_other_names_are_shares_in_percent_or_ratios_or_neither(tmp_path: Path) -> None:
    header = "bs,val/f1,test_wer,test_bleu,eval_rmse,train_f1,valid_auc"
    found = of_rows(
        tmp_path, header, ["8,81.5,12.5,27.1,3.5,0.9,0.91", "8,83.1,9.9,28.3,3.1,0.9,0.93", "16,1,104,2,3,1,1"]
    )
    assert taken(found) == {
        **{"batch_size": "bs", "selected_validation_f1": "val/f1", "selected_test_wer": "test_wer"},
        **{"selected_test_bleu": "test_bleu", "selected_validation_rmse": "eval_rmse"},
        "selected_validation_auc": "valid_auc",
    }
    assert set(found.percent) == {"selected_validation_f1", "selected_test_wer"}
    assert [columns for reason, columns in found.left_out.items() if "known by name" in reason] == [["train_f1"]]


def test_of_several_f1_none_is_taken_where_a_loss_decides_and_all_are_named_where_nothing_does(tmp_path: Path) -> None:
    rows = [f"8,0.{n},0.{n + 1},0.{n + 2}" for n in (1, 3, 5)]
    found = of_rows(tmp_path, "bs,val_loss,val_f1_macro,val_f1_micro", rows)
    assert (set(taken(found)), found.questions) == ({"batch_size", "selected_validation_loss"}, {})
    assert found.remarks == ("val_f1_macro and val_f1_micro may both be the selected validation f1, so none is taken.",)
    (question,) = of_rows(tmp_path, "bs,val_f1_macro,val_f1_micro", [row[:9] for row in rows]).questions.values()
    assert "`val_f1_macro` and `val_f1_micro` may be one" in question


def test_where_no_name_is_known_the_columns_that_may_be_results_are_named(tmp_path: Path) -> None:
    rows = [f"8,{n},3{n},0.{n},{n * 7}" for n in range(1, 8)]
    found = of_rows(tmp_path, "bs,run,runtime_s,val/foo,bar", rows)
    ((key, question),) = found.questions.items()
    assert "selected_validation_score where more is better" in key
    assert question.endswith("; `val/foo` and `bar` may be one")
    assert found.left_out == {"not known by name as a result of one part of the data": ["runtime_s"]}


@pytest.mark.parametrize(
    ("name", "of_runs"),
    [
        *((name, True) for name in ("Runtime", "_runtime", "duration", "train_runtime", "Relative Time (Wall)")),
        *((name, True) for name in ("total_time_s", "wallTime", "elapsed_hours")),
        *((name, False) for name in ("epoch_time", "eval_runtime", "start_time", "Created", "time_limit", "seconds")),
    ],
)
def test_which_columns_hold_times_of_whole_runs(name: str, of_runs: bool) -> None:
    assert names.is_runtime(name) == of_runs


def test_times_of_whole_runs_are_said_not_to_be_used_and_what_would_be(tmp_path: Path) -> None:
    said = (
        "Runtime is the time of whole runs, with evaluations and whatever else the machine did, and not used: a file "
    )
    said += "with seconds_per_epoch or seconds_per_update of each batch size, named under measurements.timings, would "
    said += "say which size is fastest."
    assert said in of_file("wandb_runs.csv").remarks
    assert any(remark.startswith("duration is the time") for remark in of_file("optuna_trials.csv").remarks)
    assert of_rows(tmp_path, "bs,val_acc,runtime", ["8,0.9,", "16,0.8,"]).remarks == ()


def test_bits_of_numbers_are_a_setting(tmp_path: Path) -> None:
    rows = [f"{size},{bits},0.{n}{size}" for n, bits in enumerate((16, 32), 1) for size in (8, 64)]
    assert of_rows(tmp_path, "bs,precision,val_f1", rows).recipe == ("precision",)


def test_a_table_without_a_batch_size_names_columns_that_might_be_it(tmp_path: Path) -> None:
    found = of_rows(tmp_path, "size,lr,val_acc", ["8,0.1,0.5", "16,0.1,0.6"])
    assert "whole numbers that differ are in size" in found.questions["columns.batch_size"]


def test_lengths_to_a_target(tmp_path: Path) -> None:
    found = of_rows(tmp_path, "global_batch,run,epochs_to_converge", ["8,0,3", "16,0,4"])
    assert taken(found) == {"batch_size": "global_batch", "seed": "run", "epochs": "epochs_to_converge"}
    assert list(found.questions) == ["metric and target"]
    found = of_rows(tmp_path, "batch_size,run,target_metric,target_epoch", ["8,0,40,9", "8,0,45,6", "16,0,40,"])
    assert taken(found) == {
        "batch_size": "batch_size",
        "seed": "run",
        "target": "target_metric",
        "epochs": "target_epoch",
    }
    assert list(found.questions) == ["metric"]


def test_a_schedule_is_no_choice_of_the_learning_rate(tmp_path: Path) -> None:
    rows = [f"8,{rate},{rate * 0.01},0.5" for rate in (0.1, 0.2)]
    assert taken(of_rows(tmp_path, "bs,lr,train/learning_rate,val_acc", rows))["learning_rate"] == "lr"


def test_a_seed_that_all_runs_share_tells_none_apart(tmp_path: Path) -> None:
    found = of_rows(tmp_path, "bs,seed,val_acc", ["8,42,0.5", "8,42,0.6", "16,42,0.7"])
    assert "seed" not in found.columns
    assert any(remark.startswith("seed does not tell") for remark in found.remarks)


def test_settings_that_cross_batch_sizes_tell_recipes_apart_and_those_that_follow_them_do_not(tmp_path: Path) -> None:
    rows = [
        f"{size},{seed},{model},{decay},{10000 // size},{0.5 + seed / 100 + size / 1e4}"
        for size in (8, 16)
        for seed in (1, 2)
        for model in ("cnn", "mlp")
        for decay in (0, 0.01)
    ]
    found = of_rows(tmp_path, "bs,seed,model,weight_decay,total_steps_planned,test_acc", rows)
    assert found.recipe == ("model", "weight_decay")


def test_the_order_of_columns_and_of_rows_changes_nothing(tmp_path: Path) -> None:
    rng = random.Random(7)
    for file in sorted(EXPORTS.glob("*runs.csv")):
        with file.open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
        expected = recognise(foreign.read(file))
        for _ in range(5):
            order = rng.sample(range(len(header)), len(header))
            with (tmp_path / "shuffled.csv").open("w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows([row[i] for i in order] for row in (header, *rng.sample(rows, len(rows))))
            found = recognise(foreign.read(tmp_path / "shuffled.csv"))
            assert (taken(found), found.dataset, set(found.recipe)) == (
                *(taken(expected), expected.dataset),
                set(expected.recipe),
            )


def test_hostile_tables_are_recognised_or_asked_about(tmp_path: Path) -> None:
    rng = random.Random(11)
    parts = ["batch_size", "lr", "val", "acc", "loss", "\n", '"', "{x}", "../", "<b>", "=1", "é", "", "seed", "config."]
    cells = [
        "",
        "nan",
        "NaN",
        "Infinity",
        "-1",
        "8",
        "16",
        "1e400",
        "[1, 2]",
        "{'a': 1}",
        "None",
        "true",
        "\x07",
        "0.5",
    ]
    for _ in range(300):
        header = ["".join(rng.choices(parts, k=rng.randrange(4))) for _ in range(rng.randrange(1, 7))]
        with (tmp_path / "hostile.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
            writer.writerows([header, *([rng.choice(cells) for _ in header] for _ in range(rng.randrange(6)))])
        found = recognise(foreign.read(tmp_path / "hostile.csv"))
        assert found.questions or {"batch_size"} <= set(found.columns)
        assert list(found.sentences())


def test_charts() -> None:
    wide = histories.recognise(foreign.read(EXPORTS / "wandb_chart.csv"))
    assert (wide.columns, wide.metrics, wide.questions) == ({"epochs": "epoch"}, {"validation_loss": "val_loss"}, {})
    long = histories.recognise(foreign.read(EXPORTS / "mlflow_chart.csv"))
    assert long.columns == {"run": "Run", "metric": "metric", "value": "value"}
    assert list(long.questions) == [
        "columns.epochs, columns.updates or columns.examples"
    ]  # a step is what the logger was told
    with pytest.raises(AmbiguousError, match="groups of runs such as `batch_size: 32`"):
        histories.recognise(foreign.read(EXPORTS / "wandb_chart_of_groups.csv"))


def test_a_table_with_a_row_per_evaluation(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("name,global_step,val/accuracy,lr\na,10,55.5,0.1\na,20,60,0.1\n", encoding="utf-8")
    found = histories.recognise(foreign.read(path))
    assert found.columns == {"run": "name", "updates": "global_step", "validation_accuracy": "val/accuracy"}
    assert found.percent == ("validation_accuracy",)


@pytest.mark.parametrize(
    ("name", "ours", "values", "in_percent"),
    [
        ("val/f1", "validation_f1", (0.5, 0.9), False),
        ("eval/macro_f1", "validation_f1", (55.5, 60), True),
        ("val_wer", "validation_wer", (104, 22, 12), True),
        ("val_wer", "validation_wer", (1.04, 0.22, 0.12), False),
        ("eval/perplexity", "validation_perplexity", (900, 31, 24), False),
        ("validRMSE", "validation_rmse", (4, 3, 2), False),
        ("dev_bleu", "validation_bleu", (12, 27), False),
        ("val_err", "validation_error", (40, 12), True),
        ("val/auroc", "validation_auc", (0.7, 0.9), False),
    ],
)
def test_charts_of_other_results(
    tmp_path: Path, name: str, ours: str, values: tuple[float, ...], in_percent: bool
) -> None:
    steps = list(enumerate(values, 1))
    tables = {
        "wide": [f"epoch,a - {name},a - {name}__MIN", *(f"{step},{value},{value}" for step, value in steps)],
        "rows": [f"run,epoch,{name}", *(f"a,{step},{value}" for step, value in steps)],
        "long": ["Run,metric,epoch,value", *(f"a,{name},{step},{value}" for step, value in steps)],
    }
    for layout, lines in tables.items():
        (tmp_path / "chart.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        found = histories.recognise(foreign.read(tmp_path / "chart.csv"))
        assert (found.columns if layout == "rows" else found.metrics)[ours] == name
        assert found.percent == ((ours,) if in_percent else ())
        assert (found.steps, found.questions) == ({"a": [float(step) for step, _ in steps]}, {})


def test_a_chart_of_what_nobody_knows_names_it(tmp_path: Path) -> None:
    (tmp_path / "chart.csv").write_text("epoch,a - val/kappa\n1,0.5\n", encoding="utf-8")
    with pytest.raises(AmbiguousError, match=r"such as val_f1 or val_wer \(val/kappa\)"):
        histories.recognise(foreign.read(tmp_path / "chart.csv"))


@pytest.mark.parametrize(
    ("steps", "n_train", "axis", "offset"),
    [
        ({8: range(1, 4), 16: range(1, 4)}, None, "epochs", 0),
        ({8: range(3), 16: range(3)}, None, "epochs", 1),
        ({8: range(3, 40, 3), 16: range(3, 22, 3)}, 100, "updates", 0),  # 13 and 7 updates in each of 3 epochs
        ({8: range(3, 40, 3), 16: range(3, 22, 3)}, None, None, 0),
        ({8: range(5), 16: range(3)}, None, None, 0),
    ],
)
def test_steps_are_settled_where_the_plans_of_the_runs_tell_what_they_count(
    tmp_path: Path, steps: dict[int, range], n_train: int | None, axis: str | None, offset: int
) -> None:
    rows = [f"run{size},{step},0.5" for size, counted in steps.items() for step in counted]
    path = tmp_path / "history.csv"
    path.write_text("\n".join(["name,step,val_loss", *rows]) + "\n", encoding="utf-8")
    plans = {f"run{size}": (3.0, size) for size in steps}
    found = histories.settle(histories.recognise(foreign.read(path)), plans, n_train)
    assert {name for name in ("epochs", "updates", "examples") if name in found.columns} == ({axis} if axis else set())
    assert (found.offset, bool(found.questions)) == (offset, axis is None)


@pytest.mark.parametrize(
    ("axis", "steps", "n_train", "offset"),
    [
        ("epoch", {8: range(3), 16: range(3)}, None, 1),
        ("epoch", {8: range(4), 16: range(4)}, None, 0),  # the first evaluation is before training
        ("epoch", {8: range(1, 4), 16: range(1, 4)}, None, 0),
        ("epoch", {8: range(3), 16: range(2)}, None, 0),  # one ended before its plan was done
        ("global_step", {8: range(39), 16: range(21)}, 100, 1),  # 13 and 7 updates in each of 3 epochs
        ("global_step", {8: range(40), 16: range(22)}, 100, 0),
        ("global_step", {8: range(39), 16: range(21)}, None, 0),
        ("global_step", {8: range(3), 16: range(3)}, 100, 0),
    ],
)
def test_an_axis_that_says_what_it_counts_may_count_from_zero(
    tmp_path: Path, axis: str, steps: dict[int, range], n_train: int | None, offset: int
) -> None:
    rows = [f"run{size},{step},0.5" for size, counted in steps.items() for step in counted]
    path = tmp_path / "history.csv"
    path.write_text("\n".join([f"name,{axis},val_loss", *rows]) + "\n", encoding="utf-8")
    chart = histories.recognise(foreign.read(path))
    assert histories.settle(chart, {}, n_train) == chart
    found = histories.settle(chart, {f"run{size}": (3.0, size) for size in steps}, n_train)
    assert (found.offset, found.columns, found.questions) == (offset, chart.columns, {})
    assert (", of which 0 is the first." in found.sentences("history.csv")[0]) == bool(offset)


def test_what_was_taken_for_percentages_is_said(tmp_path: Path) -> None:
    said = list(of_rows(tmp_path, "bs,val/f1,val_wer,val_acc", ["8,88,12,0.9", "16,86,11.5,0.8"]).sentences())
    assert "val/f1 and val_wer are taken for percentages: 50 counts as 0.5." in said
    (tmp_path / "chart.csv").write_text("epoch,a - val/f1,a - val_loss\n1,80,0.5\n2,88,0.4\n", encoding="utf-8")
    chart = histories.recognise(foreign.read(tmp_path / "chart.csv")).sentences("chart.csv")
    assert chart[1:] == ["val/f1 is taken for percentages: 50 counts as 0.5."]
    assert not any("percent" in sentence for sentence in of_file("wandb_runs.csv").sentences())


HEAD = "Name,State,Notes,User,Tags,Created,batch_size,seed,val_acc"


def test_rows_that_are_the_same_throughout_are_one_run(tmp_path: Path) -> None:
    rows = [f"n{size}{seed},finished,-,a,,{size}{seed},{size},{seed},0.5" for size in (8, 16) for seed in (1, 2)]
    assert taken(of_rows(tmp_path, HEAD, [*rows, rows[1]]))["seed"] == "seed"
    again = of_rows(tmp_path, HEAD, [*rows, rows[1].replace("-", "again")])
    assert "seed" not in again.columns
    assert any("as rows 2 and 5 show" in remark for remark in again.remarks)


def test_rows_are_told_by_their_place_in_the_file(tmp_path: Path) -> None:
    rows = ["a,crashed,-,a,,1,8,1,0.5", "b,finished,-,a,,2,8,1,0.5", "c,finished,-,a,,3,8,1,0.6"]
    assert any("as rows 2 and 3 show" in remark for remark in of_rows(tmp_path, HEAD, rows).remarks)


@pytest.mark.parametrize(
    ("columns", "expected", "guess"),
    [
        (["val_loss"], {"selected": "val_loss"}, True),
        (["best_val_loss"], {"selected": "best_val_loss"}, False),
        (["best_val_loss", "val_loss"], {"selected": "best_val_loss", "last": "val_loss"}, False),
        (["final_val_loss"], {"last": "final_val_loss"}, False),
        (["final_val_loss", "val_loss"], {"last": "final_val_loss", "selected": "val_loss"}, True),
    ],
)
def test_a_result_whose_name_does_not_say_its_evaluation_is_a_guess(
    tmp_path: Path, columns: list[str], expected: dict[str, str], guess: bool
) -> None:
    header = ",".join(["Name,State,Notes,batch_size", *columns])
    rows = [
        ",".join([f"n{size},finished,-,{size}", *(f"{0.1 + n / 10}{size}" for n in range(len(columns)))])
        for size in (8, 16)
    ]
    found = of_rows(tmp_path, header, rows)
    results = {ours: theirs for ours, theirs in taken(found).items() if ours.endswith("_loss")}
    assert results == {f"{weights}_validation_loss": theirs for weights, theirs in expected.items()}
    assert [remark.split()[0] for remark in found.remarks if "guess" in remark] == (["val_loss"] if guess else [])
