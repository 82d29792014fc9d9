"""What every engine keeps, on softmax regression and on one more network where it trains others."""

import math
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import blobs, configured, recipe, softmax

from batchscope.training import engines, loop, plans
from batchscope.training.engines import Engine, EngineError
from batchscope.training.plans import Plan

ROOT = Path(__file__).resolve().parents[2]
NAMES = tuple(os.environ.get("ENGINES", "tensorflow numpy").split())  # Keras has one backend in a process, see test_jax
MODELS = {
    "softmax": softmax(),
    "network": recipe(model={"activation": "tanh", "normalization": "batch"}),
    "layer": recipe(model={"activation": "tanh", "normalization": "layer"}),  # its statistics have second derivatives
}
LOSS = 1e-5  # relative rounding of a loss in single precision


@dataclass(frozen=True)
class Case:
    """An engine with a recipe that it trains, on 60 examples."""

    engine: Engine
    recipe: dict[str, Any]
    data = blobs()

    def build(self, *, size=16, seed=1, **changes):
        return self.engine.build(Plan({**self.recipe, **changes}, size, seed, "fused"), self.data)

    def freeze(self, trainer, *, chunk=16):
        return self.engine.freeze(
            self.recipe, (self.data.x_train, self.data.y_train), 3, trainer.get_weights(), "float64", chunk
        )


TRAINED = [
    (name, model) for name in NAMES for model, made in MODELS.items() if not engines.about(name).refuse(made, "fused")
]


@pytest.fixture(params=TRAINED, ids="-".join, scope="module")  # trainers of one recipe share what is compiled
def case(request):
    name, model = request.param
    return Case(configured(name), MODELS[model])


def order(seed=0, n=60):
    return np.random.default_rng(seed).permutation(n).astype(np.int32)


def steady(count, rate=0.0):
    return np.full(count, rate, np.float32)


def weights(trainer):
    return np.concatenate([array.ravel() for array in trainer.get_weights()])


def trained(case, **changes):
    """A trainer after an epoch."""
    trainer = case.build(**changes)
    trainer.train(order(), steady(4, 0.1))
    return trainer


@pytest.fixture(scope="module")
def finished(case):
    """Such a trainer, which no test trains further."""
    return trained(case)


@pytest.fixture(scope="module")
def frozen(case, finished):
    return case.freeze(finished)


def test_the_same_plan_is_bit_identical_and_another_seed_is_not(case):
    plan = Plan(case.recipe, 16, 1, "fused")
    first, again, other = (
        loop.train(case.engine, case.data, each, step_records=100) for each in (plan, plan, replace(plan, seed=2))
    )
    assert first.steps == again.steps
    assert first.metrics == again.metrics
    assert first.evaluations[0]["train_loss"] != other.evaluations[0]["train_loss"]


def test_runs_of_one_seed_start_from_the_same_weights_at_every_batch_size(case):
    first, *others = (weights(case.build(size=size)) for size in (16, 1, 60))
    assert all(np.array_equal(first, other) for other in others)


def test_every_update_sees_the_batch_that_the_order_gives_it_and_the_last_may_be_short(case):
    trainer = trained(case)
    given = order(3)
    seen = trainer.train(given, steady(4))
    whole, short = given[:48].reshape(3, 16), given[48:][None]
    expected = [trainer.batch_losses("train", some, batch_statistics=True) for some in (whole, short)]
    assert seen.loss == pytest.approx(np.concatenate(expected), rel=LOSS)
    assert np.ptp(seen.loss) > 0.01


@pytest.mark.parametrize("last", ["keep", "drop"])
def test_an_epoch_in_pieces_is_the_same_epoch(case, last):
    whole, parts = (case.build(last_batch=last) for _ in range(2))
    given, count = (order(3), 4) if last == "keep" else (order(3)[:48], 3)
    seen = vars(whole.train(given, steady(count, 0.1))).values()
    pieces = [parts.train(given[:16], steady(1, 0.1)), parts.train(given[16:], steady(count - 1, 0.1))]
    for one, first, rest in zip(seen, *(vars(piece).values() for piece in pieces), strict=True):
        np.testing.assert_array_equal(one, np.concatenate([first, rest]))
    np.testing.assert_array_equal(weights(whole), weights(parts))


