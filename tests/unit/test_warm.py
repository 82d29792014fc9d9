"""Jobs that start warm do what jobs that start cold do; their host ends with the workflow, and they with theirs."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="starts are warm on Linux only")

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

JOB = """
import sys, types
from batchscope.jobs import logs, machine, supervise, warm
from batchscope.jobs.warm import Task
logs.redirect("job.log")
machine.memory_bytes = lambda: {whole}
warm._PATIENCE_SECONDS = {patience}
host = {host}
resources = types.SimpleNamespace(mem_mb=400, attempt=1)
work, lost = Task("warm_jobs", "{function}", {arguments}), Task("warm_jobs", "lost", ())
supervise.run(work, lost, resources, "job.log", host)
"""
TRAINING = 'warm.training({"engine": "numpy", "environment": {}})'


@pytest.fixture
def workflow() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for Snakemake."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


class Jobs:
    """Starts jobs of a workflow in a folder, with the sockets of their host in it."""

    def __init__(self, folder: Path, workflow: subprocess.Popen[bytes]) -> None:
        self.folder, self.workflow = folder, workflow
        self.sockets = folder / "tmp" / f"batchscope-{os.getuid()}"
        self.sockets.parent.mkdir()

    def start(
        self,
        function: str,
        arguments: tuple[object, ...] = (),
        *,
        whole: int = 2**40,
        patience: float = 60,
        host: str = TRAINING,
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        """A job in a process group of its own, as jobs have it that Snakemake starts in a shell without a terminal."""
        code = JOB.format(function=function, arguments=arguments, whole=whole, patience=patience, host=host)
        return self.python(code, **environment)

    def python(self, code: str, **environment: str) -> subprocess.Popen[bytes]:
        """A process of this workflow."""
        paths = os.pathsep.join((str(ROOT / "scripts"), str(HERE)))
        known = {"PYTHONPATH": paths, "TMPDIR": str(self.sockets.parent), "OWN": "its own"}
        known |= {"BATCHSCOPE_WARM_STARTS_OF": str(self.workflow.pid)} | environment
        return subprocess.Popen(
            [sys.executable, "-c", code], cwd=self.folder, env={**os.environ, **known}, process_group=0
        )

    def ended(self, function: str, arguments: tuple[object, ...] = (), **options: object) -> tuple[int, str]:
        status = self.start(function, arguments, **options).wait(timeout=60)  # type: ignore[arg-type]
        return status, self.log()

    def log(self) -> str:
        file = self.folder / "job.log"
        return file.read_text() if file.exists() else ""

    def hosts(self) -> list[psutil.Process]:
        """The hosts of this workflow; their children have the same command."""
        every = psutil.process_iter(["cmdline"])
        texts = {each: " ".join(each.info["cmdline"] or ()) for each in every}
        found = [each for each, text in texts.items() if "warm_host.py" in text and str(self.sockets) in text]
        return [each for each in found if each.ppid() not in {other.pid for other in found}]

    def waiting(self) -> psutil.Process:
        """The child at work in `warm_jobs.wait`."""
        until(lambda: "waits as" in self.log())
        found = re.search(r"waits as (\d+)", self.log())
        assert found
        return psutil.Process(int(found[1]))


def until(happens: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something, which must happen."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def jobs(tmp_path: Path, workflow: subprocess.Popen[bytes]) -> Jobs:
    return Jobs(tmp_path, workflow)


def test_a_warm_job_is_a_child_of_the_host_and_otherwise_like_a_cold_one(jobs: Jobs) -> None:
    status, warm = jobs.ended("tell", ("hello",))
    (host,) = jobs.hosts()
    assert status == 0
    assert re.search(r"parent (\d+)", warm)[1] == str(host.pid)  # type: ignore[index]
    assert jobs.sockets.stat().st_mode & 0o777 == 0o700
    status, cold = jobs.ended("tell", ("hello",), BATCHSCOPE_WARM_STARTS_OF="")
    assert status == 0
    assert f"parent {host.pid}" not in cold
    assert [line for line in cold.splitlines() if "hello" in line] == [
        line for line in warm.splitlines() if "hello" in line
    ]
    assert f"hello {jobs.folder} its own" in warm


def test_every_job_of_a_workflow_has_the_same_host(jobs: Jobs) -> None:
    together = [jobs.start("tell", ("hello",)) for _ in range(3)]
    assert [each.wait(timeout=60) for each in together] == [0, 0, 0]
    assert len(jobs.hosts()) == 1


def test_a_job_waits_for_the_module_of_its_task_and_the_host_imports_the_others_between_jobs(jobs: Jobs) -> None:
    host = 'warm.Host(("pyclbr", "warm_jobs", "a_package_of_other_jobs", "tabnanny"), {})'
    status, log = jobs.ended("tell", ("hello",), host=host)
    (process,) = jobs.hosts()
    assert status == 0
    assert log.endswith(f"parent {process.pid} imported by {process.pid}\n")
    until(lambda: "imported: True" in jobs.ended("say_whether_imported", ("tabnanny",), host=host)[1])
    assert jobs.hosts() == [process]


def test_a_host_that_is_prepared_is_that_of_the_first_job(jobs: Jobs) -> None:
    assert jobs.python(f"from batchscope.jobs import warm; warm.prepare({TRAINING})").wait(timeout=60) == 0
    (host,) = jobs.hosts()
    status, log = jobs.ended("tell", ("hello",))
    assert status == 0
    assert f"parent {host.pid}" in log


def test_failures_and_deaths_are_those_of_the_job(jobs: Jobs) -> None:
    status, log = jobs.ended("fail")
    assert status == 1
    assert log.endswith("ZeroDivisionError: one over nothing\n")
    status, log = jobs.ended("die", (int(signal.SIGTERM),))
    assert status == 128 + signal.SIGTERM
    assert "SIGTERM" in log
    status, log = jobs.ended("hold", (300_000_000,), whole=200_000_000)
    assert (status, "LOST" in log) == (0, True)
    assert len(jobs.hosts()) == 1


def test_a_job_ends_when_its_own_process_is_killed_or_stopped(jobs: Jobs) -> None:
    for number in (signal.SIGKILL, signal.SIGTERM):
        (jobs.folder / "job.log").unlink(missing_ok=True)
        job = jobs.start("wait")
        child = jobs.waiting()
        job.send_signal(number)
        job.wait(timeout=60)
        until(lambda child=child: is_gone(child))  # type: ignore[misc]
    assert len(jobs.hosts()) == 1


def test_the_host_and_its_children_end_with_the_workflow(jobs: Jobs) -> None:
    job = jobs.start("wait")
    child, (host,) = jobs.waiting(), jobs.hosts()
    jobs.workflow.kill()
    jobs.workflow.wait()
    until(lambda: is_gone(host) and is_gone(child))
    assert job.wait(timeout=60) != 0
    assert list(jobs.sockets.iterdir()) == []


def test_a_workflow_that_is_killed_while_its_host_imports_leaves_no_socket(jobs: Jobs) -> None:
    assert jobs.ended("tell", ("hello",))[0] == 0
    (host,) = jobs.hosts()
    host.suspend()  # as one that imports, it does not look whether its workflow ends
    (jobs.folder / "job.log").unlink()
    job = jobs.start("tell", ("hello",))
    until(lambda: psutil.Process(job.pid).net_connections("unix"))
    jobs.workflow.kill()
    jobs.workflow.wait()
    job.wait(timeout=60)
    assert is_gone(host)
    assert "the workflow has ended" in jobs.log()
    assert list(jobs.sockets.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_whose_host_dies_starts_cold_and_the_next_one_gets_another(number: int, jobs: Jobs) -> None:
    job = jobs.start("wait")
    child, (host,) = jobs.waiting(), jobs.hosts()
    (jobs.folder / "job.log").write_text("")
    host.send_signal(number)
    again = jobs.waiting()
    assert again.ppid() == job.pid
    until(lambda: is_gone(child))
    again.kill()
    assert job.wait(timeout=60) == 128 + signal.SIGKILL
    assert jobs.ended("tell", ("hello",))[0] == 0
    assert [each.pid != host.pid for each in jobs.hosts()] == [True]


def test_a_stopped_host_is_replaced_and_the_job_that_meets_it_starts_cold(jobs: Jobs) -> None:
    assert jobs.ended("tell", ("hello",))[0] == 0
    (host,) = jobs.hosts()
    host.suspend()
    status, log = jobs.ended("tell", ("hello",), patience=0.5)
    assert status == 0
    assert "starts cold" in log
    assert f"parent {host.pid}" not in log.partition("starts cold")[2]
    until(lambda: is_gone(host))
    assert jobs.ended("tell", ("hello",))[0] == 0
    assert [each.pid != host.pid for each in jobs.hosts()] == [True]


def test_a_job_whose_host_is_stopped_meanwhile_starts_again(jobs: Jobs) -> None:
    assert jobs.ended("tell", ("hello",))[0] == 0
    job = jobs.start("wait", patience=0.5)
    child, (host,) = jobs.waiting(), jobs.hosts()
    host.suspend()
    (jobs.folder / "job.log").write_text("")
    child.kill()
    again = jobs.waiting()
    assert again.ppid() == job.pid
    until(lambda: is_gone(host))
    again.kill()
    assert job.wait(timeout=60) == 128 + signal.SIGKILL


def test_a_lock_that_another_job_keeps_is_waited_for_no_longer_than_a_while(jobs: Jobs) -> None:
    assert jobs.ended("tell", ("hello",))[0] == 0
    (lock,) = jobs.sockets.glob("*.lock")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        status, log = jobs.ended("tell", ("hello",), patience=0.2)
    assert status == 0
    assert "starts cold" in log


def test_where_the_folder_of_sockets_is_removed_jobs_get_another_host(jobs: Jobs) -> None:
    assert jobs.ended("tell", ("hello",))[0] == 0
    (before,) = jobs.hosts()
    shutil.rmtree(jobs.sockets)
    (jobs.folder / "job.log").unlink()
    status, log = jobs.ended("tell", ("hello",))
    after = [each for each in jobs.hosts() if each.pid != before.pid]
    assert status == 0
    assert re.findall(r"parent (\d+)", log) == [str(each.pid) for each in after]
    jobs.workflow.kill()
    jobs.workflow.wait()
    until(lambda: is_gone(before) and is_gone(after[0]))
    assert list(jobs.sockets.iterdir()) == []


def test_what_hosts_left_of_workflows_that_ended_goes_with_the_next_host(jobs: Jobs) -> None:
    jobs.sockets.mkdir(mode=0o700)
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = [
        jobs.sockets / f"{gone.pid}-0123",
        jobs.sockets / f"{gone.pid}-0123.lock",
        jobs.sockets / f"{os.getpid()}-4",
    ]
    for file in left:
        file.touch()
    assert jobs.ended("tell", ("hello",))[0] == 0
    assert [file.exists() for file in left] == [False, False, True]


def test_ctrl_c_ends_the_job_and_its_child_but_not_the_host(jobs: Jobs) -> None:
    job = jobs.start("wait")
    child = jobs.waiting()
    os.killpg(job.pid, signal.SIGINT)
    assert job.wait(timeout=60) != 0
    until(lambda: is_gone(child))
    assert len(jobs.hosts()) == 1


def test_a_host_outlives_the_job_that_started_it(jobs: Jobs) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # that job was killed while the host imported the framework
    address = jobs.folder / "socket"
    command = [sys.executable, str(ROOT / "scripts/batchscope/jobs/warm_host.py"), str(address)]
    paths = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    arguments = [str(jobs.workflow.pid), str(writing), "numpy", "batchscope.jobs.train"]
    host = subprocess.Popen([*command, *arguments], env=paths, pass_fds=[writing])
    os.close(writing)
    with socket.socket(socket.AF_UNIX) as connection:
        until(lambda: connection.connect_ex(str(address)) == 0 or host.poll() is not None)
    jobs.workflow.kill()
    jobs.workflow.wait()
    assert host.wait(timeout=60) == 0
    assert not address.exists()


def test_a_job_whose_workflow_ended_before_it_began_does_nothing(jobs: Jobs) -> None:
    jobs.workflow.kill()
    jobs.workflow.wait()
    status, log = jobs.ended("tell", ("hello",))
    assert status != 0
    assert log == ""
    assert jobs.hosts() == []


def test_a_folder_that_others_may_enter_is_not_used(jobs: Jobs) -> None:
    jobs.sockets.mkdir(mode=0o755)
    jobs.sockets.chmod(0o755)
    status, log = jobs.ended("tell", ("hello",))
    assert status == 0
    assert str(jobs.sockets) in log
    assert jobs.hosts() == []


def test_a_path_too_long_for_a_socket_starts_no_host(jobs: Jobs) -> None:
    long = jobs.folder / ("long" * 25)
    long.mkdir()
    status, log = jobs.ended("tell", ("hello",), TMPDIR=str(long))
    assert status == 0
    assert "too long" in log
    assert not any(long.glob("*/*"))
