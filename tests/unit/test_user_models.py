"""Models of the user's own: what seeds, what they return, what they import, and what the probes make of them."""

import contextlib
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from small import blobs, recipe

from batchscope.data import functions
from batchscope.data.functions import FunctionError, load_function
from batchscope.probes.modes.measure import evaluation_modes
from batchscope.training import engines
from batchscope.training import loop as training
from batchscope.training.engines.keras.framework import keras
from batchscope.training.engines.tensorflow import settings
from batchscope.training.engines.tensorflow.engine import EXAMPLES_TRIED
from batchscope.training.plans import Plan

ROOT = Path(__file__).resolve().parents[2]
HEAD = "import keras, random, time\nimport numpy as np\nimport tensorflow as tf\nfrom keras import layers, ops\n"
DENSE = "    return keras.Sequential([layers.Input(shape), layers.Dense(8, 'relu'), layers.Dense(classes)])\n"


def own(tmp_path, body, name="own_model.py", outputs="logits", **changes):
    """A recipe whose model is `build(shape, classes)` of a file with `body`."""
    (tmp_path / name).write_text(HEAD + textwrap.dedent(body))
    made = recipe(**{"budget": {"epochs": 1}, **changes})
    return {**made, "model": {"function": f"{tmp_path / name}:build", "arguments": {}, "outputs": outputs}}


def built(engine, made, seed=1, data=None):
    return engine.build(Plan(made, 16, seed, "fused"), data or blobs())


def train(engine, made, *, seed=1, loop="fused", data=None):
    return training.train(engine, data or blobs(), Plan(made, 16, seed, loop), step_records=1000)


def losses(result):
    return np.array([row["loss"] for row in result.steps])


def tokens():
    """Examples of four whole numbers from 0 to 9."""
    data = blobs()
    for part in (data.x_train, data.x_validation, data.x_test):
        part[:] = np.abs(np.round(3 * part)) % 10
    return data


# What seeds

SEEDING = {
    "keras": "keras.utils.set_random_seed(42)",
    "python": "random.seed(42)",
    "numpy": "np.random.seed(42)",
    "tensorflow": "tf.random.set_seed(42)",
}


@pytest.mark.parametrize("seeding", SEEDING.values(), ids=SEEDING)
def test_a_file_that_seeds_when_it_is_imported_changes_nothing(engine, tmp_path, seeding):
    plain = own(tmp_path, f"def build(shape, classes):\n{DENSE}", "plain.py")
    seeded = own(tmp_path, f"{seeding}\ndef build(shape, classes):\n{DENSE}", "seeded.py")
    for seed in (1, 2):
        expected = engine.get_weights(built(engine, plain, seed))
        for array, found in zip(expected, engine.get_weights(built(engine, seeded, seed)), strict=True):
            np.testing.assert_array_equal(array, found)


FIXED = {
    "keras": f"def build(shape, classes):\n    keras.utils.set_random_seed(42)\n{DENSE}",
    "python": f"def build(shape, classes):\n    random.seed(42)\n{DENSE}",
    "initializer": """
        def build(shape, classes):
            same = keras.initializers.GlorotUniform(seed=1)
            return keras.Sequential([layers.Input(shape), layers.Dense(classes, kernel_initializer=same)])
        """,
    "numpy": """
        def build(shape, classes):
            model = keras.Sequential([layers.Input(shape), layers.Dense(classes)])
            rng = np.random.default_rng(0)
            model.set_weights([rng.normal(size=array.shape) for array in model.get_weights()])
            return model
        """,
}


@pytest.mark.parametrize("body", FIXED.values(), ids=FIXED)
def test_a_function_that_takes_the_seeds_away_is_refused(engine, tmp_path, body):
    with pytest.raises(FunctionError, match=r"own_model\.py:build gives the same first weights for every seed"):
        built(engine, own(tmp_path, body))


DRAWN = """
    model = keras.Sequential([layers.Input(shape), layers.Dense(classes)])
    model.set_weights([rng.normal(size=array.shape) for array in model.get_weights()])
    return model
"""


HELPERS = {
    "drawing.py": "from drawing import rng",
    "package/__init__.py": "from package import rng",
    "folder/helper.py": "from folder import helper\nrng = helper.rng",
}


@pytest.mark.parametrize(("helper", "statement"), HELPERS.items(), ids=["module", "package", "folder"])
def test_a_generator_in_a_module_beside_the_file_starts_anew_with_each_build(engine, tmp_path, helper, statement):
    (tmp_path / helper).parent.mkdir(exist_ok=True)
    (tmp_path / helper).write_text("import numpy as np\nrng = np.random.default_rng(42)\n")
    with pytest.raises(FunctionError, match=r"own_model\.py:build gives the same first weights for every seed"):
        built(engine, own(tmp_path, f"{statement}\ndef build(shape, classes):{DRAWN}"))


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


