"""The figures of the page: loads over time, memory in steps, throughput and utilisation by batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batchscope.figures import theme
from batchscope.figures.frames import Size

Rows = Mapping[str, Mapping[str, Mapping[str, Any]]]
Points = tuple[list[float], list[float]]
COLOURS = ("#222222", "#d55e00", "#0072b2", "#009e73", "#cc79a7")
GIB = 2**30


def write(rows: Rows, folder: Path) -> dict[str, str]:
    """Write the figures that there are numbers for; by name what shows each of them on the page."""
    shown = {}
    with theme.applied():
        for name, (draw, alt) in FIGURES.items():
            made = draw(rows)
            if made is not None:
                file = f"gpu-{name}.svg"
                theme.save(made, folder / file, title=alt, alt=alt)
                shown[name] = f"![{alt}]({file})"
    return shown


def points(series: Sequence[Mapping[str, Any]], x: str, y: str) -> Points:
    """The pairs of two quantities that were both measured."""
    both = [(row[x], row[y]) for row in series if row[x] is not None and row[y] is not None]
    return [one for one, _ in both], [other for _, other in both]


def line(axes: Axes, found: Points, label: str, index: int) -> None:
    """A line with dots, where there is anything to draw."""
    if found[0]:
        axes.plot(*found, color=COLOURS[index % len(COLOURS)], label=label, marker=".", markersize=4, linewidth=1.2)


def loads(rows: Rows) -> Figure | None:
    """Power and utilisation over time, a line for each load."""
    series = {
        name: row["found"]["series"] for name, row in rows.get("telemetry", {}).items() if "series" in row["found"]
    }
    known = {name: each for name, each in series.items() if points(each, "elapsed_seconds", "gpu_power_watts")[0]}
    if not known:
        return None
    made, panels = theme.figure(2, 1, 1.9)
    for index, (name, each) in enumerate(known.items()):
        line(panels[0], points(each, "elapsed_seconds", "gpu_power_watts"), name, index)
        line(panels[1], points(each, "elapsed_seconds", "gpu_utilisation_percent"), name, index)
    panels[0].set_ylabel("Power, W")
    panels[1].set(ylabel="Utilisation, %", xlabel="Seconds", ylim=(-3, 103))
    theme.legend(made, panels[0].get_lines())
    return made


def memory(rows: Rows) -> Figure | None:
    """What NVML reads against the bytes asked for, a panel for each allocator."""
    found = {name: row["found"] for name, row in rows.get("memory", {}).items()}
    if all(each["steps"][0]["device_bytes"] is None for each in found.values()):
        return None
    made, panels = theme.figure(1, len(found), 2.4)
    kinds = {"device_bytes": "device", "process_bytes": "this process", "pool_bytes": "held by the allocator"}
    for axes, (name, each) in zip(panels, found.items(), strict=True):
        asked = [count * each["step_bytes"] / GIB for count in range(len(each["steps"]))]
        for index, (kind, label) in enumerate(kinds.items()):
            read = [{"asked": one, "read": step[kind]} for one, step in zip(asked, each["steps"], strict=True)]
            first = next((one["read"] for one in read if one["read"] is not None), 0)
            grown = [one | {"read": None if one["read"] is None else (one["read"] - first) / GIB} for one in read]
            line(axes, points(grown, "asked", "read"), label, index)
        axes.plot(asked, asked, color=theme.FAINT, linestyle="--", linewidth=1, label="asked for")
        axes.set(title=name, xlabel="Asked for, GiB", ylabel="Growth, GiB")
    theme.legend(made, panels[0].get_lines())
    return made


def updates(rows: Rows) -> Figure | None:
    """Throughput and utilisation against the batch size, a line for each network."""
    found = [row["found"] for row in rows.get("updates", {}).values() if row["found"]["examples_per_second"]]
    if not found:
        return None
    made, panels = theme.figure(2, 1, 2.3)
    sizes = [Size(size, full_batch=False) for size in sorted({each["batch_size"] for each in found})]
    for index, network in enumerate(dict.fromkeys(each["network"] for each in found)):
        own = [each for each in found if each["network"] == network]
        line(panels[0], points(own, "batch_size", "examples_per_second"), network, index)
        line(panels[1], points(own, "batch_size", "gpu_utilisation_mean_percent"), network, index)
    for axes in panels:
        theme.batch_axis(axes, sizes)
    theme.log_axis(panels[0], "y", [each["examples_per_second"] for each in found])
    panels[0].set_ylabel("Examples per second")
    panels[1].set(ylabel="Utilisation, %", ylim=(-3, 103))
    theme.legend(made, panels[0].get_lines())
    return made


FIGURES = {
    "loads": (loads, "Power and utilisation of the card over time, idle and in matrix products"),
    "memory": (memory, "Growth of the memory that NVML reads against the bytes asked for, by allocator"),
    "updates": (updates, "Throughput and utilisation against the batch size, by network"),
}
