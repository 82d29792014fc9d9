"""What of this machine the process may use: cores and memory, limits of its container included.

Only the standard library, so that Snakemake's environment and the set-up can read it. Linux shows the limits in the
files of control groups, version 1 or 2, which a container or a batch system sets; elsewhere the machine is the limit.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

_SYSTEM = Path("/")


def usable_cores(root: Path = _SYSTEM) -> int:
    """Cores that the process may keep busy: those it may run on, or its quota of their time rounded down; at least 1.

    Args:
        root: the folder that holds `proc` and `sys`.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([allowed, *_cpu_quotas(root)])))


def has_nvidia_driver(root: Path = _SYSTEM) -> bool:
    """Whether NVIDIA's driver shows a GPU; told on Linux only.

    Args:
        root: the folder that holds `proc`, `sys` and `dev`.
    """
    cards = root / "proc/driver/nvidia/gpus"  # some containers have the device alone
    return (cards.is_dir() and any(cards.iterdir())) or any((root / "dev").glob("nvidia[0-9]*"))


def may_have_gpu(root: Path = _SYSTEM) -> bool:
    """Whether an NVIDIA GPU may be here: its driver shows one, or Windows hands its own on to this Linux.

    Args:
        root: the folder that holds `proc`, `sys` and `dev`.
    """
    return has_nvidia_driver(root) or (root / "dev/dxg").exists()


def memory_bytes(root: Path = _SYSTEM) -> int:
    """Bytes of memory that the process may use: those of the machine, or the limit of its container.

    Args:
        root: the folder that holds `proc` and `sys`.
    """
    return min([_machine_memory(root), *_memory_limits(root), *_address_space()])


def _address_space() -> Iterator[int]:
    """The limit of `ulimit -v`, if any."""
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    if soft != resource.RLIM_INFINITY:
        yield soft


def _machine_memory(root: Path) -> int:
    info = root / "proc/meminfo"
    found = re.search(r"^MemTotal:\s*(\d+) kB$", info.read_text(), re.MULTILINE) if info.is_file() else None
    return 1024 * int(found[1]) if found else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cpu_quotas(root: Path) -> Iterator[float]:
    """Every limit of the cores' time, in cores."""
    for folder in _groups(root, "cpu"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        quota = quota or _read(folder / "cpu.cfs_quota_us")
        period = period or _read(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal():  # no limit: "max" in version 2, -1 in version 1
            yield int(quota) / int(period)


def _memory_limits(root: Path) -> Iterator[int]:
    """Every limit of the memory, in bytes; version 1 writes none as a number larger than any machine."""
    for folder in _groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _read(folder / name)
            if limit.isdecimal():
                yield int(limit)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the process's control groups for a controller, from its own up to the topmost that it can see."""
    paths = [line.split(":", 2) for line in _read(root / "proc/self/cgroup").splitlines()]
    for line in _read(root / "proc/self/mountinfo").splitlines():
        mount, _, kind = line.partition(" - ")
        shown, top = mount.split(" ")[3:5]
        system, _, options = kind.split(" ")[:3]
        for _, controllers, path in paths:
            version_2 = system == "cgroup2" and controllers == ""
            version_1 = system == "cgroup" and controller in set(controllers.split(",")) & set(options.split(","))
            if version_1 or version_2:
                own = Path(os.path.relpath(path, shown))
                yield from (root / top.lstrip("/") / each for each in (own, *own.parents) if ".." not in each.parts)


def _read(file: Path) -> str:
    """The text of a file without its last line's end; none where there is no such file."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""
