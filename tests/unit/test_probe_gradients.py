"""Mini-batch gradients and the noise scale, of examples whose gradients are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from small import blobs, recipe

from batchscope.probes.gradients import measure as probe
from batchscope.probes.gradients.measure import PASSES, batch_statistics, noise_scale
from batchscope.training import engines
from batchscope.training.plans import Plan

pytestmark = pytest.mark.usefixtures("engine")

FEW = np.array([[2.0, 1.0, 0.0], [0.5, -1.0, 0.0], [1.0, 3.0, 0.0], [-1.5, 0.5, 0.0], [4.0, 0.0, 0.0]])


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """A million draws would take most of the time of these tests."""
    monkeypatch.setattr(probe, "BIAS_EXAMPLES", 40_000)


class Known:
    """A `Frozen` whose single gradients are given, shape (n, p); it keeps the examples that were asked for."""

    def __init__(self, gradients):
        self.gradients, self.n_examples = np.array(gradients, dtype=np.float64), len(gradients)
        self.single, self.together = [], []

    def example_gradients(self, indices):
        self.single.append(np.array(indices))
        return self.gradients[indices]

    def batch_gradient(self, indices):
        self.together.append(np.array(indices))
        return self.gradients[indices].mean(axis=0)


def regression(rng, n, noise, p=10):
    """Gradients of ½(x·w - y)² at distance 1 from the true weights, and their tr(S) and |G|².

    With x ~ N(0, 1), w - w* = d and residuals of standard deviation `noise`, g = x (x·d + e) has the mean d and the
    covariance (|d|² + noise²) 1 + d dᵀ.
    """
    x, distance = rng.normal(size=(n, p)), np.eye(p)[0]
    gradients = x * (x @ distance + noise * rng.normal(size=n))[:, None]
    return Known(gradients), p * (1 + noise**2) + 1, 1.0


def row(gradients, size, batches=200, seed=0, **more):
    return batch_statistics(Known(gradients), [size], batches, seed, **more)[0]


def subsets(gradients, size):
    """Gradients of all batches of a size, each once."""
    return np.array(
        [gradients[list(chosen)].mean(axis=0) for chosen in itertools.combinations(range(len(gradients)), size)]
    )


# Batches


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_variance_is_what_all_subsets_have_and_what_batches_show(size):
    full = FEW.mean(axis=0)
    distances = ((subsets(FEW, size) - full) ** 2).sum(axis=1)
    found = row(FEW, size, batches=4000)
    assert found["gradient_variance_expected"] == pytest.approx(distances.mean(), rel=1e-12)
    assert found["gradient_variance"] == pytest.approx(distances.mean(), abs=4 * distances.std() / math.sqrt(4000))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_bias_is_zero_and_its_error_is_that_of_draws_without_replacement(size):
    full = FEW.mean(axis=0)
    relative = subsets(FEW, size) @ full / (full @ full) - 1
    found = row(FEW, size)
    assert found["bias_batches"] == 40_000 // size
    assert found["gradient_bias_se"] == pytest.approx(relative.std() / math.sqrt(40_000 // size), rel=0.03)
    assert abs(found["gradient_bias"]) < 4 * found["gradient_bias_se"]


def test_every_batch_holds_different_examples_and_no_two_batches_the_same_order():
    known = Known(np.random.default_rng(0).normal(size=(40, 3)))
    batch_statistics(known, [4, 20], batches=50, seed=0)
    small = np.concatenate(known.single[1:]).reshape(-1, 4)  # the first call is that for all examples
    large = np.array(known.together[1:])
    assert small.shape == (50, 4)
    assert large.shape == (50, 20)
    for batches in (small, large):
        assert all(len(set(batch)) == len(batch) for batch in batches.tolist())
        assert len({tuple(sorted(batch)) for batch in batches.tolist()}) > 45
        share = np.bincount(batches.ravel(), minlength=40) / 50 / batches.shape[1]  # each example as often as others
        assert np.abs(share - 1 / 40).max() < 4.5 * math.sqrt(1 / 40 / 50 / batches.shape[1])


@pytest.mark.parametrize("size", [1, 4, 64])
def test_signal_to_noise_is_the_full_gradient_over_the_scatter_of_batches(size):
    n, means = 1000, np.array([0.1, 0.5, 2.0])
    noise = np.random.default_rng(1).normal(size=(n, 3))
    gradients = means + (noise - noise.mean(axis=0)) / noise.std(axis=0)  # mean and standard deviation exact
    found = row(gradients, size, batches=4000)
    growth = math.sqrt(size * (n - 1) / (n - size))
    assert found["gradient_signal_to_noise"] == pytest.approx(0.5 * growth, rel=0.05)
    assert found["gradient_signal_to_noise_q25"] == pytest.approx(0.3 * growth, rel=0.05)
    assert found["gradient_signal_to_noise_q75"] == pytest.approx(1.25 * growth, rel=0.05)


def test_weights_that_few_examples_move_do_not_look_quiet_at_small_sizes():
    # Every weight is moved by 2 of 400 examples. 50 single examples would miss most of them, and show a ratio of 1.
    gradients = np.kron(np.ones((2, 1)), np.eye(200))
    share = 2 / 400
    found = row(gradients, 1, batches=50)
    assert found["batches"] == PASSES * 400
    assert found["gradient_signal_to_noise"] == pytest.approx(math.sqrt(share / (1 - share)), rel=0.1)


def test_dead_weights_are_counted_and_left_out():
    gradients = np.random.default_rng(2).normal(size=(50, 6)) + 1
    gradients[:, [1, 4]] = 0
    found, alive = row(gradients, 8), row(gradients[:, [0, 2, 3, 5]], 8)
    assert (found["dead_coordinates"], alive["dead_coordinates"]) == (2, 0)
    assert found["gradient_signal_to_noise"] == pytest.approx(alive["gradient_signal_to_noise"], rel=1e-12)
    assert found["gradient_signal_to_noise_q25"] == alive["gradient_signal_to_noise_q25"]


def test_cosine_is_to_the_full_gradient_and_leaves_out_batches_that_do_not_move():
    gradients = np.kron(np.ones((4, 1)), [[1.0, 0.0], [3.0, 0.0], [0.5, 0.0], [0.5, 0.0], [-0.5, 0.0], [0.0, 0.0]])
    found = row(gradients, 1, batches=6000)
    assert found["zero_gradients"] == pytest.approx(1000, abs=4 * math.sqrt(6000 * 1 / 6 * 5 / 6))
    assert found["cosine_mean"] == pytest.approx(0.6, abs=4 * math.sqrt(0.64 / 5000))  # four of five point along
    assert (found["cosine_q25"], found["cosine_q75"]) == (pytest.approx(1), pytest.approx(1))


def test_cosine_survives_a_gradient_far_smaller_than_the_mean():
    gradients = np.array([[1e9, 0.0], [1e9, 0.0], [3e-9, 4e-9], [3e-9, 4e-9]])
    assert row(gradients, 1)["cosine_q25"] == pytest.approx(0.6)


def test_the_coordinate_followed_is_that_of_the_largest_mean():
    found = row(FEW, 1, batches=4000)
    values = FEW[:, 0]
    assert found["coordinate"] == 0  # means 1.2, 0.7, 0
    assert (found["coordinate_min"], found["coordinate_max"]) == (-1.5, 4.0)
    assert found["coordinate_mean"] == pytest.approx(values.mean(), abs=4 * values.std() / math.sqrt(4000))
    assert found["coordinate_std"] == pytest.approx(values.std(), rel=0.05)


def test_rows_follow_the_seed_and_not_the_other_sizes_nor_the_memory():
    gradients = np.random.default_rng(3).normal(size=(60, 5)) + 0.2
    both = batch_statistics(Known(gradients), [4, 32], 100, seed=7)
    assert both == batch_statistics(Known(gradients), [4, 32], 100, seed=7)
    assert both[1:] == batch_statistics(Known(gradients), [32], 100, seed=7)
    assert both[0]["gradient_variance"] != row(gradients, 4, 100, seed=8)["gradient_variance"]
    for memory_bytes in (1, 3 * 5 * 8, 4 * 5 * 8, 17 * 5 * 8):
        little = batch_statistics(Known(gradients), [4, 32], 100, seed=7, memory_bytes=memory_bytes)
        for one, other in zip(little, both, strict=True):
            assert one | {"reason": 0} == pytest.approx(other | {"reason": 0}, rel=1e-12)


def test_no_chunk_of_gradients_is_larger_than_the_memory_allows():
    known = Known(np.random.default_rng(4).normal(size=(60, 5)))
    batch_statistics(known, [1, 2, 8, 16], 100, seed=0, memory_bytes=7 * 5 * 8)
    noise_scale(known, seed=0, groups=5, memory_bytes=7 * 5 * 8)
    assert max(len(indices) for indices in known.single) == 7


@pytest.mark.parametrize(
    ("sizes", "batches", "message"),
    [
        ([2, 5], 100, r"between 1 and 4, below the number of examples, not \[2, 5\]"),
        ([0], 100, "between 1 and 4"),
        ([2], 1, "at least 2 batches, not 1"),
    ],
)
def test_sizes_that_cannot_scatter_are_refused(sizes, batches, message):
    with pytest.raises(ValueError, match=message):
        batch_statistics(Known(FEW), sizes, batches, seed=0)


def test_what_cannot_be_said_is_null_with_its_reason():
    balanced = row([[1.0, 1.0], [-1.0, -1.0]] * 3, 2)
    assert (balanced["gradient_bias"], balanced["gradient_bias_se"], balanced["cosine_mean"]) == (None, None, None)
    assert balanced["gradient_variance_expected"] == pytest.approx(2 / 2 * 4 / 5)
    assert balanced["reason"] == "the full gradient is zero, so nothing can be measured relative to it"
    same = row([[1.0, 2.0]] * 6, 2)
    assert (same["gradient_variance"], same["gradient_signal_to_noise"], same["dead_coordinates"]) == (0, None, 2)
    assert same["reason"] == "every batch has the same gradient, so there is no noise"
    with np.errstate(invalid="ignore"):
        lost = row([[1.0, math.nan]] * 6, 2)
    assert (lost["gradient_variance"], lost["gradient_bias"], lost["gradient_signal_to_noise"]) == (None, None, None)
    assert lost["reason"] == "the gradient is not finite at these weights"
    assert row(FEW, 2)["reason"] is None


# Noise scale


def mccandlish(gradients):
    """The unbiased pair as the paper has it, for the batch sizes 1 and n."""
    n, small, large = len(gradients), (gradients**2).sum(axis=1).mean(), (gradients.mean(axis=0) ** 2).sum()
    return np.array([(small - large) / (1 - 1 / n), (n * large - small) / (n - 1)])


def test_noise_scale_by_hand():
    found = noise_scale(Known([[1.0], [1.0], [3.0], [3.0]]), seed=0, groups=2)
    assert found["covariance_trace"] == pytest.approx(4 / 3)
    assert found["gradient_norm_squared"] == pytest.approx(11 / 3)
    assert found["noise_scale"] == pytest.approx(4 / 11)
    assert found["examples"] == 4


def test_the_ends_of_the_interval_are_where_the_pair_is_t_standard_errors_from_zero():
    gradients = np.random.default_rng(5).normal(size=(30, 4)) + 1
    found = noise_scale(Known(gradients), seed=0, groups=30)  # each example a group
    whole = mccandlish(gradients)
    without = np.array([mccandlish(np.delete(gradients, i, axis=0)) for i in range(30)])
    covariance = 29 / 30 * (without - without.mean(axis=0)).T @ (without - without.mean(axis=0))
    for end in (found["noise_scale_ci_low"], found["noise_scale_ci_high"]):
        contrast = np.array([1, -end])
        assert abs(contrast @ whole) == pytest.approx(2.0452296 * math.sqrt(contrast @ covariance @ contrast), rel=1e-6)
    assert found["noise_scale"] == pytest.approx(whole[0] / whole[1])
    assert found["noise_scale_ci_low"] < found["noise_scale"] < found["noise_scale_ci_high"]
    assert found["reason"] is None
    again = noise_scale(Known(gradients), seed=1, groups=30)
    assert again == pytest.approx(found)  # the sums are taken in another order


def test_noise_scale_follows_the_seed_and_not_the_memory():
    known = regression(np.random.default_rng(6), 203, 1.0)[0]
    found = noise_scale(known, seed=0)
    assert noise_scale(known, seed=0) == found
    assert noise_scale(known, seed=1)["noise_scale_ci_low"] != found["noise_scale_ci_low"]
    for memory_bytes in (1, 7 * 10 * 8):
        little = noise_scale(known, seed=0, memory_bytes=memory_bytes)
        assert little["noise_scale_ci_high"] == pytest.approx(found["noise_scale_ci_high"], rel=1e-9)


@pytest.mark.parametrize("noise", [1.0, 10.0])
def test_the_pair_is_unbiased(noise):
    rng = np.random.default_rng(7)
    found, trace, norm = [], 0.0, 0.0
    for seed in range(1000):
        known, trace, norm = regression(rng, 100, noise)
        pair = noise_scale(known, seed, groups=2)
        found.append((pair["covariance_trace"], pair["gradient_norm_squared"]))
    errors = np.std(found, axis=0, ddof=1) / math.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - [trace, norm]) < 4 * errors).all()


@pytest.mark.parametrize("noise", [1.0, 3.0])  # noise scales of 21 and 101 examples
def test_the_interval_covers_as_often_as_it_says(noise):
    rng, covered = np.random.default_rng(8), 0
    for seed in range(1500):
        known, trace, norm = regression(rng, 403, noise)  # groups of 20 and 21
        found = noise_scale(known, seed)
        covered += found["noise_scale_ci_low"] <= trace / norm <= (found["noise_scale_ci_high"] or math.inf)
    assert 0.93 <= covered / 1500 <= 0.975


def test_a_gradient_lost_in_noise_has_no_noise_scale():
    found = noise_scale(Known([[1.0], [-1.0], [1.0], [-0.9]] * 10), seed=0)
    assert found["gradient_norm_squared"] < 0  # not clamped
    assert found["covariance_trace"] == pytest.approx(np.var([1, -1, 1, -0.9]) * 40 / 39)
    assert (found["noise_scale"], found["noise_scale_ci_low"], found["noise_scale_ci_high"]) == (None, None, None)
    assert found["reason"] == (
        "with 40 examples the gradient cannot be seen in its noise: the estimate of |G|² is not above zero"
    )


def test_an_interval_without_an_upper_end_says_why():
    gradients = np.random.default_rng(9).normal(size=(40, 5))
    gradients += 0.18 - gradients.mean(axis=0)  # |G|² = 0.162 is not far above tr(S)/n, about 0.125
    found = noise_scale(Known(gradients), seed=0)
    assert 0 < found["noise_scale_ci_low"] < found["noise_scale"]
    assert found["noise_scale_ci_high"] is None
    assert found["reason"] == "with 40 examples |G|² cannot be told apart from zero, so the interval has no upper end"


def test_without_noise_the_noise_scale_is_zero():
    found = noise_scale(Known([[1.0, 2.0]] * 8), seed=0, groups=4)
    assert (found["noise_scale"], found["noise_scale_ci_low"], found["noise_scale_ci_high"]) == (0, 0, 0)


def test_gradients_that_are_not_finite_have_no_noise_scale():
    found = noise_scale(Known([[1.0], [math.inf], [1.0], [1.0]]), seed=0, groups=2)
    assert found["reason"] == "the gradient is not finite at these weights"
    assert (found["gradient_norm_squared"], found["noise_scale"]) == (None, None)


@pytest.mark.parametrize(("n", "groups"), [(3, 2), (10, 1), (10, 11)])
def test_too_few_examples_or_groups_are_refused(n, groups):
    with pytest.raises(ValueError, match=f"at least 4 examples and from 2 groups to one per example, not {groups}"):
        noise_scale(Known([[1.0]] * n), seed=0, groups=groups)


# The model


def frozen_model(hidden, precision="float64"):
    data, made, engine = blobs(), recipe(model={"hidden": hidden}), engines.load("tensorflow")
    weights = engine.build(Plan(made, 16, 0, "fused"), data).get_weights()
    return engine.freeze(made, (data.x_train, data.y_train), 3, weights, precision, chunk=16), data


def test_single_gradients_of_a_model_are_those_of_batches_of_one():
    frozen, _ = frozen_model([8])
    single = frozen.example_gradients(np.arange(60))
    loop = np.stack([frozen.batch_gradient(np.array([i])) for i in range(60)])
    np.testing.assert_allclose(single, loop, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(frozen.batch_gradient(np.arange(60)), single.mean(axis=0), rtol=1e-12, atol=1e-14)


def test_gradients_of_softmax_regression_by_hand():
    frozen, data = frozen_model([])
    matrix, bias = frozen.weights[:12].reshape(4, 3), frozen.weights[12:]
    x = data.x_train.astype(np.float64)
    odds = np.exp(x @ matrix + bias)
    errors = odds / odds.sum(axis=1, keepdims=True) - np.eye(3)[data.y_train]
    expected = np.concatenate([np.einsum("if,ic->ifc", x, errors).reshape(60, 12), errors], axis=1)
    np.testing.assert_allclose(frozen.example_gradients(np.arange(60)), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("precision", "rounding"), [("float64", 1e-9), ("float32", 1e-3)])
def test_a_model_gives_what_its_single_gradients_give(precision, rounding):
    frozen, _ = frozen_model([8], precision)
    known = Known(frozen_model([8])[0].example_gradients(np.arange(60)))
    rows, expected = (batch_statistics(each, [1, 8, 32], 50, seed=0) for each in (frozen, known))
    for one, other in zip(rows, expected, strict=True):
        assert (one.pop("reason"), other.pop("reason")) == (None, None)
        assert one == pytest.approx(other, rel=rounding, abs=rounding)
    found = noise_scale(frozen, seed=0)
    assert found["noise_scale"] == pytest.approx(noise_scale(known, seed=0)["noise_scale"], rel=rounding)
