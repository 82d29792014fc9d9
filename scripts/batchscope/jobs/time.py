"""The job that times one batch size, alone on the machine, from the data to its tables and manifest."""

from __future__ import annotations

from batchscope.jobs.job import Ask, Job, Note, Paths
from batchscope.stats.quantiles import ENOUGH, median_interval, quartiles
from batchscope.training import plans, timing


def time_cell(inputs: Paths, ask: Ask, outputs: Paths, note: Note = lambda name, value: None) -> None:
    """Time one (data set, recipe, batch size) and write `outputs`: timing, windows, telemetry and manifest.

    The arguments are those of `train_job.train_run`; the settings of `ask` also hold those of
    `study.settings.Timing`.
    """
    job = Job(inputs, ask, note)
    sampler = job.sampler()
    plan = plans.Plan(job.recipe, job.batch_size, 0, job.settings["loop"])
    measured = timing.measure(
        job.engine,
        job.data,
        plan,
        sampler,
        until=timing.Until(job.settings["windows"], job.settings["precision"], job.settings["max_seconds"]),
        window_seconds=job.settings["window_seconds"],
        warmup_seconds=job.settings["warmup_seconds"],
        memory=job.memory(),
    )
    seconds = [window["seconds_per_update"] for window in measured.windows]
    low, median, high = quartiles(seconds)
    interval = median_interval(seconds) or (None, None)
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
            "seconds_per_update_ci_low": interval[0],
            "seconds_per_update_ci_high": interval[1],
            "ended_by": measured.ended_by,
            "examples_per_second": job.batch_size / median if median else None,
            "seconds_per_epoch": job.updates_per_epoch * median if median else None,
            "compile_seconds": measured.compile_seconds,
        },
    )
    if interval == (None, None):
        few = f"{len(seconds)} windows are too few for an interval"
        if len(seconds) >= ENOUGH:
            few += ", since they resemble their neighbours"
        reasons = {"seconds_per_update_ci_low": few, "seconds_per_update_ci_high": few, **reasons}
    windows = [{**job.cell, **window} for window in measured.windows]
    job.write({"timing": [row], "windows": windows}, outputs, reasons, sampler=sampler)
