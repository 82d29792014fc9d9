"""Trials at once on JAX: the records of trials in turn, to rounding, and bit-identical when they are repeated.

Run as `python jax_together.py`; a process of its own, since Keras has one backend in a process.
"""

import logging
import math
from pathlib import Path

import numpy as np
from small import ask, blobs, configured, recipe, save

from batchscope.jobs import tune
from batchscope.tables import records
from batchscope.training import recipes, trials
from batchscope.training.plans import Plan
from batchscope.training.trials import Trials

LARGE = 2**40  # bytes
SAME = 1e-5  # relative rounding of a loss
ADAM = {"optimizer": {"name": "adam", "learning_rate": 0.05}}
STOPPING = {"budget": {"epochs": 12, "early_stopping": {"patience": 1}}}
IMAGES = recipe(model={"name": "cnn", "filters": [2], "kernel_size": 3, "dense": 4})
RECIPES = {
    "adam with dropout, warm-up, no short batch": recipe(
        model={"dropout": 0.3}, last_batch="drop", learning_rate_scaling={"warmup_epochs": 2.0}
    )
    | ADAM,
    "accumulation with batch normalization": recipe(
        micro_batch_size=5, model={"normalization": "batch"}, budget={"evaluations": 2}
    ),
    "momentum and early stopping": recipe(optimizer={"momentum": 0.9}, **STOPPING),
    "network of images": IMAGES,
}
RATES, SEEDS = (0.02, 0.3, 1e30, 3.0), (1, 2)
OWN = """\
import jax, keras, numpy


class Layer(keras.layers.Layer):
    def __init__(self, drawn):
        super().__init__()
        self.drawn = drawn

    def call(self, x):
        return {looks}


def build(shape, classes):
    drawn = numpy.random.normal(size=4).astype("float32")
    return keras.Sequential([keras.layers.Input(shape), Layer(drawn), keras.layers.Dense(classes)])
"""
EFFECT = "jax.experimental.io_callback(lambda x: x, jax.ShapeDtypeStruct(x.shape, x.dtype), x, ordered=True)"
OWN_LAYERS = {  # what is said of trials of a layer, nothing where they are at once
    "keras.ops.tanh(x)": "",
    "x + 0 * jax.lax.stop_gradient(" + EFFECT + ")": "JAX cannot vectorise the user's model",
    "x * self.drawn": "depend on the seed",
}


def shaped(made):
    return blobs(shape=(2, 2, 1)) if made["model"].get("name") == "cnn" else blobs()


def asked_of(made, data):
    return [(Plan(recipes.with_learning_rate(made, rate), 16, seed, "fused"), data) for rate in RATES for seed in SEEDS]


def recorded(trained):
    return [(done.outcome, done.outcome_detail, done.steps, losses(done)) for done in trained]


def losses(done):
    return [row["validation_loss"] for row in done.evaluations]


def check(made, data):
    asked, at_once, in_turn = asked_of(made, data), Trials(configured("jax"), LARGE), Trials(configured("jax"), 0, 1)
    first, again = (list(at_once.train(asked)) for _ in range(2))
    assert repr(recorded(first)) == repr(recorded(again))
    assert at_once.most > 1
    pairs = list(zip(first, in_turn.train(asked), strict=True))
    for one, other in pairs:
        assert (one.outcome, one.selected, one.stopped_early, one.updates, one.examples, one.selected_epoch) == (
            other.outcome,
            other.selected,
            other.stopped_early,
            other.updates,
            other.examples,
            other.selected_epoch,
        )
        assert [row["epoch"] for row in one.evaluations] == [row["epoch"] for row in other.evaluations]
        np.testing.assert_allclose(losses(one), losses(other), rtol=SAME)
        for kind in ("loss", "gradient_norm", "weight"):
            seen, wanted = (np.array([row[kind] for row in each.steps], float) for each in (one, other))
            np.testing.assert_allclose(seen, wanted, rtol=1e-4, atol=1e-6)
        kept = [each.metrics["selected_validation_loss"] or math.nan for each in (one, other)]
        np.testing.assert_allclose(*kept, rtol=SAME)
    return [one for one, _ in pairs]


def check_own_models(said):
    for number, (looks, reason) in enumerate(OWN_LAYERS.items()):
        Path(f"own{number}.py").write_text(OWN.format(looks=looks))
        model = {"function": f"own{number}.py:build", "arguments": {}, "outputs": "logits"}
        asked, at_once = asked_of({**recipe(), "model": model}, blobs())[:2], Trials(configured("jax"), LARGE)
        said.clear()
        found = [list(at_once.train(asked)) for _ in range(2)]
        in_turn = list(Trials(configured("jax"), 0, 1).train(asked))
        assert len(said) == (reason != ""), said
        assert all(reason in each for each in said), said
        for done in found:
            np.testing.assert_allclose(*([losses(each) for each in some] for some in (done, in_turn)), rtol=SAME)


def check_memory(said):
    asked = asked_of(recipe(), blobs())
    trials = Trials(configured("jax"), 1)
    said.clear()
    found, wanted = (recorded(each.train(asked)) for each in (trials, Trials(configured("jax"), 0, 1)))
    assert repr(found) == repr(wanted)
    assert ("memory ended with 8 trials at once" in said[0], len(said), trials.most) == (True, 3, 1)


def check_tuning():
    """The same rates are tried, in the same stages, and the same one is chosen."""
    data = save(blobs(), Path("data.npz"))
    plan = {"learning_rates": [0.001, 0.01, 0.1], "seeds": [101, 102], "widen": 2, "refine": 1}
    found = []
    for allowed in (LARGE, 1):
        outputs = {"trials": f"trials{allowed}.parquet", "manifest": f"tuning{allowed}.json"}
        asked = ask(recipe(tuning=plan), "16", "jax")
        tune.tune_cell({name: [file] for name, file in data.items()}, asked, outputs, allowed)
        found.append(records.read_table("trials", outputs["trials"]).to_pandas())
    one, other = (each.drop(columns="selected_validation_loss") for each in found)
    assert one.equals(other)
    assert set(one["stage"]) == {"grid", "widened", "refined"}
    np.testing.assert_allclose(*(each["selected_validation_loss"] for each in found), rtol=SAME)
    assert not np.array_equal(*(each["selected_validation_loss"] for each in found))  # or both were in turn


def main():
    said = []
    configured("jax")  # chooses Keras' backend
    from batchscope.training.engines.jax import together

    together.FEWEST_UPDATES = 10
    reason_on_cpu, together.reason_on_cpu = together.reason_on_cpu, lambda trainer: None
    trials.log.addFilter(lambda record: said.append(record.getMessage()))
    trials.log.setLevel(logging.INFO)
    ended = {name: check(made, shaped(made)) for name, made in RECIPES.items()}
    assert not said
    stopping = ended["momentum and early stopping"]
    assert {each.outcome for each in stopping} == {"ok", "diverged"}
    assert len({each.updates for each in stopping if each.stopped_early}) > 1
    check_own_models(said)
    check_memory(said)
    check_tuning()
    assert reason_on_cpu(configured("jax").build(*asked_of(recipe(), blobs())[0])) is None
    assert "convolutions" in reason_on_cpu(configured("jax").build(*asked_of(IMAGES, shaped(IMAGES))[0]))
    together.FEWEST_UPDATES = 13
    assert "12 updates" in reason_on_cpu(configured("jax").build(*asked_of(recipe(), blobs())[0]))


if __name__ == "__main__":
    main()
