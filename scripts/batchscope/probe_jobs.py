"""What the jobs that probe do from start to end: weights or a plan in, tables of `columns` and a manifest out.

Every function takes the paths of its inputs (data: the data set; for a probe of weights also run: the table of the run,
and weights: what it kept), the resolved recipe, the run or cell, the settings (engine, loop, device, threads, and the
probe's own keys of the study), a fingerprint of the code, and the path of every output.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope import engines, records, snapshots
from batchscope.files import write_json
from batchscope.engines import Frozen, OutOfMemoryError, Precision
from batchscope.job import Job
from batchscope.probes import accumulation, gradients, modes, overheads, rates, sharpness
from batchscope.plans import Plan
from batchscope.snapshots import Snapshot

Paths = Mapping[str, str]
Settings = Mapping[str, Any]
Row = dict[str, Any]

POSITIONS = [step / 10 for step in range(-10, 11)]  # of a slice of the loss
SUBSET = 31  # the stream of random numbers that chooses the examples looked at: the same for every run of a data set


def probe_gradients(inputs: Paths, recipe: Row, run: Row, settings: Settings, code: str, outputs: Paths) -> None:
    """Gradients of drawn batches and the noise scale, at every share of the budget whose weights the run kept."""
    job = Job(inputs["data"], recipe, run, settings, code)
    moments = [snapshots.at(share) for share in recipe["snapshots"]["at"]]
    drawn: list[Row] = []
    scales: list[Row] = []
    for taken in _taken(inputs["weights"], moments):
        frozen = _frozen(job, taken, "float32")
        identity = _moment(job, run, taken, frozen.n_examples)
        for row in gradients.batch_statistics(frozen, settings["batch_sizes"], settings["batches"], run["seed"]):
            drawn.append({**identity, **_renamed(row, batch_size="drawn_batch_size")})
        scales.append({**identity, **dataclasses.asdict(gradients.noise_scale(frozen, run["seed"]))})
    _write(job, outputs, gradients=drawn, noise_scale=scales)


def probe_sharpness(inputs: Paths, recipe: Row, run: Row, settings: Settings, code: str, outputs: Paths) -> None:
    """Curvature of the training loss, in double precision, at the end of the run and at its training losses."""
    job = Job(inputs["data"], recipe, run, settings, code)
    moments = [snapshots.below(loss) for loss in recipe["snapshots"]["train_losses"]]
    if 1 in recipe["snapshots"]["at"]:
        moments.append(snapshots.at(1))
    trainer = job.engine.build(Plan(recipe, job.batch_size, run["seed"], settings["loop"]), job.data)
    threshold = _stability_threshold(recipe, inputs["run"])
    found: list[Row] = []
    slices: list[Row] = []
    for taken in _taken(inputs["weights"], moments):
        frozen = _frozen(job, taken, "float64")
        identity = _moment(job, run, taken, frozen.n_examples)
        job.engine.set_weights(trainer, taken.weights)
        accuracies = {f"{part}_accuracy": job.engine.evaluate(trainer, part)[1] for part in ("train", "test")}
        measured = dataclasses.asdict(sharpness.measure(frozen, run["seed"]))
        found.append({**identity, **measured, **accuracies, "stability_threshold": threshold})
        slices += [{**identity, **row} for row in sharpness.loss_slice(frozen, run["seed"], POSITIONS)]
    _write(job, outputs, sharpness=found, slices=slices)


def probe_modes(inputs: Paths, recipe: Row, run: Row, settings: Settings, code: str, outputs: Paths) -> None:
    """The validation loss of the last weights in batches of several sizes, in both modes of batch normalisation."""
    job = Job(inputs["data"], recipe, run, settings, code)
    trainer = job.engine.build(Plan(recipe, job.batch_size, run["seed"], settings["loop"]), job.data)
    rows: list[Row] = []
    for taken in _taken(inputs["weights"], [snapshots.at(1)]):
        identity = _moment(job, run, taken, len(job.data.y_validation))
        job.engine.set_weights(trainer, taken.weights)
        found = modes.evaluation_modes(job.engine, trainer, job.data, settings["batch_sizes"], run["seed"])
        rows += [{**identity, **_renamed(row, batch_size="evaluated_batch_size")} for row in found]
    _write(job, outputs, modes=rows)


def probe_rates(inputs: Paths, recipe: Row, run: Row, settings: Settings, code: str, outputs: Paths) -> None:
    """Learning-rate range test of one run: its first weights and its order of the examples."""
    job = Job(inputs["data"], recipe, run, settings, code)
    plan = Plan(recipe, job.batch_size, run["seed"], settings["loop"])
    found = rates.range_test(job.engine, job.data, plan, settings["lowest"], settings["highest"], settings["updates"])
    identity = {**job.cell, "seed": run["seed"]}
    names = ("suggested_rate", "lowest_loss_rate", "diverged_rate", "reason")
    row = {**identity, **{name: getattr(found, name) for name in names}}
    _write(job, outputs, rate_ranges=[row], rate_curves=[{**identity, **point} for point in found.curve])


def probe_accumulation(inputs: Paths, recipe: Row, run: Row, settings: Settings, code: str, outputs: Paths) -> None:
    """Weights after some updates of accumulated micro batches against those of the whole batch."""
    job = Job(inputs["data"], recipe, run, settings, code)
    plan = Plan(recipe, job.batch_size, run["seed"], settings["loop"])
    found = accumulation.accumulation(job.engine, job.data, plan, settings["micro_batch_size"], settings["updates"])
    _write(job, outputs, accumulation=[{**job.cell, "seed": run["seed"], **found}])


def probe_overheads(inputs: Paths, recipe: Row, cell: Row, settings: Settings, code: str, outputs: Paths) -> None:
    """Timed windows of the compiled loop, of Keras' own loop and of one that only reads the data."""
    job = Job(inputs["data"], recipe, cell, settings, code)
    windows, reasons = [], {}
    try:
        windows = overheads.measure(job.engine, job.data, Plan(recipe, job.batch_size, 0, "fused"), settings)
    except OutOfMemoryError as error:
        reasons["seconds_per_update"] = f"memory ran out: {error}"
    _write(job, outputs, reasons, loop_windows=[{**job.cell, **window} for window in windows])


