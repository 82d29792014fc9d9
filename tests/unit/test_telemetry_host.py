"""Telemetry of the host: real processes that come and go, and made-up energy counters."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchscope.telemetry.host import Host, PackageEnergy, ProcessTree


def burn(seconds: float) -> str:
    return f"import time\nwhile time.process_time() < {seconds}: pass"


def test_cpu_time_of_children_counts_while_they_live_and_after_they_end() -> None:
    tree = ProcessTree()
    tree.read()
    child = subprocess.Popen(
        [sys.executable, "-c", burn(0.3) + "\nimport sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    try:
        spent, alive, deadline = 0.0, frozenset[int](), time.monotonic() + 30
        while spent < 0.3 and time.monotonic() < deadline:
            time.sleep(0.02)
            tree.search()
            spent, _, alive = tree.read()
        assert spent >= 0.3
        assert child.pid in alive
    finally:
        child.communicate()
    tree.search()
    after, _, left = tree.read()
    assert child.pid not in left
    assert spent <= after < spent + 1.0


def test_a_child_never_seen_alive_still_counts_by_its_parent() -> None:
    tree = ProcessTree()
    tree.read()
    subprocess.run([sys.executable, "-c", burn(0.25)], check=True)
    spent, _, processes = tree.read()
    assert 0.2 <= spent < 5.0
    assert processes == {os.getpid()}


def test_cpu_time_does_not_fall_when_a_process_leaves_the_tree_with_the_time_it_used() -> None:
    tree = ProcessTree()
    tree.search()
    alone = tree.read()[2]  # with what other tests keep running
    grandchild = burn(0.2) + "\nprint('burnt', flush=True)\nimport sys; sys.stdin.read()"
    command = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        tree.search()
        before, _, processes = tree.read()
        assert len(processes - alone) == 2
        assert before >= 0.18  # user and system time are each cut to hundredths of a second
    finally:
        child.kill()  # the grandchild lives on, but is no longer a descendant
        child.wait()
    tree.search()
    after, _, processes = tree.read()
    assert processes == alone
    assert after >= before
    child.communicate()


def test_cpu_percent_is_never_negative_while_children_come_and_go() -> None:
    host = Host(Path("/nonexistent"))
    host.search(force=True)
    host.read(0.0)
    running: list[subprocess.Popen[bytes]] = []
    for moment in range(1, 20):
        if moment % 4 == 1:
            running.append(subprocess.Popen([sys.executable, "-c", burn(0.05)]))
        for child in running:
            child.poll()
        host.search(force=moment % 2 == 0)
        values = host.read(float(moment))
        assert values["cpu_percent"] is not None
        assert values["cpu_percent"] >= 0
        assert values["host_rss_bytes"]
        time.sleep(0.01)
    for child in running:
        child.wait()


def powercap(root: Path, name: str, label: str, energy: int, limit: int = 1_000_000) -> Path:
    domain = root / name
    domain.mkdir(parents=True)
    (domain / "name").write_text(f"{label}\n")
    (domain / "energy_uj").write_text(f"{energy}\n")
    (domain / "max_energy_range_uj").write_text(f"{limit}\n")
    return domain


def test_package_energy_adds_packages_only_and_survives_the_wrap_around(tmp_path: Path) -> None:
    first = powercap(tmp_path, "intel-rapl:0", "package-0", 900_000)
    second = powercap(tmp_path, "intel-rapl:1", "package-1", 100_000)
    inside = powercap(tmp_path, "intel-rapl:0:0", "core", 0)
    whole = powercap(tmp_path, "intel-rapl:2", "psys", 0)
    energy = PackageEnergy(tmp_path)
    assert energy.read() == 0.0
    for domain, reading in ((first, 200_000), (second, 150_000), (inside, 777_777), (whole, 999_999)):
        (domain / "energy_uj").write_text(f"{reading}\n")
    assert energy.read() == pytest.approx(0.3 + 0.05)
    (first / "energy_uj").write_text("100000\n")
    assert energy.read() == pytest.approx(0.3 + 0.05 + 0.9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 999_999), min_size=1, max_size=20), st.integers(0, 999_999))
def test_package_energy_is_the_sum_of_what_was_used_wherever_the_counter_wraps(used: list[int], start: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        domain = powercap(Path(folder), "intel-rapl:0", "package-0", start)
        energy = PackageEnergy(Path(folder))
        readings = [energy.read()]
        for total in itertools.accumulate(used):
            (domain / "energy_uj").write_text(str((start + total) % 1_000_000))
            readings.append(energy.read())
    assert readings == pytest.approx([0.0, *(total / 1e6 for total in itertools.accumulate(used))])


def test_package_energy_that_may_not_be_read_is_null_with_the_reason(tmp_path: Path, monkeypatch: Any) -> None:
    domain = powercap(tmp_path, "intel-rapl:0", "package-0", 5)
    energy = PackageEnergy(tmp_path)
    read_text = Path.read_text

    def refuse(path: Path, *arguments: Any, **options: Any) -> str:
        if path == domain / "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert energy.read() is None
    assert energy.reason is not None
    assert "root only" in energy.reason


def test_package_energy_null_where_the_counter_disappears_or_is_missing(tmp_path: Path) -> None:
    missing = PackageEnergy(tmp_path)
    assert missing.read() is None
    assert missing.reason is not None
    assert "no RAPL package" in missing.reason
    domain = powercap(tmp_path, "intel-rapl:0", "package-0", 5)
    energy = PackageEnergy(tmp_path)
    assert energy.read() == 0.0
    (domain / "energy_uj").unlink()
    assert energy.read() is None
    assert energy.reason is not None
    assert "energy_uj" in energy.reason
