"""A study of many runs whose records are copies of a few real ones, with other sizes, seeds and numbers."""

from __future__ import annotations

import base64
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchscope.identity.digests import file_sha256, fingerprint, sealed
from batchscope.identity.files import write_json
from batchscope.tables import records

ROOT = Path(__file__).resolve().parents[2]
NAME, RECIPE, EPOCHS = "growth", "growing", 20
EXAMPLES = {"digits": 1168, "points": 800}  # of the training parts
STUDY = """\
title: What do many runs cost?
question: Do time and memory grow as the number of runs does?
datasets:
  points:
    {{source: blobs, split: {{train: 800, validation: 200, test: 200}}, classes: 3, features: 2, cluster_std: 2.0,
      draw: fixed}}
recipes:
  {recipe}:
    model: {{name: mlp, hidden: []}}
    optimizer: {{name: sgd, learning_rate: 0.05}}
    budget: {{epochs: {epochs}, evaluations: 80}}
comparisons: [{{datasets: {datasets}, recipes: [{recipe}], batch_sizes: {sizes}}}]
seeds: {seeds}
targets: [{{metric: validation_loss, values: [1.0, 0.5, 0.3, 0.2]}}]
"""
# Cold starts, so that what a job takes is seen at its own process.
SETTINGS = "timing: {warmup_seconds: 0.05, windows: 7, window_seconds: 0.05}\nwarm_starts: false\n"
_COPIED = ("run", "steps", "evaluations", "timing", "windows")  # the tables that a study's are made from
_CELL = ("dataset", "recipe", "batch_size", "seed")  # in the order of `Asked`
_KEPT = ("epoch", "epochs", "selected_epoch", "learning_rate")  # numbers that are the same for all


def snakemake(*arguments: str) -> list[str]:
    """The command that runs the study in the working folder, on the engine that starts soonest."""
    own = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    return [*own, "--configfile", "settings.yaml", "--config", f"study={NAME}.yaml", "engine=numpy"]


def write_study(folder: Path, sizes: Sequence[int], seeds: Sequence[int]) -> int:
    """Write the study and its settings into `folder`; how many runs it has."""
    asked = {"sizes": list(sizes), "seeds": list(seeds), "datasets": list(EXAMPLES)}
    (folder / f"{NAME}.yaml").write_text(STUDY.format(recipe=RECIPE, epochs=EPOCHS, **asked), encoding="utf-8")
    (folder / "settings.yaml").write_text(SETTINGS, encoding="utf-8")
    return len(EXAMPLES) * len(sizes) * len(seeds)


def make_records(folder: Path, sizes: Sequence[int], seeds: Sequence[int]) -> None:
    """Make all that the jobs of the study leave in `folder`: in earnest with batch size 1 and the first seed.

    Args:
        folder: empty.
        sizes: of batches; the first is 1, so that its run has the most updates.
        seeds: of the runs.
    """
    write_study(folder, sizes[:1], seeds[:1])
    subprocess.run(snakemake(f"results/{NAME}/manifest.json"), cwd=folder, check=True, capture_output=True)
    for dataset in EXAMPLES:
        timing = _read(folder, f"results/timings/{dataset}/{RECIPE}/bs1")
        run = _read(folder, f"results/runs/{dataset}/{RECIPE}/bs1/seed{seeds[0]}")
        for size in sizes:
            if size > 1:
                _copy(timing, f"results/timings/{dataset}/{RECIPE}/bs{size}", {"batch_size": size})
            for seed in seeds:
                if (size, seed) != (1, seeds[0]):
                    place = f"results/runs/{dataset}/{RECIPE}/bs{size}/seed{seed}"
                    _copy(run, place, {"batch_size": size, "seed": seed})


@dataclass(frozen=True)
class _Job:
    """What a real job left: its tables, its other files, its manifest, and what Snakemake notes of each output."""

    folder: Path
    tables: dict[str, pa.Table]
    others: list[Path]
    manifest: dict[str, Any]
    note: dict[str, Any]


def _read(folder: Path, place: str) -> _Job:
    files = sorted((folder / place).iterdir())
    note = json.loads(_note(folder, f"{place}/manifest.json").read_text(encoding="utf-8"))
    manifest = json.loads((folder / place / "manifest.json").read_text(encoding="utf-8"))
    tables = {file.stem: records.read_table(file.stem, file) for file in files if file.stem in _COPIED}
    return _Job(folder, tables, [f for f in files if f.stem not in (*_COPIED, "manifest")], manifest, note)


def _copy(job: _Job, place: str, identity: dict[str, int]) -> None:
    """Leave at `place` what another job would, with losses and seconds that differ by some percent."""
    home = job.folder / place
    home.mkdir(parents=True)
    factor = float(np.exp(np.random.default_rng(list(identity.values())).normal(0, 0.05)))
    for file in job.others:
        os.link(file, home / file.name)
    for name, content in job.tables.items():
        changed = _changed(content, identity, factor)
        pq.write_table(changed, home / f"{name}.parquet", compression=records.compression(changed.num_rows))
    before = job.manifest["identity"]
    cell = {**before["cell"], **identity, "batch_size": str(identity["batch_size"])}
    ask = {key: value for key, value in before.items() if key != "data"} | {"cell": cell}
    files = {name: file_sha256(home / name) for name in job.manifest["files"]}
    content = {key: value for key, value in job.manifest.items() if key != "digest"}
    content |= {"identity": {**before, "cell": cell}, "asked": fingerprint(ask), "files": files}
    write_json(sealed(content), home / "manifest.json")
    old, new = (repr({name: each[name] for name in _CELL if name in each}) for each in (before["cell"], cell))
    note = {**job.note, "params": [each.replace(old, new) for each in job.note["params"]]}
    for name in (*files, "manifest.json"):
        _note(job.folder, f"{place}/{name}").write_text(json.dumps(note), encoding="utf-8")


def _changed(content: pa.Table, identity: dict[str, int], factor: float) -> pa.Table:
    """The rows of another size and seed: with as many updates as it makes, and with other losses and seconds."""
    columns = {name: content[name].to_numpy() for name in content.schema.names}
    per_epoch = math.ceil(EXAMPLES[columns["dataset"][0]] / identity["batch_size"])
    if "update" in columns:
        update = np.unique(np.linspace(1, EPOCHS * per_epoch, content.num_rows).round().astype(int))
        columns = {name: values[: len(update)] for name, values in columns.items()}
        columns |= {"update": update, "epoch": -(-update // per_epoch), "examples": update * identity["batch_size"]}
    elif "epoch" in columns:
        columns["updates"] = (columns["epoch"] * per_epoch).round().astype(int)
    elif "epochs" in columns:
        columns |= {"updates_per_epoch": [per_epoch], "updates": [EPOCHS * per_epoch]}
    for field in content.schema:
        if field.name in identity:
            columns[field.name] = np.full(len(columns["dataset"]), identity[field.name])
        elif "accuracy" in field.name:
            columns[field.name] = columns[field.name] ** factor
        elif pa.types.is_floating(field.type) and field.name not in _KEPT:
            columns[field.name] = columns[field.name] * factor
    return pa.table([pa.array(columns[f.name], f.type, from_pandas=True) for f in content.schema], content.schema)


def _note(folder: Path, output: str) -> Path:
    """The file in which Snakemake keeps what it knows of an output."""
    return folder / ".snakemake" / "metadata" / base64.urlsafe_b64encode(output.encode()).decode()
