"""Telemetry of GPUs: a stand-in for the driver library (nvml_stub.c) behind the real binding nvidia-ml-py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from reading import numbers

from batchscope import telemetry
from batchscope.tables import records

SCRIPTS = Path(telemetry.__file__).parents[2]
SERIES = [name for name in records.TABLES["telemetry"] if name not in {**records.CELL, "seed": None}]
GPU_SUMMARY = [name for name in records.TELEMETRY_SUMMARY if name.startswith("gpu_")]


def environment(**extra: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("CUDA_", "NVML_"))}
    return {**kept, "PYTHONPATH": str(SCRIPTS), **extra}


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the stand-in for the driver library, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler (cc or gcc) to compile the stand-in for the driver library")
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("nvml_stub.c")
    command = [compiler, "-shared", "-fPIC", "-o", str(folder / "libnvidia-ml.so.1"), str(source)]
    subprocess.run(command, check=True)
    return folder


MEASURE = """
import dataclasses, json, sys, time
from batchscope import telemetry
from batchscope.telemetry import summary
summary.SHORTEST_GPU_ENERGY_SECONDS = 0.0
interval, seconds = map(float, sys.argv[1:])
with telemetry.Sampler(interval) as sampler:
    time.sleep(seconds)
print(json.dumps(dataclasses.asdict(sampler.result)))
"""

SELECT = """
import dataclasses, json
from batchscope import telemetry
print(json.dumps([dataclasses.asdict(telemetry.available_gpus()),
                  dataclasses.asdict(telemetry.first(telemetry.available_gpus()))]))
"""


def scenario(code: str, folder: Path, *arguments: float, **script: str) -> Any:
    """Run `code` in a process of its own with the stand-in driver playing `script`; its last line is JSON."""
    stub = {key if key.startswith("CUDA_") else f"NVML_STUB_{key}": value for key, value in script.items()}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=environment(LD_LIBRARY_PATH=str(folder), **stub),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def measured(folder: Path, interval: float = 60.0, seconds: float = 0.02, **script: str) -> Any:
    """A sampler's result; with the usual interval there are two samples, one at each edge."""
    result = scenario(MEASURE, folder, interval, seconds, **script)
    nulls = {name for name, value in result["summary"].items() if value is None}
    assert set(result["not_measured"]) == nulls
    assert list(result["summary"]) == list(records.TELEMETRY_SUMMARY)
    assert all(set(row) == set(SERIES) for row in result["series"])
    return result


def test_gpu_readings_arrive_in_the_units_of_the_tables(driver: Path) -> None:
    result = measured(
        driver,
        nvmlDeviceGetUtilizationRates="10/5,90/40",
        nvmlDeviceGetPowerUsage="50000,250500",
        nvmlDeviceGetMemoryInfo="3000,2000",
        nvmlDeviceGetComputeRunningProcesses="self:700+1:90000,self:400+self:500+1:90000",
        nvmlDeviceGetTotalEnergyConsumption="5000000000000,5000000123456",
        nvmlDeviceGetClockInfo="300,1410",
        nvmlDeviceGetTemperature="71,64",
    )
    first, last = result["series"]
    assert (first["gpu"], first["gpu_energy_joules"], first["gpu_power_watts"]) == (0, 0.0, 50.0)
    assert last["gpu_energy_joules"] == pytest.approx(123.456)
    expected = {
        "gpu_utilisation_mean_percent": 90,
        "gpu_utilisation_peak_percent": 90,
        "gpu_memory_controller_mean_percent": 40,
        "gpu_memory_device_peak_bytes": 3000,
        "gpu_memory_process_peak_bytes": 900,
        "gpu_power_mean_watts": 250.5,
        "gpu_energy_joules": 123.456,
        "gpu_sm_clock_mean_mhz": 1410,
        "gpu_temperature_peak_celsius": 71,
    }
    assert {name: result["summary"][name] for name in GPU_SUMMARY} == pytest.approx(expected)
    assert result["notes"] == {}


