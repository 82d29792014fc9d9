"""The columns of the tables that jobs write: kind, unit and meaning. Null means "not measured"; it is never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "integer", "number", "boolean"]


@dataclass(frozen=True)
class Column:
    """One column: its kind, its unit ("" where it has none), what it means, and whether it may be null."""

    kind: Kind
    unit: str
    meaning: str
    nullable: bool = False


Columns = Mapping[str, Column]


def string(meaning: str, *, nullable: bool = False) -> Column:
    """A column of texts."""
    return Column("string", "", meaning, nullable)


def integer(unit: str, meaning: str, *, nullable: bool = False) -> Column:
    """A column of whole numbers."""
    return Column("integer", unit, meaning, nullable)


def number(unit: str, meaning: str, *, nullable: bool = True) -> Column:
    """A column of measured numbers, null where not measured."""
    return Column("number", unit, meaning, nullable)


def boolean(meaning: str, *, nullable: bool = False) -> Column:
    """A column of true and false."""
    return Column("boolean", "", meaning, nullable)


CELL: dict[str, Column] = {
    "dataset": string("data set as named in the study"),
    "recipe": string("recipe as named in the study"),
    "batch_size": integer("examples", "examples per update, also where the study says `full`"),
    "full_batch": boolean("true where the study says `full`: one update per epoch on all the data"),
}

RUN: dict[str, Column] = {**CELL, "seed": integer("", "seed of the run: initial weights, order, dropout, drawn data")}

# Where a run kept weights: one of the two is null.
CHECKPOINT: dict[str, Column] = {
    "checkpoint_fraction": number("", "of the budget that was spent, 0 to 1; null where a training loss decided"),
    "checkpoint_train_loss": number("nat", "training loss that the run fell to; null where the budget decided"),
}

FINGERPRINT: dict[str, Column] = {
    "fingerprint": string("SHA-256 over code, resolved data set and recipe, data, batch size, seed and engine"),
}

# What telemetry.summarise() returns; the time series has the same quantities per sample.
TELEMETRY_SUMMARY: dict[str, Column] = {
    "telemetry_seconds": number("s", "time covered by the samples"),
    "telemetry_samples": integer("", "number of samples taken", nullable=True),
    "cpu_percent_mean": number("%", "CPU time of the process tree, 100 = one core busy, mean over time"),
    "host_rss_peak_bytes": number(
        "B", "largest sampled resident memory of the process tree, with pages of files: less in a warm start"
    ),
    "cpu_package_energy_joules": number("J", "energy of all CPU packages (RAPL), whole machine"),
    "gpu_utilisation_mean_percent": number("%", "share of time with a kernel running (NVML), mean over time"),
    "gpu_utilisation_peak_percent": number("%", "largest sampled GPU utilisation"),
    "gpu_memory_controller_mean_percent": number("%", "share of time the memory controller was busy, mean over time"),
    "gpu_memory_device_peak_bytes": number("B", "largest sampled memory in use on the devices, by anyone"),
    "gpu_memory_process_peak_bytes": number("B", "largest sampled GPU memory of this process tree"),
    "gpu_power_mean_watts": number("W", "mean over time of the sampled power draw, devices summed"),
    "gpu_energy_joules": number("J", "difference of the energy counters, devices summed"),
    "gpu_sm_clock_mean_mhz": number("MHz", "streaming multiprocessor clock, mean over time and devices"),
    "gpu_temperature_peak_celsius": number("°C", "highest sampled GPU temperature"),
}

MACHINE: dict[str, Column] = {
    "engine": string("what trained: tensorflow, jax or numpy"),
    "loop": string("fused (one compiled call per epoch) or fit (Keras model.fit)"),
    "device": string("cpu or gpu"),
    "threads": integer("", "threads given to the framework"),
    "host": string("name of the machine"),
    "started_at": string("start of the job, UTC, ISO 8601"),
}

MEMORY: dict[str, Column] = {
    "allocator_peak_bytes": number("B", "peak of the framework's device allocator; null on the CPU"),
    "host_memory_peak_bytes": number(
        "B",
        "peak resident memory, without pages of files, above the baseline, in updates and evaluations once they are "
        "compiled; in a timing, in its first updates",
    ),
    "host_memory_baseline_bytes": number(
        "B", "resident memory, without pages of files, after the framework was imported, before data and model"
    ),
}


def _metrics(when: str, meaning: str) -> dict[str, Column]:
    return {
        f"{when}_{part}_{metric}": number("nat" if metric == "loss" else "", f"{part} {metric} {meaning}")
        for part in ("train", "validation", "test")
        for metric in ("loss", "accuracy")
    }


TABLES: dict[str, dict[str, Column]] = {
    "run": {
        **RUN,
        **FINGERPRINT,
        "outcome": string("ok, diverged or out_of_memory"),
        "outcome_detail": string("what happened where the outcome is not ok", nullable=True),
        "n_train": integer("examples", "size of the training part"),
        "n_validation": integer("examples", "size of the validation part"),
        "n_test": integer("examples", "size of the test part"),
        "n_parameters": integer("", "trainable parameters; null where the model could not be built", nullable=True),
        "tracked_weight": string("index, in the first kernel, of the weight followed in `steps`", nullable=True),
        "micro_batch_size": integer(
            "examples", "examples per gradient pass where gradients are accumulated", nullable=True
        ),
        "updates_per_epoch": integer("updates", "ceil(N/B), or floor(N/B) where the last short batch is dropped"),
        "epochs": number("epochs", "passes over the training part", nullable=False),
        "evaluations": integer("", "evaluations after the first update"),
        "updates": integer("updates", "changes of the weights"),
        "examples": integer("examples", "examples trained on, repeats counted"),
        "learning_rate": number("", "rate after scaling or tuning, at the end of the warm-up", nullable=False),
        "stopped_early": boolean("true where early stopping ended the run before the budget"),
        "selected_epoch": number("epochs", "epoch of the evaluation with the lowest validation loss"),
        **_metrics("last", "after the last update"),
        **_metrics("selected", "at `selected_epoch`"),
        "step_loss_noise": number("nat", "median `step_loss_noise` of the evaluations in the last half of the run"),
        "compile_seconds": number("s", "building, tracing and compiling; on JAX reading what was compiled before"),
        "train_seconds": number("s", "updates only; other runs may share the machine"),
        "evaluate_seconds": number("s", "evaluations on the three parts"),
        "total_seconds": number("s", "whole job after the imports"),
        **MEMORY,
        **TELEMETRY_SUMMARY,
        **MACHINE,
    },
    "steps": {
        **RUN,
        "update": integer("updates", "number of the update, from 1"),
        "epoch": integer("epochs", "epoch the update belongs to, from 1"),
        "examples": integer("examples", "examples trained on after this update"),
        "loss": number(
            "nat", "mean loss of the batch, before the update; non-finite only at divergence", nullable=False
        ),
        "gradient_norm": number("", "Euclidean norm of the batch gradient over all weights, before clipping"),
        "weight": number("", "the tracked weight after the update"),
        "learning_rate": number("", "learning rate of this update", nullable=False),
    },
    "evaluations": {
        **RUN,
        "evaluation": integer("", "number of the evaluation; 0 is the one before training"),
        "epoch": number("epochs", "passes over the training part so far", nullable=False),
        "updates": integer("updates", "updates made so far"),
        "examples": integer("examples", "examples trained on so far"),
        "step_loss_mean": number(
            "nat",
            "mean over the examples since the last evaluation of the losses met while training (what Keras prints)",
        ),
        "step_loss_noise": number(
            "nat", "root of a sixth of the mean squared second difference of the losses of successive whole batches"
        ),
        "train_loss": number("nat", "loss of the whole training part, in inference mode"),
        "train_accuracy": number("", "accuracy on the whole training part"),
        "validation_loss": number("nat", "loss of the validation part"),
        "validation_accuracy": number("", "accuracy on the validation part"),
        "learning_rate": number("", "learning rate of the last update before"),
        "train_seconds": number("s", "time of the updates since the last evaluation; other runs may share the machine"),
        "evaluate_seconds": number("s", "time of the evaluation"),
    },
    "trials": {
        **CELL,
        "seed": integer("", "tuning seed of the trial"),
        "learning_rate": number("", "learning rate of the trial", nullable=False),
        "stage": string("where the rate comes from: grid (the recipe's), widened (beyond its edge) or refined"),
        "outcome": string("ok, diverged or out_of_memory"),
        "selected_validation_loss": number("nat", "lowest validation loss of the trial; null unless it ended ok"),
        "selected_epoch": number("epochs", "epoch of that evaluation"),
        "chosen": boolean("true for the rate that the runs of this batch size use"),
    },
    "telemetry": {
        **CELL,
        "seed": integer("", "seed of the run; null in a timing", nullable=True),
        "elapsed_seconds": number("s", "since the sampler started, monotonic clock", nullable=False),
        "cpu_percent": number("%", "CPU time of the process tree since the last sample, 100 = one core busy"),
        "host_rss_bytes": number("B", "resident memory of the process tree"),
        "cpu_package_energy_joules": number("J", "CPU packages (RAPL), since the sampler started"),
        "gpu": integer("", "NVML index of the device; null without one", nullable=True),
        "gpu_utilisation_percent": number("%", "share of the driver's sampling window with a kernel running"),
        "gpu_memory_controller_percent": number("%", "share of that window with the memory controller busy"),
        "gpu_memory_device_bytes": number("B", "memory in use on the device, by anyone"),
        "gpu_memory_process_bytes": number("B", "memory of this process tree on the device"),
        "gpu_power_watts": number("W", "power draw as the driver reports it"),
        "gpu_energy_joules": number("J", "energy counter, since the sampler started"),
        "gpu_sm_clock_mhz": number("MHz", "streaming multiprocessor clock"),
        "gpu_temperature_celsius": number("°C", "temperature of the GPU die"),
    },
    "timing": {
        **CELL,
        **FINGERPRINT,
        "outcome": string("ok or out_of_memory"),
        "outcome_detail": string("what happened where the outcome is not ok", nullable=True),
        "n_train": integer("examples", "size of the training part"),
        "updates_per_epoch": integer("updates", "as in `runs`"),
        "windows": integer("", "timed windows"),
        "updates_per_window": integer("updates", "updates in each window", nullable=True),
        "seconds_per_update": number("s", "median over the windows, alone on the machine, full batches"),
        "seconds_per_update_q25": number("s", "first quartile over the windows"),
        "seconds_per_update_q75": number("s", "third quartile over the windows"),
        "seconds_per_update_ci_low": number("s", "lower end of the 95 % interval of the median of the job's windows"),
        "seconds_per_update_ci_high": number("s", "upper end of it; null where there are too few windows"),
        "ended_by": string(
            "key of `timing` in config.yaml that ended the windows: precision (the interval was narrow enough), "
            "max_seconds (it was not) or windows (their number was given)",
            nullable=True,
        ),
        "examples_per_second": number("1/s", "batch size over `seconds_per_update`"),
        "seconds_per_epoch": number(
            "s",
            "`seconds_per_update` times `updates_per_epoch`: a last, short batch counts as a whole one",
        ),
        "compile_seconds": number("s", "building, tracing and compiling; on JAX reading what was compiled before"),
        **MEMORY,
        **TELEMETRY_SUMMARY,
        **MACHINE,
    },
    "windows": {
        **CELL,
        "window": integer("", "number of the window, from 1"),
        "updates": integer("updates", "updates in the window"),
        "seconds": number("s", "length of the window, synchronised at both edges", nullable=False),
        "seconds_per_update": number("s", "`seconds` over `updates`", nullable=False),
    },
}
