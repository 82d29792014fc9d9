import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchscope.training import plans, recipes


def recipe(rate=0.1, *, rule="none", reference=None, warmup=0.0, shuffle=True, last_batch="keep", tracked=None):
    return {
        "name": "example",
        "optimizer": {"name": "sgd", "learning_rate": rate},
        "learning_rate_scaling": {"rule": rule, "reference_batch_size": reference, "warmup_epochs": warmup},
        "shuffle": shuffle,
        "last_batch": last_batch,
        "tracked_weight": tracked,
    }


NO_SNAPSHOTS = {"at": [], "train_losses": []}


def order(n, batch_size, seed, epoch, made):
    return plans.epoch_order(n, plans.Plan(made, batch_size, seed, "fused"), epoch)


def rates(made, batch_size, n, epoch):
    per_epoch = recipes.updates_per_epoch(n, batch_size, made["last_batch"])
    plan = plans.Plan(made, batch_size, 0, "fused")
    return plans.learning_rates(n, plan, (epoch - 1) * per_epoch, epoch * per_epoch)


def points(n, batch_size, snapshots=NO_SNAPSHOTS, **budget):
    budget = {"epochs": None, "updates": None, "evaluations": None, "first_evaluation_at": None} | budget
    made = {**recipe(), "budget": budget, "snapshots": snapshots}
    return plans.evaluation_points(n, plans.Plan(made, batch_size, 0, "fused")).tolist()


@pytest.mark.parametrize(
    ("n", "batch_size", "updates"),
    [(55_000, 8, 6875), (55_000, 32, 1719), (55_000, 128, 430), (800, 32, 25), (800, 800, 1), (54_000, 128, 422)],
)
def test_updates_per_epoch_are_those_of_the_documents(n, batch_size, updates):
    assert recipes.updates_per_epoch(n, batch_size, "keep") == updates


@given(n=st.integers(1, 500), batch_size=st.integers(1, 500))
def test_an_epoch_holds_every_example_once_or_drops_only_the_last_short_batch(n, batch_size):
    kept = order(n, batch_size, 3, 1, recipe())
    assert sorted(kept) == list(range(n))
    dropped = order(n, batch_size, 3, 1, recipe(last_batch="drop"))
    assert len(dropped) == recipes.updates_per_epoch(n, batch_size, "drop") * batch_size
    assert list(dropped) == list(kept[: len(dropped)])


def test_order_is_paired_across_batch_sizes_and_differs_between_epochs_and_seeds():
    first = order(100, 1, 7, 1, recipe())
    assert list(order(100, 100, 7, 1, recipe())) == list(first)
    assert list(order(100, 1, 7, 2, recipe())) != list(first)
    assert list(order(100, 1, 8, 1, recipe())) != list(first)
    assert list(order(5, 2, 7, 1, recipe(shuffle=False))) == [0, 1, 2, 3, 4]


def test_learning_rate_rules():
    assert recipes.scaled_learning_rate(recipe(0.01), 128) == 0.01
    assert recipes.scaled_learning_rate(recipe(0.01, rule="linear", reference=32), 128) == pytest.approx(0.04)
    assert recipes.scaled_learning_rate(recipe(0.01, rule="linear", reference=32), 1) == pytest.approx(0.01 / 32)
    assert recipes.scaled_learning_rate(recipe(0.01, rule="sqrt", reference=32), 128) == pytest.approx(0.02)


