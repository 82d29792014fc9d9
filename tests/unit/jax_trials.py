"""Trials in one process on JAX: they share what is compiled, and have the numbers of trials that compile their own.

Run as `python jax_trials.py`; a process of its own, since Keras has one backend in a process.
"""

from small import blobs, configured, recipe

from batchscope.training import loop, recipes
from batchscope.training.plans import Plan

LOOPS = ("fused", "fit")
RECIPES = (
    recipe(model={"dropout": 0.3, "normalization": "batch"}, optimizer={"momentum": 0.9}),
    recipe(last_batch="drop", budget={"evaluations": 2}) | {"optimizer": {"name": "adamw", "weight_decay": 0.1}},
    recipe(micro_batch_size=5),
)


def trial(made, rate, seed):
    plan = Plan(recipes.with_learning_rate(made, rate), 16, seed, "fused")
    done = loop.train(configured("jax"), blobs(), plan, step_records=100)
    return done.outcome, repr(done.steps), done.metrics, done.tracked_weight, done.selected_epoch  # a loss may be NaN


def compiled(programs):
    (kept,) = programs._kept.values()
    return kept, kept.steps._cache_size(), kept.evaluation._cache_size(), kept.first_gradient._cache_size()


def main():
    configured("jax")  # chooses Keras' backend
    from batchscope.training.engines.jax import programs

    for made in RECIPES:
        asked = [(0.05, 1), (0.02, 2), (1e30, 3), (0.02, 4)]
        first = trial(made, *asked[0])
        before = compiled(programs)
        shared = [first, *(trial(made, *each) for each in asked[1:])]
        assert compiled(programs) == before
        for each, found in zip(asked, shared, strict=True):
            programs.forget()
            assert trial(made, *each) == found
        assert [found[0] for found in shared] == ["ok", "ok", "diverged", "ok"]
        assert shared[1][2] != shared[3][2]
    warm = recipe(learning_rate_scaling={"warmup_epochs": 2.0})  # its rate changes within an epoch
    fused, fit = (loop.train(configured("jax"), blobs(), Plan(warm, 16, 1, how), step_records=100) for how in LOOPS)
    assert max(abs(one["loss"] - other["loss"]) for one, other in zip(fused.steps, fit.steps, strict=True)) < 1e-6
    trial(recipe(model={"hidden": [9]}), 0.05, 1)
    assert compiled(programs)[0] is not before[0]


if __name__ == "__main__":
    main()
