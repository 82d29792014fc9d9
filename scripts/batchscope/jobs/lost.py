"""What is written for a job that died of memory: the outcome is a result, too, so that the study goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from batchscope.identity.digests import fingerprint
from batchscope.jobs import job, manifest, probe, provenance
from batchscope.jobs.job import Ask, Paths, Row
from batchscope.jobs.supervise import Death
from batchscope.jobs.tune import rows
from batchscope.tables import records
from batchscope.tables.columns import Columns
from batchscope.training import engines, recipes, snapshots, tuning

OUTCOME = "out_of_memory"


def write_run(inputs: Paths, ask: Ask, outputs: Paths, death: Death) -> None:
    """The outputs of `train_job.train_run` for a run of which nothing is known but that it died, and how."""
    row = {
        **_common(inputs, ask, death),
        "seed": ask["cell"]["seed"],
        "micro_batch_size": ask["recipe"]["micro_batch_size"],
        "learning_rate": recipes.scaled_learning_rate(ask["recipe"], _cell(inputs, ask)["batch_size"]),
        "stopped_early": False,
        **dict.fromkeys(("epochs", "evaluations", "updates", "examples"), 0),
    }
    snapshots.write([], outputs["weights"])
    _write(inputs, ask, outputs, death, run=[_whole("run", row)], steps=[], evaluations=[], telemetry=[])


def write_timing(inputs: Paths, ask: Ask, outputs: Paths, death: Death) -> None:
    """The outputs of `time_job.time_cell` for a timing that died."""
    row = {**_common(inputs, ask, death), "windows": 0}
    _write(inputs, ask, outputs, death, timing=[_whole("timing", row)], windows=[], telemetry=[])


def write_tuning(listed: Mapping[str, Sequence[str]], ask: Ask, outputs: Paths, death: Death) -> None:
    """The outputs of `tune_job.tune_cell` for a tuning that died, in its first trial as far as anybody knows."""
    inputs = {name: files[0] for name, files in listed.items()}
    plan = ask["recipe"]["tuning"]
    assert plan is not None
    trial = tuning.Trial(plan["learning_rates"][0], plan["seeds"][0], "grid", OUTCOME, None, None)
    _write(inputs, ask, outputs, death, trials=rows(_cell(inputs, ask), [trial]))


def write_probe(inputs: Paths, ask: Ask, outputs: Paths, death: Death) -> None:
    """The outputs of a probe that died: its tables without rows, and the reason in the manifest."""
    columns = probe.columns(ask["probe"])
    _write(inputs, ask, outputs, death, columns, **{name: [] for name in columns})


def _facts(inputs: Paths) -> Row:
    return dict(provenance.read(Path(inputs["facts"])))


def _cell(inputs: Paths, ask: Ask) -> Row:
    return job.cell_columns(ask["cell"], _facts(inputs)["n_train"])


def _identity(inputs: Paths, ask: Ask) -> Row:
    return {**ask, "data": _facts(inputs)["arrays"]}


def _common(inputs: Paths, ask: Ask, death: Death) -> Row:
    """What the rows of runs and timings share."""
    facts, settings, cell = _facts(inputs), ask["settings"], _cell(inputs, ask)
    return {
        **cell,
        **{f"n_{part}": facts[f"n_{part}"] for part in ("train", "validation", "test")},
        "fingerprint": fingerprint(_identity(inputs, ask)),
        "outcome": OUTCOME,
        "outcome_detail": death.how,
        "updates_per_epoch": recipes.updates_per_epoch(
            facts["n_train"], cell["batch_size"], ask["recipe"]["last_batch"]
        ),
        **{name: settings[name] for name in ("engine", "loop", "threads")},
        "device": (death.notes.get("numerics") or settings)["device"],
        "host": manifest.host()["name"],
        "started_at": manifest.now(),
    }


def _whole(table: str, row: Row) -> Row:
    """The row with every column of its table, null where nothing is known."""
    return {name: row.get(name) for name in records.TABLES[table]}


def _write(
    inputs: Paths,
    ask: Ask,
    outputs: Paths,
    death: Death,
    columns: Mapping[str, Columns] = records.TABLES,
    **tables: list[Row],
) -> None:
    missing = {
        name: death.how
        for table, found in tables.items()
        for row in found or [dict.fromkeys([table])]
        for name, value in row.items()
        if value is None and (name in job.quantities() or name == table)
    }
    for table, found in tables.items():
        records.write_table(table, found, outputs[table], columns[table])
    content = {
        **manifest.job(engines.about(ask["settings"]["engine"]).packages),
        "started_at": manifest.now(),
        "ended_at": manifest.now(),
        "numerics": death.notes.get("numerics", {}),
        "not_measured": missing,
    }
    job.write_manifest(content, _identity(inputs, ask), ask, outputs)
