"""The check on an NVIDIA card: its arithmetic on made-up readings, and a part of it on the stand-in for the driver."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a file of benchmarks/gpu or tools, which import each other by their names alone."""
    before = set(sys.modules)
    for folder in ("benchmarks/gpu", "tools"):
        monkeypatch.syspath_prepend(str(ROOT / folder))

    def imported(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield imported
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith((str(ROOT / "benchmarks"), str(ROOT / "tools"))):
            del sys.modules[name]


def load(seconds: float = 16.0, step: float = 0.05, average: float = 1.0, counted: float = 0.1) -> list[dict[str, Any]]:
    """Readings of a card that takes 100 W, from the fourth second on 600 W, and from the ninth on 100 W again.

    Power is the mean over the last `average` seconds, the counter is brought up to date every `counted` seconds.
    """
    rows = []
    for at in np.arange(0.0, seconds, step):
        power = (joules(at) - joules(at - average)) / average
        counter = joules(counted * np.floor(at / counted + 1e-9)) - joules(0.0)
        rows.append(
            {"elapsed_seconds": float(at), "gpu_power_watts": float(power), "gpu_energy_joules": float(counter)}
        )
    return rows


def joules(at: float) -> float:
    return 100.0 * at + 500.0 * float(np.clip(at - 4.0, 0.0, 5.0))


def test_counter_and_integral_agree_where_power_is_steady(part: Any) -> None:
    energy = part("energy")
    one = energy.compare(load(), 6.0, 8.0)
    assert one.integral_joules == pytest.approx(600.0 * 2.0)
    assert (one.from_averaging, one.from_sampling) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert one.from_counter == pytest.approx(600.0 * 0.1 / 1200.0)
    assert abs(one.ratio - 1) <= one.bound - energy.SENSOR


@pytest.mark.parametrize("start", np.arange(0.5, 9.0, 0.4))
@pytest.mark.parametrize("length", [0.7, 1.6, 5.0])
def test_they_differ_by_no_more_than_the_bound_wherever_a_stretch_lies(part: Any, start: float, length: float) -> None:
    energy = part("energy")
    one = energy.compare(load(), start, start + length)
    assert abs(one.ratio - 1) <= one.bound - energy.SENSOR


def test_a_counter_that_counts_a_third_too_much_is_found(part: Any) -> None:
    rows = [row | {"gpu_energy_joules": row["gpu_energy_joules"] * 4 / 3} for row in load()]
    one = part("energy").compare(rows, 0.0, 12.0)
    assert one.ratio == pytest.approx(4 / 3, abs=0.02)
    assert abs(one.ratio - 1) > one.bound


def test_too_few_readings_give_no_ratio(part: Any) -> None:
    blank = [row | {"gpu_power_watts": None} for row in load()]
    assert part("energy").compare(blank, 0.0, 12.0) is None
    assert part("energy").compare(load(), 6.0, 6.05) is None
    assert part("energy").rise_seconds(blank, 4.0, 9.0) is None


def test_power_rises_over_the_window_that_it_is_averaged_over(part: Any) -> None:
    found = part("energy").rise_seconds(load(step=0.01), 4.0, 9.0)
    assert found == pytest.approx(0.8, abs=0.02)


def reading(device: float | None, process: float | None) -> dict[str, Any]:
    as_bytes = [None if each is None else each * MIB for each in (device, process)]
    return {"device_bytes": as_bytes[0], "process_bytes": as_bytes[1], "in_use_bytes": None, "pool_bytes": None}


def verdicts(checks: list[Any]) -> list[bool | None]:
    return [check.passed for check in checks]


def test_steps_of_memory_are_held_to_the_bytes_asked_for(part: Any) -> None:
    allocations = part("allocations")
    before, steps = reading(600, None), [reading(900 + 256 * step, 300 + 256 * step) for step in range(5)]
    made = allocations.step_checks("exact", 256 * MIB, before, steps, None)
    assert verdicts(made) == [True, True, True]
    wrong = [*steps[:-1], reading(900 + 256 * 4 + 3, 300 + 256 * 4)]  # three MiB more than asked for
    assert verdicts(allocations.step_checks("exact", 256 * MIB, before, wrong, None)) == [False, True, True]
    pool = [reading(900 + size, 300 + size) for size in (0, 256, 512, 1024, 1024)]
    assert verdicts(allocations.step_checks("pool", 256 * MIB, before, pool, 1024 * MIB)) == [True] * 4
    assert verdicts(allocations.step_checks("pool", 256 * MIB, before, pool, 512 * MIB)) == [True] * 3 + [False]
    blind = [reading(None, None)] * 5
    assert verdicts(allocations.step_checks("pool", 256 * MIB, reading(None, None), blind, None)) == [None] * 3


def test_what_was_not_measured_neither_passes_nor_fails(part: Any) -> None:
    checks = part("checks")
    assert verdicts([checks.equal("x", each) for each in (0, 1, -1, None)]) == [True, False, False, None]
    assert verdicts([checks.between("x", each, 1, 2) for each in (0.9, 1, 2, 2.1, None)]) == [
        *(False, True, True, False, None)
    ]
    assert checks.between("x", 1.5, high=2).valid == "at most 2"


def test_operations_of_an_update_are_counted(part: Any) -> None:
    network = part("updates").Network("n", 1, 3, (5,), 0.0, {}, (1,))
    # 3 × 5 forwards and for weights; 5 × 10 forwards, for weights and for inputs; two operations each.
    assert network.operations == 2 * (2 * 15 + 3 * 50)


GOOD = {
    "device": "gpu",
    "outcome": "ok",
    "gpu_utilisation_mean_percent": 40.0,
    "gpu_utilisation_peak_percent": 80.0,
    "gpu_memory_controller_mean_percent": 5.0,
    "gpu_temperature_peak_celsius": 50.0,
    "gpu_power_mean_watts": 200.0,
    "gpu_energy_joules": 390.0,
    "telemetry_seconds": 2.0,
    "gpu_sm_clock_mean_mhz": 1900.0,
    "gpu_memory_device_peak_bytes": 2e9,
    "gpu_memory_process_peak_bytes": 1e9,
    "allocator_peak_bytes": 1e7,
}
FACTS = {"power_limit_watts": 700.0, "sm_clock_max_mhz": 1980, "memory_total_bytes": 8e10}


def failed(quickstart: ModuleType, kind: str, **changes: Any) -> list[str]:
    table = pd.DataFrame([GOOD, GOOD | changes])
    return [check.what for check in quickstart.record_checks(kind, table, "gpu", FACTS) if check.passed is False]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("device", "cpu"),
        ("outcome", "out_of_memory"),
        ("gpu_utilisation_peak_percent", 101.0),
        ("gpu_power_mean_watts", 900.0),
        ("gpu_sm_clock_mean_mhz", 2100.0),
        ("gpu_memory_process_peak_bytes", 1e6),
        ("gpu_temperature_peak_celsius", 0.0),
    ],
)
def test_each_column_of_a_record_is_held_to_the_card(part: Any, column: str, value: Any) -> None:
    quickstart = part("quickstart")
    assert failed(quickstart, "runs") == failed(quickstart, "timings") == []
    assert len(failed(quickstart, "runs", **{column: value})) == 1


