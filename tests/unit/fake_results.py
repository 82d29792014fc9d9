"""Made-up run and timing folders with the real columns, to test what reads them. No number here was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator

from batchscope.identity.files import write_json
from batchscope.jobs.tables import study_tables
from batchscope.tables import records
from unit import fakes
from unit.fakes import Row

NO_GPU = "no NVIDIA GPU on this machine"
NO_RAPL = "the machine does not let this user read the energy counters of the CPU"
RUN_FILES = ("run", "steps", "evaluations", "telemetry")
TIMING_FILES = ("timing", "windows", "telemetry")


@dataclass(frozen=True)
class FakeStudy:
    """What to make up: every data set with every recipe at every size (int or "full") and seed.

    `outcomes` maps (batch size, seed) to diverged or out_of_memory. `gpu` fills the GPU columns. `blank` names columns
    of the tables run, evaluations and timing that are null everywhere.
    """

    root: Path
    datasets: Mapping[str, int] = field(default_factory=lambda: {"digits": 1168, "blobs": 800})
    recipes: Sequence[str] = ("mlp",)
    batch_sizes: Sequence[int | str] = (1, 8, 32, 128, "full")
    seeds: Sequence[int] = (1, 2, 3, 4, 5)
    epochs: int = 20
    early_stopping: bool = True
    timings: bool = True
    gpu: bool = False
    outcomes: Mapping[tuple[int | str, int], str] = field(default_factory=dict)
    blank: Sequence[str] = ()


@dataclass(frozen=True)
class FakeFiles:
    """Paths written, per kind of file; `run_manifest` and `timing_manifest` hold the JSON files."""

    run: list[Path]
    steps: list[Path]
    evaluations: list[Path]
    run_telemetry: list[Path]
    run_manifest: list[Path]
    timing: list[Path]
    windows: list[Path]
    timing_telemetry: list[Path]
    timing_manifest: list[Path]


@dataclass(frozen=True)
class _Job:
    """One run or timing to make up; `identity` holds its first columns."""

    study: FakeStudy
    identity: Row
    n_train: int
    outcome: str
    rng: Generator

    @property
    def per_epoch(self) -> int:
        return math.ceil(self.n_train / self.identity["batch_size"])


def write(study: FakeStudy) -> FakeFiles:
    """Write all folders below `study.root` at the paths the workflow uses; equal studies give equal numbers."""
    files = FakeFiles([], [], [], [], [], [], [], [], [])
    for position, (dataset, n_train) in enumerate(study.datasets.items()):
        for recipe in study.recipes:
            for size in study.batch_sizes:
                cell = fakes.cell(size, n_train, dataset=dataset, recipe=recipe)
                batch = cell["batch_size"]
                folder = Path(dataset) / recipe / f"bs{size}"
                for seed in study.seeds:
                    outcome = study.outcomes.get((size, seed), "ok")
                    rng = np.random.default_rng([position, batch, seed])
                    target = study.root / "results/runs" / folder / f"seed{seed}"
                    _write_run(_Job(study, {**cell, "seed": seed}, n_train, outcome, rng), files, target)
                if study.timings:
                    rng = np.random.default_rng([position, batch])
                    _write_timing(_Job(study, cell, n_train, "ok", rng), files, study.root / "results/timings" / folder)
    return files


def tables(made: FakeFiles, study: Mapping[str, Any] | None = None) -> dict[str, pd.DataFrame]:
    """All tables of the made-up study; `study` is `Study.describe()`, by default without targets and claims."""
    nothing: Row = {
        "measurements": None,
        "targets": [],
        "borrowed_timings": [],
        "claims": {},
        "published": [],
        "datasets": {},
        "recipes": {},
    }
    return study_tables(
        study or nothing,
        run=made.run,
        evaluations=made.evaluations,
        steps=made.steps,
        timing=made.timing,
        windows=made.windows,
        run_manifest=made.run_manifest,
        timing_manifest=made.timing_manifest,
        trials=[],
    )


def _write_run(job: _Job, files: FakeFiles, folder: Path) -> None:
    study, identity, outcome = job.study, job.identity, job.outcome
    rows = [] if outcome == "out_of_memory" else _evaluations(job)
    steps = _steps(job, rows)
    run = _run(job, rows)
    telemetry = [_sample(identity, 0.25 * i, study.gpu, job.rng) for i in range(8)]
    for table, content, paths in (
        ("run", _blanked([run], study.blank), files.run),
        ("steps", steps, files.steps),
        ("evaluations", _blanked(rows, study.blank), files.evaluations),
        ("telemetry", telemetry, files.run_telemetry),
    ):
        paths.append(folder / f"{table}.parquet")
        records.write_table(table, content, paths[-1])
    files.run_manifest.append(folder / "manifest.json")
    write_json({"not_measured": _reasons(run, outcome)}, files.run_manifest[-1])


def _write_timing(job: _Job, files: FakeFiles, folder: Path) -> None:
    study, cell, n_train, per_epoch, rng = job.study, job.identity, job.n_train, job.per_epoch, job.rng
    batch = cell["batch_size"]
    windows = []
    for window in range(1, 8):
        updates = max(1, round(1 / (2e-4 + 2e-6 * batch)))
        seconds = updates * (2e-4 + 2e-6 * batch) * float(np.exp(rng.normal(0, 0.04)))
        windows.append({**cell, "window": window, "updates": updates, "seconds": seconds})
        windows[-1]["seconds_per_update"] = seconds / updates
    low, median, high = np.quantile([w["seconds_per_update"] for w in windows], [0.25, 0.5, 0.75]).tolist()
    timing = {
        **cell,
        "fingerprint": "0" * 64,
        "outcome": "ok",
        "outcome_detail": None,
        "n_train": n_train,
        "updates_per_epoch": per_epoch,
        "windows": len(windows),
        "updates_per_window": windows[0]["updates"],
        "seconds_per_update": median,
        "seconds_per_update_q25": low,
        "seconds_per_update_q75": high,
        "seconds_per_update_ci_low": low,
        "seconds_per_update_ci_high": high,
        "ended_by": "windows",
        "examples_per_second": batch / median,
        "seconds_per_epoch": median * per_epoch,
        "compile_seconds": 1.5,
        **_memory(batch, study.gpu),
        **_telemetry_summary(batch, study.gpu, sum(w["seconds"] for w in windows)),
        **_machine(study.gpu),
    }
    telemetry = [_sample({**cell, "seed": None}, 0.25 * i, study.gpu, rng) for i in range(28)]
    for table, content, paths in (
        ("timing", _blanked([timing], study.blank), files.timing),
        ("windows", windows, files.windows),
        ("telemetry", telemetry, files.timing_telemetry),
    ):
        paths.append(folder / f"{table}.parquet")
        records.write_table(table, content, paths[-1])
    files.timing_manifest.append(folder / "manifest.json")
    write_json({"not_measured": _reasons(timing, "ok")}, files.timing_manifest[-1])


def _evaluations(job: _Job) -> list[Row]:
    study, identity, n_train, per_epoch = job.study, job.identity, job.n_train, job.per_epoch
    outcome, rng = job.outcome, job.rng
    batch, best, waited, rows = identity["batch_size"], math.inf, 0, []
    last = max(1, study.epochs // 3) if outcome == "diverged" else study.epochs
    offset = float(rng.normal(0, 0.02))
    for epoch in range(last + 1):
        updates = epoch * per_epoch
        noise = float(rng.normal(0, 0.03 / math.sqrt(batch)))
        train = (0.08 + 2.2 / (1 + updates / 60) ** 0.8) * math.exp(offset + noise)
        validation = train + 0.03 + 0.004 * epoch * per_epoch / (per_epoch + 20) + abs(float(rng.normal(0, 0.004)))
        spread = 0.9 * (train + 0.1) / math.sqrt(batch) * math.exp(float(rng.normal(0, 0.08)))
        rows.append(
            {
                **identity,
                "evaluation": epoch,
                "epoch": epoch,
                "updates": updates,
                "examples": epoch * n_train,
                "step_loss_mean": train * 1.1 if epoch else None,
                "step_loss_noise": spread if epoch * per_epoch > 1 else None,
                "train_loss": train,
                "train_accuracy": min(1.0, math.exp(-train / 2) + 0.03),
                "validation_loss": validation,
                "validation_accuracy": math.exp(-validation / 2),
                "learning_rate": 0.001,
                "train_seconds": per_epoch * 3e-4 if epoch else None,
                "evaluate_seconds": 0.02,
            }
        )
        waited = 0 if validation < best else waited + 1
        best = min(best, validation)
        if study.early_stopping and waited == 3:
            break
    if outcome == "diverged":
        rows[-1] |= {"train_loss": math.inf, "validation_loss": math.nan, "train_accuracy": 0.1}
    return rows


def _steps(job: _Job, epochs: list[Row]) -> list[Row]:
    identity, per_epoch, outcome, rng = job.identity, job.per_epoch, job.outcome, job.rng
    batch, weight = identity["batch_size"], 0.05
    total = epochs[-1]["updates"] if epochs else 0
    kept = sorted(set(np.linspace(1, total, min(total, 600)).round().astype(int).tolist())) if total else []
    rows = []
    for update in kept:
        level = 0.08 + 2.2 / (1 + update / 60) ** 0.8
        weight += float(rng.normal(-1e-4, 2e-3 / math.sqrt(batch)))
        rows.append(
            {
                **identity,
                "update": update,
                "epoch": math.ceil(update / per_epoch),
                "examples": min(update * batch, epochs[-1]["examples"]),
                "loss": level * float(np.exp(rng.normal(0, 0.9 / math.sqrt(batch)))),
                "gradient_norm": (level + 0.2) * float(np.exp(rng.normal(0, 0.7 / math.sqrt(batch)))),
                "weight": weight,
                "learning_rate": 0.001,
            }
        )
    if outcome == "diverged" and rows:
        rows[-1] |= {"loss": math.inf, "gradient_norm": None}
    return rows


def _run(job: _Job, rows: list[Row]) -> Row:
    study, identity, n_train, per_epoch = job.study, job.identity, job.n_train, job.per_epoch
    outcome, rng = job.outcome, job.rng
    ok = outcome == "ok"
    selected = min(rows, key=lambda row: float(row["validation_loss"])) if rows else None
    metrics: Row = {}
    for when, row in (("last", rows[-1] if ok else None), ("selected", selected if ok else None)):
        test = 1 + 0.02 * float(rng.normal())
        for metric in ("loss", "accuracy"):
            metrics[f"{when}_train_{metric}"] = row[f"train_{metric}"] if row else None
            metrics[f"{when}_validation_{metric}"] = row[f"validation_{metric}"] if row else None
        metrics[f"{when}_test_loss"] = row["validation_loss"] * test if row else None
        metrics[f"{when}_test_accuracy"] = min(1.0, row["validation_accuracy"] / test) if row else None
    noise = [row["step_loss_noise"] for row in rows[len(rows) // 2 :] if row["step_loss_noise"] is not None]
    details = {"diverged": "the loss was not finite", "out_of_memory": "the batch did not fit into memory"}
    return {
        **identity,
        "fingerprint": "0" * 64,
        "outcome": outcome,
        "outcome_detail": details.get(outcome),
        "n_train": n_train,
        "n_validation": n_train // 5,
        "n_test": n_train // 4,
        "n_parameters": 9610 if rows else None,
        "tracked_weight": "[32, 64]",
        "micro_batch_size": None,
        "updates_per_epoch": per_epoch,
        "epochs": rows[-1]["epoch"] if rows else 0,
        "evaluations": rows[-1]["evaluation"] if rows else 0,
        "updates": rows[-1]["updates"] if rows else 0,
        "examples": rows[-1]["examples"] if rows else 0,
        "learning_rate": 0.001,
        "stopped_early": ok and rows[-1]["epoch"] < study.epochs,
        "selected_epoch": selected["epoch"] if selected and ok else None,
        **metrics,
        "step_loss_noise": float(np.median(noise)) if noise and ok else None,
        "compile_seconds": 1.5,
        "train_seconds": sum(row["train_seconds"] or 0 for row in rows),
        "evaluate_seconds": sum(row["evaluate_seconds"] for row in rows),
        "total_seconds": 2 + sum((row["train_seconds"] or 0) + row["evaluate_seconds"] for row in rows),
        **_memory(identity["batch_size"], study.gpu),
        **_telemetry_summary(identity["batch_size"], study.gpu, 2.0),
        **_machine(study.gpu),
    }


def _memory(batch: int, gpu: bool) -> Row:
    return {
        "allocator_peak_bytes": 2e6 + 3e4 * batch if gpu else None,
        "host_memory_peak_bytes": 6e7 + 2e4 * batch,
        "host_memory_baseline_bytes": 4e8,
    }


def _telemetry_summary(batch: int, gpu: bool, seconds: float) -> Row:
    busy = 100 * batch / (batch + 100)
    return {
        "telemetry_seconds": seconds,
        "telemetry_samples": max(2, int(seconds / 0.25)),
        "cpu_percent_mean": 60 + 0.38 * busy,
        "host_rss_peak_bytes": 5e8,
        "cpu_package_energy_joules": None,
        "gpu_utilisation_mean_percent": busy if gpu else None,
        "gpu_utilisation_peak_percent": min(100.0, busy + 5) if gpu else None,
        "gpu_memory_controller_mean_percent": busy / 2 if gpu else None,
        "gpu_memory_device_peak_bytes": 1e9 if gpu else None,
        "gpu_memory_process_peak_bytes": 8e8 if gpu else None,
        "gpu_power_mean_watts": 80 + 2 * busy if gpu else None,
        "gpu_energy_joules": (80 + 2 * busy) * seconds if gpu else None,
        "gpu_sm_clock_mean_mhz": 1700.0 if gpu else None,
        "gpu_temperature_peak_celsius": 55.0 if gpu else None,
    }


def _machine(gpu: bool) -> Row:
    return {
        "engine": "tensorflow",
        "loop": "fused",
        "device": "gpu" if gpu else "cpu",
        "threads": 1,
        "host": "made-up",
        "started_at": "2025-01-01T00:00:00Z",
    }


def _sample(identity: Row, seconds: float, gpu: bool, rng: Generator) -> Row:
    return {
        **identity,
        "elapsed_seconds": seconds,
        "cpu_percent": 95 + float(rng.normal()),
        "host_rss_bytes": 5e8,
        "cpu_package_energy_joules": None,
        "gpu": 0 if gpu else None,
        "gpu_utilisation_percent": 60.0 if gpu else None,
        "gpu_memory_controller_percent": 30.0 if gpu else None,
        "gpu_memory_device_bytes": 1e9 if gpu else None,
        "gpu_memory_process_bytes": 8e8 if gpu else None,
        "gpu_power_watts": 200.0 if gpu else None,
        "gpu_energy_joules": 200.0 * seconds if gpu else None,
        "gpu_sm_clock_mhz": 1700.0 if gpu else None,
        "gpu_temperature_celsius": 55.0 if gpu else None,
    }


def _reasons(row: Row, outcome: str) -> dict[str, str]:
    """A reason for every null except those that say nothing happened."""
    reasons = {}
    for column, value in row.items():
        if value is not None or column in ("outcome_detail", "micro_batch_size"):
            continue
        if column.startswith("gpu_"):
            reasons[column] = NO_GPU
        elif column == "allocator_peak_bytes":
            reasons[column] = "the framework counts memory on GPUs only"
        elif column == "cpu_package_energy_joules":
            reasons[column] = NO_RAPL
        elif column == "step_loss_noise" and outcome == "ok":
            reasons[column] = "fewer than two updates"
        else:
            reasons[column] = f"the run ended {outcome}"
    return reasons


def _blanked(rows: list[Row], blank: Sequence[str]) -> list[Row]:
    return [{name: None if name in blank else value for name, value in row.items()} for row in rows]
