"""The loop of one run: train, evaluate, stop early, and what is recorded on the way. Knows no framework."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.stats.quantiles import median
from batchscope.training import checkpoints, plans, recipes
from batchscope.training.engines import Engine, OutOfMemoryError, Part, Steps, Trainer, Weights
from batchscope.training.plans import Plan
from batchscope.training.snapshots import Snapshot

METRICS = ("loss", "accuracy")
PARTS = ("train", "validation", "test")
DIVERGED = 10.0  # a run has diverged if its training loss ends above so many times that of the untrained network


@dataclass
class Clocks:
    """Seconds spent per kind of work, on a monotonic clock. The engine's calls return when the device is done."""

    seconds: dict[str, float] = field(default_factory=lambda: {"compile": 0.0, "train": 0.0, "evaluate": 0.0})

    @contextmanager
    def measure(self, kind: str) -> Iterator[None]:
        """Add the time of the block to `kind`, also when it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[kind] += time.perf_counter() - start


@dataclass
class Progress:
    """What a run has recorded so far; after an outcome other than `ok` it holds what happened before it."""

    keep_every: int
    evaluated_at_once: int
    trial: bool = False
    outcome: str = "ok"
    outcome_detail: str | None = None
    n_parameters: int | None = None
    tracked_weight: tuple[int, ...] | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    epoch: float = 0.0
    updates: int = 0
    examples: int = 0
    stopped_early: bool = False
    selected: int | None = None
    snapshots: list[Snapshot] = field(default_factory=list)
    metrics: dict[str, float | None] = field(default_factory=dict)
    clocks: Clocks = field(default_factory=Clocks)
    last_step: dict[str, Any] = field(default_factory=dict)
    whole_losses: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def selected_epoch(self) -> float | None:
        """Epoch of the evaluation with the lowest validation loss."""
        return None if self.selected is None else float(self.evaluations[self.selected]["epoch"])


@dataclass(frozen=True)
class Stretch:
    """The updates between two evaluations: the loss and the number of examples of each, and the seconds they took."""

    losses: NDArray[np.float64]
    sizes: NDArray[np.int64]
    batch_size: int
    learning_rate: float
    seconds: float


def train(
    engine: Engine,
    data: Data,
    plan: Plan,
    *,
    step_records: int,
    trial: bool = False,
    log: Callable[[str], None] = lambda message: None,
) -> Progress:
    """Train one run to the end of its budget, to early stopping, or until it diverges or runs out of memory.

    Args:
        engine: already configured.
        data: the data set.
        plan: what to train.
        step_records: `steps` keeps every k-th update, with the smallest k for which the whole budget gives at most this
            many, and the last one.
        trial: whether no more is asked than how the run ends and its validation losses. Then the training part is
            evaluated at both ends only, which takes most of the time of a short run, and the test part not at all.
        log: called with one line per evaluation.

    Returns:
        the records; `metrics` has the keys `last_…` and `selected_…` of the table `run`, null where not measured.
    """
    total = plans.total_updates(len(data.y_train), plan)
    progress = Progress(math.ceil(total / step_records), plan.recipe["evaluation_batch_size"], trial=trial)
    try:
        _train(engine, data, plan, progress, log)
    except MemoryError as error:  # the engine's OutOfMemoryError is one
        progress.outcome, progress.outcome_detail = "out_of_memory", str(error) or "the host has too little memory"
    if progress.steps and progress.steps[-1]["update"] != progress.updates:
        progress.steps.append(progress.last_step)
    for when in ("last", "selected"):
        for part in PARTS:
            for metric in METRICS:
                progress.metrics.setdefault(f"{when}_{part}_{metric}", None)
    return progress


def _train(engine: Engine, data: Data, plan: Plan, progress: Progress, log: Callable[[str], None]) -> None:
    stopping, clocks = plan.recipe["budget"]["early_stopping"], progress.clocks
    engine.prepare(plan, data)
    with clocks.measure("compile"):
        trainer = engine.build(plan, data)
        trainer.train(np.empty(0, np.int32), np.empty(0, np.float32))
        _evaluated(trainer, progress, "validation")
    progress.n_parameters, progress.tracked_weight = trainer.n_parameters, trainer.tracked_weight
    patience = math.inf if stopping is None else stopping["patience"]
    best_loss, best_weights = math.inf, trainer.get_weights()
    _evaluate(trainer, progress, None)
    _keep_weights(trainer, plan, progress, 0.0)

    points = plans.evaluation_points(len(data.y_train), plan)
    for number, (start, stop) in enumerate(pairwise([0, *points.tolist()]), start=1):
        stretch = _train_stretch(trainer, len(data.y_train), plan, progress, start, stop)
        if stretch is None:
            return
        row = _evaluate(trainer, progress, stretch)
        log(
            f"epoch {row['epoch']:.4g}, update {stop}: validation loss {row['validation_loss']:.4f}, "
            f"accuracy {row['validation_accuracy']:.4f}"
        )
        if row["validation_loss"] < best_loss:
            best_loss, best_weights = row["validation_loss"], trainer.get_weights()
            progress.selected = number
        elif number - (progress.selected or 0) >= patience:
            progress.stopped_early = number < len(points)
            break
        _keep_weights(trainer, plan, progress, stop / int(points[-1]))

    _keep_weights(trainer, plan, progress, stop / int(points[-1]), ended=True)
    _conclude(trainer, progress, best_weights)


def _train_stretch(
    trainer: Trainer, n_train: int, plan: Plan, progress: Progress, start: int, stop: int
) -> Stretch | None:
    """Make the updates from one evaluation to the next; None where the loss is no longer finite."""
    per_epoch = recipes.updates_per_epoch(n_train, plan.batch_size, plan.recipe["last_batch"])
    losses, sizes, before = [], [], progress.clocks.seconds["train"]
    for epoch, first, end in plans.pieces(start, stop, per_epoch):
        whole = plans.epoch_order(n_train, plan, epoch)
        order = whole[first * plan.batch_size : end * plan.batch_size]
        made = (epoch - 1) * per_epoch + first
        rates = plans.learning_rates(n_train, plan, made, made + end - first)
        with progress.clocks.measure("train"):
            steps = trainer.train(order, rates)
        sizes.append(np.minimum(plan.batch_size, len(order) - plan.batch_size * np.arange(len(steps.loss))))
        losses.append(steps.loss)
        _record_steps(progress, epoch, steps, sizes[-1], rates)
        progress.epoch = epoch - 1 + (first * plan.batch_size + int(sizes[-1].sum())) / len(whole)
        if not np.isfinite(steps.loss[-1]):
            progress.outcome = "diverged"
            progress.outcome_detail = f"loss {steps.loss[-1]} at update {progress.updates} (epoch {epoch})"
            return None
    seconds = progress.clocks.seconds["train"] - before
    return Stretch(np.concatenate(losses), np.concatenate(sizes), plan.batch_size, float(rates[-1]), seconds)


def _keep_weights(trainer: Trainer, plan: Plan, progress: Progress, share: float, *, ended: bool = False) -> None:
    """Keep the present weights for the checkpoints of the recipe that have come; `share` of the budget is spent."""
    if progress.trial:
        return
    epoch, loss = (progress.evaluations[-1][name] for name in ("epoch", "train_loss"))
    done = {snapshot.checkpoint for snapshot in progress.snapshots}
    for checkpoint in checkpoints.kept(**plan.recipe["snapshots"]):
        if checkpoint not in done and checkpoint.reached(share, loss, ended=ended):
            progress.snapshots.append(Snapshot(checkpoint, epoch, progress.updates, loss, trainer.get_weights()))


def _conclude(trainer: Trainer, progress: Progress, best_weights: Weights) -> None:
    """Metrics of the last weights and of those of the evaluation with the lowest validation loss."""
    row, untrained = progress.evaluations[-1], progress.evaluations[0]
    if progress.trial:
        row |= _evaluated(trainer, progress, "train")
    if not row["train_loss"] <= DIVERGED * untrained["train_loss"]:
        progress.outcome = "diverged"
        progress.outcome_detail = (
            f"training loss {row['train_loss']:.4g}, before training {untrained['train_loss']:.4g}"
        )
    if progress.trial and progress.selected is not None:
        loss = progress.evaluations[progress.selected]["validation_loss"]
        progress.metrics["selected_validation_loss"] = loss
    if progress.trial:
        return
    _final_metrics(trainer, progress, "last", row)
    if progress.selected is None:  # no evaluation had a finite validation loss
        return
    trainer.set_weights(best_weights)
    _final_metrics(trainer, progress, "selected", progress.evaluations[progress.selected])


def _record_steps(
    progress: Progress, epoch: int, steps: Steps, sizes: NDArray[np.int64], rates: NDArray[np.float32]
) -> None:
    """Append every k-th update to the records; the last one is kept in any case where training stops."""
    examples = progress.examples + np.cumsum(sizes)

    def record(i: int) -> dict[str, Any]:
        return {
            "update": progress.updates + i + 1,
            "epoch": epoch,
            "examples": int(examples[i]),
            "loss": float(steps.loss[i]),
            "gradient_norm": _or_null(steps.gradient_norm[i]),
            "weight": _or_null(steps.weight[i]),
            "learning_rate": float(rates[i]),
        }

    made = len(steps.loss)
    progress.steps += [record(i) for i in range(-progress.updates % progress.keep_every, made, progress.keep_every)]
    progress.last_step = record(made - 1)
    progress.updates += made
    progress.examples = int(examples[-1])


def _evaluate(trainer: Trainer, progress: Progress, stretch: Stretch | None) -> dict[str, Any]:
    """Evaluate on train and validation part and append the row; `stretch` is None before training."""
    before = progress.clocks.seconds["evaluate"]
    with progress.clocks.measure("evaluate"):
        train: dict[str, Any] = dict.fromkeys((f"train_{metric}" for metric in METRICS), None)
        if not progress.trial or stretch is None:
            train = _evaluated(trainer, progress, "train")
        validation = _evaluated(trainer, progress, "validation")
    mean = noise = rate = None
    if stretch is not None:
        mean, rate = float(np.average(stretch.losses, weights=stretch.sizes)), stretch.learning_rate
        whole = np.concatenate([progress.whole_losses, stretch.losses[stretch.sizes == stretch.batch_size]])
        noise, progress.whole_losses = step_loss_noise(whole), whole[-2:]
    row = {
        "evaluation": len(progress.evaluations),
        "epoch": progress.epoch,
        "updates": progress.updates,
        "examples": progress.examples,
        "step_loss_mean": mean,
        "step_loss_noise": noise,
        **train,
        **validation,
        "learning_rate": rate,
        "train_seconds": stretch.seconds if stretch is not None else 0.0,
        "evaluate_seconds": progress.clocks.seconds["evaluate"] - before,
    }
    progress.evaluations.append(row)
    return row


def _final_metrics(trainer: Trainer, progress: Progress, when: str, row: Mapping[str, Any]) -> None:
    """Metrics of the present weights, those of the epoch `row`: what it holds, and a look at the test part."""
    for part in ("train", "validation"):
        for metric in METRICS:
            progress.metrics[f"{when}_{part}_{metric}"] = row[f"{part}_{metric}"]
    with progress.clocks.measure("evaluate"):
        progress.metrics |= {f"{when}_{name}": value for name, value in _evaluated(trainer, progress, "test").items()}


def _evaluated(trainer: Trainer, progress: Progress, part: Part) -> dict[str, float]:
    try:
        values = trainer.evaluate(part)
    except OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"{error}, in an evaluation, which takes {progress.evaluated_at_once} examples at once at every batch size "
            "(key evaluation_batch_size of the recipe)"
        ) from error
    return {f"{part}_{metric}": value for metric, value in zip(METRICS, values, strict=True)}


def step_loss_noise(losses: NDArray[np.float64]) -> float | None:
    """Root of a sixth of the mean squared second difference of successive step losses, in the unit of the loss.

    For independent noise around a straight line this is the noise's standard deviation: second differences cancel the
    line, so that the fall of the loss does not count as noise. None for fewer than three losses.
    """
    if len(losses) < 3:
        return None
    return float(np.sqrt(np.mean(np.diff(losses, n=2) ** 2) / 6))


def median_noise(evaluations: list[dict[str, Any]]) -> float | None:
    """Median `step_loss_noise` of the evaluations in the last half of the updates, where the loss has settled most.

    None where there is none, as in a run that ended before its first evaluation.
    """
    half = evaluations[-1]["updates"] / 2 if evaluations else 0
    late = [row["step_loss_noise"] for row in evaluations if row["updates"] > half]
    return median([noise for noise in late if noise is not None])


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