def test_energy_of_timings_is_held_to_their_power_and_that_of_runs_is_not(part: Any) -> None:
    quickstart = part("quickstart")
    assert len(failed(quickstart, "timings", gpu_energy_joules=3900.0)) == 1
    assert failed(quickstart, "runs", gpu_energy_joules=3900.0) == []


def test_records_without_a_card_are_not_measured(part: Any) -> None:
    quickstart = part("quickstart")
    blank = {name: None if name.startswith(("gpu_", "allocator")) else value for name, value in GOOD.items()}
    made = quickstart.record_checks("timings", pd.DataFrame([blank]), "gpu", {})
    assert {check.passed for check in made[2:]} == {None}


def test_wheels_leave_out_what_is_there_and_what_jax_brings(part: Any) -> None:
    wheels = part("gpu_wheels")
    lock = wheels.LOCK.read_text()
    names = {line.partition("==")[0] for line in lock.splitlines() if "==" in line}
    kept = wheels.without(lock, wheels.OF_JAX | {"pandas", "not-there"})
    left = {line.partition("==")[0] for line in kept.splitlines() if "==" in line}
    assert names - left == wheels.OF_JAX | {"pandas"}
    assert {"keras", "snakemake", "papermill"} <= left
    assert lock.count("--hash") > kept.count("--hash") > 0