def _taken(weights: str, moments: Sequence[str]) -> Iterator[Snapshot]:
    """The snapshots of a run at `moments`; a run that diverged or never fell so far lacks some."""
    found = snapshots.read(weights)
    return (found[moment] for moment in moments if moment in found)


def _frozen(job: Job, taken: Snapshot, precision: Precision) -> Frozen:
    """The model with these weights, on examples of the training part that are the same for every run."""
    data, n = job.data, min(job.settings["examples"], len(job.data.y_train))
    chosen: NDArray[np.int64] = np.sort(np.random.default_rng(SUBSET).permutation(len(data.y_train))[:n])
    frozen: Frozen = engines.frozen(job.settings["engine"])(
        job.recipe,
        (data.x_train[chosen], data.y_train[chosen]),
        data.meta["classes"],
        taken.weights,
        precision,
        job.recipe["evaluation_batch_size"],
    )
    return frozen


def _moment(job: Job, run: Row, taken: Snapshot, n_examples: int) -> Row:
    return {
        **job.cell,
        "seed": run["seed"],
        "moment": taken.moment,
        "epoch": taken.epoch,
        "updates": taken.updates,
        "train_loss": taken.train_loss,
        "examples": n_examples,
    }


def _renamed(row: Row, **names: str) -> Row:
    return {names.get(name, name): value for name, value in row.items()}


def _stability_threshold(recipe: Mapping[str, Any], run: str) -> float | None:
    """Curvature above which gradient descent leaves the minimum of a quadratic (2 without momentum); None for Adam."""
    optimiser = recipe["optimiser"]
    if optimiser["name"] != "sgd":
        return None
    rate = records.read_table("run", run).column("learning_rate")[0].as_py()
    return float(2 * (1 + optimiser["momentum"]) / rate)


def _write(job: Job, outputs: Paths, not_measured: Mapping[str, str] | None = None, **tables: list[Row]) -> None:
    """The manifest and the tables; the tables last, so that they stand only where all else does."""
    write_json({**job.provenance(), "not_measured": dict(not_measured or {})}, outputs["manifest"])
    for table, rows in tables.items():
        records.write_table(table, rows, Path(outputs[table]))


PROBES = {
    "gradients": probe_gradients,
    "sharpness": probe_sharpness,
    "modes": probe_modes,
    "rates": probe_rates,
    "accumulation": probe_accumulation,
    "overheads": probe_overheads,
}
