"""The page of `make benchmark`: its numbers are those of the JSON, and what a command takes is counted whole."""

from __future__ import annotations

import copy
import json
import runpy
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "performance"
MACHINE = {
    **{"cpu": "A core", "cores": 2, "memory_gb": 8, "load": 0.1, "load_after": 1.9, "minutes": 3, "commit": "abc"},
    **{
        "date": "2026-11-28",
        "python": "3",
        "tensorflow": "2",
        "keras": "3",
        "jax": "1",
        "numpy": "2",
        "snakemake": "9",
    },
}


def trained(accuracies: list[float], epochs: int = 10) -> list[dict[str, Any]]:
    cell = {"dataset": "blobs", "batch_size": 800, "epochs": epochs}
    return [{**cell, "seed": seed, "test_accuracy": value} for seed, value in enumerate(accuracies)]


def flow(engine: str, wall: float, accuracies: list[float]) -> dict[str, Any]:
    return {"engine": engine, "wall": wall, "cpu": 2 * wall, "trained": trained(accuracies)}


SCRIPTS = {
    "scripts": [
        {"script": "blobs", "seed": seed, "wall": wall, "cpu": 40.0, "trained": [run]}
        for seed, (wall, run) in enumerate(zip((10.0, 20.0), trained([0.90, 0.92]), strict=True))
    ],
    "workflow": [flow("tensorflow", wall, [0.92, 0.94]) for wall in (5.0, 3.0, 4.0)] + [flow("jax", 2.0, [0.9, 0.92])],
}
STARTS = {
    **{"few": 1, "many": 8},
    "jobs": [
        {"engine": "jax", "way": way, "few": few, "many": many, "work": 0.4}
        for way, few, many in (("cold", 5.0, 19.0), ("warm", 6.0, 13.0))
    ],
    "nothing": [{"few": 1.0, "many": 1.7}],
}


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The modules of the benchmark, which stands outside of the library."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    found = {name: __import__(name) for name in ("page", "part", "scripts", "starts", "updates", "trials", "networks")}
    for name in set(sys.modules) - before:  # their names are plain, and forgotten afterwards
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            monkeypatch.setitem(sys.modules, name, sys.modules.pop(name))
    return found


def values(rows: list[Any]) -> dict[str, float]:
    return {row.what: row.value for row in rows}


def test_scripts_take_as_often_as_long_as_the_median_run_of_the_workflow(modules: dict[str, Any]) -> None:
    rows = modules["scripts"].rows(SCRIPTS)
    found = values(rows)
    assert found["Plain scripts ÷ workflow on TensorFlow, time"] == 30 / 4
    assert found["Plain scripts ÷ workflow on JAX, time"] == 30 / 2
    assert found["Plain scripts ÷ workflow on TensorFlow, CPU time"] == 80 / 8
    (ratio,) = (row for row in rows if row.what == "Plain scripts ÷ workflow on TensorFlow, time")
    assert (ratio.low, ratio.high, ratio.reached) == (6, 10, False)
    assert found["Workflow on TensorFlow − plain scripts, test accuracy"] == pytest.approx(0.02 / 2e-4**0.5)
    assert found["Workflow on JAX − plain scripts, test accuracy"] == 0
    assert found["Workflow on JAX − plain scripts, epochs trained"] == 0


def test_ratios_at_as_many_epochs_scale_the_seconds_of_each_script(modules: dict[str, Any]) -> None:
    other = copy.deepcopy(SCRIPTS)
    other["workflow"][0]["trained"] = trained([0.92, 0.94], epochs=9)
    longer = {"dataset": "rings", "batch_size": 8, "seed": 0, "epochs": 5, "test_accuracy": 0.5}
    other["scripts"].append({"script": "rings", "seed": 0, "wall": 12.0, "cpu": 12.0, "trained": [longer]})
    for each in other["workflow"]:
        each["trained"].append({**longer, "epochs": 10})
    found = values(modules["scripts"].rows(other))
    per_epoch = 30 / sum(run["epochs"] for run in trained([0.9, 0.92]))
    assert found["Plain scripts ÷ workflow on TensorFlow, time, at as many epochs"] == (18 * per_epoch + 24) / 4
    assert (found["Plain scripts, rings"], found["Workflow on JAX, rings"]) == (5, 10)
    assert found["Workflow on TensorFlow, blobs"] == 18


def test_epochs_that_differ_where_no_seed_does_are_infinitely_far(modules: dict[str, Any]) -> None:
    other = copy.deepcopy(SCRIPTS)
    other["workflow"][0]["trained"] = trained([0.9, 0.92], epochs=9)
    assert modules["scripts"].largest_difference(other, "tensorflow", "epochs") == float("inf")


def test_a_start_is_what_one_more_job_adds_without_its_training(modules: dict[str, Any]) -> None:
    found = values(modules["starts"].rows(STARTS))
    assert found["Whole job of one update on JAX, cold"] == 2
    assert found["Whole job of one update on JAX, warm"] == 1
    assert found["Start-up on JAX, warm"] == pytest.approx(0.6)
    assert found["Start-up on JAX, cold ÷ warm"] == pytest.approx(1.6 / 0.6)
    assert found["Host on JAX, once for each workflow"] == pytest.approx((6 - 1) - (5 - 2))
    assert found["Job of Snakemake whose script does nothing"] == pytest.approx(0.1)