def test_packages_are_asked_for_without_versions(part: Any) -> None:
    needed = part("gpu_check").needed()
    assert {"jax", "keras", "snakemake", "papermill", "pyarrow"} <= set(needed)
    assert not [name for name in needed if set(name) & set("<>=#; ")]


def test_wheels_are_refused_where_they_are_missing_or_not_needed(part: Any, tmp_path: Path) -> None:
    check = part("gpu_check")
    assert check.environment(None, tmp_path) == Path(sys.executable)
    with pytest.raises(SystemExit, match="there is no wheel in this folder"):
        check.environment(tmp_path, tmp_path)
    (tmp_path / "some-1.0-py3-none-any.whl").touch()
    with pytest.raises(SystemExit, match="has Snakemake already"):  # as the environment of the tests
        check.environment(tmp_path, tmp_path)


def test_a_command_that_takes_too_long_is_killed_with_all_that_it_started(part: Any, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, pathlib, time; child = subprocess.Popen(['sleep', '100']);"
        "pathlib.Path('child').write_text(str(child.pid)); time.sleep(100)"
    )
    with (tmp_path / "log").open("w") as log:
        start = time.monotonic()
        assert part("gpu_check").ended([sys.executable, "-c", code], tmp_path, log, 2.0) is None
        assert time.monotonic() - start < 50
        assert part("gpu_check").ended([sys.executable, "-c", "raise SystemExit(3)"], tmp_path, log, 60.0) == 3
    child = Path("/proc") / (tmp_path / "child").read_text()
    for _ in range(100):
        gone = not child.exists() or " Z " in (child / "stat").read_text()
        if gone:
            return
        time.sleep(0.05)
    raise AssertionError("the child of a command that was killed lives on")


def test_a_part_on_the_stand_in_for_the_driver_gives_rows_and_a_page(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler (cc or gcc) to compile the stand-in for the driver library")
    library = [
        "-shared",
        "-fPIC",
        "-o",
        str(tmp_path / "libnvidia-ml.so.1"),
        str(Path(__file__).with_name("nvml_stub.c")),
    ]
    subprocess.run([compiler, *library], check=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("CUDA_", "NVML_"))}
    counter = ",".join(str(5_000_000_000_000 + 1000 * step) for step in range(400))
    script = {
        "NVML_STUB_nvmlDeviceGetUtilizationRates": "0/0," * 5 + "97/30",
        "NVML_STUB_nvmlDeviceGetTotalEnergyConsumption": counter,
        "NVML_STUB_nvmlDeviceGetTemperature": "!3",
    }
    command = [sys.executable, str(ROOT / "tools/gpu_check.py"), "--device", "cpu", "--out", "out", "telemetry"]
    environment = {**kept, "LD_LIBRARY_PATH": str(tmp_path), **script}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    log = (tmp_path / "out/gpu-check.log").read_text()
    result = json.loads((tmp_path / "out/gpu-check.json").read_text())
    assert result["parts"]["telemetry"]["status"] == "ended", done.stdout + done.stderr + log
    rows = {row["name"]: row for row in result["rows"]}
    assert list(rows) == [
        *("machine", "idle", "fastest sampling", "matrix product, float32", "matrix product, bfloat16"),
    ]
    assert rows["idle"]["found"]["gpus"][0]["name"] == "Stub 1000"
    assert rows["matrix product, float32"]["found"]["steady_gpu_utilisation_percent"] == 97
    assert rows["matrix product, float32"]["found"]["operations_per_second"] > 0
    assert "Not Supported" in rows["idle"]["missing"]["gpu_temperature_peak_celsius"]
    page = (tmp_path / "out/gpu-check.md").read_text()
    assert "rehearsal" in page
    assert "Not Supported" in page
    assert (tmp_path / "out/gpu-loads.svg").is_file()


def test_a_part_that_fails_says_why_and_the_page_is_written(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    command = [sys.executable, str(ROOT / "tools/gpu_check.py"), "--out", "out", "memory"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    result = json.loads((tmp_path / "out/gpu-check.json").read_text())
    assert result["rows"] == []
    assert "JAX sees no GPU" in result["parts"]["memory"]["status"]
    assert "JAX sees no GPU" in (tmp_path / "out/gpu-check.md").read_text()
