"""The TensorFlow engine: Keras models and optimisers, trained in one compiled call per epoch or by `model.fit`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.training import plans, recipes
from batchscope.training.engines import Part, Steps
from batchscope.training.engines.keras import models, user_models
from batchscope.training.engines.keras.framework import keras, tf
from batchscope.training.engines.tensorflow import loops, settings
from batchscope.training.engines.tensorflow.losses import added_losses, check_added_losses
from batchscope.training.engines.tensorflow.memory import memory_errors
from batchscope.training.plans import Plan

EXAMPLES_TRIED = 32  # examples for a look at the untrained model: what it returns, which weight moves most

configure = settings.configure

_OPTIMISERS = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}

Tensor = Any  # TensorFlow has no usable type stubs
Gradient = Callable[[Tensor, Tensor], tuple[Tensor, list[Tensor]]]
Loop = Callable[[NDArray[np.int32], NDArray[np.float32]], Steps]


@dataclass(frozen=True)
class Network:
    """A model, its optimiser, and whether it returns logits or probabilities."""

    model: keras.Model
    optimiser: keras.optimizers.Optimizer
    from_logits: bool

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy per example, shape (n,)."""
        return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=self.from_logits)


@dataclass(frozen=True)
class Trainer:
    """A model and the compiled functions that train and evaluate it on data held on the device."""

    model: keras.Model
    n_parameters: int
    steps: Loop
    evaluation: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    losses: Callable[[Tensor, Tensor], Tensor]
    parts: Mapping[Part, tuple[Tensor, Tensor]]
    tracked_weight: tuple[int, ...]


@memory_errors()
def prepare(plan: Plan, data: Data) -> None:
    """Build a user's model for the other seed that `build` compares it with, so that no clock of a run contains it."""
    if "function" in plan.recipe["model"]:
        user_models.other_digests(plan.recipe["model"], data.x_train.shape[1:], data.meta["classes"])


