"""What the jobs that probe do from start to end: weights or a plan in, tables of `columns` and a manifest out.

Every probe is a function of the paths of its inputs (data: the data set; for a probe of weights also run: the table of
the run, run_manifest, and weights: what it kept) and of the job, and gives the rows of its tables by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.identity.asked import Ask
from batchscope.jobs import provenance
from batchscope.jobs.job import Job, Note
from batchscope.probes import accumulation, gradients, modes, overheads, rates, sharpness
from batchscope.tables import records
from batchscope.training import checkpoints
from batchscope.training.checkpoints import Snapshot
from batchscope.training.engines import Frozen, Precision
from batchscope.training.plans import Plan

Paths = Mapping[str, str]
Row = dict[str, Any]
Tables = dict[str, list[Row]]

POSITIONS = [step / 10 for step in range(-10, 11)]  # of a slice of the loss
SUBSET = 31  # the stream of random numbers that chooses the examples looked at: the same for every run of a data set


def run_probe(inputs: Paths, ask: Ask, outputs: Paths, note: Note = lambda name, value: None) -> None:
    """Probe what the study asks (see `Asked.probe`) and write `outputs`: the tables of the probe and its manifest."""
    job = Job(inputs, ask, note)
    tables: Tables = {name: [] for name in outputs if name != "manifest"}
    reasons: dict[str, str] = {}
    try:
        tables |= PROBES[ask["probe"]](inputs, job)
    except MemoryError as error:
        reasons = dict.fromkeys(tables, f"memory ran out: {error}")
    job.write(tables, outputs, reasons)


def probe_gradients(inputs: Paths, job: Job) -> Tables:
    """Gradients of drawn batches and the noise scale, at every share of the budget whose weights the run kept."""
    moments = [checkpoints.at(share) for share in job.recipe["snapshots"]["at"]]
    drawn: list[Row] = []
    scales: list[Row] = []
    for taken in _taken(inputs, moments):
        frozen = _frozen(job, taken, "float32")
        identity = _moment(job, taken, frozen.n_examples)
        for row in gradients.batch_statistics(frozen, job.settings["batch_sizes"], job.settings["batches"], job.seed):
            drawn.append({**identity, **_renamed(row, batch_size="drawn_batch_size")})
        scales.append({**identity, **dataclasses.asdict(gradients.noise_scale(frozen, job.seed))})
    return {"gradients": drawn, "noise_scale": scales}


def probe_sharpness(inputs: Paths, job: Job) -> Tables:
    """Curvature of the training loss, in double precision, at the end of the run and at its training losses."""
    moments = [checkpoints.below(loss) for loss in job.recipe["snapshots"]["train_losses"]]
    if 1 in job.recipe["snapshots"]["at"]:
        moments.append(checkpoints.at(1))
    trainer = job.engine.build(Plan(job.recipe, job.batch_size, job.seed, job.settings["loop"]), job.data)
    threshold = _stability_threshold(job.recipe, inputs)
    found: list[Row] = []
    slices: list[Row] = []
    for taken in _taken(inputs, moments):
        frozen = _frozen(job, taken, "float64")
        identity = _moment(job, taken, frozen.n_examples)
        trainer.set_weights(taken.weights)
        accuracies = {f"{part}_accuracy": trainer.evaluate(part)[1] for part in ("train", "test")}
        measured = dataclasses.asdict(sharpness.measure(frozen, job.seed))
        found.append({**identity, **measured, **accuracies, "stability_threshold": threshold})
        slices += [{**identity, **row} for row in sharpness.loss_slice(frozen, job.seed, POSITIONS)]
    return {"sharpness": found, "slices": slices}


def probe_modes(inputs: Paths, job: Job) -> Tables:
    """The validation loss of the last weights in batches of several sizes, in both modes of batch normalisation."""
    trainer = job.engine.build(Plan(job.recipe, job.batch_size, job.seed, job.settings["loop"]), job.data)
    rows: list[Row] = []
    for taken in _taken(inputs, [checkpoints.at(1)]):
        identity = _moment(job, taken, len(job.data.y_validation))
        trainer.set_weights(taken.weights)
        found = modes.evaluation_modes(trainer, job.data, job.settings["batch_sizes"], job.seed)
        rows += [{**identity, **_renamed(row, batch_size="evaluated_batch_size")} for row in found]
    return {"modes": rows}


def probe_rates(inputs: Paths, job: Job) -> Tables:
    """Learning-rate range test of one run: its first weights and its order of the examples."""
    plan = Plan(job.recipe, job.batch_size, job.seed, job.settings["loop"])
    found = rates.range_test(
        job.engine, job.data, plan, job.settings["lowest"], job.settings["highest"], job.settings["updates"]
    )
    identity = {**job.cell, "seed": job.seed}
    names = ("suggested_rate", "lowest_loss_rate", "diverged_rate", "reason")
    row = {**identity, **{name: getattr(found, name) for name in names}}
    return {"rate_ranges": [row], "rate_curves": [{**identity, **point} for point in found.curve]}


def probe_accumulation(inputs: Paths, job: Job) -> Tables:
    """Weights after some updates of accumulated micro batches against those of the whole batch."""
    plan = Plan(job.recipe, job.batch_size, job.seed, job.settings["loop"])
    found = accumulation.accumulation(
        job.engine, job.data, plan, job.settings["micro_batch_size"], job.settings["updates"]
    )
    return {"accumulation": [{**job.cell, "seed": job.seed, **found}]}


def probe_overheads(inputs: Paths, job: Job) -> Tables:
    """Timed windows of the compiled loop, of Keras' own loop and of one that only reads the data."""
    windows = overheads.measure(job.engine, job.data, Plan(job.recipe, job.batch_size, 0, "fused"), job.settings)
    return {"loop_windows": [{**job.cell, **window} for window in windows]}


