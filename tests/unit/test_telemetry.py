"""Telemetry: exact answers of the summary, and what the sampler's thread does in a real process."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import numbers

from batchscope import telemetry
from batchscope.tables import records
from batchscope.telemetry import sampler as sampler_module
from batchscope.telemetry.host import Host
from batchscope.telemetry.summary import Reasons, Sample, summarise, time_weighted_mean

SCRIPTS = Path(telemetry.__file__).parents[2]
SERIES = [name for name in records.TABLES["telemetry"] if name not in {**records.CELL, "seed": None}]
GPU_SUMMARY = [name for name in records.TELEMETRY_SUMMARY if name.startswith("gpu_")]
NOTHING = Reasons(host={}, gpus={})


# --- means, peaks, energy: exact answers -------------------------------------------------------------------------


def gpu(**values: float | None) -> dict[str, float | None]:
    return {**dict.fromkeys(name for name in SERIES if name.startswith("gpu_")), **values}


def samples(
    times: list[float], *series: list[dict[str, Any]], host: list[dict[str, Any]] | None = None
) -> list[Sample]:
    blank = dict.fromkeys(("cpu_percent", "host_rss_bytes", "cpu_package_energy_joules"))
    return [
        Sample(moment, {**blank, **(host[k] if host else {})}, tuple(one[k] for one in series))
        for k, moment in enumerate(times)
    ]


def test_mean_weighs_each_reading_by_the_interval_that_it_ends() -> None:
    # 10 for 1 s, 40 for 3 s; the first reading speaks of the time before and counts for nothing.
    assert time_weighted_mean([0.0, 1.0, 4.0], [99, 10, 40]) == pytest.approx((10 * 1 + 40 * 3) / 4)


def test_mean_leaves_out_what_was_not_read_and_is_null_without_a_reading() -> None:
    assert time_weighted_mean([0.0, 1.0, 3.0, 4.0], [5, 10, None, 20]) == pytest.approx(15.0)
    assert time_weighted_mean([0.0, 1.0], [5, None]) is None
    assert time_weighted_mean([0.0], [5]) is None
    assert time_weighted_mean([], []) is None
    assert time_weighted_mean([2.0, 2.0], [5, 7]) is None


steps = st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(0, 1e6)), min_size=1, max_size=30)


@given(steps)
def test_mean_lies_between_the_smallest_and_the_largest_reading(intervals: list[tuple[float, float]]) -> None:
    times = [0.0]
    for length, _ in intervals:
        times.append(times[-1] + length)
    readings = [value for _, value in intervals]
    mean = time_weighted_mean(times, [1e9, *readings])
    assert mean is not None
    slack = 1e-9 * max(readings)
    assert min(readings) - slack <= mean <= max(readings) + slack


@given(steps, st.data())
def test_mean_does_not_change_when_an_interval_is_split(
    intervals: list[tuple[float, float]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(intervals) - 1))
    share = data.draw(st.floats(0.1, 0.9))
    length, value = intervals[place]
    split = [*intervals[:place], (length * share, value), (length * (1 - share), value), *intervals[place + 1 :]]

    def mean(parts: list[tuple[float, float]]) -> float | None:
        times = [math.fsum(length for length, _ in parts[:k]) for k in range(len(parts) + 1)]
        return time_weighted_mean(times, [0.0, *(value for _, value in parts)])

    assert mean(split) == pytest.approx(mean(intervals), rel=1e-6, abs=1e-6)


def test_summary_of_two_gpus_adds_power_energy_and_memory_and_averages_the_rest() -> None:
    one = [
        gpu(gpu_power_watts=1.0, gpu_utilisation_percent=0, gpu_memory_device_bytes=5, gpu_energy_joules=0.0),
        gpu(gpu_power_watts=100.0, gpu_utilisation_percent=80, gpu_memory_device_bytes=9, gpu_energy_joules=100.0),
        gpu(gpu_power_watts=200.0, gpu_utilisation_percent=20, gpu_memory_device_bytes=1, gpu_energy_joules=700.0),
    ]
    two = [
        gpu(gpu_power_watts=1.0, gpu_utilisation_percent=0, gpu_memory_device_bytes=5, gpu_energy_joules=0.0),
        gpu(gpu_power_watts=50.0, gpu_utilisation_percent=40, gpu_memory_device_bytes=1, gpu_energy_joules=50.0),
        gpu(gpu_power_watts=50.0, gpu_utilisation_percent=100, gpu_memory_device_bytes=8, gpu_energy_joules=200.0),
    ]
    values = summarise(samples([0.0, 1.0, 4.0], one, two), NOTHING).values
    assert values["gpu_power_mean_watts"] == pytest.approx((150 * 1 + 250 * 3) / 4)
    assert values["gpu_utilisation_mean_percent"] == pytest.approx((60 * 1 + 60 * 3) / 4)
    assert values["gpu_utilisation_peak_percent"] == 100
    # 10, 10 and 9 together: never 9 + 8, which were not in use at the same time.
    assert values["gpu_memory_device_peak_bytes"] == 10
    assert values["gpu_energy_joules"] == pytest.approx(900.0)
    assert values["telemetry_seconds"] == 4.0
    assert values["telemetry_samples"] == 3


def test_one_of_two_gpus_without_a_reading_leaves_the_sum_null_and_is_named() -> None:
    with_power, without = [gpu(gpu_power_watts=10.0)] * 2, [gpu()] * 2
    reasons = Reasons(host={}, gpus={"GPU 0": {}, "GPU 1": {"gpu_power_watts": "it is broken"}})
    summary = summarise(samples([0.0, 2.0], with_power, without), reasons)
    assert summary.values["gpu_power_mean_watts"] is None
    assert summary.not_measured["gpu_power_mean_watts"] == "GPU 1: it is broken."


def test_mean_over_a_part_says_which_part_and_energy_without_an_end_is_null() -> None:
    series = [gpu(gpu_power_watts=90.0, gpu_energy_joules=joules) for joules in (0.0, 90.0)] + [gpu()]
    reasons = Reasons(host={}, gpus={"GPU 0": dict.fromkeys(gpu(), "the GPU was lost")})
    summary = summarise(samples([0.0, 1.0, 4.0], series), reasons)
    assert summary.values["gpu_power_mean_watts"] == 90.0
    assert summary.notes["gpu_power_mean_watts"] == "Covers 1.0 s of 4.0 s: the GPU was lost."
    assert summary.values["gpu_energy_joules"] is None
    assert summary.not_measured["gpu_energy_joules"] == "The counter has no reading at the end: the GPU was lost."


@pytest.mark.parametrize(("seconds", "joules"), [(0.99, 50.0), (5.0, 0.0)])
def test_energy_counter_over_too_short_a_time_or_at_rest_is_null_not_zero(seconds: float, joules: float) -> None:
    series = [gpu(gpu_energy_joules=0.0), gpu(gpu_energy_joules=joules)]
    summary = summarise(samples([0.0, seconds], series), NOTHING)
    assert summary.values["gpu_energy_joules"] is None
    assert f"{seconds:.2f} s" in summary.not_measured["gpu_energy_joules"]


def test_sampling_that_ended_early_gives_no_energy_and_says_what_the_rest_covers() -> None:
    host = [{"host_rss_bytes": 7, "cpu_package_energy_joules": joules} for joules in (0.0, 3.0)]
    summary = summarise(
        samples([0.0, 2.0], host=host), Reasons(host={}, gpus={}, no_gpu="none", ended_early="it broke")
    )
    assert summary.values["host_rss_peak_bytes"] == 7
    assert numbers(summary.notes["host_rss_peak_bytes"]) == [2.0]  # seconds
    assert summary.values["cpu_package_energy_joules"] is None
    assert summary.not_measured["cpu_package_energy_joules"] == "It broke."


def test_summary_has_the_columns_of_the_tables_and_a_reason_for_every_null() -> None:
    for moments in ([], [0.0], [0.0, 1.5]):
        summary = summarise(samples(moments), Reasons(host={}, gpus={}, no_gpu="there is none"))
        assert list(summary.values) == list(records.TELEMETRY_SUMMARY)
        nulls = {name for name, value in summary.values.items() if value is None}
        assert set(summary.not_measured) == nulls
        assert all(summary.not_measured[name] == "There is none." for name in GPU_SUMMARY)


# --- the sampler on this machine ---------------------------------------------------------------------------------


def test_a_block_shorter_than_the_interval_has_a_sample_at_each_edge(tmp_path: Path) -> None:
    domain = tmp_path / "intel-rapl:0"
    domain.mkdir()
    for name, content in (("name", "package-0"), ("energy_uj", "1000"), ("max_energy_range_uj", "1000000")):
        (domain / name).write_text(content)
    with telemetry.Sampler(60.0, telemetry.no_gpus(), powercap=tmp_path) as sampler:
        time.sleep(0.05)
        (domain / "energy_uj").write_text("251000\n")
    result = sampler.result
    assert len(result.series) == 2
    assert result.summary["telemetry_samples"] == 2
    assert 0.05 <= result.summary["telemetry_seconds"] < 10  # type: ignore[operator]
    assert result.summary["cpu_package_energy_joules"] == pytest.approx(0.25)
    assert result.summary["host_rss_peak_bytes"] > 1e6  # type: ignore[operator]
    assert result.notes == {}


def test_a_cpu_job_has_one_row_a_sample_without_a_gpu_and_says_why(tmp_path: Path) -> None:
    with telemetry.Sampler(0.01, telemetry.no_gpus()) as sampler:
        deadline = time.process_time() + 0.1
        while time.process_time() < deadline:
            pass
    result = sampler.result
    assert len(result.series) == result.summary["telemetry_samples"] > 2  # type: ignore[operator]
    assert all(list(row) == SERIES or set(row) == set(SERIES) for row in result.series)
    assert all(row["gpu"] is None and row["gpu_energy_joules"] is None for row in result.series)
    assert {result.not_measured[name] for name in GPU_SUMMARY} == {"The job runs on the CPU."}
    assert result.devices == []
    assert result.summary["cpu_percent_mean"] > 10  # type: ignore[operator]
    identity = {"dataset": "d", "recipe": "r", "batch_size": 8, "full_batch": False, "seed": 0}
    records.write_table("telemetry", [{**identity, **row} for row in result.series], tmp_path / "telemetry.parquet")
    assert records.read_table("telemetry", tmp_path / "telemetry.parquet").num_rows == len(result.series)


def test_samples_are_apart_by_the_interval_and_time_never_runs_back() -> None:
    start = time.monotonic()
    with telemetry.Sampler(0.05, telemetry.no_gpus()) as sampler:
        time.sleep(0.5)
    took = time.monotonic() - start
    times = [row["elapsed_seconds"] for row in sampler.result.series]
    assert times == sorted(times)  # type: ignore[type-var]
    assert 3 <= len(times) <= took / 0.05 + 2


def test_an_error_of_one_source_becomes_its_reason_and_spares_training_and_the_others(monkeypatch: Any) -> None:
    def broken(self: Host, elapsed: float) -> dict[str, float | int | None]:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(Host, "read", broken)
    with telemetry.Sampler(0.01, telemetry.no_gpus()) as sampler:
        time.sleep(0.05)
    result = sampler.result
    assert result.summary["host_rss_peak_bytes"] is None
    assert "ZeroDivisionError: of all things" in result.not_measured["host_rss_peak_bytes"]
    assert result.summary["telemetry_samples"] >= 2  # type: ignore[operator]


def test_an_error_in_the_thread_ends_sampling_and_is_the_reason(monkeypatch: Any) -> None:
    sample, calls = telemetry.Sampler._sample, []

    def fails_in_thread(self: telemetry.Sampler, *, edge: bool) -> None:
        calls.append(threading.current_thread().name)
        if len(calls) == 3:
            raise MemoryError("no room")
        sample(self, edge=edge)

    monkeypatch.setattr(telemetry.Sampler, "_sample", fails_in_thread)
    with telemetry.Sampler(0.01, telemetry.no_gpus()) as sampler:
        time.sleep(0.2)
    result = sampler.result
    assert calls == ["MainThread", "telemetry", "telemetry"]
    assert result.summary["telemetry_samples"] == 2
    assert "MemoryError: no room" in result.notes["host_rss_peak_bytes"]
    assert set(result.not_measured) == {name for name, value in result.summary.items() if value is None}


def test_a_reading_that_hangs_does_not_hold_up_training(monkeypatch: Any) -> None:
    release, read = threading.Event(), Host.read

    def hangs(self: Host, elapsed: float) -> dict[str, float | int | None]:
        if threading.current_thread().name == "telemetry":
            release.wait(30)
        return read(self, elapsed)

    monkeypatch.setattr(Host, "read", hangs)
    monkeypatch.setattr(sampler_module, "_PATIENCE_SECONDS", 0.1)
    started = time.monotonic()
    with telemetry.Sampler(0.01, telemetry.no_gpus()) as sampler:
        time.sleep(0.05)
    release.set()
    assert time.monotonic() - started < 10
    assert sampler.result.summary["telemetry_samples"] == 1
    assert numbers(sampler.result.not_measured["cpu_percent_mean"]) == [0.1]  # seconds


def test_errors_of_the_block_pass_and_the_result_is_there_all_the_same() -> None:
    with pytest.raises(KeyError, match="mine"), telemetry.Sampler(60.0, telemetry.no_gpus()) as sampler:
        raise KeyError("mine")
    assert sampler.result.summary["telemetry_samples"] == 2


def test_result_before_the_end_and_a_bad_interval_are_refused() -> None:
    with telemetry.Sampler(60.0, telemetry.no_gpus()) as sampler, pytest.raises(RuntimeError, match="has not ended"):
        _ = sampler.result
    for interval in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="interval_seconds must be a positive number"):
            telemetry.Sampler(interval)


def test_importing_telemetry_imports_no_framework_and_no_tables() -> None:
    code = "import sys; from batchscope import telemetry; print(*sorted(sys.modules))"
    variables = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert not {"pandas", "numpy", "pyarrow", "tensorflow", "keras", "pynvml"} & set(done.stdout.split())