def test_weights_are_copies_and_come_back(case):
    trainer = trained(case)
    kept, evaluated = trainer.get_weights(), trainer.evaluate("validation")
    before = [array.copy() for array in kept]
    trainer.train(order(1), steady(4, 0.5))
    assert trainer.evaluate("validation") != evaluated
    assert all(np.array_equal(one, other) for one, other in zip(kept, before, strict=True))
    trainer.set_weights(kept)
    assert trainer.evaluate("validation") == evaluated
    assert trainer.trainable_weights() == pytest.approx(case.freeze(trainer).weights, rel=0, abs=0)


def test_a_rate_of_zero_and_a_call_without_updates_move_no_trainable_weight(case):
    trainer = case.build()
    before = trainer.trainable_weights()
    assert len(trainer.train(order()[:0], steady(0)).loss) == 0
    trainer.train(order(), steady(4))
    np.testing.assert_array_equal(trainer.trainable_weights(), before)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_evaluation_is_the_mean_over_the_examples_in_passes_of_any_size(case, size):
    trainer = trained(case, evaluation_batch_size=size)
    for part, n in (("train", 60), ("validation", 20), ("test", 20)):
        one_by_one = trainer.batch_losses(part, np.arange(n, dtype=np.int32)[:, None], batch_statistics=False)
        loss, accuracy = trainer.evaluate(part)
        assert loss == pytest.approx(one_by_one.mean(), rel=LOSS)
        assert accuracy * n == pytest.approx(round(accuracy * n), abs=1e-9)


def test_a_step_tells_the_norm_of_its_gradient_and_where_the_tracked_weight_is(case):
    trainer = trained(case)
    before = trainer.trainable_weights()
    seen = trainer.train(order(1)[:16], steady(1, 0.25))
    moved = before - trainer.trainable_weights()
    assert seen.gradient_norm[0] == pytest.approx(np.linalg.norm(moved) / 0.25, rel=1e-4)
    shape = case.freeze(trainer).shapes[0]
    index = np.ravel_multi_index(trainer.tracked_weight, shape)
    assert seen.weight[0] == pytest.approx(trainer.trainable_weights()[index], rel=1e-6)
    assert trainer.n_parameters == len(before)


@pytest.mark.parametrize("chunk", [1, 16, 60])
def test_the_frozen_model_has_the_loss_of_the_trained_one(case, finished, chunk):
    frozen = case.freeze(finished, chunk=chunk)
    assert frozen.n_examples == 60
    assert frozen.loss(frozen.weights) == pytest.approx(finished.evaluate("train")[0], rel=LOSS)
    assert sum(math.prod(shape) for shape in frozen.shapes) == len(frozen.weights) == finished.n_parameters


def test_derivatives_are_the_differences_of_what_they_derive(frozen):
    at, step = frozen.weights, 1e-6
    one, other = np.random.default_rng(3).normal(size=(2, len(at)))
    (high, ahead), (low, behind) = (frozen.loss_and_gradient(at + side * one) for side in (step, -step))
    whole = frozen.batch_gradient(np.arange(60))
    assert whole @ one == pytest.approx((high - low) / (2 * step), rel=1e-6)
    np.testing.assert_allclose(frozen.loss_and_gradient(at)[1], whole, rtol=1e-9, atol=1e-14)
    product = frozen.hessian_vector(one)
    np.testing.assert_allclose(product, (ahead - behind) / (2 * step), atol=1e-6 * np.abs(product).max())
    assert other @ product == pytest.approx(one @ frozen.hessian_vector(other), rel=1e-10)


def test_single_gradients_have_the_mean_of_their_batch(frozen):
    batch = order(2)[:13]
    single = frozen.example_gradients(batch)
    np.testing.assert_allclose(single.mean(axis=0), frozen.batch_gradient(batch), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(single[4], frozen.batch_gradient(batch[4:5]), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("width", [1, 4, 8, 16])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "numpy"])
def test_normalization_of_any_width_lets_the_examples_through(name, width):
    if width == 1:
        return
    case = Case(configured(name), recipe(model={"hidden": [width], "normalization": "group", "activation": "tanh"}))
    gradients = case.freeze(case.build()).example_gradients(np.arange(60))
    assert np.ptp(gradients[:, -3 - 3 * width :], axis=0).min() > 0.1


