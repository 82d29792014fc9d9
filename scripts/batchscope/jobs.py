"""What the jobs that train do from start to end: configure, measure, write tables and manifest."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from batchscope import datasets, plans, recipes, records, snapshots, training, tuning
from batchscope.files import write_json
from batchscope.job import Job
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
    job = Job(dataset_file, recipe, run, settings, code)
    sampler = job.sampler()
    with sampler:
        progress = training.train(
            job.engine,
            job.data,
            plans.Plan(recipe, job.batch_size, run["seed"], settings["loop"]),
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
    job = Job(dataset_file, recipe, cell, settings, code)
    sampler = job.sampler()
    plan = plans.Plan(recipe, job.batch_size, 0, settings["loop"])
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
    job = Job(dataset_files[0], recipe, cell, settings, code)
    plan = recipe["tuning"]
    data = dict.fromkeys(plan["seeds"], job.data)
    if len(dataset_files) > 1:
        data = {seed: datasets.load(Path(file)) for seed, file in zip(plan["seeds"], dataset_files, strict=True)}

    def train(rate: float, seed: int) -> tuple[str, float | None, float | None]:
        trial = plans.Plan(recipes.with_learning_rate(recipe, rate), job.batch_size, seed, settings["loop"])
        progress = training.train(job.engine, data[seed], trial, step_records=1, trial=True)
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
    write_json(job.provenance(), outputs["manifest"])
    records.write_table("trials", rows, outputs["trials"])


def _chosen_rate(trials: str) -> float:
    """The rate that the table of trials marks as chosen."""
    table = records.read_table("trials", Path(trials)).to_pylist()
    return float(next(row["learning_rate"] for row in table if row["chosen"]))
