"""The page of a check: `python page.py gpu-check.json` writes gpu-check.md and its figures beside the file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import drawn

from batchscope.text import MISSING, integer, number

MIB = 2**20
QUANTITIES = {
    "first": "First weights",
    "loss": "Losses",
    "gradient_norm": "Norms of the gradient",
    "evaluation": "Evaluation",
    "last": "Last weights",
    "gradient32": "Gradient",
    "hessian32": "Hessian × vector",
    "gradient64": "Gradient, float64",
    "hessian64": "Hessian × vector, float64",
    "examples64": "Gradients of examples, float64",
}
Row = Mapping[str, Any]


def main(file: Path) -> None:
    """Write the page and the figures that there are numbers for."""
    result = json.loads(file.read_text(encoding="utf-8"))
    rows: dict[str, dict[str, Row]] = {}
    for row in result["rows"]:
        rows.setdefault(row["part"], {})[row["name"]] = row
    figures = drawn.write(rows, file.parent)
    blocks = [
        head(result, rows),
        outcome(result),
        failures(result),
        *(section(rows, figures) for section in (loads, memory, equality, updates, quickstart)),
        every_check(result),
    ]
    text = re.sub("\n{3,}", "\n\n", "\n\n".join(blocks))
    file.with_suffix(".md").write_text(text + "\n", encoding="utf-8")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; numbers get three digits, and a dash stands for what was not measured."""
    lines = [list(columns), ["---"] * len(columns), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return integer(value)
    return number(value) if isinstance(value, float) else str(value).replace("|", "\\|")


def head(result: Row, rows: Mapping[str, Mapping[str, Row]]) -> str:
    """What ran where."""
    seen = rows.get("telemetry", {})
    facts = seen["machine"]["found"] if "machine" in seen else {"host": {}, "versions": {}}
    cards = seen["idle"]["found"]["gpus"] if "idle" in seen else []
    card = f"{cards[0]['name']}, driver {cards[0]['driver_version']}" if cards else "no card that NVML shows"
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    kind = "" if result["device"] == "gpu" else " **This is a rehearsal on the CPU: it says nothing about a card.**"
    host = facts["host"]
    return (
        f"# Batchscope on a GPU\n\n`make gpu-check` on {result['date']}, {result['seconds']:.0f} s: {card}; "
        f"{host.get('cpu')}, {host.get('cores_usable')} cores, Python {host.get('python')}; {versions}.{kind}"
    )


def outcome(result: Row) -> str:
    """A line for each part: how it ended, and its checks."""
    lines = []
    for name, part in result["parts"].items():
        passed = [check["passed"] for row in result["rows"] if row["part"] == name for check in row["checks"]]
        counted = [passed.count(each) for each in (True, False, None)]
        lines.append([name, part["status"], part["seconds"], *counted])
    return "## Outcome\n\n" + table(["Part", "Ended", "Seconds", "Passed", "Failed", "Not measured"], lines)


def failures(result: Row) -> str:
    """The checks that failed, and the reasons for what was not measured."""
    failed = [check for row in result["rows"] for check in row["checks"] if check["passed"] is False]
    missing: dict[str, list[str]] = {}
    for row in result["rows"]:
        for name, why in row["missing"].items():
            missing.setdefault(why, []).append(f"`{name}`")
    words = table(["Failed", "Found", "Valid"], [[check["what"], check["found"], check["valid"]] for check in failed])
    reasons = "\n".join(f"- {', '.join(dict.fromkeys(names))}: {why}" for why, names in missing.items())
    blocks = [words] if failed else []
    return "\n\n".join(blocks + ([f"Not measured, or in part only:\n\n{reasons}"] if reasons else []))


def loads(rows: Mapping[str, Mapping[str, Row]], figures: Mapping[str, str]) -> str:
    """Telemetry against known loads."""
    lines = []
    for name, row in rows.get("telemetry", {}).items():
        found = row["found"]
        if name.startswith("matrix product"):
            energies = [found[f"energy_{stretch}"] for stretch in ("steady", "whole")]
            ratios = [one and f"{number(one['ratio'])} ± {number(one['bound'], 2)}" for one in energies]
            lines.append(
                [
                    name,
                    found["operations_per_second"] / 1e12,
                    found["steady_gpu_utilisation_percent"],
                    found["steady_gpu_power_watts"],
                    *ratios,
                    found["power_rise_seconds"],
                ]
            )
    if not lines:
        return ""
    fastest = rows["telemetry"]["fastest sampling"]["found"]["samples_per_second"]
    columns = ["Load", "TFLOP/s", "Utilisation, %", "Power, W", "Energy ratio, steady", "whole", "Power rises in, s"]
    return (
        f"## Telemetry against known loads\n\n{figures.get('loads', '')}\n\n{table(columns, lines)}\n\n"
        "Energy ratio: the energy counter by the integral of sampled power, with how far it may lie from 1 (averaging, "
        f"sampling, the counter's steps, and 5 % of the sensor). The sampler can read {number(fastest)} times a second."
    )


def memory(rows: Mapping[str, Mapping[str, Row]], figures: Mapping[str, str]) -> str:
    """Memory that was allocated in steps."""
    lines = []
    for name, row in rows.get("memory", {}).items():
        steps, size = row["found"]["steps"], row["found"]["step_bytes"]
        for count in (0, len(steps) - 1):
            reading = [steps[count][key] for key in ("device_bytes", "process_bytes", "in_use_bytes", "pool_bytes")]
            lines.append([name, count * size / MIB, *(None if each is None else each / MIB for each in reading)])
    if not lines:
        return ""
    columns = ["Allocator", "Asked for, MiB", "Device", "This process", "In use", "Held by the allocator"]
    return f"## Memory in steps\n\n{figures.get('memory', '')}\n\n{table(columns, lines)}"


def equality(rows: Mapping[str, Mapping[str, Row]], figures: Mapping[str, str]) -> str:
    """The card against the CPU."""
    del figures
    cases = {name: row["found"] for name, row in rows.get("equality", {}).items() if "last" in row["found"]}
    if not cases:
        return ""
    lines = [[name, *(found.get(each) for each in QUANTITIES)] for name, found in cases.items()]
    product, words = rows["equality"].get("product of matrices"), ""
    if product is not None:
        errors = [number(product["found"][how], 2) for how in ("engine", "tf32")]
        words = (
            f"\n\nA product of float32 matrices errs by {errors[0]} of its largest number as the engine computes it, "
            f"and by {errors[1]} where TF32 is asked for, which the engine never does."
        )
    return (
        "## The card against the CPU\n\nThe largest difference, as a share of the largest number; 0 is equal to the "
        f"bit.\n\n{table(['Network', *QUANTITIES.values()], lines)}{words}"
    )


def updates(rows: Mapping[str, Mapping[str, Row]], figures: Mapping[str, str]) -> str:
    """One update per network and size."""
    lines = [
        [
            found["network"],
            found["batch_size"],
            _times(found["seconds_per_update"], 1e6),
            found["examples_per_second"],
            _times(found["operations_per_second"], 1e-12),
            found["gpu_utilisation_mean_percent"],
            found["gpu_power_mean_watts"],
            _times(found["joules_per_example"], 1e3),
        ]
        for found in (row["found"] for row in rows.get("updates", {}).values())
    ]
    if not lines:
        return ""
    columns = [
        "Network",
        "Batch size",
        "Update, µs",
        "Examples/s",
        "TFLOP/s",
        "Utilisation, %",
        "Power, W",
        "mJ/example",
    ]
    return f"## One update\n\n{figures.get('updates', '')}\n\n{table(columns, lines)}"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def quickstart(rows: Mapping[str, Mapping[str, Row]], figures: Mapping[str, str]) -> str:
    """The study through Snakemake, and its GPU columns."""
    del figures
    seen = rows.get("quickstart", {})
    if "workflow" not in seen:
        return ""
    found = seen["workflow"]["found"]
    how = "was cut" if found["cut"] else f"ended with status {found['status']}"
    lines = [
        [kind, column, f"{ends['n']} of {row['found']['records']}", ends["low"], ends["high"]]
        for kind, row in seen.items()
        if kind != "workflow"
        for column, ends in row["found"]["columns"].items()
    ]
    words = f"Snakemake {how} after {found['seconds']:.0f} s: {found['runs']} runs, {found['timings']} timings."
    return f"## The study `quickstart`\n\n{words}\n\n{table(['Record', 'Column', 'Known', 'Least', 'Largest'], lines)}"


def every_check(result: Row) -> str:
    """All checks."""
    lines = [
        [row["part"], check["what"], check["found"], check["valid"], check["passed"]]
        for row in result["rows"]
        for check in row["checks"]
    ]
    return "## Every check\n\n" + table(["Part", "What", "Found", "Valid", "Passed"], lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
