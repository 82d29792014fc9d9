"""What surrounds a measurement: log files, stale locks, fingerprints, memory, the user's functions."""

import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from small import ask, blobs, recipe, save

from batchscope.data.functions import FunctionError, load_function
from batchscope.identity.digests import file_sha256
from batchscope.jobs.job import Job, JobError
from batchscope.jobs.provenance import RecordError
from batchscope.tables import records

ROOT = Path(__file__).resolve().parents[2]


def run_logged(tmp_path, code):
    log = tmp_path / "job.log"
    script = f"from batchscope.jobs import logs\nlogs.redirect({str(log)!r})\n{code}\n"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""
    return done.returncode, log.read_text()


def test_everything_a_job_prints_is_in_its_log_also_what_c_code_writes(tmp_path):
    code = "import os; print('from Python', flush=True); os.write(2, b'from C\\n')"
    assert run_logged(tmp_path, code) == (0, "from Python\nfrom C\n")


def test_an_error_of_the_user_is_one_sentence_and_any_other_keeps_its_traceback(tmp_path):
    code = "from batchscope.data.splits import DataError\nraise DataError('flowers.csv has no column `kind`')"
    assert run_logged(tmp_path, code) == (1, "Error: flowers.csv has no column `kind`\n")
    status, log = run_logged(tmp_path, "1 / 0")
    assert status == 1
    assert "Traceback" in log
    assert "ZeroDivisionError" in log


def test_the_whole_log_of_a_failure_is_gone_once_the_job_runs_again(tmp_path):
    many_lines = "print('a line\\n' * 30, flush=True)\n"
    status, log = run_logged(tmp_path, many_lines + "1 / 0")
    assert (status, log.count("a line") < 30) == (1, True)
    assert (tmp_path / "job.log.whole").read_text().count("a line") == 30
    assert run_logged(tmp_path, many_lines)[0] == 0
    assert [file.name for file in tmp_path.iterdir()] == ["job.log"]


