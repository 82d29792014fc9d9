"""The tables of Batchscope: their columns, units and types, and how they are written and read.

Every table is a Parquet file with exactly the columns named here, in this order. A file that lacks a column, has one
too many or holds another type is refused at write and at read. Null means "not measured" (the reason is in the run's
manifest); it is never written as zero.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

Kind = Literal["string", "integer", "number", "boolean"]

_ARROW: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}


class TableError(ValueError):
    """A table does not have the columns or the types that its name promises."""


@dataclass(frozen=True)
class Column:
    """One column: its kind, its unit ("" where it has none), what it means, and whether it may be null."""

    kind: Kind
    unit: str
    meaning: str
    nullable: bool = False


def _string(meaning: str, *, nullable: bool = False) -> Column:
    return Column("string", "", meaning, nullable)


def _integer(unit: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column("integer", unit, meaning, nullable)


def _number(unit: str, meaning: str, *, nullable: bool = True) -> Column:
    return Column("number", unit, meaning, nullable)


CELL: dict[str, Column] = {
    "dataset": _string("data set as named in the study"),
    "recipe": _string("recipe as named in the study"),
    "batch_size": _integer("examples", "examples per update, also where the study says `full`"),
    "full_batch": Column("boolean", "", "true where the study says `full`: one update per epoch on all the data"),
}

RUN: dict[str, Column] = {**CELL, "seed": _integer("", "seed of the run: initial weights, order, dropout, drawn data")}

FINGERPRINT: dict[str, Column] = {
    "fingerprint": _string("SHA-256 over code, resolved data set and recipe, data, batch size, seed and engine"),
}

# What telemetry.summarise() returns; the time series has the same quantities per sample.
TELEMETRY_SUMMARY: dict[str, Column] = {
    "telemetry_seconds": _number("s", "time covered by the samples"),
    "telemetry_samples": _integer("", "number of samples taken", nullable=True),
    "cpu_percent_mean": _number("%", "CPU time of the process tree, 100 = one core busy, mean over time"),
    "host_rss_peak_bytes": _number("B", "largest sampled resident memory of the process tree"),
    "cpu_package_energy_joules": _number("J", "energy of all CPU packages (RAPL), whole machine"),
    "gpu_utilisation_mean_percent": _number("%", "share of time with a kernel running (NVML), mean over time"),
    "gpu_utilisation_peak_percent": _number("%", "largest sampled GPU utilisation"),
    "gpu_memory_controller_mean_percent": _number("%", "share of time the memory controller was busy, mean over time"),
    "gpu_memory_device_peak_bytes": _number("B", "largest sampled memory in use on the devices, by anyone"),
    "gpu_memory_process_peak_bytes": _number("B", "largest sampled GPU memory of this process tree"),
    "gpu_power_mean_watts": _number("W", "mean over time of the sampled power draw, devices summed"),
    "gpu_energy_joules": _number("J", "difference of the energy counters, devices summed"),
    "gpu_sm_clock_mean_mhz": _number("MHz", "streaming multiprocessor clock, mean over time and devices"),
    "gpu_temperature_peak_celsius": _number("°C", "highest sampled GPU temperature"),
}

MACHINE: dict[str, Column] = {
    "engine": _string("framework that trained: tensorflow"),
    "loop": _string("fused (one compiled call per epoch) or fit (Keras model.fit)"),
    "device": _string("cpu or gpu"),
    "threads": _integer("", "threads given to the framework"),
    "host": _string("name of the machine"),
    "started_at": _string("start of the job, UTC, ISO 8601"),
}

MEMORY: dict[str, Column] = {
    "allocator_peak_bytes": _number("B", "peak of the framework's device allocator; null on the CPU"),
    "host_memory_peak_bytes": _number(
        "B", "peak resident memory above the baseline once the data are read; in a timing, of its first updates"
    ),
    "host_memory_baseline_bytes": _number(
        "B", "resident memory after the framework was imported, before data and model"
    ),
}


def _metrics(when: str, meaning: str) -> dict[str, Column]:
    return {
        f"{when}_{part}_{metric}": _number("nat" if metric == "loss" else "", f"{part} {metric} {meaning}")
        for part in ("train", "validation", "test")
        for metric in ("loss", "accuracy")
    }


TABLES: dict[str, dict[str, Column]] = {
    "run": {
        **RUN,
        **FINGERPRINT,
        "outcome": _string("ok, diverged or out_of_memory"),
        "outcome_detail": _string("what happened where the outcome is not ok", nullable=True),
        "n_train": _integer("examples", "size of the training part"),
        "n_validation": _integer("examples", "size of the validation part"),
        "n_test": _integer("examples", "size of the test part"),
        "n_parameters": _integer("", "trainable parameters; null where the model could not be built", nullable=True),
        "tracked_weight": _string("index, in the first kernel, of the weight followed in `steps`", nullable=True),
        "micro_batch_size": _integer(
            "examples", "examples per gradient pass where gradients are accumulated", nullable=True
        ),
        "updates_per_epoch": _integer("updates", "ceil(N/B), or floor(N/B) where the last short batch is dropped"),
        "epochs": _number("epochs", "passes over the training part", nullable=False),
        "evaluations": _integer("", "evaluations after the first update"),
        "updates": _integer("updates", "changes of the weights"),
        "examples": _integer("examples", "examples trained on, repeats counted"),
        "learning_rate": _number("", "rate after scaling or tuning, at the end of the warm-up", nullable=False),
        "stopped_early": Column("boolean", "", "true where early stopping ended the run before the budget"),
        "selected_epoch": _number("epochs", "epoch of the evaluation with the lowest validation loss"),
        **_metrics("last", "after the last update"),
        **_metrics("selected", "at `selected_epoch`"),
        "step_loss_noise": _number("nat", "median over the last half of the evaluations of their `step_loss_noise`"),
        "compile_seconds": _number("s", "building, tracing and compiling"),
        "train_seconds": _number("s", "updates only; other runs may share the machine"),
        "evaluate_seconds": _number("s", "evaluations on the three parts"),
        "total_seconds": _number("s", "whole job after the imports"),
        **MEMORY,
        **TELEMETRY_SUMMARY,
        **MACHINE,
    },
    "steps": {
        **RUN,
        "update": _integer("updates", "number of the update, from 1"),
        "epoch": _integer("epochs", "epoch the update belongs to, from 1"),
        "examples": _integer("examples", "examples trained on after this update"),
        "loss": _number(
            "nat", "mean loss of the batch, before the update; non-finite only at divergence", nullable=False
        ),
        "gradient_norm": _number("", "Euclidean norm of the batch gradient over all weights, before clipping"),
        "weight": _number("", "the tracked weight after the update"),
        "learning_rate": _number("", "learning rate of this update", nullable=False),
    },
    "evaluations": {
        **RUN,
        "evaluation": _integer("", "number of the evaluation; 0 is the one before training"),
        "epoch": _number("epochs", "passes over the training part so far", nullable=False),
        "updates": _integer("updates", "updates made so far"),
        "examples": _integer("examples", "examples trained on so far"),
        "step_loss_mean": _number(
            "nat",
            "mean over the examples since the last evaluation of the losses met while training (what Keras prints)",
        ),
        "step_loss_noise": _number(
            "nat", "root of a sixth of the mean squared second difference of the losses of successive whole batches"
        ),
        "train_loss": _number("nat", "loss of the whole training part, in inference mode"),
        "train_accuracy": _number("", "accuracy on the whole training part"),
        "validation_loss": _number("nat", "loss of the validation part"),
        "validation_accuracy": _number("", "accuracy on the validation part"),
        "learning_rate": _number("", "learning rate of the last update before"),
        "train_seconds": _number(
            "s", "time of the updates since the last evaluation; other runs may share the machine"
        ),
        "evaluate_seconds": _number("s", "time of the evaluation"),
    },
    "trials": {
        **CELL,
        "seed": _integer("", "tuning seed of the trial"),
        "learning_rate": _number("", "learning rate of the trial", nullable=False),
        "stage": _string("where the rate comes from: grid (the recipe's), widened (beyond its edge) or refined"),
        "outcome": _string("ok, diverged or out_of_memory"),
        "selected_validation_loss": _number("nat", "lowest validation loss of the trial; null unless it ended ok"),
        "selected_epoch": _number("epochs", "epoch of that evaluation"),
        "chosen": Column("boolean", "", "true for the rate that the runs of this batch size use"),
    },
    "telemetry": {
        **CELL,
        "seed": _integer("", "seed of the run; null in a timing", nullable=True),
        "elapsed_seconds": _number("s", "since the sampler started, monotonic clock", nullable=False),
        "cpu_percent": _number("%", "CPU time of the process tree since the last sample, 100 = one core busy"),
        "host_rss_bytes": _number("B", "resident memory of the process tree"),
        "cpu_package_energy_joules": _number("J", "CPU packages (RAPL), since the sampler started"),
        "gpu": _integer("", "NVML index of the device; null without one", nullable=True),
        "gpu_utilisation_percent": _number("%", "share of the driver's sampling window with a kernel running"),
        "gpu_memory_controller_percent": _number("%", "share of that window with the memory controller busy"),
        "gpu_memory_device_bytes": _number("B", "memory in use on the device, by anyone"),
        "gpu_memory_process_bytes": _number("B", "memory of this process tree on the device"),
        "gpu_power_watts": _number("W", "power draw as the driver reports it"),
        "gpu_energy_joules": _number("J", "energy counter, since the sampler started"),
        "gpu_sm_clock_mhz": _number("MHz", "streaming multiprocessor clock"),
        "gpu_temperature_celsius": _number("°C", "temperature of the GPU die"),
    },
    "timing": {
        **CELL,
        **FINGERPRINT,
        "outcome": _string("ok or out_of_memory"),
        "outcome_detail": _string("what happened where the outcome is not ok", nullable=True),
        "n_train": _integer("examples", "size of the training part"),
        "updates_per_epoch": _integer("updates", "as in `run`"),
        "windows": _integer("", "timed windows"),
        "updates_per_window": _integer("updates", "updates in each window", nullable=True),
        "seconds_per_update": _number("s", "median over the windows, alone on the machine, full batches"),
        "seconds_per_update_q25": _number("s", "first quartile over the windows"),
        "seconds_per_update_q75": _number("s", "third quartile over the windows"),
        "examples_per_second": _number("1/s", "batch size over `seconds_per_update`"),
        "seconds_per_epoch": _number(
            "s",
            "`seconds_per_update` times `updates_per_epoch`: a last, short batch counts as a whole one",
        ),
        "compile_seconds": _number("s", "building, tracing and compiling"),
        **MEMORY,
        **TELEMETRY_SUMMARY,
        **MACHINE,
    },
    "windows": {
        **CELL,
        "window": _integer("", "number of the window, from 1"),
        "updates": _integer("updates", "updates in the window"),
        "seconds": _number("s", "length of the window, synchronised at both edges", nullable=False),
        "seconds_per_update": _number("s", "`seconds` over `updates`", nullable=False),
    },
}


def schema(table: str) -> pa.Schema:
    """Arrow schema of a table; its fields carry unit and meaning as metadata."""
    return pa.schema(
        [
            pa.field(name, _ARROW[column.kind], column.nullable, {"unit": column.unit, "meaning": column.meaning})
            for name, column in TABLES[table].items()
        ]
    )


def write_table(table: str, rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write `rows` (one mapping per row, every column present) as the table `table`, atomically."""
    expected = schema(table)
    for row in rows:
        if set(row) != set(expected.names):
            missing, unknown = sorted(set(expected.names) - set(row)), sorted(set(row) - set(expected.names))
            raise TableError(f"table {table}: a row lacks {missing} and has the unknown columns {unknown}")
    try:
        content = pa.Table.from_pylist([dict(row) for row in rows], schema=expected)
        content.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TableError(f"table {table}: {error}") from error
    for name in expected.names:
        if not expected.field(name).nullable and content.column(name).null_count:
            raise TableError(f"table {table}: column {name} holds a null, which it may not")
    with atomic_path(path) as temporary:
        pq.write_table(content, temporary, compression="zstd")


def read_table(table: str, path: str | Path) -> pa.Table:
    """Read the table `table`; raise `TableError` where the file's columns or types differ."""
    content = pq.ParquetFile(path).read()
    expected = schema(table)
    if not content.schema.equals(expected):
        raise TableError(f"{path} does not hold the table {table} of this version: {content.schema} != {expected}")
    return content


def write_json(content: Any, path: str | Path) -> None:
    """Write `content` as indented JSON with sorted keys, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends, and is removed if the block fails."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=final.parent, prefix=f".{final.stem}-", suffix=final.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


def fingerprint(content: Any) -> str:
    """SHA-256 (hexadecimal) of any JSON-like content, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def code_fingerprint(files: Sequence[Path], root: Path) -> str:
    """SHA-256 over contents and names, relative to `root`, of source files. Snakemake follows no import; a rule with
    this as a param runs again when any of them changes, and not when only their time stamps do."""
    names = sorted(files)
    return fingerprint([[str(f.relative_to(root)), hashlib.sha256(f.read_bytes()).hexdigest()] for f in names])


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