def test_updates_are_compared_within_each_turn_and_with_what_the_arithmetic_takes(modules: dict[str, Any]) -> None:
    seconds = {"jax fused": [2e-3, 4e-3, 6e-3], "hand-written": [1e-3, 4e-3, 4e-3], "tensorflow fused": [3e-3] * 3}
    others = {"tensorflow fit": [1.0] * 3, "jax fit": [1.0] * 3, "operation": [1e-9] * 3, "byte": [1e-10] * 3}
    cell = {"network": "Fashion-MNIST", "size": 8, "seconds": {**seconds, **others}}
    rows = modules["updates"].rows({"cells": [cell]})
    found = values(rows)
    assert found["JAX ÷ hand-written JAX, Fashion-MNIST, batch size 8"] == 1.5
    assert found["TensorFlow ÷ JAX, Fashion-MNIST, batch size 8"] == 0.75
    assert found["JAX, Fashion-MNIST, batch size 8"] == pytest.approx(4000)
    products = 8 * (784 * 128 * 2 + 128 * 10 * 3)  # multiplications, each with an addition
    assert found["Floor, Fashion-MNIST, batch size 8"] == pytest.approx(2e-3 * products)
    assert [(row.at_most, row.reached) for row in rows if row.wanted] == [(1.15, False), (1.3, True)]
    weights = 784 * 128 + 128 + 128 * 10 + 10
    assert modules["networks"].NETWORKS["Fashion-MNIST"].parameters == weights
    few = {**cell, "seconds": {**cell["seconds"], "operation": [0.0] * 3}}
    assert modules["updates"].floor(few)[0] == pytest.approx(1e-10 * 4 * (8 * 784 + 8 * weights))


def test_trials_are_compared_within_each_round(modules: dict[str, Any]) -> None:
    seconds = {"in turn": [1.0, 2.0, 4.0], "at once": [0.5, 1.0, 3.0], "with their own programs": [4.0, 6.0, 8.0]}
    cell = {"network": "blobs", "size": 8, "seconds": seconds, "apart": 1e-7}
    found = values(modules["trials"].rows({"cells": [cell]}))
    assert found["Trials at once ÷ in turn, blobs, batch size 8"] == 0.5
    assert found["Trials with their own programs ÷ in turn, blobs, batch size 8"] == 3
    assert found["A trial in turn, blobs, batch size 8"] == 2


def test_the_page_has_the_numbers_of_the_json_and_other_parts_stay(modules: dict[str, Any], tmp_path: Path) -> None:
    page = modules["page"]
    page.write(tmp_path, {"scripts": {"machine": MACHINE, "result": SCRIPTS}})
    page.write(tmp_path, {**page.read(tmp_path), "starts": {"machine": MACHINE, "result": STARTS}})
    content = json.loads((tmp_path / "performance.json").read_text())
    assert content["scripts"]["result"] == SCRIPTS
    text = (tmp_path / "performance.md").read_text()
    assert "| Plain scripts ÷ workflow on TensorFlow, time | 7.50 × [6.00, 10.0] | ≥ 9 × | no |" in text
    content["scripts"]["result"]["scripts"][0]["wall"] = 16
    assert "| 9.00 × [7.20, 12.0] | ≥ 9 × | yes |" in page.markdown(content)
    assert "load 0.1 before, 1.9 after" in text
    assert (tmp_path / "performance.svg").stat().st_size > 0


def test_a_quick_measurement_prints_its_page(
    modules: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = modules["part"].Row
    fake = types.SimpleNamespace(
        TITLE="Fake",
        METHOD="By hand.",
        measure=lambda quick: {"seconds": 1.5 if quick else 15.0},
        rows=lambda result: [row("All of it", result["seconds"], "s", at_most=2)],
        draw=lambda result, axes: axes.plot([result["seconds"]]),
    )
    monkeypatch.setitem(sys.modules, "updates", fake)
    main = runpy.run_path(str(FOLDER / "__main__.py"), run_name="benchmark")["main"]
    main(["updates", "--quick"])
    assert capsys.readouterr().out.count("| All of it | 1.50 s | ≤ 2 s | yes |") == 2
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "nothing is no part; valid is scripts, updates" in capsys.readouterr().err


BURNS = "import time\nwhile time.process_time() < 0.5: pass"
LEAVES = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURNS!r}])"
SPENT = f"""
import sys
from pathlib import Path
sys.path += [{str(FOLDER)!r}, {str(ROOT / "scripts")!r}]
import processes
print(processes.run([sys.executable, "-c", sys.argv[1]], Path.cwd(), {{"A": "1"}}).cpu)
"""


def test_cpu_time_of_what_a_command_leaves_behind_counts() -> None:
    done = subprocess.run([sys.executable, "-c", SPENT, LEAVES], capture_output=True, text=True, check=True)
    assert 0.5 <= float(done.stdout) < 2
