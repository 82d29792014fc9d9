"""Every optimizer of Keras, by its name: its options are those of Keras, and both loops apply it as Keras does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import blobs, recipe, softmax

from batchscope.config.errors import ConfigError, key_path
from batchscope.config.written import read
from batchscope.study.recipes import RECIPE
from batchscope.training import engines
from batchscope.training.optimizer_signatures import SIGNATURES
from batchscope.training.plans import Plan

_spec = importlib.util.spec_from_file_location(
    "optimizers", Path(__file__).resolve().parents[2] / "tools/optimizer_signatures.py"
)
assert _spec is not None
assert _spec.loader is not None
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


def resolved(**optimizer: Any) -> dict[str, Any]:
    """The optimizer of a recipe, every default filled in."""
    written = {"model": {"name": "mlp"}, "optimizer": optimizer, "budget": {"epochs": 1}}
    found = read(RECIPE, written, key_path).plain()["optimizer"]
    assert isinstance(found, dict)
    return found


def test_the_generated_file_is_that_of_the_installed_keras() -> None:
    assert {name: known.label for name, known in SIGNATURES.items()}.items() >= {"sgd": "SGD", "lion": "Lion"}.items()
    written = {name: (known.label, known.options) for name, known in SIGNATURES.items()}
    found = tool.signatures()
    assert list(written) == list(found), "run: make schemas"
    for name, (label, options) in written.items():
        assert label == found[name]["label"]
        assert {key: vars(option) for key, option in options.items()} == found[name]["options"], "run: make schemas"


@pytest.mark.parametrize("name", SIGNATURES)
def test_its_options_and_their_defaults_are_those_of_keras(name: str) -> None:
    assert {"name": name, **tool.options(tool.kinds()[SIGNATURES[name].label])} == resolved(name=name)


def test_those_left_out_are_there_and_one_gives_no_number_at_rate_zero(engine: Any) -> None:
    from batchscope.training.engines.keras.framework import keras

    assert set(tool.kinds()) - set(tool.LEFT_OUT) == {known.label for known in SIGNATURES.values()}
    weight = keras.Variable(np.ones(2, np.float32))
    keras.optimizers.Ftrl(learning_rate=0.0).apply([np.ones(2, np.float32)], [weight])
    assert np.isnan(np.asarray(weight)).all()


def test_what_it_does_not_take_is_refused() -> None:
    """More in tests/bad_configs/recipes.yaml."""
    for name in SIGNATURES:
        with pytest.raises(ConfigError, match=r"optimizer\.loss_scale_factor: unknown key; valid is"):
            resolved(name=name, loss_scale_factor=2.0)


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_reference_engine_says_which_it_has(name: str) -> None:
    refused = engines.about("numpy").refuse({**softmax(), "optimizer": resolved(name=name)}, "fused")
    assert (refused is None) if name == "sgd" else f"has no optimizer {name}" in str(refused)


ORDER = np.random.default_rng(1).permutation(60).astype(np.int32)
RATES = np.linspace(0.001, 0.01, 4, dtype=np.float32)  # of three whole batches and a short one


def by_hand(name: str) -> np.ndarray:
    """The weights that Keras' own `apply` leaves, update by update."""
    import tensorflow as tf

    from batchscope.training.engines.keras import models
    from batchscope.training.engines.keras.framework import keras
    from batchscope.training.engines.tensorflow.settings import BACKEND

    data = blobs()
    model = models.untrained(BACKEND, Plan(recipe(), 16, 1, "fused"), data)
    optimizer = getattr(keras.optimizers, SIGNATURES[name].label)()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for update, rate in enumerate(RATES):
        batch = ORDER[16 * update : 16 * update + 16]
        with tf.GradientTape() as tape:
            mean = loss(data.y_train[batch], model(data.x_train[batch], training=True))
        optimizer.learning_rate.assign(rate)
        optimizer.apply(tape.gradient(mean, model.trainable_variables), model.trainable_variables)
    return np.concatenate([np.ravel(variable) for variable in model.trainable_variables])


@pytest.mark.parametrize("name", SIGNATURES)
def test_each_loop_makes_the_updates_that_keras_makes(engine: Any, name: str) -> None:
    expected = by_hand(name)
    for loop, micro in (("fused", None), ("fit", None), ("fused", 5)):
        made = {**recipe(micro_batch_size=micro), "optimizer": resolved(name=name)}
        trainer = engine.build(Plan(made, 16, 1, loop), blobs())
        trainer.train(ORDER, RATES)
        np.testing.assert_allclose(trainer.trainable_weights(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", SIGNATURES)
def test_updates_at_rate_zero_change_no_weight_as_a_timing_expects(engine: Any, name: str) -> None:
    trainer = engine.build(Plan({**recipe(), "optimizer": resolved(name=name)}, 16, 1, "fused"), blobs())
    before = trainer.trainable_weights()
    assert len(trainer.train(ORDER, np.zeros(4, np.float32)).loss) == 4
    np.testing.assert_array_equal(trainer.trainable_weights(), before)
