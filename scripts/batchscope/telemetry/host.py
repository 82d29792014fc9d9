"""The host's side: CPU time and memory of this process and its descendants, and the energy of the CPU packages."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

HOST_COLUMNS = ("cpu_percent", "host_rss_bytes", "cpu_package_energy_joules")

# A search for descendants walks all processes of the machine; at most this share of one core goes into searches.
_SEARCH_SHARE = 0.002


class Host:
    """Reads `HOST_COLUMNS`. `processes` are the tree's process numbers at the last reading; `reasons` explain nulls."""

    def __init__(self, powercap: Path) -> None:
        self._tree = ProcessTree()
        self._packages = PackageEnergy(powercap)
        self._last: tuple[float, float] | None = None
        self.reasons: dict[str, str] = {}
        self.processes: frozenset[int] = frozenset()

    def search(self, *, force: bool) -> None:
        """Look for new descendants, before the time of the sample is taken; `force` does so whatever it costs."""
        self._tree.search(force=force)

    def read(self, elapsed: float) -> dict[str, float | int | None]:
        """All of `HOST_COLUMNS`, `elapsed` seconds after the start. The first `cpu_percent` is null."""
        cpu_seconds, rss, self.processes = self._tree.read()
        percent = None
        if self._last is None:
            self._last = (elapsed, cpu_seconds)
        elif elapsed > self._last[0]:
            percent = 100 * (cpu_seconds - self._last[1]) / (elapsed - self._last[0])
            self._last = (elapsed, cpu_seconds)
        joules = self._packages.read()
        if self._packages.reason is not None:
            self.reasons["cpu_package_energy_joules"] = self._packages.reason
        return dict(zip(HOST_COLUMNS, (percent, rss, joules), strict=True))


class ProcessTree:
    """CPU time and resident memory of this process and all its descendants.

    CPU time of a child that ended and was waited for is kept by the kernel with its parent, so that short-lived
    children count. Resident memory is the sum over the processes: pages that they share count once for each.
    """

    def __init__(self) -> None:
        self._self = psutil.Process()
        self._children: dict[psutil.Process, float] = {}
        self._start: float | None = None
        self._cpu_seconds = 0.0
        self._own_cpu = 0.0
        self._next_search = 0.0

    def read(self) -> tuple[float, int, frozenset[int]]:
        """CPU seconds since the first reading (never falling), resident bytes, and the processes' numbers."""
        # This process before its children: a child that ends in between is then missed once, never counted twice.
        own_cpu, times = time.process_time(), os.times()
        total = own_cpu + times.children_user + times.children_system
        gained = own_cpu - self._own_cpu
        rss = self._self.memory_info().rss
        for child, seen in list(self._children.items()):
            try:
                with child.oneshot():
                    spent = child.cpu_times()
                    own = spent.user + spent.system
                    reaped = getattr(spent, "children_user", 0.0) + getattr(spent, "children_system", 0.0)
                    rss += child.memory_info().rss
            except psutil.Error:
                del self._children[child]
                continue
            total += own + reaped
            gained += max(0.0, own - seen)
            self._children[child] = own
        self._own_cpu = own_cpu
        if self._start is None:
            self._start = total
        else:
            # `total` falls when a process leaves the tree with its time (its parent died, or does not wait for it);
            # what the processes still here have gained since the last reading is a lower bound either way.
            self._cpu_seconds = max(self._cpu_seconds + gained, total - self._start)
        return self._cpu_seconds, rss, frozenset({self._self.pid, *(child.pid for child in self._children)})

    def search(self, *, force: bool = True) -> None:
        """Take in new descendants; unless `force`d, only as often as the cost of a search allows."""
        if not _has_children():
            self._children.clear()
            return
        if not force and time.monotonic() < self._next_search:
            return
        before = time.thread_time()
        found = self._self.children(recursive=True)
        self._children = {child: self._children.get(child, 0.0) for child in found}
        self._next_search = time.monotonic() + (time.thread_time() - before) / _SEARCH_SHARE


def _has_children() -> bool:
    """Whether this process has children, by one system call that leaves them as they are; true where it cannot tell."""
    if not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


class PackageEnergy:
    """Energy of all CPU packages by RAPL, from Linux's powercap folder `root` (the domains `intel-rapl:N`, AMD's too).

    Only domains named `package-…` count: the sub-domains (cores, memory) are inside them, and `psys` is more than the
    CPU. The counters are in microjoules and start again from zero past `max_energy_range_uj` (minutes to hours; a
    reading at least that often is assumed).
    """

    def __init__(self, root: Path) -> None:
        self._joules = 0.0
        self._last: Mapping[Path, int] | None = None
        self.reason: str | None = None
        self._ranges: dict[Path, int] = {}
        try:
            for domain in _packages(root):
                self._ranges[domain] = int((domain / "max_energy_range_uj").read_text())
        except (OSError, ValueError) as error:
            self.reason = f"the CPU energy counters could not be read ({error})"
            return
        if not self._ranges:
            self.reason = f"the machine offers no CPU energy counter (no RAPL package below {root})"

    def read(self) -> float | None:
        """Joules since the first reading; null, with `reason`, from the first failure on."""
        if self.reason is not None:
            return None
        try:
            now = {domain: int((domain / "energy_uj").read_text()) for domain in self._ranges}
        except PermissionError:
            self.reason = "the CPU energy counters (RAPL) may be read by root only on this machine"
            return None
        except (OSError, ValueError) as error:
            self.reason = f"the CPU energy counters could not be read ({error})"
            return None
        for domain, start in (self._last or {}).items():
            gain = now[domain] - start
            self._joules += (gain if gain >= 0 else gain + self._ranges[domain]) / 1e6
        self._last = now
        return self._joules


def _packages(root: Path) -> list[Path]:
    domains = [path for path in sorted(root.glob("intel-rapl:*")) if re.fullmatch(r"intel-rapl:\d+", path.name)]
    return [path for path in domains if (path / "name").read_text().startswith("package")]
