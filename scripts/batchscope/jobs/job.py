"""What every job that needs a framework shares: the configured engine, the data, the identity and the manifest."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import threadpoolctl

from batchscope import telemetry
from batchscope.config.errors import larger
from batchscope.data import dataset
from batchscope.identity.digests import file_sha256, fingerprint, sealed
from batchscope.identity.files import set_aside, write_json
from batchscope.jobs import manifest, memory, provenance, supervise
from batchscope.tables import records
from batchscope.tables.job_columns import Columns
from batchscope.training import engines, recipes
from batchscope.training.recipes import Recipe

Note = Callable[[str, Any], None]
Paths = Mapping[str, str]
Row = dict[str, Any]


class Cell(TypedDict):
    """Which job it is; the batch size as in paths, so `full` or digits."""

    dataset: str
    recipe: str
    batch_size: str
    seed: NotRequired[int]


class Settings(TypedDict):
    """How the job computes; a probe has further keys of its own."""

    engine: str
    loop: str
    device: str
    threads: int
    environment: dict[str, str]
    telemetry_interval_seconds: NotRequired[float]
    step_records: NotRequired[int]
    warmup_seconds: NotRequired[float]
    windows: NotRequired[int | None]
    window_seconds: NotRequired[float]
    precision: NotRequired[float]
    max_seconds: NotRequired[float]


class Sources(TypedDict):
    """What the job's code, software, data and files are, so that it runs again where one of them changes."""

    data: list[str]
    model: dict[str, str]


class Ask(TypedDict):
    """What a study asks of a job, see `asked.Asked`: read as it comes, since its fingerprint is that of the study."""

    cell: Cell
    recipe: Recipe
    settings: Settings
    sources: Sources
    probe: NotRequired[str]


class JobError(ValueError):
    """What the study asks of this job cannot be done; the message says what would be valid."""


class Job:
    """A job at work: what it was asked for, the engine, the data, and what it knows of itself for its manifest.

    `inputs` has the paths of the data set (data) and of what is known of it (facts).

    Attributes:
        ask: what the study asks, see `asked.Asked`.
        recipe: the recipe it trains with, with the rate that tuning chose.
        note: told what is known, for the case that the job dies.
    """

    def __init__(
        self,
        inputs: Paths,
        ask: Ask,
        note: Note = lambda name, value: None,
        recipe: Recipe | None = None,
    ) -> None:
        self.ask, self.settings, self._note = ask, ask["settings"], note
        self.recipe: Recipe = ask["recipe"] if recipe is None else recipe
        self.started_at = manifest.now()
        provenance.require_unchanged(ask["sources"]["model"])
        self.peaks: tuple[tuple[int | None, str], ...] = ()
        os.environ.update(self.settings["environment"])  # before the framework is imported and reads it
        self.engine = engines.load(self.settings["engine"])
        self._start = time.perf_counter()
        self.numerics = self.engine.configure(self.settings["device"], self.settings["threads"])
        # NumPy's threads: those of a warm start would be the threads of the first job.
        threadpoolctl.threadpool_limits(self.settings["threads"])
        self.facts = manifest.job(engines.about(self.settings["engine"]).packages)
        note("numerics", self.numerics)
        self.baseline_bytes = memory.resident_bytes()
        self.data = load_data(inputs["data"], inputs["facts"], ask)
        # From here on, since reading a large file takes more for a moment than training on it with a small batch.
        self._peak = memory.Peak()
        cell, n_train = ask["cell"], len(self.data.y_train)
        self.seed = int(cell.get("seed", 0))
        self.batch_size = recipes.resolve_batch_size(cell["batch_size"], n_train)
        if self.batch_size > n_train:
            size = f"batch size {self.batch_size}"
            raise JobError(larger(size, n_train, "training", cell["dataset"], or_full=True))
        self.updates_per_epoch = recipes.updates_per_epoch(n_train, self.batch_size, self.recipe["last_batch"])
        self.cell = cell_columns(cell, n_train)
        self.identity = {**ask, "recipe": dict(self.recipe), "data": self.data.meta["digest"]}

    def elapsed(self) -> float:
        """Seconds since the framework was loaded."""
        return time.perf_counter() - self._start

    @contextlib.contextmanager
    def memory(self) -> Iterator[None]:
        """Keep the peaks of the device's allocator and of the process within this block, instead of those of the job.

        Compiling may take more than all that follows, and what it took is not all given back. Where an engine compiles
        once for many jobs, the job that did begins again in another process, so that all jobs measure the same. If it
        compiles there again, it has no peak of the process. The peak of the device may be that of the whole job.
        """
        if self._has_compiled():
            self._note(supervise.COMPILED, True)
        self._peak.restart()
        try:
            yield
        finally:
            self._read_memory()
            if self._has_compiled():
                self.peaks = (self.peaks[0], (None, "the job had to compile, which takes memory of its own"))

    def _has_compiled(self) -> bool:
        return hasattr(self.engine, "has_compiled") and self.engine.has_compiled()

    def _read_memory(self) -> None:
        self.peaks = (self.engine.allocator_peak_bytes(self.numerics["device"]), self._peak.read())

    def sampler(self) -> telemetry.Sampler:
        """A sampler at the study's interval that reads GPUs only where the job computes on one."""
        on_gpu = self.numerics["device"] == "gpu"
        gpus = telemetry.first(telemetry.available_gpus()) if on_gpu else telemetry.no_gpus()
        return telemetry.Sampler(self.settings["telemetry_interval_seconds"], gpus=gpus)

    def finish(self, sampler: telemetry.Sampler, outcome: str, measured: Row) -> tuple[Row, dict[str, str]]:
        """The row of the job and the reason for every quantity in it that was not measured."""
        if not self.peaks:
            self._read_memory()
        (allocator, no_allocator), (peak, no_peak) = self.peaks
        above = None if peak is None or self.baseline_bytes is None else peak - self.baseline_bytes
        if above is not None and above < 0:
            above, no_peak = None, "the memory seen lay below the baseline"
        row = {
            **measured,
            "fingerprint": fingerprint(self.identity),
            "outcome": outcome,
            "n_train": len(self.data.y_train),
            "updates_per_epoch": self.updates_per_epoch,
            "allocator_peak_bytes": allocator,
            "host_memory_peak_bytes": above,
            "host_memory_baseline_bytes": self.baseline_bytes,
            **sampler.result.summary,
            "engine": self.settings["engine"],
            "loop": self.settings["loop"],
            "device": self.numerics["device"],
            "threads": self.settings["threads"],
            "host": self.facts["host"]["name"],
            "started_at": self.started_at,
        }
        known = {"allocator_peak_bytes": no_allocator, "host_memory_peak_bytes": no_peak} | sampler.result.not_measured
        return row, {
            name: known.get(name) or f"the job ended with the outcome {outcome} before it could be measured"
            for name, value in row.items()
            if value is None and name in quantities() and (name in known or outcome != "ok")
        }

    def write(
        self,
        tables: Mapping[str, list[Row]],
        outputs: Paths,
        not_measured: Mapping[str, str] | None = None,
        *,
        columns: Mapping[str, Columns] = records.TABLES,
        sampler: telemetry.Sampler | None = None,
    ) -> None:
        """Write the tables, which have `columns`, then the manifest with their digests: it stands only where all do.

        What was sampled meanwhile becomes the table `telemetry`.
        """
        provenance.require_unchanged(self.ask["sources"]["model"])  # a module may have been imported late
        content = {
            **self.facts,
            "started_at": self.started_at,
            "ended_at": manifest.now(),
            "numerics": self.numerics,
            "not_measured": dict(not_measured or {}),
        }
        if sampler is not None:
            identity = {**self.cell, "seed": self.ask["cell"].get("seed")}
            tables = {**tables, "telemetry": [{**identity, **sample} for sample in sampler.result.series]}
            content |= {"gpus": sampler.result.devices, "measured_in_part": sampler.result.notes}
        for table, rows in tables.items():
            records.write_table(table, rows, outputs[table], columns[table])
        write_manifest(content, self.identity, self.ask, outputs)


