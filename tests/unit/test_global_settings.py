"""Settings of the machine and of the user that Keras reads: the engine decides and records them, and needs no home."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchscope.training import engines
from batchscope.training.engines.keras import environment

ROOT = Path(__file__).resolve().parents[2]

LOOK = """
import json, sys
from batchscope.training import engines
engine = engines.load("tensorflow")
from batchscope.training.engines.keras import models
from batchscope.training.engines.tensorflow.settings import BACKEND
settings = engine.configure("cpu", 1)
import keras
cnn = {"name": "cnn", "filters": [4, 8], "kernel_size": 3, "dense": 16, "activation": "relu", "dropout": 0.0}
model = models.build(BACKEND, {"model": {**cnn, "normalization": "none"}}, (6, 8, 1), 3, 0)
home = keras.utils.get_file(origin="file://" + sys.argv[1]) if len(sys.argv) > 1 else None
print(json.dumps([settings, model.count_params(), str(model.variables[0].dtype), home]))
"""
# Two convolutions of 3 × 3 (1 to 4 and 4 to 8 channels), each halving height and width rounded up: 2 × 2 × 8 = 32.
WEIGHTS = (9 * 4 + 4) + (9 * 4 * 8 + 8) + (32 * 16 + 16) + (16 * 3 + 3)


def look(home, *arguments, **variables):
    """What a job sees of Keras with this home; it must not fail."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KERAS", "HOME", "TF_"))}
    given = {**kept, "PYTHONPATH": str(ROOT / "scripts"), "HOME": str(home), **variables}
    command = [sys.executable, "-c", LOOK, *map(str, arguments)]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check(settings, weights, dtype):
    """The network is the one that the recipe says, whatever Keras was told."""
    assert (weights, dtype) == (WEIGHTS, "float32")
    expected = {"backend": "tensorflow", "floatx": "float32", "dtype_policy": "float32", "epsilon": 1e-7}
    expected |= {"image_data_format": "channels_last", "max_epochs": None, "max_steps_per_epoch": None}
    assert settings.items() >= expected.items()


def test_the_environment_does_not_change_the_network(tmp_path):
    check(*look(tmp_path, KERAS_BACKEND="no-such", KERAS_MAX_EPOCHS="many", TF_USE_LEGACY_KERAS="1")[:3])
    assert not (tmp_path / ".keras").exists()  # Keras makes it where it may


HOSTILE = {
    "HOME": (
        {"image_data_format": "channels_first", "floatx": "float64", "epsilon": 0.1, "backend": "jax"},
        {"KERAS_MAX_STEPS_PER_EPOCH": "1"},
    ),
    "KERAS_HOME": ({"floatx": "float8"}, {"KERAS_BACKEND": "jax", "KERAS_NNX_ENABLED": "true"}),
}


@pytest.mark.parametrize("named", HOSTILE)
def test_a_hostile_keras_json_stays_without_effect_and_downloads_of_a_users_model_go_to_its_folder(tmp_path, named):
    content, variables = HOSTILE[named]
    folder = tmp_path / {"HOME": ".keras", "KERAS_HOME": "mine"}[named]
    folder.mkdir()
    (folder / "keras.json").write_text(json.dumps(content))
    (tmp_path / "weights.bin").write_text("w")
    own = {"KERAS_HOME": str(folder)} if named == "KERAS_HOME" else {}
    *seen, found = look(tmp_path, tmp_path / "weights.bin", **variables, **own)
    check(*seen)
    assert json.loads((folder / "keras.json").read_text()) == content
    assert Path(found).is_relative_to(folder)
    assert Path(found).read_text() == "w"


@pytest.mark.parametrize("home", ["missing/home", "file/home"])
def test_a_home_that_is_not_there_is_not_needed(tmp_path, home):
    (tmp_path / "file").write_text("")
    assert look(tmp_path / home)[1] == WEIGHTS
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_engine_records_what_it_decided(engine):
    from batchscope.training.engines.tensorflow import settings

    assert settings._current() == settings._DECIDED


@pytest.mark.parametrize("name", engines.names())
def test_what_is_known_of_an_engine_beforehand_needs_neither_a_framework_nor_numpy(name):
    code = (
        f"import sys; from batchscope.training import engines; about = engines.about({name!r}); "
        "assert 'NPY_ENABLE_CPU_FEATURES' in about.environment and 'numpy' in about.packages; "
        "print({'numpy', 'keras', 'tensorflow'} & set(sys.modules))"
    )
    given = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr


@pytest.mark.parametrize("name", engines.names())
def test_each_variable_is_left_and_recorded_or_decided_and_never_both(name):
    about = engines.about(name)
    assert list(about.environment) == sorted(set(about.environment))
    assert not set(about.environment) & {*about.decided, *environment._WITHOUT}