def test_device_facts_name_the_gpu_and_are_null_where_unknown(driver: Path) -> None:
    script = {
        "nvmlDeviceGetMigMode": "!3",
        "nvmlDeviceGetEnforcedPowerLimit": "!4",
        "nvmlDeviceGetMemoryInfo_v2": "640",
    }
    (facts,) = measured(driver, 60.0, 0.0, **script)["devices"]
    assert facts == {
        "uuid": "GPU-0-stub",
        "index": 0,
        "name": "Stub 1000",
        "pci_bus_id": "00000000:00:00.0",
        "driver_version": "999.1",
        "mig_mode": None,
        "memory_total_bytes": 80000,
        "memory_reserved_bytes": 640,
        "power_limit_watts": None,
        "sm_clock_max_mhz": 1980,
    }


def test_two_gpus_have_a_row_each_and_are_added_up(driver: Path) -> None:
    result = measured(driver, devices="2", nvmlDeviceGetPowerUsage_1="25000")
    assert [row["gpu"] for row in result["series"]] == [0, 1, 0, 1]
    assert result["summary"]["gpu_power_mean_watts"] == pytest.approx(125.0)
    assert result["summary"]["gpu_energy_joules"] == pytest.approx(2 * 123.456)
    assert [facts["index"] for facts in result["devices"]] == [0, 1]


