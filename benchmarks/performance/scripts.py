"""Plain Keras scripts, one after another, against the workflow with the same runs."""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import processes
from matplotlib.axes import Axes
from part import RATIO, Row

from batchscope.data import download
from batchscope.data.sources.images import read as images

TITLE = "The same runs: plain scripts and the workflow"
METHOD = """\
Two scripts as a practitioner writes them ([plain/](../benchmarks/performance/plain)): Keras on TensorFlow with
`model.fit`, for batch sizes 8, 32, 128 on Fashion-MNIST with early stopping and for 1, 32, 800 on three blobs; one
process for each script and seed, one after another on all cores. The workflow makes the same 30 runs from empty
results, and in the same time timings, tables, figures and the report. Scripts of one seed and runs of the workflow take
turns; brackets hold the fastest and the slowest run of the workflow. The last lines compare what was trained: for each
size the means over seeds, in standard deviations over seeds; shown is the largest of all sizes. The scripts set no seed
of TensorFlow, as those that they stand for: with `keras.utils.set_random_seed`, `model.fit` on TensorFlow takes the
examples in the same order in every epoch (seen with Keras 3.15), and training stops earlier. So early stopping ends
their runs after other epochs each time, and the ratios move with it: in a measurement of 2026-11-28 the scripts trained
163 epochs on Fashion-MNIST, and the ratios were 7.2 on TensorFlow and 8.6 on JAX. For ratios at as many epochs, the
seconds of each script are scaled to the epochs of the workflow; they were 7.9 and 9.7 then. What bounds the workflow on
JAX is training itself: of the seconds of its training jobs, four fifths were updates and evaluations, and updates take
as long as in a hand-written loop (next section). Tests ran beside one of the ten scripts for a minute.
"""
SEEDS = (1, 2, 3, 4, 5)
ENGINES = {"tensorflow": "TensorFlow", "jax": "JAX"}
ROUNDS = 3  # runs of the workflow on each engine
WANTED = {"tensorflow": 9, "jax": 13}
SPREADS = 2  # standard deviations between two means of five seeds, of which their difference has 0.63
PLAIN = Path(__file__).parent / "plain"


@dataclass(frozen=True)
class Script:
    """A script, what the workflow calls the same, and the column with the accuracy of the weights that it keeps."""

    name: str
    dataset: str
    recipe: str
    sizes: Mapping[int | str, int]  # as the study says it: as the script says it
    accuracy: str


TASK08 = Script("task08", "fashion-mnist", "task08-mlp", {8: 8, 32: 32, 128: 128}, "selected_test_accuracy")
BLOBS = Script("blobs", "blobs", "blobs-mlp", {1: 1, 32: 32, "full": 800}, "last_test_accuracy")
QUICK = Script("blobs", "blobs", "blobs-mlp", {"full": 800}, "last_test_accuracy")


def measure(quick: bool) -> dict[str, Any]:
    """Wall and CPU seconds of every script and of every run of the workflow, and what each of them trained."""
    scripts, seeds, rounds = ([QUICK], SEEDS[:1], 1) if quick else ([TASK08, BLOBS], SEEDS, ROUNDS)
    engines = itertools.islice(itertools.cycle([*ENGINES, *reversed(ENGINES)]), rounds * len(ENGINES))
    result: dict[str, Any] = {"scripts": [], "workflow": []}
    with tempfile.TemporaryDirectory(prefix="scripts-") as name:
        folder = Path(name)
        _put_fashion_mnist(folder)
        for seed, engine in itertools.zip_longest(seeds, engines):
            for script in scripts if seed else []:
                result["scripts"].append(_run_script(script, seed, folder))
            if engine:
                result["workflow"].append(_run_workflow(scripts, seeds, engine, folder))
    return result


def _put_fashion_mnist(folder: Path) -> None:
    """Put the images where Keras and the workflow look for them, so that nobody downloads anything in the meantime."""
    place = folder / "keras" / "datasets" / "fashion-mnist"
    place.mkdir(parents=True)
    for file in images.REMOTE_FILES["fashion-mnist"]:
        found = download.obtain(file, "fashion-mnist", data_folders=[], cache=folder / "downloads")
        (place / file.name).symlink_to(found)


def _run_script(script: Script, seed: int, folder: Path) -> dict[str, Any]:
    command = [sys.executable, str(PLAIN / f"{script.name}.py"), *map(str, [seed, *script.sizes.values()])]
    environment = {"KERAS_HOME": str(folder / "keras"), "KERAS_BACKEND": "tensorflow", "MPLBACKEND": "agg"}
    spent = processes.run(command, folder, environment)
    said = json.loads(spent.output.splitlines()[-1])
    trained = [{"dataset": script.dataset, "batch_size": int(size), "seed": seed, **said[size]} for size in said]
    return {"script": script.name, "seed": seed, "wall": spent.wall, "cpu": spent.cpu, "trained": trained}


