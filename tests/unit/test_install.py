"""The set-up, run as make runs it in small projects of its own, with a package that lies in a folder: no network."""

import base64
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchscope.jobs import machine

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.prefix) / "bin" / "uv"
NO_UV = f"uv==0.0 --hash=sha256:{'0' * 64}\n"


def wheel(folder, name, version, files):
    """Write a wheel and return its line in a lock."""
    info = f"{name}-{version}.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for file, text in files.items()
    ]
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (files | {f"{info}/RECORD": "\n".join([*rows, f"{info}/RECORD,,", ""])}).items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = (0o100755 if "/scripts/" in file else 0o100644) << 16
            archive.writestr(entry, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Project:
    """A project of two locks, a folder of packages, and a folder of programs that is the whole PATH."""

    def __init__(self, tmp_path, name="project"):
        self.folder, self.wheels, self.programs = tmp_path / name, tmp_path / "wheels", tmp_path / "programs"
        self.programs.mkdir()
        (self.folder / "tools").mkdir(parents=True)
        (self.folder / "requirements").mkdir()
        shutil.copy(ROOT / "tools" / "install.py", self.folder / "tools")
        self.variables = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("UV_", "PIP_", "SSL_", "ALL_PROXY"))
            },
            "PATH": str(self.programs),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        self.lock("run", wheel(self.wheels, "tiny", "1.0", {"tiny.py": "VALUE = 1\n"}))
        self.lock("uv", NO_UV)

    def lock(self, name, text):
        (self.folder / "requirements" / f"{name}.txt").write_text(text)

    def program(self, name, text):
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def real_uv(self):
        self.program("uv", f'echo "$@" >> "{self.programs}/calls"\nexec "{UV}" "$@"')

    def install(self, name="run", **variables):
        return subprocess.run(
            [sys.executable, "tools/install.py", f"requirements/{name}.txt"],
            cwd=self.folder,
            env=self.variables | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def value(self):
        """What the package of the environment holds."""
        command = [self.folder / ".venv/bin/python", "-c", "import tiny; print(tiny.VALUE)"]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.mark.parametrize("name", ["my dir", "a{b}c", "it's", "a;b", "$HOME"])
def test_a_path_that_snakemake_cannot_bear_is_refused_before_anything_is_installed(tmp_path, name):
    project = Project(tmp_path, name)
    project.program("uv", f'echo > "{tmp_path}/called"')
    done = project.install()
    assert done.returncode == 1
    assert str(project.folder) in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(file.name for file in project.folder.iterdir()) == ["requirements", "tools"]
    assert not (tmp_path / "called").exists()


def test_a_path_that_the_workflow_refuses_is_refused_by_the_set_up():
    workflow, set_up = (
        re.search(r're\.search\(r"""(.+?)""", (?:sys|str)', (ROOT / file).read_text())[1]
        for file in ("rules/place.smk", "tools/install.py")
    )
    signs = [chr(code) for code in range(1, 256)]
    refused = {sign for sign in signs if re.search(workflow, sign)}
    assert " " in refused
    assert refused <= {sign for sign in signs if re.search(set_up, sign)}


def test_signs_that_a_shell_takes_as_they_are_may_be_in_the_path(tmp_path):
    project = Project(tmp_path, "Müller-2.0_a+b@c,d=e")
    project.real_uv()
    assert project.install().returncode == 0
    assert project.value() == 1


def test_uv_installs_what_the_lock_holds_and_once_only(project):
    project.real_uv()
    done = project.install()
    assert (done.returncode, done.stderr) == (0, "")
    assert project.value() == 1
    assert list(project.folder.glob(".venv/lib/*/site-packages/__pycache__/tiny.*.pyc"))
    os.utime(project.folder / "requirements" / "run.txt")  # a newer time stamp is no new content
    project.program("uv", "exit 1")
    again = project.install()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_of_two_set_ups_at_once_the_second_waits_for_the_first(project):
    project.program("uv", f'echo "$1" >> "{project.programs}/calls"\n/bin/sleep 1\nexec "{UV}" "$@"')
    with ThreadPoolExecutor() as threads:
        done = list(threads.map(lambda _: project.install(), range(2)))
    assert [(each.returncode, each.stderr) for each in done] == [(0, ""), (0, "")]
    assert project.value() == 1
    waited, installed = sorted((each.stdout.splitlines() for each in done), key=len)
    assert len(waited) == 1
    assert "waits" in waited[0]
    assert len(installed) == 2
    assert (project.programs / "calls").read_text().split() == ["--version", "venv", "pip"]


def test_a_lock_file_that_was_left_behind_keeps_no_set_up_waiting(project):
    project.real_uv()
    (project.folder / ".tools").mkdir()
    (project.folder / ".tools" / "set-up.lock").touch()
    assert "waits" not in project.install().stdout
    assert project.value() == 1


def test_another_content_of_the_lock_is_installed_there_and_back(project):
    project.real_uv()
    one = (project.folder / "requirements/run.txt").read_text()
    two = wheel(project.wheels, "tiny", "2.0", {"tiny.py": "VALUE = 22\n"})
    for text, value in ((one, 1), (two, 22), (one, 1)):
        project.lock("run", text)
        assert project.install().returncode == 0
        assert project.value() == value


def test_a_larger_lock_of_another_day_is_installed_again(project):
    project.real_uv()
    one, two = (wheel(project.wheels, "tiny", f"{n}.0", {"tiny.py": f"VALUE = {n}\n"}) for n in (1, 22))
    more = wheel(project.wheels, "more", "1.0", {"more.py": ""})
    for name, tiny, value in (("develop", one, 1), ("run", two, 22), ("develop", one, 1)):
        project.lock("run", tiny)
        project.lock("develop", tiny + more)
        assert project.install(name).returncode == 0
        assert project.value() == value


def test_a_wrong_hash_is_refused_by_uv_and_by_pip(project):
    project.real_uv()
    project.lock("run", f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    done = project.install()
    assert done.returncode == 1
    assert "requirements/run.txt" in done.stderr.splitlines()[-1]
    with pytest.raises(subprocess.CalledProcessError):
        project.value()
    assert not json.loads((project.folder / ".venv" / "batchscope.json").read_text())["locks"]


@pytest.mark.parametrize("damage", ["unfinished", "record cut off", "does not start", "empty"])
def test_a_half_made_environment_is_made_again(project, damage):
    project.real_uv()
    env = project.folder / ".venv"
    if damage in ("does not start", "empty"):
        (env / "bin").mkdir(parents=True)
    if damage == "does not start":
        (env / "bin" / "python").symlink_to(project.folder / "no-python-here")
    if damage in ("unfinished", "record cut off"):
        assert project.install().returncode == 0
        text = json.dumps({"folder": str(project.folder), "locks": [], "unfinished": True})
        (env / "batchscope.json").write_text(text if damage == "unfinished" else text[:20])
    (env / "leftover").touch()
    assert project.install().returncode == 0
    assert project.value() == 1
    assert not (env / "leftover").exists()


def test_an_environment_in_a_folder_that_was_moved_is_made_again(project, tmp_path):
    project.real_uv()
    assert project.install().returncode == 0
    project.folder = project.folder.rename(tmp_path / "moved")
    assert project.install().returncode == 0
    activate = (project.folder / ".venv" / "bin" / "activate").read_text()
    assert str(tmp_path / "moved") in activate
    assert str(tmp_path / "project") not in activate


def test_an_environment_of_the_user_is_kept(project):
    project.real_uv()
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, project.folder / ".venv"], check=True)
    (project.folder / ".venv" / "mine").touch()
    assert project.install().returncode == 0
    assert project.value() == 1
    assert (project.folder / ".venv" / "mine").exists()