def test_calls_that_the_card_does_not_support_or_allow_are_null_and_asked_once(driver: Path, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    result = measured(
        driver,
        nvmlDeviceGetTotalEnergyConsumption="!3",
        nvmlDeviceGetPowerUsage="!13",
        nvmlDeviceGetComputeRunningProcesses="!4",
        log=str(log),
    )
    assert "Not Supported" in result["not_measured"]["gpu_energy_joules"]
    assert result["not_measured"]["gpu_power_mean_watts"]
    assert result["not_measured"]["gpu_memory_process_peak_bytes"]
    assert all(row["gpu_energy_joules"] is None for row in result["series"])
    assert result["summary"]["gpu_utilisation_mean_percent"] == 50
    calls = log.read_text().split()
    assert calls.count("nvmlDeviceGetTotalEnergyConsumption") == 1
    assert calls.count("nvmlDeviceGetUtilizationRates") == 2


def test_a_gpu_lost_half_way_is_null_from_then_on_and_not_asked_again(driver: Path, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    script = {"nvmlDeviceGetUtilizationRates": "5/1,60/20,60/20,!15", "log": str(log)}
    result = measured(driver, 0.02, 0.3, **script)
    rows = result["series"]
    lost = next(k for k, row in enumerate(rows) if row["gpu_utilisation_percent"] is None)
    assert lost == 3
    assert all(row[name] is None for row in rows[lost + 1 :] for name in SERIES if name.startswith("gpu_"))
    assert all(row["host_rss_bytes"] > 0 for row in rows)
    assert result["summary"]["gpu_utilisation_mean_percent"] == pytest.approx(60)
    assert "the GPU was lost" in result["notes"]["gpu_utilisation_mean_percent"]
    assert "covers" in result["notes"]["gpu_temperature_peak_celsius"].lower()
    assert result["summary"]["gpu_energy_joules"] is None
    assert "GPU was lost" in result["not_measured"]["gpu_energy_joules"]
    calls = log.read_text().split()
    assert calls.count("nvmlDeviceGetUtilizationRates") == 4
    assert calls.count("nvmlDeviceGetTotalEnergyConsumption") == 4
    assert calls[-1] == "nvmlShutdown"


def test_an_unknown_error_passes_and_the_mean_says_what_it_covers(driver: Path) -> None:
    result = measured(driver, 0.05, 0.3, nvmlDeviceGetPowerUsage="90000,!999,90000")
    assert [row["gpu_power_watts"] for row in result["series"]][:3] == [90.0, None, 90.0]
    assert result["summary"]["gpu_power_mean_watts"] == pytest.approx(90)
    note = result["notes"]["gpu_power_mean_watts"]
    assert "Unknown Error" in note
    covered, of, failed = numbers(note)
    assert failed <= of
    assert covered <= of
    result = measured(driver, nvmlDeviceGetTemperature="!999")
    assert "NVML failed" in result["not_measured"]["gpu_temperature_peak_celsius"]


@pytest.mark.parametrize(
    ("counter", "reason"),
    [
        ("!999,5000", "could not be read at the start"),
        ("5000,!999", "no reading at the end: NVML failed"),
        ("5000,4000", "went back"),
        ("5000,5000", "did not move"),
    ],
)
def test_energy_needs_both_ends_of_a_counter_that_moves_forwards(driver: Path, counter: str, reason: str) -> None:
    result = measured(driver, nvmlDeviceGetTotalEnergyConsumption=counter)
    assert result["summary"]["gpu_energy_joules"] is None
    assert reason in result["not_measured"]["gpu_energy_joules"]


@pytest.mark.parametrize(
    ("processes", "reason"),
    [
        ("self:na", "does not report GPU memory per process"),
        ("none", "lists no process of this job"),
        ("1:500", "hides"),
    ],
)
def test_process_memory_that_is_unknown_is_null_not_zero(driver: Path, processes: str, reason: str) -> None:
    result = measured(driver, nvmlDeviceGetComputeRunningProcesses=processes)
    assert result["summary"]["gpu_memory_process_peak_bytes"] is None
    assert reason in result["not_measured"]["gpu_memory_process_peak_bytes"]
    assert result["summary"]["gpu_memory_device_peak_bytes"] == 1000


def test_mig_leaves_utilisation_power_and_energy_null(driver: Path) -> None:
    for visible in ("0", "MIG-0-stub"):
        result = measured(driver, nvmlDeviceGetMigMode="1", CUDA_VISIBLE_DEVICES=visible)
        missing = {name for name in result["not_measured"] if name.startswith("gpu_")}
        assert missing == {name for name in GPU_SUMMARY if "utilisation" in name or "controller" in name} | {
            "gpu_power_mean_watts",
            "gpu_energy_joules",
        }
        assert all("MIG is enabled" in result["not_measured"][name] for name in missing)
        assert result["summary"]["gpu_sm_clock_mean_mhz"] == 1500
        assert result["summary"]["gpu_memory_process_peak_bytes"] == 700
        assert result["series"][0]["gpu"] == 0
        assert result["devices"][0]["mig_mode"] == "enabled"
    assert result["devices"][0]["memory_total_bytes"] == 10000


def test_a_gpu_that_cannot_be_opened_is_null_and_shutdown_still_happens(driver: Path, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    result = measured(driver, nvmlDeviceGetHandleByUUID="!4", log=str(log))
    assert {result["summary"][name] for name in GPU_SUMMARY} == {None}
    assert "Insufficient Permissions" in result["not_measured"]["gpu_energy_joules"]
    assert result["devices"][0]["uuid"] == "GPU-0-stub"
    assert result["devices"][0]["name"] is None
    calls = log.read_text().split()
    assert calls.count("nvmlInit") == calls.count("nvmlShutdown") == 2  # one pair to find the GPUs, one to sample


@pytest.mark.parametrize(("code", "reason"), [("!9", "Driver Not Loaded"), ("!999", "Unknown Error")])
def test_a_driver_that_does_not_start_is_the_reason(driver: Path, code: str, reason: str) -> None:
    result = measured(driver, nvmlInit=code)
    assert all(reason in result["not_measured"][name] for name in GPU_SUMMARY)
    assert [row["gpu"] for row in result["series"]] == [None, None]


def test_without_driver_library_or_binding_the_reason_says_so(tmp_path: Path) -> None:
    code = "import sys; sys.modules['pynvml'] = None\n" + MEASURE
    result = scenario(code, tmp_path, 60.0, 0.0)
    assert "nvidia-ml-py" in result["not_measured"]["gpu_energy_joules"]
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")
    result = measured(tmp_path)
    assert "no NVIDIA driver library" in result["not_measured"]["gpu_energy_joules"]


# --- which GPUs a job may use ------------------------------------------------------------------------------------


VISIBLE: list[tuple[str | None, list[str]]] = [
    (None, ["GPU-0-stub", "GPU-1-stub", "GPU-2-stub"]),
    ("2,0", ["GPU-2-stub", "GPU-0-stub"]),
    (" 1 , 2 ", ["GPU-1-stub", "GPU-2-stub"]),
    ("1,-1,2", ["GPU-1-stub"]),
    ("0,7,1", ["GPU-0-stub"]),
    ("1,1", []),
    ("", []),
    ("-1", []),
    ("NoDevFiles", []),
    ("GPU-2-stub,GPU-0", ["GPU-2-stub", "GPU-0-stub"]),
    ("GPU-1-stub,1", ["GPU-1-stub"]),
    ("GPU-", []),
    ("GPU-9-stub", []),
    ("MIG-1-stub", ["MIG-1-stub"]),
    ("MIG-9-stub", []),
]


def test_cuda_visible_devices_is_read_as_cuda_reads_it(driver: Path) -> None:
    code = f"""
    import dataclasses, json
    from batchscope import telemetry
    values = {[value for value, _ in VISIBLE]!r}
    settings = [{{}} if value is None else {{"CUDA_VISIBLE_DEVICES": value}} for value in values]
    print(json.dumps([dataclasses.asdict(telemetry.available_gpus(setting)) for setting in settings]))
    """
    found = scenario(code, driver, devices="3")
    assert [[gpu["uuid"] for gpu in selection["gpus"]] for selection in found] == [uuids for _, uuids in VISIBLE]
    for selection in found:
        assert all(f"-{gpu['index']}-" in gpu["uuid"] for gpu in selection["gpus"])
        assert bool(selection["reason"]) == (not selection["gpus"])


def test_gpus_that_may_not_be_opened_are_not_numbered(driver: Path) -> None:
    script = {"devices": "3", "nvmlDeviceGetHandleByIndex_0": "!4"}
    selection, _ = scenario(SELECT, driver, CUDA_VISIBLE_DEVICES="1", **script)
    assert [gpu["index"] for gpu in selection["gpus"]] == [2]


def test_numbers_are_not_trusted_where_models_differ_unless_the_order_is_by_bus(driver: Path) -> None:
    script = {"devices": "2", "nvmlDeviceGetName_1": "Stub 2000"}
    for visible in ({}, {"CUDA_VISIBLE_DEVICES": "0"}):
        _, first = scenario(SELECT, driver, **script, **visible)
        assert first["gpus"] == []
        assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in first["reason"]
        _, first = scenario(SELECT, driver, **script, **visible, CUDA_DEVICE_ORDER="PCI_BUS_ID")
        assert [gpu["index"] for gpu in first["gpus"]] == [0]
    _, first = scenario(SELECT, driver, **script, CUDA_VISIBLE_DEVICES="GPU-1-stub,GPU-0-stub")
    assert [gpu["index"] for gpu in first["gpus"]] == [1]


CONFIGURE = """
import json, os
from batchscope.training import engines
engine = engines.load("tensorflow")
found = []
for hidden in ({}, {"CUDA_VISIBLE_DEVICES": ""}):
    os.environ.update(hidden)
    try:
        engine.configure("gpu", 1)
    except ValueError as error:
        found.append([engine.configure("auto", 1), engine.configure("cpu", 1), str(error)])
print(json.dumps(found))
"""


def test_a_gpu_that_the_driver_shows_and_the_framework_cannot_use_is_named(driver: Path) -> None:
    for names, (auto, cpu, sentence) in zip((["Stub 1000"], []), scenario(CONFIGURE, driver), strict=True):
        assert (auto["device"], auto["unused_gpus"]) == ("cpu", names)
        assert cpu["unused_gpus"] == []
        assert "make report DEVICE=gpu" in sentence


def test_a_driver_that_answers_what_cannot_be_read_leaves_a_job_without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable() -> None:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    monkeypatch.setattr("batchscope.telemetry.visible.driver", unreadable)
    found = telemetry.available_gpus({})
    assert found.gpus == ()
    assert "UnicodeDecodeError" in str(found.reason)
