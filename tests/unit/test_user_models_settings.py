"""Models of the user's own and how Keras and TensorFlow compute: no file changes a setting for anybody else."""

from pathlib import Path

import numpy as np
import pytest
from own_models import DENSE, built, own
from small import blobs

from batchscope.data.functions import FunctionError
from batchscope.training.engines.keras.framework import keras
from batchscope.training.engines.keras.trainer import EXAMPLES_TRIED
from batchscope.training.engines.tensorflow import settings

SETTINGS = {
    "dtype_policy to mixed_float16; valid is to leave it at float32": "keras.config.set_dtype_policy('mixed_float16')",
    "floatx to float64": "keras.config.set_floatx('float64')",
    "image_data_format to channels_first": "keras.config.set_image_data_format('channels_first')",
    "epsilon to 0.1": "keras.config.set_epsilon(0.1)",
    "max_epochs to 1": "keras.config.set_max_epochs(1)",
    "tensor_float_32 to True": "tf.config.experimental.enable_tensor_float_32_execution(True)",
    "run_functions_eagerly to True": "tf.config.run_functions_eagerly(True)",
    "jit to True": "tf.config.optimizer.set_jit(True)",
    "eager_execution to False": "tf.compat.v1.disable_eager_execution()",
    "debugging to True": "tf.debugging.enable_check_numerics()",
    "deterministic_operations to False": "config.disable_op_determinism()",
    "constant_folding to False; valid is to leave it at its default": (
        "tf.config.optimizer.set_experimental_options({'constant_folding': False})"
    ),
    "auto_mixed_precision to True": "tf.config.optimizer.set_experimental_options({'auto_mixed_precision': True})",
}


@pytest.mark.parametrize("place", ["import", "build"])
@pytest.mark.parametrize(("says", "statement"), SETTINGS.items(), ids=[says.split()[0] for says in SETTINGS])
def test_a_setting_that_the_users_file_changes_is_named_and_put_back(engine, tmp_path, says, statement, place):
    at_import, within = (statement, "pass") if place == "import" else ("", statement)
    start = f"from tensorflow.python.framework import config\n{at_import}"
    made = own(tmp_path, f"{start}\ndef build(shape, classes):\n    {within}\n{DENSE}")
    before = settings._current()
    for _ in range(2):  # it was put back
        with pytest.raises(FunctionError, match=rf"own_model\.py:build sets {says}"):
            built(engine, made)
        assert settings._current() == before


@pytest.mark.parametrize("examples", [2, EXAMPLES_TRIED, EXAMPLES_TRIED // 2])
def test_a_setting_that_a_call_of_the_model_changes_is_named(engine, tmp_path, examples):
    body = f"""
        class Changing(layers.Layer):
            def call(self, x):
                if x.shape[0] == {examples}:
                    keras.config.set_epsilon(0.1)
                return x

        def build(shape, classes):
            return keras.Sequential([layers.Input(shape), Changing(), layers.Dense(classes)])
        """
    with pytest.raises(FunctionError, match=r"own_model\.py:build sets epsilon to 0.1"):
        built(engine, own(tmp_path, body))
    assert keras.config.epsilon() == 1e-7


STARTED = {
    "Intra op parallelism": "tf.config.threading.set_intra_op_parallelism_threads(7)",
    "Visible devices": "tf.config.set_visible_devices([], 'CPU')",
}


@pytest.mark.parametrize(("says", "statement"), STARTED.items(), ids=["threads", "devices"])
def test_threads_and_devices_can_no_longer_change(engine, tmp_path, says, statement):
    with pytest.raises(FunctionError, match=rf"own_model\.py failed with RuntimeError: {says} cannot be modified"):
        built(engine, own(tmp_path, f"{statement}\ndef build(shape, classes):\n{DENSE}"))


DTYPES = {
    "gives the layer \\w+ the dtype mixed_float16": "layers.Dense(8, dtype='mixed_float16'), layers.Dense(classes)",
    "gives the layer \\w+ the dtype float64": "layers.Dense(8, dtype='float64'), layers.Dense(classes)",
    "outputs are bfloat16": "layers.Dense(classes, dtype='bfloat16')",
}


@pytest.mark.parametrize(("says", "stack"), DTYPES.items(), ids=["mixed", "float64", "head"])
def test_a_layer_in_another_precision_is_refused(engine, tmp_path, says, stack):
    body = f"def build(shape, classes):\n    return keras.Sequential([layers.Input(shape), {stack}])"
    with pytest.raises(FunctionError, match=says):
        built(engine, own(tmp_path, body))


def test_a_layer_that_insists_on_single_precision_trains_and_the_probe_in_double_says_why_not(engine, tmp_path):
    body = """
        def build(shape, classes):
            return keras.Sequential([layers.Input(shape), layers.Dense(classes, dtype="float32")])
        """
    made, data = own(tmp_path, body), blobs()
    weights = built(engine, made).get_weights()
    with pytest.raises(FunctionError, match="float32; valid is"):
        engine.freeze(made, (data.x_train, data.y_train), 3, weights, "float64", 7)


def test_the_working_folder_and_numpys_errors_stay_as_they_are(engine, tmp_path):
    made = own(tmp_path, f"import os\nos.chdir('/')\nnp.seterr(all='raise')\ndef build(shape, classes):\n{DENSE}")
    before = Path.cwd(), np.geterr()
    built(engine, made)
    assert (Path.cwd(), np.geterr()) == before
