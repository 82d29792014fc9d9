"""What the start of a training job costs, cold and warm."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import processes
from matplotlib.axes import Axes
from part import RATIO, Row

TITLE = "The start of a job"
METHOD = """\
CPU seconds (user and system, of all processes: Snakemake, the job, its child, the host of warm starts) that one more
training job of one update adds to a workflow on one core: the difference between workflows of eight jobs and of one,
divided by seven. The start-up is that without the CPU seconds of the training (building, compiling, one update,
evaluations), which the job's own telemetry measures. The network is that of the digits (64-128-10, Adam, all examples
in one batch); JAX finds what it compiled before. Medians of rounds in which engines and ways to start take turns;
brackets hold the lowest and the highest.
"""
ENGINES = {"tensorflow": "TensorFlow", "jax": "JAX"}
WANTED = {"tensorflow": 1.2, "jax": 0.5}  # core seconds, warm
WAYS = {"cold": False, "warm": True}
FEW, MANY = 1, 8  # jobs
ROUNDS = 3
STUDY: dict[str, Any] = {
    "title": "One update",
    "question": "What does the start of a job cost?",
    "recipes": {"one": {"extends": "task08-mlp", "budget": {"epochs": 1, "early_stopping": None}}},
    "comparisons": [{"datasets": ["digits"], "recipes": ["one"], "batch_sizes": ["full"]}],
    "seeds": list(range(1 + FEW + MANY)),
}
SNAKEFILE = """\
rule job:
    output: "{job}.txt"
    script: "job.py"
"""


def measure(quick: bool) -> dict[str, Any]:
    """CPU seconds of few and of many jobs, by engine, way to start and round; and those of jobs that do nothing."""
    engines, many, rounds = (["jax"], 2, 1) if quick else ([*ENGINES], MANY, ROUNDS)
    jobs: list[dict[str, Any]] = []
    nothing: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="starts-") as name:
        for number in range(rounds):
            for engine in engines:
                for way in WAYS:
                    place = Path(name) / f"{engine}-{way}-{number}"
                    jobs.append({"engine": engine, "way": way, **_jobs(place, engine, way, many)})
            nothing.append(_nothing(Path(name) / f"nothing-{number}", many))
    return {"few": FEW, "many": many, "jobs": jobs, "nothing": nothing}


def _jobs(folder: Path, engine: str, way: str, many: int) -> dict[str, float]:
    """CPU seconds of few and of many jobs, and the mean of those that each spends with training."""
    folder.mkdir()
    runs = [f"results/runs/digits/one/bs1168/seed{seed}/run.parquet" for seed in STUDY["seeds"]]

    def spent(files: Sequence[str]) -> float:
        return processes.workflow(folder, STUDY, *files, cores=1, engine=engine, warm_starts=WAYS[way]).cpu

    found = _few_and_many(spent, runs, many)
    done = pd.concat(pd.read_parquet(folder / run) for run in runs[1 + FEW :][:many])
    return {**found, "work": float((done["cpu_percent_mean"] / 100 * done["telemetry_seconds"]).mean())}


def _nothing(folder: Path, many: int) -> dict[str, float]:
    """The same of jobs of Snakemake whose script does nothing."""
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "job.py").write_text("open(snakemake.output[0], 'w').close()\n")

    def spent(files: Sequence[str]) -> float:
        return processes.run([sys.executable, "-m", "snakemake", "--cores", "1", *files], folder).cpu

    return _few_and_many(spent, [f"{number}.txt" for number in range(1 + FEW + many)], many)


def _few_and_many(spent: Callable[[Sequence[str]], float], files: Sequence[str], many: int) -> dict[str, float]:
    """CPU seconds, after a first job that makes data and fills caches."""
    spent(files[:1])
    return {"few": spent(files[1:][:FEW]), "many": spent(files[1 + FEW :][:many])}


def rows(result: dict[str, Any]) -> list[Row]:
    """For each engine cold ÷ warm, the start-up, the whole job and what a host takes once; what Snakemake takes."""
    lines: list[Row] = []
    for engine, name in ENGINES.items():
        whole = {way: _whole(result, engine, way) for way in WAYS}
        if not whole["warm"]:
            continue  # a quick measurement has one engine
        start = {way: _without_work(result, engine, way) for way in WAYS}
        ratios = [cold / warm for cold, warm in zip(start["cold"], start["warm"], strict=True)]
        lines += [
            _row(f"Start-up on {name}, cold ÷ warm", ratios, unit=RATIO),
            _row(f"Start-up on {name}, warm", start["warm"], WANTED[engine]),
            _row(f"Start-up on {name}, cold", start["cold"]),
            _row(f"Whole job of one update on {name}, warm", whole["warm"]),
            _row(f"Whole job of one update on {name}, cold", whole["cold"]),
            _row(f"Host on {name}, once for each workflow", _host(result, engine)),
        ]
    return [*lines, _row("Job of Snakemake whose script does nothing", _slopes(result, result["nothing"]))]


def draw(result: dict[str, Any], axes: Axes) -> None:
    """A bar for each engine and way: the start-up, and beside it the work."""
    found = [row for row in rows(result) if "Start-up" in row.what and row.unit != RATIO]
    works = {
        f"Start-up on {name}, {way}": statistics.median(_of(result, engine, way, "work"))
        for engine, name in ENGINES.items()
        for way in WAYS
        if _of(result, engine, way, "work")
    }
    labels = [row.what.removeprefix("Start-up on ") for row in found]
    axes.barh(labels, [row.value for row in found], color="#d55e00", label="start-up")
    work = [works[row.what] for row in found]
    axes.barh(labels, work, left=[row.value for row in found], color="#9ecae1", label="building, compiling, one update")
    axes.invert_yaxis()
    axes.set_xlabel("CPU seconds of a job")
    axes.legend()


def _row(what: str, values: Sequence[float], at_most: float | None = None, *, unit: str = "core s") -> Row:
    return Row(what, statistics.median(values), unit, min(values), max(values), at_most=at_most)


def _slopes(result: dict[str, Any], measured: Sequence[dict[str, Any]]) -> list[float]:
    """CPU seconds that one more job adds, round by round."""
    return [(each["many"] - each["few"]) / (result["many"] - result["few"]) for each in measured]


def _selected(result: dict[str, Any], engine: str, way: str) -> list[dict[str, Any]]:
    return [each for each in result["jobs"] if (each["engine"], each["way"]) == (engine, way)]


def _of(result: dict[str, Any], engine: str, way: str, name: str) -> list[float]:
    return [each[name] for each in _selected(result, engine, way)]


def _whole(result: dict[str, Any], engine: str, way: str) -> list[float]:
    return _slopes(result, _selected(result, engine, way))


def _without_work(result: dict[str, Any], engine: str, way: str) -> list[float]:
    pairs = zip(_whole(result, engine, way), _of(result, engine, way, "work"), strict=True)
    return [whole - work for whole, work in pairs]


def _host(result: dict[str, Any], engine: str) -> list[float]:
    """What a warm workflow takes beside a cold one, once its jobs are taken off both."""
    few = result["few"]
    once = {
        way: [
            each - few * slope
            for each, slope in zip(_of(result, engine, way, "few"), _whole(result, engine, way), strict=True)
        ]
        for way in WAYS
    }
    return [warm - cold for warm, cold in zip(once["warm"], once["cold"], strict=True)]
