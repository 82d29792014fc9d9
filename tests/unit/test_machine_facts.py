"""Facts about the machine that a system may not tell: null in the manifest, and never the end of a job."""

import mmap
import os
import time
from types import SimpleNamespace

import psutil
import pytest

from batchscope import telemetry
from batchscope.jobs import manifest, memory

FAILING = {
    "cpu_max_mhz": (psutil, "cpu_freq"),
    "cores_physical": (psutil, "cpu_count"),
    "cores_logical": (psutil, "cpu_count"),
    "memory_bytes": (psutil, "virtual_memory"),
    "cpu": (manifest, "_cpu_model"),
}
ERRORS = [NotImplementedError("can't find current frequency file"), FileNotFoundError("/proc"), OSError, psutil.Error]


@pytest.mark.parametrize("error", ERRORS, ids=["not implemented", "no file", "system", "psutil"])
@pytest.mark.parametrize(("fact", "place"), FAILING.items(), ids=FAILING)
def test_a_fact_that_cannot_be_asked_for_is_null_and_the_others_stay(monkeypatch, fact, place, error):
    before = manifest.host()

    def fails(*arguments, **options):
        raise error

    monkeypatch.setattr(*place, fails)
    after = manifest.host()
    assert after[fact] is None
    shared = {name for name, other in FAILING.items() if other == place}
    assert {name: value for name, value in after.items() if name not in shared} == {
        name: value for name, value in before.items() if name not in shared
    }


@pytest.mark.parametrize("answer", [None, 0.0])
def test_an_unknown_frequency_is_null(monkeypatch, answer):
    frequency = None if answer is None else SimpleNamespace(max=answer)
    monkeypatch.setattr(psutil, "cpu_freq", lambda: frequency)
    assert manifest.host()["cpu_max_mhz"] is None


@pytest.mark.parametrize(("cores", "usable"), [(None, 1), (3, 3)])
def test_without_an_affinity_all_cores_are_usable(monkeypatch, cores, usable):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert manifest.host()["cores_usable"] == usable


def test_resident_memory_that_cannot_be_read_is_null(monkeypatch, tmp_path):
    assert memory.resident_bytes() > 1_000_000

    def fails(self):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "memory_info", fails)
    monkeypatch.setattr(memory, "_PAGES", tmp_path / "statm")  # of a system without it
    assert memory.resident_bytes() is None
    assert memory.Peak().read()[0] is None


def test_memory_counts_no_pages_of_files(monkeypatch, tmp_path):
    (tmp_path / "statm").write_text("9000 500 300 1 0 400 0\n")
    monkeypatch.setattr(memory, "_PAGES", tmp_path / "statm")
    assert memory.resident_bytes() == 200 * os.sysconf("SC_PAGE_SIZE")


def test_the_peak_is_what_was_held_once_and_files_do_not_count(tmp_path):
    (tmp_path / "file").write_bytes(bytes(80_000_000))
    before, peak = memory.resident_bytes(), memory.Peak()
    held = bytearray(os.urandom(1)) * 100_000_000
    time.sleep(0.5)  # many looks, also on a busy machine
    del held
    with (tmp_path / "file").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[:: mmap.PAGESIZE]) == 0
        assert peak.read()[0] - before == pytest.approx(1e8, rel=0.2)


def test_what_was_held_before_a_peak_starts_anew_does_not_count():
    before, peak = memory.resident_bytes(), memory.Peak()
    held = bytearray(os.urandom(1)) * 100_000_000
    time.sleep(0.5)
    del held
    peak.restart()
    time.sleep(0.5)
    assert peak.read()[0] - before < 2e7


def test_telemetry_without_psutil_is_null_with_the_reason(monkeypatch):
    def fails(*arguments):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "Process", fails)
    with telemetry.Sampler(60.0, gpus=telemetry.no_gpus()) as sampler:
        pass
    result = sampler.result
    assert result.summary["host_rss_peak_bytes"] is None
    assert "AccessDenied" in result.not_measured["host_rss_peak_bytes"]
