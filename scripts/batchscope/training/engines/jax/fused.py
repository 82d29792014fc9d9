"""The fused loop: one XLA program for all updates of a call; and one that only reads the same batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from batchscope.training import recipes
from batchscope.training.engines import Loop, Steps
from batchscope.training.engines.jax.framework import Array, jax, jnp, lax
from batchscope.training.engines.keras.losses import Network, added_losses
from batchscope.training.plans import Plan

Arrays: TypeAlias = "list[Array]"


class State(NamedTuple):
    """All that an update changes: the values of the variables of a model and of its optimizer, in Keras' order."""

    weights: Arrays
    statistics: Arrays  # what is not trained: moving means of batch normalization, streams of dropout
    optimizer: Arrays


Gradient = Callable[[State, Array, Array], tuple[Array, Arrays, Arrays]]
Update = Callable[[State, Array, Array, Array, Array], tuple[State, Array]]


def state_of(network: Network) -> State:
    """The state of a network at present."""
    return _read(_variables(network))


def _variables(network: Network) -> tuple[list[Any], ...]:
    """The variables of a network in the order of a `State`. Keras gathers them anew whenever they are asked for."""
    return network.model.trainable_variables, network.model.non_trainable_variables, network.optimizer.variables


def _read(variables: tuple[list[Any], ...]) -> State:
    # Past Keras' checks, here and below: together they take as long as ten updates of a small network.
    return State(*([variable._value for variable in each] for each in variables))


def _write(variables: tuple[list[Any], ...], state: State) -> None:
    for each, values in zip(variables, state, strict=True):
        for variable, value in zip(each, values, strict=True):
            variable._value = value


def update(network: Network, micro: int | None) -> Update:
    """Function of (state, examples, labels, rate, index of the tracked weight) that makes one update in training mode.

    It gives the next state, and the loss, the norm of the gradient and the tracked weight, shape (3,). With `micro` the
    gradient is made in passes of that many examples.
    """
    optimizer = network.optimizer
    place = next(i for i, variable in enumerate(optimizer.variables) if variable is optimizer._learning_rate)
    gradient = _gradient(network)
    if micro is not None:
        gradient = _accumulated(gradient, micro)

    def made(state: State, x: Array, y: Array, rate: Array, tracked: Array) -> tuple[State, Array]:
        loss, gradients, statistics = gradient(state, x, y)
        own = [rate if index == place else value for index, value in enumerate(state.optimizer)]
        weights, own = optimizer.stateless_apply(own, gradients, state.weights)
        # Behind the barrier, or squares that an optimizer needs, too, would be made once, kept and read again.
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(array)) for array in lax.optimization_barrier(gradients)))
        weight = weights[0].at[tuple(tracked)].get(mode="promise_in_bounds")
        return State(weights, statistics, own), jnp.stack([loss, norm, weight])

    return made


def program(network: Network, plan: Plan) -> Callable[..., tuple[State, Array]]:
    """The compiled updates of a call of `train`; see `_program`, whose first two arguments are given.

    The data are arguments: as constants they would be compiled. So is the tracked weight, which differs between seeds.
    The state is donated: the next one is written in its place, without the allocation of every array in every call.
    """
    one, size = update(network, plan.recipe["micro_batch_size"]), plan.batch_size
    return jax.jit(
        lambda state, *args, tail: _program(one, size, tail, state, *args), static_argnames="tail", donate_argnums=0
    )


