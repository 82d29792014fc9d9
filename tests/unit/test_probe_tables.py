"""What the probes say over sizes and seeds, and what claims read from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fake_claims import claim, verdict
from scipy import stats

from batchscope.claims.parts import NotMeasuredError
from batchscope.claims.readers import Evidence
from batchscope.probes.gradients import analysis as of_gradients
from batchscope.probes.sharpness import analysis as of_sharpness
from batchscope.probes.sharpness.spec import GAP
from batchscope.tables.metrics import METRICS
from batchscope.training.checkpoints import END, START, Checkpoint, of_rows

SIZES, SEEDS = (4, 16, 64), (1, 2, 3, 4, 5)
PAIR = ("digits", "mlp")


def run(size: int, seed: int) -> dict[str, object]:
    return {"dataset": "digits", "recipe": "mlp", "batch_size": size, "full_batch": False, "seed": seed}


def fell_to(train_loss: float) -> Checkpoint:
    return Checkpoint(train_loss=train_loss)


RUNS = pd.DataFrame([{**run(size, seed), "outcome": "ok"} for size in SIZES for seed in SEEDS])


def gradients(slope: float = -1.0, spread: float = 0.0) -> pd.DataFrame:
    """Variances that follow a power of the size drawn, with a slope that differs by `spread` between seeds."""
    rng = np.random.default_rng(0)
    rows = []
    for seed in SEEDS:
        own = slope + spread * rng.normal()
        for checkpoint, updates in ((START, 0), (END, 90)):
            for trained in (4, 64):
                for drawn in SIZES:
                    variance = (1 + seed + updates + trained) * drawn**own
                    row = {"gradient_variance": variance, "gradient_signal_to_noise": variance**-0.5}
                    at = {**checkpoint.columns, "updates": updates, "drawn_batch_size": drawn, "examples": 101}
                    row |= {"gradient_bias": 0.01 * seed}
                    rows.append({**run(trained, seed), **at, **row})
    return pd.DataFrame(rows)


def sharpness(kept: dict[Checkpoint, int], lost: tuple[tuple[int, int, Checkpoint], ...] = ()) -> pd.DataFrame:
    """Curvature that grows with the size and the updates, and a gap that falls with the size; the loss is 1/updates."""
    rows = [
        {
            **run(size, seed),
            **checkpoint.columns,
            "interpolated": checkpoint.interpolated,
            "updates": updates,
            "train_loss": 1 / updates,
            **dict.fromkeys(of_sharpness.MEASURES, size + 0.1 * seed + updates),
            "train_accuracy": 0.9,
            "test_accuracy": 0.8 + size / 1000,
        }
        for checkpoint, updates in kept.items()
        for size in SIZES
        for seed in SEEDS
        if (size, seed, checkpoint) not in lost
    ]
    return of_sharpness.with_gap(pd.DataFrame(rows))


def test_slopes_of_the_gradient_are_those_of_the_power_law() -> None:
    found = of_gradients.gradient_slopes(gradients())
    assert len(found) == 2 * 2 * 2, "trained sizes, checkpoints, metrics"
    assert set(found["n"]) == {5}
    assert found.loc[found["metric"] == "gradient_variance", "slope"].to_numpy() == pytest.approx(-1)
    assert found.loc[found["metric"] == "gradient_signal_to_noise", "slope"].to_numpy() == pytest.approx(0.5)
    spread = of_gradients.gradient_slopes(gradients(spread=0.1)).iloc[0]
    assert spread["ci_low"] < spread["slope"] < spread["ci_high"]


def test_sharpness_that_grows_with_the_size_has_a_rank_correlation_of_one_and_no_spread() -> None:
    found = of_sharpness.sharpness_trends(sharpness({END: 9})).set_index(["measure", "against"])
    for measure in of_sharpness.MEASURES:
        assert found.loc[(measure, "batch_size"), "correlation"] == 1
        assert found.loc[(measure, GAP), "correlation"] == -1
        assert np.isnan(found.loc[(measure, "batch_size"), "ci_low"]), "the same in every seed: no interval"


def test_two_sizes_have_no_rank_correlation() -> None:
    two = sharpness({END: 9}).query("batch_size > 4")
    assert of_sharpness.sharpness_trends(two)["n"].eq(0).all()


def test_runs_meet_at_the_lowest_training_loss_that_most_sizes_reached() -> None:
    kept = {fell_to(0.5): 3, fell_to(0.3): 6, fell_to(0.1): 8, END: 9}
    exact = Checkpoint(train_loss=0.3, interpolated=True)
    assert of_sharpness.lowest_common_loss(sharpness({**kept, exact: 5}), RUNS) == exact
    assert of_sharpness.lowest_common_loss(sharpness(kept, ((64, 2, fell_to(0.1)),)), RUNS) == fell_to(0.3)
    assert of_sharpness.lowest_common_loss(sharpness({END: 9}), RUNS) is None


def test_claims_on_gradients_are_about_the_sizes_drawn_at_the_start() -> None:
    found = Evidence({"gradients": gradients()}, PAIR).samples(METRICS["gradient_variance"])
    assert [size for size, _ in found.sizes] == list(SIZES)
    expected = [(1 + seed + 0 + 4) / 16 * 100 / 85 for seed in SEEDS]  # 16 of 101 examples, without replacement
    assert found.values[16, False].tolist() == pytest.approx(expected)
    assert found.note == (
        "with the weights of runs with batch size 4, before the first update; sizes are of batches drawn, corrected "
        "for draws without replacement"
    )
    assert Evidence({"gradients": gradients()}, PAIR).samples(METRICS["gradient_bias"]).values[4, False][0] == 0.01


def test_claims_on_sharpness_are_about_the_checkpoint_where_the_runs_meet() -> None:
    tables = {"runs": RUNS, "sharpness": sharpness({fell_to(0.3): 6, END: 9})}
    found = Evidence(tables, PAIR).samples(METRICS["lambda_max"])
    assert found.values[64, False].tolist() == pytest.approx([70.1, 70.2, 70.3, 70.4, 70.5])
    assert found.note == (
        "of the weights at the first evaluation at or below training loss 0.3, so at training losses from 0.17 to 0.17"
    )
    with pytest.raises(
        NotMeasuredError, match=r"fewer than 3 batch sizes .both of two. kept weights at a common training loss"
    ):
        Evidence({**tables, "sharpness": sharpness({END: 9})}, PAIR).samples(METRICS["lambda_max"])


def test_a_size_that_never_fell_so_far_is_left_out_and_named() -> None:
    more = pd.concat([RUNS, RUNS[RUNS["batch_size"] == 4].assign(batch_size=256)])
    found = Evidence({"runs": more, "sharpness": sharpness({fell_to(0.3): 6})}, PAIR).samples(METRICS["lambda_max"])
    assert [size for size, _ in found.sizes] == list(SIZES)
    assert found.note.endswith(", without 256, whose runs did not all fall so far")


def test_the_verdict_on_the_largest_eigenvalue_tells_what_other_measures_say() -> None:
    frame = sharpness({fell_to(0.3): 6})
    frame["adaptive_sharpness"] = 1 / frame["adaptive_sharpness"]
    tables = {"runs": RUNS, "sharpness": frame, "sharpness_trends": of_sharpness.sharpness_trends(frame)}
    note = Evidence(tables, PAIR).samples(METRICS["lambda_max"]).note
    assert note.endswith("(rank correlation with the batch size there: λ_max 1.00, φ 1.00, adaptive sharpness −1.00)")


def test_measures_are_interpolated_to_exactly_the_training_loss() -> None:
    # log(measure) and accuracy are straight lines over log(loss): so is what lies between two weights of a run.
    losses = {fell_to(0.3): 0.25, fell_to(0.1): 0.04, END: 0.01}
    content = {name: [loss**-1.5 for loss in losses.values()] for name in (*of_sharpness.MEASURES, "subset_loss")}
    content |= {
        f"{part}_accuracy": [0.5 - 0.1 * np.log(loss) for loss in losses.values()] for part in ("train", "test")
    }
    kept = pd.DataFrame([checkpoint.columns for checkpoint in losses])
    made = pd.DataFrame({**content, **kept, "train_loss": [*losses.values()], "updates": [10, 20, 30]})
    gone = ("lambda_residual", "trace_ci_low", "trace_ci_high")
    made = made.assign(epoch=made["updates"] / 10, **run(4, 1), lambda_products=20, **dict.fromkeys(gone, 1.0))
    found = of_sharpness.at_equal_loss(made)
    assert found.iloc[:3].equals(made.assign(interpolated=False))
    assert of_rows(found.iloc[3:]) == [Checkpoint(train_loss=0.1, interpolated=True)]
    (row,) = found.iloc[3:].to_dict("records")  # none at 0.3, above which there are no weights
    assert row["train_loss"] == 0.1
    for name in of_sharpness.MEASURES:
        assert row[name] == pytest.approx(0.1**-1.5)
    assert row["test_accuracy"] == pytest.approx(0.5 - 0.1 * np.log(0.1))
    assert row["lambda_products"] == 40
    assert row["updates"] == round(10 + 10 * np.log(0.25 / 0.1) / np.log(0.25 / 0.04))


def test_a_borrowed_timing_is_judged_once() -> None:
    timings = pd.DataFrame([{"dataset": "digits", "recipe": "mlp", "batch_size": 4, "timed_recipe": "other"}])
    for metric in ("seconds_per_update", "memory_bytes"):
        with pytest.raises(NotMeasuredError, match="its timings are those of other, where they are judged"):
            Evidence({"runs": RUNS, "timings": timings}, PAIR).samples(METRICS[metric])


def test_without_a_probe_nothing_was_measured() -> None:
    for tables in ({}, {"gradients": gradients().iloc[:0]}):
        with pytest.raises(NotMeasuredError, match="the study has no probe of gradients"):
            Evidence(tables, PAIR).samples(METRICS["gradient_bias"])


def overheads(share: float, half: float, n_sizes: int = 6) -> dict[str, pd.DataFrame]:
    """A fused loop whose fixed cost is `share` of an update of 4, with an interval of `half` to both sides."""
    row = {**run(4, 1), "overhead_share": share, "reason": ""}
    row |= {"overhead_share_ci_low": share - half, "overhead_share_ci_high": share + half}
    costs = {"dataset": "digits", "recipe": "mlp", "loop": "fused", "n_sizes": n_sizes}
    return {"overheads": pd.DataFrame([row]), "update_costs": pd.DataFrame([costs])}


@pytest.mark.parametrize(("share", "expected"), [(0.8, "supported"), (0.52, "undecided"), (0.2, "contradicted")])
def test_a_share_of_a_fit_is_judged_by_the_interval_of_the_fit(share: float, expected: str) -> None:
    test = {"kind": "value", "batch_size": "smallest", "at_least": 0.5}
    row = verdict(claim("overhead_share", test, None), {"runs": RUNS, **overheads(share, 0.1)})
    assert row["verdict"] == expected
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((share - 0.1, share + 0.1))
    error = 0.1 / stats.t.ppf(0.975, 4)
    if expected == "supported":
        assert row["p"] == pytest.approx(2 * stats.t.sf((share - 0.5) / error, 4)), "either side could have been shown"
