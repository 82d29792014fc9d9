"""The engine on JAX keeps what every engine keeps, and has the numbers of TensorFlow. Each has its own process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from engine_numbers import numbers

from batchscope.jobs import machine

HERE = Path(__file__).resolve().parent
KEPT = HERE.parents[1] / ".cache" / "jax-of-tests"  # programs, which are compiled again only where they are others

pytest.importorskip("jax")


@pytest.fixture
def known(tmp_path):
    """The folder of a test whose programs are kept for the next run of the tests."""
    KEPT.mkdir(parents=True, exist_ok=True)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "jax").symlink_to(KEPT)
    return tmp_path


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
    return done.stdout


def test_it_keeps_what_every_engine_keeps(known):
    run(
        known,
        *("-m", "pytest", "-n0", "-p", "no:cacheprovider", "-q", f"--rootdir={HERE.parents[1]}"),
        *("-c", str(HERE.parents[1] / "pyproject.toml"), str(HERE / "test_engine_contract.py")),
        ENGINES="jax numpy",
    )


def test_it_has_the_numbers_of_the_engine_on_tensorflow(known):
    run(known, str(HERE / "engine_numbers.py"), "jax.npz")
    ours, other = np.load(known / "jax.npz"), numbers("tensorflow")
    assert sorted(ours.files) == sorted(other)
    for name in ours.files:
        kind = name.rpartition("/")[2]
        if kind == "first":
            np.testing.assert_array_equal(ours[name], other[name], err_msg=name)
        else:
            np.testing.assert_allclose(ours[name], other[name], rtol=2e-4, atol=2e-5, err_msg=name)


def test_trials_of_one_size_share_what_is_compiled_and_keep_their_numbers(known):
    run(known, str(HERE / "jax_trials.py"))


@pytest.mark.long
def test_trials_at_once_have_the_records_of_trials_in_turn(known):
    run(known, str(HERE / "jax_together.py"))


def test_a_damaged_program_in_the_cache_is_told_of_removed_and_made_again(tmp_path):
    run(tmp_path, str(HERE / "jax_cache.py"))


@pytest.mark.skipif(machine.may_have_gpu(), reason="what is said of a GPU that is there stays")
@pytest.mark.parametrize("engine", ["tensorflow", "jax"])
def test_the_log_of_a_job_says_nothing_of_accelerators_that_are_not_there(engine, tmp_path):
    assert run(tmp_path, str(HERE / "engine_notices.py"), engine) == "to be kept\n"


def test_it_takes_over_no_array_of_others_has_the_zeros_of_jax_and_may_use_all_memory_of_a_gpu(tmp_path):
    memory = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.1", "XLA_PYTHON_CLIENT_PREALLOCATE": "true"}
    run(tmp_path, str(HERE / "jax_state.py"), **memory)
