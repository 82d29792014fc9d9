"""The loop of one run: train, evaluate, stop early, and what is recorded on the way. Knows no framework."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.stats.quantiles import median
from batchscope.training import checkpoints, plans, recipes
from batchscope.training.engines import (
    Engine,
    Evaluation,
    OutOfMemoryError,
    Part,
    Steps,
    Trainer,
    Updates,
    Weights,
)
from batchscope.training.plans import Plan
from batchscope.training.snapshots import Snapshot

Row = dict[str, Any]  # of a table, by column
T = TypeVar("T")
Asking: TypeAlias = Generator[Updates | Evaluation, Any, T]  # is sent the `Steps`, or the loss and the accuracy

METRICS = ("loss", "accuracy")
PARTS = ("train", "validation", "test")
FINAL = tuple(f"{when}_{part}_{metric}" for when in ("last", "selected") for part in PARTS for metric in METRICS)
UNWATCHED = nullcontext()
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
    steps: list[Row] = field(default_factory=list)
    evaluations: list[Row] = field(default_factory=list)
    epoch: float = 0.0
    updates: int = 0
    examples: int = 0
    stopped_early: bool = False
    selected: int | None = None
    snapshots: list[Snapshot] = field(default_factory=list)
    metrics: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(FINAL))
    clocks: Clocks = field(default_factory=Clocks)
    last_step: Row = field(default_factory=dict)
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
    memory: AbstractContextManager[Any] = UNWATCHED,
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
        memory: entered once updates and evaluations are compiled, and left before the final metrics.

    Returns:
        the records; `metrics` has the keys `FINAL`, columns of the table `run`, null where not measured.
    """
    progress = begin(len(data.y_train), plan, step_records, trial=trial)
    try:
        engine.prepare(plan, data)
        with progress.clocks.measure("compile"):
            trainer = engine.build(plan, data)
        progress.n_parameters, progress.tracked_weight = trainer.n_parameters, trainer.tracked_weight
        asking = run(len(data.y_train), plan, progress, None if trial else trainer, log, memory)
        _answer(trainer, asking)
    except MemoryError as error:  # the engine's OutOfMemoryError is one
        progress.outcome, progress.outcome_detail = "out_of_memory", str(error) or "the host has too little memory"
    finish(progress)
    return progress


def begin(n_train: int, plan: Plan, step_records: int, *, trial: bool) -> Progress:
    """What a run records, before it starts; for `step_records` and `trial` see `train`."""
    every = math.ceil(plans.total_updates(n_train, plan) / step_records)
    return Progress(every, plan.recipe["evaluation_batch_size"], trial=trial)


def finish(progress: Progress) -> None:
    """Keep the last update in any case."""
    if progress.steps and progress.steps[-1]["update"] != progress.updates:
        progress.steps.append(progress.last_step)


def _answer(trainer: Trainer, asking: Asking[None]) -> None:
    """Let a trainer do what its run asks for; an error of the trainer is raised where it was asked."""
    try:
        asked = next(asking)
        while True:
            try:
                answer = asked.of(trainer)
            except MemoryError as error:
                asked = asking.throw(error)
            else:
                asked = asking.send(answer)
    except StopIteration:
        return


def run(
    n_train: int,
    plan: Plan,
    progress: Progress,
    trainer: Trainer | None,
    log: Callable[[str], None] = lambda message: None,
    memory: AbstractContextManager[Any] = UNWATCHED,
) -> Asking[None]:
    """The run of a plan as a generator of what is to be done, so that runs of one program can be led side by side.

    Args:
        n_train: examples of the training part.
        plan: what to train.
        progress: is added to.
        trainer: whose weights are kept; None in a trial, which keeps none.
        log: called with one line per evaluation.
        memory: see `train`.
    """
    stopping = plan.recipe["budget"]["early_stopping"]
    with progress.clocks.measure("compile"):
        yield Updates(np.empty(0, np.int32), np.empty(0, np.float32))
        yield from _evaluated(progress, "validation")
    patience = math.inf if stopping is None else stopping["patience"]
    best_loss, best_weights = math.inf, _weights(trainer)
    yield from _evaluate(progress, None)
    _keep_weights(trainer, plan, progress, 0.0)

    points = plans.evaluation_points(n_train, plan)
    with memory:
        for number, (start, stop) in enumerate(pairwise([0, *points.tolist()]), start=1):
            stretch = yield from _train_stretch(n_train, plan, progress, start, stop)
            if stretch is None:
                return
            row = yield from _evaluate(progress, stretch)
            log(
                f"epoch {row['epoch']:.4g}, update {stop}: validation loss {row['validation_loss']:.4f}, "
                f"accuracy {row['validation_accuracy']:.4f}"
            )
            if row["validation_loss"] < best_loss:
                best_loss, best_weights = row["validation_loss"], _weights(trainer)
                progress.selected = number
            elif number - (progress.selected or 0) >= patience:
                progress.stopped_early = number < len(points)
                break
            _keep_weights(trainer, plan, progress, stop / int(points[-1]))

    _keep_weights(trainer, plan, progress, stop / int(points[-1]), ended=True)
    yield from _conclude(trainer, progress, best_weights)