@pytest.mark.parametrize("micro", [4, 5, 16])
@pytest.mark.parametrize("name", NAMES)
def test_accumulated_micro_batches_make_the_update_of_the_whole_batch(name, micro):
    case = Case(configured(name), softmax(optimizer={"momentum": 0.9}))
    whole, parts = (case.build(micro_batch_size=size) for size in (None, micro))
    seen = [trainer.train(order(), steady(4, 0.3)) for trainer in (whole, parts)]
    for one, other in zip(*(vars(each).values() for each in seen), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4)
    np.testing.assert_allclose(parts.trainable_weights(), whole.trainable_weights(), rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_weights_beyond_all_numbers_give_a_loss_that_is_none_and_end_the_call(name):
    case = Case(configured(name), softmax())
    trainer = case.build()
    trainer.set_weights([np.full_like(array, np.finfo(array.dtype).max) for array in trainer.get_weights()])
    seen = trainer.train(order(), steady(4, 0.1))
    assert len(seen.loss) == 1
    assert not math.isfinite(seen.loss[0])
    assert not math.isfinite(trainer.evaluate("train")[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_does_not_fit_is_an_end_of_memory(name):
    data = replace(blobs(), meta={"classes": 10**13, "digest": "test"})
    with pytest.raises(MemoryError, match="10000000000000"):
        configured(name).build(Plan(softmax(), 16, 1, "fused"), data)


@pytest.mark.parametrize("size", [1, 7, 60])
@pytest.mark.parametrize("name", NAMES)
def test_the_loop_that_reads_looks_at_every_whole_batch(name, size):
    case, given = Case(configured(name), softmax()), order(3)
    last = given[size - 1 :: size]
    expected = float((case.data.x_train[last, -1] + case.data.y_train[last]).sum())
    assert case.build(size=size).read_batches(given) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_engines_train_alike_from_the_same_weights(name, momentum):
    made = softmax(optimizer={"momentum": momentum}, tracked_weight=[2, 1])
    one, known = (Case(configured(each), made).build() for each in (name, "numpy"))
    one.set_weights(known.get_weights())
    for seed in range(3):
        seen, expected = (trainer.train(order(seed), steady(4, 0.5)) for trainer in (one, known))
        for found, value in zip(vars(seen).values(), vars(expected).values(), strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-5)
    np.testing.assert_allclose(one.trainable_weights(), known.trainable_weights(), rtol=1e-4, atol=1e-6)
    assert one.evaluate("test") == pytest.approx(known.evaluate("test"), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_what_an_engine_says_of_itself_is_what_it_does(name):
    about, engine = engines.about(name), configured(name)
    settings = engine.configure("cpu", 1)
    assert (settings["device"], settings["unused_gpus"]) == ("cpu", [])
    assert {"device_name", "precision", "backend"} <= set(settings)
    assert engine.allocator_peak_bytes("cpu")[1]
    for made, how in ((recipe(), "fused"), (softmax(), "fit"), (softmax(optimizer={"name": "adam"}), "fused")):
        refused = about.refuse(made, how)
        if refused is None:
            engine.build(Plan(made, 16, 1, how), blobs())
            continue
        assert "valid is" in refused
        with pytest.raises(EngineError, match=f"engine {name} "):
            engine.build(Plan(made, 16, 1, how), blobs())


def test_the_reference_engine_imports_no_framework():
    code = (
        "import sys; from batchscope.jobs import probe, time, train, tune; from batchscope.training import engines; "
        "engines.load('numpy').configure('auto', 1); "
        "print({'tensorflow', 'keras', 'jax', 'torch'} & {name.partition('.')[0] for name in sys.modules})"
    )
    given = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr


def test_first_weights_of_the_reference_are_drawn_from_the_seed_of_its_weights(reference):
    kernel, bias = Case(reference, softmax()).build(seed=5).get_weights()
    half = math.sqrt(6 / 7)
    drawn = np.random.default_rng(plans.derive_seed(5, "weights")).uniform(-half, half, (4, 3))
    np.testing.assert_array_equal(kernel, drawn)
    assert not bias.any()