def _taken(inputs: Paths, moments: Sequence[str]) -> Iterator[Snapshot]:
    """The snapshots of a run at `moments`; a run that diverged or never fell so far lacks some."""
    found = checkpoints.read(provenance.require_whole(Path(inputs["weights"]), Path(inputs["run_manifest"])))
    return (found[moment] for moment in moments if moment in found)


def _frozen(job: Job, taken: Snapshot, precision: Precision) -> Frozen:
    """The model with these weights, on examples of the training part that are the same for every run."""
    data, n = job.data, min(job.settings["examples"], len(job.data.y_train))
    chosen: NDArray[np.int64] = np.sort(np.random.default_rng(SUBSET).permutation(len(data.y_train))[:n])
    return job.engine.freeze(
        job.recipe,
        (data.x_train[chosen], data.y_train[chosen]),
        data.meta["classes"],
        taken.weights,
        precision,
        job.recipe["evaluation_batch_size"],
    )


def _moment(job: Job, taken: Snapshot, n_examples: int) -> Row:
    return {
        **job.cell,
        "seed": job.seed,
        "moment": taken.moment,
        "epoch": taken.epoch,
        "updates": taken.updates,
        "train_loss": taken.train_loss,
        "examples": n_examples,
    }


def _renamed(row: Row, **names: str) -> Row:
    return {names.get(name, name): value for name, value in row.items()}


def _stability_threshold(recipe: Mapping[str, Any], inputs: Paths) -> float | None:
    """Curvature above which gradient descent leaves the minimum of a quadratic (2 without momentum); None for Adam."""
    optimiser = recipe["optimiser"]
    if optimiser["name"] != "sgd":
        return None
    run = provenance.require_whole(Path(inputs["run"]), Path(inputs["run_manifest"]))
    rate = records.read_table("run", run).column("learning_rate")[0].as_py()
    return float(2 * (1 + optimiser["momentum"]) / rate)


PROBES = {
    "gradients": probe_gradients,
    "sharpness": probe_sharpness,
    "modes": probe_modes,
    "rates": probe_rates,
    "accumulation": probe_accumulation,
    "overheads": probe_overheads,
}
