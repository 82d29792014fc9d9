"""What the jobs that train do from start to end: configure, measure, write tables and manifest."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from batchscope import datasets, engines, manifest, memory, recipes, records, snapshots, telemetry, training, tuning
from batchscope.probes import timing

log = logging.getLogger(__name__)

FIT_LOOP = "Keras model.fit does not hand it out; the fused loop does"


def train_run(
    dataset_file: str,
    recipe: Mapping[str, Any],
    run: Mapping[str, Any],
    settings: Mapping[str, Any],
    code: str,
    outputs: Mapping[str, str],
    trials: str | None = None,
) -> None:
    """Train one run and write `outputs`: run, steps, evaluations, telemetry (Parquet), weights (.npz), manifest (JSON).

    Args:
        dataset_file: the data set's .npz.
        recipe: resolved recipe.
        run: dataset, recipe, batch_size (as in the study: digits or `full`) and seed.
        settings: engine, loop, device, threads, step_records, telemetry_interval_seconds.
        code: fingerprint of the code that decides the result.
        outputs: path per kind of output.
        trials: table of the trials that chose the learning rate, for a recipe that tunes it.
    """
    if trials is not None:
        recipe = recipes.with_learning_rate(recipe, _chosen_rate(trials))
    job = _Job(dataset_file, recipe, run, settings, code)
    sampler = job.sampler()
    with sampler:
        progress = training.train(
            job.engine,
            job.data,
            recipes.Plan(recipe, job.batch_size, run["seed"], settings["loop"]),
            step_records=settings["step_records"],
            log=log.info,
        )
    identity = {**job.cell, "seed": run["seed"]}
    seconds = progress.clocks.seconds
    row, reasons = job.finish(
        sampler,
        progress.outcome,
        {
            **identity,
            "outcome_detail": progress.outcome_detail,
            "n_validation": len(job.data.y_validation),
            "n_test": len(job.data.y_test),
            "n_parameters": progress.n_parameters,
            "tracked_weight": progress.tracked_weight and str(list(progress.tracked_weight)),
            "micro_batch_size": recipe["micro_batch_size"],
            "epochs": progress.epoch,
            "evaluations": max(0, len(progress.evaluations) - 1),
            "updates": progress.updates,
            "examples": progress.examples,
            "learning_rate": recipes.scaled_learning_rate(recipe, job.batch_size),
            "stopped_early": progress.stopped_early,
            "selected_epoch": progress.selected_epoch,
            **progress.metrics,
            "step_loss_noise": training.median_noise(progress.evaluations),
            "compile_seconds": seconds["compile"],
            "train_seconds": seconds["train"],
            "evaluate_seconds": seconds["evaluate"],
            "total_seconds": job.elapsed(),
        },
    )
    if row["step_loss_noise"] is None and progress.outcome == "ok":
        reasons["step_loss_noise"] = "the run has fewer than three whole batches"
    if settings["loop"] == "fit":
        reasons |= {"gradient_norm": FIT_LOOP, "weight": FIT_LOOP}
    snapshots.write(progress.snapshots, outputs["weights"])
    records.write_table("steps", [{**identity, **step} for step in progress.steps], outputs["steps"])
    evaluations = [{**identity, **evaluation} for evaluation in progress.evaluations]
    records.write_table("evaluations", evaluations, outputs["evaluations"])
    job.write("run", row, identity, sampler, reasons, outputs)


def time_cell(
    dataset_file: str,
    recipe: Mapping[str, Any],
    cell: Mapping[str, Any],
    settings: Mapping[str, Any],
    code: str,
    outputs: Mapping[str, str],
) -> None:
    """Time one (data set, recipe, batch size) and write `outputs`: timing, windows, telemetry and manifest.

    The arguments are those of `train_run`; `settings` also holds warmup_seconds, windows and window_seconds.
    """
    job = _Job(dataset_file, recipe, cell, settings, code)
    sampler = job.sampler()
    plan = recipes.Plan(recipe, job.batch_size, 0, settings["loop"])
    measured = timing.measure(job.engine, job.data, plan, settings, sampler, job.read_memory)
    per_update = [window["seconds_per_update"] for window in measured.windows]
    low, median, high = np.quantile(per_update, [0.25, 0.5, 0.75]).tolist() if per_update else (None, None, None)
    row, reasons = job.finish(
        sampler,
        measured.outcome,
        {
            **job.cell,
            "outcome_detail": measured.outcome_detail,
            "windows": len(measured.windows),
            "updates_per_window": measured.updates_per_window,
            "seconds_per_update": median,
            "seconds_per_update_q25": low,
            "seconds_per_update_q75": high,
            "examples_per_second": job.batch_size / median if median else None,
            "seconds_per_epoch": job.updates_per_epoch * median if median else None,
            "compile_seconds": measured.compile_seconds,
        },
    )
    records.write_table("windows", [{**job.cell, **window} for window in measured.windows], outputs["windows"])
    job.write("timing", row, {**job.cell, "seed": None}, sampler, reasons, outputs)


def tune_cell(
    dataset_files: Sequence[str],
    recipe: Mapping[str, Any],
    cell: Mapping[str, Any],
    settings: Mapping[str, Any],
    code: str,
    outputs: Mapping[str, str],
) -> None:
    """Choose the learning rate of one (data set, recipe, batch size) and write `outputs`: trials and manifest.

    All trials run in this one process, each a whole training with a tuning seed of the recipe. `dataset_files` is one
    file, or one per tuning seed where every seed draws its own data. The other arguments are those of `train_run`.
    """
    job = _Job(dataset_files[0], recipe, cell, settings, code)
    plan = recipe["tuning"]
    data = dict.fromkeys(plan["seeds"], job.data)
    if len(dataset_files) > 1:
        data = {seed: datasets.load(Path(file)) for seed, file in zip(plan["seeds"], dataset_files, strict=True)}

    def train(rate: float, seed: int) -> tuple[str, float | None, float | None]:
        trial = recipes.Plan(recipes.with_learning_rate(recipe, rate), job.batch_size, seed, settings["loop"])
        progress = training.train(job.engine, data[seed], trial, step_records=1)
        loss = progress.metrics["selected_validation_loss"] if progress.outcome == "ok" else None
        log.info("rate %.4g, seed %d: %s, lowest validation loss %s", rate, seed, progress.outcome, loss)
        return progress.outcome, loss, None if loss is None else progress.selected_epoch

    trials = tuning.search(train, plan["learning_rates"], plan["seeds"], plan["widen"], plan["refine"])
    chosen = tuning.best(trials) or min(trial.learning_rate for trial in trials)
    rows = [
        {
            **job.cell,
            "seed": trial.seed,
            "learning_rate": trial.learning_rate,
            "stage": trial.stage,
            "outcome": trial.outcome,
            "selected_validation_loss": trial.loss,
            "selected_epoch": trial.epoch,
            "chosen": trial.learning_rate == chosen,
        }
        for trial in trials
    ]
    records.write_json(job.provenance(), outputs["manifest"])
    records.write_table("trials", rows, outputs["trials"])


def _chosen_rate(trials: str) -> float:
    """The rate that the table of trials marks as chosen."""
    table = records.read_table("trials", Path(trials)).to_pylist()
    return float(next(row["learning_rate"] for row in table if row["chosen"]))


class _Job:
    """What both kinds of job share: the configured engine, the data, the identity and the manifest."""

    def __init__(
        self,
        dataset_file: str,
        recipe: Mapping[str, Any],
        cell: Mapping[str, Any],
        settings: Mapping[str, Any],
        code: str,
    ) -> None:
        self.started_at = manifest.now()
        self.peaks: tuple[tuple[int | None, str], ...] = ()
        self.engine = engines.engine(settings["engine"])
        self._start = time.perf_counter()
        self.numerics = self.engine.configure(settings["device"], settings["threads"])
        self.baseline_bytes = memory.resident_bytes()
        self.data = datasets.load(Path(dataset_file))
        memory.reset_peak()  # reading a large file takes more for a moment than training on it with a small batch
        self.recipe, self.settings = recipe, settings
        n_train = len(self.data.y_train)
        self.batch_size = recipes.resolve_batch_size(cell["batch_size"], n_train)
        if self.batch_size > n_train:
            raise ValueError(
                f"batch size {self.batch_size} is larger than the {n_train} training examples of {cell['dataset']}"
            )
        self.updates_per_epoch = recipes.updates_per_epoch(n_train, self.batch_size, recipe["last_batch"])
        self.cell = {
            "dataset": cell["dataset"],
            "recipe": cell["recipe"],
            "batch_size": self.batch_size,
            "full_batch": cell["batch_size"] == "full",
        }
        self.identity = {
            "code": code,
            "data": self.data.meta["digest"],
            "recipe": dict(recipe),
            "settings": dict(settings),
            "cell": dict(cell),
        }

    def elapsed(self) -> float:
        return time.perf_counter() - self._start

    def read_memory(self) -> None:
        """Keep the peaks of the device's allocator and of the process up to now, instead of up to the end."""
        self.peaks = (self.engine.allocator_peak_bytes(self.numerics["device"]), memory.peak_bytes())

    def sampler(self) -> telemetry.Sampler:
        on_gpu = self.numerics["device"] == "gpu"
        gpus = telemetry.first(telemetry.available_gpus()) if on_gpu else telemetry.no_gpus()
        return telemetry.Sampler(self.settings["telemetry_interval_seconds"], gpus=gpus)

    def finish(
        self, sampler: telemetry.Sampler, outcome: str, measured: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The row of the job and the reason for every quantity in it that was not measured."""
        if not self.peaks:
            self.read_memory()
        (allocator, no_allocator), (peak, no_peak) = self.peaks
        row = {
            **measured,
            "fingerprint": records.fingerprint(self.identity),
            "outcome": outcome,
            "n_train": len(self.data.y_train),
            "updates_per_epoch": self.updates_per_epoch,
            "allocator_peak_bytes": allocator,
            "host_memory_peak_bytes": None if peak is None else max(0, peak - self.baseline_bytes),
            "host_memory_baseline_bytes": self.baseline_bytes,
            **sampler.result.summary,
            "engine": self.settings["engine"],
            "loop": self.settings["loop"],
            "device": self.numerics["device"],
            "threads": self.settings["threads"],
            "host": manifest.host()["name"],
            "started_at": self.started_at,
        }
        known = {"allocator_peak_bytes": no_allocator, "host_memory_peak_bytes": no_peak} | sampler.result.not_measured
        quantities = {
            name for table in ("run", "timing") for name, c in records.TABLES[table].items() if c.kind == "number"
        }
        return row, {
            name: known.get(name) or f"the job ended with the outcome {outcome} before it could be measured"
            for name, value in row.items()
            if value is None and name in quantities and (name in known or outcome != "ok")
        }

    def write(
        self,
        table: str,
        row: Mapping[str, Any],
        identity: Mapping[str, Any],
        sampler: telemetry.Sampler,
        not_measured: Mapping[str, str],
        outputs: Mapping[str, str],
    ) -> None:
        """Write telemetry, manifest and the row; the row last, so that it stands only where all else does."""
        series = [{**identity, **sample} for sample in sampler.result.series]
        records.write_table("telemetry", series, outputs["telemetry"])
        content = {
            **self.provenance(),
            "gpus": sampler.result.devices,
            "not_measured": dict(not_measured),
            "measured_in_part": sampler.result.notes,
        }
        records.write_json(content, outputs["manifest"])
        records.write_table(table, [row], outputs[table])

    def provenance(self) -> dict[str, Any]:
        """Where the results of this job come from, for its manifest."""
        return {
            **manifest.job(self.engine.PACKAGES),
            "started_at": self.started_at,
            "ended_at": manifest.now(),
            "fingerprint": records.fingerprint(self.identity),
            "identity": self.identity,
            "numerics": self.numerics,
        }