def test_pip_installs_where_uv_cannot_be_had(project):
    done = project.install()
    assert (done.returncode, done.stderr) == (0, "")
    assert project.value() == 1


def test_pip_installs_where_uv_fails(project):
    project.program("uv", f'[ "$1" = pip ] && exit 2\nexec "{UV}" "$@"')
    assert project.install().returncode == 0
    assert project.value() == 1


def test_uv_is_fetched_by_pip_with_its_hash_into_the_project(project):
    script = {"uv-7.0.data/scripts/uv": f'#!/bin/sh\necho > "{project.programs}/fetched"\nexec "{UV}" "$@"\n'}
    project.lock("uv", wheel(project.wheels, "uv", "7.0", script))
    assert project.install().returncode == 0
    assert project.value() == 1
    assert (project.folder / ".tools" / "uv-7.0" / "bin" / "uv").exists()
    assert (project.programs / "fetched").exists()


def test_uv_with_another_hash_is_not_run(project):
    script = {"uv-7.0.data/scripts/uv": f'#!/bin/sh\necho > "{project.programs}/fetched"\nexit 1\n'}
    wheel(project.wheels, "uv", "7.0", script)
    project.lock("uv", f"uv==7.0 --hash=sha256:{'0' * 64}\n")
    assert project.install().returncode == 0
    assert project.value() == 1
    assert not (project.programs / "fetched").exists()


@pytest.fixture
def seen_by_uv(project, tmp_path):
    """Runs the set-up with a configuration of pip, and returns the variables that uv gets."""

    def run(config, **variables):
        seen = project.programs / "seen"
        project.program("uv", f'[ "$1" = pip ] && exec /usr/bin/env > "{seen}"\nexec "{UV}" "$@"')
        (tmp_path / "pip.conf").write_text(config)
        project.install(**{"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_FIND_LINKS": "", **variables})
        return dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)

    return run