def test_the_last_words_of_a_job_on_a_full_disk_are_a_sentence_and_reach_the_terminal(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    script = (
        "import zipfile; from batchscope.jobs import logs\n"
        "logs.redirect('/dev/full')\n"
        "with zipfile.ZipFile(open('/dev/full', 'wb'), 'w') as archive: archive.writestr('a', b'x' * 99)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    limited = ["bash", "-c", 'ulimit -v 1000000 && exec "$0" -c "$1"', sys.executable, script]
    done = subprocess.run(limited, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr == "Error: the disk is full (No space left on device); make room on it and run again\n"


def test_a_log_that_cannot_be_opened_is_named(tmp_path):
    script = f"from batchscope.jobs import logs\nlogs.redirect({str(tmp_path / 'none' / 'job.log')!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"Error: {tmp_path}/none/job.log: No such file or directory\n")


def test_a_job_starts_without_what_keras_imports_and_no_job_uses(tmp_path):
    code = (
        "import sys; from batchscope.training import engines; engines.load('tensorflow'); "
        "print([name for name in ('sklearn', 'matplotlib', 'pandas') if name in sys.modules]); "
        "import sklearn.datasets; print('and can import it')"
    )
    status, log = run_logged(tmp_path, code)
    assert status == 0
    assert log.endswith("[]\nand can import it\n")


def clear_lock(folder):
    command = [sys.executable, ROOT / "tools/clear_stale_lock.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def locked(tmp_path):
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").write_text("x")
    return tmp_path


def test_the_lock_of_a_killed_run_is_removed(locked):
    done = clear_lock(locked)
    assert (done.returncode, list((locked / ".snakemake/locks").iterdir())) == (0, [])


def test_the_lock_of_a_running_snakemake_is_left_alone(locked):
    program = locked / "snakemake"
    program.write_text("import time; print('up', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, program], cwd=locked, stdout=subprocess.PIPE) as running:
        try:
            running.stdout.readline()
            done = clear_lock(locked)
            assert done.returncode == 1
            assert f"process {running.pid}" in done.stderr
            assert list((locked / ".snakemake/locks").iterdir())
        finally:
            running.kill()


def test_a_batch_larger_than_data_that_only_a_function_knows_is_one_sentence(tmp_path):
    with pytest.raises(JobError, match="batch size 64 is larger than the 60 training examples of blobs; valid is"):
        Job(save(blobs(), tmp_path / "data.npz"), ask(recipe(), "64", seed=1))


def test_a_damaged_data_set_is_set_aside_so_that_it_is_made_again(tmp_path):
    inputs = save(blobs(), tmp_path / "data.npz")
    (tmp_path / "data.npz").write_bytes(b"PK half a file")
    with pytest.raises(JobError, match=r"data\.npz\.damaged, and the next run makes it again"):
        Job(inputs, ask(recipe(), "8", seed=1))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.json", "data.npz.damaged"]


def test_another_data_set_in_the_place_of_the_one_asked_for_is_refused(tmp_path):
    inputs = save(blobs(), tmp_path / "data.npz")
    wanted = ask(recipe(), "8", seed=1)
    with pytest.raises(JobError, match=r"data\.npz was made from another definition"):
        Job(inputs, {**wanted, "sources": {"data": ["other"], "model": {}}})
    other = save(blobs(seed=1), tmp_path / "other.npz")
    with pytest.raises(JobError, match=r"data\.npz is not what was made"):
        Job({"data": inputs["data"], "facts": other["facts"]}, wanted)


def test_a_model_file_that_changes_while_the_study_runs_is_refused_at_start_and_end(tmp_path):
    inputs = save(blobs(), tmp_path / "data.npz")
    model = tmp_path / "model.py"
    model.write_text("first")
    wanted = ask(recipe(), "8", seed=1)
    wanted["sources"]["model"] = {str(model): file_sha256(model)}
    job = Job(inputs, wanted)
    model.write_text("second")
    for late in (lambda: Job(inputs, wanted), lambda: job.write({}, {"manifest": str(tmp_path / "m.json")})):
        with pytest.raises(RecordError, match=r"model\.py was changed after the study was started; run again"):
            late()
    assert not (tmp_path / "m.json").exists()


def test_a_namespace_package_without_its_parent_is_no_hindrance(tmp_path, monkeypatch):
    child, parent = types.ModuleType("parent_that_is_gone.child"), types.ModuleType("parent_that_is_gone")
    parent.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, parent.__name__, parent)
    child.__path__ = importlib._bootstrap_external._NamespacePath(child.__name__, [str(tmp_path)], lambda *_: None)
    monkeypatch.setitem(sys.modules, child.__name__, child)
    monkeypatch.delitem(sys.modules, parent.__name__)
    (tmp_path / "mine.py").write_text("def build():\n    return 3\n")
    with pytest.raises(KeyError):
        list(child.__path__)
    assert load_function(f"{tmp_path / 'mine.py'}:build")() == 3


def test_a_table_with_a_wrong_column_or_an_unexpected_null_is_refused(tmp_path):
    row = {"dataset": "d", "recipe": "r", "batch_size": 8, "full_batch": False}
    row |= {"window": 1, "updates": 2, "seconds": 1.0, "seconds_per_update": 0.5}
    records.write_table("windows", [row], tmp_path / "w.parquet")
    assert records.read_table("windows", tmp_path / "w.parquet").to_pylist() == [row]
    for wrong, sentence in (
        ({"extra": 1}, "unknown columns"),
        ({"seconds": None}, "null"),
        ({"updates": "two"}, "int64"),
    ):
        with pytest.raises(records.TableError, match=sentence):
            records.write_table("windows", [{**row, **wrong}], tmp_path / "wrong.parquet")
    with pytest.raises(records.TableError, match="does not hold the table evaluations"):
        records.read_table("evaluations", tmp_path / "w.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["w.parquet"]  # no half-written file is left


def test_functions_of_ones_own_may_use_dataclasses_and_modules_beside_them(tmp_path):
    (tmp_path / "beside_the_model.py").write_text("WIDTH = 5\n")
    (tmp_path / "own.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Size:\n    width: int\n"
        "def build():\n    from beside_the_model import WIDTH\n    return Size(WIDTH).width\n"
    )
    assert load_function(f"{tmp_path / 'own.py'}:build")() == 5
    with pytest.raises(FunctionError, match="defines no function other"):
        load_function(f"{tmp_path / 'own.py'}:other")
    (tmp_path / "broken.py").write_text("import keras_with_a_typo\n")
    with pytest.raises(FunctionError, match=r"importing .*broken.py failed with ModuleNotFoundError: No module named"):
        load_function(f"{tmp_path / 'broken.py'}:build")
    with pytest.raises(FunctionError, match="there is no Python file"):
        load_function(f"{tmp_path / 'none.py'}:build")
