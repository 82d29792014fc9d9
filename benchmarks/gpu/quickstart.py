"""The study `quickstart` through Snakemake on the card, with three of its seeds, and its GPU columns.

Run as `python quickstart.py ROWS DEVICE SECONDS OUT`. Snakemake is killed where it takes longer than SECONDS, and the
records that are there by then are looked at. The report goes to the folder OUT.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from checks import Check, Rows, between, equal

from batchscope import telemetry
from batchscope.jobs import machine

ROOT = Path(__file__).resolve().parents[2]
SEEDS = [1, 2, 3]
STUDY_FILE = "gpu-quickstart.yaml"
AT_ONCE = 4  # jobs that train on the card side by side; timings have it for themselves
TIMING = {"max_seconds": 3.0}
TABLES = {"runs": "run", "timings": "timing"}
LIMITS = {  # of columns of both tables, whatever the card
    "gpu_utilisation_mean_percent": (0, 100),
    "gpu_utilisation_peak_percent": (0, 100),
    "gpu_memory_controller_mean_percent": (0, 100),
    "gpu_temperature_peak_celsius": (10, 110),
}


def main(file: str, device: str, seconds: str, out: str) -> None:
    """A row for the workflow, and one for each kind of record."""
    rows, folder = Rows(file, "quickstart"), Path("study")
    write_study(folder, device)
    status, took, said = run(folder, device, float(seconds))
    report = folder / "results/gpu-quickstart/report.html"
    done = {kind: len(list(folder.glob(f"results/{kind}/**/{name}.parquet"))) for kind, name in TABLES.items()}
    found = {"status": status, "seconds": took, **done, "said": said[-2000:], "cut": status is None}
    rows.add("workflow", found, [equal("exit status of Snakemake", -1 if status is None else status)])
    if report.is_file():
        shutil.copy(report, Path(out) / "gpu-quickstart.html")
    with telemetry.Sampler(60.0, telemetry.first(telemetry.available_gpus())) as sampler:
        pass
    facts = sampler.result.devices[0] if sampler.result.devices else {}
    for kind, name in TABLES.items():
        parts = [pd.read_parquet(path) for path in sorted(folder.glob(f"results/{kind}/**/{name}.parquet"))]
        if parts:
            table = pd.concat(parts, ignore_index=True)
            rows.add(kind, summary(table), record_checks(kind, table, device, facts))


def write_study(folder: Path, device: str) -> None:
    """The study's file and its settings; on the CPU a rehearsal with two sizes of the blobs."""
    study = yaml.safe_load((ROOT / "config/studies/quickstart.yaml").read_text(encoding="utf-8"))
    study["seeds"] = SEEDS
    if device == "cpu":
        study["comparisons"] = [{"datasets": ["blobs"], "recipes": ["blobs-mlp"], "batch_sizes": [128, "full"]}]
        study["targets"] = []
        study.pop("recipes")
    folder.mkdir()
    (folder / STUDY_FILE).write_text(yaml.safe_dump(study), encoding="utf-8")
    (folder / "settings.yaml").write_text(yaml.safe_dump({"timing": TIMING}), encoding="utf-8")


def run(folder: Path, device: str, seconds: float) -> tuple[int | None, float, str]:
    """Run Snakemake for at most so many seconds: its exit status (None: it was cut), seconds, and what it said."""
    megabytes = machine.memory_bytes() // 1_000_000
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
        *("--cores", str(machine.usable_cores()), "--resources", f"mem_mb={megabytes}", f"gpu={AT_ONCE}"),
        *("--configfile", "settings.yaml"),
        *("--config", f"study={STUDY_FILE}", "engine=jax", f"device={device}"),
    ]
    # The folder of scripts has one of the name of a package that Snakemake imports.
    path = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each != str(ROOT / "scripts")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    start, log = time.monotonic(), folder / "snakemake.txt"
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            process.kill()  # its jobs, and the process that they start from, end with it
            process.wait()
    return status, time.monotonic() - start, log.read_text(encoding="utf-8", errors="replace")


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Of each GPU column how many records have it, and its least and largest value."""
    columns = [str(name) for name in table if re.match("gpu_|allocator_peak", str(name))]
    ends = {
        name: {"n": int(table[name].count()), "low": some(table[name], "min"), "high": some(table[name], "max")}
        for name in columns
    }
    return {"records": len(table), "outcomes": table["outcome"].value_counts().to_dict(), "columns": ends}


def record_checks(kind: str, table: pd.DataFrame, device: str, facts: dict[str, Any]) -> list[Check]:
    """What must hold of the GPU columns of records; a number that no record has was not measured."""
    checks = [
        equal(f"{kind}: records of another device than {device}", int((table["device"] != device).sum())),
        equal(f"{kind}: records of an outcome other than ok", int((table["outcome"] != "ok").sum())),
    ]
    limits = LIMITS | {
        "gpu_power_mean_watts": (0, 1.1 * facts["power_limit_watts"]) if facts.get("power_limit_watts") else None,
        "gpu_sm_clock_mean_mhz": (0, facts["sm_clock_max_mhz"]) if facts.get("sm_clock_max_mhz") else None,
        "gpu_memory_device_peak_bytes": (0, facts["memory_total_bytes"]) if facts.get("memory_total_bytes") else None,
    }
    for column, ends in limits.items():
        if ends is not None:
            checks += [
                between(f"{kind}: {column}, least", some(table[column], "min"), low=ends[0]),
                between(f"{kind}: {column}, largest", some(table[column], "max"), high=ends[1]),
            ]
    pairs = table[["allocator_peak_bytes", "gpu_memory_process_peak_bytes"]].astype(float)
    ratio = pairs["gpu_memory_process_peak_bytes"] / pairs["allocator_peak_bytes"]
    checks.append(between(f"{kind}: memory of the process by the allocator's peak", some(ratio, "min"), low=1.0))
    if kind == "timings":  # training runs share the card, so its power is not theirs alone
        power = table["gpu_power_mean_watts"].astype(float) * table["telemetry_seconds"].astype(float)
        ratio = table["gpu_energy_joules"].astype(float) / power
        checks.append(between(f"{kind}: energy by mean power × seconds, median", some(ratio, "median"), 0.5, 1.5))
    return checks


def some(values: pd.Series[Any], statistic: str) -> float | None:
    """A statistic of the numbers that are there; None where there is none."""
    there = values.astype(float).dropna()
    return float(getattr(there, statistic)()) if len(there) else None


if __name__ == "__main__":
    main(*sys.argv[1:5])
