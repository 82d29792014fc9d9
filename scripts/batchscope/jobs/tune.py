"""The job that chooses the learning rate of one batch size: every trial of it, in one process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence

from batchscope.jobs.job import Ask, Job, Note, Paths, Row, load_data
from batchscope.training import plans, recipes, trials, tuning

log = logging.getLogger(__name__)


def tune_cell(
    inputs: Mapping[str, Sequence[str]],
    ask: Ask,
    outputs: Paths,
    memory_bytes: int = sys.maxsize,
    note: Note = lambda name, value: None,
) -> None:
    """Choose the learning rate of one (data set, recipe, batch size) and write `outputs`: trials and manifest.

    Each trial is a whole training with a tuning seed of the recipe. `inputs` has data and facts, the files of the data
    set: one of each, or one per tuning seed where every seed draws its own. This process may hold `memory_bytes`. The
    other arguments are those of `train_job.train_run`.
    """
    files = list(zip(inputs["data"], inputs["facts"], strict=True))
    job = Job(dict(zip(("data", "facts"), files[0], strict=True)), ask, note)
    plan = job.recipe["tuning"]
    assert plan is not None
    data = dict.fromkeys(plan["seeds"], job.data)
    if len(files) > 1:
        data = {seed: load_data(*pair, ask) for seed, pair in zip(plan["seeds"], files, strict=True)}

    trainer = trials.Trials(job.engine, memory_bytes)

    def train(asked: Sequence[tuple[float, int]]) -> Iterator[tuning.Found]:
        made = [
            plans.Plan(recipes.with_learning_rate(job.recipe, rate), job.batch_size, seed, job.settings["loop"])
            for rate, seed in asked
        ]
        trained = trainer.train([(each, data[each.seed]) for each in made])
        for (rate, seed), progress in zip(asked, trained, strict=True):
            loss = progress.metrics["selected_validation_loss"] if progress.outcome == "ok" else None
            log.info("rate %.4g, seed %d: %s, lowest validation loss %s", rate, seed, progress.outcome, loss)
            yield progress.outcome, loss, None if loss is None else progress.selected_epoch

    found = tuning.search(train, plan["learning_rates"], plan["seeds"], plan["widen"], plan["refine"])
    job.write({"trials": rows(job.cell, found)}, outputs)


def rows(cell: Row, trials: Sequence[tuning.Trial]) -> list[Row]:
    """The table of trials; where every rate failed, the smallest one is chosen."""
    chosen = tuning.best(trials) or min(trial.learning_rate for trial in trials)
    return [
        {
            **cell,
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
