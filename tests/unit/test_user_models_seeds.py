"""Models of the user's own and what seeds them: every run starts elsewhere, and each where its seed says."""

import contextlib

import numpy as np
import pytest
from own_models import DENSE, built, losses, own, train

from batchscope.data.functions import FunctionError
from batchscope.training import loop as training

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
        expected = built(engine, plain, seed).get_weights()
        for array, found in zip(expected, built(engine, seeded, seed).get_weights(), strict=True):
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


@pytest.mark.parametrize(
    "first", ["layers.Dense(8, kernel_initializer=keras.initializers.GlorotUniform(seed=1))", "layers.Dense(8)"]
)
def test_a_pre_trained_part_keeps_its_weights_and_the_head_follows_the_seed(engine, tmp_path, first):
    body = f"""
        def build(shape, classes):
            return keras.Sequential([layers.Input(shape), {first}, layers.Dense(classes)])
        """
    one, two = (built(engine, own(tmp_path, body), seed).get_weights() for seed in (1, 2))
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
    one, again, two = (built(engine, made, seed).get_weights()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, two)


def test_the_look_at_another_seed_is_taken_once_and_leaves_later_builds_as_they_were(engine, tmp_path):
    calls = tmp_path / "calls"
    body = f"def build(shape, classes):\n    with open({str(calls)!r}, 'a') as file:\n        file.write('x')\n{DENSE}"
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
    made = own(
        tmp_path,
        f"def build(shape, classes):\n    with open({str(calls)!r}, 'a') as file:\n        file.write('x')\n{DENSE}",
    )
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
