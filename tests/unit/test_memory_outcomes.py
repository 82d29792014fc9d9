"""Memory that ends: before the first evaluation, in copies of weights, in tuning; and what the outcome says."""

import pytest
from small import ask, blobs, recipe, save, softmax

from batchscope.jobs import train as train_job
from batchscope.jobs import tune
from batchscope.tables import records
from batchscope.training import loop, tuning
from batchscope.training.engines import OutOfMemoryError
from batchscope.training.engines.tensorflow.framework import tf
from batchscope.training.engines.tensorflow.memory import memory_errors
from batchscope.training.plans import Plan


def train(engine, made):
    return loop.train(engine, blobs(), Plan(made, 16, 1, "fused"), step_records=10)


@pytest.fixture
def data_file(tmp_path):
    return save(blobs(), tmp_path / "data.npz")


@pytest.mark.parametrize("width", [10**12, 2**61, 10**19], ids=["too large", "more than 64 bits", "no 64-bit integer"])
def test_sizes_beyond_memory_are_an_outcome_that_says_what_could_not_be_allocated(engine, width):
    result = train(engine, recipe(model={"hidden": [width]}))
    assert (result.outcome, result.evaluations, result.steps, result.n_parameters) == ("out_of_memory", [], [], None)
    assert set(result.metrics.values()) == {None}
    assert str(width) in result.outcome_detail or "out-of-range integer" in result.outcome_detail
    assert "{{" not in result.outcome_detail
    assert "/job:" not in result.outcome_detail


@pytest.mark.usefixtures("engine")
def test_a_run_and_its_tuning_without_any_evaluation_are_rows(tmp_path, data_file):
    tuned = {"trials": str(tmp_path / "trials.parquet"), "manifest": str(tmp_path / "tuning.json")}
    made = recipe(
        model={"hidden": [2**61]},  # TensorFlow waits for ten seconds before it refuses less than that
        tuning={"learning_rates": [0.01, 0.1, 1.0], "seeds": [8, 9], "widen": 3, "refine": 1},
    )
    tune.tune_cell({name: [file] for name, file in data_file.items()}, ask(made, "16", "tensorflow"), tuned)
    (trial,) = records.read_table("trials", tuned["trials"]).to_pylist()
    assert (trial["learning_rate"], trial["seed"], trial["outcome"], trial["chosen"]) == (
        0.01,
        8,
        "out_of_memory",
        True,
    )
    inputs = {**data_file, "trials": tuned["trials"], "tuning_manifest": tuned["manifest"]}
    names = ("run", "steps", "evaluations", "telemetry", "weights", "manifest")
    wanted = {name: str(tmp_path / name) for name in names}
    train_job.train_run(inputs, ask(made, "16", "tensorflow", seed=1), wanted)
    (run,) = records.read_table("run", wanted["run"]).to_pylist()
    assert (run["outcome"], run["learning_rate"], run["step_loss_noise"]) == ("out_of_memory", 0.01, None)
    assert "[4,2305843009213693952]" in run["outcome_detail"]
    assert records.read_table("evaluations", wanted["evaluations"]).num_rows == 0


def test_tuning_ends_where_memory_ends_and_keeps_the_trials_before():
    def train(asked):
        for rate, seed in asked:
            yield ("ok", rate, 1.0) if (rate, seed) != (0.1, 2) else ("out_of_memory", None, None)

    trials = tuning.search(train, [0.01, 0.1, 1.0], [1, 2], widen=3, refine=2)
    assert [(t.learning_rate, t.seed, t.outcome) for t in trials] == [
        (0.01, 1, "ok"),
        (0.01, 2, "ok"),
        (0.1, 1, "ok"),
        (0.1, 2, "out_of_memory"),
    ]
    assert tuning.best(trials) == 0.01


class LittleRoom:
    """An engine, and its trainer, without room for the copy of weights number `fails`, or the evaluation `late`."""

    def __init__(self, engine, *, fails=0, late=0):
        self._has, self.fails, self.late, self.copies, self.looks = engine, fails, late, 0, 0

    def __getattr__(self, name):
        return getattr(self._has, name)

    def build(self, plan, data):
        self._has = self._has.build(plan, data)
        return self

    def get_weights(self):
        self.copies += 1
        if self.copies == self.fails:
            raise MemoryError
        return self._has.get_weights()

    def evaluate(self, part):
        self.looks += 1
        if self.looks == self.late:
            raise OutOfMemoryError("no room for the batch")
        return self._has.evaluate(part)


@pytest.mark.parametrize("snapshots", [[], [0.5]], ids=["best", "snapshot"])
def test_a_copy_of_weights_that_does_not_fit_keeps_the_evaluations_before_it(reference, snapshots):
    made, fails = softmax(snapshots={"at": snapshots}), 3 + len(snapshots)
    whole = train(reference, made)
    result = train(LittleRoom(reference, fails=fails), made)
    assert (result.outcome, result.outcome_detail) == ("out_of_memory", "the host has too little memory")
    kept = [row["validation_loss"] for row in result.evaluations]
    assert kept == [row["validation_loss"] for row in whole.evaluations[: len(kept)]]
    assert len(kept) == 3
    assert result.steps[-1]["update"] == result.updates == 8


def test_an_evaluation_that_does_not_fit_keeps_those_before_it(reference):
    result = train(LittleRoom(reference, late=6), softmax())
    assert (result.outcome, len(result.evaluations)) == ("out_of_memory", 2)
    assert result.metrics["last_train_loss"] is None


GRAPH = (
    "Graph execution error:\n\nDetected at node while/dense/MatMul defined at (most recent call last):\n"
    '  File "train.py", line 1, in <module>\n\nOOM when allocating tensor with shape[8,99] and type float on '
    "/job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc\n\t [[{{node while/dense/MatMul}}]] [Op:run]"
)
ERRORS = {
    "graph": (
        tf.errors.ResourceExhaustedError(None, None, GRAPH),
        "OOM when allocating tensor with shape[8,99] and type float",
    ),
    "copy": (
        tf.errors.InternalError(
            None,
            None,
            "Failed copying input tensor from /job:localhost/replica:0/task:0/device:CPU:0 to "
            "/job:localhost/replica:0/task:0/device:GPU:0 in order to run _EagerConst: Dst tensor is not initialized.",
        ),
        "Failed copying input tensor from /job:localhost/replica:0/task:0/device:CPU:0 to "
        "/job:localhost/replica:0/task:0/device:GPU:0 in order to run _EagerConst: Dst tensor is not initialized.",
    ),
    "host": (MemoryError("Unable to allocate 7.11 PiB"), "Unable to allocate 7.11 PiB"),
}


@pytest.mark.parametrize(("error", "says"), ERRORS.values(), ids=ERRORS)
def test_every_end_of_memory_says_what_could_not_be_allocated(error, says):
    with pytest.raises(OutOfMemoryError) as caught, memory_errors():
        raise error
    assert str(caught.value) == says


@pytest.mark.parametrize("error", [ValueError("no such width"), tf.errors.InvalidArgumentError(None, None, "shapes")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as caught, memory_errors():
        raise error
    assert caught.value is error
