"""Which batch size the advice names, when it calls a question decided, and how the decision tree is followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from batchscope.analysis import advice, choosing, decision_tree

SEEDS = (1, 2, 3, 4, 5)
PAIR = {"dataset": "digits", "recipe": "mlp"}
N_TRAIN = 1024
STUDY: dict[str, Any] = {
    "recipes": {"mlp": {"model": {"name": "mlp", "normalisation": "none"}, "micro_batch_size": None}},
    "measurements": None,
}
JITTER = np.array([-0.02, 0.01, 0.0, -0.01, 0.02])


def study(
    *,
    accuracy: Mapping[int, float] = {8: 0.90, 32: 0.95, 128: 0.93},
    updates: Mapping[int, float] = {8: 600, 32: 300, 128: 200},
    missed: Mapping[int, int] = {},
    outcomes: Mapping[tuple[int, int], str] = {},
    per_update: Mapping[int, float] | None = None,
    jitter: np.ndarray[Any, Any] = JITTER,
    budget_epochs: float = 40.0,
    curve: Sequence[float] = (2.3, 1.0, 0.5, 0.3),
    **summary: Any,
) -> dict[str, pd.DataFrame]:
    """Tables of one data set and recipe; runs of a size jitter around its number, each size in another order."""
    per_update = per_update or dict.fromkeys(accuracy, 0.001)
    runs, to_target, evaluations, timings, cells = [], [], [], [], []
    for turn, size in enumerate(accuracy):
        cell = {**PAIR, "batch_size": size, "full_batch": size == N_TRAIN}
        moved = np.roll(jitter, turn)
        per_epoch = N_TRAIN // size
        for place, seed in enumerate(SEEDS):
            outcome = outcomes.get((size, seed), "ok")
            ok = outcome == "ok"
            runs.append(
                {
                    **cell,
                    "seed": seed,
                    "outcome": outcome,
                    "updates_per_epoch": per_epoch,
                    "selected_epoch": 10.0 if ok else None,
                    "selected_test_accuracy": accuracy[size] + 0.1 * moved[place] if ok else None,
                    "allocator_peak_bytes": None,
                    "host_memory_peak_bytes": 1e6 * (50 + size) if ok else None,
                }
            )
            reached = ok and place >= missed.get(size, 0)
            for target, factor in ((0.5, 1.0), (0.8, 0.5)):
                done = updates[size] * factor * (1 + moved[place])
                to_target.append(
                    {
                        **cell,
                        "seed": seed,
                        "metric": "validation_loss",
                        "target": target,
                        "reached": reached,
                        "seconds": done * per_update[size] if reached else None,
                        "joules": None,
                        "budget_epochs": budget_epochs,
                    }
                )
            evaluations += [
                {**cell, "seed": seed, "evaluation": number, "train_loss": loss} for number, loss in enumerate(curve)
            ]
        timing = {"seconds_per_update": per_update[size], "outcome": "ok"}
        spread = {f"seconds_per_update_{part}": per_update[size] * by for part, by in (("q25", 0.99), ("q75", 1.01))}
        timings.append({**cell, **timing, **spread})
        cells.append(
            {
                **cell,
                "seconds_per_epoch": per_update[size] * per_epoch,
                "utilisation_percent": 90.0,
                "gap_mean": 0.01,
                "gap_ci_low": 0.0,
                "gap_ci_high": 0.02,
                "energy_per_epoch_joules": None,
                "energy_kind": None,
                "energy_reason": "GPU: no NVIDIA GPU on this machine",
                **{name: value.get(size) if isinstance(value, dict) else value for name, value in summary.items()},
            }
        )
    reached_frame = pd.DataFrame(to_target).astype({"seconds": "float64", "joules": "float64"})
    counted = reached_frame.groupby([*PAIR, "batch_size", "full_batch", "metric", "target"], sort=False)["reached"]
    targets = pd.DataFrame({"n": counted.size(), "n_reached": counted.sum()}).reset_index()
    numbers = ["selected_epoch", "selected_test_accuracy", "host_memory_peak_bytes", "allocator_peak_bytes"]
    return {
        "runs": pd.DataFrame(runs).astype(dict.fromkeys(numbers, "float64")),
        "evaluations": pd.DataFrame(evaluations),
        "timings": pd.DataFrame(timings),
        "summary": pd.DataFrame(cells).astype({"energy_per_epoch_joules": "float64"}),
        "targets": targets,
        "to_target": reached_frame,
    }


def goal(tables: Mapping[str, pd.DataFrame], name: str, resolved: Mapping[str, Any] = STUDY) -> pd.Series[Any]:
    found = advice.advice(tables, resolved).set_index("goal")
    assert list(found.index) == list(advice.GOALS)
    return found.loc[name]


# Time to target


def test_the_least_time_to_the_tightest_target_is_named_and_decided() -> None:
    row = goal(study(), "time_to_target")
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (128, True, "")
    assert row["value"] == pytest.approx(200e-3)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert "validation loss of 0.5" in row["words"]
    assert "the nearest is 32: 1.5 times as long" in row["words"]
    assert "At looser targets the lowest mean is that of 128 at 0.8" in row["words"]


def test_sizes_that_are_not_told_apart_leave_the_question_undecided() -> None:
    row = goal(study(updates={8: 600, 32: 201, 128: 200}), "time_to_target")
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (128, False, "32")
    assert "32 cannot be told apart from it, which does not make them equal" in row["words"]


def test_a_size_that_misses_the_target_in_one_run_cannot_win() -> None:
    row = goal(study(missed={128: 1}), "time_to_target")
    assert row["batch_size"] == 32
    assert "128 (4 of 5 runs)" in row["words"]


def test_a_size_whose_budget_ended_early_stays_open_and_one_that_had_long_enough_is_out() -> None:
    short = goal(study(missed={128: 5}, budget_epochs=1.0), "time_to_target")
    assert (short["batch_size"], short["decided"], short["not_told_apart"]) == (32, False, "128")
    assert "ended too early" in short["words"]
    # 400 epochs of 8 updates take 3.2 s, ten times what 32 needs.
    long = goal(study(missed={128: 5}, budget_epochs=400.0), "time_to_target")
    assert (long["batch_size"], long["decided"], long["not_told_apart"]) == (32, True, "")


def test_a_size_that_diverged_is_out() -> None:
    lost = {(128, seed): "diverged" for seed in SEEDS}
    row = goal(study(outcomes=lost, budget_epochs=1.0), "time_to_target")
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (32, True, "")
    assert "128 (0 of 5 runs)" in row["words"]


def test_no_size_is_named_where_none_reached_a_target_or_there_is_none() -> None:
    nowhere = study(missed={8: 1, 32: 1, 128: 1})
    assert "at none did all runs reach a target" in goal(nowhere, "time_to_target")["words"]
    without = study()
    for name in ("targets", "to_target"):
        without[name] = without[name].iloc[:0]
    row = goal(without, "time_to_target")
    assert pd.isna(row["batch_size"])
    assert pd.isna(row["value"])
    assert not row["decided"]
    assert "names no target" in row["words"]


def test_without_timings_nothing_is_said_about_seconds() -> None:
    tables = study()
    tables["to_target"]["seconds"] = np.nan
    row = goal(tables, "time_to_target")
    assert pd.isna(row["batch_size"])
    assert "need a timing" in row["words"]


def test_timings_that_are_not_known_that_well_tell_nothing_apart() -> None:
    tables = study(updates={8: 600, 32: 208, 128: 200}, jitter=JITTER / 100)
    assert goal(tables, "time_to_target")["decided"]
    tables["timings"]["seconds_per_update_q75"] = 1.05e-3
    row = goal(tables, "time_to_target")
    assert (row["decided"], row["not_told_apart"]) == (False, "32")


def test_where_higher_is_better_the_tightest_target_is_the_highest() -> None:
    imported = {"measurements": {"runs": {"better": "higher"}}, "recipes": {}}
    assert "of 0.8:" in goal(study(), "time_to_target", imported)["words"]


# Accuracy, memory, energy


def test_accuracy_names_the_best_mean_and_of_those_close_to_it_the_quickest() -> None:
    row = goal(
        study(
            accuracy={8: 0.80, 16: 0.949, 32: 0.95, 64: 0.949, 128: 0.949},
            updates=dict.fromkeys((8, 16, 32, 64, 128), 100.0),
        ),
        "test_accuracy",
    )
    assert (row["batch_size"], row["decided"], row["not_told_apart"]) == (32, False, "16; 64; 128")
    assert "16, 64 and 128 cannot be told apart from it" in row["words"]
    # 10 epochs of 32 updates against 10 of 8, at the same time per update
    assert "128 trains to its selected epoch in the least time: 80.0 ms on average" in row["words"]
    assert "4.0 times faster than 32" in row["words"]


def test_a_size_that_lost_a_run_is_not_compared_in_accuracy() -> None:
    row = goal(study(outcomes={(32, 3): "out_of_memory"}), "test_accuracy")
    assert row["batch_size"] == 128
    assert "not all runs have a test accuracy: 32" in row["words"]


def test_amounts_of_memory_that_never_vary_are_told_apart() -> None:
    row = goal(study(), "memory")
    assert (row["batch_size"], row["value"], row["unit"], row["decided"]) == (8, 58.0, "MB", True)
    assert "The largest, 128, takes 3.07 times as much" in row["words"]


def test_energy_is_that_to_the_target_else_per_epoch_else_a_reason() -> None:
    tables = study()
    assert "no NVIDIA GPU" in goal(tables, "energy")["words"]
    assert pd.isna(goal(tables, "energy")["value"])
    tables["summary"] = tables["summary"].assign(energy_per_epoch_joules=[9.0, 3.0, 6.0], energy_kind="GPU")
    row = goal(tables, "energy")
    assert (row["batch_size"], row["value"], row["decided"]) == (32, 3.0, False)
    assert "no interval" in row["words"]
    tables["to_target"]["joules"] = tables["to_target"]["seconds"] * 50
    row = goal(tables, "energy")
    assert (row["batch_size"], row["decided"], row["unit"]) == (128, True, "J")
    assert row["value"] == pytest.approx(10.0)


def test_one_size_is_never_called_decided() -> None:
    found = advice.advice(study(accuracy={32: 0.9}, updates={32: 100}), STUDY)
    assert not found.loc[found["goal"] != "decision_tree", "decided"].any()


# Choosing


@given(st.permutations([0, 1, 2, 3]), st.floats(0.1, 100))
def test_the_choice_depends_on_neither_the_order_nor_the_unit(order: list[int], scale: float) -> None:
    rng = np.random.default_rng(1)
    values = {(2**place, False): pd.Series(10.0 + place + rng.normal(0, 0.5, 5), index=SEEDS) for place in range(4)}
    sizes = list(values)
    plain = choosing.choose(values)
    moved = choosing.choose({sizes[place]: values[sizes[place]] * scale for place in order})
    assert plain is not None
    assert moved is not None
    assert (plain.best, plain.apart, plain.together) == (moved.best, moved.apart, moved.together)


def test_where_nothing_differs_a_question_is_seldom_called_decided() -> None:
    rng = np.random.default_rng(7)
    told = 0
    for _ in range(400):
        values = {(size, False): pd.Series(rng.normal(0, 1, 5), index=SEEDS) for size in (8, 16, 32, 64)}
        choice = choosing.choose(values)
        assert choice is not None
        told += bool(choice.apart)
    assert told / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_unpaired_runs_may_differ_in_number_and_pairing_adds_no_power() -> None:
    shared = pd.Series([1.0, 5.0, 9.0, 13.0], index=[1, 2, 3, 4])
    values = {(8, False): shared, (16, False): shared + pd.Series([0.9, 1.0, 1.1, 1.0], index=shared.index)}
    paired, alone = choosing.choose(values), choosing.choose(values, paired=False)
    assert paired is not None
    assert alone is not None
    assert paired.decided
    assert alone.together == ((16, False),)
    uneven = choosing.choose({(8, False): shared, (16, False): shared.iloc[:3] + 100}, paired=False)
    assert uneven is not None
    assert uneven.apart == ((16, False),)
    assert choosing.choose({(8, False): shared, (16, False): shared.iloc[:3] + 100}).missing == ((16, False),)  # type: ignore[union-attr]


def test_welch_agrees_with_scipy_and_needs_a_spread() -> None:
    one, other = np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 5.5, 9.0])
    assert choosing.welch_p(one, other) == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)
    assert choosing.welch_p(np.full(3, 0.1 + 0.2), np.array([0.3, 0.3])) is None
    assert choosing.welch_p(np.array([1.0]), other) is None


def test_neighbours_are_written_as_a_range() -> None:
    among = [(size, False) for size in (8, 16, 32, 64)] + [(1168, True)]
    assert choosing.span([among[1], among[2], among[3]], among) == "16 to 64"
    assert choosing.span([among[0], among[2]], among) == "8 and 32"
    assert choosing.span([among[0], among[2], among[3], among[4]], among) == "8 and 32 to 1,168 (full)"


# Pareto


def test_the_front_holds_what_nothing_beats_in_both_means() -> None:
    tables = study(
        accuracy={8: 0.95, 32: 0.95, 128: 0.90, 512: 0.89},
        updates=dict.fromkeys((8, 32, 128, 512), 1.0),
        per_update={8: 1e-3, 32: 1e-3, 128: 1e-3, 512: 9e-3},
    )
    front = advice.pareto(tables["runs"], tables["timings"]).set_index("batch_size")
    assert front["seconds_mean"].to_dict() == pytest.approx({8: 1.28, 32: 0.32, 128: 0.08, 512: 0.18})
    assert front["test_error_mean"].to_dict() == pytest.approx({8: 0.05, 32: 0.05, 128: 0.10, 512: 0.11})
    assert front.index[front["on_front"]].tolist() == [32, 128]


def test_a_size_without_a_timing_or_with_a_lost_run_is_not_on_the_front() -> None:
    tables = study(outcomes={(32, 1): "diverged"})
    front = advice.pareto(tables["runs"], tables["timings"][tables["timings"]["batch_size"] != 8])
    assert front["batch_size"].tolist() == [128]
    assert advice.pareto(tables["runs"], tables["timings"].iloc[:0]).empty


# The decision tree


def walk(tables: Mapping[str, pd.DataFrame], model: Mapping[str, Any] | None = None) -> list[tuple[str, str, str]]:
    resolved = {"recipes": {"mlp": {"model": model or {"normalisation": "none"}}}}
    found = advice.tree(tables, resolved)
    return list(zip(found["question"], found["answer"], found["next"], strict=True))


def test_a_calm_walk_stays_at_32() -> None:
    steps = walk(study(seconds_per_epoch=1.0))
    assert steps[0] == ("Start with batch size 32", "start there", "batch size 32")
    assert [answer for _, answer, _ in steps[1:]] == ["no"] * 5
    assert {following for *_, following in steps} == {"batch size 32"}
    row = goal(study(), "decision_tree")
    assert row["batch_size"] == 32
    assert "In test accuracy this agrees with the measurement" in row["words"]
    assert "In time to target this disagrees with the measurement: it is told apart as worse than 128" in row["words"]
    assert row["decided"]


def test_without_32_the_nearest_size_is_the_start() -> None:
    steps = walk(study(accuracy={4: 0.9, 24: 0.9, 512: 0.9}, updates=dict.fromkeys((4, 24, 512), 1.0)))
    assert steps[0][1:] == ("32 is not among them: start at the nearest", "batch size 24")


def test_instability_leads_up_to_the_largest_size_that_the_source_names() -> None:
    sizes = dict.fromkeys((8, 32, 64, 128, 256), 0.9)
    steps = walk(study(accuracy=sizes, updates=dict.fromkeys(sizes, 1.0), curve=(2.3, 0.5, 1.5, 0.4)))
    asked = [step for step in steps if "unstable" in step[0]]
    assert [step[2] for step in asked] == ["batch size 64", "batch size 128", "batch size 128"]
    assert "no larger size up to the 128" in asked[-1][1]


def test_the_number_and_the_threshold_that_decided_are_shown() -> None:
    measured = advice.tree(study(curve=(2.0, 1.0, 1.05, 0.9)), STUDY)["measured"].tolist()
    assert any(
        "4.5 % of its whole fall (ours: a run diverged, or the rise is over 10 %)" in words for words in measured
    )
    assert any(
        "(ours: slow is over 2.00 times)" in words or "(ours: slow is over 2.0 times)" in words for words in measured
    )


def test_slow_goes_up_where_the_processor_idles_and_stays_where_it_does_not() -> None:
    times = {8: 9.0, 32: 5.0, 128: 1.0}
    idle = walk(study(seconds_per_epoch=times, utilisation_percent=20.0))
    assert [step[2] for step in idle if "used little" in step[0]] == ["batch size 128"]
    busy = walk(study(seconds_per_epoch=times, utilisation_percent=95.0))
    assert [step[1:] for step in busy if "used little" in step[0]] == [("no: keep the size", "batch size 32")]
    unknown = walk(study(seconds_per_epoch=times, utilisation_percent=np.nan))
    assert [step[1] for step in unknown if "used little" in step[0]] == ["not measured: keep the size"]


def test_a_wide_gap_leads_down_but_not_below_what_the_source_names() -> None:
    sizes = dict.fromkeys((2, 8, 16, 32), 0.9)
    steps = walk(study(accuracy=sizes, updates=dict.fromkeys(sizes, 1.0), gap_mean=0.2))
    assert [step[2] for step in steps if "far below" in step[0]] == ["batch size 16", "batch size 8", "batch size 8"]


def test_batch_normalisation_wants_sixteen() -> None:
    sizes = dict.fromkeys((8, 16, 32), 0.9)
    tables = study(accuracy=sizes, updates=dict.fromkeys(sizes, 1.0), gap_mean=0.2)
    steps = walk(tables, {"normalisation": "batch"})
    assert [step[1:] for step in steps if "normalisation" in step[0]] == [("yes: at least 16", "batch size 16")]
    unknown = walk(tables, {"function": "model.py:build"})
    assert [step[1] for step in unknown if "normalisation" in step[0]] == ["not known: keep the size"]


def test_short_memory_leads_to_the_smallest_size_that_fits() -> None:
    steps = walk(study(outcomes={(32, 2): "out_of_memory", (128, 2): "out_of_memory"}))
    assert steps[-1][2] == "batch size 8"
    assert steps[-1][1].startswith("yes: the smallest size that fits, with gradients accumulated")


def test_measurements_without_curves_are_not_asked() -> None:
    tables = study()
    tables["evaluations"] = tables["evaluations"].iloc[:0]
    assert advice.tree(tables, STUDY).empty
    row = goal(tables, "decision_tree")
    assert pd.isna(row["batch_size"])
    assert row["words"].startswith("Not followed")


def test_where_the_tree_ends_among_sizes_that_are_not_told_apart_nothing_is_claimed() -> None:
    row = goal(study(accuracy={8: 0.9, 32: 0.95, 128: 0.951}, updates={8: 600, 32: 201, 128: 200}), "decision_tree")
    assert not row["decided"]
    assert "it cannot be told apart from 128" in row["words"]


def test_a_loss_that_never_falls_is_unstable() -> None:
    curve = pd.DataFrame({"seed": 1, "evaluation": [0, 1, 2], "train_loss": [1.0, 2.0, 3.0]})
    assert decision_tree.largest_rise(curve) == np.inf