def _run_workflow(scripts: Sequence[Script], seeds: Sequence[int], engine: str, folder: Path) -> dict[str, Any]:
    study = {
        "title": "Plain scripts and the workflow",
        "question": "Does the workflow train what the scripts train?",
        "comparisons": [
            {"datasets": [each.dataset], "recipes": [each.recipe], "batch_sizes": list(each.sizes)} for each in scripts
        ],
        "seeds": list(seeds),
    }
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        data_folders = [str(folder / "keras" / "datasets")]
        spent = processes.workflow(place, study, engine=engine, data_folders=data_folders)
        runs = pd.read_parquet(place / "results" / "study" / "tables" / "runs.parquet")
    accuracy = {each.dataset: each.accuracy for each in scripts}
    trained = [
        {
            **{name: row[name] for name in ("dataset", "batch_size", "seed", "epochs")},
            "test_accuracy": row[accuracy[row["dataset"]]],
        }
        for row in runs.to_dict("records")
    ]
    return {"engine": engine, "wall": spent.wall, "cpu": spent.cpu, "trained": trained}


def rows(result: dict[str, Any]) -> list[Row]:
    """Ratios of wall and CPU time, seconds, and how far what was trained differs."""
    lines: list[Row] = []
    for clock, words in (("wall", "time"), ("cpu", "CPU time")):
        plain = _plain(result, clock)
        lines.append(Row(f"Plain scripts, {words}", plain, "s"))
        for engine, name in ENGINES.items():
            spent = _workflow(result, engine, clock)
            low, high = min(spent), max(spent)
            wanted = WANTED[engine] if clock == "wall" else None
            ratio = plain / statistics.median(spent)
            scaled = _plain(result, clock, engine) / statistics.median(spent)
            lines += [
                Row(f"Plain scripts ÷ workflow on {name}, {words}", ratio, RATIO, plain / high, plain / low, wanted),
                Row(f"Plain scripts ÷ workflow on {name}, {words}, at as many epochs", scaled, RATIO),
                Row(f"Workflow on {name}, {words}", statistics.median(spent), "s", low, high),
            ]
    for dataset, number in _epochs(_by_scripts(result)).items():
        lines.append(Row(f"Plain scripts, {dataset}", number, "epochs"))
        lines += [
            Row(f"Workflow on {name}, {dataset}", _epochs(_flow(result, engine))[dataset], "epochs")
            for engine, name in ENGINES.items()
        ]
    for engine, name in ENGINES.items():
        for quantity, words in (("epochs", "epochs trained"), ("test_accuracy", "test accuracy")):
            apart = largest_difference(result, engine, quantity)
            what = f"Workflow on {name} − plain scripts, {words}"
            lines.append(Row(what, apart, "standard deviations", at_most=SPREADS))
    return lines


def largest_difference(result: dict[str, Any], engine: str, quantity: str) -> float:
    """The largest difference of a size's means over seeds, script and workflow, in standard deviations over seeds.

    Zero with one seed or where both are the same at every seed; infinite where they differ and no seed does.
    """
    plain, flow = pd.DataFrame(_by_scripts(result)), pd.DataFrame(_flow(result, engine))
    by_size = [frame.groupby(["dataset", "batch_size"])[quantity] for frame in (plain, flow)]
    means, spreads = [each.mean() for each in by_size], [each.var().fillna(0) for each in by_size]
    apart = (means[0] - means[1]).abs()
    spread = ((spreads[0] + spreads[1]) / 2) ** 0.5
    return (
        float((apart[apart > 0] / spread[apart > 0]).max()) if len(plain["seed"].unique()) > 1 and apart.any() else 0.0
    )


def draw(result: dict[str, Any], axes: Axes) -> None:
    """A bar for the scripts and one for the workflow on each engine, with a dot for each run of the workflow."""
    bars = {"plain scripts": [_plain(result, "wall")]}
    bars |= {f"workflow, {name}": _workflow(result, engine, "wall") for engine, name in ENGINES.items()}
    axes.barh(list(bars), [statistics.median(each) for each in bars.values()], color="#9ecae1")
    for label, each in bars.items():
        axes.plot(each, [label] * len(each), "o", color="#222222", markersize=3)
    axes.invert_yaxis()
    axes.set_xlabel("seconds for the same runs")


def _plain(result: dict[str, Any], clock: str, engine: str | None = None) -> float:
    """Seconds of all scripts; of each at as many epochs as the workflow on an engine trained, where one is named."""
    if engine is None:
        return float(sum(each[clock] for each in result["scripts"]))
    flow, scripts = _epochs(_flow(result, engine)), _epochs(_by_scripts(result))
    by_dataset = ((each[clock], each["trained"][0]["dataset"]) for each in result["scripts"])
    return sum(seconds * flow[dataset] / scripts[dataset] for seconds, dataset in by_dataset)


def _by_scripts(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What the scripts trained."""
    return [run for script in result["scripts"] for run in script["trained"]]


def _flow(result: dict[str, Any], engine: str) -> list[dict[str, Any]]:
    """What the workflow trained on an engine, the same in each of its repetitions."""
    found: list[dict[str, Any]] = next(each["trained"] for each in result["workflow"] if each["engine"] == engine)
    return found


def _epochs(trained: list[dict[str, Any]]) -> dict[str, float]:
    """Epochs of all runs together, by data set."""
    return {str(name): float(each) for name, each in pd.DataFrame(trained).groupby("dataset")["epochs"].sum().items()}


def _workflow(result: dict[str, Any], engine: str, clock: str) -> list[float]:
    return [each[clock] for each in result["workflow"] if each["engine"] == engine]
