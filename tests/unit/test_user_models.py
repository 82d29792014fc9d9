"""Models of the user's own: those that train, what the probes make of them, and what is no model."""

import numpy as np
import pytest
from own_models import built, losses, own, train
from small import blobs

from batchscope.data.functions import FunctionError
from batchscope.probes.modes.measure import evaluation_modes


def tokens():
    """Examples of four whole numbers from 0 to 9."""
    data = blobs()
    for part in (data.x_train, data.x_validation, data.x_test):
        part[:] = np.abs(np.round(3 * part)) % 10
    return data


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
    loss = trainer.evaluate("train")[0]
    frozen = engine.freeze(made, (data.x_train, data.y_train), 3, trainer.get_weights(), "float64", 7)
    found, gradient = frozen.loss_and_gradient(frozen.weights)
    assert found == pytest.approx(loss, rel=1e-6)
    single = frozen.example_gradients(np.arange(60))
    np.testing.assert_allclose(single.mean(axis=0), gradient, rtol=1e-9, atol=1e-12)
    step = 1e-5 * gradient
    change = frozen.loss_and_gradient(frozen.weights + step)[1] - frozen.loss_and_gradient(frozen.weights - step)[1]
    np.testing.assert_allclose(frozen.hessian_vector(gradient), change / 2e-5, rtol=1e-4, atol=1e-6)
    (row,) = evaluation_modes(trainer, data, [20], seed=0)
    assert row["inference_loss"] == pytest.approx(trainer.evaluate("validation")[0], rel=1e-6)


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
