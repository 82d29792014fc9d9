"""Functions of the user's own and what their files import."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from batchscope.data import functions
from batchscope.data.functions import FunctionError, load_function

ROOT = Path(__file__).resolve().parents[2]


def test_modules_of_other_folders_and_of_libraries_stay_imported(tmp_path, monkeypatch):
    monkeypatch.setattr(functions, "_LIBRARIES", {tmp_path / "lib"})
    for folder in ("lib", "near"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}_helper.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path / folder)
    (tmp_path / "own.py").write_text("import numpy, near_helper, lib_helper\ndef build():\n    return near_helper\n")
    first = load_function(f"{tmp_path / 'own.py'}:build")()
    library = sys.modules["lib_helper"]
    second = load_function(f"{tmp_path / 'own.py'}:build")()
    assert first is not second
    assert sys.modules["lib_helper"] is library
    assert sys.modules["numpy"] is np


def test_libraries_of_an_environment_that_is_linked_into_the_folder_stay_imported(tmp_path, monkeypatch):
    library, folder = tmp_path / "kept/lib", tmp_path / "study"
    for place in (library, folder):
        place.mkdir(parents=True)
    (library / "linked_library.py").write_text("")
    (folder / "environment").symlink_to(tmp_path / "kept")
    monkeypatch.setattr(functions, "_LIBRARIES", {library})
    monkeypatch.syspath_prepend(folder / "environment/lib")
    (folder / "own.py").write_text("import linked_library\ndef build():\n    return linked_library\n")
    first, second = (load_function(f"{folder / 'own.py'}:build")() for _ in range(2))
    assert first is second


def imported(folder, code):
    """What `code` prints in a process whose path starts with the workflow's scripts, as a job's does."""
    start = f"import sys\nsys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
    start += "from batchscope.data.functions import load_function\n"
    done = subprocess.run([sys.executable, "-c", start + code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["train", "probe", "describe", "utils", "time_cell"])
def test_a_module_beside_the_file_is_found_before_the_workflows_script_of_that_name(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("WHERE = 'beside'\n")
    (tmp_path / "own.py").write_text(
        f"import {name}\ndef build():\n    import batchscope.training.plans\n    return {name}.WHERE\n"
    )
    assert imported(tmp_path, "print(load_function('own.py:build')())") == "beside\n"


def test_the_library_finds_its_own_modules_after_the_scripts_left_the_path(tmp_path):
    (tmp_path / "own.py").write_text("def build():\n    return 1\n")
    code = "load_function('own.py:build')\nimport batchscope.training.tuning\n"
    code += "print([path for path in sys.path if path.endswith('scripts')])"
    assert imported(tmp_path, code) == "[]\n"


@pytest.mark.parametrize("beside", ["numpy.py", "numpy/__init__.py"])
def test_a_file_beside_that_has_the_name_of_a_library_is_refused_where_it_is_imported(tmp_path, beside):
    (tmp_path / beside).parent.mkdir(exist_ok=True)
    (tmp_path / beside).write_text("pi = 3\n")
    (tmp_path / "uses_it.py").write_text("def build():\n    import numpy\n    return numpy.pi\n")
    with pytest.raises(FunctionError, match=f"uses_it.py imports numpy, which is a library.* lies {beside};"):
        load_function(f"{tmp_path / 'uses_it.py'}:build")
    (tmp_path / "does_not.py").write_text("def build():\n    return 4\n")
    assert load_function(f"{tmp_path / 'does_not.py'}:build")() == 4


def test_a_file_beside_with_the_name_of_a_library_is_refused_where_a_module_beside_imports_it(tmp_path):
    (tmp_path / "own.py").write_text("import net\ndef build():\n    return net.queue\n")
    (tmp_path / "net.py").write_text("import queue\n")
    (tmp_path / "queue.py").write_text("")
    with pytest.raises(FunctionError, match=r"own\.py:build: .*net\.py imports queue, which is a library.* queue\.py;"):
        load_function(f"{tmp_path / 'own.py'}:build")


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"# -*- coding: latin-1 -*-\n"], ids=["mark", "coding line"])
def test_a_file_in_another_encoding_is_python(tmp_path, start):
    letter = "é".encode("latin-1" if b"latin" in start else "utf-8")
    (tmp_path / "encoded.py").write_bytes(start + b"def build():\n    return '" + letter + b"'\n")
    assert load_function(f"{tmp_path / 'encoded.py'}:build")() == "é"


def test_libraries_that_were_installed_into_the_folder_stay_imported(tmp_path, monkeypatch):
    (tmp_path / "lib/target_library-1.dist-info").mkdir(parents=True)
    (tmp_path / "lib/target_library.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "lib")
    (tmp_path / "own.py").write_text("import target_library\ndef build():\n    return target_library\n")
    first, second = (load_function(f"{tmp_path / 'own.py'}:build")() for _ in range(2))
    assert first is second