def build(plan: Plan, data: Data) -> Trainer:
    """Build and compile the plan's model, with all parts of the data on the device.

    Raises:
        OutOfMemoryError: model or data do not fit.
    """
    with memory_errors():
        model = _model(plan, data)
        optimiser = _optimiser(plan.recipe, plan.batch_size)
        optimiser.build(model.trainable_variables)
        network = Network(model, optimiser, plan.recipe["model"].get("outputs", "logits") == "logits")
        parts: dict[Part, tuple[Tensor, Tensor]] = {
            "train": (tf.constant(data.x_train), tf.constant(data.y_train)),
            "validation": (tf.constant(data.x_validation), tf.constant(data.y_validation)),
            "test": (tf.constant(data.x_test), tf.constant(data.y_test)),
        }
        if "function" in plan.recipe["model"]:
            tried, name = parts["train"][0][:EXAMPLES_TRIED], plan.recipe["model"]["function"]
            with settings.kept(name):
                user_models.check_outputs(plan.recipe["model"], np.asarray(model(tried, training=False)))
                check_added_losses(model, tried[: EXAMPLES_TRIED // 2], name)
        fused, tracked = plan.loop == "fused", _tracked(network, plan, parts["train"])
        return Trainer(
            model=model,
            n_parameters=int(sum(np.prod(variable.shape) for variable in model.trainable_variables)),
            steps=_fused_steps(network, plan, parts["train"], tracked) if fused else _fit_steps(network, plan, data),
            evaluation=_evaluation(network, plan.recipe["evaluation_batch_size"], data.x_train.shape[1:]),
            losses=network.losses,
            parts=parts,
            tracked_weight=tracked,
        )


def train(trainer: Trainer, order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
    """Make len(rates) updates; update i trains on the i-th batch of `order`. Stops after a loss that is not finite.

    With empty arguments it compiles without changing a weight.

    Raises:
        OutOfMemoryError: a batch does not fit.
    """
    with memory_errors():
        return trainer.steps(order, rates)


def evaluate(trainer: Trainer, part: Part) -> tuple[float, float]:
    """Mean loss (nat, penalties of the model included) and accuracy of a part, in inference mode."""
    with memory_errors():
        loss, accuracy = trainer.evaluation(*trainer.parts[part])
        return float(loss), float(accuracy)


def batch_losses(
    trainer: Trainer, part: Part, batches: NDArray[np.int32], *, batch_statistics: bool
) -> NDArray[np.float64]:
    """Mean loss of each batch of a part (nat, penalties of the model included), shape (K,); no variable changes.

    In inference mode, so without dropout or other noise, except that with `batch_statistics` every trainable batch
    normalisation uses the statistics of the batch, as it does in training.

    Args:
        trainer: what `build` gave.
        part: of the data.
        batches: indices of the examples of each batch, shape (K, B).
        batch_statistics: normalise with the batch's own statistics, and not with the stored ones.

    Raises:
        OutOfMemoryError: a batch does not fit.
    """
    x, y = trainer.parts[part]

    def loss(batch: Tensor) -> Tensor:
        outputs = trainer.model(tf.gather(x, batch), training=False)
        return tf.add_n([tf.reduce_mean(trainer.losses(outputs, tf.gather(y, batch))), *added_losses(trainer.model)])

    run = tf.function(lambda rows: tf.map_fn(loss, rows, tf.float32, parallel_iterations=1), autograph=False)
    before = get_weights(trainer)
    try:
        with memory_errors(), _batch_statistics(trainer.model if batch_statistics else None):
            return np.asarray(run(tf.constant(batches)), dtype=np.float64)
    finally:
        set_weights(trainer, before)  # batch normalisation moves its stored statistics


@memory_errors()
def get_weights(trainer: Trainer) -> list[NDArray[Any]]:
    """Copies of all variables of the model, trainable or not.

    Raises:
        OutOfMemoryError: the copies do not fit.
    """
    return [variable.numpy() for variable in trainer.model.variables]


@memory_errors()
def set_weights(trainer: Trainer, weights: list[NDArray[Any]]) -> None:
    """Put back what `get_weights` returned."""
    for variable, value in zip(trainer.model.variables, weights, strict=True):
        variable.assign(value)


def allocator_peak_bytes(device: str) -> tuple[int | None, str]:
    """Peak of the device allocator since the process started, or None and the reason."""
    if device != "gpu":
        return None, "TensorFlow's CPU allocator keeps no statistics; see host_memory_peak_bytes"
    try:
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"]), ""
    except ValueError as error:  # as with the allocator that TF_GPU_ALLOCATOR may name
        return None, f"this allocator of the GPU keeps no statistics ({error})"


fit_seconds = memory_errors()(loops.fit_seconds)
batch_reader = memory_errors()(loops.batch_reader)


@contextlib.contextmanager
def _batch_statistics(model: keras.Model | None) -> Iterator[None]:
    """Within the block the batch normalisations of `model` are in training mode, whatever mode the model is in."""
    layers = model._flatten_layers() if model is not None else []
    found = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]

    def in_training_mode(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda *args, **options: call(*args, **(options | {"training": True}))

    for layer in found:
        layer.call = in_training_mode(layer.call)
    try:
        yield
    finally:
        for layer in found:
            del layer.call  # the method of the class shows again


def _model(plan: Plan, data: Data) -> keras.Model:
    """The plan's model with its first weights, and with random layers that draw from streams of their own."""
    recipe, shape, classes = plan.recipe, data.x_train.shape[1:], data.meta["classes"]
    model = models.build(recipe, shape, classes, plans.derive_seed(plan.seed, "weights"))
    if "function" in recipe["model"]:
        user_models.check_seeds(recipe["model"], shape, classes, model)
    _seed_layers(model, plans.derive_seed(plan.seed, "dropout"))
    return model


def _seed_layers(model: keras.Model, seed: int) -> None:
    """Give every random layer its own stream, apart from the one that drew the weights, whatever seed it was given."""
    keras.utils.set_random_seed(seed)  # for layers that draw from Keras' global generator
    streams = (stream for layer in model._flatten_layers() for stream in layer._seed_generators)
    for number, stream in enumerate(streams):
        stream.state.assign(np.array([seed, number], dtype="uint32"))


def _optimiser(recipe: Mapping[str, Any], batch_size: int) -> keras.optimizers.Optimizer:
    options = recipes.scaled_optimiser(recipe, batch_size)
    return _OPTIMISERS[options.pop("name")](**options)


def _gradient(network: Network, variables: list[Tensor]) -> Gradient:
    """Function of (examples, labels) that gives the mean loss and its gradient in training mode.

    A model of one's own whose `call` takes no `training` is called without it, as `model.fit` calls it.
    """
    model = network.model
    mode = {"training": True} if model._call_has_training_arg else {}

    def gradient(x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        with tf.GradientTape() as tape:
            outputs = model(x, **mode)
            loss = tf.add_n([tf.reduce_mean(network.losses(outputs, y)), *added_losses(model)])
        return loss, [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables, unconnected_gradients="zero")]

    return gradient


def _accumulated(gradient: Gradient, variables: list[Tensor], micro: int) -> Gradient:
    """The same as `gradient`, made in passes of `micro` examples, each weighted by its share of the batch."""

    def accumulated(x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        size = tf.shape(y)[0]

        def add(start: Tensor, loss: Tensor, total: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
            stop = tf.minimum(start + micro, size)
            share = tf.cast(stop - start, tf.float32) / tf.cast(size, tf.float32)
            part_loss, part = gradient(x[start:stop], y[start:stop])
            return stop, loss + share * part_loss, [a + share * b for a, b in zip(total, part, strict=True)]

        zeros = [tf.zeros_like(variable) for variable in variables]
        _, loss, total = tf.while_loop(
            lambda start, *_: start < size, add, (tf.constant(0), tf.constant(0.0), zeros), parallel_iterations=1
        )
        return loss, total

    return accumulated


def _tracked(network: Network, plan: Plan, examples: tuple[Tensor, Tensor]) -> tuple[int, ...]:
    """Index of the weight to follow, found in inference mode, so that no statistic and no stream of dropout moves."""
    x, y = (array[:EXAMPLES_TRIED] for array in examples)  # few: this may not set the peak of memory
    first = network.model.trainable_variables[0].value
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(network.losses(network.model(x, training=False), y))
    gradient = tape.gradient(loss, first, unconnected_gradients="zero")
    dense = tf.convert_to_tensor(gradient)  # that of an embedding is sparse
    return plans.tracked_index(plan.recipe, dense.numpy())


def _fused_steps(network: Network, plan: Plan, examples: tuple[Tensor, Tensor], tracked: tuple[int, ...]) -> Loop:
    """One TensorFlow graph that loops over the batches, so that Python is left once per call and not once per update.

    Whole batches and the last, short one have loops of their own: where the graph knows the size of a batch, an update
    of a small network takes a quarter less time.
    """
    x, y = examples
    optimiser, variables = network.optimiser, [variable.value for variable in network.model.trainable_variables]
    gradient = _gradient(network, variables)
    if plan.recipe["micro_batch_size"] is not None:
        gradient = _accumulated(gradient, variables, plan.recipe["micro_batch_size"])

    def update(batch: Tensor, rate: Tensor) -> Tensor:
        loss, gradients = gradient(tf.gather(x, batch), tf.gather(y, batch))
        optimiser.learning_rate.assign(rate)
        optimiser.apply(gradients, network.model.trainable_variables)
        return tf.stack([loss, tf.linalg.global_norm(gradients), variables[0][tracked]])

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)],
        autograph=False,
    )
    def run(order: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
        def until(end: Tensor, batch: Callable[[Tensor], Tensor], state: Any) -> Any:
            def body(i: Tensor, finite: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                row = update(batch(i * plan.batch_size), rates[i])
                return i + 1, tf.math.is_finite(row[0]), seen.write(i, row)

            return tf.while_loop(lambda i, finite, _: (i < end) & finite, body, state, parallel_iterations=1)

        seen = tf.TensorArray(tf.float32, size=tf.size(rates), element_shape=[3])
        state = (tf.constant(0), tf.constant(True), seen)
        whole = tf.minimum(tf.size(rates), tf.size(order) // plan.batch_size)
        state = until(whole, lambda start: tf.slice(order, [start], [plan.batch_size]), state)
        done, _, seen = until(tf.size(rates), lambda start: order[start:], state)
        return done, seen.stack()

    def steps(order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
        done, seen = run(order, rates)
        return Steps(*np.asarray(seen, dtype=np.float64)[: int(done)].T)

    return steps


class _StepLosses(keras.callbacks.Callback):
    """Collects each update's own loss (Keras reports running means) and sets each update's learning rate."""

    def __init__(self, rates: NDArray[np.float32]) -> None:
        super().__init__()
        self.rates = rates
        self.varies = bool(np.ptp(rates))
        self.losses: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.reset_metrics()
        if self.varies:
            self.model.optimizer.learning_rate.assign(self.rates[batch])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.losses.append(float(logs["loss"]))
        if not np.isfinite(self.losses[-1]):
            self.model.stop_training = True


def _fit_steps(network: Network, plan: Plan, data: Data) -> Loop:
    """Keras' own training loop over the same batches: what most people run, and the reference for the fused loop."""
    model, optimiser, size = network.model, network.optimiser, plan.batch_size
    model.compile(optimizer=optimiser, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=network.from_logits))

    def steps(order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
        if not len(rates):
            _compile_fit(network, data.x_train[:size], data.y_train[:size])
            return Steps(*np.empty((3, 0)))
        optimiser.learning_rate.assign(rates[0])
        seen = _StepLosses(rates)
        model.fit(
            data.x_train[order],
            data.y_train[order],
            batch_size=size,
            shuffle=False,
            verbose=0,
            callbacks=[seen],
        )
        losses = np.array(seen.losses)
        return Steps(losses, np.full_like(losses, np.nan), np.full_like(losses, np.nan))

    return steps


def _compile_fit(network: Network, x: NDArray[np.float32], y: NDArray[np.int32]) -> None:
    """Make `model.fit` compile by one update, and undo the update."""
    variables = [*network.model.variables, *network.optimiser.variables]
    before = [variable.numpy() for variable in variables]
    network.model.fit(x, y, batch_size=len(y), shuffle=False, verbose=0)
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


def _evaluation(
    network: Network, size: int, shape: tuple[int, ...]
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Function of all examples, of `shape` each, and labels of a part that gives its loss and accuracy.

    It goes through them in passes of `size` examples. What the model adds to the loss of a pass because of its examples
    counts as often as the pass has examples; what it adds because of its weights is the same in all.
    """
    model = network.model

    @tf.function(autograph=False)
    def run(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        n = tf.size(y)

        def add(start: Tensor, loss: Tensor, correct: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            stop = tf.minimum(start + size, n)
            outputs, labels = model(x[start:stop], training=False), y[start:stop]
            loss += tf.reduce_sum(tf.cast(network.losses(outputs, labels), tf.float64))
            for added in added_losses(model, of="examples"):
                loss += tf.cast(stop - start, tf.float64) * tf.cast(added, tf.float64)
            hit = tf.argmax(outputs, axis=-1, output_type=tf.int32) == labels
            return stop, loss, correct + tf.math.count_nonzero(hit)

        nothing = (tf.constant(0), tf.constant(0.0, tf.float64), tf.constant(0, tf.int64))
        _, loss, correct = tf.while_loop(lambda i, *_: i < n, add, nothing, parallel_iterations=1)
        penalty = tf.cast(tf.add_n([tf.constant(0.0), *added_losses(model, of="weights")]), tf.float64)
        return loss / tf.cast(n, tf.float64) + penalty, correct / tf.cast(n, tf.int64)

    return run.get_concrete_function(tf.TensorSpec([None, *shape], tf.float32), tf.TensorSpec([None], tf.int32))