def steps(
    network: Network,
    plan: Plan,
    examples: tuple[Array, Array],
    tracked: tuple[int, ...],
    run: Callable[..., tuple[State, Array]],
) -> Loop:
    """Function as `Trainer.train`: the program `run` loops over the batches, so that Python is left once per call.

    Orders and rates are filled up to those of an epoch, so that calls of any length run one program. The last, short
    batch has a place of its own behind the loop.
    """
    n, size, variables = len(examples[1]), plan.batch_size, _variables(network)
    # Copies, since the program takes the arrays away: a user's model may keep one, or begin two variables with it.
    _write(variables, jax.device_put(_read(variables), may_alias=False))
    place = jax.device_put(np.asarray(tracked, np.int32))
    most = recipes.updates_per_epoch(n, size, plan.recipe["last_batch"])
    longest = min(n, most * size)

    def made(order: NDArray[np.int32], rates: NDArray[np.float32]) -> Steps:
        whole = min(len(rates), len(order) // size)
        short = len(order) - whole * size if len(rates) > whole else 0
        tail = short or longest % size
        filled = _filled(order, longest), _filled(rates, most)
        state, seen = run(_read(variables), place, examples, *filled, whole, bool(short), tail=tail)
        _write(variables, state)
        return Steps(*_made(np.asarray(seen, dtype=np.float64)[: len(rates)]).T)

    return made


def _filled(array: NDArray[Any], length: int) -> NDArray[Any]:
    """The array with zeros behind it up to `length`, or as it is where it is no shorter."""
    return array if len(array) >= length else np.concatenate([array, np.zeros(length - len(array), array.dtype)])


def _made(seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows of the updates up to the first whose loss, in the first column, is not finite."""
    ended = ~np.isfinite(seen[:, 0])
    return seen[: ended.argmax() + 1] if ended.any() else seen


def _program(
    one: Update,
    size: int,
    tail: int,
    state: State,
    tracked: Array,
    examples: tuple[Array, Array],
    order: Array,
    rates: Array,
    whole: Any,
    short: Any,
) -> tuple[State, Array]:
    """`whole` updates with batches of `size`, and one with `tail` examples where there is a `short` one."""

    def take(state: State, seen: Array, i: Array, count: int) -> tuple[State, Array, Array]:
        batch = lax.dynamic_slice(order, (i * size,), (count,))
        state, row = one(state, *_at(batch, *examples), rates[i], tracked)
        return state, lax.dynamic_update_slice(seen, row[None], (i, 0)), jnp.isfinite(row[0])

    def body(carry: Any) -> Any:
        i, _, state, seen = carry
        state, seen, finite = take(state, seen, i, size)
        return i + 1, finite, state, seen

    start = (jnp.int32(0), jnp.bool_(True), state, jnp.zeros((len(rates), 3), jnp.float32))
    done, finite, state, seen = lax.while_loop(lambda carry: (carry[0] < whole) & carry[1], body, start)
    if tail:
        last = short & finite
        state, seen = lax.cond(
            last, lambda state, seen: take(state, seen, done, tail)[:2], lambda *now: now, state, seen
        )
    return state, seen


def reader(examples: tuple[Array, Array], batch_size: int) -> Callable[[NDArray[np.int32]], float]:
    """Function as `Trainer.read_batches`, which gathers batches as the loop of `steps` does."""

    @jax.jit
    def run(x: Array, y: Array, order: Array) -> Array:
        def body(i: Array, total: Array) -> Array:
            batch = lax.dynamic_slice(order, (i * batch_size,), (batch_size,))
            # The barrier keeps the whole batch: XLA would gather the one number that is looked at.
            read = lax.optimization_barrier(_at(batch, x, y))
            return total + read[0].reshape(-1)[-1] + read[1][-1]

        return lax.fori_loop(0, len(order) // batch_size, body, jnp.float32(0))

    return lambda order: float(run(*examples, order))


def _at(batch: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """The examples and labels at the indices `batch`, which are known to be some."""
    return x.at[batch].get(mode="promise_in_bounds"), y.at[batch].get(mode="promise_in_bounds")


def _gradient(network: Network) -> Gradient:
    """Function of (state, examples, labels) that gives the mean loss, its gradient and the moved statistics."""
    model, mode = network.model, network.training_mode

    def loss(weights: Arrays, statistics: Arrays, x: Array, y: Array) -> tuple[Array, Arrays]:
        outputs, moved, found = model.stateless_call(weights, statistics, x, return_losses=True, **mode)
        return sum(added_losses(model, found=found), jnp.mean(network.losses(outputs, y))), moved

    derived = jax.value_and_grad(loss, has_aux=True)

    def gradient(state: State, x: Array, y: Array) -> tuple[Array, Arrays, Arrays]:
        (value, moved), gradients = derived(state.weights, state.statistics, x, y)
        return value, gradients, moved

    return gradient


def _accumulated(gradient: Gradient, micro: int) -> Gradient:
    """The same as `gradient`, made in passes of `micro` examples, each weighted by its share of the batch."""

    def accumulated(state: State, x: Array, y: Array) -> tuple[Array, Arrays, Arrays]:
        size = len(y)

        def add(carry: Any, start: Any, count: int) -> Any:
            loss, total, statistics = carry
            part = (lax.dynamic_slice_in_dim(array, start, count) for array in (x, y))
            part_loss, gradients, statistics = gradient(state._replace(statistics=statistics), *part)
            share = jnp.float32(count / size)
            total = [a + share * b for a, b in zip(total, gradients, strict=True)]
            return loss + share * part_loss, total, statistics

        nothing = jnp.float32(0), [jnp.zeros_like(array) for array in state.weights], state.statistics
        whole, rest = divmod(size, micro)
        made = lax.fori_loop(0, whole, lambda i, carry: add(carry, i * micro, micro), nothing) if whole else nothing
        return add(made, whole * micro, rest) if rest else made

    return accumulated
