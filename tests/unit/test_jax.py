"""The engine on JAX keeps what every engine keeps, and has the numbers of TensorFlow. Each has its own process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent

pytest.importorskip("jax")


def run(tmp_path, *command, **environment):
    paths = os.pathsep.join((str(HERE.parents[1] / "scripts"), str(HERE)))
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_keeps_what_every_engine_keeps(tmp_path):
    run(
        tmp_path,
        *("-m", "pytest", "-n0", "-p", "no:cacheprovider", "-q", f"--rootdir={HERE.parents[1]}"),
        *("-c", str(HERE.parents[1] / "pyproject.toml"), str(HERE / "test_engine_contract.py")),
        ENGINES="jax numpy",
    )


def test_it_has_the_numbers_of_the_engine_on_tensorflow(tmp_path):
    for engine in ("tensorflow", "jax"):
        run(tmp_path, str(HERE / "engine_numbers.py"), engine, f"{engine}.npz")
    ours, other = (np.load(tmp_path / f"{engine}.npz") for engine in ("jax", "tensorflow"))
    assert sorted(ours.files) == sorted(other.files)
    for name in ours.files:
        kind = name.rpartition("/")[2]
        if kind == "first":
            np.testing.assert_array_equal(ours[name], other[name], err_msg=name)
        else:
            np.testing.assert_allclose(ours[name], other[name], rtol=2e-4, atol=2e-5, err_msg=name)


def test_trials_of_one_size_share_what_is_compiled_and_keep_their_numbers(tmp_path):
    run(tmp_path, str(HERE / "jax_trials.py"))


ALLOCATOR = """
from batchscope.training import engines
engines.load("jax").configure("cpu", 1)
from jaxlib import xla_client
options = xla_client.generate_pjrt_gpu_plugin_options()
assert (options["memory_fraction"], options["preallocate"]) == (0.95, False), options
"""


def test_the_memory_of_a_gpu_may_be_used_to_its_end_and_is_not_taken_before(tmp_path):
    run(tmp_path, "-c", ALLOCATOR, XLA_PYTHON_CLIENT_MEM_FRACTION="0.1", XLA_PYTHON_CLIENT_PREALLOCATE="true")
