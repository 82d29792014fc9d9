"""The job that trains one run, from its data to its tables, weights and manifest."""

from __future__ import annotations

import logging
from pathlib import Path

from batchscope.jobs import provenance
from batchscope.jobs.job import Ask, Job, Note, Paths, Row
from batchscope.tables import records
from batchscope.training import loop, plans, recipes, snapshots

log = logging.getLogger(__name__)

FIT_LOOP = "the loop fit does not hand it out; the fused loop does"


def train_run(inputs: Paths, ask: Ask, outputs: Paths, note: Note = lambda name, value: None) -> None:
    """Train one run and write `outputs`: run, steps, evaluations, telemetry (Parquet), weights (.npz), manifest (JSON).

    Args:
        inputs: data and facts, the data set's .npz and .json; where the rate is tuned, trials and tuning_manifest of
            the tuning.
        ask: what the study asks, see `Asked.run`.
        outputs: path per kind of output.
        note: see `Job`.
    """
    recipe = ask["recipe"]
    if recipe["tuning"] is not None:
        recipe = recipes.with_learning_rate(recipe, _chosen_rate(inputs))
    job = Job(inputs, ask, note, recipe)
    sampler = job.sampler()
    with sampler:
        progress = loop.train(
            job.engine,
            job.data,
            plans.Plan(recipe, job.batch_size, job.seed, job.settings["loop"]),
            step_records=job.settings["step_records"],
            log=log.info,
            memory=job.memory(),
        )
    identity = {**job.cell, "seed": job.seed}
    row, reasons = job.finish(sampler, progress.outcome, {**identity, **_measured(job, progress)})
    if row["step_loss_noise"] is None and progress.outcome == "ok":
        reasons["step_loss_noise"] = "the run has fewer than three whole batches"
    if job.settings["loop"] == "fit":
        reasons |= {"gradient_norm": FIT_LOOP, "weight": FIT_LOOP}
    snapshots.write(progress.snapshots, outputs["weights"])
    tables = {
        "run": [row],
        "steps": [{**identity, **step} for step in progress.steps],
        "evaluations": [{**identity, **evaluation} for evaluation in progress.evaluations],
    }
    job.write(tables, outputs, reasons, sampler=sampler)


def _measured(job: Job, progress: loop.Progress) -> Row:
    """The columns of the table `run` that are about this training."""
    seconds = progress.clocks.seconds
    return {
        "outcome_detail": progress.outcome_detail,
        "n_validation": len(job.data.y_validation),
        "n_test": len(job.data.y_test),
        "n_parameters": progress.n_parameters,
        "tracked_weight": progress.tracked_weight and str(list(progress.tracked_weight)),
        "micro_batch_size": job.recipe["micro_batch_size"],
        "epochs": progress.epoch,
        "evaluations": max(0, len(progress.evaluations) - 1),
        "updates": progress.updates,
        "examples": progress.examples,
        "learning_rate": recipes.scaled_learning_rate(job.recipe, job.batch_size),
        "stopped_early": progress.stopped_early,
        "selected_epoch": progress.selected_epoch,
        **progress.metrics,
        "step_loss_noise": loop.median_noise(progress.evaluations),
        "compile_seconds": seconds["compile"],
        "train_seconds": seconds["train"],
        "evaluate_seconds": seconds["evaluate"],
        "total_seconds": job.elapsed(),
    }


def _chosen_rate(inputs: Paths) -> float:
    """The rate that the table of trials marks as chosen."""
    trials = provenance.require_whole(Path(inputs["trials"]), Path(inputs["tuning_manifest"]))
    table = records.read_table("trials", trials).to_pylist()
    return float(next(row["learning_rate"] for row in table if row["chosen"]))
