"""The tables of a study against numbers worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import fake_results
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_results import FakeStudy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from batchscope.analysis.best import best, label
from batchscope.analysis.summary import METRICS, metrics, summary
from batchscope.jobs import saved
from batchscope.jobs import tables as study
from batchscope.probes.registry import STUDY_TABLES
from batchscope.stats.families import holm
from batchscope.stats.times import JOB_SPREAD
from batchscope.tables import codebook, records

# Tables from files


SMALL = FakeStudy(Path(), datasets={"digits": 96}, batch_sizes=(4, 32, "full"), seeds=(1, 2, 3), epochs=4)


Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables of `SMALL`, which no test changes."""
    return fake_results.tables(fake_results.write(replace(SMALL, root=tmp_path_factory.mktemp("usual"))))


@pytest.fixture(scope="module")
def on_gpu(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables of `SMALL` on a GPU, which no test changes."""
    return fake_results.tables(fake_results.write(replace(SMALL, root=tmp_path_factory.mktemp("gpu"), gpu=True)))


def cell(frame: pd.DataFrame, size: int, *, full: bool = False) -> pd.Series:
    (index,) = frame.index[(frame["batch_size"] == size) & (frame["full_batch"] == full)]
    return frame.loc[index]


def test_all_tables_are_made_saved_and_read_again(tmp_path: Path) -> None:
    made = fake_results.tables(fake_results.write(replace(SMALL, root=tmp_path, outcomes={(4, 2): "out_of_memory"})))
    assert list(made) == list(STUDY_TABLES)
    for name, frame in made.items():
        saved.save(name, frame, tmp_path / f"{name}.parquet", tmp_path / f"{name}.csv")
        again = saved.load(tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(frame, again, check_dtype=False)
        assert len(pd.read_csv(tmp_path / f"{name}.csv")) == len(frame)
    assert {path.suffix for path in tmp_path.iterdir()} == {"", ".parquet", ".csv"}  # nothing temporary left


def test_what_was_not_measured_is_null_in_both_files(tmp_path: Path) -> None:
    row = {"dataset": "d", "recipe": "r", "n": 3, "fitted": "8; 32", "bounded": "", "left_out": "", "slope": 1.0}
    frame = codebook.frame("rate_slopes", [row])
    saved.save("rate_slopes", frame, tmp_path / "t.parquet", tmp_path / "t.csv")
    again = pq.read_table(tmp_path / "t.parquet").select(["slope", "ci_low"])
    assert again.to_pylist() == [{"slope": 1, "ci_low": None}]
    assert (tmp_path / "t.csv").read_text().splitlines()[1] == "d,r,3,8; 32,,,1.0,,,,"


def test_whole_numbers_stay_whole_where_some_are_null(tmp_path: Path) -> None:
    made = fake_results.write(replace(SMALL, root=tmp_path, outcomes={(4, 2): "out_of_memory"}))
    selected = study.concat("run", made.run)["n_parameters"]
    assert selected.dtype == "Int64"
    assert selected.isna().sum() == 1


def test_rows_are_sorted_by_number_and_data_sets_keep_the_order_of_the_files(tmp_path: Path) -> None:
    made = fake_results.write(replace(SMALL, root=tmp_path, datasets={"zebra": 96, "ant": 96}))
    frame = study.concat("run", [*made.run[:9][::-1], *made.run[9:]])
    assert list(frame["dataset"]) == ["zebra"] * 9 + ["ant"] * 9
    assert list(frame["batch_size"])[:9] == [4] * 3 + [32] * 3 + [96] * 3
    assert list(frame["seed"])[:3] == [1, 2, 3]


def test_many_files_make_the_table_that_few_at_a_time_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake_results.write(replace(SMALL, root=tmp_path, outcomes={(4, 2): "out_of_memory"}))
    for table in ("run", "evaluations"):
        files = getattr(made, table)
        together = study.concat(table, files)
        with monkeypatch.context() as patch:
            patch.setattr(study, "_AT_A_TIME", 2)
            pd.testing.assert_frame_equal(study.concat(table, files), together)
        assert len(together) == sum(records.read_table(table, file).num_rows for file in files)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    made = fake_results.write(replace(SMALL, root=tmp_path))
    made.evaluations[3].unlink()
    with pytest.raises(FileNotFoundError, match="evaluations"):
        fake_results.tables(made)


def test_a_file_with_another_table_is_an_error(tmp_path: Path) -> None:
    made = fake_results.write(replace(SMALL, root=tmp_path))
    with pytest.raises(records.TableError, match="does not hold the table run"):
        study.concat("run", [made.evaluations[0]])


def test_the_same_run_twice_is_an_error(tmp_path: Path) -> None:
    made = fake_results.write(replace(SMALL, root=tmp_path))
    with pytest.raises(ValueError, match="two files describe"):
        study.concat("run", [made.run[0], made.run[1], made.run[0]])


def test_epochs_of_a_run_that_is_not_there_are_an_error(tmp_path: Path) -> None:
    made = fake_results.write(replace(SMALL, root=tmp_path))
    with pytest.raises(ValueError, match="of which there is no run"):
        fake_results.tables(replace(made, run=made.run[1:]))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 60), st.integers(2, 20))
def test_thinning_keeps_the_ends_of_every_run(length: int, limit: int) -> None:
    updates = pa.table({"update": range(1, length + 1)})
    assert study.thin(updates, None) is updates
    kept = study.thin(updates, limit)["update"].to_pylist()
    assert (len(kept), kept[0], kept[-1]) == (min(limit, length), 1, length)
    assert length == 1 or max(np.diff(kept)) <= np.ceil(length / (limit - 1))


def test_reasons_are_collapsed_and_counted(tmp_path: Path) -> None:
    made = fake_results.write(replace(SMALL, root=tmp_path, outcomes={(32, 1): "diverged"}))
    found = fake_results.tables(made)["not_measured"].set_index(["kind", "reason"])
    gpu = found.loc[("run", fake_results.NO_GPU)]
    assert "gpu_energy_joules" in gpu["columns"].split(", ")
    assert (gpu["n"], gpu["of"]) == (9, 9)
    diverged = found.loc[("run", "the run ended diverged")]
    assert diverged["n"] == 1
    assert found.loc[("timing", fake_results.NO_GPU), "of"] == 3


def test_a_manifest_without_reasons_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"seed": 1}))
    with pytest.raises(ValueError, match=r"manifest\.json.*not_measured"):
        study.not_measured(run=[tmp_path / "manifest.json"])


# Metrics and summary


def some_runs(losses: dict[int, list[float | None]], *, outcome: str = "diverged") -> pd.DataFrame:
    """Runs of one data set and recipe by batch size; a None did not end ok."""
    rows = [
        {
            **dict.fromkeys(records.TABLES["run"]),
            **dict.fromkeys(METRICS[:10], loss),
            **dict.fromkeys(("epochs", "updates", "examples", "n_train", "updates_per_epoch", "threads"), 1),
            "dataset": "d",
            "recipe": "r",
            "batch_size": size,
            "full_batch": False,
            "seed": seed,
            "outcome": outcome if loss is None else "ok",
        }
        for size, values in losses.items()
        for seed, loss in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows)


NO_TIMINGS = study.concat("timing", [])


def test_metrics_count_runs_that_did_not_end_ok_and_leave_them_out_of_the_mean() -> None:
    found = metrics(some_runs({8: [1.0, None, 3.0]})).set_index("metric").loc["selected_validation_loss"]
    assert (found["n"], found["n_runs"], found["mean"], found["minimum"], found["maximum"]) == (2, 3, 2.0, 1.0, 3.0)
    # Two values: t(0.975, 1) = 12.7062, sd / √2 = 1.
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)


def test_metrics_of_one_seed_have_no_interval_and_of_none_no_mean() -> None:
    one = metrics(some_runs({8: [1.0]})).set_index("metric").loc["selected_test_accuracy"]
    assert one["mean"] == 1.0
    assert np.isnan([one["ci_low"], one["ci_high"], one["sd"]]).all()
    none = metrics(some_runs({8: [None]}))
    assert np.isnan(none["mean"]).all()
    assert (none["n"] == 0).all()


def test_the_gap_is_train_minus_test_accuracy_at_the_selected_epoch() -> None:
    runs = some_runs({8: [0.5, 0.5]}).assign(selected_train_accuracy=[0.9, 0.8], selected_test_accuracy=[0.7, 0.7])
    found = metrics(runs).set_index("metric").loc["generalisation_gap"]
    assert found["mean"] == pytest.approx(0.15)


def test_summary_takes_seconds_from_timings_and_results_from_runs(tmp_path: Path) -> None:
    made = fake_results.write(
        replace(SMALL, root=tmp_path, outcomes={(32, 1): "diverged", ("full", 2): "out_of_memory"})
    )
    found = fake_results.tables(made)
    row, windows = cell(found["summary"], 32), found["windows"].query("batch_size == 32")["seconds_per_update"]
    assert (row["updates_per_epoch"], row["n_train"]) == (3, 96)
    assert row["seconds_per_epoch"] == pytest.approx(3 * windows.median())
    assert row["seconds_per_epoch_ci_low"] < row["seconds_per_epoch"] * math.exp(-1.96 * JOB_SPREAD)
    assert row["seconds_per_epoch_ci_high"] > row["seconds_per_epoch"] * math.exp(1.96 * JOB_SPREAD)
    assert (row["n_runs"], row["n_ok"], row["n_diverged"], row["n_out_of_memory"]) == (3, 2, 1, 0)
    ok = found["runs"].query("batch_size == 32 and outcome == 'ok'")["selected_validation_loss"]
    assert row["validation_loss_mean"] == pytest.approx(ok.mean())
    assert cell(found["summary"], 96, full=True)["n_out_of_memory"] == 1


def test_summary_on_the_cpu_says_what_was_measured_and_why_there_is_no_energy(usual: Tables) -> None:
    row = cell(usual["summary"], 4)
    assert "host" in row["memory_kind"]
    assert row["utilisation_kind"].startswith("CPU")
    assert np.isnan(row["energy_per_epoch_joules"])
    assert row["energy_reason"] == f"GPU: {fake_results.NO_GPU}; CPU packages, whole machine: {fake_results.NO_RAPL}"


def test_cpu_utilisation_is_per_thread(usual: Tables) -> None:
    four = usual["timings"].assign(threads=4, cpu_percent_mean=200.0)
    assert set(summary(usual["runs"], four, usual["not_measured"], usual["steps"])["utilisation_percent"]) == {50.0}


def test_summary_on_the_gpu(on_gpu: Tables) -> None:
    row, timing = cell(on_gpu["summary"], 4), cell(on_gpu["timings"], 4)
    assert row["memory_bytes"] == timing["allocator_peak_bytes"]
    assert row["utilisation_percent"] == timing["gpu_utilisation_mean_percent"]
    per_update = timing["gpu_energy_joules"] / (timing["windows"] * timing["updates_per_window"])
    assert row["energy_per_epoch_joules"] == pytest.approx(per_update * 24)
    assert row["energy_kind"] == "GPU"
    assert pd.isna(row["energy_reason"])


def test_one_kind_of_memory_for_all_sizes(on_gpu: Tables) -> None:
    timings = on_gpu["timings"].copy()
    timings.loc[timings["batch_size"] == 32, "allocator_peak_bytes"] = np.nan
    again = summary(on_gpu["runs"], timings, on_gpu["not_measured"], on_gpu["steps"])
    assert np.isnan(cell(again, 32)["memory_bytes"])  # not the host's, which would not compare
    assert again["memory_kind"].nunique() == 1


def test_a_timing_that_ran_out_of_memory_leaves_nulls(usual: Tables) -> None:
    timings = usual["timings"].astype({"updates_per_window": "Int64"})
    lost = ["updates_per_window", "seconds_per_epoch", "seconds_per_update_q25", "seconds_per_update_q75"]
    timings.loc[timings["batch_size"] == 32, lost] = None
    timings.loc[timings["batch_size"] == 32, ["windows", "outcome"]] = [0, "out_of_memory"]
    row = cell(summary(usual["runs"], timings, usual["not_measured"], usual["steps"]), 32)
    assert np.isnan(row["seconds_per_epoch"])
    assert row["timing_outcome"] == "out_of_memory"
    assert pd.isna(cell(best(usual["runs"], timings), 32)["fastest"])


def test_borrowed_timings_stand_under_the_name_of_their_borrower(usual: Tables) -> None:
    own = usual["timings"].drop(columns="timed_recipe")
    dataset, lender = own["dataset"].iloc[0], own["recipe"].iloc[0]
    runs = usual["runs"].assign(recipe="longer")
    runs = runs[runs["batch_size"] != own["batch_size"].max()]  # the borrower lacks a size of the lender
    both = study.with_borrowed(own, runs, [{"dataset": dataset, "recipe": "longer", "timed_recipe": lender}])
    assert both["recipe"].value_counts().to_dict() == {lender: len(own), "longer": len(own) - 1}
    assert set(both["timed_recipe"]) == {lender}
    borrowed = both[both["recipe"] == "longer"]
    assert borrowed["seconds_per_update"].tolist() == own["seconds_per_update"].tolist()[:-1]
    assert study.with_borrowed(own, runs, [{"dataset": "other", "recipe": "longer", "timed_recipe": lender}]).equals(
        study.with_borrowed(own, runs, [])
    )


def test_summary_without_timings(tmp_path: Path) -> None:
    found = fake_results.tables(fake_results.write(replace(SMALL, root=tmp_path, timings=False)))
    row = cell(found["summary"], 4)
    assert np.isnan(row["seconds_per_epoch"])
    assert row["memory_kind"].endswith("beside other runs, the largest of the runs")
    assert found["best"]["fastest"].isna().all()


# Best


def test_best_is_tested_against_every_other_size_with_all_pairs_adjusted() -> None:
    losses = {8: [1.0, 1.1, 0.9, 1.05], 32: [1.2, 1.25, 1.14, 1.2], 128: [2.0, 2.2, 1.9, 2.1]}
    found = best(some_runs(losses), NO_TIMINGS)
    p = {(a, b): stats.ttest_rel(losses[a], losses[b]).pvalue for a, b in ((8, 32), (8, 128), (32, 128))}
    adjusted = dict(zip(p, holm(list(p.values())), strict=True))
    assert list(found["status"]) == ["best", "compared", "compared"]
    assert list(found["p"][1:]) == pytest.approx([p[8, 32], p[8, 128]])
    assert list(found["p_adjusted"][1:]) == pytest.approx([adjusted[8, 32], adjusted[8, 128]])
    assert list(found["difference"][1:]) == pytest.approx([0.185, 1.0375])
    assert list(found["told_apart"][1:]) == [True, True]


def test_sizes_without_any_difference_are_rarely_told_apart() -> None:
    studies, sizes, seeds = 120, (1, 8, 32, 128), (1, 2, 3, 4, 5)
    names = [f"study {i}" for i in range(studies)]
    runs = pd.MultiIndex.from_product([names, sizes, seeds], names=["dataset", "batch_size", "seed"]).to_frame(
        index=False
    )
    losses = np.random.default_rng(3).normal(1, 0.1, len(runs))
    runs = runs.assign(recipe="r", full_batch=False, outcome="ok", selected_validation_loss=losses)
    found = best(runs.assign(selected_test_accuracy=0.9), NO_TIMINGS)
    wrong = found.groupby("dataset")["told_apart"].any().sum()
    assert wrong <= stats.binom.ppf(0.999, studies, 0.05)  # 14; without adjustment about 23


def test_sizes_that_scatter_as_much_as_they_differ_cannot_be_told_apart() -> None:
    found = best(some_runs({8: [1.0, 2.0, 3.0], 32: [3.1, 1.1, 2.0]}), NO_TIMINGS)
    assert list(found["status"]) == ["best", "compared"]
    assert not found["told_apart"].iloc[1]


def test_a_size_with_a_failed_run_is_not_compared_even_where_its_mean_is_lowest() -> None:
    found = best(some_runs({8: [0.1, None, 0.1], 32: [1.0, 1.2, 1.1], 128: [2.0, 2.3, 2.1]}), NO_TIMINGS)
    assert list(found["status"]) == ["not comparable", "best", "compared"]
    assert (found["n"].iloc[0], found["n_runs"].iloc[0]) == (2, 3)


def test_no_size_is_best_where_every_size_has_a_failed_run() -> None:
    found = best(some_runs({8: [0.1, None], 32: [None, 0.2]}), NO_TIMINGS)
    assert list(found["status"]) == ["not comparable", "not comparable"]
    assert found["difference"].isna().all()


def test_one_seed_or_a_constant_difference_is_not_testable() -> None:
    for losses in ({8: [1.0], 32: [2.0]}, {8: [1.0, 2.0, 3.0], 32: [1.5, 2.5, 3.5]}):
        found = best(some_runs(losses), NO_TIMINGS)
        assert list(found["status"]) == ["best", "not testable"]
        assert found["told_apart"].isna().all()
        assert found["difference"].iloc[1] > 0


def test_equal_losses_cannot_be_told_apart() -> None:
    found = best(some_runs({8: [1.0, 2.0], 32: [1.0, 2.0]}), NO_TIMINGS)
    assert (found["status"].iloc[1], found["told_apart"].iloc[1]) == ("compared", False)


def test_fastest_and_the_sizes_that_one_timing_each_tells_apart_from_it() -> None:
    timings = pd.DataFrame(
        {
            "dataset": "d",
            "recipe": "r",
            "batch_size": [8, 32, 128],
            "full_batch": False,
            "updates_per_epoch": [100, 25, 7],
            "seconds_per_update": [0.010, 0.011, 0.038],
            "seconds_per_update_error": [0.004, 0.005, 0.01],
            "windows": 9,
        }
    ).assign(seconds_per_epoch=lambda frame: frame["seconds_per_update"] * frame["updates_per_epoch"])
    found = best(some_runs({8: [1.0], 32: [1.0], 128: [1.0]}), timings)
    assert list(found["fastest"]) == [False, False, True]  # 1 s, 0.275 s and 0.266 s
    assert found["slower"].tolist() == [True, False, pd.NA]
    elsewhere = best(some_runs({8: [1.0], 32: [1.0], 128: [1.0]}), timings.drop(columns="seconds_per_update_error"))
    assert elsewhere["slower"].isna().all()


def test_labels_of_sizes() -> None:
    assert (label(32, False), label(54000, True)) == ("32", "54,000 (full)")


def test_what_is_said_of_single_updates_leaves_out_runs_that_failed(tmp_path: Path) -> None:
    made = replace(SMALL, root=tmp_path, outcomes={(4, 2): "diverged"})
    found = fake_results.tables(fake_results.write(made))
    steps = found["steps"][found["steps"]["batch_size"] == 4]
    row = cell(found["summary"], 4)
    assert row["gradient_norm_median"] == pytest.approx(steps["gradient_norm"].median())
    assert row["step_loss_q99"] == pytest.approx(steps.loc[steps["seed"] != 2, "loss"].quantile(0.99))
