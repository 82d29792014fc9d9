"""What is written for a job that died of memory: the outcome is a result, too, so that the study goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from batchscope.identity.digests import fingerprint
from batchscope.jobs import job, manifest, provenance
from batchscope.jobs.job import Ask, Paths, Row
from batchscope.jobs.supervise import Death
from batchscope.jobs.tune import rows
from batchscope.tables import records
from batchscope.tables.columns import Columns
from batchscope.training import engines, recipes, snapshots, tuning

OUTCOME = "out_of_memory"


def write_run(inputs: Paths, ask: Ask, outputs: Paths, death: Death) -> None:
    """The outputs of `train.train_run` for a run of which nothing is known but that it died, and how."""
    facts = _facts(inputs)
    common = _common(facts, ask, death)
    row = {
        **common,
        "seed": ask["cell"]["seed"],
        "micro_batch_size": ask["recipe"]["micro_batch_size"],
        "learning_rate": recipes.scaled_learning_rate(ask["recipe"], common["batch_size"]),
        "stopped_early": False,
        **dict.fromkeys(("epochs", "evaluations", "updates", "examples"), 0),
    }
    snapshots.write([], outputs["weights"])
    _write(facts, ask, outputs, death, run=[_whole("run", row)], steps=[], evaluations=[], telemetry=[])


def write_timing(inputs: Paths, ask: Ask, outputs: Paths, death: Death) -> None:
    """The outputs of `time.time_cell` for a timing that died."""
    facts = _facts(inputs)
    row = _whole("timing", {**_common(facts, ask, death), "windows": 0})
    _write(facts, ask, outputs, death, timing=[row], windows=[], telemetry=[])


def write_tuning(inputs: Mapping[str, Sequence[str]], ask: Ask, outputs: Paths, death: Death) -> None:
    """The outputs of `tune.tune_cell` for a tuning that died, in its first trial as far as anybody knows."""
    facts, plan = _facts({name: files[0] for name, files in inputs.items()}), ask["recipe"]["tuning"]
    assert plan is not None
    trial = tuning.Trial(plan["learning_rates"][0], plan["seeds"][0], "grid", OUTCOME, None, None)
    cell = job.cell_columns(ask["cell"], facts["n_train"])
    _write(facts, ask, outputs, death, trials=rows(cell, [trial]))


def write_probe(inputs: Paths, ask: Ask, outputs: Paths, death: Death, columns: Mapping[str, Columns]) -> None:
    """The outputs of a probe that died: its tables, with `columns` and without rows, and the reason in the manifest."""
    _write(_facts(inputs), ask, outputs, death, columns, **{name: [] for name in columns})


def _facts(inputs: Paths) -> provenance.Manifest:
    """What is known of the data set."""
    return provenance.read(Path(inputs["facts"]))


def _identity(facts: provenance.Manifest, ask: Ask) -> Row:
    return {**ask, "data": facts["arrays"]}


def _common(facts: provenance.Manifest, ask: Ask, death: Death) -> Row:
    """What the rows of runs and timings share."""
    settings, cell = ask["settings"], job.cell_columns(ask["cell"], facts["n_train"])
    per_epoch = recipes.updates_per_epoch(facts["n_train"], cell["batch_size"], ask["recipe"]["last_batch"])
    return {
        **cell,
        **{f"n_{part}": facts[f"n_{part}"] for part in ("train", "validation", "test")},
        "fingerprint": fingerprint(_identity(facts, ask)),
        "outcome": OUTCOME,
        "outcome_detail": death.how,
        "updates_per_epoch": per_epoch,
        "engine": settings["engine"],
        "loop": settings["loop"],
        "threads": settings["threads"],
        "device": (death.notes.get("numerics") or settings)["device"],
        "host": manifest.host()["name"],
        "started_at": manifest.now(),
    }


def _whole(table: str, row: Row) -> Row:
    """The row with every column of its table, null where nothing is known."""
    return {name: row.get(name) for name in records.TABLES[table]}


def _write(
    facts: provenance.Manifest,
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
    job.write_manifest(content, _identity(facts, ask), ask, outputs)