def test_adam_sde_keeps_the_noise_of_the_stochastic_differential_equation():
    made = recipe(0.001, rule="adam-sde", reference=32)
    made["optimizer"] = {"name": "adam", "learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    assert recipes.scaled_optimizer(made, 32) == made["optimizer"]
    assert recipes.scaled_optimizer(made, 128) == pytest.approx(
        {"name": "adam", "learning_rate": 0.002, "beta_1": 0.6, "beta_2": 0.996, "epsilon": 5e-8}
    )
    with pytest.raises(ValueError, match=r"beta_1 .* at batch size 320, and they must be above 0"):
        recipes.scaled_optimizer(made, 320)


def test_a_rate_that_tuning_chose_replaces_the_recipe_s_and_nothing_else():
    made = recipes.with_learning_rate(recipe(0.1), 0.3)
    assert made == recipe(0.3)


def test_runs_are_evaluated_at_equal_shares_of_the_budget():
    assert points(40, 10, epochs=3) == [4, 8, 12]
    assert points(40, 16, epochs=3) == [3, 6, 9]  # ceil(40 / 16) updates per epoch
    assert points(40, 10, epochs=3, evaluations=6) == [2, 4, 6, 8, 10, 12]
    assert points(40, 40, epochs=3, evaluations=6) == [1, 2, 3]  # once per update at most
    assert points(40, 10, updates=10, evaluations=4) == [3, 5, 8, 10]


def test_evaluations_from_a_share_of_the_budget_on_lie_evenly_in_the_logarithm():
    assert points(1000, 1, epochs=1, evaluations=4, first_evaluation_at=0.001) == [1, 10, 100, 1000]
    assert points(1000, 100, epochs=1, evaluations=4, first_evaluation_at=0.001) == [1, 10]  # the same shares
    assert points(40, 10, updates=10, evaluations=2, first_evaluation_at=0.5) == [5, 10]
    kept = {"at": [0, 0.3, 0.7], "train_losses": []}
    assert points(1000, 1, kept, epochs=1, evaluations=4, first_evaluation_at=0.001) == [1, 10, 700, 1000]
    assert points(1000, 1, kept, epochs=1, evaluations=9, first_evaluation_at=0.1) == [
        *(100, 133, 178, 237, 300, 422, 562, 700, 1000)
    ]


@given(updates=st.integers(1, 500), evaluations=st.integers(2, 60), first=st.floats(1e-4, 0.99))
def test_the_last_evaluation_ends_the_budget_and_none_comes_before_an_update(updates, evaluations, first):
    found = points(40, 10, updates=updates, evaluations=evaluations, first_evaluation_at=first)
    assert found[0] >= 1
    assert found[-1] == updates
    assert len(found) <= evaluations


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 30))
def test_pieces_cover_every_update_once_and_never_cross_the_end_of_an_epoch(start, length, per_epoch):
    found = list(plans.pieces(start, start + length, per_epoch))
    made = [(epoch - 1) * per_epoch + update for epoch, first, end in found for update in range(first, end)]
    assert made == list(range(start, start + length))
    assert all(0 <= first < end <= per_epoch for _, first, end in found)


def test_warm_up_rises_linearly_over_its_epochs_and_then_stays():
    made = [rates(recipe(1.0, warmup=1.5), 10, 40, epoch) for epoch in (1, 2, 3)]
    np.testing.assert_allclose(np.concatenate(made), [*np.arange(1, 7) / 6, *[1.0] * 6], rtol=1e-6)
    np.testing.assert_allclose(rates(recipe(0.3), 16, 40, 1), [0.3] * 3, rtol=1e-6)


def test_seeds_of_different_purposes_and_runs_differ():
    seeds = {plans.derive_seed(seed, purpose) for seed in range(50) for purpose in plans.PURPOSES}
    assert len(seeds) == 50 * len(plans.PURPOSES)
    assert all(0 <= seed < 2**31 for seed in seeds)
    with pytest.raises(ValueError, match="unknown purpose"):
        plans.derive_seed(1, "lottery")


def test_tracked_weight_is_the_one_asked_for_or_the_one_that_moves_most():
    gradient = np.zeros((1000, 100), np.float32)
    gradient[7, 9] = -3.0
    assert plans.tracked_index(recipe(), gradient) == (7, 9)
    assert plans.tracked_index(recipe(tracked=[30, 50]), gradient) == (30, 50)
    for wrong in ([30], [30, 100]):
        with pytest.raises(ValueError, match=r"tracked_weight .* is not an index"):
            plans.tracked_index(recipe(tracked=wrong), gradient)


def test_random_rank_does_not_order_by_batch_size():
    sizes = [2**k for k in range(12)]
    ranks = [recipes.random_rank(f"digits/mlp/{size}") for size in sizes]
    assert all(0 <= rank < 1 for rank in ranks)
    ordered = [size for _, size in sorted(zip(ranks, sizes, strict=True))]
    assert ordered not in (sizes, sizes[::-1])
