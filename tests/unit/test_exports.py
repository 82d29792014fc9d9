"""A table of runs alone makes a study beside the results, which is made again until it is edited."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from batchscope.config.errors import ConfigError
from batchscope.config.yaml_files import read_yaml
from batchscope.study import exports
from batchscope.study.report_name import name_of
from batchscope.study.trackers import written

ROOT = Path(__file__).resolve().parents[2]
EXPORTS = ROOT / "tests" / "exports"
RESULTS = Path("results")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for file in EXPORTS.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


def prepare(runs: str, histories: str | None = None) -> list[str]:
    return exports.prepare({"study": "quickstart", "runs": runs, "histories": histories}, ROOT, RESULTS)


def refusal(runs: str, histories: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        prepare(runs, histories)
    return str(caught.value)


def test_the_study_holds_what_the_terminal_says() -> None:
    said = prepare("wandb_runs.csv", "wandb_chart.csv")
    assert said[0] == "The table was read as an export of Weights & Biases."
    assert said[-1] == "This is in results/wandb_runs/study.yaml, which can be edited."
    study = read_yaml(Path("results/wandb_runs/study.yaml"))
    measurements = study["measurements"]
    assert measurements["notes"] == said[:-1]
    assert measurements["runs"]["path"] == "../../wandb_runs.csv"
    assert measurements["runs"]["columns"]["learning_rate"] == "lr"
    assert measurements["runs"]["recipe"] == {"columns": ["arch", "optimizer"]}
    assert measurements["histories"] == {
        **{"path": "../../wandb_chart.csv", "columns": {"epochs": "epoch"}},
        "metrics": {"validation_loss": "val_loss"},
    }


def test_a_study_is_written_anew_until_it_is_edited(folder: Path) -> None:
    prepare("plain.csv")
    file, table = Path("results/plain/study.yaml"), folder / "plain.csv"
    first = file.read_text(encoding="utf-8")
    assert not written.is_edited(first)
    stamp = file.stat().st_mtime_ns
    prepare("plain.csv")
    assert file.stat().st_mtime_ns == stamp  # nothing to write
    table.write_text(table.read_text(encoding="utf-8").replace("acc", "val_acc"), encoding="utf-8")
    prepare("plain.csv")
    assert "selected_validation_accuracy: val_acc" in file.read_text(encoding="utf-8")
    edited = file.read_text(encoding="utf-8").replace("unnamed-data", "cifar10")
    file.write_text(edited, encoding="utf-8")
    assert "used as it was edited" in prepare("plain.csv")[0]
    assert file.read_text(encoding="utf-8") == edited


def test_an_edited_study_of_another_table_is_refused(folder: Path) -> None:
    prepare("plain.csv")
    file = Path("results/plain/study.yaml")
    file.write_text(file.read_text(encoding="utf-8").replace("unnamed-data", "cifar10"), encoding="utf-8")
    (folder / "other").mkdir()
    shutil.copy("plain.csv", "other/plain.csv")
    assert "is not about other/plain.csv" in refusal("other/plain.csv")
    assert "measurements.histories.path" in refusal("plain.csv", "wandb_chart.csv")


def test_what_a_table_leaves_open_is_asked_with_the_key_that_says_it() -> None:
    message = refusal("optuna_trials.csv")
    assert message.startswith("optuna_trials.csv: what `value` measures, and whether more of it is better, is not in")
    assert "as measurements.runs.columns.selected_validation_loss, columns.selected_validation_accuracy, " in message
    assert message.endswith("config/README.md names, such as columns.selected_validation_f1")
    file = Path("results/optuna_trials/study.yaml")
    answered = file.read_text(encoding="utf-8").replace(
        "      # selected_validation_loss,", "      selected_validation_f1: value #"
    )
    file.write_text(answered, encoding="utf-8")
    assert "used as it was edited" in prepare("optuna_trials.csv")[0]
    measurements = read_yaml(file)["measurements"]
    assert measurements["runs"]["columns"]["selected_validation_f1"] == "value"
    left_out = [note.partition(": ")[2] for note in measurements["notes"] if note.startswith("Left out")]
    assert left_out
    assert not any("value" in columns for columns in left_out)


def test_steps_of_a_history_are_asked_about() -> None:
    assert "what `step` counts is not in the file" in refusal("mlflow_page.csv", "mlflow_chart.csv")
    assert "groups of runs" in refusal("wandb_runs.csv", "wandb_chart_of_groups.csv")


def test_histories_need_runs_and_files_need_to_be_there(folder: Path) -> None:
    with pytest.raises(ConfigError, match="histories: they belong to runs"):
        exports.prepare({"study": "quickstart", "histories": "wandb_chart.csv"}, ROOT, RESULTS)
    assert "there is no file none.csv" in refusal("none.csv")
    (folder / "empty.csv").write_text("bs,acc\n", encoding="utf-8")
    assert "has no rows" in refusal("empty.csv")
    assert "path of a .csv or .parquet file" in refusal("study.yaml")


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("exports/wandb_export_2025-04-24T14_00_10.158+09_00.csv", "wandb_export_2025-04-24t14_00_10-158-09_00"),
        ("runs.csv", "runs-table"),
        ("quickstart.csv", "quickstart-table"),
        ("Größe <b>.csv", "gr-e-b"),
        ("…\u200b.csv", "table"),
    ],
)
def test_the_name_of_a_file_becomes_that_of_a_folder(table: str, name: str) -> None:
    assert name_of(table, ROOT / "config" / "studies") == name


@pytest.mark.parametrize(
    "value", ["plain", "null", "yes", "1", "- a", "a: b # c", 'say "a\\b"', "\n\t\x07", "é😀\x85\u2028", ""]
)
def test_texts_are_written_so_that_yaml_gives_them_back(value: str) -> None:
    assert yaml.safe_load(f"key: {written.text(value)}") == {"key": value}


def test_mappings_in_cells_become_columns_of_a_table_beside_the_study(folder: Path) -> None:
    said = prepare("wandb_project.csv")
    assert said[0] == "The table was read as an export of Weights & Biases."
    measurements = read_yaml(Path("results/wandb_project/study.yaml"))["measurements"]["runs"]
    assert measurements["path"] == "runs.csv"
    assert measurements["columns"] == {
        **{"name": "name", "batch_size": "config.batch_size", "learning_rate": "config.learning_rate"},
        **{"seed": "config.seed", "selected_validation_loss": "summary.val_loss"},
        "selected_validation_accuracy": "summary.val_acc",
    }
    header, *rows = (folder / "results/wandb_project/runs.csv").read_text(encoding="utf-8").splitlines()
    assert '"config.optimizer.name","config.optimizer.betas"' in header
    assert '"nan"' in rows[4]
    table = folder / "wandb_project.csv"
    table.write_text(
        table.read_text(encoding="utf-8").replace("{'batch_size': 32", "['batch_size', 32"), encoding="utf-8"
    )
    assert "column `config`, row 1 after the header: `['batch_size', 32" in refusal("wandb_project.csv")