@pytest.mark.parametrize(
    "first", ["layers.Dense(8, kernel_initializer=keras.initializers.GlorotUniform(seed=1))", "layers.Dense(8)"]
)
def test_a_pre_trained_part_keeps_its_weights_and_the_head_follows_the_seed(engine, tmp_path, first):
    body = f"""
        def build(shape, classes):
            return keras.Sequential([layers.Input(shape), {first}, layers.Dense(classes)])
        """
    one, two = (engine.get_weights(built(engine, own(tmp_path, body), seed)) for seed in (1, 2))
    assert np.array_equal(one[0], two[0]) == ("seed=1" in first)
    assert not np.array_equal(one[2], two[2])


def test_weights_that_all_start_at_zero_are_no_lost_seed(engine, tmp_path):
    body = """
        def build(shape, classes):
            return keras.Sequential([layers.Input(shape), layers.Dense(classes, kernel_initializer="zeros")])
        """
    assert losses(train(engine, own(tmp_path, body)))[0] == pytest.approx(np.log(3), rel=1e-6)


def test_weights_drawn_when_the_file_is_imported_follow_the_seed(engine, tmp_path):
    body = """
        FIRST = np.random.normal(size=(4, 3))
        def build(shape, classes):
            model = keras.Sequential([layers.Input(shape), layers.Dense(classes)])
            model.set_weights([FIRST, np.zeros(classes)])
            return model
        """
    made = own(tmp_path, body)
    one, again, two = (engine.get_weights(built(engine, made, seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, two)


def test_the_look_at_another_seed_is_taken_once_and_leaves_later_builds_as_they_were(engine, tmp_path):
    calls = tmp_path / "calls"
    body = f"def build(shape, classes):\n    open({str(calls)!r}, 'a').write('x')\n{DENSE}"
    made = own(tmp_path, body)
    results = [train(engine, made) for _ in range(3)]
    assert len(calls.read_text()) == 3 + 2
    assert results[0].steps == results[1].steps == results[2].steps


CHANCE = {
    "numpy": f"def build(shape, classes):\n    rng = np.random.default_rng()\n{DRAWN}",
    "clock": f"def build(shape, classes):\n    keras.utils.set_random_seed(time.time_ns() % 2**31)\n{DENSE}",
    "a weight that does not train": """
def build(shape, classes):
    frozen = layers.Dense(8, trainable=False)
    model = keras.Sequential([layers.Input(shape), frozen, layers.Dense(classes)])
    frozen.set_weights([np.random.default_rng().normal(size=array.shape) for array in frozen.get_weights()])
    return model
""",
}


@pytest.mark.parametrize("body", CHANCE.values(), ids=CHANCE)
def test_a_function_that_starts_elsewhere_with_the_same_seed_is_refused(engine, tmp_path, body):
    with pytest.raises(FunctionError, match=r"own_model\.py:build gives other weights each time .* the same seed"):
        built(engine, own(tmp_path, body))


def test_the_time_of_compilation_holds_one_build_and_not_the_look_at_another_seed(engine, tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    made = own(tmp_path, f"def build(shape, classes):\n    open({str(calls)!r}, 'a').write('x')\n{DENSE}")
    before = []

    @contextlib.contextmanager
    def counting(clocks, kind):
        before.append((kind, calls.read_text()))
        yield

    monkeypatch.setattr(training.Clocks, "measure", counting)
    train(engine, made)
    assert before[0] == ("compile", "xx")
    assert calls.read_text() == "xxx"


RANDOM_LAYERS = """
    class Noise(layers.Layer):
        def __init__(self):
            super().__init__()
            self.stream = {name: keras.random.SeedGenerator(7) for name in "ab"}
        def call(self, x, training=False):
            return x + keras.random.normal(ops.shape(x), seed=self.stream["a"]) if training else x

    def build(shape, classes):
        inputs = layers.Input(shape)
        x = layers.RandomFlip(seed=42)(layers.Reshape((2, 2, 1))(inputs))
        inner = keras.Sequential([layers.Input((4,)), layers.Dropout(0.5, seed=42), layers.GaussianNoise(1.0, seed=42)])
        return keras.Model(inputs, layers.Dense(classes)(Noise()(inner(layers.Flatten()(x)))))
"""


def test_every_random_layer_draws_from_a_stream_of_the_projects_own(engine, tmp_path):
    made = own(tmp_path, RANDOM_LAYERS)
    one, two = (built(engine, made, seed).model for seed in (1, 2))
    states = [[tuple(v.numpy()) for v in model.variables if "seed_generator_state" in v.path] for model in (one, two)]
    assert len(states[0]) == len(set(states[0])) == 5
    assert not set(states[0]) & set(states[1])
    assert train(engine, made).steps == train(engine, made).steps


# How Keras computes

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
    weights = engine.get_weights(built(engine, made))
    with pytest.raises(FunctionError, match="float32; valid is"):
        engines.frozen("tensorflow")(made, (data.x_train, data.y_train), 3, weights, "float64", 7)


def test_the_working_folder_and_numpys_errors_stay_as_they_are(engine, tmp_path):
    made = own(tmp_path, f"import os\nos.chdir('/')\nnp.seterr(all='raise')\ndef build(shape, classes):\n{DENSE}")
    before = Path.cwd(), np.geterr()
    built(engine, made)
    assert (Path.cwd(), np.geterr()) == before


# What trains, and what does not

MODELS = {
    "embedding": "return keras.Sequential([layers.Input(shape), layers.Embedding(10, 5), layers.Flatten(), head])",
    "no input layer": "return keras.Sequential([layers.Embedding(10, 5), layers.GlobalAveragePooling1D(), head])",
    "recurrent with a mask": "return keras.Sequential([layers.Embedding(10, 5, mask_zero=True), layers.GRU(4), head])",
    "subclassed": """
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.5)])
            self.head = head
        def call(self, x, training=False):
            return self.head(self.inner(x, training=training))
    return Net()""",
    "subclassed without a mode": """
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner, self.head = keras.Sequential([layers.Dense(8), layers.BatchNormalization()]), head
        def call(self, x):
            return self.head(self.inner(x))
    return Net()""",
}


@pytest.mark.parametrize("body", MODELS.values(), ids=MODELS)
def test_models_of_all_kinds_train_alike_in_both_loops_and_every_probe_looks_at_them(engine, tmp_path, body):
    made, data = own(tmp_path, f"def build(shape, classes):\n    head = layers.Dense(classes)\n    {body}\n"), tokens()
    fused, fit = (train(engine, made, loop=loop, data=data) for loop in ("fused", "fit"))
    assert fused.outcome == "ok"
    np.testing.assert_allclose(losses(fused), losses(fit), rtol=1e-5)
    trainer = built(engine, made, data=data)
    loss = engine.evaluate(trainer, "train")[0]
    frozen = engines.frozen("tensorflow")(
        made, (data.x_train, data.y_train), 3, engine.get_weights(trainer), "float64", 7
    )
    found, gradient = frozen.loss_and_gradient(frozen.weights)
    assert found == pytest.approx(loss, rel=1e-6)
    single = frozen.example_gradients(np.arange(60))
    np.testing.assert_allclose(single.mean(axis=0), gradient, rtol=1e-9, atol=1e-12)
    step = 1e-5 * gradient
    change = frozen.loss_and_gradient(frozen.weights + step)[1] - frozen.loss_and_gradient(frozen.weights - step)[1]
    np.testing.assert_allclose(frozen.hessian_vector(gradient), change / 2e-5, rtol=1e-4, atol=1e-6)
    (row,) = evaluation_modes(engine, trainer, data, [20], seed=0)
    assert row["inference_loss"] == pytest.approx(engine.evaluate(trainer, "validation")[0], rel=1e-6)


WRONG = {
    "nothing to train": "return keras.Model(x, ops.tile(ops.sum(x, axis=1, keepdims=True), [1, classes]))",
    "cannot be called on examples of shape \\(4,\\): ValueError: .* expects 2 ": """other = layers.Input(shape)
    return keras.Model([x, other], layers.Dense(classes)(x + other))""",
    "whose output is a list": "return keras.Model(x, [layers.Dense(classes)(x), layers.Dense(classes)(x)])",
    "outputs of shape \\(2, 4\\) for two examples .* \\(2, 3\\)": "return keras.Model(x, layers.Dense(classes + 1)(x))",
    "cannot be called on examples of shape \\(4,\\): .* axis -1 .* value 9": """
    return keras.Sequential([layers.Input((9,)), layers.Dense(classes)])""",
    "returned NoneType": "return None",
    "failed with SystemExit": "raise SystemExit(0)",
}


@pytest.mark.parametrize(
    ("says", "body"), WRONG.items(), ids=["fixed", "two in", "two out", "wide", "in", "none", "exit"]
)
def test_what_is_no_model_of_the_data_is_refused_in_a_sentence(engine, tmp_path, says, body):
    made = own(tmp_path, f"def build(shape, classes):\n    x = layers.Input(shape)\n    {body}\n")
    with pytest.raises(FunctionError, match=rf"own_model\.py:build .*{says}") as caught:
        built(engine, made)
    assert "\n" not in str(caught.value)


# What it imports


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