def _weights(trainer: Trainer | None) -> Weights:
    return [] if trainer is None else trainer.get_weights()


def _train_stretch(n_train: int, plan: Plan, progress: Progress, start: int, stop: int) -> Asking[Stretch | None]:
    """Make the updates from one evaluation to the next; None where the loss is no longer finite."""
    per_epoch = recipes.updates_per_epoch(n_train, plan.batch_size, plan.recipe["last_batch"])
    losses, sizes, before = [], [], progress.clocks.seconds["train"]
    for epoch, first, end in plans.pieces(start, stop, per_epoch):
        whole = plans.epoch_order(n_train, plan, epoch)
        order = whole[first * plan.batch_size : end * plan.batch_size]
        made = (epoch - 1) * per_epoch + first
        rates = plans.learning_rates(n_train, plan, made, made + end - first)
        with progress.clocks.measure("train"):
            steps = yield Updates(order, rates)
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


def _keep_weights(
    trainer: Trainer | None, plan: Plan, progress: Progress, share: float, *, ended: bool = False
) -> None:
    """Keep the present weights for the checkpoints of the recipe that have come; `share` of the budget is spent."""
    if trainer is None:
        return
    epoch, loss = (progress.evaluations[-1][name] for name in ("epoch", "train_loss"))
    done = {snapshot.checkpoint for snapshot in progress.snapshots}
    for checkpoint in checkpoints.kept(**plan.recipe["snapshots"]):
        if checkpoint not in done and checkpoint.reached(share, loss, ended=ended):
            progress.snapshots.append(Snapshot(checkpoint, epoch, progress.updates, loss, trainer.get_weights()))


def _conclude(trainer: Trainer | None, progress: Progress, best_weights: Weights) -> Asking[None]:
    """Metrics of the last weights and of those of the evaluation with the lowest validation loss."""
    row, untrained = progress.evaluations[-1], progress.evaluations[0]
    if progress.trial:
        row |= yield from _evaluated(progress, "train")
    if not row["train_loss"] <= DIVERGED * untrained["train_loss"]:
        progress.outcome = "diverged"
        progress.outcome_detail = (
            f"training loss {row['train_loss']:.4g}, before training {untrained['train_loss']:.4g}"
        )
    selected = None if progress.selected is None else progress.evaluations[progress.selected]
    if trainer is None:
        progress.metrics["selected_validation_loss"] = None if selected is None else selected["validation_loss"]
        return
    yield from _final_metrics(progress, "last", row)
    if selected is not None:  # an evaluation had a finite validation loss
        trainer.set_weights(best_weights)
        yield from _final_metrics(progress, "selected", selected)


def _record_steps(
    progress: Progress, epoch: int, steps: Steps, sizes: NDArray[np.int64], rates: NDArray[np.float32]
) -> None:
    """Append every k-th update to the records; the last one is kept in any case where training stops."""
    examples = progress.examples + np.cumsum(sizes)

    def record(i: int) -> Row:
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


def _evaluate(progress: Progress, stretch: Stretch | None) -> Asking[Row]:
    """Evaluate on train and validation part and append the row; `stretch` is None before training."""
    before = progress.clocks.seconds["evaluate"]
    with progress.clocks.measure("evaluate"):
        train: Row = dict.fromkeys((f"train_{metric}" for metric in METRICS), None)
        if not progress.trial or stretch is None:
            train = yield from _evaluated(progress, "train")
        validation = yield from _evaluated(progress, "validation")
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


def _final_metrics(progress: Progress, when: str, row: Row) -> Asking[None]:
    """Metrics of the present weights, those of the evaluation `row`: what it holds, and a look at the test part."""
    with progress.clocks.measure("evaluate"):
        known = row | (yield from _evaluated(progress, "test"))
    progress.metrics |= {f"{when}_{name}": value for name, value in known.items() if f"{when}_{name}" in FINAL}


def _evaluated(progress: Progress, part: Part) -> Asking[dict[str, float]]:
    try:
        values = yield Evaluation(part)
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


def median_noise(evaluations: list[Row]) -> float | None:
    """Median `step_loss_noise` of the evaluations in the last half of the updates, where the loss has settled most.

    None where there is none, as in a run that ended before its first evaluation.
    """
    half = evaluations[-1]["updates"] / 2 if evaluations else 0
    late = [row["step_loss_noise"] for row in evaluations if row["updates"] > half]
    return median([noise for noise in late if noise is not None])


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
