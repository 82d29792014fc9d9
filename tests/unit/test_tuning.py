"""The search for a learning rate: exact on a parabola, and through a real tuning job and the run that uses its rate."""

import math

import pytest
from small import ask, blobs, save, softmax

from batchscope.jobs import train as train_job
from batchscope.jobs import tune
from batchscope.tables import records
from batchscope.training import tuning

GRID = (0.01, 0.1, 1.0)


def searched(optimum, *, widen=3, refine=0, grid=GRID, seeds=(101, 102), fails=lambda rate: False):
    calls = []

    def train(asked):
        for rate, seed in asked:
            calls.append((rate, seed))
            failed = "diverged", None, None
            yield failed if fails(rate) else ("ok", math.log10(rate / optimum) ** 2 + 0.001 * (seed - 101), 2.0)

    trials = tuning.search(train, grid, seeds, widen, refine)
    assert [(trial.learning_rate, trial.seed) for trial in trials] == calls
    return trials


def rates(trials):
    return sorted({trial.learning_rate for trial in trials})


def test_a_grid_that_holds_the_best_rate_is_not_widened():
    trials = searched(0.12)
    assert rates(trials) == list(GRID)
    assert tuning.best(trials) == 0.1
    assert {trial.stage for trial in trials} == {"grid"}


@pytest.mark.parametrize(
    ("optimum", "tried", "best"),
    [(9.0, [*GRID, 10, 100], 10), (0.0012, [1e-4, 1e-3, *GRID], 1e-3), (1e9, [*GRID, 10, 100, 1000], 1000)],
)
def test_the_grid_widens_by_its_own_ratio_until_the_best_rate_is_inside_or_the_limit_is_reached(optimum, tried, best):
    trials = searched(optimum)
    assert rates(trials) == pytest.approx(tried)
    assert tuning.best(trials) == pytest.approx(best)
    assert len(trials) == 2 * len(tried)
    assert len({trial.learning_rate for trial in trials if trial.stage == "widened"}) == len(tried) - len(GRID)


def test_a_rate_that_fails_with_one_seed_cannot_win():
    trials = [tuning.Trial(0.1, 1, "grid", "ok", 0.5, 1.0), tuning.Trial(0.1, 2, "grid", "diverged", None, None)]
    assert tuning.best(trials) is None
    assert tuning.best([*trials, *(tuning.Trial(0.01, seed, "grid", "ok", 9.0, 1.0) for seed in (1, 2))]) == 0.01


def test_where_every_rate_fails_smaller_ones_are_tried():
    trials = searched(1.0, fails=lambda rate: rate > 0.002)
    assert rates(trials)[0] == pytest.approx(1e-4)
    assert tuning.best(trials) == pytest.approx(1e-3)


def test_no_widening_without_permission():
    assert rates(searched(1e9, widen=0)) == list(GRID)


def test_refining_tries_the_rates_half_way_to_the_neighbours_of_the_best():
    trials = searched(0.05, refine=1)
    assert rates(trials) == pytest.approx([0.01, math.sqrt(0.001), 0.1, math.sqrt(0.1), 1.0])
    assert tuning.best(trials) == pytest.approx(math.sqrt(0.001))
    assert {trial.learning_rate for trial in trials if trial.stage == "refined"} == {math.sqrt(0.001), math.sqrt(0.1)}


def test_refining_again_goes_on_from_the_best_rate_of_the_first_time():
    trials = searched(0.05, refine=2)
    assert rates(trials) == pytest.approx([10**-2, 10**-1.75, 10**-1.5, 10**-1.25, 10**-1, 10**-0.5, 1])
    assert tuning.best(trials) == pytest.approx(10**-1.25)


def test_below_a_rate_that_fails_refining_finds_how_far_one_can_go():
    trials = searched(1.0, refine=1, fails=lambda rate: rate > 0.5)
    assert tuning.best(trials) == pytest.approx(math.sqrt(0.1))


def test_at_the_edge_there_is_one_neighbour_to_refine_towards():
    assert rates(searched(1e9, widen=0, refine=1)) == pytest.approx([0.01, 0.1, math.sqrt(0.1), 1.0])


def test_a_run_uses_the_rate_that_its_tuning_chose(tmp_path):
    data = save(blobs(), tmp_path / "data.npz")
    made = softmax(tuning={"learning_rates": [0.0001, 0.01, 1.0], "seeds": [101, 102], "widen": 1, "refine": 1})
    outputs = {"trials": str(tmp_path / "trials.parquet"), "manifest": str(tmp_path / "tuning.json")}
    tune.tune_cell({name: [file] for name, file in data.items()}, ask(made, "16"), outputs)
    trials = records.read_table("trials", outputs["trials"]).to_pandas()
    assert trials.groupby("learning_rate").size().unique().tolist() == [2]
    means = trials.groupby("learning_rate")["selected_validation_loss"].mean()
    chosen = trials.loc[trials["chosen"], "learning_rate"].unique().tolist()
    assert chosen == [means.idxmin()]

    inputs = {**data, "trials": outputs["trials"], "tuning_manifest": outputs["manifest"]}
    names = ("run", "steps", "evaluations", "telemetry", "manifest", "weights")
    outputs = {name: str(tmp_path / name) for name in names}
    train_job.train_run(inputs, ask(made, "16", seed=1), outputs)
    assert records.read_table("run", outputs["run"])["learning_rate"].to_pylist() == chosen
    steps = records.read_table("steps", outputs["steps"])["learning_rate"].to_pylist()
    assert steps == pytest.approx(chosen * len(steps))
