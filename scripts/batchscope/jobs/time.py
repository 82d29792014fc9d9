"""The job that times one batch size, alone on the machine, from the data to its tables and manifest."""

from __future__ import annotations

from collections.abc import Mapping

from batchscope.identity.asked import Ask
from batchscope.jobs.job import Job, Note
from batchscope.stats.quantiles import quartiles
from batchscope.training import plans, timing


def time_cell(
    inputs: Mapping[str, str], ask: Ask, outputs: Mapping[str, str], note: Note = lambda name, value: None
) -> None:
    """Time one (data set, recipe, batch size) and write `outputs`: timing, windows, telemetry and manifest.

    The arguments are those of `train_job.train_run`; the settings of `ask` also hold warmup_seconds, windows and
    window_seconds.
    """
    job = Job(inputs, ask, note)
    sampler = job.sampler()
    plan = plans.Plan(job.recipe, job.batch_size, 0, job.settings["loop"])
    measured = timing.measure(job.engine, job.data, plan, job.settings, sampler, job.read_memory)
    low, median, high = quartiles([window["seconds_per_update"] for window in measured.windows])
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
    windows = [{**job.cell, **window} for window in measured.windows]
    job.write_with_telemetry("timing", row, sampler, reasons, outputs, windows=windows)