def load_data(file: str, facts: str, ask: Ask) -> dataset.Data:
    """The data set of a job, once it is what the study asks. A damaged file is set aside and made again.

    Raises:
        JobError: it is damaged, or was made from something else.
        dataset.DataError: it is not there.
    """
    path, known = Path(file), provenance.read(Path(facts))
    if known["asked"] not in ask["sources"]["data"]:
        raise JobError(provenance.refusal([path]))
    try:
        data = dataset.load(path)
    except dataset.DataError as error:
        if path.is_file():
            raise JobError(f"{error.args[0]}; it is now {set_aside(path)}, and the next run makes it again") from error
        raise
    if data.meta["digest"] != known["arrays"]:
        raise JobError(f"{path} is not what was made; it is now {set_aside(path)}, and the next run makes it again")
    return data


def cell_columns(cell: Cell, n_train: int) -> Row:
    """The columns `records.CELL` of a cell as the study asks for it."""
    return {
        "dataset": cell["dataset"],
        "recipe": cell["recipe"],
        "batch_size": recipes.resolve_batch_size(cell["batch_size"], n_train),
        "full_batch": cell["batch_size"] == "full",
    }


def quantities() -> set[str]:
    """The measured numbers of runs and timings."""
    return {name for table in ("run", "timing") for name, c in records.TABLES[table].items() if c.kind == "number"}


def write_manifest(content: Row, identity: Row, ask: Ask, outputs: Paths) -> None:
    """Write a job's manifest, last of its files: whence it comes, what was asked, and the digest of every file."""
    files = {Path(path).name: file_sha256(path) for name, path in outputs.items() if name != "manifest"}
    whole = {
        **content,
        "identity": identity,
        "fingerprint": fingerprint(identity),
        "asked": fingerprint(ask),
        "files": files,
    }
    write_json(sealed(whole), outputs["manifest"])
