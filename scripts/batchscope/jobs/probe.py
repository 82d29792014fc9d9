"""What the jobs that probe do from start to end: weights or a plan in, the tables of the probe and a manifest out."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from batchscope.jobs import lost, provenance
from batchscope.jobs.job import Ask, Job, Note, Paths, Row
from batchscope.jobs.supervise import Death
from batchscope.probes.subject import Cell, Subject, Tables
from batchscope.tables import records
from batchscope.tables.columns import Columns
from batchscope.training import snapshots


def run_probe(inputs: Paths, ask: Ask, outputs: Paths, note: Note = lambda name, value: None) -> None:
    """Probe what the study asks (see `Asked.probe`) and write `outputs`: the tables of the probe and its manifest."""
    job = Job(inputs, ask, note)
    written = columns(ask["probe"])
    tables: Tables = {name: [] for name in written}
    reasons: dict[str, str] = {}
    try:
        tables |= measure(ask["probe"], subject(inputs, job))
    except MemoryError as error:
        reasons = dict.fromkeys(tables, f"memory ran out: {error}")
    job.write(tables, outputs, reasons, columns=written)


def lose(inputs: Paths, ask: Ask, outputs: Paths, death: Death) -> None:
    """Write `outputs` for a probe that died of memory."""
    lost.write_probe(inputs, ask, outputs, death, columns(ask["probe"]))


def columns(probe: str) -> dict[str, Columns]:
    """The columns of the tables that a probe writes, by table."""
    return {
        name: record.columns for name, record in import_module(f"batchscope.probes.{probe}.columns").RECORDS.items()
    }


def measure(probe: str, found: Subject) -> Tables:
    """The rows that a probe measures, by table."""
    rows: Tables = import_module(f"batchscope.probes.{probe}.measure").measure(found)
    return rows


def subject(inputs: Paths, job: Job) -> Subject:
    """What a job measures on: also the run and the weights that it kept, where `inputs` have them."""
    kept: Row = {}
    if "weights" in inputs:
        run, weights = (
            provenance.require_whole(Path(inputs[n]), Path(inputs["run_manifest"])) for n in ("run", "weights")
        )
        (row,) = records.read_table("run", run).to_pylist()
        kept = {"learning_rate": row["learning_rate"], "snapshots": snapshots.read(weights)}
    return Subject(job.engine, job.data, job.recipe, job.settings, cast("Cell", job.cell), job.seed, **kept)
