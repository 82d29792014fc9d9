"""What every job that needs a framework shares: the configured engine, the data, the identity and the manifest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchscope import datasets, engines, identity, manifest, memory, recipes, records, telemetry
from batchscope.files import write_json


class Job:
    """What all kinds of job share: the configured engine, the data, the identity and the manifest."""

    def __init__(
        self,
        dataset_file: str,
        recipe: Mapping[str, Any],
        cell: Mapping[str, Any],
        settings: Mapping[str, Any],
        code: str,
    ) -> None:
        self.started_at = manifest.now()
        self.peaks: tuple[tuple[int | None, str], ...] = ()
        self.engine = engines.engine(settings["engine"])
        self._start = time.perf_counter()
        self.numerics = self.engine.configure(settings["device"], settings["threads"])
        self.baseline_bytes = memory.resident_bytes()
        self.data = datasets.load(Path(dataset_file))
        memory.reset_peak()  # reading a large file takes more for a moment than training on it with a small batch
        self.recipe, self.settings = recipe, settings
        n_train = len(self.data.y_train)
        self.batch_size = recipes.resolve_batch_size(cell["batch_size"], n_train)
        if self.batch_size > n_train:
            raise ValueError(
                f"batch size {self.batch_size} is larger than the {n_train} training examples of {cell['dataset']}"
            )
        self.updates_per_epoch = recipes.updates_per_epoch(n_train, self.batch_size, recipe["last_batch"])
        self.cell = {
            "dataset": cell["dataset"],
            "recipe": cell["recipe"],
            "batch_size": self.batch_size,
            "full_batch": cell["batch_size"] == "full",
        }
        self.identity = {
            "code": code,
            "data": self.data.meta["digest"],
            "recipe": dict(recipe),
            "settings": dict(settings),
            "cell": dict(cell),
        }

    def elapsed(self) -> float:
        return time.perf_counter() - self._start

    def read_memory(self) -> None:
        """Keep the peaks of the device's allocator and of the process up to now, instead of up to the end."""
        self.peaks = (self.engine.allocator_peak_bytes(self.numerics["device"]), memory.peak_bytes())

    def sampler(self) -> telemetry.Sampler:
        on_gpu = self.numerics["device"] == "gpu"
        gpus = telemetry.first(telemetry.available_gpus()) if on_gpu else telemetry.no_gpus()
        return telemetry.Sampler(self.settings["telemetry_interval_seconds"], gpus=gpus)

    def finish(
        self, sampler: telemetry.Sampler, outcome: str, measured: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The row of the job and the reason for every quantity in it that was not measured."""
        if not self.peaks:
            self.read_memory()
        (allocator, no_allocator), (peak, no_peak) = self.peaks
        row = {
            **measured,
            "fingerprint": identity.fingerprint(self.identity),
            "outcome": outcome,
            "n_train": len(self.data.y_train),
            "updates_per_epoch": self.updates_per_epoch,
            "allocator_peak_bytes": allocator,
            "host_memory_peak_bytes": None
            if peak is None or self.baseline_bytes is None
            else max(0, peak - self.baseline_bytes),
            "host_memory_baseline_bytes": self.baseline_bytes,
            **sampler.result.summary,
            "engine": self.settings["engine"],
            "loop": self.settings["loop"],
            "device": self.numerics["device"],
            "threads": self.settings["threads"],
            "host": manifest.host()["name"],
            "started_at": self.started_at,
        }
        known = {"allocator_peak_bytes": no_allocator, "host_memory_peak_bytes": no_peak} | sampler.result.not_measured
        quantities = {
            name for table in ("run", "timing") for name, c in records.TABLES[table].items() if c.kind == "number"
        }
        return row, {
            name: known.get(name) or f"the job ended with the outcome {outcome} before it could be measured"
            for name, value in row.items()
            if value is None and name in quantities and (name in known or outcome != "ok")
        }

    def write(
        self,
        table: str,
        row: Mapping[str, Any],
        identity: Mapping[str, Any],
        sampler: telemetry.Sampler,
        not_measured: Mapping[str, str],
        outputs: Mapping[str, str],
    ) -> None:
        """Write telemetry, manifest and the row; the row last, so that it stands only where all else does."""
        series = [{**identity, **sample} for sample in sampler.result.series]
        records.write_table("telemetry", series, outputs["telemetry"])
        content = {
            **self.provenance(),
            "gpus": sampler.result.devices,
            "not_measured": dict(not_measured),
            "measured_in_part": sampler.result.notes,
        }
        write_json(content, outputs["manifest"])
        records.write_table(table, [row], outputs[table])

    def provenance(self) -> dict[str, Any]:
        """Where the results of this job come from, for its manifest."""
        return {
            **manifest.job(self.engine.PACKAGES),
            "started_at": self.started_at,
            "ended_at": manifest.now(),
            "fingerprint": identity.fingerprint(self.identity),
            "identity": self.identity,
            "numerics": self.numerics,
        }
