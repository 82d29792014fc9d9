"""Weights & Biases.

The runs table (Export CSV) quotes every cell. Its header, as found in exports in public repositories, is
`"Name","Agent","State","Notes","User","Tags","Created","Runtime","Sweep"` and then the settings and the results that
the table showed, each in alphabetical order and without prefixes: `batch_size`, `lr`, …, `epoch`, `val_loss`. Some
columns may be hidden or moved. A cell without a value is empty, a note that nobody wrote is `-`, `Runtime` is in
seconds, `Created` is `2025-11-13T09:48:11.000Z`; numbers that are none are `NaN` and `Infinity`, lists and mappings
are JSON. A result is the last value that was logged, unless the run said otherwise (`define_metric(summary="min")`
gives `val_loss.min`). Sweeps also leave their definition among the settings (`parameters.batch_size`, `method`,
`metric.goal`). States are finished, crashed, failed, killed, running, pending and preempting
(https://docs.wandb.ai/models/runs/run-states). Exports that people write from the public API (`run.config`,
`run.summary`) have the columns `name` and `state` and no others of these, or a prefix `config.` and `summary.`.

A chart's export has its axis first (`Step`, `epoch`, or what the axis was called) and for each run `NAME - METRIC`,
`NAME - METRIC__MIN` and `NAME - METRIC__MAX`, at times also `NAME - _step`
(https://github.com/wandb/wandb/issues/5349). Where runs were grouped, NAME is `batch_size: 32` and the values are
means of several runs (https://github.com/wandb/wandb/issues/6474). `Step` counts calls of `wandb.log`.
"""

from __future__ import annotations

from collections.abc import Sequence

from batchscope.study.trackers.tracker import Kind, Tracker

_ABOUT = {
    *("Name", "Agent", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep", "ID", "Group", "Job Type"),
    *(
        "Updated",
        "End Time",
        "Host",
        "Hostname",
        "Description",
        "Commit",
        "Github",
        "GPU Type",
        "GPU Count",
        "CPU Count",
    ),
    *("Relative Time (Process)", "Relative Time (Wall)", "name", "state", "id", "sweep", "url", "created_at", "tags"),
    *("method", "program", "project", "entity", "group", "job_type", "notes", "user", "command"),
}
_OWN = ("_", "parameters.", "metric.", "wandb", "system/", "gradients/", "graph_", "early_terminate.")


def _wrote(columns: Sequence[str]) -> bool:
    told = {"Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep"} & set(columns)
    marks = ("config.", "summary.", "_") if "state" in columns else ("config.", "summary.")
    api = "name" in columns and any(name.startswith(marks) for name in columns)
    return ("Name" in told and len(told) > 2) or api


def _kind(column: str) -> tuple[Kind, str]:
    for prefix, kind in (("config.", "setting"), ("config/", "setting"), ("summary.", "result")):
        if column.startswith(prefix):
            return kind, column.removeprefix(prefix)  # type: ignore[return-value]
    return ("about" if column in _ABOUT or column.startswith(_OWN) else ""), column


WANDB = Tracker(
    "Weights & Biases",
    _wrote,
    _kind,
    roles={"Name": "name", "name": "name", "State": "state", "state": "state"},
    keeps_last=True,
)
