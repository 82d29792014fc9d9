"""Results made elsewhere: what is read from a file, what is refused, and what energy could be saved."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchscope.analysis.external_runs.tables import read
from batchscope.analysis.scaling import critical_batch_sizes
from batchscope.analysis.targets import savings, summarise
from batchscope.config.errors import DataError
from batchscope.jobs import saved as files
from batchscope.tables import records
from batchscope.tables.codebook import dtypes

COLUMNS = {"batch_size": "batch", "seed": "run", "epochs": "epochs"}
RUNS = "batch,run,epochs\n32,0,10\n32,1,12\n8,0,7\n8,1,\n"


def mapping(folder: Path, text: str = RUNS, **keys: Any) -> dict[str, Any]:
    path = folder / "runs.csv"
    path.write_text(text, encoding="utf-8")
    runs = {"path": str(path), "dataset": "speech", "recipe": "adamw", "n_train": None, "metric": "WER", "target": 40.0}
    runs |= {"better": "lower", "where": {}, "shared_seeds": False, "columns": COLUMNS}
    return {"runs": runs | keys, "timings": None, "baseline": None}


def with_timings(measurements: dict[str, Any], text: str, baseline: dict[str, Any] | None = None) -> dict[str, Any]:
    path = Path(measurements["runs"]["path"]).parent / "timings.csv"
    path.write_text(text, encoding="utf-8")
    header = text.splitlines()[0].split(",")
    timings = {"path": str(path), "columns": {name: name for name in header}}
    return {**measurements, "timings": timings, "baseline": baseline}


POWER = (
    "batch_size,power_limit_watts,seconds_per_epoch,power_watts\n"
    "8,100,100,90\n8,200,50,150\n32,100,60,95\n32,200,40,190\n64,200,30,200\n"
)
BASELINE = {"batch_size": 32, "power_limit_watts": 200.0}


@pytest.mark.parametrize("cell", ["", "nan", "NA", " null "])
def test_an_empty_cell_is_a_missed_target(tmp_path: Path, cell: str) -> None:
    table = read(mapping(tmp_path, RUNS.replace("8,1,", f"8,1,{cell}"))).to_target
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == dtypes("to_target")
    assert table[["batch_size", "seed"]].to_numpy().tolist() == [[8, 0], [8, 1], [32, 0], [32, 1]]
    assert table["reached"].tolist() == [True, False, True, True]
    assert table["epochs"].tolist() == pytest.approx([7, np.nan, 10, 12], nan_ok=True)
    assert table["budget_epochs"].tolist() == pytest.approx([7, np.nan, 10, 12], nan_ok=True)
    assert table[["updates", "examples", "seconds", "joules"]].isna().all(axis=None)
    assert table["resolution_epochs"].tolist() == pytest.approx([1, np.nan, 1, 1], nan_ok=True)  # whole numbers
    assert (table["metric"].unique().tolist(), table["target"].unique().tolist()) == (["WER"], [40.0])


@pytest.mark.parametrize(("given", "value"), [("epochs", 3), ("updates", 3 * 11)])
def test_epochs_updates_and_examples_follow_from_each_other(tmp_path: Path, given: str, value: int) -> None:
    columns = {"batch_size": "b", "seed": "s", given: "x"}
    read_back = read(mapping(tmp_path, f"b,s,x\n10,0,{value}\n", n_train=101, columns=columns))
    row = read_back.to_target.iloc[0]
    assert (row["epochs"], row["updates"], row["examples"]) == (3, 33, 303)
    assert read_back.runs["updates_per_epoch"].tolist() == [11]


@pytest.mark.parametrize(
    ("said", "last", "epochs", "known"),
    [(None, "12.5", 12.5, np.nan), (0.5, "12.5", 12.5, 0.5), (4.0, "12", 12, 4.0), (None, "12.0", 12, 1.0)],
)
def test_how_finely_runs_were_looked_at_is_said_or_seen_in_whole_numbers(
    tmp_path: Path, said: float | None, last: str, epochs: float, known: float
) -> None:
    text = RUNS.replace("32,1,12", f"32,1,{last}")
    found = read(mapping(tmp_path, text, resolution_epochs=said)).to_target.query("reached")
    assert found["epochs"].tolist() == [7, 10, epochs]
    assert found["resolution_epochs"].tolist() == pytest.approx([known] * 3, nan_ok=True)


def test_updates_are_whole_numbers_whenever_runs_were_looked_at(tmp_path: Path) -> None:
    found = read(mapping(tmp_path, n_train=100, columns={"batch_size": "batch", "seed": "run", "updates": "epochs"}))
    assert found.to_target["resolution_epochs"].isna().all()


def test_whole_epochs_that_are_few_give_no_critical_size(tmp_path: Path) -> None:
    epochs = {8: (1, 1, 1), 16: (1, 1, 1), 32: (1, 1, 1), 64: (2, 1, 1), 128: (2, 2, 2)}
    text = "batch,run,epochs\n" + "".join(f"{b},{i},{e}\n" for b, runs in epochs.items() for i, e in enumerate(runs))
    fit = critical_batch_sizes(read(mapping(tmp_path, text)).to_target, {}).iloc[0]
    assert not fit["accepted"]
    assert "takes 1 epoch, known only to 1: evaluate runs more often" in fit["reason"]
    assert fit[["at_least", "at_most"]].isna().all()
    finer = mapping(tmp_path, text, resolution_epochs=0.1)
    assert critical_batch_sizes(read(finer).to_target, {}).iloc[0]["accepted"]


def test_targets_in_a_column_share_the_runs(tmp_path: Path) -> None:
    text = "b,s,t,x,acc\n8,0,40,9,0.9\n8,0,45,6,0.9\n8,1,40,,0.8\n8,1,45,7,0.8\n"
    columns = {"batch_size": "b", "seed": "s", "target": "t", "epochs": "x", "selected_test_accuracy": "acc"}
    found = read(mapping(tmp_path, text, target=None, columns=columns))
    assert found.runs["selected_test_accuracy"].tolist() == [0.9, 0.8]
    assert len(found.to_target) == 4
    assert found.to_target["budget_epochs"].tolist() == pytest.approx([9, 6, np.nan, 7], nan_ok=True)


def test_runs_have_the_columns_of_the_workflow_and_null_for_what_is_not_known(tmp_path: Path) -> None:
    found = read(mapping(tmp_path))
    assert list(found.runs.columns) == list(records.TABLES["run"])
    assert (found.runs["outcome"] == "ok").all()
    assert found.runs["engine"].unique().tolist() == ["imported"]
    assert found.runs["fingerprint"].str.fullmatch("[0-9a-f]{64}").all()
    assert found.runs[["n_train", "updates", "selected_test_accuracy", "stopped_early"]].isna().all(axis=None)
    assert list(found.timings.columns) == list(records.TABLES["timing"])


def test_the_tables_can_be_saved_and_loaded(tmp_path: Path) -> None:
    found = read(with_timings(mapping(tmp_path, n_train=100), POWER, BASELINE))
    for name in ("runs", "to_target"):
        frame = vars(found)[name]
        files.save(name, frame, tmp_path / f"{name}.parquet", tmp_path / f"{name}.csv")
        assert len(files.load(tmp_path / f"{name}.parquet")) == len(frame)


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    from_csv = read(mapping(tmp_path))
    path = tmp_path / "runs.parquet"
    pd.read_csv(tmp_path / "runs.csv").to_parquet(path)
    from_parquet = read(mapping(tmp_path, path=str(path)))
    pd.testing.assert_frame_equal(from_csv.to_target, from_parquet.to_target)


def test_seconds_and_joules_come_from_the_timings_at_the_limit_of_the_baseline(tmp_path: Path) -> None:
    found = read(with_timings(mapping(tmp_path, n_train=100), POWER, BASELINE))
    assert found.to_target["seconds"].tolist() == pytest.approx([350, np.nan, 400, 480], nan_ok=True)
    assert found.to_target["joules"].tolist() == pytest.approx([52500, np.nan, 76000, 91200], nan_ok=True)
    assert found.timings["batch_size"].tolist() == [8, 32]  # no run has batch size 64
    assert found.timings["seconds_per_epoch"].tolist() == [50, 40]
    assert found.timings["seconds_per_update"].tolist() == pytest.approx([50 / 13, 10])
    assert len(found.timings_by_limit) == 5


def test_measured_seconds_win_over_derived_ones(tmp_path: Path) -> None:
    columns = {**COLUMNS, "seconds": "s"}
    text = "batch,run,epochs,s\n32,0,10,333\n8,0,,99\n"
    found = read(with_timings(mapping(tmp_path, text, columns=columns), POWER, BASELINE))
    assert found.to_target["seconds"].tolist() == pytest.approx([np.nan, 333], nan_ok=True)


def test_a_budget_column_is_how_long_runs_were_followed(tmp_path: Path) -> None:
    columns = {**COLUMNS, "budget_epochs": "until"}
    text = "batch,run,epochs,until\n32,0,10,50\n8,0,,30\n"
    assert read(mapping(tmp_path, text, columns=columns)).to_target["budget_epochs"].tolist() == [30, 50]
    with pytest.raises(DataError, match=r"`until`.*row 1 .*9 is below the 10 epochs"):
        read(mapping(tmp_path, text.replace("50", "9"), columns=columns))


def test_without_a_budget_column_nothing_is_made_up_about_runs_that_missed_the_target(tmp_path: Path) -> None:
    found = read(mapping(tmp_path))
    small, large = summarise(found.to_target, found.runs, found.timings).to_dict("records")
    assert (small["n"], small["n_reached"], large["n_reached"]) == (2, 1, 2)
    assert large["epochs_median"] == 10
    assert np.isnan([small["epochs_median"], small["epochs_restricted_mean"]]).all()
    assert np.isnan([large["epochs_restricted_mean"], large["restricted_to_epochs"]]).all()  # no horizon is shared
    with_budget = "batch,run,epochs,until\n32,0,10,20\n32,1,12,20\n8,0,7,20\n8,1,,20\n"
    known = read(mapping(tmp_path, with_budget, columns={**COLUMNS, "budget_epochs": "until"}))
    assert summarise(known.to_target, known.runs, known.timings)["restricted_to_epochs"].tolist() == [20, 20]


def test_files_without_targets_give_runs_only(tmp_path: Path) -> None:
    columns = {"batch_size": "b", "seed": "s", "selected_test_accuracy": "a"}
    found = read(mapping(tmp_path, "b,s,a\n8,0,0.5\n", metric=None, target=None, columns=columns))
    assert found.to_target.empty
    assert {name: str(dtype) for name, dtype in found.to_target.dtypes.items()} == dtypes("to_target")
    assert len(found.runs) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("batch,run\n8,0\n", r"names the column `epochs`, which is not there; valid is one of batch, run"),
        ("", r"valid is a file with columns, and this one is empty"),
        ("batch,run,epochs\n", r"no rows"),
        ("batch,run,epochs\n8,0,1\nmany,1,2\n", r"column `batch` .*columns\.batch_size\), row 2 .*`many`.*integer"),
        ("batch,run,epochs\n0,0,1\n", r"row 1 .*`0` is not allowed; valid is an integer from 1"),
        ("batch,run,epochs\n8.5,0,1\n", r"`8.5` is not a whole number"),
        ("batch,run,epochs\n8,1e3,1\n", r"column `run` .*`1e3` is not a whole number"),
        ("batch,run,epochs\n8,0.5,1\n", r"column `run` .*`0.5` is not a whole number"),
        ("batch,run,epochs\n8,-3,1\n", r"`-3` is not allowed; valid is an integer from 0 to 9223372036854775807"),
        ("batch,run,epochs\n8,9223372036854775808,1\n", r"column `run` .*`9223372036854775808` is not allowed"),
        ("batch,run,epochs\n8,18446744073709551617,1\n", r"`18446744073709551617` is not allowed"),
        ("batch,run,epochs\n9223372036854775808,1,1\n", r"column `batch` .*`9223372036854775808` is not allowed"),
        ("batch,run,epochs\n,0,1\n", r"column `batch` .*the cell has no value"),
        ("batch,run,epochs\n8,,1\n", r"column `run` .*the cell has no value"),
        ("batch,run,epochs\n8,NaN,1\n", r"column `run` .*the cell has no value"),
        ("batch,run,epochs\n8,0,1\n8,0,2\n", r"row 2 .*batch size 8 with seed 0 and target 40 was in a row before"),
        ("batch,run,epochs\n8,0,-1\n", r"column `epochs` .*`-1` is not allowed; valid is a number from 0, or an empty"),
        ("batch,run,epochs\n8,0,inf\n", r"`inf` is not allowed"),
        ("batch,run,epochs\n8,0\n", r"row 1 .*has 2 cells; valid are 3"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as error:
        read(mapping(tmp_path, text))
    assert "runs.csv" in str(error.value)
    assert "\n" not in str(error.value)


SEEDS = [0, 2**53 + 1, 2**53 + 2, 2**62 + 1, 2**63 - 1]


@pytest.mark.parametrize("kind", ["csv", "int64", "uint64", "decimal", "text", "index"])
def test_seeds_beyond_the_whole_numbers_of_a_float_come_back(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "seeds.parquet"
    frame = pd.DataFrame({"run": SEEDS, "batch": 8, "epochs": 1.0})
    if kind == "csv":
        path.with_suffix(".csv").write_text("batch,run,epochs\n" + "".join(f"8,{seed},1\n" for seed in SEEDS))
        path = path.with_suffix(".csv")
    elif kind == "index":
        frame.set_index("run").to_parquet(path)
    else:
        types = {"int64": pa.int64(), "uint64": pa.uint64(), "decimal": pa.decimal128(20), "text": pa.string()}
        values = [Decimal(seed) if kind == "decimal" else str(seed) if kind == "text" else seed for seed in SEEDS]
        columns = {"run": pa.array(values, types[kind]), "batch": [8] * 5, "epochs": [1.0] * 5}
        pq.write_table(pa.table(columns), path)
    found = read(mapping(tmp_path, path=str(path)))
    assert found.runs["seed"].tolist() == SEEDS
    assert found.to_target["seed"].tolist() == SEEDS


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (pa.array([2**63 - 1, 2**63], pa.uint64()), r"row 2 .*`9223372036854775808` is not allowed"),
        (pa.array([2**63 - 1, None], pa.int64()), r"row 2 .*the cell has no value"),
        (pa.array([7, -7], pa.int64()), r"row 2 .*`-7` is not allowed"),
        (pa.array([7.0, 7.5]), r"row 2 .*`7.5` is not a whole number"),
        (pa.array([7.0, float("inf")]), r"row 2 .*`inf` is not a whole number"),
        (pa.array([[7], [8]]), r"column `run` has the type list<element: int64>; valid is a column of numbers"),
    ],
)
def test_seeds_are_shown_as_a_parquet_file_has_them(tmp_path: Path, seeds: pa.Array, words: str) -> None:
    path = tmp_path / "seeds.parquet"
    pq.write_table(pa.table({"run": seeds, "batch": [8, 8], "epochs": [1.0, 1.0]}), path)
    with pytest.raises(DataError, match=words):
        read(mapping(tmp_path, path=str(path)))


def test_a_long_cell_that_nobody_asked_for_is_skipped(tmp_path: Path) -> None:
    text = RUNS.replace("\n", ",note\n", 1)
    header, *rows = text.splitlines()
    found = read(mapping(tmp_path, "\n".join([header, *(f"{row},{'a' * 200_000}" for row in rows)])))
    pd.testing.assert_frame_equal(found.to_target, read(mapping(tmp_path)).to_target)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        read(mapping(tmp_path, path=str(tmp_path / "nowhere.csv")))
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"not a table")
    with pytest.raises(DataError, match=r"broken\.parquet"):
        read(mapping(tmp_path, path=str(broken)))
    latin = tmp_path / "latin.csv"
    latin.write_bytes("batch,run,epochs\n8,0,1\n8,1,é\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.csv"):
        read(mapping(tmp_path, path=str(latin)))


def test_accuracies_in_percent_and_rows_of_a_run_that_differ_are_refused(tmp_path: Path) -> None:
    columns = {"batch_size": "b", "seed": "s", "target": "t", "epochs": "x", "selected_test_accuracy": "a"}
    with pytest.raises(DataError, match="percentages, named under `percent`"):
        read(mapping(tmp_path, "b,s,t,x,a\n8,0,1,1,93.5\n", columns=columns))
    with pytest.raises(DataError, match="rows of the same run differ"):
        read(mapping(tmp_path, "b,s,t,x,a\n8,0,1,1,0.9\n8,0,2,1,0.8\n", columns=columns))


@pytest.mark.parametrize(
    ("text", "baseline", "words"),
    [
        (POWER, {"batch_size": 16, "power_limit_watts": 200.0}, r"batch size 16 at 200 W.*valid is one of 8, 32, 64"),
        (POWER, {"batch_size": 32, "power_limit_watts": 250.0}, r"valid is a limit of 100, 200"),
        (POWER + "8,100,1,1\n", BASELINE, r"row 6 .*batch size 8 was in a row before"),
        (POWER.replace("8,100,100", "8,100,0"), BASELINE, r"`0` is not allowed; valid is a number above 0"),
    ],
)
def test_what_is_wrong_with_timings_is_said(tmp_path: Path, text: str, baseline: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(with_timings(mapping(tmp_path), text, baseline))


def saved(measurements: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = read(measurements)
    table = savings(found.to_target, found.timings_by_limit, measurements["baseline"])
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == dtypes("savings")
    return {row["choice"]: row for row in table.to_dict("records")}


def test_savings_are_against_the_baseline_and_skip_sizes_that_miss_the_target(tmp_path: Path) -> None:
    rows = saved(with_timings(mapping(tmp_path, RUNS.replace("8,1,", "8,1,7")), POWER, BASELINE))
    assert rows["baseline"]["joules"] == pytest.approx(11 * 40 * 190)
    assert rows["batch_size"]["batch_size"] == 8
    assert rows["batch_size"]["joules"] == pytest.approx(7 * 50 * 150)
    assert rows["power_limit"]["power_limit_watts"] == 100
    assert rows["power_limit"]["saving_percent"] == pytest.approx(100 * (1 - 60 * 95 / (40 * 190)))
    assert (rows["both"]["batch_size"], rows["both"]["power_limit_watts"]) == (8, 200)
    missed = saved(with_timings(mapping(tmp_path), POWER, BASELINE))
    assert missed["batch_size"]["batch_size"] == 32
    assert missed["batch_size"]["saving_percent"] == pytest.approx(0)


def test_without_power_limits_only_the_batch_size_can_save(tmp_path: Path) -> None:
    text = "batch_size,seconds_per_epoch,power_watts\n8,50,150\n32,40,190\n"
    rows = saved(with_timings(mapping(tmp_path), text, {"batch_size": 32, "power_limit_watts": None}))
    assert list(rows) == ["baseline", "batch_size"]


def test_savings_against_a_baseline_that_misses_the_target_are_null(tmp_path: Path) -> None:
    rows = saved(with_timings(mapping(tmp_path), POWER, {"batch_size": 8, "power_limit_watts": 200.0}))
    assert np.isnan(rows["baseline"]["joules"])
    assert rows["batch_size"]["batch_size"] == 32
    assert np.isnan(rows["batch_size"]["saving_percent"])


def test_without_a_baseline_there_are_no_savings(tmp_path: Path) -> None:
    assert saved(mapping(tmp_path)) == {}


def test_energy_of_speech_recognition_in_the_zeus_trace() -> None:
    folder = os.environ.get("BATCHSCOPE_MEASUREMENTS")
    if folder is None:
        pytest.skip("BATCHSCOPE_MEASUREMENTS does not name a folder with published measurements")
    files = [Path(folder) / f"zeus_librispeech_{name}.csv" for name in ("train", "power_v100")]
    if not all(path.is_file() for path in files):
        pytest.skip("the folder BATCHSCOPE_MEASUREMENTS has no zeus_librispeech files")
    columns = {"batch_size": "batch_size", "seed": "run", "target": "target_metric", "epochs": "target_epoch"}
    columns["learning_rate"] = "learning_rate"
    runs = {"path": str(files[0]), "dataset": "librispeech", "recipe": "adamw", "n_train": None, "metric": "WER"}
    timed = {"batch_size": "batch_size", "power_limit_watts": "power_limit"}
    timed |= {"seconds_per_epoch": "time_per_epoch", "power_watts": "average_power"}
    measurements = {
        "runs": {**runs, "target": None, "better": "lower", "where": {}, "shared_seeds": False, "columns": columns},
        "timings": {"path": str(files[1]), "columns": timed},
        "baseline": {"batch_size": 192, "power_limit_watts": 250.0},
    }
    found = read(measurements)
    table = savings(found.to_target, found.timings_by_limit, measurements["baseline"])  # type: ignore[arg-type]
    rows = table[table["target"] == 40].set_index("choice")
    assert rows["saving_percent"].to_dict() == pytest.approx(
        {"baseline": 0, "batch_size": 18.00, "power_limit": 16.19, "both": 42.79}, abs=0.01
    )
    assert rows["batch_size"].tolist() == [192, 48, 192, 32]
    assert rows["power_limit_watts"].tolist() == [250, 250, 100, 100]