def test_the_index_of_pip_is_handed_on(seen_by_uv):
    seen = seen_by_uv(
        "[global]\nindex-url = https://127.0.0.1:9/simple\nfind-links =\n  /first\n  /second\n"
        "[install]\nextra-index-url = https://127.0.0.1:9/a https://127.0.0.1:9/b\ntrusted-host = 127.0.0.1\n",
        PIP_CERT="/some/ca.pem",
    )
    assert seen["UV_DEFAULT_INDEX"] == "https://127.0.0.1:9/simple"
    assert seen["UV_INDEX"] == "https://127.0.0.1:9/a https://127.0.0.1:9/b"
    assert seen["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert seen["UV_FIND_LINKS"] == "/first,/second"
    assert seen["UV_INSECURE_HOST"] == "127.0.0.1"
    assert seen["SSL_CERT_FILE"] == "/some/ca.pem"


def test_a_variable_of_pip_wins_over_its_file(seen_by_uv):
    seen = seen_by_uv("[global]\nindex-url = https://127.0.0.1:9/file\n", PIP_INDEX_URL="https://127.0.0.1:9/variable")
    assert seen["UV_DEFAULT_INDEX"] == "https://127.0.0.1:9/variable"


def test_an_index_of_uv_is_left_as_it_is(seen_by_uv):
    config = "[global]\nindex-url = https://127.0.0.1:9/pip\nextra-index-url = https://127.0.0.1:9/more\n"
    seen = seen_by_uv(config, UV_INDEX_URL="https://127.0.0.1:9/uv")
    assert seen["UV_INDEX_URL"] == "https://127.0.0.1:9/uv"
    assert not {"UV_DEFAULT_INDEX", "UV_INDEX"} & seen.keys()


def test_a_missing_home_is_replaced_by_a_folder_of_the_project(project, seen_by_uv, tmp_path):
    seen = seen_by_uv("", HOME=str(tmp_path / "nowhere"))
    own = [seen[name] for name in ("UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR", "PIP_CACHE_DIR")]
    assert all(folder.startswith(str(project.folder / ".tools")) for folder in own)
    assert not (tmp_path / "nowhere").exists()


@pytest.fixture
def without_python(project, monkeypatch):
    """The set-up as a module, on a machine none of whose Pythons is supported."""
    spec = importlib.util.spec_from_file_location("install_under_test", project.folder / "tools" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SUPPORTED", "raise SystemExit(1)")
    monkeypatch.setenv("PATH", str(project.programs))
    monkeypatch.chdir(project.folder)
    return module


def test_a_python_that_is_not_there_is_fetched_by_uv(project, without_python):
    project.program("uv", f'echo "$@" >> "{project.programs}/calls"')
    without_python.make_environment(str(project.programs / "uv"), dict.fromkeys(("index-url",), ""))
    assert "--python >=3.11,<3.14" in (project.programs / "calls").read_text()


@pytest.mark.parametrize("uv", ["fails", None])
def test_a_python_that_cannot_be_had_is_named_in_one_sentence(project, without_python, uv):
    project.program("uv", "exit 1")
    with pytest.raises(SystemExit, match=r"3\.11, 3\.12 or 3\.13"):
        without_python.make_environment(uv and str(project.programs / "uv"), {})


def test_an_environment_with_another_python_is_refused_and_kept(project, without_python):
    (project.folder / ".venv").mkdir()
    with pytest.raises(SystemExit, match="make clean"):
        without_python.make_environment(None, {})
    assert (project.folder / ".venv").is_dir()


def make(*arguments):
    """What make would run."""
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_make_report_takes_what_the_process_may_use_or_what_the_user_says():
    assert "--cores $(python tools/machine.py cores)" in make("report")
    assert "mem_mb=$(python tools/machine.py memory)" in make("report")
    said = make("report", "CORES=3", "MEMORY=500", "STUDY=mine/a.yaml")
    assert "--cores 3 " in said
    assert '"mem_mb=500"' in said
    assert "study=mine/a.yaml" in said


def test_make_report_for_a_gpu_installs_its_lock_and_asks_for_it():
    gpu, cpu = make("report", "DEVICE=gpu"), make("report")
    assert all(text in gpu and text not in cpu for text in ("requirements/gpu.txt", "device=gpu", " gpu=1 "))
    assert "requirements/run.txt" in cpu


@pytest.mark.parametrize(("device", "lock"), [("auto", "jax.txt"), ("gpu", "jax-gpu.txt")])
def test_make_report_on_jax_installs_it_and_trains_with_it(device, lock):
    said = make("report", "ENGINE=jax", f"DEVICE={device}")
    assert f"requirements/{lock}" in said
    assert "engine=jax" in said


def test_the_cores_and_the_memory_that_make_uses_are_those_of_this_process():
    def told(what):
        command = [sys.executable, ROOT / "tools" / "machine.py", what]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    assert told("cores") == machine.usable_cores()
    assert told("memory") == machine.memory_bytes() // 1_000_000
