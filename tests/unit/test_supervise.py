"""A job that dies of memory, however it dies, is an outcome; a job that is killed for another reason is a failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

JOB = """
import os, signal, sys, time, types
from batchscope.jobs import logs, machine, supervise
logs.redirect("job.log")
machine.memory_bytes = lambda: {whole}
def work(note):
    note("numerics", {{"device": "cpu"}})
    {work}
def lost(death):
    print("LOST", death.notes, death.how, flush=True)
supervise.run(work, {lost}, types.SimpleNamespace(mem_mb=400, attempt={attempt}), "job.log")
"""


def start(
    folder: Path, work: str, *, whole: int = 2**40, attempt: int = 1, lost: str = "lost", **environment: str
) -> subprocess.Popen[bytes]:
    code = JOB.format(work=work, whole=whole, attempt=attempt, lost=lost)
    values = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), **environment}
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=values)


def ended(folder: Path, work: str, **options: object) -> tuple[int, str]:
    status = start(folder, work, **options).wait(timeout=60)  # type: ignore[arg-type]
    return status, (folder / "job.log").read_text()


GREEDY = "held = bytearray(300_000_000); time.sleep(30)"


def test_a_job_that_works_ends_well_and_one_that_fails_fails(tmp_path: Path) -> None:
    assert ended(tmp_path, "print('done')") == (0, "done\n")
    status, log = ended(tmp_path, "1 / 0")
    assert status == 1
    assert log.endswith("ZeroDivisionError: division by zero\n")


def test_a_job_whose_process_the_users_code_ends_fails_and_says_so(tmp_path: Path) -> None:
    status, log = ended(tmp_path, "os._exit(0)")
    assert status == 1
    assert log.splitlines()[-1].startswith("Error: code of the study ended the process")


def test_a_job_that_has_compiled_begins_again_once(tmp_path: Path) -> None:
    status, log = ended(tmp_path, "print('began', flush=True); note('compiled', True); print('done')")
    assert status == 0
    assert [line for line in log.splitlines() if line in ("began", "done")] == ["began", "began", "done"]


def test_code_that_ends_as_a_child_that_has_compiled_is_not_begun_for_ever(tmp_path: Path) -> None:
    status, log = ended(tmp_path, "print('began', flush=True); os._exit(76)")
    assert status == 76
    assert log.count("began\n") == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_began_again_ends_as_one_that_did_not(tmp_path: Path, number: int) -> None:
    log = tmp_path / "job.log"
    work = "note('compiled', True); print('works as', os.getpid(), flush=True); time.sleep(60)"
    job = start(tmp_path, work)
    while "works as" not in (log.read_text() if log.exists() else ""):
        time.sleep(0.02)
    child = psutil.Process(int(log.read_text().rpartition("works as")[2]))
    child.send_signal(number)
    assert job.wait(timeout=60) != 0
    assert ("the job was stopped" if number == signal.SIGINT else "ended by SIGTERM") in log.read_text()


def test_more_memory_than_there_is_ends_the_job_and_is_an_outcome(tmp_path: Path) -> None:
    status, log = ended(tmp_path, GREEDY, whole=200_000_000)
    assert status == 0
    assert "LOST {'numerics': {'device': 'cpu'}} memory ran out" in log
    assert "there are 0.19 GB for it (0.2 GB of this machine or container)" in log


def test_on_a_cluster_the_memory_that_was_asked_for_is_the_limit(tmp_path: Path) -> None:
    status, log = ended(tmp_path, GREEDY, BATCHSCOPE_ON_CLUSTER="1")
    assert status == 0
    assert "there are 0.21 GB for it (mem_mb 400 of the cluster's job)" in log  # the rest is for Snakemake itself


def test_an_allocation_that_fails_is_an_outcome(tmp_path: Path) -> None:
    status, log = ended(tmp_path, "raise MemoryError('a petabyte')")
    assert status == 0
    assert "LOST" in log
    status, log = ended(tmp_path, 'os.write(2, b"what():  std::bad_alloc\\n"); os.abort()')
    assert (status, "LOST" in log) == (0, True)


@pytest.mark.parametrize(
    "work",
    [
        "raise OSError(12, 'Cannot allocate memory')",
        "raise ImportError('libcublas.so: failed to map segment from shared object')",
        "raise ValueError('build failed') from MemoryError()",
        'os.write(2, b"LLVM ERROR: out of memory\\n"); os.abort()',
    ],
    ids=["mapping", "library", "cause", "compiler"],
)
def test_memory_that_ends_elsewhere_is_an_outcome_too(tmp_path: Path, work: str) -> None:
    status, log = ended(tmp_path, work)
    assert (status, "LOST" in log) == (0, True)


def test_a_job_whose_death_is_no_outcome_fails_and_says_that_memory_ran_out(tmp_path: Path) -> None:
    status, log = ended(tmp_path, GREEDY, whole=200_000_000, lost="None")
    assert status == 1
    assert log.startswith("Error: memory ran out")


def test_a_job_that_is_killed_from_outside_is_no_outcome(tmp_path: Path) -> None:
    status, log = ended(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert status == 128 + signal.SIGKILL
    assert log == "Error: the job was ended by SIGKILL, and not because it is too large; run again\n"
    status, log = ended(tmp_path, "os.abort()")
    assert (status, "LOST" in log, "run again" in log) == (128 + signal.SIGABRT, False, False)


def test_where_more_memory_comes_with_the_next_attempt_only_the_last_is_an_outcome(tmp_path: Path) -> None:
    status, log = ended(tmp_path, GREEDY, whole=200_000_000, BATCHSCOPE_RETRIES="1")
    assert status == 1
    assert "the next has more memory" in log
    status, log = ended(tmp_path, GREEDY, whole=200_000_000, attempt=2, BATCHSCOPE_RETRIES="1")
    assert (status, "LOST" in log) == (0, True)


SLEEP = "open('pid', 'w').write(f'{os.getppid()} {os.getpid()} '); time.sleep(60)"


def pids(folder: Path) -> list[int]:
    """The processes of a job that does SLEEP, once it does: the one that watches and the one that works."""
    end, file = time.monotonic() + 30, folder / "pid"
    while not file.exists() or len(file.read_text().split()) < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    return [int(pid) for pid in file.read_text().split()]


def assert_gone(processes: list[int]) -> None:
    end = time.monotonic() + 30
    for pid in processes:
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_ends_with_the_job(tmp_path: Path, sign: signal.Signals) -> None:
    job = start(tmp_path, SLEEP)
    processes = pids(tmp_path)
    job.send_signal(sign)
    job.wait(timeout=10)
    assert_gone(processes)


def test_the_log_of_a_killed_job_is_a_sentence(tmp_path: Path) -> None:
    job = start(tmp_path, f"print('noise\\n' * 3000, flush=True); {SLEEP}")
    processes = pids(tmp_path)
    job.kill()
    job.wait(timeout=10)
    assert_gone(processes)
    log = (tmp_path / "job.log").read_text().splitlines()
    assert log == ["Error: the job was killed; the same command goes on", "(all 3002 lines: job.log.whole)"]


def test_a_job_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = JOB.format(work=SLEEP, whole=2**40, attempt=1, lost="lost")
    starter = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    values = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    snakemake = subprocess.Popen([sys.executable, "-c", starter], cwd=tmp_path, env=values)
    processes = pids(tmp_path)
    snakemake.kill()
    snakemake.wait()
    assert_gone(processes)


def test_a_long_log_of_a_failure_is_short_and_all_of_it_is_kept(tmp_path: Path) -> None:
    _, log = ended(tmp_path, "print('noise\\n' * 3000, flush=True); 1 / 0")
    assert 5 <= len(log.splitlines()) <= 21
    assert "ZeroDivisionError" in log
    whole = (tmp_path / "job.log.whole").read_text()
    assert whole.count("noise") == 3000
    assert f"{len(whole.splitlines())} lines: job.log.whole" in log


def test_what_the_users_code_has_started_neither_holds_the_job_up_nor_outlives_it(tmp_path: Path) -> None:
    work = (
        "import multiprocessing; fork = multiprocessing.get_context('fork'); "
        "helper = fork.Process(target=time.sleep, args=(50,), daemon=True); helper.start(); print(helper.pid)"
    )
    begun = time.monotonic()
    status, log = ended(tmp_path, work)
    assert (status, time.monotonic() - begun < 30) == (0, True)
    assert not psutil.pid_exists(int(log))


def test_what_waits_for_the_end_of_a_process_is_done(tmp_path: Path) -> None:
    work = (
        "import atexit, threading; global kept; kept = open('kept.txt', 'w'); kept.write('written'); "
        "atexit.register(lambda: print('registered')); threading.Timer(0.3, print, ['waited for']).start(); "
        "print('worked')"
    )
    assert ended(tmp_path, work) == (0, "worked\nwaited for\nregistered\n")
    assert (tmp_path / "kept.txt").read_text() == "written"
