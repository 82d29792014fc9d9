"""Trainers of plans that differ in rate and seed alone, as one program: `jax.vmap` over their states."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

import numpy as np
import psutil

from batchscope.data.dataset import Data
from batchscope.training.engines import NotTogetherError, OutOfMemoryError, Part, Steps, Updates
from batchscope.training.engines.jax import fused, trainer
from batchscope.training.engines.jax.framework import jax, jnp
from batchscope.training.engines.jax.memory import memory_errors
from batchscope.training.engines.jax.trainer import JaxTrainer
from batchscope.training.plans import Plan, total_updates

FEWEST_UPDATES = 10_000  # of a trial on the CPU: compiling for trials at once costs more than fewer updates save
FEW = 0.75  # of the trials of a program: where no more go on, one with fewer is compiled


class JaxTogether:
    """See `engines.Together`; `first` is the trainer of one of the plans, whose data and programs are those of all."""

    def __init__(
        self, first: JaxTrainer, states: Sequence[fused.State], tracked: Sequence[Any], memory_bytes: int
    ) -> None:
        self._first, self._memory_bytes = first, memory_bytes
        self._lanes = list(range(len(states)))  # the trial in each place of the arrays
        self._state = _on_device(jax.tree.map(lambda *arrays: np.stack(arrays), *states))
        self._tracked = _on_device(np.array(tracked, np.int32))

    @memory_errors()
    def train(self, asked: Mapping[int, Updates]) -> Mapping[int, Steps]:
        """As `Together.train`; whoever has ended goes on with a rate of zero, until many have."""
        if len(asked) <= FEW * len(self._lanes):
            self._keep([place for place, trial in enumerate(self._lanes) if trial in asked])
        some = next(iter(asked.values()))
        of = [asked.get(trial, Updates(some.order, np.zeros_like(some.rates))) for trial in self._lanes]
        examples = self._first.parts["train"]
        given = [fused.arguments(len(examples[1]), self._first.plan, each.order, each.rates) for each in of]
        orders, rates = (np.stack([each[i] for each in given], axis=1) for i in (0, 1))
        _, _, whole, short, tail = given[0]
        arguments = (self._state, self._tracked, examples, orders, rates, np.int32(whole), np.bool_(short))
        self._state, seen = self._compiled(self._first.programs.steps_together, *arguments, tail=tail)(*arguments)
        rows = np.asarray(seen)
        return {
            trial: fused.made_steps(rows[:, place], len(some.rates))
            for place, trial in enumerate(self._lanes)
            if trial in asked
        }

    @memory_errors()
    def evaluate(self, asked: Collection[int], part: Part) -> Mapping[int, tuple[float, float]]:
        """As `Together.evaluate`."""
        arguments = (self._state.weights, self._state.statistics, *self._first.parts[part])
        found = self._compiled(self._first.programs.evaluation_together, *arguments)(*arguments)
        found = [np.asarray(each) for each in found]
        return {
            trial: trainer.evaluated(*(each[place] for each in found))
            for place, trial in enumerate(self._lanes)
            if trial in asked
        }

    def _keep(self, places: Sequence[int]) -> None:
        kept = np.array(places)
        self._lanes = [self._lanes[place] for place in places]
        self._state = _on_device(jax.tree.map(lambda array: np.asarray(array)[kept], self._state))
        self._tracked = _on_device(np.asarray(self._tracked)[kept])

    def _compiled(self, run: Any, *arguments: Any, **static: Any) -> Callable[..., Any]:
        """The program of a function for these arguments, which shares of the same shapes have, too."""
        kept = self._first.programs.compiled
        key = run, str(static), *((array.shape, array.dtype.name) for array in jax.tree.leaves(arguments))
        if key not in kept:
            made = run.lower(*arguments, **static).compile()
            self._require_memory(made.memory_analysis())
            kept[key] = made
        return kept[key]

    def _require_memory(self, needed: Any) -> None:
        more = needed.temp_size_in_bytes + needed.output_size_in_bytes - needed.alias_size_in_bytes
        free = _free_bytes(self._memory_bytes)
        if more > free:
            raise OutOfMemoryError(f"they need {more / 1e9:.3g} GB more, and {free / 1e9:.3g} GB are free")


@memory_errors()
def build(plans: Sequence[Plan], data: Data, memory_bytes: int) -> JaxTogether:
    """As `engines.TogetherEngine.together`: each is built as by itself, and its first state is kept."""
    first = trainer.build(plans[0], data)
    if (reason := reason_on_cpu(first)) is not None and _device().platform == "cpu":
        raise NotTogetherError(reason)
    wanted, states, tracked = _digest(first), [_state(first)], [first.tracked_weight]
    for plan in plans[1:]:
        other = trainer.build(plan, data)
        if _digest(other) != wanted:
            raise NotTogetherError("the user's model computes with numbers that depend on the seed and are no weights")
        states.append(_state(other))
        tracked.append(other.tracked_weight)
    made = JaxTogether(first, states, tracked, memory_bytes)
    if wanted is not None:
        _require_vectorised(made, plans)
    return made


def reason_on_cpu(of: JaxTrainer) -> str | None:
    """Why trials like this one take no less time at once, on a CPU; None where they do (docs/measurements.md)."""
    if any(len(variable.shape) > 2 for variable in of.model.trainable_variables):
        return "convolutions with other kernels in each trial take longer on a CPU"
    updates = total_updates(len(of.data.y_train), of.plan)
    if updates < FEWEST_UPDATES:
        return f"{updates} updates are too few for a program of their own to pay on a CPU"
    return None


def _on_device(arrays: Any) -> Any:
    return jax.device_put(arrays, may_alias=False)  # a program takes the state away


def _state(of: JaxTrainer) -> fused.State:
    return cast(fused.State, jax.tree.map(np.array, fused.state_of(of.network)))


def _digest(of: JaxTrainer) -> str | None:
    """Digest of what a user's model computes, constants included; None for a built-in model, the same in all."""
    if "function" not in of.plan.recipe["model"]:
        return None
    state, size = fused.state_of(of.network), of.plan.batch_size
    one: Any = jax.jit(fused.update(of.network, of.plan.recipe["micro_batch_size"]))
    evaluation: Any = of.programs.evaluation
    batch = (array[:size] for array in of.parts["train"])
    place = jnp.asarray(of.tracked_weight, jnp.int32)
    programs = (
        one.lower(state, *batch, jnp.float32(0), place),
        evaluation.lower(*state[:2], *of.parts["validation"]),
    )
    return hashlib.sha256("".join(each.as_text() for each in programs).encode()).hexdigest()


def _require_vectorised(made: JaxTogether, plans: Sequence[Plan]) -> None:
    """Raise `NotTogetherError` where `jax.vmap` does not take a user's model."""
    nothing = Updates(np.empty(0, np.int32), np.empty(0, np.float32))
    try:
        made.train(dict.fromkeys(range(len(plans)), nothing))
        made.evaluate(range(len(plans)), "validation")
    except MemoryError:
        raise
    except Exception as error:  # of whatever the user's code calls; trials in turn raise what is wrong with the code
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise NotTogetherError(f"JAX cannot vectorise the user's model ({reason})") from error


def _device() -> Any:
    return jax.config.values["jax_default_device"] or jax.devices()[0]


def _free_bytes(memory_bytes: int) -> int:
    """Bytes that may still be allocated: on a GPU of its memory, on the host of `memory_bytes`."""
    statistics: Mapping[str, int] | None = _device().memory_stats()
    if statistics and "bytes_limit" in statistics:
        return statistics["bytes_limit"] - statistics["bytes_in_use"]
    return memory_bytes - int(psutil.Process().memory_info().rss)
