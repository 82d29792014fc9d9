"""Cores and memory that a process may use, read from made-up trees of /proc and /sys."""

import os

import pytest

from batchscope.jobs import machine

GIB = 2**30
VERSION_2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
VERSION_1 = (
    "30 23 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "31 30 0:28 {shown} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "32 30 0:29 {shown} /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory\n"
)


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)


@pytest.fixture
def tree(tmp_path):
    """Writes files below a root, which has 8 GiB of memory."""

    def write(files):
        for name, text in {"proc/meminfo": "MemTotal:        8388608 kB\nMemFree: 1 kB\n", **files}.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return write


def version_2(path, **limits):
    groups = {f"sys/fs/cgroup/{name.replace('__', '/').replace('_', '.')}": text for name, text in limits.items()}
    return {"proc/self/cgroup": f"0::{path}\n", "proc/self/mountinfo": VERSION_2, **groups}


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("50000 100000", 1), ("150000 100000", 1), ("250000 100000", 2), ("1600000 100000", 4), ("max 100000", 4)],
)
def test_a_quota_of_version_2_counts_in_whole_cores_and_at_least_one(tree, quota, cores):
    assert machine.usable_cores(tree(version_2("/", cpu_max=quota))) == cores


def test_a_limit_of_a_group_above_counts(tree):
    root = tree(
        version_2(
            "/slice/job",
            slice__cpu_max="200000 100000",
            slice__job__cpu_max="max 100000",
            slice__memory_max="max",
            slice__job__memory_max=f"{3 * GIB}\n",
            other__memory_max="1",
        )
    )
    assert (machine.usable_cores(root), machine.memory_bytes(root)) == (2, 3 * GIB)


@pytest.mark.parametrize("shown", ["/", "/docker/a1"])  # the whole tree, and a container that sees its own group only
def test_quota_and_memory_of_version_1(tree, shown):
    group = "docker/a1/" if shown == "/" else ""
    root = tree(
        {
            "proc/self/cgroup": "5:memory:/docker/a1\n4:cpu,cpuacct:/docker/a1\n1:name=systemd:/docker/a1\n",
            "proc/self/mountinfo": VERSION_1.format(shown=shown),
            f"sys/fs/cgroup/cpu,cpuacct/{group}cpu.cfs_quota_us": "300000\n",
            f"sys/fs/cgroup/cpu,cpuacct/{group}cpu.cfs_period_us": "100000\n",
            f"sys/fs/cgroup/memory/{group}memory.limit_in_bytes": f"{2 * GIB}\n",
        }
    )
    assert (machine.usable_cores(root), machine.memory_bytes(root)) == (3, 2 * GIB)


def test_no_limit_of_version_1_leaves_the_machine(tree):
    root = tree(
        {
            "proc/self/cgroup": "5:memory:/\n4:cpu,cpuacct:/\n",
            "proc/self/mountinfo": VERSION_1.format(shown="/"),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        }
    )
    assert (machine.usable_cores(root), machine.memory_bytes(root)) == (4, 8 * GIB)


def test_a_system_without_control_groups_is_the_limit_itself(tree):
    assert (machine.usable_cores(tree({})), machine.memory_bytes(tree({}))) == (4, 8 * GIB)


def test_a_system_without_proc_tells_its_memory_otherwise(tmp_path):
    assert machine.memory_bytes(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        ({}, (False, False)),
        ({"proc/driver/nvidia/gpus/0000:01:00.0/information": ""}, (True, True)),
        ({"dev/nvidia0": ""}, (True, True)),  # a container that has the device alone
        ({"dev/nvidiactl": "", "dev/nvidia-uvm": ""}, (False, False)),  # the driver, and no card for it
        ({"dev/dxg": ""}, (False, True)),
    ],
)
def test_a_card_is_seen_where_the_driver_or_its_device_shows_one(tree, files, shown):
    root = tree(files)
    assert (machine.has_nvidia_driver(root), machine.may_have_gpu(root)) == shown
